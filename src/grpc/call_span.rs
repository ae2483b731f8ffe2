//! The span of one call, in the trace that its caller names.

use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::codegen::http::{HeaderMap, Request};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Opens the span of a call, in the trace that the caller names in `traceparent`.
pub fn open_call_span<B>(request: &Request<B>) -> Span {
    let path = request.uri().path();
    let span = tracing::info_span!(
        target: "customer_health::call",
        "call",
        "otel.name" = path.trim_start_matches('/'),
        "otel.kind" = "server",
        "rpc.system" = "grpc",
        "rpc.grpc.status_code" = tracing::field::Empty,
        "otel.status_code" = tracing::field::Empty,
    );
    let parent = TraceContextPropagator::new().extract(&Headers(request.headers()));
    if parent.span().span_context().is_valid() {
        // Fails only where spans are not exported.
        let _ = span.set_parent(parent);
    }
    span
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|key| key.as_str()).collect()
    }
}

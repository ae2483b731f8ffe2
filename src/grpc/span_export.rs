//! Spans on their way to an OpenTelemetry collector, which speaks gRPC.

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tonic::transport::{ClientTlsConfig, Endpoint};

use crate::error::ErrorKind;

/// Name of this program among others.
const NAME: &str = "customer-health";

/// How long the last spans may take to be sent.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Why spans cannot be exported.
#[derive(Debug, thiserror::Error)]
#[error(
    "--otlp-endpoint {endpoint} cannot be used: {reason}\nhint: expected the collector's gRPC address, such as http://127.0.0.1:4317"
)]
pub struct TelemetryError {
    endpoint: String,
    reason: String,
}

impl TelemetryError {
    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidInput
    }
}

/// Exports spans to a collector.
#[derive(Debug)]
pub struct Telemetry {
    provider: SdkTracerProvider,
}

impl Telemetry {
    /// Exports to the collector at this address, which is reached when there is something to send. Within a runtime only.
    ///
    /// # Errors
    /// Where the address is none.
    pub fn new(endpoint: &str) -> Result<Self, TelemetryError> {
        let failed = |reason: String| TelemetryError { endpoint: endpoint.to_owned(), reason };
        let mut channel = Endpoint::from_shared(endpoint.to_owned()).map_err(|error| failed(error.to_string()))?;
        match channel.uri().scheme_str() {
            Some("http") => {}
            Some("https") => {
                let tls = channel.tls_config(ClientTlsConfig::new().with_native_roots());
                channel = tls.map_err(|error| failed(error.to_string()))?;
            }
            _ => return Err(failed("it is no http:// or https:// address".to_owned())),
        }
        let exporter = SpanExporter::builder().with_tonic().with_channel(channel.connect_lazy()).build();
        let exporter = exporter.map_err(|error| failed(error.to_string()))?;
        let mut resource = Resource::builder();
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name(NAME);
        }
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
        Ok(Self { provider })
    }

    /// Makes the program's own spans.
    pub fn tracer(&self) -> SdkTracer {
        self.provider.tracer(NAME)
    }

    /// Sends what is left.
    pub async fn flush(self) {
        // It blocks, and what it waits for may need this thread.
        let flushed = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(FLUSH_TIMEOUT)).await;
        match flushed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("the last spans were not exported: {error}"),
            Err(error) => tracing::warn!("the last spans were not exported: {error}"),
        }
    }
}

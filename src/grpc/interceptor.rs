//! What every call passes on its way in and out: the check of its token, its span, and this crate's words for faults of the
//! transport.

use std::convert::Infallible;
use std::future::ready;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::http::header::AUTHORIZATION;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{BoxFuture, Service};
use tonic::server::NamedService;
use tonic::{Code, Status};
use tracing::{Instrument, Span};

use super::call_span::open_call_span;
use crate::app::connection::tokens::Tokens;
use crate::wire::status::{too_large_status, unauthenticated_status};

/// A service that only those with a token can call, where there are tokens.
#[derive(Debug, Clone)]
pub struct Intercepted<S> {
    inner: S,
    tokens: Option<Tokens>,
}

impl<S> Intercepted<S> {
    /// The service behind the check of tokens.
    pub fn new(inner: S, tokens: Option<Tokens>) -> Self {
        Self { inner, tokens }
    }
}

impl<S: NamedService> NamedService for Intercepted<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Intercepted<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let header = request.headers().get(AUTHORIZATION);
        let known = |tokens: &Tokens| header.is_some_and(|header| tokens.admit(header.as_bytes()));
        if !self.tokens.as_ref().is_none_or(known) {
            tracing::info!(call = request.uri().path(), "refused: no token that is known");
            return Box::pin(ready(Ok(unauthenticated_status().into_http())));
        }
        let span = open_call_span(&request);
        let answer = span.in_scope(|| self.inner.call(request));
        let call_span = span.clone();
        let answer = async move {
            let answer = reword_transport_fault(answer.await?);
            record_outcome(&call_span, &answer);
            Ok(answer)
        };
        Box::pin(answer.instrument(span))
    }
}

/// Records in a call's span how it ended, as far as the first headers say.
fn record_outcome(span: &Span, answer: &Response<Body>) {
    if let Some(told) = Status::from_header_map(answer.headers()).filter(|told| told.code() != Code::Ok) {
        span.record("rpc.grpc.status_code", told.code() as i32).record("otel.status_code", "ERROR");
    }
}

/// Puts a failure in this crate's words in place of one that the transport raises before the handler gets the call.
fn reword_transport_fault(answer: Response<Body>) -> Response<Body> {
    let told = Status::from_header_map(answer.headers());
    told.and_then(|told| too_large_status(&told)).map_or(answer, Status::into_http)
}

//! What every call passes on its way in and out: the question for a token, and clear words for the transport's faults.

use std::convert::Infallible;
use std::future::ready;
use std::task::{Context, Poll};

use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::header::AUTHORIZATION;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{BoxFuture, Service};
use tonic::server::NamedService;

use super::status::{stranger, too_large};
use super::token::Tokens;

/// A service that only those with a token can call, where there are tokens.
#[derive(Debug, Clone)]
pub struct Guarded<S> {
    inner: S,
    tokens: Option<Tokens>,
}

impl<S> Guarded<S> {
    /// The service behind the question for a token.
    pub fn new(inner: S, tokens: Option<Tokens>) -> Self {
        Self { inner, tokens }
    }
}

impl<S: NamedService> NamedService for Guarded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Guarded<S>
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
            return Box::pin(ready(Ok(stranger().into_http())));
        }
        let answer = self.inner.call(request);
        Box::pin(async move { answer.await.map(clear) })
    }
}

/// Puts a failure in this crate's words in place of one that the transport tells before the handler hears of the call.
fn clear(answer: Response<Body>) -> Response<Body> {
    let told = Status::from_header_map(answer.headers());
    told.and_then(|told| too_large(&told)).map_or(answer, Status::into_http)
}

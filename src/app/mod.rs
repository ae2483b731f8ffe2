//! What every front end shares: runs by id, admission, named components, uploads, tokens, TLS, spans and numbers. It speaks
//! no protocol.

pub(crate) mod catalog;
pub(crate) mod connection;
pub(crate) mod file_watch;
pub(crate) mod metrics;
pub(crate) mod panic_guard;
pub(crate) mod run;
pub(crate) mod table_stream;
pub(crate) mod upload;

pub use connection::accept::Connections;
pub use connection::credential::{Credential, CredentialError};
pub use connection::tls::Tls;
pub use connection::tokens::Tokens;
pub use metrics::{Metrics, Reading, serve_metrics};
pub use run::admission::Limits;

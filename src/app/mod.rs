//! What every front end shares: runs by id, admission, named components, uploads, tokens, TLS, spans and numbers. It speaks
//! no protocol.

mod background;
pub(crate) mod catalog;
pub(crate) mod connection;
pub(crate) mod file_watch;
pub(crate) mod metrics;
mod metrics_server;
pub(crate) mod panic_guard;
pub(crate) mod run;
pub(crate) mod service;
pub(crate) mod table_stream;
pub(crate) mod upload;
pub(crate) mod upload_quota;

pub use background::{BackgroundTasks, EndReason, TaskEnded};
pub use connection::accept::ConnectionLimits;
pub use connection::credential::{Credential, CredentialError};
pub use connection::tls::Tls;
pub use connection::tokens::Tokens;
pub use metrics::{Metrics, Reading};
pub use metrics_server::serve_metrics;
pub use run::admission::RunLimits;

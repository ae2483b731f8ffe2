//! Who may connect, how many at once, for how long, and how it is encrypted.

pub(crate) mod accept;
pub(crate) mod credential;
pub(crate) mod time_limit;
pub(crate) mod tls;
pub(crate) mod tokens;

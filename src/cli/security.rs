//! Arguments of `serve` that say who may call, and how much may come through one connection.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::args;
use super::exit::Failure;
use crate::app::{ConnectionLimits, Tls, Tokens};

/// Who may call.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Security")]
pub struct SecurityArgs {
    /// Certificate of the server, in PEM, with those that lead to its CA behind it: calls are then encrypted
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// Key of the certificate, in PEM, unencrypted
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// CA, in PEM, that has to have signed the certificate of whoever calls (mutual TLS)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,

    /// File with tokens, one on each line, of which every call but health needs one; read again when it changes
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Listen on addresses that other machines can reach without both encryption and a check of who calls
    #[arg(long)]
    insecure: bool,
}

/// What the arguments of [`SecurityArgs`] name.
#[derive(Debug)]
pub struct Security {
    /// Certificates.
    pub tls: Option<Tls>,
    /// Tokens.
    pub tokens: Option<Tokens>,
    insecure: bool,
}

impl SecurityArgs {
    /// Reads the files.
    ///
    /// # Errors
    /// Which file, by its flag, cannot be used.
    pub fn read(&self) -> Result<Security, Failure> {
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => Some(Tls::read(cert, key, self.tls_client_ca.as_deref())?),
            // The command line has both or neither.
            _ => None,
        };
        let tokens = self.token_file.as_deref().map(Tokens::read).transpose()?;
        Ok(Security { tls, tokens, insecure: self.insecure })
    }
}

impl Security {
    /// Refuses an address that strangers can reach, unless calls are encrypted and callers are known.
    ///
    /// # Errors
    /// What is missing.
    pub fn admit(&self, address: SocketAddr) -> Result<(), Failure> {
        let Some(missing) = self.missing().filter(|_| !address.ip().is_loopback() && !self.insecure) else {
            return Ok(());
        };
        Err(Failure::usage(format!(
            "{address} is no loopback address, and {missing}\n\
             hint: give `--tls-cert` and `--tls-key`, and `--token-file` or `--tls-client-ca`; or listen on 127.0.0.1, \
             or say --insecure where the network keeps strangers away"
        )))
    }

    /// Warns of an address that strangers can reach.
    pub fn warn(&self, address: SocketAddr) {
        if let Some(missing) = self.missing().filter(|_| !address.ip().is_loopback()) {
            tracing::warn!("{address} can be reached from other machines, and {missing}");
        }
    }

    /// `http`, or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    fn missing(&self) -> Option<&'static str> {
        let known = self.tokens.is_some() || self.tls.as_ref().is_some_and(Tls::is_mutual);
        match (self.tls.is_some(), known) {
            (true, true) => None,
            (true, false) => Some("whoever can reach it could read and write files as this user"),
            (false, true) => Some("tokens and data would travel unencrypted"),
            (false, false) => {
                Some("whoever can reach it could read and write files as this user, and listen to what others do")
            }
        }
    }
}

/// How much may come through one connection, and how long it may last.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Connections")]
pub struct ConnectionArgs {
    /// Largest message that is taken; larger tables come in chunks, by MaterializeStream
    #[arg(long, value_name = "SIZE", default_value = "4MiB", value_parser = args::memory)]
    max_message_size: usize,

    /// Connections at once; what comes on top is closed at once
    #[arg(long, value_name = "N", default_value_t = ConnectionLimits::default().max_connections as u32, value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: u32,

    /// Calls at once on one connection; what comes on top waits in the caller
    #[arg(long, value_name = "N", default_value_t = ConnectionLimits::default().max_streams, value_parser = clap::value_parser!(u32).range(1..))]
    max_streams: u32,

    /// Seconds of silence after which a connection is asked for a sign of life
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    keepalive_interval: u64,

    /// Seconds that the sign of life may take before the connection is closed, and its runs are given up
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    keepalive_timeout: u64,

    /// Seconds after which a connection takes no new calls and ends with those that it has; 0 for no limit
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    max_connection_age: u64,
}

impl ConnectionArgs {
    /// As the service takes them.
    pub fn limits(&self) -> ConnectionLimits {
        ConnectionLimits {
            max_message_size: self.max_message_size,
            max_connections: self.max_connections as usize,
            max_streams: self.max_streams,
            keepalive_interval: Duration::from_secs(self.keepalive_interval),
            keepalive_timeout: Duration::from_secs(self.keepalive_timeout),
            max_age: Some(self.max_connection_age).filter(|age| *age > 0).map(Duration::from_secs),
        }
    }
}

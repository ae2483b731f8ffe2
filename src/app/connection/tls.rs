//! The server's certificate, its key, and whose certificates callers have to show; read anew when the files change.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use blake3::Hash;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{Error, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::app::connection::credential::{Credential, CredentialError};

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The protocol that gRPC needs, as ALPN names it.
const HTTP2: &[u8] = b"h2";

/// How a server encrypts, and whether callers need a certificate.
#[derive(Clone)]
pub struct Tls {
    files: Files,
    state: Arc<RwLock<State>>,
}

#[derive(Debug, Clone)]
struct Files {
    cert: Credential,
    key: Credential,
    client_ca: Option<Credential>,
}

struct State {
    /// Hash of the files, or of what keeps them from being read, that `config` is of.
    seen: Hash,
    /// The same of files that cannot be used, and whether that was told.
    broken: Option<(Hash, bool)>,
    config: Arc<ServerConfig>,
}

impl fmt::Debug for Tls {
    // The state holds the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Tls {
    /// From PEM files: a certificate (with those that lead to its CA behind it), its key, and the CA that has to have
    /// signed the callers' certificates, where they need one.
    ///
    /// # Errors
    /// Which file, by its flag, cannot be read or is not what it should be.
    pub fn read(cert: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Self, CredentialError> {
        let (cert, key) = (Credential::new("--tls-cert", cert), Credential::new("--tls-key", key));
        let files = Files { cert, key, client_ca: client_ca.map(|path| Credential::new("--tls-client-ca", path)) };
        let (seen, config) = files.read();
        let state = State { seen, broken: None, config: Arc::new(config?) };
        Ok(Self { files, state: Arc::new(RwLock::new(state)) })
    }

    /// Whether callers need a certificate.
    pub fn is_mutual(&self) -> bool {
        self.files.client_ca.is_some()
    }

    /// A connection once its handshake is done; `None` where that fails.
    pub(crate) async fn accept<C: AsyncRead + AsyncWrite + Unpin>(&self, connection: C) -> Option<TlsStream<C>> {
        let config = self.state.read().unwrap_or_else(PoisonError::into_inner).config.clone();
        match timeout(HANDSHAKE_TIMEOUT, TlsAcceptor::from(config).accept(connection)).await {
            Ok(Ok(encrypted)) => return Some(encrypted),
            Ok(Err(error)) => tracing::debug!("a TLS handshake failed: {error}"),
            Err(_) => tracing::debug!("a TLS handshake took longer than {HANDSHAKE_TIMEOUT:?}"),
        }
        None
    }

    /// Reads the files anew where they have changed, for connections to come; what was good stays where they are broken.
    pub(crate) fn refresh(&self) {
        let (seen, read) = self.files.read();
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.seen == seen {
            state.broken = None;
            return;
        }
        match (read, state.broken) {
            (Ok(config), _) => {
                tracing::info!("the certificate was read anew");
                *state = State { seen, broken: None, config: Arc::new(config) };
            }
            // Two files are not replaced in one moment: only what stays broken is told.
            (Err(error), Some((same, false))) if same == seen => {
                tracing::error!("the last good certificate is kept: {error}");
                state.broken = Some((seen, true));
            }
            (Err(_), Some((same, true))) if same == seen => {}
            (Err(_), _) => state.broken = Some((seen, false)),
        }
    }
}

impl Files {
    /// Reads the files: a hash of their text, and the configuration that they make.
    fn read(&self) -> (Hash, Result<ServerConfig, CredentialError>) {
        let texts = || {
            let (cert, key) = (self.cert.pem("CERTIFICATE")?, self.key.pem("PRIVATE KEY")?);
            let client_ca = self.client_ca.as_ref().map(|ca| ca.pem("CERTIFICATE")).transpose()?;
            Ok([Some(cert), Some(key), client_ca])
        };
        match texts() {
            Ok(texts) => {
                let seen = blake3::hash(texts.iter().flatten().map(String::as_str).collect::<String>().as_bytes());
                let [cert, key, client_ca] = texts.map(Option::unwrap_or_default);
                (seen, self.config(&cert, &key, &client_ca))
            }
            Err(error) => (blake3::hash(CredentialError::to_string(&error).as_bytes()), Err(error)),
        }
    }

    fn config(&self, cert: &str, key: &str, client_ca: &str) -> Result<ServerConfig, CredentialError> {
        let not_cert = |fault: &dyn fmt::Display| {
            let reason = format!("is no certificate that can be used: {fault}");
            self.cert.invalid(reason, "expected an X.509 certificate in PEM")
        };
        let not_key = |fault: &dyn fmt::Display| {
            let hint = "expected the unencrypted key of the certificate in --tls-cert, in PEM";
            self.key.invalid(format!("is no key that goes with the certificate: {fault}"), hint)
        };
        let chain = CertificateDer::pem_slice_iter(cert.as_bytes()).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| not_cert(&error))?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| not_key(&error))?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| not_key(&error))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let hint = "expected the certificates of the CAs that sign callers' certificates, in PEM";
                let none = |fault: &dyn fmt::Display| ca.invalid(format!("has no CA that can be used: {fault}"), hint);
                let found = CertificateDer::pem_slice_iter(client_ca.as_bytes()).collect::<Result<Vec<_>, _>>();
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(found.map_err(|error| none(&error))?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| none(&error))?)
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
            Error::InvalidCertificate(_) | Error::NoCertificatesPresented => not_cert(&error),
            _ => not_key(&error),
        })?;
        config.alpn_protocols.push(HTTP2.to_vec());
        Ok(config)
    }
}

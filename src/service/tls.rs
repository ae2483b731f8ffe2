//! The server's certificate, its key, and whose certificates callers have to show.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

use super::credential::{Credential, CredentialError};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How a server encrypts, and whether callers need a certificate.
#[derive(Debug, Clone)]
pub struct Tls {
    config: ServerTlsConfig,
    mutual: bool,
}

impl Tls {
    /// From PEM files: a certificate (with those that lead to its CA behind it), its key, and the CA that has to have
    /// signed the callers' certificates, where they need one.
    ///
    /// # Errors
    /// Which file, by its flag, cannot be read or is not what it should be.
    pub fn read(cert: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Self, CredentialError> {
        let (cert, key) = (Credential::new("--tls-cert", cert), Credential::new("--tls-key", key));
        let identity = Identity::from_pem(cert.pem("CERTIFICATE")?, key.pem("PRIVATE KEY")?);
        let mut config = ServerTlsConfig::new().identity(identity).timeout(HANDSHAKE);
        // Tried piece by piece, since the error does not tell which file is at fault.
        if let Some(fault) = fault(&config) {
            let told = fault.to_lowercase();
            return Err(if told.contains("certificate") {
                cert.invalid(
                    format!("is no certificate that can be used: {fault}"),
                    "expected an X.509 certificate in PEM",
                )
            } else {
                let hint = "expected the unencrypted key of the certificate in --tls-cert, in PEM";
                key.invalid(format!("is no key that goes with the certificate: {fault}"), hint)
            });
        }
        if let Some(ca) = client_ca.map(|path| Credential::new("--tls-client-ca", path)) {
            config = config.client_ca_root(Certificate::from_pem(ca.pem("CERTIFICATE")?));
            if let Some(fault) = fault(&config) {
                let hint = "expected the certificates of the CAs that sign callers' certificates, in PEM";
                return Err(ca.invalid(format!("has no CA that can be used: {fault}"), hint));
            }
        }
        Ok(Self { config, mutual: client_ca.is_some() })
    }

    /// Whether callers need a certificate.
    pub fn is_mutual(&self) -> bool {
        self.mutual
    }

    /// What the transport takes.
    pub(super) fn config(&self) -> ServerTlsConfig {
        self.config.clone()
    }
}

/// What the transport says against a configuration.
fn fault(config: &ServerTlsConfig) -> Option<String> {
    let error = Server::builder().tls_config(config.clone()).err()?;
    Some(error.source().map_or_else(|| error.to_string(), ToString::to_string))
}

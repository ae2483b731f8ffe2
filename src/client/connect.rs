//! The way to a server: encryption, certificates, and the token that every call carries.

use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use super::{ClientError, root_cause};
use crate::error::ErrorKind;
use crate::shown::shown;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What a server wants of a caller, and a caller of a server. Certificates and keys are PEM.
#[derive(Clone, Default)]
pub struct ClientOptions {
    /// Certificates of the CAs that may have signed the server's; the system's if not given.
    pub tls_ca: Option<String>,
    /// The caller's own certificate, where the server asks for one.
    pub client_cert: Option<String>,
    /// Its key.
    pub client_key: Option<String>,
    /// Name that the server's certificate has to be for; the host of the address if not given.
    pub domain: Option<String>,
    /// Token that every call carries.
    pub token: Option<String>,
}

impl fmt::Debug for ClientOptions {
    /// Tells what is given, but nothing of what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("tls_ca", &self.tls_ca.is_some())
            .field("client_cert", &self.client_cert.is_some())
            .field("client_key", &self.client_key.is_some())
            .field("domain", &self.domain)
            .field("token", &self.token.is_some())
            .finish()
    }
}

impl ClientOptions {
    fn tls(&self) -> Result<ClientTlsConfig, ClientError> {
        let mut config = ClientTlsConfig::new().timeout(HANDSHAKE);
        config = match &self.tls_ca {
            Some(ca) => config.ca_certificate(Certificate::from_pem(ca)),
            None => config.with_native_roots(),
        };
        if let Some(domain) = &self.domain {
            config = config.domain_name(domain);
        }
        match (&self.client_cert, &self.client_key) {
            (Some(cert), Some(key)) => Ok(config.identity(Identity::from_pem(cert, key))),
            (None, None) => Ok(config),
            (Some(_), None) | (None, Some(_)) => Err(wrong(
                "a certificate and its key come together\nhint: give both of `--tls-cert` and `--tls-key`, or neither",
            )),
        }
    }

    fn wants_tls(&self) -> bool {
        let Self { tls_ca, client_cert, client_key, domain, token: _ } = self;
        tls_ca.is_some() || client_cert.is_some() || client_key.is_some() || domain.is_some()
    }
}

/// Puts the token into every call.
#[derive(Debug, Clone, Default)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    fn new(token: Option<&str>) -> Result<Self, ClientError> {
        let Some(token) = token else { return Ok(Self(None)) };
        let value = MetadataValue::try_from(format!("Bearer {token}"));
        let mut value = value.map_err(|_| {
            wrong("the token cannot be sent\nhint: a token has letters, digits and signs of ASCII only, and no blanks")
        })?;
        // Kept out of debug output, and of the tables that HTTP/2 compresses headers with.
        value.set_sensitive(true);
        Ok(Self(Some(value)))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// Connects.
///
/// # Errors
/// Where the address is none, the options do not go with it, or nobody answers there.
pub async fn connect(uri: &str, options: &ClientOptions) -> Result<(Channel, Bearer), ClientError> {
    let unreachable = |error: &dyn Error| {
        let cause = root_cause(error);
        let hint = hint(&cause)
            .unwrap_or("expected the address that `customer-health serve` prints, such as http://127.0.0.1:50051");
        let message = format!("cannot reach the server at {}: {}\nhint: {hint}", shown(uri), shown(&cause));
        ClientError::new(ErrorKind::Unavailable, message)
    };
    let bearer = Bearer::new(options.token.as_deref())?;
    let mut endpoint = Endpoint::from_shared(uri.to_owned()).map_err(|error| unreachable(&error))?.tcp_nodelay(true);
    let encrypted = endpoint.uri().scheme_str() == Some("https");
    if encrypted {
        endpoint = endpoint.tls_config(options.tls()?).map_err(|error| {
            let cause = root_cause(&error);
            wrong(&format!(
                "the certificates for {uri} cannot be used: {cause}\nhint: expected PEM files, the key unencrypted"
            ))
        })?;
    } else if options.wants_tls() {
        return Err(wrong(&format!(
            "certificates are given for {uri}, which is not encrypted\nhint: say https:// where the server has `--tls-cert`"
        )));
    }
    if options.token.is_some() && !encrypted && !is_here(&endpoint) {
        tracing::warn!("the token travels unencrypted to {uri}");
    }
    let channel = endpoint.connect().await.map_err(|error| unreachable(&error))?;
    Ok((channel, bearer))
}

/// Whether an address is of this machine, so that nobody in between can listen.
fn is_here(endpoint: &Endpoint) -> bool {
    let host = endpoint.uri().host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The words for a connection that broke.
pub fn broken(cause: &str) -> String {
    // A refusal in mid-handshake may come without a reason.
    let hint = hint(cause).unwrap_or(
        "try again; a server closes connections where it ends, where it has too many, and where it asks for a \
         certificate and gets none that it trusts (`--tls-cert`)",
    );
    format!("the connection to the server broke: {cause}\nhint: {hint}")
}

/// The way out of a handshake's common failures.
fn hint(cause: &str) -> Option<&'static str> {
    let has = |text: &str| cause.contains(text);
    if has("UnknownIssuer") || has("BadSignature") {
        Some("the server's certificate is of a CA that is not trusted here; name it with `--tls-ca FILE`")
    } else if has("NotValidForName") || has("not valid for name") {
        Some("the server's certificate is for another name; call it by that name, as the certificate has it")
    } else if has("CertificateRequired") {
        Some("the server asks for a certificate; give one with `--tls-cert` and `--tls-key`")
    } else if has("UnknownCA") || has("BadCertificate") || has("DecryptError") {
        Some("the server does not trust this certificate; its operator names the CA with `serve --tls-client-ca`")
    } else if has("InvalidContentType") || has("frame with invalid size") {
        Some("one side encrypts and the other does not: https:// goes with `serve --tls-cert`, http:// with none")
    } else {
        None
    }
}

fn wrong(message: &str) -> ClientError {
    ClientError::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_in_debug_output() {
        let secret = "s3cret-token";
        let options = ClientOptions {
            token: Some(secret.to_owned()),
            client_key: Some(secret.to_owned()),
            ..ClientOptions::default()
        };
        let bearer = Bearer::new(Some(secret)).unwrap();
        assert!(!format!("{options:?} {bearer:?}").contains(secret));
        let error = Bearer::new(Some("s3cret\ntoken")).unwrap_err();
        assert!(!error.message.contains("s3cret"), "{error}");
    }
}

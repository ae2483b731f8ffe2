//! Files that hold secrets and certificates: read with errors that name flag and file, and never what is in them.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::ErrorKind;
use crate::shown::shown;

/// Largest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Why a file with a secret or a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The operating system refuses.
    #[error("cannot read {flag} {}: {source}\nhint: give a file that is there and that this user may read", shown(path.display()))]
    Unreadable {
        /// The flag that names the file.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("{flag} {} {}\nhint: {hint}", shown(path.display()), shown(reason))]
    Invalid {
        /// The flag that names the file.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// The way out.
        hint: &'static str,
    },
}

impl CredentialError {
    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreadable { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => ErrorKind::NotFound,
                io::ErrorKind::PermissionDenied => ErrorKind::Denied,
                _ => ErrorKind::Internal,
            },
            Self::Invalid { .. } => ErrorKind::InvalidInput,
        }
    }
}

/// A file and the flag that names it.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The flag, such as `--tls-cert`.
    pub flag: &'static str,
    /// The file.
    pub path: PathBuf,
}

impl Credential {
    /// A file that a flag names.
    pub fn new(flag: &'static str, path: &Path) -> Self {
        Self { flag, path: path.to_owned() }
    }

    /// What the file says.
    ///
    /// # Errors
    /// Where it cannot be read, is no text, or is too large to be what it should be.
    pub fn text(&self) -> Result<String, CredentialError> {
        let unreadable = |source| CredentialError::Unreadable { flag: self.flag, path: self.path.clone(), source };
        let file = File::open(&self.path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(self.invalid(format!("has more than {MAX_BYTES} bytes"), "is it the right file?"));
        }
        // The error of a conversion would carry the bytes along.
        String::from_utf8(bytes).map_err(|_| self.invalid("is no text".to_owned(), "is it the right file?"))
    }

    /// The file as PEM with sections of a kind, such as `CERTIFICATE` or `PRIVATE KEY`.
    ///
    /// # Errors
    /// Where it cannot be read, or has no such section.
    pub fn pem(&self, section: &str) -> Result<String, CredentialError> {
        let text = self.text()?;
        if text
            .lines()
            .any(|line| line.starts_with("-----BEGIN ") && line.trim_end().ends_with(&format!("{section}-----")))
        {
            return Ok(text);
        }
        let mut reason = format!("has no PEM section `{section}`");
        let found = text.lines().find_map(|line| line.strip_prefix("-----BEGIN ")?.trim_end().strip_suffix("-----"));
        if let Some(found) = found {
            let _ = write!(reason, ", but `{found}`");
        }
        Err(self.invalid(reason, "expected a text file that begins with `-----BEGIN ...`, as openssl writes it"))
    }

    /// The error that it is not what it should be.
    pub fn invalid(&self, reason: String, hint: &'static str) -> CredentialError {
        CredentialError::Invalid { flag: self.flag, path: self.path.clone(), reason, hint }
    }
}

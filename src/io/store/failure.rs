//! What a store's failure means to whoever runs a component; nothing that a store says is repeated, as it may hold secrets.

use std::error::Error;

use datafusion::error::DataFusionError;
use object_store::client::{HttpError, HttpErrorKind};

use crate::error::ErrorKind;
use crate::error::{cause, causes};
use crate::intake::parquet_footer::ParquetFault;
use crate::io::IoError;

const UNAVAILABLE: &str = "try again later; if it stays so, check the network and the store's endpoint";
const CREDENTIALS: &str = "check the credentials in the environment and what they are allowed to do; where they may not list, what is missing is refused as well";
const SETTINGS: &str = "check the bucket's name, its region and the endpoint";

const CHANGED: &str = "run again once what writes it has finished";

/// What the text of a failed request begins with, in every layer.
const REQUEST: &str = "Error performing ";

/// What went wrong.
enum Fault {
    Missing,
    Denied(String),
    Unavailable(String),
    Refused(String),
    Changed,
}

/// A store's failure about what is at a URI.
pub fn of(role: &str, uri: &str, action: &'static str, error: &object_store::Error) -> IoError {
    told(
        role,
        uri,
        action,
        fault(error).unwrap_or_else(|| Fault::Refused("the store's answer is not understood".into())),
    )
}

/// A query's failure, where it is a store's: about what is at a URI.
pub fn of_query(role: &str, uri: &str, error: &DataFusionError) -> Option<IoError> {
    // The store gave it, and it is refused all the same.
    if let Some(fault) = cause::<ParquetFault>(error) {
        return Some(IoError::refused(role, uri, fault.to_string(), fault.hint()));
    }
    fault(error).map(|fault| told(role, uri, "read", fault))
}

/// The same where it is not known what was read, which may also have been local files.
pub fn of_any(during: &str, error: &DataFusionError) -> Option<IoError> {
    let of_request = |cause: &(dyn Error + 'static)| {
        cause.is::<HttpError>() || matches!(cause.downcast_ref(), Some(object_store::Error::Precondition { .. }))
    };
    let remote = error.to_string().contains(REQUEST) || causes(error).any(of_request);
    fault(error).filter(|_| remote).map(|fault| told(during, "an object", "read", fault))
}

fn told(role: &str, uri: &str, action: &'static str, fault: Fault) -> IoError {
    let (role, uri) = (role.to_owned(), uri.to_owned());
    let (kind, reason, hint) = match fault {
        Fault::Missing if action == "read" => {
            let hint = "check the bucket and the key; names are compared in upper and lower case".to_owned();
            return IoError::NotFound { role, path: uri, hint };
        }
        Fault::Missing => (ErrorKind::NotFound, "the store knows no such bucket".to_owned(), SETTINGS),
        Fault::Denied(reason) => (ErrorKind::Denied, reason, CREDENTIALS),
        Fault::Unavailable(reason) => (ErrorKind::Unavailable, reason, UNAVAILABLE),
        Fault::Refused(reason) => (ErrorKind::InvalidInput, reason, SETTINGS),
        Fault::Changed => (ErrorKind::Unavailable, "it changed while it was read".to_owned(), CHANGED),
    };
    IoError::Store { role, uri, action, reason, hint, kind }
}

/// What the failure of a store is; `None` where none is among the causes.
fn fault(error: &(dyn Error + 'static)) -> Option<Fault> {
    let mut store = false;
    for cause in causes(error) {
        match cause.downcast_ref::<object_store::Error>() {
            Some(object_store::Error::NotFound { .. }) => return Some(Fault::Missing),
            Some(object_store::Error::PermissionDenied { .. }) => {
                return Some(Fault::Denied("the store refuses it (403)".to_owned()));
            }
            Some(object_store::Error::Unauthenticated { .. }) => {
                return Some(Fault::Denied("the store does not accept the credentials (401)".to_owned()));
            }
            Some(object_store::Error::Precondition { .. }) => return Some(Fault::Changed),
            Some(object_store::Error::NotSupported { .. }) => {
                return Some(Fault::Refused("the server does not send parts of files, which reading needs".to_owned()));
            }
            Some(_) => store = true,
            None => {}
        }
        if let Some(http) = cause.downcast_ref::<HttpError>() {
            return Some(Fault::Unavailable(transport(http.kind()).to_owned()));
        }
    }
    // Some layers keep an error as its text only.
    of_text(&error.to_string())
        .or_else(|| store.then(|| Fault::Refused("the store's answer is not understood".to_owned())))
}

fn transport(kind: HttpErrorKind) -> &'static str {
    match kind {
        HttpErrorKind::Connect => "the store cannot be reached",
        HttpErrorKind::Timeout => "the store did not answer in time",
        _ => "the connection to the store broke",
    }
}

/// What a failed request's text tells.
fn of_text(text: &str) -> Option<Fault> {
    let (_, request) = text.split_once(REQUEST)?;
    if let Some((_, status)) = request.split_once("status code: ") {
        let status: String = status.chars().take_while(char::is_ascii_digit).collect();
        return Some(match status.as_str() {
            "404" => Fault::Missing,
            "401" | "403" => Fault::Denied(format!("the store refuses it ({status})")),
            "408" | "429" => {
                Fault::Unavailable(format!("the store asks for patience ({status}), and so after retries"))
            }
            _ if status.starts_with('5') => {
                Fault::Unavailable(format!("the store answers {status}, and so after retries"))
            }
            _ if status.starts_with('3') => Fault::Refused(format!("the store points elsewhere ({status})")),
            _ => Fault::Refused(format!("the store does not take the request ({status})")),
        });
    }
    if request.contains("redirect without LOCATION") {
        return Some(Fault::Refused("the store points elsewhere".to_owned()));
    }
    let reason = match request.contains("timed out") {
        true => transport(HttpErrorKind::Timeout),
        false => "the store answers with errors, and so after retries",
    };
    Some(Fault::Unavailable(reason.to_owned()))
}

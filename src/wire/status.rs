//! From failures to gRPC status: the code, a stable reason, google.rpc details, and all of it short enough for headers.

use std::collections::HashMap;

use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::app::catalog::CatalogError;
use crate::app::run::runs::RunError;
use crate::app::upload::UploadError;
use crate::engine::EngineError;
use crate::error::ErrorKind;
use crate::wire::proto::{PROBLEMS, REASON};
use crate::wire::request::RequestError;

/// Domain of the reasons in ErrorInfo.
pub const DOMAIN: &str = "customer-health";

/// Longest message, in bytes. Messages travel in headers, which peers commonly limit to 8 KiB: once percent-encoded,
/// which makes line breaks and letters beyond ASCII three times as long, and once more in the details, in base64.
const MAX_MESSAGE: usize = 2_000;

/// Most bytes of field violations in the details; the message tells of the same problems.
const MAX_VIOLATIONS: usize = 1_500;

/// How the transport begins to say that a message is too large.
const TOO_LARGE: &str = "Error, decoded message length too large:";

/// What stands for the part of a message that was cut out.
const CUT: &str = "\n... (cut) ...\n";

/// The status that tells a failure to the caller.
pub fn failure_status(kind: ErrorKind, message: &str) -> Status {
    detailed_status(status_code(kind), kind, message, ErrorDetails::new(), HashMap::new())
}

/// Reads the kind of failure from a status of this server.
pub fn read_kind(status: &Status) -> ErrorKind {
    read_reason(status).unwrap_or(ErrorKind::Internal)
}

/// Reads the kind of failure that the reason in a status names; `None` where it has none, as where another program answers.
pub fn read_reason(status: &Status) -> Option<ErrorKind> {
    let reason = status.metadata().get(REASON)?.to_str().ok()?;
    ErrorKind::ALL.into_iter().find(|kind| kind.reason() == reason)
}

/// The status of a call whose deadline passed. The code is gRPC's own for it; the reason is that the caller gave up.
pub fn deadline_status() -> Status {
    let message = "the deadline passed before the run was done; each table is whole, and as it was unless publishing had begun\n\
                   hint: give the call a longer deadline";
    detailed_status(Code::DeadlineExceeded, ErrorKind::Cancelled, message, ErrorDetails::new(), HashMap::new())
}

/// The status in place of the transport's own, where that says that a message is too large.
pub fn too_large_status(told: &Status) -> Option<Status> {
    let sizes = told.message().strip_prefix(TOO_LARGE).filter(|_| told.code() == Code::OutOfRange)?;
    let message = format!(
        "a message is larger than the server takes:{sizes}\n\
         hint: send tables with `MaterializeStream`, in smaller chunks; the operator allows more with \
         `serve --max-message-size`"
    );
    Some(failure_status(ErrorKind::MessageTooLarge, &message))
}

/// The status of a call without a token that the server knows.
pub fn unauthenticated_status() -> Status {
    failure_status(
        ErrorKind::Unauthenticated,
        "the call brings no token that the server knows\n\
         hint: send `authorization: Bearer TOKEN`; `materialize --server` takes it from `--token-file`",
    )
}

/// The status of an engine's failure, with the places of the component's problems.
pub fn convert_engine_error(error: &EngineError) -> Status {
    let problems = error.problems();
    let (mut details, mut facts) = (ErrorDetails::new(), HashMap::new());
    if !problems.is_empty() {
        facts.insert(PROBLEMS.to_owned(), problems.len().to_string());
    }
    let mut room = MAX_VIOLATIONS;
    for problem in problems {
        let description = problem.as_it_is();
        let Some(left) = room.checked_sub(problem.path.len() + description.len()) else { break };
        room = left;
        details.add_bad_request_violation(problem.path.clone(), description);
    }
    detailed_status(status_code(error.kind()), error.kind(), &error.to_string(), details, facts)
}

/// The status of a run that has no result.
pub fn convert_run_error(error: &RunError) -> Status {
    match error {
        RunError::IdTaken(_) => field_status(error.kind(), "run_id", &error.to_string()),
        RunError::Engine(error) => convert_engine_error(error),
        RunError::Full { .. } | RunError::Stopped | RunError::Fault => failure_status(error.kind(), &error.to_string()),
    }
}

/// The status of a request that cannot be read, with the field at fault.
pub fn convert_request_error(error: &RequestError) -> Status {
    field_status(error.kind(), &error.field(), &error.to_string())
}

/// The status of a named component that cannot be used.
pub fn convert_catalog_error(error: &CatalogError) -> Status {
    field_status(error.kind(), "component.name", &error.to_string())
}

/// The status of a failure that one field of the request is to blame for.
fn field_status(kind: ErrorKind, field: &str, message: &str) -> Status {
    let mut details = ErrorDetails::new();
    details.add_bad_request_violation(field, message.lines().next().unwrap_or_default());
    detailed_status(status_code(kind), kind, message, details, HashMap::new())
}

/// The status of an upload that was refused.
pub fn convert_upload_error(error: &UploadError) -> Status {
    match error {
        UploadError::Engine(error) => convert_engine_error(error),
        error => failure_status(error.kind(), &error.to_string()),
    }
}

fn detailed_status(
    code: Code,
    kind: ErrorKind,
    message: &str,
    mut details: ErrorDetails,
    facts: HashMap<String, String>,
) -> Status {
    details.set_error_info(kind.reason(), DOMAIN, facts);
    if let Some(delay) = kind.retry_after() {
        details.set_retry_info(Some(delay));
    }
    let mut metadata = MetadataMap::new();
    metadata.insert(REASON, MetadataValue::from_static(kind.reason()));
    Status::with_error_details_and_metadata(code, shorten_message(message), details, metadata)
}

/// The code that tells a kind of failure; each kind has one of its own.
pub fn status_code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::InvalidComponent => Code::InvalidArgument,
        ErrorKind::InvalidInput => Code::FailedPrecondition,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Denied => Code::PermissionDenied,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::OutputConflict => Code::Aborted,
        ErrorKind::ResourceExhausted => Code::ResourceExhausted,
        ErrorKind::MessageTooLarge => Code::OutOfRange,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Cancelled => Code::Cancelled,
        ErrorKind::Internal => Code::Internal,
    }
}

/// Reads the kind of failure that a code stands for where no reason came with it.
pub fn read_code(code: Code) -> ErrorKind {
    match code {
        Code::InvalidArgument => ErrorKind::InvalidComponent,
        Code::OutOfRange => ErrorKind::MessageTooLarge,
        Code::FailedPrecondition => ErrorKind::InvalidInput,
        Code::NotFound => ErrorKind::NotFound,
        Code::PermissionDenied => ErrorKind::Denied,
        Code::Unauthenticated => ErrorKind::Unauthenticated,
        Code::Aborted | Code::AlreadyExists => ErrorKind::OutputConflict,
        Code::ResourceExhausted => ErrorKind::ResourceExhausted,
        Code::Unavailable | Code::DeadlineExceeded => ErrorKind::Unavailable,
        Code::Cancelled => ErrorKind::Cancelled,
        Code::Ok | Code::Unknown | Code::Unimplemented | Code::Internal | Code::DataLoss => ErrorKind::Internal,
    }
}

/// Keeps the head and the tail: the first problems and the hint that comes last.
fn shorten_message(message: &str) -> String {
    if message.len() <= MAX_MESSAGE {
        return message.to_owned();
    }
    let room = MAX_MESSAGE - CUT.len();
    let head = message.floor_char_boundary(room * 3 / 4);
    let tail = message.ceil_char_boundary(message.len() - (room - room * 3 / 4));
    format!("{}{CUT}{}", &message[..head], &message[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::Problem;

    #[test]
    fn every_kind_has_its_own_code_and_carries_its_reason() {
        let mut codes = Vec::new();
        for kind in ErrorKind::ALL {
            let status = failure_status(kind, "text");
            assert_eq!(status.metadata().get(REASON).unwrap(), kind.reason());
            assert_eq!(status.message(), "text");
            assert!(!codes.contains(&status.code()), "{kind:?} shares a code");
            codes.push(status.code());
        }
    }

    #[test]
    fn details_carry_the_reason_and_when_to_try_again() {
        for kind in ErrorKind::ALL {
            let details = failure_status(kind, "text").get_error_details();
            let info = details.error_info().unwrap();
            assert_eq!((info.reason.as_str(), info.domain.as_str()), (kind.reason(), DOMAIN));
            assert_eq!(details.retry_info().and_then(|retry| retry.retry_delay), kind.retry_after());
        }
        let late = deadline_status();
        assert_eq!(late.code(), Code::DeadlineExceeded);
        assert_eq!(late.metadata().get(REASON).unwrap(), "CANCELLED");
    }

    #[test]
    fn many_problems_fit_into_headers() {
        let problem = |line| Problem {
            file: "component.yaml".into(),
            line,
            column: 3,
            path: format!("components.c{line}.weight"),
            message: "expected a number".into(),
            hint: None,
        };
        let problems: Vec<Problem> = (1..=500).map(problem).collect();
        let status = convert_engine_error(&crate::component::ComponentError::new(problems).into());
        assert!(status.details().len() < 4_500, "{}", status.details().len());
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().metadata[PROBLEMS], "500");
        let told = &details.bad_request().unwrap().field_violations;
        assert!(told.len() > 10 && told[1].description == "component.yaml:2:3: expected a number");
        assert_eq!(told[1].field, "components.c2.weight");
    }

    #[test]
    fn a_request_is_told_by_its_field() {
        let details = convert_request_error(&RequestError::AsOf).get_error_details();
        let told = &details.bad_request().unwrap().field_violations[0];
        assert_eq!((told.field.as_str(), told.description.as_str()), ("as_of", "as_of is out of range"));
    }

    #[test]
    fn a_long_message_keeps_its_head_and_tail_and_whole_characters() {
        let long = format!("first{}hint: last", "\u{e4}\u{1f600}".repeat(5_000));
        let capped = shorten_message(&long);
        assert!(capped.len() <= MAX_MESSAGE && capped.len() > MAX_MESSAGE - 8, "{}", capped.len());
        assert!(capped.starts_with("first\u{e4}") && capped.contains(CUT) && capped.ends_with("hint: last"));
        let fits = "x".repeat(MAX_MESSAGE);
        assert_eq!(shorten_message(&fits), fits);
    }
}

//! From failure kinds to gRPC status: the code, a stable reason, and a message short enough for a header.

use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use crate::error::ErrorKind;
use crate::proto::REASON;

/// Longest message, in bytes. Messages travel in headers, which peers commonly limit to 8 KiB, and percent-encoding
/// makes line breaks and letters beyond ASCII three times as long.
const MAX_MESSAGE: usize = 2_500;

/// What stands for the part of a message that was cut out.
const CUT: &str = "\n... (cut) ...\n";

/// The status that tells a failure to the caller.
pub fn status(kind: ErrorKind, message: &str) -> Status {
    let mut status = Status::new(code(kind), cap(message));
    status.metadata_mut().insert(REASON, MetadataValue::from_static(kind.reason()));
    status
}

fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::InvalidComponent => Code::InvalidArgument,
        ErrorKind::InvalidInput => Code::FailedPrecondition,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Denied => Code::PermissionDenied,
        ErrorKind::OutputConflict => Code::Aborted,
        ErrorKind::ResourceExhausted => Code::ResourceExhausted,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Cancelled => Code::Cancelled,
        ErrorKind::Internal => Code::Internal,
    }
}

/// Keeps the head and the tail: the first problems and the hint that comes last.
fn cap(message: &str) -> String {
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

    #[test]
    fn every_kind_has_its_own_code_and_carries_its_reason() {
        let mut codes = Vec::new();
        for kind in ErrorKind::ALL {
            let status = status(kind, "text");
            assert_eq!(status.metadata().get(REASON).unwrap(), kind.reason());
            assert_eq!(status.message(), "text");
            assert!(!codes.contains(&status.code()), "{kind:?} shares a code");
            codes.push(status.code());
        }
    }

    #[test]
    fn a_long_message_keeps_its_head_and_tail_and_whole_characters() {
        let long = format!("first{}hint: last", "\u{e4}\u{1f600}".repeat(5_000));
        let capped = cap(&long);
        assert!(capped.len() <= MAX_MESSAGE && capped.len() > MAX_MESSAGE - 8, "{}", capped.len());
        assert!(capped.starts_with("first\u{e4}") && capped.contains(CUT) && capped.ends_with("hint: last"));
        let fits = "x".repeat(MAX_MESSAGE);
        assert_eq!(cap(&fits), fits);
    }
}

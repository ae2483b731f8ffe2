//! A run as a stream of events: progress while it works, then its result, or why there is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::Status;
use tonic::metadata::MetadataMap;

use crate::app::run::runs::Work;
use crate::engine::{Event, Observer, Stage};
use crate::wire::proto::MaterializeResponse;
use crate::wire::report::{convert_event, convert_result};
use crate::wire::status::{convert_run_error, deadline_status};

/// Events that wait for a slow caller; what goes beyond is left out, so that the run never waits for it.
pub const WAITING_EVENTS: usize = 64;

/// Places among them that row counts leave free, for stages and warnings, which are few.
const KEPT_FREE: usize = 32;

/// What a caller of the stream reads.
pub type Reply<T> = Result<T, Status>;

/// Waits for a run and sends its result, until the caller goes away or its deadline passes.
pub async fn send_result(work: Work, sender: mpsc::Sender<Reply<MaterializeResponse>>, deadline: Option<Instant>) {
    let last = tokio::select! {
        () = sender.closed() => return,
        () = wait_for_deadline(deadline) => Err(deadline_status()),
        outcome = work => match outcome {
            Ok(finished) => Ok(convert_result(&finished.asset, finished.report.clone())),
            Err(error) => Err(convert_run_error(&error)),
        },
    };
    // Fails only where the caller is gone, who then needs no answer.
    let _ = sender.send(last).await;
}

/// Resolves when a deadline passes.
pub async fn wait_for_deadline(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Reads when the caller stops waiting, as its header `grpc-timeout` says. The transport keeps to it only until a stream begins.
pub fn read_deadline(headers: &MetadataMap) -> Option<Instant> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    // Eight digits are the most that gRPC allows.
    let number: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    let timeout = match unit {
        "H" => Duration::from_secs(number * 3_600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    };
    Instant::now().checked_add(timeout)
}

/// An observer that sends events to the caller and never makes the engine wait.
pub fn send_events_to<T: From<MaterializeResponse> + Send + 'static>(sender: mpsc::Sender<Reply<T>>) -> Observer {
    let current = AtomicUsize::new(0);
    Arc::new(move |event| {
        match event {
            Event::Started(stage) => {
                let at = Stage::ALL.iter().position(|known| *known == stage);
                current.store(at.unwrap_or_default(), Ordering::Relaxed);
            }
            Event::Rows(_) if sender.capacity() <= KEPT_FREE => return,
            Event::Rows(_) | Event::Warning(_) | Event::Log(_) => {}
        }
        let stage = Stage::ALL.get(current.load(Ordering::Relaxed)).copied().unwrap_or(Stage::Open);
        // A full channel means that the caller reads slowly: this may be left out, the report has all warnings.
        let _ = sender.try_send(Ok(convert_event(event, stage).into()));
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_read_in_each_unit() {
        let left = |text: &str| {
            let mut headers = MetadataMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            Some(read_deadline(&headers)?.saturating_duration_since(Instant::now()).as_secs_f64())
        };
        for (text, seconds) in [("2H", 7_200.0), ("3M", 180.0), ("99999999S", 99_999_999.0), ("5000m", 5.0)] {
            assert!((left(text).unwrap() - seconds).abs() < 1.0, "{text}");
        }
        assert_eq!(left("1u").map(|left| left < 1.0), Some(true));
        for wrong in ["", "5", "S", "5x", "-1S", "123456789S"] {
            assert_eq!(left(wrong), None, "{wrong}");
        }
        assert_eq!(read_deadline(&MetadataMap::new()), None);
    }
}

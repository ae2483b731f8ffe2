//! An output on its way to a store: sent in parts that nobody sees, which become the object at once or are removed.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::failure;
use crate::io::IoError;
use crate::io::uri::Uri;

/// Smallest size of a part that all stores take.
const PART: u64 = 5 << 20;

/// Stores take ten thousand parts at most.
const PARTS: u64 = 9_000;

/// Parts on their way at once.
const SENDING: usize = 3;

/// How long the removal of parts may take.
const REMOVAL: Duration = Duration::from_secs(15);

const ROLE: &str = "output";

/// Uploads of this process that are neither complete nor removed.
static OPEN: LazyLock<watch::Sender<usize>> = LazyLock::new(|| watch::Sender::new(0));

/// One of them, or a job of a cluster.
#[derive(Debug)]
pub struct Open;

impl Open {
    /// One more.
    pub fn new() -> Self {
        OPEN.send_modify(|open| *open += 1);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        OPEN.send_modify(|open| *open -= 1);
    }
}

/// Waits until what failed and cancelled runs had sent to stores is removed, and what they had begun on a cluster is
/// cancelled, both of which happen behind their backs.
pub async fn uploads_ended() {
    // Cannot fail, as the sender lives as long as the process.
    let _ = OPEN.subscribe().wait_for(|open| *open == 0).await;
}

/// An upload. Dropping it removes what was sent.
#[derive(Debug)]
pub struct Upload {
    uri: Uri,
    store: Arc<dyn ObjectStore>,
    parts: Option<(Box<dyn MultipartUpload>, Open)>,
    bytes: u64,
}

impl Upload {
    /// Begins an upload, which tells whether the store lets this be written.
    ///
    /// # Errors
    /// Where it does not, or does not answer.
    pub async fn start(uri: Uri, store: Arc<dyn ObjectStore>) -> Result<Self, IoError> {
        let open = Open::new();
        let parts = store.put_multipart(&uri.path()).await;
        let parts = parts.map_err(|error| failure(&uri, &error))?;
        Ok(Self { uri, store, parts: Some((parts, open)), bytes: 0 })
    }

    /// Sends a file.
    ///
    /// # Errors
    /// Where it cannot be read, or the store does not take it.
    pub async fn send(&mut self, file: &File) -> Result<(), IoError> {
        let Some((parts, _open)) = &mut self.parts else { return Ok(()) };
        let uri = &self.uri;
        let unreadable = |error| IoError::of_io("output before it is sent", &uri.to_string(), "read", error);
        let file = Arc::new(file.try_clone().map_err(unreadable)?);
        self.bytes = file.metadata().map_err(unreadable)?.len();
        let size = PART.max(self.bytes.div_ceil(PARTS));
        let mut sending = JoinSet::new();
        let joined = |sent: Option<Result<object_store::Result<()>, tokio::task::JoinError>>| match sent {
            Some(Ok(Err(error))) => Err(failure(uri, &error)),
            Some(Err(error)) => Err(IoError::internal("sending the output", crate::error::external(error))),
            Some(Ok(Ok(()))) | None => Ok(()),
        };
        let mut at = 0;
        while at < self.bytes {
            let (from, length) = (file.clone(), size.min(self.bytes - at));
            let part = tokio::task::spawn_blocking(move || {
                let mut part = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
                from.read_exact_at(&mut part, at).map(|()| part)
            });
            let part =
                part.await.map_err(|error| IoError::internal("reading the output", crate::error::external(error)))?;
            at += length;
            if sending.len() >= SENDING {
                joined(sending.join_next().await)?;
            }
            sending.spawn(parts.put_part(part.map_err(unreadable)?.into()));
        }
        while !sending.is_empty() {
            joined(sending.join_next().await)?;
        }
        Ok(())
    }

    /// Makes what was sent the object; its size.
    ///
    /// # Errors
    /// Where the store refuses or does not answer; the object is then as it was.
    pub async fn complete(mut self) -> Result<u64, IoError> {
        let Some((parts, _)) = &mut self.parts else { return Ok(self.bytes) };
        let path = self.uri.path();
        let before = self.store.head(&path).await.ok().and_then(|found| found.e_tag);
        if let Err(error) = parts.complete().await {
            // The answer may have been lost on its way: then the object is there, and a second try found no parts.
            let after = self.store.head(&path).await.ok();
            let ours =
                after.is_some_and(|found| found.size == self.bytes && found.e_tag.is_some() && found.e_tag != before);
            if !ours {
                return Err(failure(&self.uri, &error));
            }
        }
        self.parts = None;
        Ok(self.bytes)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some((mut parts, open)) = self.parts.take() else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        let uri = self.uri.clone();
        runtime.spawn(async move {
            let removed = tokio::time::timeout(REMOVAL, parts.abort()).await;
            if !matches!(removed, Ok(Ok(()))) {
                tracing::warn!("{uri}: an upload that was given up could not be removed; the store may keep its parts");
            }
            drop(open);
        });
    }
}

fn failure(uri: &Uri, error: &object_store::Error) -> IoError {
    failure::of(ROLE, &uri.to_string(), "written", error)
}

//! The data version of a run: a hash of what is read and of how it is scored, so that equal versions hold equal scores.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{self, Read};

use blake3::Hasher;
use chrono::{DateTime, Utc};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::Expr;
use futures::TryStreamExt;
use object_store::{GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt};
use url::Position;

use super::EngineError;
use crate::component::{Component, PinnedStatistics};
use crate::io::context::RunContext;
use crate::io::source::Files;
use crate::plan::Bound;

/// Bytes of a file that are hashed without looking whether the run still goes on.
const STRIDE: u64 = 16 << 20;

/// Hashes what is read: the run's settings, then input by input the files, whatever their names are.
///
/// # Errors
/// Where a file cannot be read.
pub async fn of(
    component: &Component,
    settings: Settings,
    files: BTreeMap<String, Files>,
    context: &RunContext,
) -> Result<String, EngineError> {
    let mut hasher = Hasher::new();
    put(&mut hasher, component.config_hash().as_bytes());
    put(&mut hasher, &settings.pinned);
    put(&mut hasher, &settings.as_of.map_or(0, |time| time.timestamp_micros()).to_le_bytes());
    for (role, files) in files {
        put(&mut hasher, role.as_bytes());
        let unreadable = |error| EngineError::unreadable(&role, &files.path, error);
        let store = ObjectStoreUrl::parse(&files.url[..Position::BeforePath])
            .and_then(|url| context.session().runtime_env().object_store(url))
            .map_err(unreadable)?;
        let local = files.url.scheme() == "file";
        let mut hashes = Vec::with_capacity(files.objects.len());
        for object in &files.objects {
            hashes.push(match &object.e_tag {
                Some(tag) if !local => tagged(tag, object.size),
                // Times say little: a store may not tell them, and one object may be written twice in a second.
                _ => content(store.as_ref(), object).await.map_err(|error| unreadable(error.into()))?,
            });
        }
        // By content and not by name: parts that an engine names at random are the same parts under other names.
        hashes.sort_unstable_by_key(|hash| *hash.as_bytes());
        hashes.iter().for_each(|hash| put(&mut hasher, hash.as_bytes()));
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// What a run's result depends on beside the component and the files.
pub struct Settings {
    pinned: Vec<u8>,
    as_of: Option<DateTime<Utc>>,
}

impl Settings {
    /// The settings of a run; its as-of time counts only where something depends on it.
    pub fn new(bound: &Bound, pinned: &PinnedStatistics, as_of: DateTime<Utc>) -> Self {
        let timed = bound.inputs.values().any(|input| {
            let fields = input.fields.iter().filter_map(|field| field.reading.as_ref());
            input.timestamp.is_some()
                || fields.map(|reading| &reading.expr).chain(&input.filter).any(|e| says(e, as_of))
        });
        // Cannot fail for text and numbers.
        let pinned = serde_json::to_vec(pinned).unwrap_or_default();
        Self { pinned, as_of: timed.then_some(as_of) }
    }
}

/// Whether an expression has the as-of time in it, which stands there as a literal.
fn says(expr: &Expr, as_of: DateTime<Utc>) -> bool {
    use datafusion::common::ScalarValue;
    use datafusion::common::tree_node::TreeNode;
    let is_as_of = |expr: &Expr| matches!(expr, Expr::Literal(ScalarValue::TimestampMicrosecond(Some(micros), _), _) if *micros == as_of.timestamp_micros());
    expr.exists(|expr| Ok(is_as_of(expr))).unwrap_or(true)
}

async fn content(store: &dyn ObjectStore, object: &ObjectMeta) -> object_store::Result<blake3::Hash> {
    let found = store.get(&object.location).await?;
    if let GetResultPayload::File(file, _) = found.payload {
        return of_file(file).await;
    }
    let mut hasher = Hasher::new();
    let mut bytes = found.into_stream();
    while let Some(chunk) = bytes.try_next().await? {
        hasher.update(&chunk);
    }
    Ok(hasher.finalize())
}

/// Reads a file in long strides, between which the run may be given up: the store's own stream goes to another thread and
/// back for every eight kilobytes.
async fn of_file(mut file: File) -> object_store::Result<blake3::Hash> {
    let failed = |source: Box<dyn Error + Send + Sync>| object_store::Error::Generic { store: "local files", source };
    let mut hasher = Hasher::new();
    loop {
        let stride = tokio::task::spawn_blocking(move || {
            let before = hasher.count();
            hasher.update_reader((&mut file).take(STRIDE)).map(|_| ())?;
            let more = hasher.count() > before;
            Ok::<_, io::Error>((hasher, file, more))
        });
        let more;
        (hasher, file, more) =
            stride.await.map_err(|error| failed(error.into()))?.map_err(|error| failed(error.into()))?;
        if !more {
            return Ok(hasher.finalize());
        }
    }
}

/// What a store says of an object that changes when the object does.
fn tagged(tag: &str, size: u64) -> blake3::Hash {
    let mut hasher = Hasher::new();
    put(&mut hasher, tag.as_bytes());
    hasher.update(&size.to_le_bytes());
    hasher.finalize()
}

/// Puts a value behind its length, so that no two lists of values look alike.
fn put(hasher: &mut Hasher, value: &[u8]) {
    hasher.update(&(value.len() as u64).to_le_bytes());
    hasher.update(value);
}

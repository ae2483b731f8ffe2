//! A store as one run sees it: objects stay what they were when the run first met them, or the run is told.

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::Timelike;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, coalesce_ranges,
};

use crate::intake::page_headers::Arriving;

/// Reads objects of a store, each in one state only: a run reads an input several times, and its passes have to agree.
#[derive(Debug)]
pub struct PinnedStore {
    inner: Arc<dyn ObjectStore>,
    known: Arc<Known>,
    pages: Arc<Arriving>,
}

#[derive(Debug)]
struct Known {
    store: String,
    tags: Option<Mutex<HashMap<Path, String>>>,
}

impl PinnedStore {
    /// A view on a store, of this name. Without `pinned` an object may change, as web servers' tags say little.
    pub fn new(inner: Arc<dyn ObjectStore>, store: &str, pinned: bool, pages: Arc<Arriving>) -> Self {
        let tags = pinned.then(Mutex::default);
        Self { inner, known: Arc::new(Known { store: store.to_owned(), tags }), pages }
    }
}

impl Known {
    /// The same as seen by the run.
    fn note(&self, mut object: ObjectMeta) -> Result<ObjectMeta> {
        if let (Some(tags), Some(tag)) = (&self.tags, &object.e_tag) {
            // Listings and answers quote them differently.
            let tag = tag.trim_start_matches("W/").trim_matches('"');
            let mut tags = tags.lock().unwrap_or_else(PoisonError::into_inner);
            let first = tags.entry(object.location.clone()).or_insert_with(|| tag.to_owned());
            if first != tag {
                let path = object.location.to_string();
                return Err(Error::Precondition { path, source: "it is another one than at first".into() });
            }
        }
        // The engine keeps footers by path, size and time, whatever the store and the tag are: those go into the time,
        // below the second that stores tell it in.
        let mut hasher = DefaultHasher::new();
        (&self.store, &object.e_tag).hash(&mut hasher);
        let nanos = (hasher.finish() % 1_000_000_000) as u32;
        object.last_modified = object.last_modified.with_nanosecond(nanos).unwrap_or(object.last_modified);
        Ok(object)
    }
}

impl fmt::Display for PinnedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.known.store)
    }
}

fn read_only<T>(operation: &str) -> Result<T> {
    Err(Error::NotImplemented { operation: operation.to_owned(), implementer: "a run's view of a store".to_owned() })
}

#[async_trait]
impl ObjectStore for PinnedStore {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let mut found = self.inner.get_opts(location, options).await?;
        found.meta = self.known.note(found.meta)?;
        Ok(found)
    }

    /// What decoders read: whole chunks of columns, whose pages are looked at first.
    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let get = |range| self.get_range(location, range);
        let arrived = coalesce_ranges(ranges, get, OBJECT_STORE_COALESCE_DEFAULT).await?;
        let pairs = ranges.iter().zip(arrived.iter().map(AsRef::as_ref));
        let admitted = self.pages.admit(&self.known.store, location, pairs);
        admitted.map_err(|fault| Error::Generic { store: "Parquet", source: fault.into() })?;
        Ok(arrived)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let known = self.known.clone();
        self.inner.list(prefix).map(move |object| known.note(object?)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut found = self.inner.list_with_delimiter(prefix).await?;
        found.objects = found.objects.into_iter().map(|object| self.known.note(object)).collect::<Result<_>>()?;
        Ok(found)
    }

    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        read_only("put")
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        read_only("put_multipart")
    }

    fn delete_stream(&self, _: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        stream::once(async { read_only("delete") }).into_stream().boxed()
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        read_only("copy")
    }
}

//! What files of text need before they are a table: each looked at whole, then read by name as one.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::columns::{Columns, text_key};
use super::reconcile::{Conflict, merge};
use super::{IoError, Source};
use crate::cluster::{Cluster, ClusterError};
use crate::component::Format;
use crate::error::ErrorKind;
use crate::intake::text;
use crate::intake::text::TextFile;
use crate::io::context::RunContext;

/// What Parquet begins with.
const PARQUET: &[u8] = b"PAR1";

impl Source<'_> {
    /// The columns of text files, and their reader, which knows the table's columns by name.
    pub(super) async fn columns_of_texts(
        &self,
        format: Format,
        context: &RunContext,
        store: &Arc<dyn ObjectStore>,
        files: &[ObjectMeta],
    ) -> Result<Columns, IoError> {
        let mut room = context.limits().bytes;
        let mut texts: Vec<TextFile> = Vec::new();
        for file in files {
            let text = text::look(format, store, file, room).await;
            let text = text.map_err(|error| IoError::unreadable(self.role, self.path, error))?;
            room = room.saturating_sub(text.bytes);
            texts.push(text);
        }
        let own: Vec<SchemaRef> = texts.iter().map(|text| Arc::new(text.columns.clone())).collect();
        // Types that differ are no conflict here: all of them can be read as text.
        if let Err(conflict @ Conflict::Twice { file, .. }) = &merge(&own) {
            let name = files.get(*file).and_then(|file| file.location.filename()).unwrap_or_default();
            let hint = "give each column a name of its own where the table is made";
            return Err(self.refused(self.path, format!("{name}: {conflict}"), hint));
        }
        let merged = text::merge(texts.iter().map(|text| &text.columns));
        let schema = Arc::new(match format {
            // In CSV the key stays the text it is: `007` is not 7.
            Format::Csv => text_key(merged, self.key),
            _ => merged,
        });
        let (reader, known) = text::reader(&texts, &schema);
        if let Some(cluster) = context.cluster().filter(|_| !known) {
            return Err(self.text_only_here(cluster));
        }
        let groups = vec![(schema.clone(), (0..files.len()).collect())];
        Ok(Columns { schema, format: reader, groups, differ: !known, own })
    }

    /// Refuses files that were taken for Parquet because their names tell nothing.
    pub(super) async fn is_parquet(&self, store: &dyn ObjectStore, files: &[ObjectMeta]) -> Result<(), IoError> {
        let untold = |file: &&ObjectMeta| Format::told_by(file.location.as_ref()).is_none();
        for file in files.iter().filter(untold) {
            let head = store.get_range(&file.location, 0..file.size.min(PARQUET.len() as u64)).await;
            let head = head.map_err(|error| IoError::unreadable(self.role, self.path, error.into()))?;
            if head.as_ref() != PARQUET {
                let name = file.location.filename().unwrap_or_default();
                let known: Vec<String> = Format::ALL.into_iter().map(endings).collect();
                let hint = format!(
                    "names end in {}; else give the input a `format`, such as `{{path: {name}, format: csv}}`",
                    known.join("; ")
                );
                let reason = format!("{name} is no Parquet, and its name does not say what else it is");
                return Err(self.refused(self.path, reason, &hint));
            }
        }
        Ok(())
    }

    /// Refuses text that a cluster's executors cannot read as this process does.
    fn text_only_here(&self, cluster: &Cluster) -> IoError {
        IoError::Cluster(ClusterError {
            scheduler: cluster.config.scheduler().to_owned(),
            reason: format!(
                "{}: {} is text that executors do not read: packed, with a byte order mark, with columns in another order, \
                 JSON in an array or over several lines, fields of several types, or columns that are not UTF-8",
                self.role, self.path
            ),
            hint: "write it as Parquet, or run with `--engine local`",
            kind: ErrorKind::InvalidInput,
        })
    }
}

/// Endings of a format's files, for messages.
pub fn endings(format: Format) -> String {
    let endings = format.endings().iter().map(|ending| format!(".{ending}")).collect::<Vec<_>>().join(", ");
    match format {
        Format::Csv | Format::Json => format!("{endings} (or these with .gz or .zst)"),
        Format::Parquet | Format::Arrow => endings,
    }
}

//! What columns the files of a table have, and how they are read as one.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::ipc::{self, root_as_footer, root_as_message};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::arrow::ArrowFormat;
use datafusion::datasource::file_format::parquet::{ParquetFormat, transform_schema_to_view};
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::error::Result;
use futures::{StreamExt, TryStreamExt, stream};
use indexmap::IndexMap;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use url::Url;

use super::reconcile::{Conflict, merge};
use super::{IoError, LOOKS, Source, shown};
use crate::component::Format;
use crate::io::context::RunContext;
use crate::plan::key;

/// What Arrow files begin with, and streams do not.
const ARROW: &[u8] = b"ARROW1";

/// Bytes at either end that tell where the schema is.
const ARROW_ENDS: u64 = 10;

/// The columns of a table's files.
pub struct Columns {
    /// Of all files together.
    pub schema: SchemaRef,
    /// Reads the files.
    pub format: Arc<dyn FileFormat>,
    /// Files that are read alike, by their place among all, and the columns to read of them.
    pub groups: Vec<(SchemaRef, Vec<usize>)>,
    /// Whether files differ.
    pub differ: bool,
    /// Of each file.
    pub own: Vec<SchemaRef>,
}

impl Columns {
    /// Reads what columns the files have, and makes them one table's.
    ///
    /// # Errors
    /// Which file cannot be read, or has a column that does not fit those of the others.
    pub async fn read(
        source: &Source<'_>,
        format: Format,
        context: &RunContext,
        (at, store): (&Url, &Arc<dyn ObjectStore>),
        files: &[ObjectMeta],
    ) -> std::result::Result<Self, IoError> {
        if matches!(format, Format::Csv | Format::Json) {
            return source.columns_of_texts(format, context, store, files).await;
        }
        let schemas = stream::iter(files.iter().cloned()).map(|file| {
            let (context, store) = (context.clone(), store.clone());
            async move { of_file(format, &context, &store, &file).await.map_err(|error| (file, error)) }
        });
        let own: std::result::Result<Vec<SchemaRef>, _> = schemas.buffered(LOOKS).try_collect().await;
        let own = own.map_err(|(file, error)| {
            let path = if files.len() == 1 { source.path.to_owned() } else { shown(at, &file.location) };
            IoError::unreadable(source.role, &path, error)
        })?;
        let path = |at_file: usize| files.get(at_file).map(|file| shown(at, &file.location)).unwrap_or_default();
        let merged = merge(&own).map_err(|conflict| match &conflict {
            Conflict::Twice { file, .. } => {
                let hint = "give each column a name of its own where the table is made";
                source.refused(&path(*file), conflict.to_string(), hint)
            }
            Conflict::Types { column, file, this, against, other } => {
                let reason = format!("the column `{column}` is {this} here and {other} in {}", path(*against));
                source.refused(&path(*file), reason, "write the column with one type in all files")
            }
        })?;
        let merged = Arc::new(match format {
            Format::Parquet if context.session().config_options().execution.parquet.schema_force_view_types => {
                transform_schema_to_view(&merged)
            }
            _ => merged,
        });
        let mut groups: IndexMap<SchemaRef, Vec<usize>> = IndexMap::new();
        for (at, schema) in own.iter().enumerate() {
            groups.entry(read_as(format, schema, &merged)).or_default().push(at);
        }
        let differ = own.iter().any(|schema| !same(schema, &own[0]));
        Ok(Self { schema: merged, format: reader(format, context), groups: groups.into_iter().collect(), differ, own })
    }

    /// Whether all files have a column.
    pub fn in_all(&self, name: &str) -> bool {
        self.own.iter().all(|schema| schema.field_with_name(name).is_ok())
    }
}

/// The columns of one file as they stand in it.
async fn of_file(
    format: Format,
    context: &RunContext,
    store: &Arc<dyn ObjectStore>,
    file: &ObjectMeta,
) -> Result<SchemaRef> {
    let files = std::slice::from_ref(file);
    match format {
        Format::Arrow => {
            let merged = ArrowFormat.infer_schema(context.session(), store, files).await?;
            Ok(without_facts(&with_repeats(merged, &names_in_arrow(store.as_ref(), file).await?)?))
        }
        _ => {
            let metadata = DFParquetMetadata::new(store.as_ref(), file)
                .with_metadata_size_hint(context.session().config_options().execution.parquet.metadata_size_hint)
                .with_file_metadata_cache(Some(
                    context.session().runtime_env().cache_manager.get_file_metadata_cache(),
                ));
            let schema = Arc::new(metadata.fetch_schema().await?);
            // A table that is sent back as it was published keeps what the run says of it.
            let skipped = context.session().config_options().execution.parquet.skip_metadata;
            Ok(if skipped { without_facts(&schema) } else { schema })
        }
    }
}

/// A schema without what its writer tells of the whole file, as pandas does: it is no part of the table, and tables that are
/// joined would differ in it.
fn without_facts(schema: &SchemaRef) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().clone()))
}

/// Names of the columns in the schema of an Arrow file, which stands at its end, or of a stream, which begins with it; none
/// where it is neither, which its reader tells.
async fn names_in_arrow(store: &dyn ObjectStore, file: &ObjectMeta) -> Result<Vec<String>> {
    let names = |schema: ipc::Schema<'_>| -> Option<Vec<String>> {
        Some(schema.fields()?.iter().filter_map(|field| field.name().map(str::to_owned)).collect())
    };
    let head = store.get_range(&file.location, 0..file.size.min(ARROW_ENDS)).await?;
    let end = file.size.saturating_sub(ARROW_ENDS);
    if head.starts_with(ARROW) {
        let tail = store.get_range(&file.location, end..file.size).await?;
        let start = word(&tail, 0).and_then(|length| end.checked_sub(length.into()));
        let Some(start) = start.filter(|start| *start < end) else { return Ok(Vec::new()) };
        let footer = store.get_range(&file.location, start..end).await?;
        let found = root_as_footer(&footer).ok().and_then(|footer| names(footer.schema()?));
        return Ok(found.unwrap_or_default());
    }
    let (length, start) = match word(&head, 0) {
        Some(u32::MAX) => (word(&head, 4), 8),
        length => (length, 4),
    };
    let end = start + u64::from(length.unwrap_or_default());
    if end > file.size || end == start {
        return Ok(Vec::new());
    }
    let message = store.get_range(&file.location, start..end).await?;
    let found = root_as_message(&message).ok().and_then(|message| names(message.header_as_schema()?));
    Ok(found.unwrap_or_default())
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

/// The columns of a file with those that have one name told apart: whoever read them kept the first one alone.
fn with_repeats(merged: SchemaRef, names: &[String]) -> Result<SchemaRef> {
    if names.len() <= merged.fields().len() {
        return Ok(merged);
    }
    let fields = names.iter().map(|name| Ok(merged.field_with_name(name)?.clone())).collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

/// The columns that a reader is asked for, of a file with its own.
fn read_as(format: Format, own: &SchemaRef, merged: &SchemaRef) -> SchemaRef {
    match format {
        // Its reader goes by name and type.
        Format::Parquet => merged.clone(),
        _ => {
            let fields = own.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
            Arc::new(Schema::new(fields.collect::<Vec<_>>()))
        }
    }
}

fn reader(format: Format, context: &RunContext) -> Arc<dyn FileFormat> {
    match format {
        Format::Arrow => Arc::new(ArrowFormat),
        _ => Arc::new(ParquetFormat::default().with_options(context.session().default_table_options().parquet)),
    }
}

/// The key of CSV as text.
pub fn text_key(schema: Schema, named: Option<&str>) -> Schema {
    let Some(key) = key::column(&schema, named) else { return schema };
    let field = |field: &Arc<Field>| match *field.name() == key {
        true => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8)),
        false => field.clone(),
    };
    Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>())
}

fn same(one: &SchemaRef, other: &SchemaRef) -> bool {
    let columns = |schema: &SchemaRef| -> Vec<(String, DataType)> {
        schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
    };
    columns(one) == columns(other)
}

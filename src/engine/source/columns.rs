//! What columns the files of a table have, and how they are read as one.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::arrow::ArrowFormat;
use datafusion::datasource::file_format::parquet::{ParquetFormat, transform_schema_to_view};
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::error::Result;
use datafusion::execution::session_state::SessionState;
use futures::{StreamExt, TryStreamExt, stream};
use indexmap::IndexMap;
use object_store::{ObjectMeta, ObjectStore};
use url::Url;

use super::reconcile::{Conflict, merge};
use super::{EngineError, LOOKS, Source, shown};
use crate::component::Format;
use crate::plan::key;

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
        state: &SessionState,
        (at, store): (&Url, &Arc<dyn ObjectStore>),
        files: &[ObjectMeta],
    ) -> std::result::Result<Self, EngineError> {
        if matches!(format, Format::Csv | Format::Json) {
            return source.columns_of_texts(format, state, store, files).await;
        }
        let schemas = stream::iter(files.iter().cloned()).map(|file| {
            let (state, store) = (state.clone(), store.clone());
            async move { of_file(format, &state, &store, &file).await.map_err(|error| (file, error)) }
        });
        let own: std::result::Result<Vec<SchemaRef>, _> = schemas.buffered(LOOKS).try_collect().await;
        let own = own.map_err(|(file, error)| {
            let path = if files.len() == 1 { source.path.to_owned() } else { shown(at, &file.location) };
            EngineError::unreadable(source.role, &path, error)
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
            Format::Parquet if state.config_options().execution.parquet.schema_force_view_types => {
                transform_schema_to_view(&merged)
            }
            _ => merged,
        });
        let mut groups: IndexMap<SchemaRef, Vec<usize>> = IndexMap::new();
        for (at, schema) in own.iter().enumerate() {
            groups.entry(read_as(format, schema, &merged)).or_default().push(at);
        }
        let differ = own.iter().any(|schema| !same(schema, &own[0]));
        Ok(Self { schema: merged, format: reader(format, state), groups: groups.into_iter().collect(), differ, own })
    }

    /// Whether all files have a column.
    pub fn in_all(&self, name: &str) -> bool {
        self.own.iter().all(|schema| schema.field_with_name(name).is_ok())
    }
}

/// The columns of one file as they stand in it.
async fn of_file(
    format: Format,
    state: &SessionState,
    store: &Arc<dyn ObjectStore>,
    file: &ObjectMeta,
) -> Result<SchemaRef> {
    let files = std::slice::from_ref(file);
    match format {
        Format::Arrow => ArrowFormat.infer_schema(state, store, files).await,
        _ => {
            let metadata = DFParquetMetadata::new(store.as_ref(), file)
                .with_metadata_size_hint(state.config_options().execution.parquet.metadata_size_hint)
                .with_file_metadata_cache(Some(state.runtime_env().cache_manager.get_file_metadata_cache()));
            Ok(Arc::new(metadata.fetch_schema().await?))
        }
    }
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

fn reader(format: Format, state: &SessionState) -> Arc<dyn FileFormat> {
    match format {
        Format::Arrow => Arc::new(ArrowFormat),
        _ => Arc::new(ParquetFormat::default().with_options(state.default_table_options().parquet)),
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

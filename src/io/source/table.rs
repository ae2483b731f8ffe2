//! A table of files that were chosen one by one, with the columns of their folders' names.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, cast, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::union::UnionExec;
use object_store::ObjectMeta;

/// Files that a reader takes for one table.
pub struct Alike {
    /// Their columns, as the reader is to give them.
    pub columns: SchemaRef,
    /// The files, with the values of the folders' columns.
    pub files: Vec<(ObjectMeta, Vec<ScalarValue>)>,
}

/// Files of one format as a table.
pub struct FileTable {
    /// The store that has them.
    pub store: ObjectStoreUrl,
    /// Reads them.
    pub format: Arc<dyn FileFormat>,
    /// The table's columns; those of the folders come last.
    pub columns: SchemaRef,
    /// The columns of the folders.
    pub partitions: Vec<FieldRef>,
    /// The files, by what is in them.
    pub groups: Vec<Alike>,
}

impl fmt::Debug for FileTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileTable").field("columns", &self.columns).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for FileTable {
    fn schema(&self) -> SchemaRef {
        self.columns.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted = match projection {
            Some(wanted) => self.columns.project(wanted)?,
            None => self.columns.as_ref().clone(),
        };
        let mut plans = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            plans.push(self.scan_group(state, group, &wanted, limit).await?);
        }
        match plans.pop() {
            Some(only) if plans.is_empty() => Ok(only),
            last => UnionExec::try_new(plans.into_iter().chain(last).collect()),
        }
    }
}

impl FileTable {
    /// The wanted columns of files that are alike, in the table's types.
    async fn scan_group(
        &self,
        state: &dyn Session,
        group: &Alike,
        wanted: &Schema,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema =
            TableSchema::builder(group.columns.clone()).with_table_partition_cols(self.partitions.clone()).build();
        let all = schema.table_schema().clone();
        let read: Vec<usize> = wanted.fields().iter().filter_map(|field| all.index_of(field.name()).ok()).collect();
        let files = group.files.iter().map(|(file, values)| {
            let mut file = PartitionedFile::from(file.clone());
            file.partition_values.clone_from(values);
            file
        });
        let files = FileGroup::new(files.collect()).split_files(state.config().target_partitions());
        let scan = FileScanConfigBuilder::new(self.store.clone(), self.format.file_source(schema))
            .with_file_groups(files)
            .with_projection_indices(Some(read))?
            .with_limit(limit)
            .build();
        let scan = self.format.create_physical_plan(state, scan).await?;
        let here = scan.schema();
        let same = here.fields().len() == wanted.fields().len()
            && here.fields().iter().zip(wanted.fields()).all(|(here, there)| alike(here, there));
        if same {
            return Ok(scan);
        }
        let column = |field: &FieldRef| {
            let value: Arc<dyn PhysicalExpr> = match here.index_of(field.name()) {
                Ok(at) if here.field(at).data_type() == field.data_type() => Arc::new(Column::new(field.name(), at)),
                Ok(at) => cast(Arc::new(Column::new(field.name(), at)), &here, field.data_type().clone())?,
                Err(_) => lit(null(field.data_type())?),
            };
            Ok((value, field.name().clone()))
        };
        let columns = wanted.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(ProjectionExec::try_new(columns, scan)?))
    }
}

fn alike(here: &FieldRef, there: &FieldRef) -> bool {
    here.name() == there.name() && here.data_type() == there.data_type()
}

fn null(data_type: &DataType) -> Result<ScalarValue> {
    ScalarValue::try_from(data_type)
}

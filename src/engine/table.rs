//! Tables that a run writes, and where their columns come from.

use datafusion::arrow::datatypes::SchemaRef;

use crate::component::{Component, FanOut};
use crate::plan::columns::{self, Column};
use crate::scorecard::InputName;

/// A table that was written, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputReport {
    /// Which table beside the scores; `None` for the scores themselves.
    pub fan_out: Option<FanOut>,
    /// Name of the asset that the table is.
    pub asset_name: String,
    /// Path or URI; empty where it was not published.
    pub path: String,
    /// Rows.
    pub rows: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// Its columns, in order.
    pub columns: Vec<ColumnReport>,
    /// Its schema.
    pub schema: SchemaRef,
    /// Where each column comes from, in the columns' order.
    pub lineage: Vec<ColumnLineage>,
}

/// Name of the asset that a table is, by the name of the scores' asset.
pub fn asset_name(scores: &str, fan_out: Option<FanOut>) -> String {
    match fan_out {
        None => scores.to_owned(),
        Some(table) => format!("{scores}_{}", table.name()),
    }
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnReport {
    /// Name.
    pub name: String,
    /// Arrow type, such as `Float64`.
    pub data_type: String,
    /// Whether it may be null.
    pub nullable: bool,
    /// What stands in it.
    pub description: String,
}

/// What is told of a table's columns.
pub fn columns(columns: &[Column]) -> Vec<ColumnReport> {
    let report = |column: &Column| ColumnReport {
        name: column.field.name().clone(),
        data_type: column.field.data_type().to_string(),
        nullable: column.field.is_nullable(),
        description: column.doc.clone(),
    };
    columns.iter().map(report).collect()
}

/// The columns of a component's scores, which hang on the component alone.
pub fn columns_of_scores(component: &Component) -> Vec<ColumnReport> {
    columns(&columns::of_scores(component))
}

/// Where a column comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnLineage {
    /// The column.
    pub column: String,
    /// Columns of inputs that it is made from; none where it comes from the run itself.
    pub sources: Vec<SourceColumn>,
}

/// A column of an input.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceColumn {
    /// Which input.
    pub input: InputName,
    /// Key of the asset that the input comes from, where the component tells one.
    pub asset_key: Option<String>,
    /// The column.
    pub column: String,
}

//! What the files' own statistics tell without reading a row.

use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};

use super::{query, session};
use crate::io::context::RunContext;
use crate::plan::bind::BoundInput;
use crate::plan::input;

/// Exact statistics of an input's columns, as far as its files have them.
pub struct Footer {
    rows: Option<u64>,
    columns: Vec<(String, ColumnStatistics)>,
}

impl Footer {
    /// Reads the statistics of an input's files.
    ///
    /// # Errors
    /// Where the files cannot be opened.
    pub async fn read(input: &BoundInput, context: &RunContext) -> Result<Self> {
        let scan = query::physical(&session::with_statistics(context), &input::scan(input)?.build()?).await?;
        let schema = scan.schema();
        let statistics: Statistics =
            StatisticsContext::new().compute(scan.as_ref(), &StatisticsArgs::new())?.as_ref().clone();
        let rows = exact(&statistics.num_rows).map(|rows| rows as u64);
        let names = schema.fields().iter().map(|field| field.name().clone());
        Ok(Self { rows, columns: names.zip(statistics.column_statistics).collect() })
    }

    /// Number of rows.
    pub fn rows(&self) -> Option<u64> {
        self.rows
    }

    /// Number of a column's values that are not null.
    pub fn values(&self, column: &str) -> Option<u64> {
        let nulls = exact(&self.column(column)?.null_count)? as u64;
        Some(self.rows?.saturating_sub(nulls))
    }

    /// Smallest and largest value of a numeric column, where both are finite.
    pub fn extremes(&self, column: &str) -> Option<(f64, f64)> {
        let statistics = self.column(column)?;
        let number = |value: &Precision<ScalarValue>| {
            let value = exact(value)?;
            if !value.data_type().is_numeric() {
                return None;
            }
            match value.cast_to(&datafusion::arrow::datatypes::DataType::Float64) {
                Ok(ScalarValue::Float64(number)) => number.filter(|number| number.is_finite()),
                _ => None,
            }
        };
        Some((number(&statistics.min_value)?, number(&statistics.max_value)?))
    }

    /// Number of rows whose key is null or blank, where that is certain.
    pub fn rows_without_key(&self, column: &str) -> Option<u64> {
        let statistics = self.column(column)?;
        let nulls = exact(&statistics.null_count)? as u64;
        if self.rows == Some(nulls) {
            return Some(nulls);
        }
        match exact(&statistics.min_value)? {
            // Blanks sort before everything that is printed.
            ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
                (*text.as_bytes().first()? > b' ').then_some(nulls)
            }
            // A UUID has no blank form.
            ScalarValue::FixedSizeBinary(..) => Some(nulls),
            other => other.data_type().is_numeric().then_some(nulls),
        }
    }

    fn column(&self, name: &str) -> Option<&ColumnStatistics> {
        self.columns.iter().find(|(column, _)| column == name).map(|(_, statistics)| statistics)
    }
}

/// The column that an expression is, where it is nothing else.
pub fn plain_column(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(column) => Some(column.name()),
        _ => None,
    }
}

fn exact<T: Clone + std::fmt::Debug + PartialEq + Eq + PartialOrd>(value: &Precision<T>) -> Option<T> {
    match value {
        Precision::Exact(value) => Some(value.clone()),
        _ => None,
    }
}

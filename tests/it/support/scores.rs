//! The output, read back as a reader sees it that knows Parquet and nothing of this crate.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Float64Type};
use customer_health::engine::{InputReport, RunReport};
use customer_health::scorecard::InputName;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// All rows of a Parquet file.
pub fn read_parquet(path: &Path) -> RecordBatch {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let schema = builder.schema().clone();
    let batches: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

/// A finished run: its table and its report.
pub struct Scores {
    pub report: RunReport,
    pub table: RecordBatch,
    rows: BTreeMap<String, usize>,
}

impl Scores {
    /// Reads a table and checks that no customer stands in it twice.
    pub fn read(path: &Path, report: RunReport) -> Self {
        let table = read_parquet(path);
        let ids = table.column_by_name("customer_id").unwrap().as_string::<i32>();
        let rows: BTreeMap<String, usize> =
            ids.iter().enumerate().map(|(row, id)| (id.expect("no id is null").to_owned(), row)).collect();
        assert_eq!(rows.len(), table.num_rows(), "a customer stands in the table twice");
        Self { report, table, rows }
    }

    pub fn ids(&self) -> Vec<&str> {
        self.rows.keys().map(String::as_str).collect()
    }

    pub fn columns(&self) -> Vec<String> {
        self.table.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    #[track_caller]
    pub fn row(&self, id: &str) -> usize {
        *self.rows.get(id).unwrap_or_else(|| panic!("no customer {id} among {:?}", self.ids()))
    }

    #[track_caller]
    fn column(&self, name: &str) -> &dyn Array {
        self.table.column_by_name(name).unwrap_or_else(|| panic!("no column {name} among {:?}", self.columns()))
    }

    #[track_caller]
    pub fn number(&self, id: &str, column: &str) -> Option<f64> {
        let (row, array) = (self.row(id), self.column(column).as_primitive::<Float64Type>());
        array.is_valid(row).then(|| array.value(row))
    }

    #[track_caller]
    pub fn text(&self, id: &str, column: &str) -> Option<String> {
        let (row, array) = (self.row(id), self.column(column).as_string::<i32>());
        array.is_valid(row).then(|| array.value(row).to_owned())
    }

    #[track_caller]
    pub fn flag(&self, id: &str, column: &str) -> bool {
        let (row, array) = (self.row(id), self.column(column).as_boolean());
        assert!(array.is_valid(row));
        array.value(row)
    }

    #[track_caller]
    pub fn health(&self, id: &str) -> f64 {
        self.number(id, "health_score").expect("health_score is never null")
    }

    /// Score of a component.
    #[track_caller]
    pub fn of(&self, id: &str, component: &str) -> f64 {
        self.number(id, &format!("{component}_score")).expect("component scores are never null")
    }

    /// Any value as text, `-` for null.
    #[track_caller]
    pub fn shown(&self, id: &str, column: &str) -> String {
        let array = self.column(column);
        match array.data_type() {
            _ if array.is_null(self.row(id)) => "-".to_owned(),
            DataType::Boolean => self.flag(id, column).to_string(),
            DataType::Float64 => self.number(id, column).unwrap().to_string(),
            _ => self.text(id, column).unwrap(),
        }
    }

    /// All customers' health scores.
    pub fn all(&self) -> BTreeMap<&str, f64> {
        self.rows.keys().map(|id| (id.as_str(), self.health(id))).collect()
    }

    #[track_caller]
    pub fn input(&self, name: InputName) -> &InputReport {
        self.report.inputs.iter().find(|input| input.name == name).expect("the input is in the report")
    }

    /// How many customers lack data for a component.
    #[track_caller]
    pub fn missing(&self, component: &str) -> u64 {
        self.report.components.iter().find(|c| c.name == component).expect("the component is in the report").missing
    }

    /// Rows of an input that do not count, all reasons together.
    pub fn dropped(&self, name: InputName) -> u64 {
        self.input(name).dropped.iter().map(|dropped| dropped.rows).sum()
    }
}

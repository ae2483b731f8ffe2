//! An expression that runs a program.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{AsArray, RecordBatch, StringArray, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Schema};
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;

use super::chain::{Chain, Place};
use super::compile::{Outcome, compile};
use super::machine;
use super::program::Program;

/// A tree of expressions over numbers, and texts that are chosen by them, evaluated in one go.
#[derive(Debug, Eq)]
pub struct Fused {
    leaves: Vec<Arc<dyn PhysicalExpr>>,
    program: Arc<Program>,
    outcome: Outcome,
    /// Named as the tree was written.
    field: FieldRef,
}

impl Fused {
    /// An expression of a chain, fused; `None` where it is none of numbers and conditions, or too simple.
    pub fn of(chain: &Chain<'_>, place: Place<'_>, nullable: bool) -> Option<Self> {
        let compiled = compile(chain, place)?;
        let field = Arc::new(Field::new(chain.text(place), chain.data_type(place)?, nullable));
        let (leaves, program) = (compiled.leaves, Arc::new(compiled.program));
        Some(Self { leaves, program, outcome: compiled.outcome, field })
    }
}

impl PhysicalExpr for Fused {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(self.field.is_nullable())
    }

    fn return_field(&self, _: &Schema) -> Result<FieldRef> {
        Ok(self.field.clone())
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let rows = batch.num_rows();
        let leaves = self.leaves.iter().map(|leaf| leaf.evaluate(batch)?.into_array(rows));
        let leaves = leaves.collect::<Result<Vec<_>>>()?;
        let result = machine::run(&self.program, &leaves, rows, self.outcome != Outcome::Truth)?;
        let Outcome::Text(texts) = &self.outcome else { return Ok(ColumnarValue::Array(result)) };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place among the texts")]
        let places: UInt32Array = result.as_primitive::<Float64Type>().unary(|place| place as u32);
        Ok(ColumnarValue::Array(take(&StringArray::from(texts.clone()), &places, None)?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.leaves.iter().collect()
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self {
            leaves: children,
            program: self.program.clone(),
            outcome: self.outcome.clone(),
            field: self.field.clone(),
        }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

// By hand, as what is derived would move out of the shared expressions.
impl PartialEq for Fused {
    fn eq(&self, other: &Self) -> bool {
        self.program == other.program && self.outcome == other.outcome && self.leaves.iter().eq(&other.leaves)
    }
}

impl Hash for Fused {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.program.hash(state);
        self.outcome.hash(state);
        self.leaves.iter().for_each(|leaf| leaf.hash(state));
    }
}

impl fmt::Display for Fused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fused({})", self.field.name())
    }
}

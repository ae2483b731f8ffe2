//! An expression that runs a program.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;

use super::chain::{Chain, Place};
use super::compile::compile;
use super::machine;
use super::program::Program;

/// A tree of expressions over numbers, evaluated in one go.
#[derive(Debug, Eq)]
pub struct Fused {
    leaves: Vec<Arc<dyn PhysicalExpr>>,
    program: Arc<Program>,
    is_number: bool,
    /// Named as the tree was written.
    field: FieldRef,
}

impl Fused {
    /// An expression of a chain, fused; `None` where it is none of numbers and conditions, or too simple.
    pub fn of(chain: &Chain<'_>, place: Place<'_>, nullable: bool) -> Option<Self> {
        let compiled = compile(chain, place)?;
        let field = Arc::new(Field::new(chain.text(place), chain.data_type(place)?, nullable));
        let (leaves, program) = (compiled.leaves, Arc::new(compiled.program));
        Some(Self { leaves, program, is_number: compiled.is_number, field })
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
        Ok(ColumnarValue::Array(machine::run(&self.program, &leaves, rows, self.is_number)?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.leaves.iter().collect()
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self {
            leaves: children,
            program: self.program.clone(),
            is_number: self.is_number,
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
        self.program == other.program && self.leaves.iter().eq(&other.leaves)
    }
}

impl Hash for Fused {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.program.hash(state);
        self.leaves.iter().for_each(|leaf| leaf.hash(state));
    }
}

impl fmt::Display for Fused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fused({})", self.field.name())
    }
}

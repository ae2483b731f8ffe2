//! `btrim` of a text's column, left out for batches in which there is nothing to trim.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::common::ScalarValue;
use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

/// A call of `btrim` with a column of text and characters of one byte each.
#[derive(Debug, Eq)]
pub struct Trimmed {
    call: Arc<dyn PhysicalExpr>,
    column: Arc<dyn PhysicalExpr>,
    blanks: Vec<u8>,
}

impl Trimmed {
    /// The call, where an expression is one of those.
    pub fn of(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Option<Self> {
        let call = expr.downcast_ref::<ScalarFunctionExpr>().filter(|call| call.name() == "btrim")?;
        let [column, blanks] = call.args() else { return None };
        let is_text = column.is::<Column>() && column.data_type(schema).ok()? == DataType::Utf8View;
        let blanks = match blanks.downcast_ref::<Literal>()?.value() {
            ScalarValue::Utf8(Some(blanks)) | ScalarValue::Utf8View(Some(blanks)) if blanks.is_ascii() => blanks,
            _ => return None,
        };
        is_text.then(|| Self { call: expr.clone(), column: column.clone(), blanks: blanks.clone().into_bytes() })
    }

    fn is_trimmed(&self, texts: &ArrayRef) -> bool {
        let Some(texts) = texts.as_string_view_opt() else { return false };
        let blank = |byte: Option<&u8>| byte.is_some_and(|byte| self.blanks.contains(byte));
        let ends = texts.bytes_iter().map(|text| blank(text.first()) || blank(text.last()));
        !ends.fold(false, |any, blank| any | blank)
    }
}

impl PhysicalExpr for Trimmed {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.call.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.call.nullable(schema)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.call.return_field(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let texts = self.column.evaluate(batch)?.into_array(batch.num_rows())?;
        match self.is_trimmed(&texts) {
            true => Ok(ColumnarValue::Array(texts)),
            false => self.call.evaluate(batch),
        }
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.call]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let Some(call) = children.pop() else { return internal_err!("nothing to trim") };
        let column = call.children().first().map(|column| (*column).clone());
        Ok(match column {
            Some(column) => Arc::new(Self { call, column, blanks: self.blanks.clone() }),
            None => call,
        })
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.call.fmt_sql(f)
    }
}

// By hand, as what is derived would move out of the shared expressions.
impl PartialEq for Trimmed {
    fn eq(&self, other: &Self) -> bool {
        self.call.eq(&other.call)
    }
}

impl Hash for Trimmed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.call.hash(state);
    }
}

impl fmt::Display for Trimmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.call)
    }
}

//! An expression over one column of text, evaluated once for each distinct text of a batch.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{HashMap, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr_common::physical_expr::is_volatile;

use super::chain::{Chain, Place, is_plain};
use crate::accel::gather::is_inline;

/// Distinct texts of a batch beyond which they are taken one by one.
const FEW: usize = 64;

/// An expression that depends on a text and nothing else.
#[derive(Debug, Eq)]
pub struct Memo {
    column: Arc<dyn PhysicalExpr>,
    /// Over a batch of that column alone.
    of_text: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
    nullable: bool,
}

impl Memo {
    /// Whether an expression depends on one column of text and nothing else.
    pub fn fits(chain: &Chain<'_>, place: Place<'_>) -> bool {
        let (columns, schema) = (chain.columns(place), chain.schema());
        let is_text = |at: &usize| *schema.field(*at).data_type() == DataType::Utf8View;
        columns.len() == 1 && columns.iter().all(is_text) && !is_plain(place.expr)
    }

    /// The expression over a chain's input, remembering.
    pub fn of(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Arc<dyn PhysicalExpr> {
        let column = collect_columns(expr).into_iter().find(|column| column.index() < schema.fields().len());
        match column.filter(|_| !is_volatile(expr)) {
            Some(column) => Self::over(expr, column, schema).map_or_else(|_| expr.clone(), |memo| Arc::new(memo) as _),
            None => expr.clone(),
        }
    }

    fn over(expr: &Arc<dyn PhysicalExpr>, column: Column, whole: &Schema) -> Result<Self> {
        let alone = |node: Arc<dyn PhysicalExpr>| match node.downcast_ref::<Column>() {
            Some(column) => Ok(Transformed::yes(Arc::new(Column::new(column.name(), 0)) as Arc<dyn PhysicalExpr>)),
            None => Ok(Transformed::no(node)),
        };
        let of_text = expr.clone().transform(alone).data()?;
        let schema = Arc::new(Schema::new(vec![Field::new(column.name(), DataType::Utf8View, true)]));
        Ok(Self { column: Arc::new(column), of_text, schema, nullable: expr.nullable(whole)? })
    }

    fn of_texts(&self, texts: ArrayRef) -> Result<ArrayRef> {
        let rows = texts.len();
        self.of_text.evaluate(&RecordBatch::try_new(self.schema.clone(), vec![texts])?)?.into_array(rows)
    }
}

/// Places of the first of each distinct text, and for each row which of them it is; `None` where they are many, or long.
fn distinct(texts: &ArrayRef) -> Option<(UInt32Array, UInt32Array)> {
    let texts = texts.as_string_view_opt()?;
    let (mut firsts, mut which) = (Vec::new(), Vec::with_capacity(texts.len()));
    let mut known: HashMap<Option<u128>, u32> = HashMap::default();
    // Of texts met lately, one for each number that a text may come to.
    let mut lately = [None; FEW];
    for (row, view) in texts.views().iter().enumerate() {
        let text = texts.is_valid(row).then_some(*view);
        let long = text.is_some_and(|view| !is_inline(view));
        if long {
            return None;
        }
        let lately = &mut lately[text.map_or(0, number)];
        if let Some((seen, at)) = *lately
            && seen == text
        {
            which.push(at);
            continue;
        }
        let next = u32::try_from(firsts.len()).ok()?;
        let at = *known.entry(text).or_insert(next);
        if at == next {
            if firsts.len() == FEW {
                return None;
            }
            firsts.push(u32::try_from(row).ok()?);
        }
        *lately = Some((text, at));
        which.push(at);
    }
    Some((firsts.into(), which.into()))
}

/// A number below [`FEW`] that few texts share.
fn number(view: u128) -> usize {
    #[allow(clippy::cast_possible_truncation, reason = "both halves, and then the upper bits of a word")]
    let mixed = (view as u64 ^ (view >> 64) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> (u64::BITS - FEW.ilog2())) as usize
}

impl PhysicalExpr for Memo {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        self.of_text.data_type(&self.schema)
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(self.nullable)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let texts = self.column.evaluate(batch)?.into_array(batch.num_rows())?;
        let values = match distinct(&texts) {
            Some((firsts, which)) => take(&self.of_texts(take(&texts, &firsts, None)?)?, &which, None)?,
            None => self.of_texts(texts)?,
        };
        Ok(ColumnarValue::Array(values))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.column]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match (children.pop(), children.pop()) {
            (Some(column), None) => {
                let (of_text, schema) = (self.of_text.clone(), self.schema.clone());
                Ok(Arc::new(Self { column, of_text, schema, nullable: self.nullable }))
            }
            _ => internal_err!("a memo has one column"),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.of_text.fmt_sql(f)
    }
}

// By hand, as what is derived would move out of the shared expressions.
impl PartialEq for Memo {
    fn eq(&self, other: &Self) -> bool {
        self.column.eq(&other.column) && self.of_text.eq(&other.of_text)
    }
}

impl Hash for Memo {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.column.hash(state);
        self.of_text.hash(state);
    }
}

impl fmt::Display for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.of_text)
    }
}

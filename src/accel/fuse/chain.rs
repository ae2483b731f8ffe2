//! Projections one above the other, seen as one: what a column of the upper ones is made from.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::projection::ProjectionExpr;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;

type Expr = Arc<dyn PhysicalExpr>;

/// Projections from the top down.
pub struct Chain<'a> {
    levels: Vec<&'a ProjectionExec>,
    /// Schema of each projection's input.
    schemas: Vec<SchemaRef>,
}

/// An expression of one of a chain's projections, or of none where it stands below all of them.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// What is computed.
    pub expr: &'a Expr,
    /// Number of the projection whose input it reads.
    pub level: usize,
}

impl<'a> Chain<'a> {
    /// The projection and those right below it whose work is done for one of its expressions only, so that no work is done
    /// twice when they are one.
    pub fn below(top: &'a ProjectionExec) -> Self {
        let mut levels = vec![top];
        let mut readers: Vec<BTreeSet<usize>> = (0..top.expr().len()).map(|at| BTreeSet::from([at])).collect();
        let mut last = top;
        while let Some(next) = last.input().downcast_ref::<ProjectionExec>() {
            let mut below = vec![BTreeSet::new(); next.expr().len()];
            for (expr, readers) in last.expr().iter().zip(&readers) {
                collect_columns(&expr.expr).iter().for_each(|column| below[column.index()].extend(readers));
            }
            let shared =
                |(expr, readers): (&ProjectionExpr, &BTreeSet<usize>)| !is_plain(&expr.expr) && readers.len() > 1;
            if next.expr().iter().zip(&below).any(shared) {
                break;
            }
            levels.push(next);
            (last, readers) = (next, below);
        }
        let schemas = levels.iter().map(|level| level.input().schema()).collect();
        Self { levels, schemas }
    }

    /// Number of projections.
    pub fn len(&self) -> usize {
        self.levels.len()
    }

    /// Leaves the lowest projection out.
    pub fn shorten(&mut self) {
        self.levels.pop();
        self.schemas.pop();
    }

    /// The top projection's expressions.
    pub fn exprs(&self) -> &'a [ProjectionExpr] {
        self.levels.first().map_or(&[], |top| top.expr())
    }

    /// What the lowest projection reads.
    pub fn input(&self) -> Option<&'a Arc<dyn ExecutionPlan>> {
        self.levels.last().map(|lowest| lowest.input())
    }

    /// Schema of what the lowest projection reads.
    pub fn schema(&self) -> &SchemaRef {
        &self.schemas[self.schemas.len() - 1]
    }

    /// Type of an expression.
    pub fn data_type(&self, place: Place<'_>) -> Option<DataType> {
        place.expr.data_type(&self.schemas[place.level]).ok()
    }

    /// What stands behind a column, or a column that is handed on, down to the lowest projection's input.
    pub fn behind(&self, mut place: Place<'a>) -> Place<'a> {
        while let Some(column) = place.expr.downcast_ref::<Column>() {
            let Some(next) = self.levels.get(place.level + 1) else { break };
            place = Place { expr: &next.expr()[column.index()].expr, level: place.level + 1 };
        }
        place
    }

    /// Columns of the lowest projection's input that an expression depends on.
    pub fn columns(&self, place: Place<'_>) -> BTreeSet<usize> {
        let mut columns: BTreeSet<usize> = collect_columns(place.expr).iter().map(Column::index).collect();
        for level in &self.levels[place.level + 1..] {
            let exprs = columns.iter().map(|column| &level.expr()[*column].expr);
            columns = exprs.flat_map(|expr| collect_columns(expr).into_iter().map(|column| column.index())).collect();
        }
        columns
    }

    /// The expression over the lowest projection's input.
    ///
    /// # Errors
    /// Where an expression cannot be put together, which is a fault of the program.
    pub fn resolved(&self, place: Place<'_>) -> Result<Expr> {
        let mut expr = place.expr.clone();
        for level in &self.levels[place.level + 1..] {
            // From the leaves up, so that what is put in is not looked at again.
            let put = |node: Expr| match node.downcast_ref::<Column>() {
                Some(column) => Ok(Transformed::yes(level.expr()[column.index()].expr.clone())),
                None => Ok(Transformed::no(node)),
            };
            expr = expr.transform_up(put).data()?;
        }
        Ok(expr)
    }

    /// An expression and those that it is made from, as text.
    pub fn text(&self, place: Place<'_>) -> String {
        let mut text = place.expr.to_string();
        let mut columns: BTreeSet<usize> = collect_columns(place.expr).iter().map(Column::index).collect();
        for level in &self.levels[place.level + 1..] {
            let named: Vec<&ProjectionExpr> = columns.iter().map(|column| &level.expr()[*column]).collect();
            for expr in named.iter().filter(|expr| !expr.expr.is::<Column>()) {
                text.push_str(&format!("; {} = {}", expr.alias, expr.expr));
            }
            columns = named
                .iter()
                .flat_map(|expr| collect_columns(&expr.expr).into_iter().map(|column| column.index()))
                .collect();
        }
        text
    }
}

/// Whether there is nothing to compute.
pub fn is_plain(expr: &Expr) -> bool {
    expr.is::<Column>() || expr.is::<Literal>()
}

//! Users' SQL, read against the columns that it may use, typed, and refused with a reason.

use std::fmt::Display;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DFSchemaRef, SchemaError};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::utils::find_aggregate_exprs;
use datafusion::logical_expr::{EmptyRelation, Expr, LogicalPlan, LogicalPlanBuilder, Volatility};

use crate::component::suggest;
use crate::scorecard::Expression;

use super::names::column;

/// What is wrong with an expression, and the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
}

impl Fault {
    fn new(message: impl Into<String>, hint: Option<String>) -> Self {
        Self { message: message.into(), hint }
    }
}

/// An expression with its type.
#[derive(Debug, Clone)]
pub struct Typed {
    /// The expression.
    pub expr: Expr,
    /// Its type.
    pub data_type: DataType,
    /// Whether it is one value per customer rather than one per row.
    pub is_aggregate: bool,
}

/// Columns that an expression may use, and what they stand for.
pub struct Scope<'a> {
    /// Knows SQL's functions.
    pub state: &'a SessionState,
    /// The columns.
    pub columns: DFSchemaRef,
    /// Columns that are replaced by an expression.
    pub stand_ins: Vec<(Column, Expr)>,
    /// Whose columns they are, for messages: ``input `usage` ``.
    pub owner: String,
    /// What they are, for messages: `column` or `field`.
    pub noun: &'static str,
}

impl Scope<'_> {
    /// Reads a value.
    ///
    /// # Errors
    /// What is wrong, in words for whoever wrote it.
    pub fn value(&self, sql: &Expression) -> Result<Typed, Fault> {
        let expr = self.state.create_logical_expr(&sql.0, &self.columns).map_err(|e| self.fault(e))?;
        refuse(&expr)?;
        let data_type = self.data_type(&expr)?;
        let is_aggregate = !find_aggregate_exprs([&expr]).is_empty();
        let expr = self.stand_in(expr).map_err(|e| self.fault(e))?;
        Ok(Typed { expr, data_type, is_aggregate })
    }

    /// Reads a condition over single rows.
    ///
    /// # Errors
    /// What is wrong, in words for whoever wrote it.
    pub fn condition(&self, sql: &Expression) -> Result<Expr, Fault> {
        let typed = self.value(sql)?;
        if typed.is_aggregate {
            return Err(Fault::new(
                "an aggregate cannot decide about single rows",
                Some("put it under `fields:`".into()),
            ));
        }
        match typed.data_type {
            DataType::Boolean | DataType::Null => Ok(typed.expr),
            other => {
                let hint = "compare it with something, such as `x > 0`".to_owned();
                Err(Fault::new(
                    format!("expected a condition that is true or false, found a value of type {other}"),
                    Some(hint),
                ))
            }
        }
    }

    fn stand_in(&self, expr: Expr) -> Result<Expr> {
        let replaced = expr.transform(|part| {
            let stand_in = match &part {
                Expr::Column(name) => self.stand_ins.iter().find(|(column, _)| column == name),
                _ => None,
            };
            Ok(match stand_in {
                Some((_, expr)) => Transformed::yes(expr.clone()),
                None => Transformed::no(part),
            })
        })?;
        Ok(replaced.data)
    }

    /// Type of an expression, found as the engine would: by planning it over an empty table.
    fn data_type(&self, expr: &Expr) -> Result<DataType, Fault> {
        let empty = EmptyRelation { produce_one_row: false, schema: self.columns.clone() };
        let plan = LogicalPlanBuilder::from(LogicalPlan::EmptyRelation(empty));
        let planned = project_aggregated(plan, vec![], vec![expr.clone().alias("value")], &[])
            .and_then(|plan| self.state.analyzer().execute_and_check(plan, self.state.config_options(), |_, _| {}));
        match planned {
            Ok(plan) => Ok(plan.schema().field(0).data_type().clone()),
            Err(error) => Err(self.fault(error)),
        }
    }

    fn fault(&self, error: DataFusionError) -> Fault {
        let (mut unknown, mut root) = (None, error.find_root());
        if let DataFusionError::Diagnostic(_, inner) = root {
            root = inner.find_root();
        }
        if let DataFusionError::SchemaError(inner, _) = root
            && let SchemaError::FieldNotFound { field, .. } = inner.as_ref()
        {
            unknown = Some(field.name().to_owned());
        }
        if let Some(name) = unknown {
            let columns: Vec<&str> = self.columns.fields().iter().map(|f| f.name().as_str()).collect();
            return Fault::new(format!("{} has no {} `{name}`", self.owner, self.noun), suggest(&name, columns));
        }
        Fault::new(plainly(&root.strip_backtrace()), None)
    }
}

/// An engine's message without the engine's own words around it.
fn plainly(message: &dyn Display) -> String {
    let mut text = message.to_string();
    for noise in
        ["Error during planning: ", "SQL error: ", "Schema error: ", "type_coercion\ncaused by\n", "Execution error: "]
    {
        text = text.replace(noise, "");
    }
    let first = text.split("\n\n").next().unwrap_or(&text).replace('\n', " ");
    let mut letters = first.trim().trim_end_matches('.').chars();
    letters.next().map(|c| c.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// Refuses what would make a score depend on more than the customer's own rows.
fn refuse(expr: &Expr) -> Result<(), Fault> {
    let mut fault = None;
    let walked = expr.apply(|part| {
        fault = match part {
            Expr::ScalarFunction(call) if call.func.signature().volatility != Volatility::Immutable => {
                let message = format!(
                    "`{}()` gives another value on every run, so the same input would score differently",
                    call.name()
                );
                Some(Fault::new(message, Some("for the time of the run, use `as_of`".to_owned())))
            }
            Expr::WindowFunction(_) => Some(Fault::new(
                "window functions (`OVER`) are not allowed",
                Some("use an aggregate, such as `max(x)`".to_owned()),
            )),
            Expr::Placeholder(_) | Expr::ScalarVariable(..) => {
                Some(Fault::new("parameters and variables are not allowed", None))
            }
            Expr::Unnest(_) => Some(Fault::new("`unnest` is not allowed: one row must stay one row", None)),
            _ => None,
        };
        Ok(if fault.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    match (walked, fault) {
        (_, Some(fault)) => Err(fault),
        (Err(error), None) => Err(Fault::new(plainly(&error), None)),
        (Ok(_), None) => Ok(()),
    }
}

/// Groups a plan and projects expressions that may have aggregates inside them; without either, it only projects.
///
/// `aggregates` are plain aggregates with a name each; they come behind the group and before the projected ones.
///
/// # Errors
/// Where a column is used outside of an aggregate without being in the group.
pub fn project_aggregated(
    plan: LogicalPlanBuilder,
    group: Vec<Expr>,
    projected: Vec<Expr>,
    aggregates: &[Expr],
) -> Result<LogicalPlan> {
    let inner = find_aggregate_exprs(&projected);
    if inner.is_empty() && aggregates.is_empty() && group.is_empty() {
        return plan.project(projected)?.build();
    }
    let named = inner.iter().enumerate().map(|(at, expr)| expr.clone().alias(format!("aggregate {at}")));
    let kept = group.iter().chain(aggregates).map(|expr| column(expr.schema_name().to_string()));
    let mut outer: Vec<Expr> = kept.collect();
    for expr in projected {
        let replaced = expr.transform_down(|part| {
            Ok(match inner.iter().position(|aggregate| *aggregate == part) {
                Some(at) => Transformed::new(column(format!("aggregate {at}")), true, TreeNodeRecursion::Jump),
                None => Transformed::no(part),
            })
        })?;
        outer.push(replaced.data);
    }
    let all: Vec<Expr> = aggregates.iter().cloned().chain(named).collect();
    plan.aggregate(group, all)?.project(outer)?.build()
}

/// Columns of a table under its name, with `as_of` beside them where the table has no such column.
///
/// # Errors
/// Where two columns have one name.
pub fn columns_of(name: &str, schema: &datafusion::arrow::datatypes::Schema) -> Result<(DFSchema, bool)> {
    let own = DFSchema::try_from_qualified_schema(name, schema)?;
    if schema.fields().iter().any(|field| field.name() == AS_OF) {
        return Ok((own, false));
    }
    let field = datafusion::arrow::datatypes::Field::new(AS_OF, super::clean::instant_type(), false);
    let extra = DFSchema::from_unqualified_fields(vec![field].into(), Default::default())?;
    Ok((own.join(&extra)?, true))
}

/// Name that stands for the run's as-of time in users' SQL.
pub const AS_OF: &str = "as_of";

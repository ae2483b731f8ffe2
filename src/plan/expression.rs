//! Users' SQL, read against the columns that it may use, typed, and refused with a reason.

use std::fmt::Display;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DFSchemaRef, ExprSchema, ScalarValue, SchemaError};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::utils::find_aggregate_exprs;
use datafusion::logical_expr::{EmptyRelation, Expr, LogicalPlan, LogicalPlanBuilder, cast, lit};

use crate::component::{Fault, suggest};
use crate::scorecard::Expression;

use super::input::Window;
use super::names::column;
use super::{distinct, vetted};

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
    /// Columns that have one value in the whole run, beside aggregates too.
    pub constants: Vec<(Column, ScalarValue)>,
    /// Columns that are replaced by an expression over other columns.
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
        let expr = self.read(sql)?;
        if is_aggregate(&expr)
            && let Some(column) = beside_aggregates(&expr)
        {
            let message = format!(
                "`{column}` has a value in each row, and stands beside an aggregate, which has one for each customer"
            );
            return Err(Fault::new(message, Some(format!("aggregate it too, such as `max({column})`"))));
        }
        self.typed(expr)
    }

    /// Reads a condition over single rows.
    ///
    /// # Errors
    /// What is wrong, in words for whoever wrote it.
    pub fn condition(&self, sql: &Expression) -> Result<Expr, Fault> {
        let expr = self.read(sql)?;
        if is_aggregate(&expr) {
            return Err(Fault::new(
                "an aggregate cannot decide about single rows",
                Some("put it under `fields:`".into()),
            ));
        }
        let typed = self.typed(expr)?;
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

    /// The expression, of what is allowed, with constants in place of their names.
    fn read(&self, sql: &Expression) -> Result<Expr, Fault> {
        let expr = self.state.create_logical_expr(&sql.0, &self.columns).map_err(|e| self.fault(e))?;
        vetted::refuse(&expr)?;
        let constant = |name: &Column| {
            let found = self.constants.iter().find(|(column, _)| column == name);
            found.map(|(_, value)| lit(value.clone()))
        };
        replace(expr, constant).map_err(|e| self.fault(e))
    }

    fn typed(&self, expr: Expr) -> Result<Typed, Fault> {
        let (expr, data_type) = self.with_type(expr)?;
        let is_aggregate = is_aggregate(&expr);
        let stand_in = |name: &Column| {
            let found = self.stand_ins.iter().find(|(column, _)| column == name);
            found.map(|(_, expr)| expr.clone())
        };
        let expr = replace(expr, stand_in).map_err(|e| self.fault(e))?;
        Ok(Typed { expr, data_type, is_aggregate })
    }

    /// An expression with its type. A column without a value has no type in a file of text, and some functions want one: it is
    /// then taken for a number, or else for text.
    fn with_type(&self, expr: Expr) -> Result<(Expr, DataType), Fault> {
        let fault = match self.data_type(&expr) {
            Ok(data_type) => return Ok((expr, data_type)),
            Err(fault) => fault,
        };
        let is_bare =
            |name: &Column| self.columns.field_from_column(name).is_ok_and(|field| field.data_type().is_null());
        for taken_for in [DataType::Float64, DataType::Utf8] {
            let typed = |name: &Column| is_bare(name).then(|| cast(Expr::Column(name.clone()), taken_for.clone()));
            let expr = replace(expr.clone(), typed).map_err(|error| self.fault(error))?;
            if let Ok(data_type) = self.data_type(&expr) {
                return Ok((expr, data_type));
            }
        }
        Err(fault)
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

/// An expression with others in place of some of its columns.
fn replace(expr: Expr, by: impl Fn(&Column) -> Option<Expr>) -> Result<Expr> {
    let replaced = expr.transform(|part| {
        Ok(match &part {
            Expr::Column(name) => by(name).map_or_else(|| Transformed::no(part.clone()), Transformed::yes),
            _ => Transformed::no(part),
        })
    })?;
    Ok(replaced.data)
}

fn is_aggregate(expr: &Expr) -> bool {
    !find_aggregate_exprs([expr]).is_empty()
}

/// The first column that is in none of an expression's aggregates.
fn beside_aggregates(expr: &Expr) -> Option<String> {
    let mut found = None;
    let walked = expr.apply(|part| {
        Ok(match part {
            Expr::AggregateFunction(_) => TreeNodeRecursion::Jump,
            Expr::Column(column) => {
                found = Some(column.name.clone());
                TreeNodeRecursion::Stop
            }
            _ => TreeNodeRecursion::Continue,
        })
    });
    walked.ok().and(found)
}

/// An engine's message without the engine's own words around it.
fn plainly(message: &dyn Display) -> String {
    let mut text = message.to_string();
    for noise in
        ["Error during planning: ", "SQL error: ", "Schema error: ", "type_coercion\ncaused by\n", "Execution error: "]
    {
        text = text.replace(noise, "");
    }
    let first = text.split("\n\n").next().unwrap_or(&text).replace(['\n', '\t'], " ");
    let mut letters = first.trim().trim_end_matches('.').chars();
    letters.next().map(|c| c.to_lowercase().chain(letters).collect()).unwrap_or_default()
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
    // An alias in the grouping would hide a `count(DISTINCT x)` from the rule that makes two groupings of it, which can spill:
    // one set for each group takes many times the memory, and none of it is reckoned before it is taken.
    let mut grouped: Vec<Expr> = Vec::new();
    let mut place = |aggregate: &Expr| {
        let bare = aggregate.clone().unalias();
        let own = column(bare.schema_name().to_string());
        if !grouped.contains(&bare) {
            grouped.push(bare);
        }
        own
    };
    let keys = group.iter().map(|expr| column(expr.schema_name().to_string()));
    let named = aggregates.iter().map(|expr| place(expr).alias(expr.schema_name().to_string()));
    let mut outer: Vec<Expr> = keys.chain(named).collect();
    for expr in projected {
        // Inside of another expression the column has no name to be kept.
        let replaced = expr.transform_down(|part| {
            Ok(match inner.contains(&part) {
                true => Transformed::new(place(&part), true, TreeNodeRecursion::Jump),
                false => Transformed::no(part),
            })
        })?;
        outer.push(replaced.data);
    }
    distinct::aggregate(plan, group, grouped)?.project(outer)?.build()
}

/// Columns of a table under its name, with the run's own facts beside them where the table has no such column.
///
/// # Errors
/// Where two columns have one name.
pub fn columns_of(name: &str, schema: &Schema, window: Window) -> Result<(DFSchema, Vec<(Column, ScalarValue)>)> {
    let own = DFSchema::try_from_qualified_schema(name, schema)?;
    let mut facts = facts_of(window);
    facts.retain(|(name, _)| schema.fields().iter().all(|field| field.name() != name));
    let fields: Vec<Field> = facts.iter().map(|(name, value)| Field::new(*name, value.data_type(), false)).collect();
    let extra = DFSchema::from_unqualified_fields(fields.into(), Default::default())?;
    let constants = facts.into_iter().map(|(name, value)| (Column::new_unqualified(name), value)).collect();
    Ok((own.join(&extra)?, constants))
}

/// What users' SQL may name beside columns: the run's as-of time, and the days of its analysis period.
pub fn facts_of(window: Window) -> Vec<(&'static str, ScalarValue)> {
    let as_of = ScalarValue::TimestampMicrosecond(Some(window.as_of.timestamp_micros()), Some("UTC".into()));
    vec![("as_of", as_of), ("period", ScalarValue::Int64(Some(window.days.into())))]
}

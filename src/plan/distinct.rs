//! Aggregates of distinct values by groupings of their own, which keep to a memory limit and go to disk.
//!
//! The engine keeps a set for each customer and each such aggregate, and learns its size only after it was filled: sets of
//! texts took two gigabytes under a limit of 64 MiB. Here the distinct values of each customer are grouped first, and what is
//! left of the aggregate is one over plain rows. Aggregates over different values are computed side by side, over the same
//! rows, and meet again by the customer.

use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::functions_aggregate::min_max::max;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, lit, when};

use super::names::{column, distinct_value, of_set};

/// Aggregates over the same distinct values of the same rows.
struct Set {
    /// What is distinct, all of it together.
    values: Vec<Expr>,
    filter: Option<Expr>,
    aggregates: Vec<Expr>,
}

/// Groups a plan. The columns are called as the engine would call them.
///
/// # Errors
/// Where the plan cannot be built, which is a fault of the program.
pub fn aggregate(plan: LogicalPlanBuilder, group: Vec<Expr>, aggregates: Vec<Expr>) -> Result<LogicalPlanBuilder> {
    let (mut sets, mut plain) = (Vec::<Set>::new(), Vec::new());
    for expr in &aggregates {
        let Some((values, filter)) = distinct(expr) else {
            plain.push(expr.clone());
            continue;
        };
        match sets.iter_mut().find(|set| set.values == values && set.filter == filter) {
            Some(set) => set.aggregates.push(expr.clone()),
            None => sets.push(Set { values, filter, aggregates: vec![expr.clone()] }),
        }
    }
    if group.is_empty() || sets.is_empty() || divided_by_the_engine(&sets, &plain) {
        return plan.aggregate(group, aggregates);
    }
    let keys: Vec<Expr> = group.iter().map(named).collect();
    let whole = plan.clone().aggregate(group.clone(), aggregates.clone())?;
    let nothing =
        whole.schema().fields().iter().skip(group.len()).map(|field| ScalarValue::try_from(field.data_type()));
    let nothing = nothing.collect::<Result<Vec<_>>>()?;
    let branch = |grouped: LogicalPlanBuilder, own: &[Expr]| {
        let columns = aggregates.iter().zip(&nothing).enumerate().map(|(at, (expr, nothing))| {
            let value = if own.contains(expr) { named(expr) } else { lit(nothing.clone()) };
            value.alias(of_set(at))
        });
        grouped.project(keys.iter().cloned().chain(columns))
    };
    // All customers, also those whose rows no filter lets through.
    let mut united = branch(plan.clone().aggregate(group.clone(), plain.clone())?, &plain)?;
    for set in &sets {
        united = united.union(branch(grouped(plan.clone(), &group, &keys, set)?, &set.aggregates)?.build()?)?;
    }
    // Each branch has a customer at most once, so that the largest value is the only one.
    let met = (0..aggregates.len()).map(of_set).map(|name| max(column(&name)).alias(name));
    let met = united.aggregate(keys.clone(), met)?;
    let values = aggregates.iter().enumerate().map(|(at, expr)| {
        let value = column(of_set(at));
        let value = if counts(expr) { when(value.clone().is_null(), lit(0_i64)).otherwise(value)? } else { value };
        Ok(value.alias(expr.schema_name().to_string()))
    });
    met.project(keys.iter().cloned().chain(values.collect::<Result<Vec<_>>>()?))
}

/// The distinct values of a set, and what is made of them.
fn grouped(plan: LogicalPlanBuilder, group: &[Expr], keys: &[Expr], set: &Set) -> Result<LogicalPlanBuilder> {
    let plan = match &set.filter {
        Some(filter) => plan.filter(filter.clone())?,
        None => plan,
    };
    let values = set.values.iter().enumerate().map(|(at, value)| value.clone().alias(distinct_value(at)));
    let plan = plan.aggregate(group.iter().cloned().chain(values), Vec::<Expr>::new())?;
    let over_values = |expr: &Expr| {
        let replaced = expr.clone().transform_down(|part| {
            Ok(match (set.values.iter().position(|value| *value == part), part) {
                (Some(at), _) => Transformed::new(column(distinct_value(at)), true, TreeNodeRecursion::Jump),
                (None, Expr::AggregateFunction(mut call)) => {
                    call.params.distinct = false;
                    call.params.filter = None;
                    Transformed::yes(Expr::AggregateFunction(call))
                }
                (None, part) => Transformed::no(part),
            })
        })?;
        Ok(replaced.data)
    };
    let aggregates = set.aggregates.iter().map(over_values).collect::<Result<Vec<_>>>()?;
    let names = aggregates.iter().zip(&set.aggregates);
    let named: Vec<Expr> = names.map(|(found, wanted)| named(found).alias(wanted.schema_name().to_string())).collect();
    plan.aggregate(keys.to_vec(), aggregates)?.project(keys.iter().cloned().chain(named))
}

/// The column that an expression becomes.
fn named(expr: &Expr) -> Expr {
    column(expr.schema_name().to_string())
}

/// What an aggregate wants distinct, and of which rows; `None` where it wants all rows, or a constant's only value.
fn distinct(expr: &Expr) -> Option<(Vec<Expr>, Option<Expr>)> {
    let Expr::AggregateFunction(AggregateFunction { params, .. }) = expr else { return None };
    let mut values = Vec::new();
    for value in params.args.iter().chain(params.order_by.iter().map(|sort| &sort.expr)) {
        if !matches!(value, Expr::Literal(..)) && !values.contains(value) {
            values.push(value.clone());
        }
    }
    (params.distinct && !values.is_empty()).then(|| (values, params.filter.as_deref().cloned()))
}

/// Whether the engine has a rule that makes two groupings of it, over one reading of the rows.
fn divided_by_the_engine(sets: &[Set], plain: &[Expr]) -> bool {
    let [Set { values, filter: None, aggregates }] = sets else { return false };
    let mut calls = aggregates.iter().chain(plain).filter_map(|expr| match expr {
        Expr::AggregateFunction(call) => Some(call),
        _ => None,
    });
    values.len() == 1
        && calls.all(|call| {
            let simple = call.params.filter.is_none() && call.params.order_by.is_empty();
            let again = ["sum", "min", "max"].contains(&call.func.name());
            simple && call.params.args.len() == 1 && (call.params.distinct || again)
        })
}

/// Whether an aggregate is 0 where there are no rows.
fn counts(expr: &Expr) -> bool {
    matches!(expr, Expr::AggregateFunction(call) if ["count", "regr_count"].contains(&call.func.name()))
}

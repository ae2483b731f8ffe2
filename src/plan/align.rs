//! Which customers an input's table of customers has: those that it has rows of, only those of them that are scored, or others
//! too, of whom it is known to have no rows.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions_aggregate::bit_and_or_xor::bit_or;
use datafusion::functions_aggregate::count::count;
use datafusion::functions_aggregate::min_max::max;
use datafusion::functions_aggregate::sum::sum;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, bitwise_and, cast, lit, when};

use super::bind::{Bound, BoundField, BoundInput};
use super::input::{self, Window};
use super::{clean, names};
use crate::scorecard::{Aggregate, InputName, RangeEnd, Scale};

/// Rows of a key, in a plan that counts them.
const ROWS: &str = "rows of the key";

impl Bound {
    /// Whether an input's customers are others than those that it has rows of.
    pub fn aligns(&self, input: &BoundInput) -> bool {
        !self.beside(input).is_empty()
    }

    /// Whether any input's are.
    pub fn aligns_any(&self) -> bool {
        self.inputs.values().any(|input| self.aligns(input))
    }

    /// The inputs whose customers decide with the input's own which ones it has.
    fn beside(&self, input: &BoundInput) -> Vec<&BoundInput> {
        let others = self.inputs.values().filter(|other| other.name != input.name);
        match self.customers_from {
            Some(from) if from == input.name => Vec::new(),
            Some(from) => others.filter(|other| other.name == from).collect(),
            None if input.without_rows_is_zero => others.collect(),
            None => Vec::new(),
        }
    }

    /// The customers of an input, as [`input::customers`] has them, where [`Bound::aligns`] says so with [`names::PRESENT`]
    /// beside them, which has the input's own bit where it has rows.
    ///
    /// # Errors
    /// Where the plan cannot be built, which is a fault of the program.
    pub fn customers(
        &self,
        input: &BoundInput,
        window: Window,
        texts: impl Fn(&BoundField) -> bool,
    ) -> Result<LogicalPlan> {
        let own = input::customers(input, window, texts)?;
        let beside = self.beside(input);
        if beside.is_empty() {
            return Ok(own);
        }
        let values: Vec<(String, DataType)> = own
            .schema()
            .fields()
            .iter()
            .filter(|field| field.name() != names::CUSTOMER_ID)
            .map(|field| (field.name().clone(), field.data_type().clone()))
            .collect();
        let present = |bits: u8| lit(bits).alias(names::PRESENT);
        let mut columns = vec![names::column(names::CUSTOMER_ID)];
        columns.extend(values.iter().map(|(name, _)| names::column(name)));
        columns.push(present(names::bit(input.name)));
        let mut all = LogicalPlanBuilder::from(own).project(columns)?;
        for other in beside {
            let mut columns = vec![names::column(names::CUSTOMER_ID)];
            for (name, data_type) in &values {
                columns.push(lit(ScalarValue::try_from(data_type)?).alias(name));
            }
            columns.push(present(names::bit(other.name)));
            all = all.union(LogicalPlanBuilder::from(input::keys(other, window)?).project(columns)?.build()?)?;
        }
        // A customer's other rows have nulls, so that the largest value is the input's own.
        let mut largest: Vec<Expr> = values.iter().map(|(name, _)| max(names::column(name)).alias(name)).collect();
        largest.push(bit_or(names::column(names::PRESENT)).alias(names::PRESENT));
        let has = |name: InputName| bitwise_and(names::column(names::PRESENT), lit(names::bit(name)));
        let mut customers = all.aggregate([names::column(names::CUSTOMER_ID)], largest)?;
        if let Some(from) = self.customers_from {
            customers = customers.filter(has(from).not_eq(lit(0_u8)))?;
        }
        if !input.without_rows_is_zero {
            customers = customers.filter(has(input.name).not_eq(lit(0_u8)))?;
        }
        let zeros = if input.without_rows_is_zero { zeros(input, window)? } else { Vec::new() };
        let mut columns = vec![names::column(names::CUSTOMER_ID)];
        for (name, data_type) in values {
            let value = names::column(&name);
            columns.push(match zeros.iter().find(|(filled, _)| *filled == name) {
                Some((_, zero)) => {
                    when(has(input.name).eq(lit(0_u8)), cast(zero.clone(), data_type)).otherwise(value)?.alias(name)
                }
                None => value,
            });
        }
        columns.push(cast(has(input.name), DataType::UInt8).alias(names::PRESENT));
        customers.project(columns)?.build()
    }

    /// A plan of one row for an input whose customers are not all scored: how many are not, and their rows that would count.
    ///
    /// # Errors
    /// Where the plan cannot be built, which is a fault of the program.
    pub fn strangers(&self, input: &BoundInput, window: Window) -> Result<Option<LogicalPlan>> {
        let Some(from) = self.customers_from.filter(|from| *from != input.name) else { return Ok(None) };
        let Some(known) = self.inputs.get(&from) else { return Ok(None) };
        let keys = |input: &BoundInput, bits: u8, rows: i64| {
            let columns = [names::column(names::CUSTOMER_ID), lit(rows).alias(ROWS), lit(bits).alias(names::PRESENT)];
            LogicalPlanBuilder::from(input::keys(input, window)?).project(columns)?.build()
        };
        let own = names::bit(input.name);
        let all = LogicalPlanBuilder::from(keys(input, own, 1)?).union(keys(known, names::bit(from), 0)?)?;
        let together =
            [sum(names::column(ROWS)).alias(ROWS), bit_or(names::column(names::PRESENT)).alias(names::PRESENT)];
        let strangers = all
            .aggregate([names::column(names::CUSTOMER_ID)], together)?
            .filter(names::column(names::PRESENT).eq(lit(own)))?;
        let counted = [count(lit(1_i64)).alias("customers"), sum(names::column(ROWS)).alias("rows")];
        strangers.aggregate(Vec::<Expr>::new(), counted)?.build().map(Some)
    }
}

/// What the fields of an input say of a customer without rows, where they say something: counts and sums are 0, and a recency
/// is the whole period.
fn zeros(input: &BoundInput, window: Window) -> Result<Vec<(String, Expr)>> {
    let columns = DFSchema::try_from_qualified_schema(input.name.as_str(), &input.table.source.schema())?;
    let mut zeros = Vec::new();
    for field in &input.fields {
        let Some(reading) = field.reading.as_ref().filter(|_| !field.indicator.scale.is_map()) else { continue };
        let days = is_recency(&field.indicator.scale).then(|| lit(f64::from(window.days)));
        let counts = matches!(field.indicator.aggregate, Aggregate::Count | Aggregate::CountDistinct | Aggregate::Sum);
        let zero = match (reading.is_aggregate, days) {
            (true, days) => {
                let nothing = of_no_rows(reading.expr.clone(), &columns)?;
                let Some(number) = clean::number(nothing, &reading.data_type)? else { continue };
                match days {
                    Some(days) => coalesce(vec![number, days]),
                    None => number,
                }
            }
            (false, _) if counts => lit(0.0),
            (false, Some(days)) => days,
            (false, None) => continue,
        };
        zeros.push((names::value(&field.component, &field.indicator), zero));
    }
    Ok(zeros)
}

/// Whether a scale is worst at the length of the period, as one of days since something is.
fn is_recency(scale: &Scale) -> bool {
    matches!(scale, Scale::Range { worst: RangeEnd::Period, .. })
}

/// An expression of aggregates as it is over no rows: counts and sums are 0, others null.
fn of_no_rows(expr: Expr, columns: &DFSchema) -> Result<Expr> {
    let replaced = expr.transform_down(|part| {
        let Expr::AggregateFunction(function) = &part else { return Ok(Transformed::no(part)) };
        let data_type = part.get_type(columns).unwrap_or(DataType::Float64);
        let counts = function.func.name().contains("count") || function.func.name() == "approx_distinct";
        let nothing = match counts || function.func.name() == "sum" {
            true => cast(lit(0_i64), data_type),
            false => lit(ScalarValue::try_from(&data_type)?),
        };
        Ok(Transformed::yes(nothing))
    })?;
    Ok(replaced.data)
}

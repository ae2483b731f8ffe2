//! Scales as expressions: from a customer's value to a score of 0-100, or null.

use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::conditional_expressions::CaseBuilder;
use datafusion::logical_expr::{Expr, cast, lit, when};

use super::population::Statistics;
use super::score::nothing;
use crate::scorecard::{Band, Direction, Indicator, RangeEnd, Scale, ScoreComponent};

/// Score where the two ends of a range are equal, and of a customer who is ranked alone.
const MIDDLE: f64 = 50.0;

/// Score of an indicator's value, which for a mapped indicator is its score already.
///
/// `rank` is the column with the customer's rank where the scale is a percentile.
///
/// # Errors
/// Where the expression cannot be built, which is a fault of the program.
pub fn score(
    component: &ScoreComponent,
    indicator: &Indicator,
    value: Expr,
    rank: Option<Expr>,
    statistics: &Statistics,
    period: u32,
) -> Result<Expr> {
    match &indicator.scale {
        Scale::Range { worst, best } => {
            let end = |end: &RangeEnd| match end {
                RangeEnd::Number(number) => Some(*number),
                RangeEnd::Period => Some(f64::from(period)),
                RangeEnd::Population(statistic) => statistics.value(component, indicator, *statistic),
            };
            match (end(worst), end(best)) {
                (Some(worst), Some(best)) => range(cast(value, DataType::Float64), worst, best),
                // A population of nobody: there is no value to score either.
                _ => Ok(nothing()),
            }
        }
        Scale::Bands(steps) => bands(cast(value, DataType::Float64), steps),
        Scale::Map { .. } => Ok(value),
        Scale::Percentile(_) => {
            let customers = statistics.count(component, indicator);
            let rank = cast(rank.unwrap_or(lit(1_u64)), DataType::Float64);
            let score = if customers > 1 {
                #[allow(clippy::cast_precision_loss, reason = "customers are far fewer than 2^53")]
                let others = (customers - 1) as f64;
                (rank - lit(1.0)) / lit(others) * lit(100.0)
            } else {
                lit(MIDDLE)
            };
            when(value.is_not_null(), score).end()
        }
    }
}

/// Linear from 0 at `worst` to 100 at `best`, clipped.
fn range(value: Expr, worst: f64, best: f64) -> Result<Expr> {
    #[allow(clippy::float_cmp, reason = "equal ends are a case of their own, nearly equal ones are not")]
    if worst == best {
        return when(value.is_not_null(), lit(MIDDLE)).end();
    }
    // Halved, so that ends far apart do not overflow; halving is exact.
    let part = (value.clone() * lit(0.5) - lit(worst * 0.5)) / lit(best * 0.5 - worst * 0.5);
    let (at_worst, at_best) = if best > worst {
        (value.clone().lt_eq(lit(worst)), value.gt_eq(lit(best)))
    } else {
        (value.clone().gt_eq(lit(worst)), value.lt_eq(lit(best)))
    };
    when(at_worst, lit(0.0)).when(at_best, lit(100.0)).otherwise(part * lit(100.0))
}

fn bands(value: Expr, steps: &[Band]) -> Result<Expr> {
    first_match(steps.iter().map(|step| match step.below {
        Some(below) => (value.clone().lt(lit(below)), step.score),
        None => (value.clone().is_not_null(), step.score),
    }))
}

/// Score of trimmed, lower-case text.
///
/// # Errors
/// Where the expression cannot be built, which is a fault of the program.
pub fn map(text: Expr, scores: &[(String, f64)], default: Option<f64>) -> Result<Expr> {
    let known = scores.iter().map(|(known, score)| (text.clone().eq(lit(known.as_str())), *score));
    first_match(known.chain(default.map(|default| (text.clone().is_not_null(), default))))
}

/// 1 for trimmed, lower-case text that is there and that no entry of a map knows, else 0.
///
/// # Errors
/// Where the expression cannot be built, which is a fault of the program.
pub fn unmapped(text: Expr, scores: &[(String, f64)]) -> Result<Expr> {
    let known = scores.iter().map(|(known, _)| lit(known.as_str())).collect();
    when(text.clone().is_not_null().and(text.in_list(known, true)), lit(1.0)).otherwise(lit(0.0))
}

/// The score of the first condition that is true; null where none is.
fn first_match(cases: impl Iterator<Item = (Expr, f64)>) -> Result<Expr> {
    let mut built: Option<CaseBuilder> = None;
    for (condition, score) in cases {
        built = Some(match built {
            Some(mut before) => before.when(condition, lit(score)),
            None => when(condition, lit(score)),
        });
    }
    match built {
        Some(cases) => cases.end(),
        None => Ok(nothing()),
    }
}

/// Order in which a percentile ranks values, worst first, customers without a value last.
pub fn ranking(value: Expr, direction: Direction) -> datafusion::logical_expr::SortExpr {
    value.sort(direction == Direction::HigherIsBetter, false)
}

/// The scale in words, with population statistics resolved.
pub fn describe(component: &ScoreComponent, indicator: &Indicator, statistics: &Statistics, period: u32) -> String {
    let Scale::Range { worst, best } = &indicator.scale else { return indicator.scale.to_string() };
    let end = |end: &RangeEnd| match end {
        RangeEnd::Number(number) => number.to_string(),
        RangeEnd::Period => format!("{period} (period)"),
        RangeEnd::Population(statistic) => match statistics.value(component, indicator, *statistic) {
            Some(value) => format!("{value} ({statistic})"),
            None => statistic.to_string(),
        },
    };
    format!("range [{}, {}]", end(worst), end(best))
}

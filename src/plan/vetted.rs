//! What users' SQL may not contain although it can be parsed: what makes a score depend on more than the customer's own
//! rows, or on the order that they are read in, and what makes something larger than it is given.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction};
use datafusion::logical_expr::{Expr, Operator};

use crate::component::{Fault, functions};

/// Most pieces that an expression puts together, each of which may be a column's longest text.
const MOST_PIECES: usize = 32;

/// Most aggregates of distinct values in an expression, each of which may read the input's rows once more.
const MOST_DISTINCT: usize = 8;

/// Longest pattern, in bytes.
const LONGEST_PATTERN: usize = 200;

/// Times that a pattern may ask for a part of it, all its `{n}` multiplied.
const MOST_REPEATS: u64 = 100;

/// Refuses what is not allowed.
///
/// # Errors
/// The first thing that is not, and the way out.
pub fn refuse(expr: &Expr) -> Result<(), Fault> {
    let (mut fault, mut pieces, mut distinct) = (None, 0, 0);
    let walked = expr.apply(|part| {
        pieces += pieces_of(part);
        distinct += usize::from(matches!(part, Expr::AggregateFunction(call) if call.params.distinct));
        fault = refuse_part(part).err();
        if fault.is_none() && distinct > MOST_DISTINCT {
            let message = format!("more than {MOST_DISTINCT} aggregates of DISTINCT values in one expression");
            fault = Some(Fault::new(message, Some("count some of them in the input".to_owned())));
        }
        if fault.is_none() && pieces > MOST_PIECES {
            let message = format!("more than {MOST_PIECES} pieces are put together to texts and lists");
            fault = Some(Fault::new(message, Some("put them together in the input".to_owned())));
        }
        Ok(if fault.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    match (walked, fault) {
        (_, Some(fault)) => Err(fault),
        (Err(error), None) => Err(Fault::new(error.strip_backtrace(), None)),
        (Ok(_), None) => Ok(()),
    }
}

/// How many texts or values a part of an expression puts together to a longer one.
fn pieces_of(part: &Expr) -> usize {
    match part {
        Expr::ScalarFunction(call) if ["concat", "concat_ws", "make_array"].contains(&call.name()) => call.args.len(),
        Expr::BinaryExpr(binary) if binary.op == Operator::StringConcat => 2,
        _ => 0,
    }
}

fn refuse_part(part: &Expr) -> Result<(), Fault> {
    let refused = |message: &str, hint: &str| Err(Fault::new(message, Some(hint.to_owned())));
    match part {
        Expr::ScalarFunction(call) => {
            // Operators and brackets become functions, too.
            functions::admit(call.name())?;
            refuse_arguments(call)
        }
        Expr::AggregateFunction(call) => {
            functions::admit(call.func.name())?;
            refuse_order(call)?;
            refuse_inner_aggregate(call)
        }
        Expr::BinaryExpr(binary) if is_pattern_match(binary.op) => refuse_pattern(Some(&binary.right)),
        Expr::SimilarTo(like) => refuse_pattern(Some(&like.pattern)),
        Expr::Cast(cast) if cast.field.data_type().is_nested() => refuse_list_type(),
        Expr::TryCast(cast) if cast.field.data_type().is_nested() => refuse_list_type(),
        Expr::WindowFunction(_) => {
            refused("window functions (`OVER`) are not allowed", "use an aggregate, such as `max(x)`")
        }
        Expr::Placeholder(_) | Expr::ScalarVariable(..) => {
            Err(Fault::new("parameters and variables are not allowed", None))
        }
        Expr::Unnest(_) => Err(Fault::new("`unnest` is not allowed: one row must stay one row", None)),
        Expr::HigherOrderFunction(_) | Expr::Lambda(_) | Expr::LambdaVariable(_) => {
            Err(Fault::new("functions of functions are not allowed", None))
        }
        _ => Ok(()),
    }
}

fn refuse_list_type() -> Result<(), Fault> {
    Err(Fault::new("a cast to a list or struct is not allowed", Some("a score needs numbers or text".to_owned())))
}

fn is_pattern_match(op: Operator) -> bool {
    use Operator::{RegexIMatch, RegexMatch, RegexNotIMatch, RegexNotMatch};
    matches!(op, RegexMatch | RegexIMatch | RegexNotMatch | RegexNotIMatch)
}

/// Functions that make text of text: only such as cannot become longer again and again.
fn refuse_arguments(call: &ScalarFunction) -> Result<(), Fault> {
    let argument = |at: usize| call.args.get(at);
    match call.name() {
        "replace" => {
            let shorter = match (argument(1).and_then(literal), argument(2).and_then(literal)) {
                (Some(from), Some(to)) => to.len() <= from.len(),
                _ => false,
            };
            if shorter {
                return Ok(());
            }
            let message = "`replace` takes two texts of which the second is not longer than the first";
            Err(Fault::new(message, Some("as in `replace(x, ',', '.')`; `CASE` chooses between texts".to_owned())))
        }
        "regexp_replace" => {
            refuse_pattern(argument(1))?;
            if argument(2).and_then(literal) == Some("") {
                return Ok(());
            }
            let message = "`regexp_replace` only takes out what matches: its third argument is `''`";
            let hint = "to take a part of a text, write `regexp_match(x, '(pattern)')[1]`".to_owned();
            Err(Fault::new(message, Some(hint)))
        }
        "regexp_count" | "regexp_instr" | "regexp_like" | "regexp_match" => refuse_pattern(argument(1)),
        _ => Ok(()),
    }
}

/// Patterns are compiled, which takes memory and time by their length and their repetitions.
fn refuse_pattern(pattern: Option<&Expr>) -> Result<(), Fault> {
    let Some(pattern) = pattern.and_then(literal) else {
        return Err(Fault::new("a pattern has to be a text in quotes", Some("as in `x ~ '^pro'`".to_owned())));
    };
    let repeats = pattern.split('{').skip(1).map(|rest| {
        let counts = rest.split('}').next().unwrap_or_default();
        counts.split(',').filter_map(|count| count.trim().parse::<u64>().ok()).max().unwrap_or(1).max(1)
    });
    let repeats = repeats.fold(1_u64, u64::saturating_mul);
    if pattern.len() <= LONGEST_PATTERN && repeats <= MOST_REPEATS {
        return Ok(());
    }
    let message = format!("a pattern has at most {LONGEST_PATTERN} bytes and {MOST_REPEATS} repetitions (`{{n}}`)");
    Err(Fault::new(message, Some("use `+` or `*` for repetitions".to_owned())))
}

/// A text in quotes.
fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text), _) => {
            text.as_deref()
        }
        _ => None,
    }
}

/// Of rows that are equal in what they are ordered by, either may come last, unless the value itself decides.
fn refuse_order(call: &AggregateFunction) -> Result<(), Fault> {
    let name = call.func.name();
    if !["first_value", "last_value"].contains(&name) {
        return Ok(());
    }
    let ordered = |value: &Expr| call.params.order_by.iter().any(|sort| sort.expr == *value);
    match call.params.args.first() {
        Some(value) if !ordered(value) => {
            let order = match call.params.order_by.as_slice() {
                [] => "TIME".to_owned(),
                order => order.iter().map(|sort| written(&sort.expr)).collect::<Vec<_>>().join(", "),
            };
            let message = format!("`{name}` depends on the order of rows: which of several is taken must be decided");
            let value = written(value);
            Err(Fault::new(
                message,
                Some(format!("order by the value last: `{name}({value} ORDER BY {order}, {value})`")),
            ))
        }
        _ => Ok(()),
    }
}

fn refuse_inner_aggregate(call: &AggregateFunction) -> Result<(), Fault> {
    let is_aggregate = |part: &Expr| Ok(matches!(part, Expr::AggregateFunction(_)));
    match call.params.args.iter().any(|argument| argument.exists(is_aggregate).unwrap_or(false)) {
        false => Ok(()),
        true => Err(Fault::new(
            format!(
                "`{}` has an aggregate inside, and a customer's rows can be aggregated only once",
                call.func.name()
            ),
            Some("compute the inner one in the input".to_owned()),
        )),
    }
}

/// An expression as its author would write it.
fn written(expr: &Expr) -> String {
    let plain = expr.clone().transform(|part| {
        Ok(match part {
            Expr::Column(column) => Transformed::yes(Expr::Column(Column::new_unqualified(column.name))),
            other => Transformed::no(other),
        })
    });
    plain.map(|plain| plain.data.human_display().to_string()).unwrap_or_default()
}

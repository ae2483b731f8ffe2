//! Text as a point in time, by the format that it is written in.
//!
//! The parts are taken out of the text and put together as RFC 3339 has them, in expressions that every engine has, so that what
//! makes no date becomes null instead of ending the run.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::error::Result;
use datafusion::functions::regex::expr_fn::{regexp_like, regexp_replace};
use datafusion::functions::string::expr_fn::{concat, lower};
use datafusion::functions::unicode::expr_fn::{lpad, strpos};
use datafusion::logical_expr::{Expr, cast, lit, try_cast, when};

use super::clean::instant_type;
use crate::component::{TimeFormat, TimePart};

const MONTHS: &str = "janfebmaraprmayjunjulaugsepoctnovdec";

/// The first year of the last century that two digits stand for.
const LAST_CENTURY: &str = "69";

/// An expression of text as a timestamp in microseconds, UTC; null where the text is not of the format, or is no date.
///
/// # Errors
/// Where the expression cannot be built, which is a fault of the program.
pub fn instant(text: Expr, format: &TimeFormat) -> Result<Expr> {
    if format.parts() == [TimePart::Epoch] {
        let seconds = try_cast(text, DataType::Int64);
        return Ok(cast(cast(seconds, DataType::Timestamp(TimeUnit::Second, Some("UTC".into()))), instant_type()));
    }
    let (pattern, groups) = pattern(format);
    let part = |wanted: TimePart| {
        let place = groups.iter().position(|part| **part == wanted)?;
        Some(regexp_replace(text.clone(), lit(pattern.as_str()), lit(format!("\\{}", place + 1)), None))
    };
    let two = |number: Expr| lpad(vec![number, lit(2_i64), lit("0")]);
    let year = match (part(TimePart::Year), part(TimePart::ShortYear)) {
        (Some(year), _) => year,
        (None, Some(short)) => {
            let century = when(short.clone().gt_eq(lit(LAST_CENTURY)), lit("19")).otherwise(lit("20"))?;
            concat(vec![century, short])
        }
        (None, None) => lit(""),
    };
    let month = match part(TimePart::MonthName) {
        Some(name) => {
            let number = (cast(strpos(lit(MONTHS), lower(name)), DataType::Int64) + lit(2_i64)) / lit(3_i64);
            cast(number, DataType::Utf8)
        }
        None => part(TimePart::Month).unwrap_or(lit("")),
    };
    let hour = match (part(TimePart::Hour12), part(TimePart::Half)) {
        (Some(hour), Some(half)) => {
            let noon = when(lower(half).eq(lit("p")), lit(12_i64)).otherwise(lit(0_i64))?;
            let hour = try_cast(hour, DataType::Int64);
            // No clock of twelve hours has more.
            let hour = when(hour.clone().between(lit(1_i64), lit(12_i64)), hour % lit(12_i64) + noon).end()?;
            cast(hour, DataType::Utf8)
        }
        _ => part(TimePart::Hour).unwrap_or(lit("0")),
    };
    let or_zero = |wanted| two(part(wanted).unwrap_or(lit("0")));
    let fraction = match part(TimePart::Fraction) {
        Some(digits) => concat(vec![lit("."), digits]),
        None => part(TimePart::PointFraction).unwrap_or(lit("")),
    };
    let together = concat(vec![
        year,
        lit("-"),
        two(month),
        lit("-"),
        two(part(TimePart::Day).unwrap_or(lit(""))),
        lit("T"),
        // Joined texts skip nulls: an hour that is none must not become a shorter text that is one.
        when(hour.clone().is_null(), lit("--")).otherwise(two(hour))?,
        lit(":"),
        or_zero(TimePart::Minute),
        lit(":"),
        or_zero(TimePart::Second),
        fraction,
        part(TimePart::Offset).unwrap_or(lit("Z")),
    ]);
    when(regexp_like(text, lit(pattern), None), try_cast(together, instant_type())).end()
}

/// The regular expression of a format, and what its groups hold.
fn pattern(format: &TimeFormat) -> (String, Vec<&TimePart>) {
    let mut pattern = "(?i)^".to_owned();
    for part in format.parts() {
        match part {
            TimePart::Literal(text) => {
                for letter in text.chars() {
                    match letter.is_ascii_alphanumeric() || !letter.is_ascii() {
                        true => pattern.push(letter),
                        false => pattern.extend(['\\', letter]),
                    }
                }
            }
            TimePart::Blanks => pattern.push_str(r"\s+"),
            TimePart::Weekday => pattern.push_str("(?:[a-z]+)"),
            TimePart::Year => pattern.push_str(r"(\d{4})"),
            TimePart::ShortYear => pattern.push_str(r"(\d{2})"),
            TimePart::MonthName => pattern.push_str(
                "(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\
                 (?:uary|ruary|ch|il|e|y|ust|t|tember|ober|ember)?",
            ),
            TimePart::Half => pattern.push_str(r"([ap])\.?m\.?"),
            TimePart::Fraction => pattern.push_str(r"(\d{1,9})"),
            TimePart::PointFraction => pattern.push_str(r"(\.\d{1,9})?"),
            TimePart::Offset => pattern.push_str(r"(z|[+-]\d{2}:?\d{2})"),
            TimePart::Month
            | TimePart::Day
            | TimePart::Hour
            | TimePart::Hour12
            | TimePart::Minute
            | TimePart::Second => pattern.push_str(r"(\d{1,2})"),
            TimePart::Epoch => pattern.push_str(r"(\d+)"),
        }
    }
    pattern.push('$');
    (pattern, format.parts().iter().filter(|part| part.tells()).collect())
}

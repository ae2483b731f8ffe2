//! Raw columns as what they are taken for: a number, a text, an instant.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions::string::expr_fn::{btrim, concat, lower};
use datafusion::logical_expr::{Expr, cast, lit, try_cast, when};

use super::written_time;
use crate::component::TimeFormat;

/// Characters that are trimmed from keys and texts.
const BLANKS: &str = " \t\r\n";

const MICROS_A_DAY: f64 = 86_400_000_000.0;

/// The type behind a dictionary.
pub fn plain(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, value) => plain(value),
        other => other,
    }
}

/// Whether a column holds text.
pub fn is_text(data_type: &DataType) -> bool {
    matches!(plain(data_type), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Whether a column holds true and false.
pub fn is_flag(data_type: &DataType) -> bool {
    matches!(plain(data_type), DataType::Boolean)
}

/// Whether a type is a date or a point in time.
pub fn is_date(data_type: &DataType) -> bool {
    matches!(plain(data_type), DataType::Date32 | DataType::Date64 | DataType::Timestamp(..))
}

/// Time in the resolution that plans work in.
pub fn instant_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// A value as text without blanks around it.
pub(super) fn trimmed(expr: Expr) -> Expr {
    btrim(vec![cast(expr, DataType::Utf8View), lit(BLANKS)])
}

/// A value as a finite Float64 or null, or `None` where the type has no number in it.
///
/// Durations become days, booleans 1 and 0. Dates and timestamps are no numbers: which day they count from is the user's to say.
///
/// # Errors
/// Where the expression cannot be built, which is a fault of the program.
pub fn number(expr: Expr, data_type: &DataType) -> Result<Option<Expr>> {
    let number = |expr| cast(expr, DataType::Float64);
    Ok(Some(match plain(data_type) {
        DataType::Float16 | DataType::Float32 => finite(number(expr))?,
        DataType::Float64 if matches!(data_type, DataType::Float64) => finite(expr)?,
        DataType::Float64 => finite(number(expr))?,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            finite(try_cast(trimmed(expr), DataType::Float64))?
        }
        DataType::Boolean => number(cast(expr, DataType::Int8)),
        DataType::Duration(unit) => {
            let a_day = match unit {
                TimeUnit::Second => 86_400.0,
                TimeUnit::Millisecond => 86_400_000.0,
                TimeUnit::Microsecond => MICROS_A_DAY,
                TimeUnit::Nanosecond => MICROS_A_DAY * 1000.0,
            };
            number(cast(expr, DataType::Int64)) / lit(a_day)
        }
        other if other.is_numeric() || other.is_null() => number(expr),
        _ => return Ok(None),
    }))
}

/// Null in place of NaN and the infinities.
///
/// # Errors
/// Where the expression cannot be built, which is a fault of the program.
pub fn finite(expr: Expr) -> Result<Expr> {
    let above = expr.clone().gt(lit(f64::NEG_INFINITY));
    // In the engine's order NaN stands beyond the infinities.
    when(above.and(expr.clone().lt(lit(f64::INFINITY))), expr).end()
}

/// A value as trimmed, lower-case text, null where blank, or `None` where the type has no text form.
///
/// # Errors
/// Where the expression cannot be built, which is a fault of the program.
pub fn text(expr: Expr, data_type: &DataType) -> Result<Option<Expr>> {
    let plain = plain(data_type);
    if plain.is_nested() || plain.is_binary() {
        return Ok(None);
    }
    let text = lower(trimmed(expr));
    Ok(Some(when(text.clone().not_eq(lit("")), text).end()?))
}

/// A column of dates or times.
#[derive(Debug, Clone)]
pub struct Instant {
    /// As a timestamp in microseconds, UTC.
    pub expr: Expr,
    /// True where something is there that cannot be read as a time; `None` where that cannot be.
    pub unreadable: Option<Expr>,
    column: Expr,
    data_type: DataType,
}

impl Instant {
    /// A column as instants, or `None` where the type has no time in it; text, and numbers that are written like it, by the
    /// format that was given.
    ///
    /// # Errors
    /// Where the expression cannot be built, which is a fault of the program.
    pub fn of(column: Expr, data_type: &DataType, format: Option<&TimeFormat>) -> Result<Option<Self>> {
        let text = trimmed(column.clone());
        let (expr, written) = match (plain(data_type), format) {
            (DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 | DataType::Null, _) => {
                (cast(column.clone(), instant_type()), false)
            }
            (plain, Some(format)) if is_text(plain) || plain.is_integer() => {
                (written_time::instant(cast(text.clone(), DataType::Utf8), format)?, true)
            }
            (plain, None) if is_text(plain) => (instant_of_text(text.clone()), true),
            _ => return Ok(None),
        };
        let unreadable = written.then(|| text.not_eq(lit("")).and(expr.clone().is_null()));
        Ok(Some(Self { expr, unreadable, column, data_type: data_type.clone() }))
    }

    /// The column as it is.
    pub fn column(&self) -> &Expr {
        &self.column
    }

    /// True for instants in `(start, end]`, both in microseconds since 1970.
    ///
    /// Where it can be, the column itself is compared, so that row groups outside are not read: an instant in whole
    /// days, seconds or milliseconds is after `start` exactly when it is after `start` rounded down, and likewise for `end`.
    pub fn within(&self, start: i64, end: i64) -> Expr {
        match (self.literal(start), self.literal(end)) {
            (Some(start), Some(end)) => self.column.clone().gt(lit(start)).and(self.column.clone().lt_eq(lit(end))),
            _ => {
                let micros = |at| lit(ScalarValue::TimestampMicrosecond(Some(at), Some("UTC".into())));
                self.expr.clone().gt(micros(start)).and(self.expr.clone().lt_eq(micros(end)))
            }
        }
    }

    /// Microseconds in the column's own type, rounded down.
    fn literal(&self, micros: i64) -> Option<ScalarValue> {
        Some(match &self.data_type {
            DataType::Date32 => ScalarValue::Date32(i32::try_from(micros.div_euclid(86_400_000_000)).ok()),
            DataType::Timestamp(TimeUnit::Second, zone) => {
                ScalarValue::TimestampSecond(Some(micros.div_euclid(1_000_000)), zone.clone())
            }
            DataType::Timestamp(TimeUnit::Millisecond, zone) => {
                ScalarValue::TimestampMillisecond(Some(micros.div_euclid(1000)), zone.clone())
            }
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                ScalarValue::TimestampMicrosecond(Some(micros), zone.clone())
            }
            DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
                ScalarValue::TimestampNanosecond(Some(micros.checked_mul(1000)?), zone.clone())
            }
            _ => return None,
        })
        .filter(|literal| !literal.is_null())
    }
}

/// Text as an instant; times may stop at the minutes, as spreadsheets and CRMs write them.
fn instant_of_text(text: Expr) -> Expr {
    let with_seconds = concat(vec![text.clone(), lit(":00")]);
    coalesce(vec![try_cast(text, instant_type()), try_cast(with_seconds, instant_type())])
}

/// For text that should be numbers: true where it is there but cannot be read as one.
///
/// # Errors
/// Where the expression cannot be built, which is a fault of the program.
pub fn unparsable(expr: Expr, data_type: &DataType) -> Result<Option<Expr>> {
    if !is_text(data_type) {
        return Ok(None);
    }
    let number = try_cast(trimmed(expr.clone()), DataType::Float64);
    Ok(Some(trimmed(expr).not_eq(lit("")).and(number.is_null())))
}

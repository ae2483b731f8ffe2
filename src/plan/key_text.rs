//! A customer's key as text, in one form whatever type a file has it in.

use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::functions::encoding::expr_fn::encode;
use datafusion::functions::string::expr_fn::{concat, octet_length};
use datafusion::functions::unicode::expr_fn::substring;
use datafusion::logical_expr::{Expr, Operator, binary_expr, cast, lit, not, try_cast, when};

use super::clean::{is_text, plain, trimmed};

/// Bytes of a UUID.
const UUID_BYTES: i32 = 16;

/// A pattern for characters that are in no text but blanks.
const UNPRINTABLE: &str = r"[^\P{Cc}\t\r\n]";

/// Types that a key may have, for messages.
pub const EXPECTED: &str = "text, a whole number or a UUID of 16 bytes, as a customer's id";

/// A key as trimmed text, or `None` where the type cannot be a key.
///
/// # Errors
/// Where the expression cannot be built, which is a fault of the program.
pub fn of(expr: Expr, data_type: &DataType) -> Result<Option<Expr>> {
    let held = plain(data_type);
    let is_whole = |other: &DataType| {
        other.is_integer()
            || matches!(other, DataType::Decimal32(_, 0) | DataType::Decimal64(_, 0) | DataType::Decimal128(_, 0))
    };
    Ok(match held {
        text if is_text(text) => Some(trimmed(expr)),
        other if is_whole(other) || other.is_null() => Some(cast(expr, DataType::Utf8View)),
        DataType::FixedSizeBinary(UUID_BYTES) => Some(uuid(hex(unpacked(expr, data_type)))?),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            Some(text_or_uuid(unpacked(expr, data_type), matches!(data_type, DataType::BinaryView))?)
        }
        _ => None,
    })
}

/// Bytes out of their dictionary, which no function takes them in.
fn unpacked(expr: Expr, data_type: &DataType) -> Expr {
    match data_type {
        DataType::Dictionary(..) => cast(expr, DataType::Binary),
        _ => expr,
    }
}

/// Bytes without a mark of what they are: text that its writer did not mark as such, or UUIDs.
///
/// Sixteen bytes are a UUID where they say so, by its version and variant, or where they cannot be text. Other bytes that are no
/// text fail. In views the place of a null may still hold another row's bytes, which fail too unless they are copied.
fn text_or_uuid(bytes: Expr, viewed: bool) -> Result<Expr> {
    let hex = hex(bytes.clone());
    let digit = |at: i64| substring(hex.clone(), lit(at), lit(1_i64));
    // As RFC 9562 has it. No text of ASCII does: the byte with the variant is not of it.
    let says_so = digit(13).between(lit("1"), lit("8")).and(digit(17).between(lit("8"), lit("b")));
    let text = try_cast(bytes.clone(), DataType::Utf8View);
    let printable = text.clone().is_not_null().and(binary_expr(text, Operator::RegexNotMatch, lit(UNPRINTABLE)));
    let is_uuid = octet_length(hex.clone()).eq(lit(2 * UUID_BYTES)).and(says_so.or(not(printable)));
    let copied = if viewed { cast(bytes, DataType::Binary) } else { bytes };
    when(is_uuid, uuid(hex)?).otherwise(trimmed(copied))
}

/// Bytes in lower-case hexadecimal digits.
fn hex(bytes: Expr) -> Expr {
    cast(encode(bytes, lit("hex")), DataType::Utf8View)
}

/// A UUID's 32 digits in groups of 8-4-4-4-12.
fn uuid(hex: Expr) -> Result<Expr> {
    let mut parts = Vec::new();
    for (from, digits) in [(1_i64, 8_i64), (9, 4), (13, 4), (17, 4), (21, 12)] {
        parts.extend((from > 1).then(|| lit("-")));
        parts.push(substring(hex.clone(), lit(from), lit(digits)));
    }
    // What is not there would become the hyphens alone.
    when(hex.is_not_null(), cast(concat(parts), DataType::Utf8View)).end()
}

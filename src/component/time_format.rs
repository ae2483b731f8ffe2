//! How a column writes times down, in the letters of `strftime`.

use super::problem::Fault;

/// What a place in a format stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimePart {
    /// These characters, and nothing else.
    Literal(String),
    /// Blanks, any number of them.
    Blanks,
    /// A year of four digits.
    Year,
    /// A year of two digits; from 69 on in the last century.
    ShortYear,
    /// A month of one or two digits.
    Month,
    /// An English name of a month, or its first three letters.
    MonthName,
    /// A day of the month of one or two digits.
    Day,
    /// An English name of a weekday, which says nothing that the date does not.
    Weekday,
    /// An hour from 0 to 23.
    Hour,
    /// An hour from 1 to 12, beside [`TimePart::Half`].
    Hour12,
    /// AM or PM.
    Half,
    /// Minutes.
    Minute,
    /// Seconds.
    Second,
    /// Digits behind the seconds.
    Fraction,
    /// A point and digits behind the seconds, or neither.
    PointFraction,
    /// Distance from UTC: `+02:00`, `+0200` or `Z`.
    Offset,
    /// Seconds since 1970.
    Epoch,
}

/// A format that is known to tell a point in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeFormat(Vec<TimePart>);

const KNOWN: &str = "%Y %y %m %b %d %H %I %p %M %S %f %.f %z %s %F %T %R %D %a";

impl TimeFormat {
    /// In the place of a format that is told to be wrong: whether the column goes with the right one nobody knows.
    pub(super) fn unknown() -> Self {
        Self(Vec::new())
    }

    /// Reads a format.
    ///
    /// # Errors
    /// Where a letter is not known, or no date comes of it.
    pub fn new(text: &str) -> Result<Self, Fault> {
        let fault = |message: String, hint: &str| Fault { message, hint: Some(hint.to_owned()) };
        let mut parts = Vec::new();
        let mut letters = text.trim().chars();
        while let Some(letter) = letters.next() {
            if letter.is_whitespace() {
                parts.push(TimePart::Blanks);
                continue;
            }
            if letter != '%' {
                literal(&mut parts, letter);
                continue;
            }
            match letters.next() {
                Some('Y') => parts.push(TimePart::Year),
                Some('y') => parts.push(TimePart::ShortYear),
                Some('m') => parts.push(TimePart::Month),
                Some('b' | 'B' | 'h') => parts.push(TimePart::MonthName),
                Some('d' | 'e') => parts.push(TimePart::Day),
                Some('a' | 'A') => parts.push(TimePart::Weekday),
                Some('H' | 'k') => parts.push(TimePart::Hour),
                Some('I' | 'l') => parts.push(TimePart::Hour12),
                Some('p' | 'P') => parts.push(TimePart::Half),
                Some('M') => parts.push(TimePart::Minute),
                Some('S') => parts.push(TimePart::Second),
                Some('f') => parts.push(TimePart::Fraction),
                Some('z') => parts.push(TimePart::Offset),
                Some('s') => parts.push(TimePart::Epoch),
                Some('.') if letters.clone().next() == Some('f') => {
                    letters.next();
                    parts.push(TimePart::PointFraction);
                }
                Some('F') => joined(&mut parts, [TimePart::Year, TimePart::Month, TimePart::Day], '-'),
                Some('D') => joined(&mut parts, [TimePart::Month, TimePart::Day, TimePart::ShortYear], '/'),
                Some('T') => joined(&mut parts, [TimePart::Hour, TimePart::Minute, TimePart::Second], ':'),
                Some('R') => joined(&mut parts, [TimePart::Hour, TimePart::Minute], ':'),
                Some('%') => literal(&mut parts, '%'),
                other => {
                    let found = other.map_or("%".to_owned(), |letter| format!("%{letter}"));
                    return Err(fault(
                        format!("`{found}` is not known in a format of times"),
                        &format!("known: {KNOWN}"),
                    ));
                }
            }
        }
        if parts.iter().any(|part| parts.iter().filter(|other| *other == part).count() > 1 && part.tells()) {
            return Err(fault("a part of the time stands twice in the format".to_owned(), "name each part once"));
        }
        let has = |wanted: &[TimePart]| parts.iter().any(|part| wanted.contains(part));
        if parts == [TimePart::Epoch] {
            return Ok(Self(parts));
        }
        if has(&[TimePart::Epoch]) {
            return Err(fault("`%s` is a whole time of its own".to_owned(), "leave out the rest"));
        }
        for (wanted, what) in [
            ([TimePart::Year, TimePart::ShortYear], "year (%Y or %y)"),
            ([TimePart::Month, TimePart::MonthName], "month (%m or %b)"),
            ([TimePart::Day, TimePart::Day], "day (%d)"),
        ] {
            if !has(&wanted) {
                return Err(fault(
                    format!("the format has no {what}"),
                    "write it as the column does, such as '%m/%d/%Y'",
                ));
            }
        }
        if has(&[TimePart::Hour12]) != has(&[TimePart::Half]) {
            return Err(fault("%I and %p go together".to_owned(), "use %H for hours from 0 to 23"));
        }
        Ok(Self(parts))
    }

    /// What the format is made of, in order.
    pub fn parts(&self) -> &[TimePart] {
        &self.0
    }
}

impl TimePart {
    /// Whether the part tells something of the time.
    pub fn tells(&self) -> bool {
        !matches!(self, Self::Literal(_) | Self::Blanks | Self::Weekday)
    }
}

fn literal(parts: &mut Vec<TimePart>, letter: char) {
    match parts.last_mut() {
        Some(TimePart::Literal(text)) => text.push(letter),
        _ => parts.push(TimePart::Literal(letter.to_string())),
    }
}

fn joined<const N: usize>(parts: &mut Vec<TimePart>, several: [TimePart; N], between: char) {
    for (at, part) in several.into_iter().enumerate() {
        if at > 0 {
            literal(parts, between);
        }
        parts.push(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_that_tell_no_point_in_time_are_refused() {
        for (format, told) in [
            ("%m/%d", "no year"),
            ("%Y-%d", "no month"),
            ("%Y-%m", "no day"),
            ("%Y-%m-%d %I:%M", "%I and %p"),
            ("%Y-%m-%d %Q", "`%Q` is not known"),
            ("%Y-%m-%d %", "`%` is not known"),
            ("%Y-%m-%d %d", "twice"),
            ("%s%H", "whole time"),
            ("", "no year"),
        ] {
            let fault = TimeFormat::new(format).unwrap_err();
            assert!(fault.message.contains(told), "{format}: {}", fault.message);
        }
    }

    #[test]
    fn short_forms_are_what_they_stand_for() {
        assert_eq!(TimeFormat::new("%F %T").unwrap(), TimeFormat::new("%Y-%m-%d %H:%M:%S").unwrap());
        assert_eq!(TimeFormat::new(" %D").unwrap(), TimeFormat::new("%m/%d/%y").unwrap());
    }
}

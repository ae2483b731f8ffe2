//! Scales: how one value of a field becomes a score of 0-100.

use std::fmt;

/// A statistic over all customers' values of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Statistic {
    /// Smallest value.
    Min,
    /// Largest value.
    Max,
    /// `pNN`: exact percentile with linear interpolation, 0-100.
    Percentile(u8),
}

impl Statistic {
    /// Reads `min`, `max` or `pNN` (`p0` to `p100`).
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "min" => Some(Self::Min),
            "max" => Some(Self::Max),
            _ => {
                let digits = text.strip_prefix('p')?;
                let plain = (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
                let percent: u8 = digits.parse().ok().filter(|_| plain)?;
                (percent <= 100).then_some(Self::Percentile(percent))
            }
        }
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Min => f.write_str("min"),
            Self::Max => f.write_str("max"),
            Self::Percentile(percent) => write!(f, "p{percent:02}"),
        }
    }
}

/// One end of a [`Scale::Range`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RangeEnd {
    /// A fixed value, in the field's unit.
    Number(f64),
    /// The analysis period, in days.
    Period,
    /// Found in the population, or pinned by `population:`.
    Population(Statistic),
}

impl fmt::Display for RangeEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Period => f.write_str("period"),
            Self::Population(statistic) => statistic.fmt(f),
        }
    }
}

/// One step of [`Scale::Bands`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    /// Values below this fall into the band; `None` takes all that are left.
    pub below: Option<f64>,
    /// Score of the band, 0-100.
    pub score: f64,
}

/// Which end of a percentile ranking is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The largest value scores 100.
    HigherIsBetter,
    /// The smallest value scores 100.
    LowerIsBetter,
}

/// How a value becomes a score of 0-100, or missing.
#[derive(Debug, Clone, PartialEq)]
pub enum Scale {
    /// Linear from 0 at `worst` to 100 at `best`, clipped; 50 where the two are equal.
    Range {
        /// Value that scores 0.
        worst: RangeEnd,
        /// Value that scores 100.
        best: RangeEnd,
    },
    /// The first band whose `below` exceeds the value.
    Bands(Vec<Band>),
    /// Text to score, compared trimmed and case-blind.
    Map {
        /// Trimmed, lower-case text and its score, in the order written.
        scores: Vec<(String, f64)>,
        /// Score of any other text; `None` leaves it missing.
        default: Option<f64>,
    },
    /// (rank - 1) / (n - 1) over the customers that have the field, ties sharing the lowest rank.
    Percentile(Direction),
}

impl Scale {
    /// True for the scale that reads text and scores each row before aggregating.
    pub fn is_map(&self) -> bool {
        matches!(self, Self::Map { .. })
    }

    /// Population statistics that the scale needs, each once.
    pub fn statistics(&self) -> Vec<Statistic> {
        let Self::Range { worst, best } = self else { return Vec::new() };
        let mut found: Vec<Statistic> = [worst, best]
            .into_iter()
            .filter_map(|end| if let RangeEnd::Population(s) = end { Some(*s) } else { None })
            .collect();
        found.dedup();
        found
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { worst, best } => write!(f, "range [{worst}, {best}]"),
            Self::Bands(bands) => {
                f.write_str("bands")?;
                bands.iter().try_for_each(|band| match band.below {
                    Some(below) => write!(f, " <{below}: {},", band.score),
                    None => write!(f, " else {}", band.score),
                })
            }
            Self::Map { scores, default } => {
                f.write_str("map")?;
                scores.iter().try_for_each(|(text, score)| write!(f, " {text}: {score},"))?;
                match default {
                    Some(score) => write!(f, " else {score}"),
                    None => f.write_str(" else missing"),
                }
            }
            Self::Percentile(Direction::HigherIsBetter) => f.write_str("percentile, higher is better"),
            Self::Percentile(Direction::LowerIsBetter) => f.write_str("percentile, lower is better"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_read_and_written_alike() {
        for text in ["min", "max", "p05", "p95", "p100"] {
            assert_eq!(Statistic::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "p", "p101", "p+5", "median", "P05", "p0005"] {
            assert_eq!(Statistic::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_range_names_each_statistic_once() {
        let end = RangeEnd::Population(Statistic::Max);
        assert_eq!(Scale::Range { worst: end, best: end }.statistics(), [Statistic::Max]);
        assert_eq!(Scale::Range { worst: RangeEnd::Period, best: RangeEnd::Number(0.0) }.statistics(), []);
    }
}

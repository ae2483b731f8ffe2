//! Scales as written in YAML to valid scales.

use super::card::Checker;
use super::position::join;
use super::spec::{DirectionSpec, ScaleSpec};
use super::value::RangeEndSpec;
use crate::scorecard::{Band, Direction, RangeEnd, Scale};

/// The scale, with every problem noted.
pub fn build_scale(spec: &ScaleSpec, path: &str, check: &mut Checker<'_>) -> Option<Scale> {
    let given = [spec.range.is_some(), spec.bands.is_some(), spec.map.is_some(), spec.percentile.is_some()];
    if given.iter().filter(|given| **given).count() != 1 {
        check.fault(path, "expected exactly one of `range`, `bands`, `map` and `percentile`", None);
        return None;
    }
    if spec.default.is_some() && spec.map.is_none() {
        check.fault(&join(path, "default"), "`default` goes with `map` only", None);
    }
    if let Some(ends) = &spec.range {
        let &[RangeEndSpec(worst), RangeEndSpec(best)] = ends.as_slice() else {
            let message = format!("expected two ends, `[worst, best]`, found {}", ends.len());
            check.fault(&join(path, "range"), message, None);
            return None;
        };
        for (at, end) in [worst, best].into_iter().enumerate() {
            if let RangeEnd::Number(number) = end {
                check.finite(&format!("{path}.range.{at}"), number);
            }
        }
        return Some(Scale::Range { worst, best });
    }
    if let Some(bands) = &spec.bands {
        let path = join(path, "bands");
        if bands.is_empty() {
            check.fault(&path, "expected at least one band, found none", None);
        }
        for (at, band) in bands.iter().enumerate() {
            let path = format!("{path}.{at}");
            check.score(&join(&path, "score"), band.score);
            let before = at.checked_sub(1).and_then(|before| bands[before].below);
            match (band.below, before) {
                (None, _) if at + 1 < bands.len() => {
                    check.fault(
                        &path,
                        "only the last band may leave out `below`",
                        Some("bands go from lowest to highest"),
                    );
                }
                (Some(below), Some(before)) if below <= before => {
                    let message = format!("expected a number above {before}, found {below}");
                    check.fault(&join(&path, "below"), message, Some("bands go from lowest to highest"));
                }
                (Some(below), _) => drop(check.finite(&join(&path, "below"), below)),
                (None, _) => {}
            }
        }
        return Some(Scale::Bands(bands.iter().map(|b| Band { below: b.below, score: b.score }).collect()));
    }
    if let Some(map) = &spec.map {
        let mut scores: Vec<(String, f64)> = Vec::new();
        for (text, score) in map {
            let at = format!("{path}.map.{}", text.0);
            check.score(&at, *score);
            let text = text.0.trim().to_lowercase();
            if scores.iter().any(|(other, _)| *other == text) {
                check.fault(&at, format!("`{text}` stands here twice: text is compared trimmed and case-blind"), None);
            }
            scores.push((text, *score));
        }
        if let Some(default) = spec.default {
            check.score(&join(path, "default"), default);
        }
        return Some(Scale::Map { scores, default: spec.default });
    }
    spec.percentile.map(|direction| {
        Scale::Percentile(match direction {
            DirectionSpec::HigherIsBetter => Direction::HigherIsBetter,
            DirectionSpec::LowerIsBetter => Direction::LowerIsBetter,
        })
    })
}

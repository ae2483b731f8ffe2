//! Numbers to two digits that add up as they are shown.

/// Parts in hundredths that add up to the hundredths of their sum: each is rounded down, and what is left over goes to those
/// that lost the most.
pub fn hundredths(parts: &[f64], sum: i64) -> Vec<i64> {
    let scaled: Vec<f64> = parts.iter().map(|part| part * 100.0).collect();
    let mut shown: Vec<i64> = scaled.iter().map(|part| part.floor() as i64).collect();
    let left = usize::try_from(sum - shown.iter().sum::<i64>());
    let Some(left) = left.ok().filter(|left| *left <= parts.len()) else {
        // They are not the parts of this sum.
        return scaled.iter().map(|part| part.round() as i64).collect();
    };
    let lost = |at: &usize| scaled[*at] - scaled[*at].floor();
    let mut by_loss: Vec<usize> = (0..parts.len()).collect();
    by_loss.sort_by(|a, b| lost(b).total_cmp(&lost(a)));
    by_loss.into_iter().take(left).for_each(|at| shown[at] += 1);
    shown
}

/// The hundredths of a number as it is shown with two digits.
pub fn of(number: f64) -> i64 {
    // Not by arithmetic, which rounds halves in another way.
    format!("{number:.2}").replace('.', "").parse().unwrap_or(0)
}

/// Hundredths as a number with two digits.
pub fn text(hundredths: i64) -> String {
    let sign = if hundredths < 0 { "-" } else { "" };
    let whole = hundredths.unsigned_abs();
    format!("{sign}{}.{:02}", whole / 100, whole % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_to_what_is_shown_of_their_sum() {
        let shares = [1.0, 2.0, 3.0, 5.0, 7.0, 0.0, 11.0];
        for total in [100.0, 33.333, 0.0, 66.665, 12.345, -20.0 / 3.0, 0.01] {
            for count in 1..=shares.len() {
                let whole: f64 = shares[..count].iter().sum();
                let parts: Vec<f64> = shares[..count].iter().map(|share| total * share / whole).collect();
                let shown = hundredths(&parts, of(parts.iter().sum()));
                assert_eq!(shown.iter().sum::<i64>(), of(parts.iter().sum()), "{parts:?}: {shown:?}");
                for (part, shown) in parts.iter().zip(&shown) {
                    assert!((part * 100.0 - *shown as f64).abs() < 1.0, "{part} is shown as {shown}");
                    assert!(*part != 0.0 || *shown == 0, "nothing is shown as {shown}");
                }
            }
        }
        assert_eq!(hundredths(&[100.0 / 3.0; 3], 10_000), [3334, 3333, 3333]);
        assert_eq!(hundredths(&[30.0, -10.005, -0.0], of(19.995)), [3000, -1000, 0]);
    }

    #[test]
    fn parts_of_another_sum_are_rounded_each_for_itself() {
        assert_eq!(hundredths(&[0.0, 0.0], 2_500), [0, 0]);
        assert_eq!(hundredths(&[1.239], 7), [124]);
        assert_eq!(hundredths(&[], 0), [0; 0]);
    }

    #[test]
    fn hundredths_read_as_numbers() {
        assert_eq!((of(4.375), of(-0.05), of(0.125), of(f64::NAN)), (438, -5, 12, 0));
        assert_eq!(
            (text(438), text(-5), text(0), text(-120)),
            ("4.38".into(), "-0.05".into(), "0.00".into(), "-1.20".into())
        );
    }
}

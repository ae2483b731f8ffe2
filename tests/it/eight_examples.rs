//! The eight examples that anyone would agree with, on the default scorecard: high is above 75, low below 40.

use arrow::array::ArrayRef;

use crate::support::{Folder, batch, flags, floats, ints, texts};

/// Component score of the first customer of a table of one input.
#[track_caller]
fn score<const N: usize>(input: &str, component: &str, columns: [(&str, ArrayRef); N]) -> f64 {
    let folder = Folder::new();
    folder.parquet("t.parquet", &batch(columns));
    folder.score(&format!("inputs: {{{input}: t.parquet}}")).of("it", component)
}

#[track_caller]
fn assert_high(score: f64) {
    assert!(score > 75.0, "expected a high score, found {score}");
}

#[track_caller]
fn assert_low(score: f64) {
    assert!(score < 40.0, "expected a low score, found {score}");
}

#[test]
fn a_daily_login_is_high_engagement() {
    assert_high(score(
        "customer",
        "engagement",
        [
            ("customer_id", texts(["it"])),
            ("last_login_days", ints([0])),
            ("days_since_last_activity", ints([0])),
            ("login_frequency", ints([30])),
            ("active_days", ints([29])),
        ],
    ));
}

#[test]
fn no_login_for_30_days_is_low_engagement() {
    assert_low(score(
        "customer",
        "engagement",
        [
            ("customer_id", texts(["it"])),
            ("last_login_days", ints([30])),
            ("days_since_last_activity", ints([30])),
            ("login_frequency", ints([0])),
            ("active_days", ints([0])),
            ("feature_adoption_rate", floats([0.6])),
        ],
    ));
}

#[test]
fn eight_of_ten_features_daily_is_high_product_usage() {
    assert_high(score(
        "usage",
        "product_usage",
        [
            ("customer_id", texts(["it", "who uses all ten"])),
            ("daily_active_days", ints([30, 30])),
            ("feature_usage_count", ints([8, 10])),
            ("core_feature_usage", ints([80, 100])),
        ],
    ));
}

#[test]
fn one_basic_feature_now_and_then_is_low_product_usage() {
    assert_low(score(
        "usage",
        "product_usage",
        [
            ("customer_id", texts(["it", "another"])),
            ("daily_active_days", ints([2, 25])),
            ("feature_usage_count", ints([1, 8])),
            ("core_feature_usage", ints([3, 60])),
            ("session_count", ints([2, 40])),
        ],
    ));
}

#[test]
fn an_annual_plan_that_auto_renews_is_high_payment_health() {
    assert_high(score(
        "subscription",
        "payment_health",
        [
            ("customer_id", texts(["it"])),
            ("status", texts(["active"])),
            ("billing_interval", texts(["annual"])),
            ("auto_renew", flags([true])),
            ("payment_failures", ints([0])),
            ("days_subscribed", ints([200])),
        ],
    ));
}

#[test]
fn three_failed_payments_are_low_payment_health_whatever_else() {
    assert_low(score(
        "subscription",
        "payment_health",
        [
            ("customer_id", texts(["it"])),
            ("status", texts(["active"])),
            ("billing_interval", texts(["annual"])),
            ("auto_renew", flags([true])),
            ("payment_failures", ints([3])),
            ("days_subscribed", ints([2000])),
            ("recent_downgrades", ints([0])),
        ],
    ));
}

#[test]
fn two_tickets_both_resolved_quickly_are_high_support_health() {
    assert_high(score(
        "support",
        "support_health",
        [
            ("customer_id", texts(["it"])),
            ("ticket_count", ints([2])),
            ("critical_issues", ints([0])),
            ("avg_resolution_hours", floats([3.0])),
            ("avg_open_ticket_age_days", floats([0.0])),
        ],
    ));
}

#[test]
fn five_critical_issues_open_for_30_days_are_low_support_health() {
    assert_low(score(
        "support",
        "support_health",
        [
            ("customer_id", texts(["it"])),
            ("ticket_count", ints([5])),
            ("critical_issues", ints([5])),
            ("avg_open_ticket_age_days", floats([34.0])),
            ("csat_score", floats([5.0])),
        ],
    ));
}

//! What holds for any tables: the engine agrees with the oracle, and scores do not depend on what they should not.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::take;
use arrow::datatypes::Float64Type;
use chrono::DateTime;
use customer_health::scorecard::InputName;
use proptest::prelude::*;

use crate::oracle::{self, Outcome, Tables};
use crate::support::{Cell, Folder, Grid, Kind, Run, Scores, assert_close, batch, floats, texts};

/// 2024-12-31T00:00:00Z in microseconds.
const AS_OF: i64 = 1_735_603_200_000_000;
const DAY: i64 = 86_400_000_000;

const COLUMNS: [(InputName, &[(&str, Kind)]); 4] = [
    (
        InputName::Customer,
        &[
            ("last_login_days", Kind::Number),
            ("recency_days", Kind::Number),
            ("login_count", Kind::Number),
            ("feature_adoption_rate", Kind::Text),
            ("active_days", Kind::Number),
            ("login_frequency_change", Kind::Number),
        ],
    ),
    (
        InputName::Subscription,
        &[
            ("status", Kind::Text),
            ("payment_failures", Kind::Number),
            ("mrr", Kind::Number),
            ("billing_frequency", Kind::Text),
            ("auto_renew", Kind::Flag),
            ("recent_downgrades", Kind::Flag),
        ],
    ),
    (
        InputName::Usage,
        &[
            ("daily_active_days", Kind::Number),
            ("features_used", Kind::Number),
            ("core_feature_usage", Kind::Number),
            ("session_count", Kind::Number),
            ("session_duration_avg", Kind::Number),
        ],
    ),
    (
        InputName::Support,
        &[
            ("ticket_count", Kind::Number),
            ("critical_issues", Kind::Number),
            ("csat_score", Kind::Number),
            ("avg_resolution_hours", Kind::Number),
        ],
    ),
];

/// Keys of a component.yaml beside its inputs, each trying other parts of a scorecard.
const VARIANTS: [&str; 7] = [
    "",
    "missing_component: exclude\nengagement_weight: 3\ncomponents:\n  engagement:\n    indicators:\n      \
     active_days: {scale: {percentile: higher_is_better}}\n      last_login_days: {scale: {percentile: lower_is_better}}",
    "combine: weighted_sum\nsupport_health_weight: -0.2\nmin_health_score: 10\nmax_health_score: 60\n\
     churn_risk_threshold: 20\nexpansion_opportunity_threshold: 45\n\
     risk_categories: [{name: Critical, below: 25}, {name: At-Risk, below: 40}, {name: Fine}]",
    "missing_component: 20\ncomponents:\n  product_usage:\n    indicators:\n      session_count: {scale: {range: [p05, p95]}}\n      \
     core_feature_usage: {scale: {range: [max, min]}}\n      session_duration_avg: {scale: {range: [p50, max]}}",
    "components:\n  support_health:\n    caps: [{when: csat_score < 3, at_most: 20}, {when: ticket_count > 9, at_most: 40}]\n    \
     indicators:\n      critical_issues: {aggregate: count}\n      avg_resolution_hours: {aggregate: count_distinct}\n      \
     csat_score: {aggregate: last}\n      ticket_count: {aggregate: min}",
    "components:\n  payment_health:\n    indicators:\n      status: {aggregate: min}\n      billing_interval: {aggregate: max}\n      \
     auto_renew: {aggregate: last}\n      mrr: {aggregate: last, scale: {bands: [{below: 5, score: 10}, {below: 30, score: 90}]}}",
    "calculate_trend: true\ntrend_tolerance: 5\nhistory: history.parquet",
];

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 60, ..ProptestConfig::default() }
}

fn number() -> impl Strategy<Value = Cell> {
    prop_oneof![
        6 => (0..40_i32).prop_map(|n| Cell::Number(f64::from(n))),
        3 => (-50.0..150.0_f64).prop_map(Cell::Number),
        1 => Just(Cell::Number(f64::NAN)),
        1 => prop_oneof![Just(f64::INFINITY), Just(f64::NEG_INFINITY)].prop_map(Cell::Number),
        2 => Just(Cell::Null),
    ]
}

fn cell(name: &str, kind: Kind) -> BoxedStrategy<Cell> {
    let words: &[&str] = match name {
        "feature_adoption_rate" => &["0.5", "1", "0.25", "many", "NaN", ""],
        "billing_frequency" => &["annual", " Monthly", "QUARTERLY", "weekly"],
        _ => &["active", "ACTIVE ", "trialing", "past_due", "canceled", "paused"],
    };
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    match kind {
        Kind::Number => number().boxed(),
        Kind::Text => {
            prop_oneof![5 => proptest::sample::select(words).prop_map(Cell::Text), 1 => Just(Cell::Null)].boxed()
        }
        Kind::Flag => prop_oneof![4 => any::<bool>().prop_map(Cell::Flag), 1 => Just(Cell::Null)].boxed(),
        Kind::Time => (0..40_i64).prop_map(|days| Cell::Time(AS_OF - days * DAY)).boxed(),
    }
}

fn key() -> impl Strategy<Value = Cell> {
    let known = ["a", "b", "c", "d", "e", " a", "d\t ", "  "].map(|key| Cell::Text(key.to_owned()));
    prop_oneof![20 => proptest::sample::select(known.to_vec()), 1 => Just(Cell::Null)]
}

/// Any number of rows of some of an input's columns.
fn grid(columns: &'static [(&'static str, Kind)]) -> impl Strategy<Value = Grid> {
    proptest::sample::subsequence(columns.to_vec(), 1..=columns.len()).prop_flat_map(|chosen| {
        let mut row: Vec<BoxedStrategy<Cell>> = vec![key().boxed(), cell("at", Kind::Time)];
        row.extend(chosen.iter().map(|(name, kind)| cell(name, *kind)));
        let mut columns = vec![("customer_id".to_owned(), Kind::Text), ("at".to_owned(), Kind::Time)];
        columns.extend(chosen.iter().map(|(name, kind)| ((*name).to_owned(), *kind)));
        proptest::collection::vec(row, 0..12).prop_map(move |rows| Grid { columns: columns.clone(), rows })
    })
}

/// One to four inputs.
fn tables() -> impl Strategy<Value = Tables> {
    let all: Vec<BoxedStrategy<(InputName, Grid)>> =
        COLUMNS.iter().map(|(name, columns)| (Just(*name), grid(columns)).boxed()).collect();
    (all, proptest::sample::subsequence((0..4).collect::<Vec<usize>>(), 1..=4)).prop_map(|(all, chosen)| {
        all.into_iter().enumerate().filter(|(at, _)| chosen.contains(at)).map(|(_, table)| table).collect()
    })
}

fn yaml(tables: &Tables, path: impl Fn(InputName) -> String, variant: usize) -> String {
    let mut yaml = String::from("inputs:\n");
    for (name, grid) in tables {
        // `last` asks for a timestamp, which is a window at the same time.
        let last = match variant {
            4 => *name == InputName::Support,
            5 => *name == InputName::Subscription,
            _ => false,
        };
        let timestamp = if last && grid.column("at").is_some() { ", timestamp: at" } else { "" };
        yaml += &format!("  {name}: {{path: {}{timestamp}}}\n", path(*name));
    }
    let mut keys = VARIANTS[variant].to_owned();
    // A changed component whose input is not connected keeps its `last` without harm.
    keys.push('\n');
    yaml + &keys + "include_drivers: true\n"
}

fn run(partitions: usize) -> Run<'static> {
    Run { as_of: DateTime::from_timestamp_micros(AS_OF), partitions: Some(partitions), ..Run::default() }
}

fn write(folder: &Folder, tables: &Tables) {
    for (name, grid) in tables {
        folder.parquet(&format!("{name}.parquet"), &grid.batch());
    }
    let ids = ["a", "b", "nobody"];
    folder
        .parquet("history.parquet", &batch([("customer_id", texts(ids)), ("health_score", floats([45.0, 80.0, 1.0]))]));
}

fn check(scores: &Scores, expected: &Outcome, columns: &[String], neutral: f64) {
    let id = &expected.id;
    let close = |found: f64, wanted: f64, what: &str| assert_close(found, wanted, &format!("{what} of {id}"));
    close(scores.health(id), expected.health, "health_score");
    assert_eq!(scores.text(id, "risk_category").unwrap(), expected.category);
    assert_eq!(scores.flag(id, "is_churn_risk"), expected.churn);
    assert_eq!(scores.flag(id, "is_expansion_opportunity"), expected.expansion);
    for (column, score) in columns.iter().zip(&expected.components) {
        close(scores.number(id, column).unwrap(), score.unwrap_or(neutral), column);
    }
    assert_eq!(scores.text(id, "weakest_factor"), expected.weakest, "weakest_factor of {id}");
    close(scores.number(id, "data_coverage").unwrap(), expected.coverage, "data_coverage");
    if scores.table.column_by_name("trend").is_some() {
        assert_eq!(scores.number(id, "previous_health_score"), expected.previous);
        assert_eq!(scores.text(id, "trend").as_deref(), expected.trend);
    }
    let list = scores.table.column_by_name("drivers").unwrap().as_list::<i32>().value(scores.row(id));
    let list = list.as_struct();
    assert_eq!(list.len(), expected.drivers.len());
    let name = |column: &str, at: usize| list.column_by_name(column).unwrap().as_string::<i32>().value(at).to_owned();
    let number = |column: &str| list.column_by_name(column).unwrap().as_primitive::<Float64Type>();
    let contributions: f64 = number("contribution").iter().flatten().sum();
    close(contributions + expected.neutral, expected.unclipped, "contributions and neutral part");
    for (at, driver) in expected.drivers.iter().enumerate() {
        let what = format!("{}.{}", driver.component, driver.indicator);
        assert_eq!(format!("{}.{}", name("component", at), name("indicator", at)), what);
        assert_eq!(number("score").is_valid(at), driver.score.is_some(), "score of {what} of {id}");
        if let Some(score) = driver.score {
            close(number("score").value(at), score, &what);
        }
        close(number("weight").value(at), driver.weight, &format!("weight of {what}"));
        close(number("contribution").value(at), driver.contribution, &format!("contribution of {what}"));
    }
}

fn same(one: &Scores, other: &Scores) {
    assert_eq!(one.ids(), other.ids());
    for (id, score) in one.all() {
        assert_close(other.health(id), score, id);
        for column in ["risk_category", "weakest_factor"] {
            assert_eq!(one.text(id, column), other.text(id, column), "{column} of {id}");
        }
    }
}

proptest! {
    #![proptest_config(config(28))]

    #[test]
    fn the_engine_agrees_with_the_oracle(
        tables in tables(),
        variant in 0..VARIANTS.len(),
        partitions in 1..4_usize,
        no_accel in any::<bool>(),
    ) {
        let folder = Folder::new();
        write(&folder, &tables);
        let yaml = yaml(&tables, |name| format!("{name}.parquet"), variant);
        let component = folder.component(&yaml);
        let history = BTreeMap::from([("a".to_owned(), 45.0), ("b".to_owned(), 80.0)]);
        let history = if component.history().is_some() { history } else { BTreeMap::new() };
        let expected = oracle::score(&component, &tables, AS_OF, &history);
        let scores = folder.run(&yaml, Run { no_accel, ..run(partitions) });

        let ids: Vec<&str> = expected.iter().map(|outcome| outcome.id.as_str()).collect();
        prop_assert_eq!(scores.ids(), ids);
        let columns: Vec<String> = component.scorecard().components.iter().map(|c| c.column()).collect();
        let neutral = if variant == 3 { 20.0 } else { 50.0 };
        for outcome in &expected {
            check(&scores, outcome, &columns, neutral);
        }
        // Whatever the tables, scores stay in range.
        let card = component.scorecard();
        for (id, score) in scores.all() {
            prop_assert!((card.min_health_score..=card.max_health_score).contains(&score));
            for column in &columns {
                prop_assert!((0.0..=100.0).contains(&scores.number(id, column).unwrap()));
            }
        }
    }
}

fn shuffled(table: &RecordBatch, seed: usize) -> RecordBatch {
    let rows = table.num_rows();
    let mut order: Vec<u32> = (0..rows as u32).collect();
    order.sort_by_key(|row| (*row as usize + 1).wrapping_mul(2_654_435_761 ^ seed) % 1_000_003);
    let order = arrow::array::UInt32Array::from(order);
    let columns = table.columns().iter().map(|column| take(column, &order, None).unwrap()).collect();
    RecordBatch::try_new(table.schema(), columns).unwrap()
}

proptest! {
    #![proptest_config(config(8))]

    #[test]
    fn order_and_partition_of_rows_change_nothing(tables in tables(), variant in 0..VARIANTS.len(), seed in 0..1000_usize) {
        let folder = Folder::new();
        write(&folder, &tables);
        let before = folder.run(&yaml(&tables, |name| format!("{name}.parquet"), variant), run(1));
        for (name, grid) in &tables {
            let table = shuffled(&grid.batch(), seed);
            let cut = table.num_rows() * (seed % 5) / 4;
            folder.parquet_in_groups(&format!("{name}/1.parquet"), &table.slice(0, cut), 2);
            folder.parquet_in_groups(&format!("{name}/2.parquet"), &table.slice(cut, table.num_rows() - cut), 3);
        }
        let after = folder.run(&yaml(&tables, |name| format!("{name}/*.parquet"), variant), run(4));
        same(&before, &after);
    }

    #[test]
    fn scaling_all_weights_changes_nothing(tables in tables(), factor in 0.01..50.0_f64) {
        let folder = Folder::new();
        write(&folder, &tables);
        let inputs = yaml(&tables, |name| format!("{name}.parquet"), 0);
        let weights = |factor: f64| {
            let indicators = [("last_login_days", 0.4), ("active_days", 0.3), ("login_frequency", 0.1)];
            let indicators: String =
                indicators.iter().map(|(name, w)| format!("      {name}: {{weight: {}}}\n", w * factor)).collect();
            format!(
                "engagement_weight: {}\nproduct_usage_weight: {}\npayment_health_weight: {}\nsupport_health_weight: {}\n\
                 components:\n  engagement:\n    indicators:\n      feature_adoption_rate: null\n      \
                 days_since_last_activity: null\n      email_open_rate: null\n      login_frequency_change: null\n{indicators}",
                0.4 * factor, 0.3 * factor, 0.2 * factor, 0.1 * factor,
            )
        };
        let before = folder.run(&format!("{inputs}{}", weights(1.0)), run(2));
        let after = folder.run(&format!("{inputs}{}", weights(factor)), run(2));
        assert_eq!(before.ids(), after.ids());
        // Of categories and drivers nothing is said: a tie may fall either way in the last digit.
        for (id, score) in before.all() {
            assert_close(after.health(id), score, id);
        }
    }

    #[test]
    fn a_better_value_never_lowers_a_score(
        values in proptest::collection::vec((0..4_usize, 0.0..60.0_f64), 1..12),
        which in 0..12_usize,
        more in 0.0..80.0_f64,
        field in proptest::sample::select(vec![
            ("customer", "login_frequency"), ("customer", "active_days"), ("customer", "feature_adoption_rate"),
            ("usage", "core_feature_usage"), ("usage", "session_count"), ("usage", "session_duration_avg"),
            ("subscription", "mrr"), ("subscription", "days_subscribed"), ("support", "csat_score"),
        ]),
    ) {
        let folder = Folder::new();
        let (input, field) = field;
        let keys = ["a", "b", "c", "d"];
        let which = which % values.len();
        let score = |raise: f64| {
            let numbers = values.iter().enumerate().map(|(at, (_, v))| if at == which { v + raise } else { *v });
            folder.parquet("t.parquet", &batch([
                ("customer_id", texts(values.iter().map(|(key, _)| keys[*key]))),
                (field, floats(numbers)),
            ]));
            folder.score(&format!("inputs: {{{input}: t.parquet}}")).health(keys[values[which].0])
        };
        let (before, after) = (score(0.0), score(more));
        prop_assert!(after >= before - 1e-9, "{} fell from {} to {}", field, before, after);
    }
}

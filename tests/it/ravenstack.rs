//! Real tables, raw: the RavenStack sample, scored through the mapping in `examples/ravenstack/`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array};
use arrow::datatypes::{DataType, Date32Type};
use chrono::DateTime;
use customer_health::component::{Component, Recipe};
use customer_health::engine::RunRequest;

use crate::support::{Folder, Scores, batch, block_on, engine, flags, floats, ints, read_parquet, root, silent, texts};

/// 2024-12-31 in days since 1970.
const TODAY: i32 = 20_088;

fn data() -> Option<PathBuf> {
    let folder = match std::env::var_os("RAVENSTACK") {
        Some(folder) => PathBuf::from(folder),
        None => root().join("examples/ravenstack/data"),
    };
    folder.join("accounts.parquet").exists().then_some(folder)
}

/// Accounts with a row whose date lies in `(after, TODAY]`; all accounts where no date is named.
fn accounts(folder: &Path, file: &str, date: Option<&str>, after: i32) -> BTreeSet<String> {
    let table = read_parquet(&folder.join(file));
    let ids = arrow::compute::cast(table.column_by_name("account_id").unwrap(), &DataType::Utf8).unwrap();
    let ids = ids.as_string::<i32>();
    let inside = |row: usize| match date {
        Some(date) => {
            let dates = table.column_by_name(date).unwrap().as_primitive::<Date32Type>();
            dates.is_valid(row) && dates.value(row) > after && dates.value(row) <= TODAY
        }
        None => true,
    };
    (0..table.num_rows()).filter(|row| inside(*row)).map(|row| ids.value(row).to_owned()).collect()
}

fn score(data: &Path, as_of: i32) -> Scores {
    let mut recipe = Recipe::read(&root().join("examples/ravenstack/component.yaml")).unwrap();
    recipe.variables.insert("RAVENSTACK".to_owned(), data.display().to_string());
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.parquet");
    recipe.overrides.output = Some(output.display().to_string());
    let component = Component::new(&recipe).unwrap_or_else(|error| panic!("{error}"));
    let request = RunRequest { as_of: DateTime::from_timestamp(i64::from(as_of) * 86_400, 0), ..RunRequest::new() };
    let report = block_on(engine(None).materialize(&component, &request, &silent()));
    Scores::read(&output, report.unwrap_or_else(|error| panic!("{error}")))
}

fn days<T: Into<Option<i32>>>(values: impl IntoIterator<Item = T>) -> ArrayRef {
    Arc::new(values.into_iter().map(Into::into).collect::<Date32Array>())
}

/// The four tables as the example's README makes them, with two accounts: `a` is busy, `b` has bought for later.
#[test]
fn what_begins_after_the_as_of_time_is_not_known_yet() {
    let folder = Folder::new();
    folder.parquet("accounts.parquet", &batch([("account_id", texts(["a", "b"]))]));
    folder.parquet(
        "subscriptions.parquet",
        &batch([
            ("subscription_id", texts(["1", "2", "3", "4"])),
            ("account_id", texts(["a", "a", "a", "b"])),
            ("start_date", days([TODAY - 400, TODAY - 40, TODAY + 1, TODAY + 1])),
            ("end_date", days([None, None, None, None::<i32>])),
            ("mrr_amount", ints([100, 100, 900, 500])),
            ("is_trial", flags([false, false, true, false])),
            ("downgrade_flag", flags([false, false, false, false])),
            ("billing_frequency", texts(["annual", "annual", "monthly", "monthly"])),
            ("auto_renew_flag", flags([true, true, false, true])),
        ]),
    );
    folder.parquet(
        "feature_usage.parquet",
        &batch([
            ("account_id", texts(["a", "a", "a"])),
            ("usage_date", days([TODAY - 2, TODAY - 1, TODAY + 1])),
            ("feature_name", texts(["f", "f", "g"])),
            ("usage_count", ints([3, 3, 4])),
            ("usage_duration_secs", ints([60, 60, 60])),
            ("is_beta_feature", flags([false, false, false])),
        ]),
    );
    folder.parquet(
        "support_tickets.parquet",
        &batch([
            ("account_id", texts(["a", "a"])),
            ("submitted_at", days([TODAY - 3, TODAY - 5])),
            ("priority", texts(["low", "urgent"])),
            ("satisfaction_score", floats([4.0, 5.0])),
            ("resolution_time_hours", floats([2.0, 3.0])),
        ]),
    );
    let before = score(&folder.path("."), TODAY);
    assert_eq!(before.missing("payment_health"), 1, "`b` has no subscription yet");
    let alone = before.of("a", "payment_health");
    let after = score(&folder.path("."), TODAY + 1);
    assert_eq!(after.missing("payment_health"), 0);
    assert!(after.of("a", "payment_health") != alone, "from its first day on the second subscription counts");
}

#[test]
fn every_account_is_scored_once_and_neutral_only_where_the_data_says_nothing() {
    let Some(data) = data() else {
        println!("skipped: no RavenStack data; examples/ravenstack/README.md says how to get it");
        return;
    };
    let scores = score(&data, TODAY);

    let all = accounts(&data, "accounts.parquet", None, 0);
    let found: BTreeSet<String> = scores.ids().into_iter().map(str::to_owned).collect();
    assert_eq!(all.len(), 500);
    assert_eq!(found, all, "every account once, and no other");

    let silent = |file, date, after| 500 - accounts(&data, file, date, after).len() as u64;
    let no_usage = silent("feature_usage.parquet", Some("usage_date"), TODAY - 90);
    assert!(no_usage > 0, "the sample has accounts without usage in the window");
    assert_eq!(scores.missing("engagement"), no_usage);
    assert_eq!(scores.missing("product_usage"), no_usage);
    assert_eq!(scores.missing("payment_health"), silent("subscriptions.parquet", Some("start_date"), i32::MIN));
    assert_eq!(scores.missing("support_health"), silent("support_tickets.parquet", Some("submitted_at"), 0));

    let summary = scores.report.scores.unwrap();
    assert!(summary.max - summary.min > 25.0, "scores tell accounts apart: {summary:?}");
    assert!(scores.report.warnings.is_empty(), "{:?}", scores.report.warnings);
}

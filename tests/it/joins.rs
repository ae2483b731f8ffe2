//! What joins the inputs is told: the faster operator, or the column for which it cannot be that one.

use customer_health::engine::JoinReport;

use crate::support::{Folder, Run, batch, floats, texts};

const GATHER: Option<&str> = Some("GatherExec");
const AGGREGATE: Option<&str> = Some("AggregateExec");

const TWO_INPUTS: &str =
    "inputs:\n  customer: {path: customer.parquet}\n  subscription: {path: subscription.parquet}\n";

/// Customers and subscriptions, each `times` times.
fn folder(times: usize) -> Folder {
    let folder = Folder::new();
    let ids: Vec<&str> = ["a", "b", "c"].into_iter().cycle().take(3 * times).collect();
    let rows = ids.len();
    folder.parquet(
        "customer.parquet",
        &batch([("customer_id", texts(ids.clone())), ("last_login_days", floats(vec![3.0; rows]))]),
    );
    folder.parquet(
        "subscription.parquet",
        &batch([
            ("customer_id", texts(ids)),
            ("status", texts(vec!["active"; rows])),
            ("mrr", floats(vec![9.0; rows])),
        ]),
    );
    folder
}

fn join(folder: &Folder, yaml: &str, run: Run<'_>) -> JoinReport {
    folder.run(yaml, run).report.join
}

#[test]
fn numbers_are_joined_by_the_faster_operator() {
    for times in [1, 4] {
        let told = join(&folder(times), TWO_INPUTS, Run::default());
        assert_eq!(told, JoinReport { operator: GATHER, unfit_column: None }, "{times} rows each");
    }
}

#[test]
fn a_text_that_is_joined_is_named() {
    let yaml = format!("{TWO_INPUTS}include_drivers: true\n");
    for times in [1, 4] {
        let told = join(&folder(times), &yaml, Run::default());
        assert_eq!(told.operator, AGGREGATE, "{times} rows each");
        assert_eq!(told.unfit_column.as_deref(), Some("payment_health.status low"), "{times} rows each");
    }
}

#[test]
fn without_the_faster_operator_no_column_is_at_fault() {
    let told = join(&folder(1), TWO_INPUTS, Run { no_accel: true, ..Run::default() });
    assert_eq!(told, JoinReport { operator: AGGREGATE, unfit_column: None });
}

#[test]
fn one_input_is_not_joined() {
    let told = join(&folder(1), "inputs:\n  customer: {path: customer.parquet}\n", Run::default());
    assert_eq!(told, JoinReport::default());
}

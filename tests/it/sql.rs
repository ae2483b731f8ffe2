//! Users' SQL: what it may contain, that it means the same whatever the rows are, and what is told where it fails.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{RecordBatch, TimestampMicrosecondArray};
use arrow::compute::take_record_batch;
use customer_health::component::functions;
use customer_health::engine::EngineError;
use customer_health::error::ErrorKind;
use datafusion::logical_expr::Volatility;
use datafusion::prelude::SessionContext;

use crate::support::{
    Folder, Run, assert_close, batch, block_on, engine, floats, ints, root, scorecard, shapes, texts,
};

fn usage() -> RecordBatch {
    let (ids, kinds) = (texts(["a", "b", "c"]), texts(["web", "app", "web"]));
    batch([("customer_id", ids), ("n", ints([1, 2, 4])), ("kind", kinds), ("x", floats([0.5, 1.0, 2.0]))])
}

const CARD: &str = "  product_usage:
    input: usage
    weight: 1
    indicators:
      first: {weight: 1, scale: {range: [0, 10]}, aggregate: max}
      second: {weight: 1, scale: {range: [0, 10]}, aggregate: sum}
      third: {weight: 1, scale: {map: {web: 100, app: 50}}}
";

/// A component over one input with these fields.
fn component(folder: &Folder, fields: &str, more: &str) -> String {
    folder.text("card.yaml", &scorecard(CARD));
    format!("scorecard: ./card.yaml\ninputs:\n  usage:\n    path: u.parquet\n    fields: {{{fields}}}\n{more}")
}

#[test]
fn the_plan_is_the_same_whatever_the_rows_are() {
    let mixed = [
        "first: n, second: sum(n)",
        "first: sum(n), second: n",
        "first: count(*), second: x",
        "first: n, second: \"count(*) FILTER (WHERE kind = 'web')\", third: kind",
        "first: max(n), second: x, third: max(kind)",
        "first: n * 2, second: period - count(*), third: lower(kind)",
        "first: sum(n) / count(x), second: avg(x)",
    ];
    for fields in mixed {
        for more in ["", "include_drivers: true\n"] {
            let mut expected: Option<Vec<f64>> = None;
            for (shape, rows) in shapes(&usage()) {
                let folder = Folder::new();
                folder.parquet("u.parquet", &rows);
                let yaml = component(&folder, fields, more);
                let valid = block_on(engine(None).describe(&folder.component(&yaml)));
                assert!(valid.is_ok(), "{fields} is valid");
                let scores = folder.try_run(&yaml, Run::default());
                let scores = scores.unwrap_or_else(|error| panic!("{fields}, {shape}: {error}"));
                match shape {
                    "no rows" => assert_eq!(scores.table.num_rows(), 0, "{fields}"),
                    "one row" => assert_eq!(scores.ids(), ["a"], "{fields}"),
                    _ => assert_eq!(scores.ids(), ["a", "b", "c"], "{fields}, {shape}"),
                }
                let all = ["a", "b", "c"].map(|id| scores.ids().contains(&id).then(|| scores.health(id)));
                // Who has no second row scores the same beside others that have one.
                match (shape, &expected) {
                    ("one row each", _) => expected = Some(all.iter().map(|score| score.unwrap()).collect()),
                    ("one row", Some(expected)) => assert_close(all[0].unwrap(), expected[0], fields),
                    ("some repeated", Some(expected)) => {
                        assert_close(all[0].unwrap(), expected[0], fields);
                        assert_close(all[2].unwrap(), expected[2], fields);
                    }
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn the_runs_own_facts_stand_beside_aggregates_and_in_caps() {
    let folder = Folder::new();
    folder.text("u.csv", "customer_id,day,n\na,2025-06-16,4\na,2025-06-26,6\nb,2025-06-01,1\n");
    let fields = "first: CAST(as_of AS DATE) - max(day), second: count(*) * 10.0 / period";
    let yaml = component(&folder, fields, "").replace("u.parquet", "u.csv");
    let as_of = Some("2025-07-01T00:00:00Z".parse().unwrap());
    let scored = |yaml: &str| folder.run(yaml, Run { as_of, ..Run::default() });
    let scores = scored(&yaml);
    // 5 days of 10, and 2 * 10 / 30 of 10.
    assert_close(scores.of("a", "product_usage"), (50.0 + 20.0 / 3.0) / 2.0, "a");
    assert_close(scores.of("b", "product_usage"), (100.0 + 10.0 / 3.0) / 2.0, "b");

    let capped = |when: &str| {
        let cap = format!("components: {{product_usage: {{caps: [{{when: \"{when}\", at_most: 7}}]}}}}\n");
        scored(&format!("{yaml}{cap}")).of("b", "product_usage")
    };
    assert_close(capped("first >= period"), 7.0, "30 days of 30");
    assert_close(capped("first > period"), (100.0 + 10.0 / 3.0) / 2.0, "not more than 30");
    assert_close(capped("as_of > TIMESTAMP '2025-06-30' AND first > 20"), 7.0, "as_of in a cap");

    // A column of that name is the column.
    folder.text("u.csv", "customer_id,period,as_of\na,3,4\n");
    let yaml = component(&folder, "first: max(period), second: as_of", "").replace("u.parquet", "u.csv");
    assert_close(scored(&yaml).of("a", "product_usage"), 35.0, "columns");
}

/// The error of a component with these fields.
#[track_caller]
fn error(folder: &Folder, fields: &str, more: &str) -> EngineError {
    match folder.try_run(&component(folder, fields, more), Run::default()) {
        Err(error) => error,
        Ok(_) => panic!("{fields} {more} was scored"),
    }
}

#[test]
fn what_is_not_allowed_is_told_with_its_place_and_the_way_out() {
    let folder = Folder::new();
    folder.parquet("u.parquet", &usage());
    for (sql, told) in [
        ("sum(n) / x", "`x` has a value in each row"),
        ("sum(n) / x", "such as `max(x)`"),
        ("sum(max(n))", "has an aggregate inside"),
        ("first_value(n)", "`first_value(n ORDER BY TIME, n)`"),
        ("last_value(n ORDER BY x)", "`last_value(n ORDER BY x, n)`"),
        ("array_agg(n)[1]", "`array_agg()` is not among the functions"),
        ("nth_value(n, 2 ORDER BY x, n)", "`last_value(x ORDER BY time, x)`"),
        ("length(string_agg(kind, ','))", "`string_agg()` is not among the functions"),
        ("datediff(x, n)", "subtract dates"),
        ("approx_percentile_cont(n, 0.5, 2000000000)", "percentile_cont(0.9)"),
        ("max(length(rpad(kind, 2000000000)))", "`rpad()` is not among the functions"),
        ("levenshtein(kind, 'x')", "`levenshtein()` is not among the functions"),
        ("length(repeat(kind, 9))", "`repeat()` is not among the functions"),
        ("array_length(generate_series(1, n))", "one row has to stay one row"),
        ("length(replace(kind, 'a', 'aaaaaaaa'))", "not longer than the first"),
        ("length(replace(kind, '', 'a'))", "not longer than the first"),
        ("length(replace(kind, 'a', kind))", "not longer than the first"),
        ("length(regexp_replace(kind, '(.)', '\\1\\1', 'g'))", "third argument is `''`"),
        ("length(regexp_match(kind, '(a{50}){50}')[1])", "100 repetitions"),
        (&format!("length(kind{})", " || kind".repeat(40)), "more than 32 pieces"),
        (&format!("0{}", " + count(DISTINCT kind)".repeat(9)), "more than 8 aggregates"),
        ("CASE WHEN kind ~ kind THEN 1 END", "a pattern has to be a text in quotes"),
        ("array_length(CAST(make_array(1) AS INT[2000000000]))", "cast to a list"),
        ("count(*) OVER ()", "window functions"),
        ("CASE WHEN random() > 0.5 THEN n END", "another value on every run"),
        ("current_date - CAST('2024-01-01' AS DATE)", "use `as_of`"),
        ("summ(n)", "did you mean `sum`?"),
    ] {
        let error = error(&folder, &format!("first: \"{}\"", sql.replace('\\', "\\\\")), "");
        let text = error.to_string();
        assert!(text.contains("component.yaml:5:") && text.contains(told), "{sql}: {text}");
        assert_eq!(error.kind(), ErrorKind::InvalidComponent, "{sql}");
    }
    // Wherever there is SQL.
    for (more, place) in [
        ("    where: lpad(kind, 9) = 'x'\n", "component.yaml:6:"),
        (
            "components: {product_usage: {caps: [{when: 'repeat(third, 9) = third', at_most: 7}]}}\n",
            "component.yaml:6:",
        ),
    ] {
        let text = error(&folder, "first: n", more).to_string();
        assert!(text.contains(place) && text.contains("is not among the functions"), "{text}");
    }
    let text = error(&folder, "first: n", "    where: sum(n) > x\n").to_string();
    assert!(text.contains("an aggregate cannot decide about single rows"), "{text}");
}

#[test]
fn what_scores_need_is_allowed() {
    let folder = Folder::new();
    folder.parquet("u.parquet", &usage());
    for sql in [
        "sum(n) FILTER (WHERE kind IN ('web', 'app')) / nullif(count(DISTINCT kind), 0)",
        "round(coalesce(avg(x), 0), 2)",
        "percentile_cont(0.9) WITHIN GROUP (ORDER BY x)",
        "median(n)",
        "last_value(n ORDER BY x, n)",
        "first_value(n ORDER BY kind DESC, n DESC)",
        "regr_slope(n, x)",
        "stddev_samp(n) + var_pop(n) + corr(n, x)",
        "CASE WHEN kind LIKE 'w%' AND kind ~ '^w.b$' THEN ceil(n) ELSE floor(x) END",
        "EXTRACT(DAY FROM as_of) + date_part('month', as_of)",
        "length(replace(substring(kind FROM 1 FOR 2), 'e', 'a')) + position('b' IN kind) + length(trim(kind))",
        "length(regexp_replace(kind || '-1', '[^0-9]', '', 'g'))",
        "CASE WHEN as_of - INTERVAL '7 days' > TIMESTAMP '2020-01-01' THEN power(2, 3) END",
        "array_length(make_array(n, x))",
        "greatest(n, x) + least(n, x) + abs(-n) + sqrt(x) + ln(n) + exp(x)",
    ] {
        let yaml = component(&folder, &format!("first: \"{sql}\""), "");
        assert!(
            folder.try_run(&yaml, Run::default()).is_ok(),
            "{sql}: {:?}",
            folder.try_run(&yaml, Run::default()).err()
        );
    }
}

#[test]
fn nested_sql_is_answered_at_once() {
    let folder = Folder::new();
    folder.parquet("u.parquet", &usage());
    let levels = [
        ("NOT (", ")", "n > 0"),
        ("CAST(", " AS DOUBLE)", "n"),
        ("TRY_CAST(", " AS TEXT)", "kind"),
        ("coalesce(", ", 1)", "n"),
        ("CASE WHEN n > 1 THEN ", " ELSE 0 END", "x"),
        ("(1 + ", ")", "n"),
        ("substring(", " FROM 1)", "kind"),
        ("ceil(", ")", "x"),
        ("-(", ")", "x"),
    ];
    for (open, close, inside) in levels {
        for depth in [4, 8, 12, 24, 45] {
            let began = Instant::now();
            let sql = format!("{}{inside}{}", open.repeat(depth), close.repeat(depth));
            let yaml =
                component(&folder, &format!("first: \"{sql}\""), &format!("    where: \"({sql}) IS NOT NULL\"\n"));
            // Planning it has to be as quick as parsing it.
            if let Ok(component) = folder.try_component(&yaml) {
                let _ = block_on(engine(None).describe(&component));
            }
            assert!(began.elapsed() < Duration::from_secs(5), "{:?} for {depth} times {open}", began.elapsed());
        }
    }
}

#[test]
fn sql_that_fails_on_the_rows_is_told_as_such() {
    let folder = Folder::new();
    folder.parquet(
        "u.parquet",
        &batch([
            ("customer_id", texts(["a", "b", "b"])),
            ("n", ints([1, 2, 3])),
            ("zero", ints([1, 0, 0])),
            ("word", texts(["1", "two", "3"])),
        ]),
    );
    for (fields, more, told) in [
        ("first: n / zero", "", "nullif"),
        ("first: n, second: sum(n) / sum(zero)", "", "nullif"),
        ("second: CAST(word AS INT)", "", "TRY_CAST"),
        ("second: sum(n), first: max(CAST(word AS INT))", "", "TRY_CAST"),
        ("first: n", "    where: n / zero > 0\n", "nullif"),
    ] {
        let error = error(&folder, fields, more);
        let text = error.to_string();
        let line = if more.is_empty() { 5 } else { 6 };
        assert!(text.contains(&format!("component.yaml:{line}:")) && text.contains(told), "{fields} {more}: {text}");
        assert!(text.contains("this SQL fails on the rows") && text.contains("u.parquet"), "{text}");
        assert_eq!(error.kind(), ErrorKind::InvalidComponent);
    }
    // A file that is broken stays one.
    let mut bytes = fs::read(folder.path("u.parquet")).unwrap();
    for byte in &mut bytes[8..60] {
        *byte = 0xff;
    }
    fs::write(folder.path("u.parquet"), bytes).unwrap();
    let error = error(&folder, "first: n + zero", "");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
}

#[test]
fn a_cap_that_fails_on_values_is_the_users_with_its_place() {
    let folder = Folder::new();
    folder.parquet("u.parquet", &batch([("customer_id", texts(["a", "b"])), ("n", ints([1, 0]))]));
    let indicators = "  product_usage:\n    input: usage\n    weight: 1\n    indicators:\n      \
                      n: {weight: 1, scale: {range: [0, 10]}}\n    caps:\n      - {when: n > 5, at_most: 9}\n      \
                      - {when: 1 / CAST(n AS BIGINT) > 0, at_most: 7}\n";
    folder.text("card.yaml", &scorecard(indicators));
    for (more, place) in [
        ("", "card.yaml:15:"),
        (
            "components: {product_usage: {caps: [{when: '1 % CAST(n AS BIGINT) = 0', at_most: 7}]}}\n",
            "component.yaml:3:",
        ),
    ] {
        let yaml = format!("scorecard: card.yaml\ninputs: {{usage: u.parquet}}\n{more}");
        let error = folder.try_run(&yaml, Run::default()).err().expect("it divides by zero");
        let text = error.to_string();
        assert!(text.contains(place) && text.contains("this condition fails") && text.contains("nullif"), "{text}");
        assert_eq!(error.kind(), ErrorKind::InvalidComponent, "{text}");
    }
}

#[test]
fn ties_are_decided_by_the_value_whatever_the_order_of_rows() {
    const ROWS: usize = 3_000;
    // Five rows of a time for each of 100 customers, and their values in no order.
    let ids: Vec<String> = (0..ROWS).map(|row| format!("c{}", row % 100)).collect();
    let times = (0..ROWS).map(|row| 1_750_000_000_000_000 + (row / 500) as i64 * 3_600_000_000);
    let times = TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC");
    let values = (0..ROWS).map(|row| (row * 7919 % 1009) as f64);
    let rows = batch([
        ("customer_id", texts(ids.iter().map(String::as_str))),
        ("at", Arc::new(times)),
        ("n", floats(values)),
        ("kind", texts((0..ROWS).map(|row| if row * 31 % 7 < 3 { "web" } else { "app" }))),
    ]);
    let order = |seed: usize| ints((0..ROWS).map(|row| ((row * seed + seed) % ROWS) as i64));
    let card = CARD.replace("aggregate: max", "aggregate: last").replace("app: 50}}", "app: 50}}, aggregate: last");
    let mut first: Option<Vec<f64>> = None;
    for (seed, partitions, groups) in [(1, 1, ROWS), (7, 2, 97), (1_001, 4, 97), (2_999, 3, 250)] {
        let folder = Folder::new();
        folder.parquet_in_groups("u.parquet", &take_record_batch(&rows, &order(seed)).unwrap(), groups);
        let fields = "first: n, second: \"last_value(n ORDER BY at, n)\", third: kind";
        let yaml = component(&folder, fields, "").replace("    fields", "    timestamp: at\n    fields");
        folder.text("card.yaml", &scorecard(&card.replace("range: [0, 10]", "range: [0, 1009]")));
        let as_of = Some("2025-06-20T00:00:00Z".parse().unwrap());
        let scores = folder.run(&yaml, Run { as_of, partitions: Some(partitions), ..Run::default() });
        let mut all: Vec<(String, f64)> =
            scores.ids().iter().map(|id| ((*id).to_owned(), scores.of(id, "product_usage"))).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let all: Vec<f64> = all.into_iter().map(|(_, score)| score).collect();
        assert_eq!(all.len(), 100);
        match &first {
            None => first = Some(all),
            Some(first) => assert_eq!(&all, first, "{seed}, {partitions}"),
        }
    }
}

#[test]
fn columns_without_a_value_have_no_type_and_fit_all_the_same() {
    let folder = Folder::new();
    let text = "inputs:\n  usage:\n    path: u.csv\n    fields:\n      session_duration_avg: n\n      \
                session_count: sum(n)\n      actions_per_session: avg(length(n))\n      usage_change: max(n) - min(n)\n";
    folder.text("u.csv", "customer_id,n\n");
    assert!(folder.score(text).ids().is_empty());
    folder.text("u.csv", "customer_id,n\na,\nb,\n");
    let scores = folder.score(text);
    assert_eq!((scores.ids(), scores.missing("product_usage")), (vec!["a", "b"], 2));
}

#[test]
fn every_allowed_function_is_there_and_gives_the_same_every_time() {
    let state = SessionContext::new().state();
    // What the parser makes something else of.
    let syntax = ["extract"];
    for name in functions::ALLOWED.iter().flat_map(|(_, names)| names.split_whitespace()) {
        if syntax.contains(&name) {
            continue;
        }
        let (found, volatility) = match (state.scalar_functions().get(name), state.aggregate_functions().get(name)) {
            (Some(scalar), _) => (scalar.name().to_owned(), scalar.signature().volatility),
            (None, Some(aggregate)) => (aggregate.name().to_owned(), aggregate.signature().volatility),
            (None, None) => panic!("there is no function `{name}`"),
        };
        assert_eq!(volatility, Volatility::Immutable, "{name}");
        assert!(functions::is_allowed(&found), "`{name}` is `{found}` to the engine");
    }
}

#[test]
fn the_page_of_functions_is_what_the_code_says() {
    let mut table = String::from("| for | functions |\n|---|---|\n");
    for (kind, names) in functions::ALLOWED {
        let names: Vec<String> = names.split_whitespace().map(|name| format!("`{name}`")).collect();
        table += &format!("| {kind} | {} |\n", names.join(", "));
    }
    let path = root().join("docs/sql.md");
    let page = fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once("<!-- table -->\n").unwrap();
    let (_, tail) = rest.split_once("<!-- end -->\n").unwrap();
    let fresh = format!("{head}<!-- table -->\n{table}<!-- end -->\n{tail}");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &fresh).unwrap();
    }
    let current = fs::read_to_string(&path).unwrap() == fresh;
    assert!(current, "docs/sql.md is out of date\nhint: UPDATE_GOLDEN=1 cargo test --test it sql");
}

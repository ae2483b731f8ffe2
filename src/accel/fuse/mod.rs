//! Expressions evaluated faster, with the results they have anyway: what a session of this process does to its plans.
//!
//! A scorecard's arithmetic is a tree of some hundred small expressions over numbers, which the engine evaluates one by one,
//! each into an array as long as a batch. [`rule::Fusing`] makes one expression of such a tree ([`compile`], [`program`]),
//! which goes through the batch in blocks that stay in a processor's nearest cache ([`lane`], [`machine`]). It merges
//! projections that hand columns to one another first, evaluates what depends on a text alone once for each distinct text
//! ([`memo`]), and trims keys only where there is something to trim ([`trim`]).
//!
//! Nothing here knows of scorecards, and the logical plan stays one that any engine can run.

mod chain;
mod compile;
mod expr;
mod lane;
mod machine;
mod memo;
mod program;
mod rule;
mod total;
mod trim;

pub use rule::Fusing;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int32Array, RecordBatch, StringViewArray};
    use datafusion::arrow::compute::cast;
    use datafusion::arrow::datatypes::DataType;
    use datafusion::catalog::MemTable;
    use datafusion::physical_plan::{collect, displayable};
    use datafusion::prelude::{SessionConfig, SessionContext};
    use proptest::prelude::*;
    use proptest::test_runner::TestCaseError;

    use super::*;
    use crate::engine::session;

    /// Which of the numbers `a` and `b` are, `i`, and which of the texts `t` is.
    type Row = (Option<usize>, Option<usize>, Option<i32>, Option<usize>);

    const NUMBERS: [f64; 9] = [0.0, -0.0, 1.0, -2.5, 100.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e-300];

    /// Conditions over the columns `a`, `b` (numbers), `i` (whole numbers) and `t` (text).
    fn condition() -> impl Strategy<Value = String> {
        let simple = prop_oneof![
            (number(), prop::sample::select(vec!["<", "<=", ">", ">=", "=", "<>"]), number())
                .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            number().prop_map(|a| format!("({a} IS NULL)")),
            number().prop_map(|a| format!("({a} IS NOT NULL)")),
            Just("(lower(btrim(t, ' ')) = 'x')".to_owned()),
            Just("(i > 3)".to_owned()),
            Just("(t <> b::varchar)".to_owned()),
        ];
        simple.prop_recursive(2, 6, 2, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} AND {b})")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} OR {b})")),
                inner.prop_map(|a| format!("(NOT {a})")),
            ]
        })
    }

    fn leaf() -> impl Strategy<Value = String> {
        let leaves = [
            "a",
            "b",
            "CAST(i AS DOUBLE)",
            "0.5",
            "CAST(100 AS DOUBLE)",
            "CAST(NULL AS DOUBLE)",
            "CASE WHEN t = 'x' THEN 1.5 WHEN btrim(t, ' ') = 'longer than inline' THEN 2.5 END",
        ];
        prop::sample::select(leaves.to_vec()).prop_map(str::to_owned)
    }

    fn number() -> impl Strategy<Value = String> {
        leaf().prop_recursive(2, 8, 2, |inner| {
            prop_oneof![
                (inner.clone(), prop::sample::select(vec!["+", "-", "*", "/"]), inner.clone())
                    .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
                inner.prop_map(|a| format!("(-{a})")),
            ]
        })
    }

    fn choice() -> impl Strategy<Value = String> {
        (prop::collection::vec((condition(), number()), 1..4), prop::option::of(number())).prop_map(
            |(cases, otherwise)| {
                let cases: String = cases.iter().map(|(when, then)| format!(" WHEN {when} THEN {then}")).collect();
                format!("CASE{cases}{} END", otherwise.map_or(String::new(), |n| format!(" ELSE {n}")))
            },
        )
    }

    /// Texts of different lengths.
    fn named() -> impl Strategy<Value = String> {
        let name =
            prop::sample::select(vec!["'a'", "'bb'", "'a name longer than inline'", "''", "CAST(NULL AS VARCHAR)"]);
        (condition(), condition(), name).prop_map(|(one, two, name)| {
            format!("CASE WHEN {one} THEN 'ccc' WHEN {two} THEN {name} ELSE CASE WHEN a > 1.0 THEN 'dddd' ELSE {name} END END")
        })
    }

    fn table(rows: &[Row]) -> RecordBatch {
        let texts = ["x", " X ", "", "longer than inline", "y"];
        let numbers = |of: &dyn Fn(usize) -> Option<usize>| -> ArrayRef {
            Arc::new((0..rows.len()).map(|row| of(row).map(|at| NUMBERS[at])).collect::<Float64Array>())
        };
        let columns: [(&str, ArrayRef); 4] = [
            ("a", numbers(&|row| rows[row].0)),
            ("b", numbers(&|row| rows[row].1)),
            ("i", Arc::new(rows.iter().map(|row| row.2).collect::<Int32Array>())),
            ("t", Arc::new(rows.iter().map(|row| row.3.map(|at| texts[at])).collect::<StringViewArray>())),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
    }

    /// A query's numbers to the last bit, and its plan.
    fn run(query: &str, batch: &RecordBatch, fused: bool) -> (Vec<Vec<Option<u64>>>, String) {
        let config = SessionConfig::new().with_target_partitions(1);
        let context = SessionContext::new_with_config_rt(config, Arc::default());
        let table = MemTable::try_new(batch.schema(), vec![vec![batch.clone()]]).unwrap();
        context.register_table("t", Arc::new(table)).unwrap();
        let rules: Vec<session::Rule> = if fused { vec![Arc::new(Fusing)] } else { Vec::new() };
        let state = session::with(&context.state(), context.copied_config(), rules);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let plan = state.create_logical_plan(query).await.unwrap();
            let plan = state.create_physical_plan(&plan).await.unwrap();
            let text = displayable(plan.as_ref()).indent(false).to_string();
            let batches = collect(plan, state.task_ctx()).await.unwrap();
            let schema = batches.first().map(RecordBatch::schema);
            let columns = schema.map_or(0, |schema| schema.fields().len());
            let bits = |batch: &RecordBatch, column: usize| -> Vec<Option<u64>> {
                if !batch.column(column).data_type().is_floating() {
                    let texts = cast(batch.column(column), &DataType::Utf8).unwrap();
                    let texts = texts.as_string::<i32>();
                    return texts.iter().map(|text| text.map(|text| text.len() as u64)).collect();
                }
                let numbers = batch.column(column).as_any().downcast_ref::<Float64Array>().unwrap().clone();
                // All NaN are alike, as the sign of one that is computed is the processor's choice.
                numbers.iter().map(|n| n.map(|n| if n.is_nan() { u64::MAX } else { n.to_bits() })).collect()
            };
            let all = (0..columns).map(|column| batches.iter().flat_map(|batch| bits(batch, column)).collect());
            (all.collect(), text)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn what_is_fused_has_the_results_that_it_had(
            (one, two, three, four) in (choice(), choice(), number(), named()),
            rows in prop::collection::vec(
                (prop::option::of(0..9_usize), prop::option::of(0..9_usize), prop::option::of(-3..9_i32), prop::option::of(0..5_usize)),
                1..700,
            ),
        ) {
            let batch = table(&rows);
            // Projections on top of one another, of which some are read twice.
            let query = format!(
                "SELECT CASE WHEN s > 1.0 THEN s * 2.0 ELSE r END AS p, r + a AS q, s, {four} AS n FROM \
                 (SELECT a, b, i, t, {one} AS s, {two} AS r FROM (SELECT {three} AS a, b, i, t FROM t))"
            );
            let ((plain, _), (fused, plan)) = (run(&query, &batch, false), run(&query, &batch, true));
            if plain != fused {
                return Err(TestCaseError::fail(format!("{query}\n{plan}")));
            }
        }
    }

    #[test]
    fn a_scorecards_arithmetic_becomes_one_expression() {
        let rows: Vec<_> = (0..300).map(|at| (Some(at % 5), Some(at % 3), Some(at as i32 % 7), Some(at % 5))).collect();
        let query = "SELECT CASE WHEN w > 0.0 THEN s / w END AS c FROM (SELECT \
             CASE WHEN x IS NOT NULL THEN x * 0.4 ELSE 0.0 END + CASE WHEN y IS NOT NULL THEN y * 0.6 ELSE 0.0 END AS s, \
             CASE WHEN x IS NOT NULL THEN 0.4 ELSE 0.0 END + CASE WHEN y IS NOT NULL THEN 0.6 ELSE 0.0 END AS w FROM \
             (SELECT CASE WHEN a < 1.0 THEN 0.0 ELSE a END AS x, CASE WHEN lower(t) = 'x' THEN 1.0 END AS y FROM t))";
        let ((plain, _), (fused, plan)) = (run(query, &table(&rows), false), run(query, &table(&rows), true));
        assert_eq!(plain, fused);
        assert_eq!(plan.matches("ProjectionExec").count(), 1, "{plan}");
        assert!(plan.contains("fused("), "{plan}");
    }

    #[test]
    fn a_choice_of_names_is_one_expression_too() {
        let rows: Vec<_> = (0..300).map(|at| ((at % 7 != 0).then_some(at % 5), Some(0), Some(0), Some(0))).collect();
        let query = "SELECT CASE WHEN a > 50.0 THEN 'healthy' WHEN a > 0.5 THEN 'moderate' \
             ELSE CASE WHEN a IS NOT NULL THEN 'high' END END AS c FROM t";
        let ((plain, _), (fused, plan)) = (run(query, &table(&rows), false), run(query, &table(&rows), true));
        assert_eq!(plain, fused);
        assert!(plan.contains("fused("), "{plan}");
    }

    #[test]
    fn what_may_fail_is_evaluated_for_the_rows_it_is_meant_for() {
        let rows: Vec<_> = (0..300).map(|at| (Some(2), Some(2), Some(at % 7), Some(0))).collect();
        let query = "SELECT CASE WHEN i <> 0 THEN CAST(10 / i AS DOUBLE) ELSE a END AS c FROM t";
        let ((plain, _), (fused, _)) = (run(query, &table(&rows), false), run(query, &table(&rows), true));
        assert_eq!(plain, fused);
    }

    #[test]
    fn texts_are_trimmed_where_there_is_something_to_trim() {
        let rows: Vec<_> = (0..5).map(|at| (Some(0), Some(0), Some(0), Some(at))).collect();
        let query = "SELECT CAST(character_length(k) AS DOUBLE) AS n FROM (SELECT btrim(t, ' ') AS k FROM t)";
        let ((plain, _), (fused, _)) = (run(query, &table(&rows), false), run(query, &table(&rows), true));
        assert_eq!(plain, fused);
    }
}

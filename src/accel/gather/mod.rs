//! Rows to customers, faster than a general GROUP BY: the physical operator behind the plan's groupings.
//!
//! The plan groups each input by `customer_id`, and joins its inputs by UNION ALL and another GROUP BY with `max` and
//! `bit_or` ([`crate::plan`]), which any engine knows. In this process [`rule::Gathering`] puts [`GatherExec`] in the place
//! of those groupings. It reads all rows once, sorts each batch by hash into parts ([`piece`]) and keeps them, in memory or
//! on disk ([`collected`], [`spilled`]); then, part by part, it brings the rows of a customer together ([`meeting`]). A part
//! is cut so that its table fits into a processor's own cache: with millions of customers most of a grouping is waiting for
//! memory otherwise. Where a customer has many rows, they are brought together now and then while they come in.

mod collected;
mod exec;
mod join;
mod key;
mod meeting;
mod piece;
mod repeats;
mod rule;
mod spilled;

pub use exec::GatherExec;
pub use join::JoinReport;
pub use key::is_inline;
pub use repeats::repeats_of;
pub use rule::Gathering;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringViewArray, UInt8Array};
    use datafusion::arrow::datatypes::{Float64Type, UInt8Type};
    use datafusion::arrow::util::display::array_value_to_string;
    use datafusion::catalog::MemTable;
    use datafusion::error::Result;
    use datafusion::execution::memory_pool::FairSpillPool;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::physical_plan::{ExecutionPlan, collect, displayable};
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;
    use crate::engine::session::with;

    type Customers = BTreeMap<String, (Option<u8>, Option<u64>, Option<u64>)>;

    const QUERY: &str = "SELECT k, bit_or(s) AS s, max(x) AS x, max(y) AS y FROM (\
        SELECT k, s, v AS x, CAST(NULL AS DOUBLE) AS y FROM one UNION ALL \
        SELECT k, s, v + 1.0 AS x, v AS y FROM two UNION ALL \
        SELECT k, CAST(NULL AS TINYINT UNSIGNED) AS s, v AS x, v + 1.0 AS y FROM three) GROUP BY k";

    /// Keys of which some are longer than a view holds itself, and begin alike.
    fn key(number: usize) -> String {
        if number.is_multiple_of(3) { format!("a-long-shared-beginning-{number}") } else { format!("c{number}") }
    }

    fn table(numbers: impl Iterator<Item = usize>, bit: u8) -> Vec<RecordBatch> {
        let numbers: Vec<usize> = numbers.collect();
        let part = |numbers: &[usize]| {
            let columns: [(&str, ArrayRef); 3] = [
                ("k", Arc::new(StringViewArray::from_iter_values(numbers.iter().map(|n| key(*n))))),
                ("s", Arc::new(UInt8Array::from(vec![bit; numbers.len()]))),
                (
                    "v",
                    Arc::new(
                        numbers.iter().map(|n| (n % 11 != 0).then_some(*n as f64 / 7.0)).collect::<Float64Array>(),
                    ),
                ),
            ];
            RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
        };
        numbers.chunks(997).map(part).collect()
    }

    struct Setting {
        gathering: Option<Gathering>,
        memory: usize,
        twice: bool,
    }

    fn run(setting: &Setting) -> Result<(Customers, Arc<dyn ExecutionPlan>)> {
        let pool = Arc::new(FairSpillPool::new(setting.memory));
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc()?;
        let config = SessionConfig::new().with_target_partitions(2).with_batch_size(512);
        let context = SessionContext::new_with_config_rt(config, runtime);
        let twice = if setting.twice { 40..41 } else { 0..0 };
        for (name, batches) in [
            ("one", table((0..9_000).chain(twice), 1)),
            ("two", table((4_000..12_000).rev(), 2)),
            ("three", table((0..100).chain(0..100), 0)),
        ] {
            context.register_table(name, Arc::new(MemTable::try_new(batches[0].schema(), vec![batches])?))?;
        }
        let mut state = context.state();
        if let Some(gathering) = setting.gathering {
            state = with(&state, context.copied_config(), vec![Arc::new(gathering)]);
        }
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(async {
            let plan = state.create_physical_plan(&state.create_logical_plan(QUERY).await?).await?;
            let mut customers = Customers::new();
            for batch in collect(plan.clone(), state.task_ctx()).await? {
                assert!(batch.num_rows() <= 512);
                for row in 0..batch.num_rows() {
                    let number = |column: usize| {
                        let column = batch.column(column).as_primitive::<Float64Type>();
                        column.is_valid(row).then(|| column.value(row).to_bits())
                    };
                    let bits = batch.column(1).as_primitive::<UInt8Type>();
                    let bits = bits.is_valid(row).then(|| bits.value(row));
                    let key = batch.column(0).as_string_view().value(row).to_owned();
                    assert!(customers.insert(key, (bits, number(2), number(3))).is_none(), "a customer twice");
                }
            }
            Ok((customers, plan))
        })
    }

    const ROOMY: usize = 1 << 30;

    fn gathering(rows: u64, refuse_repeats: bool) -> Option<Gathering> {
        Some(Gathering { rows, room: ROOMY, at_once: 10_000, refuse_repeats })
    }

    #[test]
    fn gathers_what_a_grouping_would() -> Result<()> {
        let (expected, plan) = run(&Setting { gathering: None, memory: ROOMY, twice: true })?;
        assert_eq!(expected.len(), 12_000);
        assert!(displayable(plan.as_ref()).indent(false).to_string().contains("AggregateExec"));
        for rows in [0, 1 << 20, u64::MAX] {
            let (found, plan) = run(&Setting { gathering: gathering(rows, false), memory: ROOMY, twice: true })?;
            let plan = displayable(plan.as_ref()).indent(false).to_string();
            assert!(plan.contains("GatherExec") && !plan.contains("AggregateExec"), "{plan}");
            assert!(found == expected, "other customers where {rows} rows are expected");
        }
        Ok(())
    }

    #[test]
    fn goes_to_disk_where_memory_does_not_suffice() -> Result<()> {
        let (expected, _) = run(&Setting { gathering: None, memory: ROOMY, twice: true })?;
        let (found, plan) = run(&Setting { gathering: gathering(1 << 20, false), memory: 100_000, twice: true })?;
        assert!(found == expected);
        let gather = find(&plan).unwrap();
        let metrics = gather.metrics().unwrap();
        assert!(metrics.spill_count().unwrap() > 1, "{metrics:?}");
        assert!(metrics.spilled_bytes().unwrap() > 100_000, "{metrics:?}");
        Ok(())
    }

    fn find(plan: &Arc<dyn ExecutionPlan>) -> Option<Arc<dyn ExecutionPlan>> {
        if plan.is::<GatherExec>() {
            return Some(plan.clone());
        }
        plan.children().into_iter().find_map(find)
    }

    #[test]
    fn tells_of_repeated_keys_where_they_are_refused() -> Result<()> {
        for (twice, memory) in [(false, ROOMY), (true, ROOMY), (false, 100_000), (true, 100_000)] {
            // The third table repeats all keys, and has no bits that could tell.
            match run(&Setting { gathering: gathering(1 << 20, true), memory, twice }) {
                Ok((customers, _)) => assert!(!twice && customers.len() == 12_000),
                Err(error) => assert!(twice && repeats_of(&error), "{error}"),
            }
        }
        Ok(())
    }

    /// Numbers of a query's rows, as text, by key.
    fn grouped(
        gathering: Option<Gathering>,
        memory: usize,
        query: &str,
    ) -> Result<(BTreeMap<String, Vec<String>>, bool)> {
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(FairSpillPool::new(memory))).build_arc()?;
        let config = SessionConfig::new().with_target_partitions(2).with_batch_size(512);
        let context = SessionContext::new_with_config_rt(config, runtime);
        let batches = table((0..9_000).chain(2_000..7_000).chain(2_000..2_500), 1);
        context.register_table("one", Arc::new(MemTable::try_new(batches[0].schema(), vec![batches])?))?;
        let mut state = context.state();
        if let Some(gathering) = gathering {
            state = with(&state, context.copied_config(), vec![Arc::new(gathering)]);
        }
        tokio::runtime::Runtime::new()?.block_on(async {
            let plan = state.create_physical_plan(&state.create_logical_plan(query).await?).await?;
            let mut found = BTreeMap::new();
            for batch in collect(plan.clone(), state.task_ctx()).await? {
                for row in 0..batch.num_rows() {
                    let text = |column: &ArrayRef| array_value_to_string(column, row);
                    let values = batch.columns()[1..].iter().map(text).collect::<std::result::Result<_, _>>()?;
                    assert!(found.insert(text(batch.column(0))?, values).is_none(), "a key twice");
                }
            }
            Ok((found, find(&plan).is_some()))
        })
    }

    #[test]
    fn folds_as_aggregates_do() -> Result<()> {
        // Sums of sevenths would differ in their last digits, depending on the order of rows.
        let query = "SELECT k, sum(x) AS a, avg(x) AS b, min(v) AS c, max(v) AS d, count(v) AS e, count(x) AS f, \
            min(odd) AS g, max(odd) AS h FROM (SELECT k, v, round(v) AS x, CASE WHEN v < 300.0 THEN \
            CAST('-Infinity' AS DOUBLE) WHEN v < 600.0 THEN CAST('NaN' AS DOUBLE) ELSE CAST('Infinity' AS DOUBLE) END \
            AS odd FROM one) GROUP BY k";
        let (expected, gathered) = grouped(None, ROOMY, query)?;
        assert!(expected.len() == 9_000 && !gathered);
        for at_once in [0, 10_000, ROOMY] {
            let gathering = Gathering { rows: 1 << 20, room: ROOMY, at_once, refuse_repeats: true };
            let (found, gathered) = grouped(Some(gathering), ROOMY, query)?;
            assert!(gathered && found == expected, "{at_once} bytes at once");
        }
        let tight = Gathering { rows: 1 << 20, room: ROOMY, at_once: ROOMY, refuse_repeats: false };
        let (found, gathered) = grouped(Some(tight), 100_000, query)?;
        assert!(gathered && found == expected, "on disk");
        let none = Gathering { room: 1 << 20, ..tight };
        assert!(!grouped(Some(none), ROOMY, query)?.1, "tables of so many rows may not fit");
        Ok(())
    }

    #[test]
    fn leaves_other_groupings_alone() -> Result<()> {
        for query in [
            "SELECT k, bit_or(s) AS s, median(v) AS x FROM (SELECT * FROM one UNION ALL SELECT * FROM two) GROUP BY k",
            "SELECT k, max(s) AS x FROM one GROUP BY k",
            "SELECT k, first_value(v ORDER BY s) AS x FROM one GROUP BY k",
            "SELECT k, bit_or(s) AS s, max(v) FILTER (WHERE v > 1) AS x FROM (SELECT * FROM one UNION ALL SELECT * FROM two) GROUP BY k",
            "SELECT s, k, bit_or(s) AS b, max(v) AS x FROM (SELECT * FROM one UNION ALL SELECT * FROM two) GROUP BY s, k",
        ] {
            let context =
                SessionContext::new_with_config_rt(SessionConfig::new().with_target_partitions(2), Arc::default());
            for name in ["one", "two"] {
                let batches = table(0..10, 1);
                context.register_table(name, Arc::new(MemTable::try_new(batches[0].schema(), vec![batches])?))?;
            }
            let state = with(
                &context.state(),
                context.copied_config(),
                vec![Arc::new(Gathering { rows: 0, room: ROOMY, at_once: 10_000, refuse_repeats: false })],
            );
            let plan = tokio::runtime::Runtime::new()?
                .block_on(async { state.create_physical_plan(&state.create_logical_plan(query).await?).await })?;
            assert!(find(&plan).is_none(), "{query}");
        }
        Ok(())
    }
}

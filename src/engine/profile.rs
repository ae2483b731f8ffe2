//! How many rows an input has and what becomes of them, from the files' statistics where they tell.

use std::collections::BTreeMap;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;

use super::EngineError;
use super::footer::{Footer, plain_column};
use super::query;
use super::report::Dropped;
use super::work::Work;
use crate::io::IoError;
use crate::io::context::RunContext;
use crate::plan::bind::BoundInput;
use crate::plan::input::Window;
use crate::plan::profile::{self, Count};

/// Texts of one field that are shown.
pub const SHOWN_TEXTS: usize = 5;

/// Characters of such a text that are shown.
const SHOWN_CHARACTERS: usize = 40;

/// Customers of an input that are not scored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Strangers {
    /// How many they are.
    pub customers: u64,
    /// Their rows.
    pub rows: u64,
}

/// What is known of an input's rows.
pub struct Profile {
    counts: Vec<(Count, u64)>,
    /// By a field's place in [`BoundInput::fields`]: the most frequent texts that its map does not know, and their rows, or
    /// customers where it is an aggregate.
    unmapped: BTreeMap<usize, Vec<(String, u64)>>,
    unreadable: Vec<(String, u64)>,
    /// Who would count, but is not scored.
    pub strangers: Strangers,
    /// The files' statistics, for whoever else needs them.
    pub footer: Footer,
}

impl Profile {
    /// Counts an input's rows.
    ///
    /// # Errors
    /// Where the input cannot be read.
    pub async fn of(
        input: &BoundInput,
        window: Window,
        context: &RunContext,
        work: &Work,
    ) -> Result<Self, EngineError> {
        let role = format!("input `{}`", input.name);
        let unreadable_input = |error| EngineError::unreadable(&role, &input.table.path, error);
        let internal = |error| EngineError::internal("planning the profile", error);
        let footer = Footer::read(input, context).await.map_err(unreadable_input)?;
        let admit = |rows| {
            let admitted = context.limits().admit_rows(rows);
            admitted.map_err(|error| IoError::not_taken(&role, &input.table.path, &error.into()))
        };
        admit(footer.rows().unwrap_or(0))?;
        let (mut counts, mut open) = (Vec::new(), Vec::new());
        for count in profile::possible(input).map_err(internal)? {
            let told = match count {
                Count::Rows => footer.rows(),
                Count::NoKey => footer.rows_without_key(&input.key_column),
                Count::Values(at) => {
                    let reading = input.fields[at].reading.as_ref();
                    let Some(column) = reading.and_then(|reading| plain_column(&reading.expr)) else { continue };
                    footer.values(column)
                }
                Count::NoTimestamp
                | Count::UnreadableTimestamp
                | Count::OutsidePeriod
                | Count::Filtered
                | Count::Unparsable(_)
                | Count::Unmapped(_) => None,
            };
            match told {
                Some(told) => counts.push((count, told)),
                None => open.push(count),
            }
        }
        if !open.is_empty() {
            let plan = profile::plan(input, window, &open).map_err(internal)?;
            let row = query::single_row(&work.context, &plan).await.map_err(unreadable_input)?;
            counts.extend(open.into_iter().zip(row.iter().map(number)));
        }
        let mut unreadable = Vec::new();
        if counts.iter().any(|(count, rows)| *count == Count::UnreadableTimestamp && *rows > 0)
            && let Some(plan) = profile::unreadable_timestamps(input, SHOWN_TEXTS).map_err(internal)?
        {
            unreadable =
                query::rows(&work.context, &plan).await.and_then(|rows| texts(&rows)).map_err(unreadable_input)?;
        }
        let profile = Self { counts, unmapped: BTreeMap::new(), unreadable, strangers: Strangers::default(), footer };
        admit(profile.rows())?;
        Ok(profile)
    }

    /// One of the counts; `None` where it does not apply to the input.
    pub fn count(&self, wanted: Count) -> Option<u64> {
        self.counts.iter().find(|(count, _)| *count == wanted).map(|(_, number)| *number)
    }

    /// The most frequent texts of a field that its map does not know, cut to a length that can be shown, with their rows.
    pub fn unmapped(&self, field: usize) -> &[(String, u64)] {
        self.unmapped.get(&field).map_or(&[], Vec::as_slice)
    }

    /// Adds how many texts of a field its map does not know, and the most frequent of them.
    pub fn add_unmapped(&mut self, field: usize, rows: u64, texts: Vec<(String, u64)>) {
        self.counts.push((Count::Unmapped(field), rows));
        self.unmapped.insert(field, texts);
    }

    /// The most frequent texts of the timestamp that cannot be read, cut likewise, with their rows.
    pub fn unreadable_timestamps(&self) -> &[(String, u64)] {
        &self.unreadable
    }

    /// Rows of the files.
    pub fn rows(&self) -> u64 {
        self.count(Count::Rows).unwrap_or(0)
    }

    /// Rows that count.
    pub fn kept(&self) -> u64 {
        self.rows().saturating_sub(self.dropped().iter().map(|dropped| dropped.rows).sum())
    }

    /// Rows that do not count, by reason.
    pub fn dropped(&self) -> Vec<Dropped> {
        let reasons = [
            (Count::NoKey, "null or blank key"),
            (Count::NoTimestamp, "no timestamp"),
            (Count::UnreadableTimestamp, "unreadable timestamp"),
            (Count::OutsidePeriod, "outside the analysis period"),
            (Count::Filtered, "not selected by `where`"),
        ];
        let counted = reasons.into_iter().filter_map(|(count, reason)| Some((reason, self.count(count)?)));
        counted
            .chain([("of customers that are not scored (`customers_from`)", self.strangers.rows)])
            .filter(|(_, rows)| *rows > 0)
            .map(|(reason, rows)| Dropped { reason: reason.to_owned(), rows })
            .collect()
    }

    /// Whether every row counts.
    pub fn keeps_every_row(&self, input: &BoundInput) -> bool {
        input.timestamp.is_none() && input.filter.is_none() && self.count(Count::NoKey) == Some(0)
    }
}

/// Texts with their counts, made fit to be shown.
///
/// # Errors
/// Where the columns are others.
pub fn texts(batches: &[RecordBatch]) -> Result<Vec<(String, u64)>, DataFusionError> {
    let mut found = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let text = ScalarValue::try_from_array(batch.column(0), row)?.to_string();
            let shown = match text.char_indices().nth(SHOWN_CHARACTERS) {
                Some((end, _)) => format!("{}...", &text[..end]),
                None => text,
            };
            found.push((shown, number(&ScalarValue::try_from_array(batch.column(1), row)?)));
        }
    }
    Ok(found)
}

/// A count; sums over no rows are null.
pub fn number(value: &ScalarValue) -> u64 {
    match value {
        ScalarValue::Int64(Some(number)) => u64::try_from(*number).unwrap_or(0),
        ScalarValue::UInt64(Some(number)) => *number,
        _ => 0,
    }
}

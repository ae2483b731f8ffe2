//! All rows of all inputs, in memory as far as it is theirs to take, else on disk.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::arrow::array::Array;
use datafusion::common::internal_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::disk_manager::DiskManager;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_plan::metrics::SpillMetrics;

use super::key::Hashing;
use super::meeting::{Fold, Meeting};
use super::piece::Scattered;
use super::spilled::Spilled;

/// Where the rows go while they come in.
pub struct Collecting {
    parts: usize,
    folds: Vec<Fold>,
    disk: Arc<DiskManager>,
    metrics: SpillMetrics,
    rows: Mutex<Rows>,
    /// Bytes of rows that are folded at once.
    at_once: usize,
    /// For each part the customers of the rows that are folded already; empty where rows are kept as they are.
    folded: Vec<Mutex<Option<Meeting>>>,
}

struct Rows {
    pieces: Vec<Scattered>,
    bytes: usize,
    spilled: Vec<Spilled>,
    held: MemoryReservation,
}

/// What was begun under a lock is whole whatever panicked beside it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Collecting {
    /// Nothing yet. With `at_once`, rows are folded while they come in, whenever they take so many bytes, so that memory is
    /// taken for each key and not for each row.
    pub fn new(
        parts: usize,
        folds: &[Fold],
        at_once: Option<usize>,
        context: &TaskContext,
        metrics: SpillMetrics,
    ) -> Self {
        let held = MemoryConsumer::new("rows by customer").with_can_spill(true).register(context.memory_pool());
        let disk = context.runtime_env().disk_manager.clone();
        let rows = Mutex::new(Rows { pieces: Vec::new(), bytes: 0, spilled: Vec::new(), held });
        let folded = at_once.map_or_else(Vec::new, |_| (0..parts).map(|_| Mutex::new(None)).collect());
        let at_once = at_once.unwrap_or(usize::MAX);
        Self { parts, folds: folds.to_vec(), disk, metrics, rows, at_once, folded }
    }

    /// Takes rows in; where there is no memory for them, writes them and all before them to disk.
    ///
    /// # Errors
    /// Where that is not possible either.
    pub fn add(&self, rows: Scattered) -> Result<()> {
        let mut all = locked(&self.rows);
        let size = rows.size();
        let fits = all.held.try_grow(size).is_ok();
        all.pieces.push(rows);
        all.bytes += size;
        if !fits {
            let written = Spilled::write(&all.pieces, self.parts, &self.disk, &self.metrics)?;
            all.spilled.push(written);
            all.pieces.clear();
            let freed = mem::take(&mut all.bytes) - size;
            all.held.shrink(freed);
        }
        if all.bytes < self.at_once {
            return Ok(());
        }
        let (pieces, bytes) = (mem::take(&mut all.pieces), mem::take(&mut all.bytes));
        drop(all);
        let grown = self.fold(&pieces);
        drop(pieces);
        let all = locked(&self.rows);
        all.held.shrink(bytes);
        // It is there already; how much it may become was looked at beforehand.
        all.held.grow(grown);
        Ok(())
    }

    /// Bytes that the customers take more than before.
    fn fold(&self, pieces: &[Scattered]) -> usize {
        let mut grown = 0;
        for (part, folded) in self.folded.iter().enumerate() {
            let mut folded = locked(folded);
            let rows = pieces.iter().map(|piece| piece.rows(part).len()).sum();
            let meeting = folded.get_or_insert_with(|| Meeting::new(Hashing::new(), rows, &self.folds));
            let before = meeting.size();
            pieces.iter().for_each(|piece| meeting.add(piece.piece(), piece.rows(part)));
            grown += meeting.size() - before;
        }
        grown
    }

    /// All rows, once all have come in.
    pub fn done(self) -> Collected {
        let Rows { pieces, spilled, held, .. } = self.rows.into_inner().unwrap_or_else(PoisonError::into_inner);
        Collected { pieces, spilled, folds: self.folds, folded: self.folded, _held: held }
    }
}

/// All rows, sorted by part.
pub struct Collected {
    pieces: Vec<Scattered>,
    spilled: Vec<Spilled>,
    folds: Vec<Fold>,
    folded: Vec<Mutex<Option<Meeting>>>,
    _held: MemoryReservation,
}

impl Collected {
    /// The customers of a part, which can be asked for once.
    ///
    /// # Errors
    /// Where rows that were written to disk cannot be read.
    pub async fn meet(self: &Arc<Self>, part: usize, hashing: Hashing) -> Result<Meeting> {
        let mut read = Vec::new();
        if !self.spilled.is_empty() {
            let all = self.clone();
            let reading = tokio::task::spawn_blocking(move || {
                let pieces = all.spilled.iter().map(|file| file.read(part, all.folds.len()));
                pieces.collect::<Result<Vec<_>>>()
            });
            read = reading.await.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??.concat();
        }
        let rows = |piece: &Scattered| piece.rows(part).len();
        let count =
            self.pieces.iter().map(rows).sum::<usize>() + read.iter().map(|piece| piece.keys.len()).sum::<usize>();
        if u32::try_from(count).is_err() {
            return internal_err!("{count} rows in one part");
        }
        let folded = self.folded.get(part).and_then(|folded| locked(folded).take());
        // Most have a row in several inputs; the table grows where they do not.
        let mut meeting = folded.unwrap_or_else(|| Meeting::new(hashing, count / 2, &self.folds));
        for piece in &self.pieces {
            meeting.add(piece.piece(), piece.rows(part));
        }
        for piece in &read {
            meeting.add(piece, 0..piece.keys.len());
        }
        Ok(meeting)
    }
}

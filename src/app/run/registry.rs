//! Runs by their id: those that work, and for a while the results of those that are done.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::WeakShared;

use crate::app::run::broadcast::EventBroadcast;
use crate::app::run::runs::{Finished, Outcome};

/// Most results that are kept.
const MAX_RESULTS: usize = 256;

/// Most bytes of previews that are kept with the results.
const MAX_PREVIEW_BYTES: usize = 64 << 20;

/// How long a result is kept.
const MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// A run that works, as long as a call waits for it.
type WeakWork = WeakShared<Pin<Box<dyn Future<Output = Outcome> + Send>>>;

/// State of a run.
#[derive(Debug)]
pub enum State {
    /// It waits or works, and its events are sent there.
    Works(WeakWork, Arc<EventBroadcast>),
    /// It is done, since that time.
    Done(Arc<Finished>, Instant),
}

/// One run.
#[derive(Debug)]
pub struct Entry {
    /// Hash of the request.
    pub asked: blake3::Hash,
    /// Its state.
    pub state: State,
    token: u64,
}

/// Runs by id.
#[derive(Debug, Default)]
pub struct RunRegistry {
    entries: HashMap<String, Entry>,
    tokens: u64,
}

impl RunRegistry {
    /// Makes a number that tells runs of one id apart.
    pub fn make_token(&mut self) -> u64 {
        self.tokens += 1;
        self.tokens
    }

    /// Looks up the run of that id.
    pub fn get(&self, id: &str) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// Adds a run, in place of one of the same id that was given up.
    pub fn insert(&mut self, id: String, asked: blake3::Hash, token: u64, state: State) {
        self.entries.insert(id, Entry { asked, state, token });
    }

    /// Ends a run: a result is kept, a failure is not, so that the same id can try again.
    pub fn end_run(&mut self, id: &str, token: u64, finished: Option<Arc<Finished>>, now: Instant) {
        let Some(entry) = self.entries.get_mut(id).filter(|entry| entry.token == token) else { return };
        let State::Works(_, events) = &entry.state else { return };
        events.close();
        match finished {
            Some(finished) => entry.state = State::Done(finished, now),
            None => drop(self.entries.remove(id)),
        }
        self.forget_old(now);
    }

    /// Forgets results that are too old, or too many.
    pub fn forget_old(&mut self, now: Instant) {
        self.entries.retain(|_, entry| match entry.state {
            State::Works(..) => true,
            State::Done(_, at) => now.saturating_duration_since(at) < MAX_AGE,
        });
        let finished_entry = |(id, entry): (&String, &Entry)| match &entry.state {
            State::Works(..) => None,
            State::Done(finished, at) => {
                Some((*at, id.clone(), finished.report.preview.as_ref().map_or(0, String::len)))
            }
        };
        let mut done: Vec<(Instant, String, usize)> = self.entries.iter().filter_map(finished_entry).collect();
        done.sort_unstable_by(|one, other| other.cmp(one));
        let mut previews = 0;
        for (newer, (_, id, preview)) in done.into_iter().enumerate() {
            previews += preview;
            if newer >= MAX_RESULTS || previews > MAX_PREVIEW_BYTES {
                self.entries.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use futures::FutureExt;

    use super::*;
    use crate::component::Asset;
    use crate::engine::{JoinReport, OutputReport, RunReport};
    use crate::plan::Cutoffs;

    fn finished() -> Arc<Finished> {
        let output = OutputReport {
            fan_out: None,
            asset_name: String::new(),
            path: String::new(),
            rows: 0,
            bytes: 0,
            columns: vec![],
            schema: Arc::new(arrow::datatypes::Schema::empty()),
            lineage: vec![],
        };
        let report = RunReport {
            run_id: String::new(),
            asset_name: String::new(),
            component_version: String::new(),
            scorecard_name: String::new(),
            scorecard_hash: String::new(),
            as_of: DateTime::UNIX_EPOCH,
            calculated_at: DateTime::UNIX_EPOCH,
            partition_key: None,
            tags: Default::default(),
            data_version: String::new(),
            config_hash: String::new(),
            output,
            fan_out: vec![],
            checks: vec![],
            preview: None,
            customers: 0,
            scores: None,
            categories: vec![],
            churn_risks: 0,
            expansion_opportunities: 0,
            cutoffs: Cutoffs { churn_risk: 40.0, expansion_opportunity: 75.0, inclusive: false },
            flags_beside_categories: None,
            inputs: vec![],
            components: vec![],
            join: JoinReport::default(),
            population: vec![],
            warnings: vec![],
            hints: vec![],
            stages: vec![],
        };
        Arc::new(Finished { asset: Asset::default(), report, upload: None })
    }

    fn run(registry: &mut RunRegistry, id: &str, finished: Option<Arc<Finished>>, now: Instant) {
        let work = (Box::pin(std::future::pending()) as Pin<Box<dyn Future<Output = Outcome> + Send>>).shared();
        let token = registry.make_token();
        let state = State::Works(work.downgrade().unwrap(), Arc::default());
        registry.insert(id.to_owned(), blake3::hash(b""), token, state);
        registry.end_run(id, token, finished, now);
    }

    #[test]
    fn results_are_kept_for_a_while_and_failures_not_at_all() {
        let (mut registry, start) = (RunRegistry::default(), Instant::now());
        run(&mut registry, "failed", None, start);
        assert!(registry.get("failed").is_none());
        for at in 0..MAX_RESULTS as u64 + 2 {
            run(&mut registry, &format!("{at}"), Some(finished()), start + Duration::from_secs(at));
        }
        assert!(registry.get("1").is_none() && registry.get("2").is_some(), "the oldest go first");
        // Instants do not follow the clock on the wall, and one that seems to lie ahead is not old.
        registry.forget_old(start);
        assert!(registry.get("2").is_some());
        registry.forget_old(start + MAX_AGE + Duration::from_secs(2));
        assert!(registry.get("2").is_none() && registry.get("3").is_some());
    }

    #[test]
    fn large_previews_make_room_for_newer_ones() {
        let (mut registry, start) = (RunRegistry::default(), Instant::now());
        let large = || {
            let mut finished = finished();
            Arc::get_mut(&mut finished).unwrap().report.preview = Some("x".repeat(MAX_PREVIEW_BYTES / 2));
            finished
        };
        for (at, finished) in [large(), finished(), large(), large()].into_iter().enumerate() {
            run(&mut registry, &at.to_string(), Some(finished), start + Duration::from_secs(at as u64));
        }
        assert!(registry.get("0").is_none() && registry.get("2").is_some() && registry.get("3").is_some());
    }

    #[test]
    fn a_run_that_was_given_up_takes_nothing_from_its_successor() {
        let (mut registry, now) = (RunRegistry::default(), Instant::now());
        let old = registry.make_token();
        run(&mut registry, "a", Some(finished()), now);
        registry.end_run("a", old, None, now);
        assert!(registry.get("a").is_some());
    }
}

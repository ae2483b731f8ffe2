//! What an output's file says about itself.

use chrono::SecondsFormat;
use datafusion::error::DataFusionError;
use serde::Serialize;

use super::fold::Fold;
use super::prepare::Prepared;
use super::{EngineError, RunRequest};
use crate::component::Component;
use crate::io::output::{Facts, keys};

/// What holds for each table of a run.
pub fn of_run(component: &Component, request: &RunRequest, prepared: &Prepared) -> Facts {
    let mut facts = vec![
        (keys::ASSET_NAME, component.asset().name.clone()),
        (keys::RUN_ID, request.run_id.clone()),
        (keys::COMPONENT_VERSION, env!("CARGO_PKG_VERSION").to_owned()),
        (keys::SCORECARD, component.scorecard_name().to_owned()),
        (keys::SCORECARD_HASH, component.scorecard_hash().to_owned()),
        (keys::AS_OF, prepared.as_of.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
    ];
    if let Some(partition) = &request.partition_key {
        facts.push((keys::PARTITION_KEY, partition.clone()));
    }
    if !request.tags.is_empty() {
        facts.extend(json(&request.tags).map(|tags| (keys::TAGS, tags)));
    }
    facts
}

/// The same for a table beside the scores.
pub fn renamed(facts: &Facts, asset_name: String) -> Facts {
    let rename = |(key, value): &(&'static str, String)| match *key {
        keys::ASSET_NAME => (keys::ASSET_NAME, asset_name.clone()),
        key => (key, value.clone()),
    };
    facts.iter().map(rename).collect()
}

/// What the scores tell beside that, once all are known.
///
/// # Errors
/// Where the statistics cannot be written down, which is a fault of the program.
pub fn of_scores(mut facts: Facts, prepared: &Prepared, fold: &Fold, data_version: &str) -> Result<Facts, EngineError> {
    let rows: serde_json::Map<String, serde_json::Value> =
        prepared.profiles.iter().map(|(name, profile)| (name.to_string(), profile.kept().into())).collect();
    let failed = |error: serde_json::Error| {
        EngineError::internal("recording the population statistics", DataFusionError::External(Box::new(error)))
    };
    facts.extend([
        (keys::ROWS, fold.customers.to_string()),
        (keys::DATA_VERSION, data_version.to_owned()),
        (keys::INPUT_ROWS, json(&rows).map_err(failed)?),
        (keys::POPULATION, json(&prepared.statistics.pinnable()).map_err(failed)?),
    ]);
    Ok(facts)
}

fn json(value: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string(value)
}

//! What a run writes: the places of the tables, and that their names do not promise another format.

use std::collections::BTreeMap;

use super::parse::Parsed;
use super::problem::Problem;
use super::spec::ComponentSpec;
use super::value::PlaceSpec;
use super::{FanOut, Overrides};

/// Name of the asset where the component gives none.
pub const ASSET_NAME: &str = "customer_health_scores";

/// Endings of what is not Parquet, which is what is written whatever the name.
pub const OTHER_FORMATS: [&str; 16] = [
    "arrow", "arrows", "avro", "csv", "feather", "gz", "ipc", "json", "jsonl", "ndjson", "orc", "tsv", "txt", "xls",
    "xlsx", "zip",
];

/// The tables beside the scores, and where they go; what is wrong with their paths and the output's is noted.
pub fn fan_out(
    parsed: &Parsed<ComponentSpec>,
    output: Option<&str>,
    overrides: &Overrides,
    problems: &mut Vec<Problem>,
) -> BTreeMap<FanOut, String> {
    let spec = &parsed.spec.fan_out;
    let asset = parsed.spec.asset_name.as_deref().unwrap_or(ASSET_NAME);
    let mut found = overrides.fan_out.clone();
    for (table, place) in [(FanOut::ChurnRisk, &spec.churn_risk), (FanOut::Expansion, &spec.expansion)] {
        let at = format!("fan_out.{}", table.name());
        match place {
            _ if found.contains_key(&table) => {}
            None | Some(PlaceSpec::Usual(false)) => {}
            Some(PlaceSpec::Path(path)) if path.trim().is_empty() => {
                let hint = "give it a path, or true for a file beside the output".to_owned();
                problems.push(parsed.source.problem(&at, "the path is empty", Some(hint)));
            }
            Some(PlaceSpec::Path(path)) => drop(found.insert(table, path.clone())),
            Some(PlaceSpec::Usual(true)) => {
                let folder = output.and_then(|output| output.rfind('/').map(|end| &output[..=end])).unwrap_or_default();
                found.insert(table, format!("{folder}{asset}_{}.parquet", table.name()));
            }
        }
    }
    let mut places: Vec<&str> = output.into_iter().collect();
    for (table, path) in &found {
        if places.contains(&path.as_str()) {
            let at = format!("fan_out.{}", table.name());
            let hint = "give each table a place of its own".to_owned();
            problems.push(parsed.source.problem(&at, format!("another table is written to {path} too"), Some(hint)));
        }
        places.push(path);
    }
    let besides = found.iter().map(|(table, path)| (format!("fan_out.{}", table.name()), path.as_str()));
    for (at, path) in output.iter().map(|path| ("output".to_owned(), *path)).chain(besides) {
        check_ending(parsed, &at, path, problems);
    }
    found
}

fn check_ending(parsed: &Parsed<ComponentSpec>, at: &str, path: &str, problems: &mut Vec<Problem>) {
    let name = path.rsplit('/').next().unwrap_or(path);
    if let Some((stem, ending)) = name.rsplit_once('.')
        && OTHER_FORMATS.contains(&ending.to_lowercase().as_str())
    {
        let stem = stem.split('.').next().unwrap_or(stem);
        let message = format!("the table is written as Parquet, and `{name}` would pass for something else");
        problems.push(parsed.source.problem(at, message, Some(format!("call it `{stem}.parquet`"))));
    }
}

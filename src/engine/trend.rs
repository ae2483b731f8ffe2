//! What the scores of a run are compared with: earlier ones, and of the same scorecard, as far as their files tell.

use chrono::{DateTime, SecondsFormat, Utc};
use object_store::local::LocalFileSystem;

use super::EngineError;
use crate::component::{Component, ComponentError};
use crate::io::context::RunContext;
use crate::io::earlier_table::Earlier;
use crate::io::output::keys;
use crate::io::source::Files;

/// What should be said of the files that the trend is taken from.
///
/// # Errors
/// Where they are of this run's as-of time or later: a run compared with itself shows no change, and one compared with its
/// future shows it the wrong way round.
pub async fn compared(
    component: &Component,
    history: &Files,
    as_of: DateTime<Utc>,
    context: &RunContext,
) -> Result<Vec<String>, EngineError> {
    let mut warnings = Vec::new();
    for object in &history.objects {
        let path = match history.url.scheme() {
            "file" => match LocalFileSystem::new().path_to_filesystem(&object.location) {
                Ok(path) => path.display().to_string(),
                Err(_) => continue,
            },
            _ => {
                format!("{}://{}/{}", history.url.scheme(), history.url.host_str().unwrap_or_default(), object.location)
            }
        };
        // What is no Parquet file tells nothing.
        let earlier = Earlier::read("history", &path, context).await?;
        let fact = |key| earlier.as_ref().and_then(|earlier| earlier.fact(key));
        match fact(keys::AS_OF).and_then(|text| DateTime::parse_from_rfc3339(text).ok()) {
            None => warnings.push(format!(
                "history: {path} does not say what time it is as of: it is taken for an earlier run of this component"
            )),
            Some(then) if then >= as_of => {
                let which = if then == as_of { "this run's own as-of time" } else { "later than this run" };
                let message = format!(
                    "the scores at {path} are as of {}, which is {which}",
                    then.to_rfc3339_opts(SecondsFormat::AutoSi, true)
                );
                let hint = "compare with an earlier run: keep each run's table in a place of its own, and name the one \
                            before in `history`";
                let problem = component.problem("history", message, Some(hint.to_owned()));
                return Err(ComponentError::new(vec![problem]).into());
            }
            Some(_) => {}
        }
        if let Some(hash) = fact(keys::SCORECARD_HASH)
            && hash != component.scorecard_hash()
        {
            warnings.push(format!(
                "history: {path} was scored by another scorecard ({} {hash:.12}): a change may be the scorecard's and not \
                 the customer's",
                fact(keys::SCORECARD).unwrap_or("unnamed")
            ));
        }
    }
    Ok(warnings)
}

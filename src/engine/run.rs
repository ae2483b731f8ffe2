//! One materialization: prepare, score while writing, publish, report.

use chrono::SecondsFormat;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::Result as EngineResult;
use datafusion::execution::session_state::SessionState;
use datafusion::physical_plan::execute_stream;
use futures::StreamExt;

use super::fold::Fold;
use super::prepare::{Prepared, Stages};
use super::publish::{Output, keys};
use super::report::{ColumnReport, Event, OutputReport, RunReport, Stage};
use super::{EngineError, Observer, RunRequest, culprit, query, source, summary};
use crate::component::{Component, ComponentError};
use crate::plan::schema;

/// Scores the customers and publishes the table.
///
/// # Errors
/// Whatever is wrong with the component, its inputs or its output; the output is then as it was.
pub async fn materialize(
    component: &Component,
    request: &RunRequest,
    state: &SessionState,
    observer: &Observer,
) -> Result<RunReport, EngineError> {
    let mut stages = Stages::new(observer);
    let Some(path) = component.output() else {
        let hint = Some("give it `output: FILE.parquet`, or use `--output`".to_owned());
        let problem = component.problem("output", "the component names no output".to_owned(), hint);
        return Err(ComponentError::new(vec![problem]).into());
    };
    let output = Output::claim(&source::resolve(component.base_dir(), path))?;
    let prepared = Prepared::new(component, request.as_of, state, &mut stages).await?;
    refuse_own_files(component, &output, &prepared)?;
    for warning in &prepared.opening.warnings {
        observer(Event::Warning(warning.clone()));
    }
    stages.begin(Stage::Score);
    let schema = schema::output(component);
    let (staged, fold) = score(component, request, &prepared, &output, schema.clone(), state, observer).await?;
    stages.begin(Stage::Publish);
    let bytes = output.publish(staged)?;
    stages.end();
    let written = OutputReport { path: output.path(), rows: fold.customers, bytes, columns: columns(&schema) };
    let mut report = summary::of(component, request, &prepared, &fold, written);
    report.stages = stages.ended;
    Ok(report)
}

/// Refuses an output that would take the place of what the run reads, now or when it runs again.
fn refuse_own_files(component: &Component, output: &Output, prepared: &Prepared) -> Result<(), EngineError> {
    let read = prepared.opening.places.iter().find(|(_, place)| place.covers(output.target()));
    let scorecard = source::resolve(component.base_dir(), component.scorecard_name());
    let same = |path: &str| source::plain(path.as_ref()).is_ok_and(|path| path == output.target());
    let what = match read {
        Some((name, _)) => format!("is among the files of the input `{name}`"),
        None if same(component.file()) => "is the component itself".to_owned(),
        None if same(&scorecard) => "is the scorecard".to_owned(),
        None => return Ok(()),
    };
    let message = format!("the output {} {what}", output.path());
    let hint = Some("give the output a place of its own".to_owned());
    Err(ComponentError::new(vec![component.problem("output", message, hint)]).into())
}

async fn score(
    component: &Component,
    request: &RunRequest,
    prepared: &Prepared,
    output: &Output,
    schema: SchemaRef,
    state: &SessionState,
    observer: &Observer,
) -> Result<(tempfile::NamedTempFile, Fold), EngineError> {
    let planner = prepared.planner(component, state, false);
    let mut fold = Fold::new(component, &planner);
    let plan = planner.plan().map_err(|error| EngineError::internal("planning the scores", error))?;
    let physical = query::physical(state, &plan).await;
    let stream = physical.and_then(|plan| execute_stream(plan, state.task_ctx()));
    let mut batches = match stream {
        Ok(batches) => batches,
        Err(error) => return Err(culprit::name(error, &prepared.opening.bound, prepared.window, state).await),
    };
    let writer = output.write(schema.clone())?;
    while let Some(batch) = batches.next().await {
        let folded = batch.and_then(|batch| {
            fold.add(&batch)?;
            as_contract(&batch, &schema)
        });
        match folded {
            Ok(batch) => {
                if !writer.write(batch).await {
                    break;
                }
                observer(Event::Rows(fold.customers));
            }
            Err(error) => return Err(culprit::name(error, &prepared.opening.bound, prepared.window, state).await),
        }
    }
    let staged = writer.finish(facts(component, request, prepared, &fold)?).await?;
    Ok((staged, fold))
}

/// The table's own columns of a batch, under the contract's schema, which refuses nulls where there must be none.
fn as_contract(batch: &RecordBatch, schema: &SchemaRef) -> EngineResult<RecordBatch> {
    let columns = batch.columns()[..schema.fields().len()].to_vec();
    let columns = columns
        .into_iter()
        .zip(schema.fields())
        .map(|(column, field)| datafusion::arrow::compute::cast(&column, field.data_type()))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}

/// The columns of a schema.
pub fn columns(schema: &SchemaRef) -> Vec<ColumnReport> {
    let column = |field: &std::sync::Arc<datafusion::arrow::datatypes::Field>| ColumnReport {
        name: field.name().clone(),
        data_type: field.data_type().to_string(),
        nullable: field.is_nullable(),
    };
    schema.fields().iter().map(column).collect()
}

/// What the file says about itself.
fn facts(
    component: &Component,
    request: &RunRequest,
    prepared: &Prepared,
    fold: &Fold,
) -> Result<Vec<(&'static str, String)>, EngineError> {
    let rows: serde_json::Map<String, serde_json::Value> =
        prepared.profiles.iter().map(|(name, profile)| (name.to_string(), profile.kept().into())).collect();
    let json = |value: serde_json::Result<String>| {
        value.map_err(|error| {
            let error = datafusion::error::DataFusionError::External(Box::new(error));
            EngineError::internal("recording the population statistics", error)
        })
    };
    Ok(vec![
        (keys::ASSET_NAME, component.asset().name.clone()),
        (keys::RUN_ID, request.run_id.clone()),
        (keys::COMPONENT_VERSION, env!("CARGO_PKG_VERSION").to_owned()),
        (keys::SCORECARD, component.scorecard_name().to_owned()),
        (keys::SCORECARD_HASH, component.scorecard_hash().to_owned()),
        (keys::AS_OF, prepared.as_of.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        (keys::ROWS, fold.customers.to_string()),
        (keys::INPUT_ROWS, json(serde_json::to_string(&rows))?),
        (keys::POPULATION, json(serde_json::to_string(&prepared.statistics.pinnable()))?),
    ])
}

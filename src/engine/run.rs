//! One materialization: prepare, score while writing, publish, report.

use std::collections::BTreeMap;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result as EngineResult};

use super::fan_out::FannedOut;
use super::fold::Fold;
use super::prepare::{Effort, Prepared};
use super::query::Running;
use super::report::{Event, RunReport, Stage};
use super::stages::Stages;
use super::table::{self, OutputReport};
use super::work::Work;
use super::{
    EngineError, Observer, RunRequest, check, culprit, facts, lineage, places, row_ids, session, summary, unmapped,
};
use crate::accel::gather::JoinReport;
use crate::component::{Component, ComponentError, FanOut};
use crate::io::IoError;
use crate::io::context::RunContext;
use crate::io::earlier_table::Earlier;
use crate::io::output::{Output, Staged};
use crate::io::{publish, source};
use crate::plan::columns;

/// Scores the customers and publishes the table.
///
/// # Errors
/// Whatever is wrong with the component, its inputs or its output; the output is then as it was.
pub async fn materialize(
    component: &Component,
    request: &RunRequest,
    context: &RunContext,
    observer: &Observer,
) -> Result<RunReport, EngineError> {
    let mut stages = Stages::new(observer);
    let Some(path) = component.output() else {
        let hint = Some("give it `output: FILE.parquet`, or use `--output`".to_owned());
        let problem = component.problem("output", "the component names no output".to_owned(), hint);
        return Err(ComponentError::new(vec![problem]).into());
    };
    places::refuse_shared(component)?;
    let claim = |path: &str| Output::claim(&source::resolve(component.base_dir(), path), context);
    let output = claim(path)?;
    let besides = component.fan_out().iter().map(|(table, path)| Ok((*table, claim(path)?)));
    let besides = besides.collect::<Result<BTreeMap<FanOut, Output>, EngineError>>()?;
    let work = Work::of(component, context).await?;
    let mut prepared = Prepared::new(component, request.as_of, (context, &work), Effort::Quick, &mut stages).await?;
    refuse_own_files(component, "output", &output, &prepared)?;
    for (table, output) in &besides {
        let key = format!("fan_out.{}", table.name());
        refuse_own_files(component, &key, output, &prepared)?;
    }
    places::refuse_earlier(component)?;
    for warning in &prepared.opening.warnings {
        observer(Event::Warning(warning.clone()));
    }
    stages.begin(Stage::Score);
    let scores = columns::of_scores(component);
    let schema = columns::schema(&scores);
    let outputs = Outputs { scores: &output, besides: &besides, schema: &schema };
    let run = Run { component, request, context, work: &work, observer };
    let written = match run.score(&mut prepared, &outputs).await? {
        Some(written) => written,
        None => {
            stages.log(
                "a customer has several rows in an input that seemed to have one for each: beginning again".to_owned(),
            );
            let as_of = prepared.as_of;
            // With the memory that it holds.
            drop(prepared);
            prepared = Prepared::new(component, Some(as_of), (context, &work), Effort::Proven, &mut stages).await?;
            stages.begin(Stage::Score);
            let repeated = || DataFusionError::Internal("customers repeat where none does".to_owned());
            let written = run.score(&mut prepared, &outputs).await?;
            written.ok_or_else(|| EngineError::internal("scoring", repeated()))?
        }
    };
    let Written { staged, tables, fold, data_version, join } = written;
    unmapped::look_up(component, &mut prepared, &fold, &work).await?;
    for (role, files) in &prepared.opening.read {
        files.same(role, work.remote, context).await?;
    }
    stages.log(format!("{} customers scored", fold.customers));
    row_ids::refuse(component, &prepared, &fold)?;
    if fold.customers == 0 && !request.allow_empty {
        refuse_to_empty(&output, &prepared, context).await?;
    }
    stages.begin(Stage::Publish);
    let lineage = lineage::of(component, &prepared.opening.bound, &scores);
    let asset = &component.asset().name;
    let report = |fan_out, output: &Output, rows, bytes| OutputReport {
        fan_out,
        asset_name: table::asset_name(asset, fan_out),
        path: output.path(),
        rows,
        bytes,
        columns: table::columns(&scores),
        schema: schema.clone(),
        lineage: lineage.clone(),
    };
    // The scores last: once they are new, all is.
    let mut fan_out = Vec::new();
    let (mut told, mut places) = (Vec::new(), Vec::new());
    for (table, (staged, rows)) in tables {
        if let Some(output) = besides.get(&table) {
            told.push((table, output, rows));
            places.push((output, staged));
        }
    }
    places.push((&output, staged));
    let mut sizes = publish::all(places).await?;
    let written = report(None, &output, fold.customers, sizes.pop().unwrap_or(0));
    for ((table, output, rows), bytes) in told.into_iter().zip(sizes) {
        fan_out.push(report(Some(table), output, rows, bytes));
    }
    for table in std::iter::once(&written).chain(&fan_out) {
        stages.log(format!("{}: {} rows, {} bytes at {}", table.asset_name, table.rows, table.bytes, table.path));
    }
    let mut report = summary::of(component, request, &prepared, &fold, written);
    (report.fan_out, report.data_version, report.join) = (fan_out, data_version, join);
    if request.checks || request.preview_rows > 0 {
        stages.begin(Stage::Check);
        let table = check::open(&output.path(), context).await?;
        if request.checks {
            report.checks = check::of_table(component, prepared.cutoffs, &table, context).await?;
            let of_run = check::of_run(component, &report);
            report.checks.extend(of_run);
        }
        if request.preview_rows > 0 {
            report.preview = Some(check::preview(&table, request.preview_rows, context).await?);
        }
    }
    stages.end();
    report.stages = stages.ended;
    Ok(report)
}

/// Refuses to replace a table that has customers by one that has none.
async fn refuse_to_empty(output: &Output, prepared: &Prepared, context: &RunContext) -> Result<(), EngineError> {
    let path = output.path();
    let rows = match Earlier::read("output", &path, context).await {
        Ok(earlier) => earlier.map_or(0, |earlier| earlier.rows()),
        // Nothing is there, or nothing that this program wrote.
        Err(IoError::NotFound { .. } | IoError::Unreadable { .. }) => 0,
        Err(error) => return Err(error.into()),
    };
    if rows == 0 {
        return Ok(());
    }
    let lost = prepared.profiles.iter().map(|(name, profile)| {
        let dropped: Vec<String> =
            profile.dropped().iter().map(|dropped| format!("{} {}", dropped.rows, dropped.reason)).collect();
        let why = if dropped.is_empty() { String::new() } else { format!(": {}", dropped.join(", ")) };
        format!("input `{name}`: {} rows read, {} count{why}", profile.rows(), profile.kept())
    });
    Err(EngineError::Emptied { path, rows, lost: lost.collect() })
}

/// Refuses an output that would take the place of what the run reads, now or when it runs again.
fn refuse_own_files(component: &Component, key: &str, output: &Output, prepared: &Prepared) -> Result<(), EngineError> {
    let read = prepared.opening.places.iter().find(|(_, place)| place.covers(output));
    let scorecard = source::resolve(component.base_dir(), component.scorecard_name());
    let same = |path: &str| match output {
        Output::File(target, _) => source::plain(path.as_ref()).is_ok_and(|path| path == *target),
        Output::Object(..) => false,
    };
    let what = match read {
        Some((name, _)) => format!("is among the files of the input `{name}`"),
        None if same(component.file()) => "is the component itself".to_owned(),
        None if same(&scorecard) => "is the scorecard".to_owned(),
        None => return Ok(()),
    };
    let message = format!("the output {} {what}", output.path());
    let hint = Some("give the output a place of its own".to_owned());
    Err(ComponentError::new(vec![component.problem(key, message, hint)]).into())
}

/// What a run works with.
struct Run<'a> {
    component: &'a Component,
    request: &'a RunRequest,
    context: &'a RunContext,
    work: &'a Work,
    observer: &'a Observer,
}

/// Where the tables of a run go.
struct Outputs<'a> {
    scores: &'a Output,
    besides: &'a BTreeMap<FanOut, Output>,
    schema: &'a SchemaRef,
}

/// Tables that wait to be published, and what was seen of them.
struct Written {
    staged: Staged,
    tables: BTreeMap<FanOut, (Staged, u64)>,
    fold: Fold,
    data_version: String,
    join: JoinReport,
}

impl Run<'_> {
    /// Writes the tables; `None` where inputs that were only taken to have one row for each customer have not.
    async fn score(&self, prepared: &mut Prepared, outputs: &Outputs<'_>) -> Result<Option<Written>, EngineError> {
        let Self { component, request, context, observer, .. } = self;
        let planner = prepared.planner(component, context, false);
        let mut fold = Fold::new(component, &planner);
        let plan = planner.plan().map_err(|error| EngineError::internal("planning the scores", error))?;
        // Before the plan runs, which begins to read at once: whoever may not write is told first.
        let mut writer = outputs.scores.write(outputs.schema.clone()).await?;
        let facts = facts::of_run(component, request, prepared);
        let besides = FannedOut::start(component, outputs.besides, outputs.schema, &facts, context).await?;
        let own = &self.work.context;
        let work = &match self.work.remote {
            true => session::with_rules(own, session::for_rows(own, &prepared.rows()), Vec::new()),
            false => prepared.session(own),
        };
        let at_fault = |error| culprit::name(error, &planner, context);
        let mut batches = match Running::start(work, &plan).await {
            Ok(started) if !prepared.assumption.is_guarded_by(&started) => return Ok(None),
            Ok(started) => started,
            Err(error) => return Err(at_fault(error).await),
        };
        let join = batches.join();
        tracing::debug!(operator = join.operator, unfit_column = join.unfit_column, "inputs are joined");
        while let Some(batch) = batches.next().await {
            let folded = batch.and_then(|batch| {
                fold.add(&batch)?;
                as_contract(&batch, outputs.schema)
            });
            match folded {
                Ok(batch) => {
                    besides.add(&batch).await;
                    if !writer.write(batch).await {
                        break;
                    }
                    observer(Event::Rows(fold.customers));
                }
                Err(error) if prepared.assumption.is_refuted_by(&error) => return Ok(None),
                Err(error) => return Err(at_fault(error).await),
            }
        }
        let data_version = prepared.data_version().await?;
        let facts = facts::of_scores(facts, prepared, &fold, &data_version)?;
        let staged = writer.finish(facts).await?;
        Ok(Some(Written { staged, tables: besides.finish().await?, fold, data_version, join }))
    }
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

//! Between wire and domain, both ways; pure.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use prost_types::Timestamp;

use crate::component::{Asset, Overrides, Recipe};
use crate::engine::{self, Event, FieldOrigin, RunReport, RunRequest};
use crate::error::ErrorKind;
use crate::proto;
use crate::scorecard::InputName;

/// Longest run id, in bytes: it goes into file metadata and log lines.
const MAX_RUN_ID: usize = 200;

/// What is wrong with a request, before its component is looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// There is no component.
    #[error("the request has no component\nhint: set component.text to the text of a component.yaml")]
    NoComponent,
    /// The base folder is not absolute.
    #[error(
        "component.base_dir is `{0}`, expected an absolute path\n\
         hint: give the folder on the server's machine that relative paths start from"
    )]
    RelativeBaseDir(String),
    /// An override names no input, or one that this version does not know.
    #[error(
        "inputs[{0}].input is {1}, which names no input\n\
         hint: expected INPUT_CUSTOMER, INPUT_SUBSCRIPTION, INPUT_USAGE or INPUT_SUPPORT"
    )]
    UnknownInput(usize, i32),
    /// An input is given twice.
    #[error("the input `{0}` is given twice\nhint: give one path for each input; a path may be a glob")]
    InputTwice(InputName),
    /// The time lies outside what can be represented.
    #[error("as_of is out of range\nhint: expected a google.protobuf.Timestamp between the years 1 and 9999")]
    AsOf,
    /// The run id cannot be used.
    #[error("run_id cannot be used\nhint: give up to {MAX_RUN_ID} bytes without control characters, or leave it empty")]
    RunId,
}

impl RequestError {
    /// Always [`ErrorKind::InvalidComponent`]: what was asked for is wrong, and asking again will not help.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidComponent
    }
}

/// Takes a request apart into what the component and the run are made from.
pub fn request(request: proto::MaterializeRequest) -> Result<(Recipe, RunRequest), RequestError> {
    let as_of = request.as_of.map(|time| from_timestamp(time).ok_or(RequestError::AsOf)).transpose()?;
    if request.run_id.len() > MAX_RUN_ID || request.run_id.chars().any(char::is_control) {
        return Err(RequestError::RunId);
    }
    let mut run = RunRequest { as_of, ..RunRequest::new() };
    if !request.run_id.is_empty() {
        run.run_id = request.run_id;
    }
    let output = Some(request.output).filter(|path| !path.is_empty());
    let overrides = Overrides { inputs: overridden_inputs(request.inputs)?, output };
    Ok((recipe(request.component.ok_or(RequestError::NoComponent)?, overrides)?, run))
}

fn recipe(component: proto::ComponentSource, overrides: Overrides) -> Result<Recipe, RequestError> {
    let proto::component_source::Source::Text(text) = component.source.ok_or(RequestError::NoComponent)?;
    let base_dir = PathBuf::from(&component.base_dir);
    if !base_dir.is_absolute() {
        return Err(RequestError::RelativeBaseDir(component.base_dir));
    }
    let file = if component.file.is_empty() { "component.yaml".to_owned() } else { component.file };
    Ok(Recipe { file, text, base_dir, variables: component.variables.into_iter().collect(), overrides })
}

fn overridden_inputs(inputs: Vec<proto::InputOverride>) -> Result<BTreeMap<InputName, String>, RequestError> {
    let mut found = BTreeMap::new();
    for (at, input) in inputs.into_iter().enumerate() {
        let name = match proto::Input::try_from(input.input) {
            Ok(proto::Input::Customer) => InputName::Customer,
            Ok(proto::Input::Subscription) => InputName::Subscription,
            Ok(proto::Input::Usage) => InputName::Usage,
            Ok(proto::Input::Support) => InputName::Support,
            Ok(proto::Input::Unspecified) | Err(_) => return Err(RequestError::UnknownInput(at, input.input)),
        };
        if found.insert(name, input.path).is_some() {
            return Err(RequestError::InputTwice(name));
        }
    }
    Ok(found)
}

fn from_timestamp(time: Timestamp) -> Option<DateTime<Utc>> {
    // The range that google.protobuf.Timestamp defines; Arrow and chrono would take more.
    const RANGE: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
    if !RANGE.contains(&time.seconds) {
        return None;
    }
    DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).ok()?)
}

fn timestamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp { seconds: time.timestamp(), nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(0) }
}

/// What an event is on the wire; `stage` is the stage that the run is in.
pub fn event(event: Event, stage: engine::Stage) -> proto::MaterializeResponse {
    use proto::materialize_response::Event as Wire;
    let event = match event {
        Event::Started(stage) => Wire::Progress(proto::Progress { stage: self::stage(stage).into(), rows: 0 }),
        Event::Rows(rows) => Wire::Progress(proto::Progress { stage: self::stage(stage).into(), rows }),
        Event::Warning(message) => Wire::Warning(proto::Warning { message }),
    };
    proto::MaterializeResponse { event: Some(event) }
}

/// The last event of a run that went well.
pub fn result(asset: &Asset, report: RunReport) -> proto::MaterializeResponse {
    let result = proto::MaterializeResult { asset: Some(self::asset(asset)), report: Some(self::report(report)) };
    proto::MaterializeResponse { event: Some(proto::materialize_response::Event::Result(result)) }
}

fn asset(asset: &Asset) -> proto::Asset {
    let upstream = asset.upstream.iter();
    proto::Asset {
        name: asset.name.clone(),
        description: asset.description.clone(),
        group_name: asset.group_name.clone(),
        owners: asset.owners.clone(),
        tags: asset.tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        kinds: asset.kinds.clone(),
        upstream: upstream
            .map(|(name, key)| proto::UpstreamAsset { input: input(*name).into(), asset_key: key.clone() })
            .collect(),
    }
}

fn report(report: RunReport) -> proto::RunReport {
    proto::RunReport {
        run_id: report.run_id,
        asset_name: report.asset_name,
        component_version: report.component_version,
        scorecard_name: report.scorecard_name,
        scorecard_hash: report.scorecard_hash,
        as_of: Some(timestamp(report.as_of)),
        calculated_at: Some(timestamp(report.calculated_at)),
        output: Some(output(report.output)),
        customers: report.customers,
        scores: report.scores.map(|s| proto::ScoreSummary { mean: s.mean, median: s.median, min: s.min, max: s.max }),
        categories: report
            .categories
            .into_iter()
            .map(|(name, customers)| proto::CategoryReport { name, customers })
            .collect(),
        churn_risks: report.churn_risks,
        expansion_opportunities: report.expansion_opportunities,
        inputs: report.inputs.into_iter().map(input_report).collect(),
        components: report.components.into_iter().map(component_report).collect(),
        population: report.population.into_iter().map(statistic_report).collect(),
        warnings: report.warnings,
        hints: report.hints,
        stages: report.stages.into_iter().map(stage_report).collect(),
    }
}

fn output(output: engine::OutputReport) -> proto::OutputReport {
    let column =
        |c: engine::ColumnReport| proto::ColumnReport { name: c.name, data_type: c.data_type, nullable: c.nullable };
    proto::OutputReport {
        path: output.path,
        rows: output.rows,
        bytes: output.bytes,
        columns: output.columns.into_iter().map(column).collect(),
    }
}

fn input_report(report: engine::InputReport) -> proto::InputReport {
    let dropped = report.dropped.into_iter();
    proto::InputReport {
        input: input(report.name).into(),
        path: report.path,
        files: report.files,
        bytes: report.bytes,
        rows_read: report.rows_read,
        rows_kept: report.rows_kept,
        dropped: dropped.map(|d| proto::DroppedRows { reason: d.reason, rows: d.rows }).collect(),
        customers: report.customers,
        duplicates_merged: report.duplicates_merged,
        unmatched: report.unmatched,
        key: report.key,
        fields: report.fields.into_iter().map(field_report).collect(),
    }
}

fn field_report(report: engine::FieldReport) -> proto::FieldReport {
    let (origin, source) = match report.origin {
        FieldOrigin::Column => (proto::FieldOrigin::Column, report.field.clone()),
        FieldOrigin::Alias(column) => (proto::FieldOrigin::Alias, column),
        FieldOrigin::Expression(sql) => (proto::FieldOrigin::Expression, sql),
        FieldOrigin::Absent => (proto::FieldOrigin::Absent, String::new()),
    };
    proto::FieldReport {
        component: report.component,
        indicator: report.indicator,
        field: report.field,
        origin: origin.into(),
        source,
        unparsable: report.unparsable,
        no_data: report.no_data,
    }
}

fn component_report(report: engine::ComponentReport) -> proto::ComponentReport {
    proto::ComponentReport {
        name: report.name,
        weight: report.weight,
        share: report.share,
        with_data: report.with_data,
        missing: report.missing,
        mean: report.mean,
    }
}

fn statistic_report(report: engine::StatisticReport) -> proto::StatisticReport {
    proto::StatisticReport {
        component: report.component,
        indicator: report.indicator,
        statistic: report.statistic,
        value: report.value,
        pinned: report.pinned,
    }
}

fn stage_report(report: engine::StageReport) -> proto::StageReport {
    // A stage of 292 billion years is out of range for the wire, and for us.
    let elapsed = prost_types::Duration::try_from(report.elapsed).ok();
    proto::StageReport { stage: stage(report.stage).into(), elapsed }
}

fn stage(stage: engine::Stage) -> proto::Stage {
    match stage {
        engine::Stage::Open => proto::Stage::Open,
        engine::Stage::Profile => proto::Stage::Profile,
        engine::Stage::Population => proto::Stage::Population,
        engine::Stage::Score => proto::Stage::Score,
        engine::Stage::Publish => proto::Stage::Publish,
    }
}

fn input(name: InputName) -> proto::Input {
    match name {
        InputName::Customer => proto::Input::Customer,
        InputName::Subscription => proto::Input::Subscription,
        InputName::Usage => proto::Input::Usage,
        InputName::Support => proto::Input::Support,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> proto::MaterializeRequest {
        let source = proto::component_source::Source::Text("inputs: {usage: u.parquet}".to_owned());
        let component =
            proto::ComponentSource { source: Some(source), base_dir: "/data".to_owned(), ..Default::default() };
        let inputs = vec![proto::InputOverride { input: proto::Input::Usage.into(), path: "v.parquet".to_owned() }];
        proto::MaterializeRequest { component: Some(component), inputs, ..Default::default() }
    }

    #[test]
    fn a_request_becomes_a_recipe_and_a_run() {
        let as_of = Some(Timestamp { seconds: 1_751_241_600, nanos: 0 });
        let (recipe, run) = request(proto::MaterializeRequest { as_of, run_id: "r-1".to_owned(), ..asked() }).unwrap();
        assert_eq!(recipe.file, "component.yaml");
        assert_eq!(recipe.base_dir, PathBuf::from("/data"));
        assert_eq!(recipe.overrides.inputs[&InputName::Usage], "v.parquet");
        assert_eq!(recipe.overrides.output, None);
        assert_eq!(run.run_id, "r-1");
        assert_eq!(run.as_of.unwrap().to_rfc3339(), "2025-06-30T00:00:00+00:00");
        assert!(!request(asked()).unwrap().1.run_id.is_empty());
    }

    #[test]
    fn what_is_wrong_with_a_request_is_told_by_field() {
        let wrong = |change: fn(&mut proto::MaterializeRequest)| {
            let mut message = asked();
            change(&mut message);
            request(message).unwrap_err()
        };
        assert_eq!(wrong(|r| r.component = None), RequestError::NoComponent);
        assert_eq!(wrong(|r| r.component.as_mut().unwrap().source = None), RequestError::NoComponent);
        assert_eq!(
            wrong(|r| r.component.as_mut().unwrap().base_dir = "data".to_owned()),
            RequestError::RelativeBaseDir("data".to_owned())
        );
        assert_eq!(wrong(|r| r.inputs[0].input = 0), RequestError::UnknownInput(0, 0));
        assert_eq!(wrong(|r| r.inputs[0].input = 99), RequestError::UnknownInput(0, 99));
        assert_eq!(wrong(|r| r.inputs.extend(r.inputs.clone())), RequestError::InputTwice(InputName::Usage));
        assert_eq!(wrong(|r| r.as_of = Some(Timestamp { seconds: i64::MAX, nanos: 0 })), RequestError::AsOf);
        assert_eq!(wrong(|r| r.as_of = Some(Timestamp { seconds: 0, nanos: -1 })), RequestError::AsOf);
        assert_eq!(wrong(|r| r.run_id = "a\nb".to_owned()), RequestError::RunId);
        assert_eq!(wrong(|r| r.run_id = "x".repeat(201)), RequestError::RunId);
    }

    #[test]
    fn an_origin_names_what_was_read() {
        let field = |origin| {
            let (component, indicator, field) = ("c".to_owned(), "i".to_owned(), "f".to_owned());
            let report =
                field_report(engine::FieldReport { component, indicator, field, origin, unparsable: 2, no_data: true });
            (report.origin(), report.source)
        };
        assert_eq!(field(FieldOrigin::Column), (proto::FieldOrigin::Column, "f".to_owned()));
        assert_eq!(field(FieldOrigin::Alias("a".into())), (proto::FieldOrigin::Alias, "a".to_owned()));
        assert_eq!(field(FieldOrigin::Expression("1".into())), (proto::FieldOrigin::Expression, "1".to_owned()));
        assert_eq!(field(FieldOrigin::Absent), (proto::FieldOrigin::Absent, String::new()));
    }
}

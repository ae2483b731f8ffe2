//! From wire to domain: what a request asks for, and what is wrong with it; pure.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use prost_types::Timestamp;

use super::values::convert_table;
use crate::app::upload::UploadFormat;
use crate::component::{FanOut, InputOverride, Overrides, Recipe};
use crate::engine::RunRequest;
use crate::error::ErrorKind;
use crate::scorecard::InputName;
use crate::shown::shown;
use crate::wire::proto;

/// Longest run id, in bytes: it goes into file metadata and log lines.
const MAX_RUN_ID: usize = 200;

/// Most tags of a request: they go into file metadata.
const MAX_TAGS: usize = 64;

/// Longest tag with its name, in bytes.
const MAX_TAG: usize = 1_000;

/// Most rows of a preview.
const MAX_PREVIEW: u32 = 500;

/// What is wrong with a request, before its component is looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// There is no component.
    #[error("the request has no component\nhint: set component.text to the text of a component.yaml")]
    NoComponent,
    /// The base folder is not absolute.
    #[error(
        "component.base_dir is `{}`, expected an absolute path\n\
         hint: give the folder on the server's machine that relative paths start from",
        shown(.0)
    )]
    RelativeBaseDir(String),
    /// A named component starts from its own folder.
    #[error(
        "component.base_dir is given beside component.name\nhint: leave it empty; paths start from the server's folder"
    )]
    BaseDirBesideName,
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
    /// The partition key cannot be used.
    #[error("partition_key cannot be used\nhint: give up to {MAX_RUN_ID} bytes without control characters")]
    PartitionKey,
    /// There are too many tags, or one is too long.
    #[error("tags cannot be used\nhint: give up to {MAX_TAGS}, of up to {MAX_TAG} bytes each with their names")]
    Tags,
    /// An override of an output names none beside the scores.
    #[error(
        "outputs[{0}].table is {1}, which names no table beside the scores\n\
         hint: expected TABLE_CHURN_RISK or TABLE_EXPANSION; the scores go to `output`"
    )]
    UnknownTable(usize, i32),
    /// An override of an output has a name that is not one of a table beside the scores.
    #[error(
        "outputs[{0}].table_name is `{table}`, which names no table beside the scores\n\
         hint: expected {names}; the scores go to `output`", table = shown(.1), names = fan_out_names()
    )]
    UnknownTableName(usize, String),
    /// An override of an output names one table by value and another by name.
    #[error("outputs[{0}].table and outputs[{0}].table_name are different tables\nhint: give one of the two")]
    TwoTables(usize),
    /// An override of an output has no path, or there are two for one table.
    #[error("outputs[{0}] cannot be used\nhint: give each table one path")]
    Output(usize),
    /// More rows are asked for than a preview shows.
    #[error("preview_rows is {0}\nhint: ask for up to {MAX_PREVIEW}; the table has the rest")]
    Preview(u32),
    /// There is no customer to explain.
    #[error("the request names no customer\nhint: set customer_id to a value of the column customer_id")]
    NoCustomer,
}

impl RequestError {
    /// Always [`ErrorKind::InvalidComponent`]: what was asked for is wrong, and asking again will not help.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidComponent
    }

    /// Path of the request's field that is wrong.
    pub fn field(&self) -> String {
        match self {
            Self::NoComponent => "component".to_owned(),
            Self::RelativeBaseDir(_) | Self::BaseDirBesideName => "component.base_dir".to_owned(),
            Self::UnknownInput(at, _) => format!("inputs[{at}].input"),
            Self::InputTwice(_) => "inputs".to_owned(),
            Self::AsOf => "as_of".to_owned(),
            Self::RunId => "run_id".to_owned(),
            Self::PartitionKey => "partition_key".to_owned(),
            Self::Tags => "tags".to_owned(),
            Self::UnknownTable(at, _) => format!("outputs[{at}].table"),
            Self::UnknownTableName(at, _) | Self::TwoTables(at) => format!("outputs[{at}].table_name"),
            Self::Output(at) => format!("outputs[{at}]"),
            Self::Preview(_) => "preview_rows".to_owned(),
            Self::NoCustomer => "customer_id".to_owned(),
        }
    }
}

/// Reads what the component and the run are made from.
pub fn read_request(request: proto::MaterializeRequest) -> Result<(Recipe, RunRequest), RequestError> {
    let as_of = read_as_of(request.as_of)?;
    let is_name = |text: &str| text.len() <= MAX_RUN_ID && !text.chars().any(char::is_control);
    if !is_name(&request.run_id) {
        return Err(RequestError::RunId);
    }
    if !is_name(&request.partition_key) {
        return Err(RequestError::PartitionKey);
    }
    if request.tags.len() > MAX_TAGS || request.tags.iter().any(|(name, value)| name.len() + value.len() > MAX_TAG) {
        return Err(RequestError::Tags);
    }
    if request.preview_rows > MAX_PREVIEW {
        return Err(RequestError::Preview(request.preview_rows));
    }
    let mut run = RunRequest {
        as_of,
        partition_key: non_empty(request.partition_key),
        tags: request.tags,
        checks: request.run_checks,
        allow_empty: request.allow_empty,
        preview_rows: request.preview_rows as usize,
        ..RunRequest::new()
    };
    if !request.run_id.is_empty() {
        run.run_id = request.run_id;
    }
    let overrides = Overrides {
        inputs: read_input_overrides(request.inputs)?,
        output: non_empty(request.output),
        fan_out: read_output_overrides(request.outputs)?,
        history: non_empty(request.history),
        analysis_period_days: request.analysis_period_days,
    };
    Ok((build_recipe(request.component.ok_or(RequestError::NoComponent)?, overrides)?, run))
}

/// Reads the name of a component that the request names; `None` where it brings the text along.
///
/// # Errors
/// Where the request says where paths of a named component start, which the server decides.
pub fn named_component(source: &proto::ComponentSource) -> Result<Option<&str>, RequestError> {
    let Some(proto::component_source::Source::Name(name)) = &source.source else { return Ok(None) };
    if source.base_dir.is_empty() { Ok(Some(name)) } else { Err(RequestError::BaseDirBesideName) }
}

/// Reads the recipe of a request that runs nothing.
pub fn read_recipe(
    component: Option<proto::ComponentSource>,
    inputs: Vec<proto::InputOverride>,
    history: String,
) -> Result<Recipe, RequestError> {
    let overrides =
        Overrides { inputs: read_input_overrides(inputs)?, history: non_empty(history), ..Overrides::default() };
    build_recipe(component.ok_or(RequestError::NoComponent)?, overrides)
}

/// Reads recipe, customer and as-of time of a request to explain a score.
pub fn read_explain_request(
    request: proto::ExplainCustomerRequest,
) -> Result<(Recipe, RunRequest, String), RequestError> {
    if request.customer_id.trim().is_empty() {
        return Err(RequestError::NoCustomer);
    }
    let run = RunRequest { as_of: read_as_of(request.as_of)?, ..RunRequest::new() };
    Ok((read_recipe(request.component, request.inputs, request.history)?, run, request.customer_id))
}

/// A request for a summary asks for the same run as one for a stream.
impl From<proto::MaterializeSyncRequest> for proto::MaterializeRequest {
    fn from(request: proto::MaterializeSyncRequest) -> Self {
        Self {
            component: request.component,
            inputs: request.inputs,
            output: request.output,
            as_of: request.as_of,
            run_id: request.run_id,
            partition_key: request.partition_key,
            tags: request.tags,
            history: request.history,
            analysis_period_days: request.analysis_period_days,
            outputs: request.outputs,
            run_checks: request.run_checks,
            preview_rows: request.preview_rows,
            allow_empty: request.allow_empty,
        }
    }
}

fn read_as_of(time: Option<Timestamp>) -> Result<Option<DateTime<Utc>>, RequestError> {
    time.map(|time| read_timestamp(time).ok_or(RequestError::AsOf)).transpose()
}

fn build_recipe(component: proto::ComponentSource, overrides: Overrides) -> Result<Recipe, RequestError> {
    // A named one has become its text before.
    let Some(proto::component_source::Source::Text(text)) = component.source else {
        return Err(RequestError::NoComponent);
    };
    let base_dir = PathBuf::from(&component.base_dir);
    if !base_dir.is_absolute() {
        return Err(RequestError::RelativeBaseDir(component.base_dir));
    }
    let file = if component.file.is_empty() { "component.yaml".to_owned() } else { component.file };
    Ok(Recipe { file, text, base_dir, variables: component.variables.into_iter().collect(), overrides })
}

fn read_input_overrides(inputs: Vec<proto::InputOverride>) -> Result<BTreeMap<InputName, InputOverride>, RequestError> {
    let mut found = BTreeMap::new();
    for (at, input) in inputs.into_iter().enumerate() {
        let name = read_input_name(input.input).ok_or(RequestError::UnknownInput(at, input.input))?;
        let own = InputOverride { path: non_empty(input.path), format: None, filter: non_empty(input.r#where) };
        if found.insert(name, own).is_some() {
            return Err(RequestError::InputTwice(name));
        }
    }
    Ok(found)
}

fn read_output_overrides(outputs: Vec<proto::OutputOverride>) -> Result<BTreeMap<FanOut, String>, RequestError> {
    let mut found = BTreeMap::new();
    for (at, output) in outputs.into_iter().enumerate() {
        let table = read_table(at, &output)?;
        let path = non_empty(output.path).ok_or(RequestError::Output(at))?;
        if found.insert(table, path).is_some() {
            return Err(RequestError::Output(at));
        }
    }
    Ok(found)
}

/// Reads which table an override is for, by its name or by the value that older callers send.
fn read_table(at: usize, output: &proto::OutputOverride) -> Result<FanOut, RequestError> {
    let by_value = FanOut::ALL.into_iter().find(|table| i32::from(convert_table(Some(*table))) == output.table);
    if output.table_name.is_empty() {
        return by_value.ok_or(RequestError::UnknownTable(at, output.table));
    }
    let unknown = || RequestError::UnknownTableName(at, output.table_name.clone());
    let by_name = FanOut::ALL.into_iter().find(|table| table.name() == output.table_name).ok_or_else(unknown)?;
    let is_given = output.table != i32::from(proto::Table::Unspecified);
    if is_given && by_value != Some(by_name) { Err(RequestError::TwoTables(at)) } else { Ok(by_name) }
}

fn fan_out_names() -> String {
    FanOut::ALL.map(|table| format!("`{}`", table.name())).join(" or ")
}

/// Reads the input of a wire value; `None` where it names none.
pub fn read_input_name(input: i32) -> Option<InputName> {
    match proto::Input::try_from(input) {
        Ok(proto::Input::Customer) => Some(InputName::Customer),
        Ok(proto::Input::Subscription) => Some(InputName::Subscription),
        Ok(proto::Input::Usage) => Some(InputName::Usage),
        Ok(proto::Input::Support) => Some(InputName::Support),
        Ok(proto::Input::Unspecified) | Err(_) => None,
    }
}

/// Reads the format of a streamed input; `None` where this version does not know it.
pub fn read_upload_format(format: i32) -> Option<UploadFormat> {
    match proto::StreamedFormat::try_from(format) {
        Ok(proto::StreamedFormat::Unspecified | proto::StreamedFormat::ArrowStream) => Some(UploadFormat::ArrowStream),
        Ok(proto::StreamedFormat::Parquet) => Some(UploadFormat::Parquet),
        Err(_) => None,
    }
}

/// A text that is not empty: the wire cannot tell an empty text from none.
fn non_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn read_timestamp(time: Timestamp) -> Option<DateTime<Utc>> {
    // The range that google.protobuf.Timestamp defines; Arrow and chrono would take more.
    const RANGE: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
    if !RANGE.contains(&time.seconds) {
        return None;
    }
    DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> proto::MaterializeRequest {
        let source = proto::component_source::Source::Text("inputs: {usage: u.parquet}".to_owned());
        let component =
            proto::ComponentSource { source: Some(source), base_dir: "/data".to_owned(), ..Default::default() };
        let path = "v.parquet".to_owned();
        let inputs = vec![proto::InputOverride { input: proto::Input::Usage.into(), path, ..Default::default() }];
        proto::MaterializeRequest { component: Some(component), inputs, ..Default::default() }
    }

    #[test]
    fn a_request_becomes_a_recipe_and_a_run() {
        let as_of = Some(Timestamp { seconds: 1_751_241_600, nanos: 0 });
        let (recipe, run) =
            read_request(proto::MaterializeRequest { as_of, run_id: "r-1".to_owned(), ..asked() }).unwrap();
        assert_eq!(recipe.file, "component.yaml");
        assert_eq!(recipe.base_dir, PathBuf::from("/data"));
        assert_eq!(recipe.overrides.inputs[&InputName::Usage], InputOverride::path("v.parquet"));
        assert_eq!(recipe.overrides.output, None);
        assert_eq!(run.run_id, "r-1");
        assert_eq!(run.as_of.unwrap().to_rfc3339(), "2025-06-30T00:00:00+00:00");
        assert!(!read_request(asked()).unwrap().1.run_id.is_empty());
    }

    #[test]
    fn what_is_wrong_with_a_request_is_told_by_field() {
        let wrong = |change: fn(&mut proto::MaterializeRequest)| {
            let mut message = asked();
            change(&mut message);
            read_request(message).unwrap_err()
        };
        assert_eq!(wrong(|r| r.component = None), RequestError::NoComponent);
        assert_eq!(wrong(|r| r.component.as_mut().unwrap().source = None), RequestError::NoComponent);
        assert_eq!(
            wrong(|r| r.component.as_mut().unwrap().base_dir = "data".to_owned()),
            RequestError::RelativeBaseDir("data".to_owned())
        );
        let named = || Some(proto::component_source::Source::Name("plg".to_owned()));
        let source = proto::ComponentSource { source: named(), ..Default::default() };
        assert_eq!(named_component(&source), Ok(Some("plg")));
        let source = proto::ComponentSource { source: named(), base_dir: "/data".to_owned(), ..Default::default() };
        assert_eq!(named_component(&source), Err(RequestError::BaseDirBesideName));
        assert_eq!(RequestError::BaseDirBesideName.field(), "component.base_dir");
        assert_eq!(wrong(|r| r.inputs[0].input = 0), RequestError::UnknownInput(0, 0));
        assert_eq!(wrong(|r| r.inputs[0].input = 99), RequestError::UnknownInput(0, 99));
        assert_eq!(wrong(|r| r.inputs.extend(r.inputs.clone())), RequestError::InputTwice(InputName::Usage));
        assert_eq!(wrong(|r| r.as_of = Some(Timestamp { seconds: i64::MAX, nanos: 0 })), RequestError::AsOf);
        assert_eq!(wrong(|r| r.as_of = Some(Timestamp { seconds: 0, nanos: -1 })), RequestError::AsOf);
        assert_eq!(wrong(|r| r.run_id = "a\nb".to_owned()), RequestError::RunId);
        assert_eq!(wrong(|r| r.run_id = "x".repeat(201)), RequestError::RunId);
        assert_eq!(wrong(|r| r.inputs[0].input = 0).field(), "inputs[0].input");
        assert_eq!(wrong(|r| r.partition_key = "a\nb".to_owned()), RequestError::PartitionKey);
        assert_eq!(wrong(|r| r.tags.extend([("a".to_owned(), "x".repeat(1_000))])), RequestError::Tags);
        assert_eq!(wrong(|r| r.preview_rows = 501), RequestError::Preview(501));
        let output = |table: proto::Table, path: &str| proto::OutputOverride {
            table: table.into(),
            path: path.to_owned(),
            ..Default::default()
        };
        let mut message = asked();
        message.outputs = vec![output(proto::Table::Scores, "a")];
        assert_eq!(read_request(message.clone()).unwrap_err(), RequestError::UnknownTable(0, 1));
        message.outputs = vec![output(proto::Table::ChurnRisk, "a"), output(proto::Table::ChurnRisk, "b")];
        assert_eq!(read_request(message).unwrap_err(), RequestError::Output(1));
        let named = |table: proto::Table, name: &str| {
            let named = proto::OutputOverride { table_name: name.to_owned(), ..output(table, "a") };
            let message = proto::MaterializeRequest { outputs: vec![named], ..asked() };
            read_request(message).map(|(recipe, _)| recipe.overrides.fan_out.into_keys().collect::<Vec<_>>())
        };
        assert_eq!(named(proto::Table::Unspecified, "expansion"), Ok(vec![FanOut::Expansion]));
        assert_eq!(named(proto::Table::Expansion, "expansion"), Ok(vec![FanOut::Expansion]));
        assert_eq!(named(proto::Table::ChurnRisk, "expansion"), Err(RequestError::TwoTables(0)));
        let unknown = named(proto::Table::Unspecified, "scores").unwrap_err();
        assert_eq!(
            (&unknown, unknown.field().as_str()),
            (&RequestError::UnknownTableName(0, "scores".to_owned()), "outputs[0].table_name")
        );
        assert!(unknown.to_string().contains("expected `churn_risk` or `expansion`;"), "{unknown}");
        assert_eq!(
            read_explain_request(proto::ExplainCustomerRequest::default()).unwrap_err(),
            RequestError::NoCustomer
        );
    }
}

//! A typed client: asks a server for a run, and tells progress and failures in the words of this crate.

mod connect;

use std::error::Error;
use std::future::ready;
use std::path::Path;

use chrono::{DateTime, Utc};
use futures::stream::{self, Stream, StreamExt};
use tokio::sync::oneshot;
use tonic::Status;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

pub use connect::ClientOptions;

pub use crate::wire::values::convert_timestamp as timestamp;
use connect::Bearer;

use crate::component::{FanOut, Problem, Recipe};
use crate::error::ErrorKind;
use crate::wire::problems::read_problems;
use crate::wire::proto::component_source::Source;
use crate::wire::proto::customer_health_service_client::CustomerHealthServiceClient;
use crate::wire::proto::materialize_response::Event;
use crate::wire::proto::materialize_stream_request::Part;
use crate::wire::proto::materialize_stream_response::Event as StreamEvent;
use crate::wire::proto::{
    ComponentSource, DescribeComponentRequest, DescribeComponentResponse, ExplainCustomerRequest,
    ExplainCustomerResponse, Input, InputChunk, InputOverride, ListScorecardsRequest, LogLine, MaterializeRequest,
    MaterializeResult, MaterializeStreamRequest, MaterializeSyncRequest, MaterializeSyncResponse, OutputOverride,
    Progress, ScorecardListing, StreamStart, ValidateComponentRequest, ValidateComponentResponse, Warning,
};
use crate::wire::status::{read_code, read_reason};
use crate::wire::values::{convert_input, convert_table, table_name};

/// Bytes of a piece of an input: well below the 4 MiB that gRPC takes by default.
const CHUNK: usize = 1 << 20;

/// A connection to a server.
#[derive(Debug, Clone)]
pub struct Client {
    inner: CustomerHealthServiceClient<InterceptedService<Channel, Bearer>>,
}

/// What a server tells while a run works.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// The run got on.
    Progress(Progress),
    /// Something is not as it should be, though no error; the report has it again.
    Warning(Warning),
    /// A line for a log.
    Log(LogLine),
    /// The next piece of the scores, an Arrow IPC stream; of [`Client::materialize_stream`] only.
    Chunk(Vec<u8>),
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ClientError {
    /// What sort of failure it is.
    pub kind: ErrorKind,
    /// The server's words, or what kept it from answering.
    pub message: String,
    /// The component's problems, where it is at fault: as many as a status holds.
    pub problems: Vec<Problem>,
    /// How many problems there are; [`Client::validate_component`] tells them all.
    pub all_problems: usize,
}

impl ClientError {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), problems: Vec::new(), all_problems: 0 }
    }
}

impl Client {
    /// Connects to a server, such as `http://127.0.0.1:50051`.
    ///
    /// # Errors
    /// Where the address is none, or nobody answers there.
    pub async fn connect(uri: &str) -> Result<Self, ClientError> {
        Self::connect_with(uri, &ClientOptions::default()).await
    }

    /// Connects to a server that wants to know who calls, such as `https://scores.example.com:50051`.
    ///
    /// # Errors
    /// Where the address is none, the options do not go with it, or nobody answers there.
    pub async fn connect_with(uri: &str, options: &ClientOptions) -> Result<Self, ClientError> {
        let (channel, bearer) = connect::connect(uri, options).await?;
        Ok(Self { inner: CustomerHealthServiceClient::with_interceptor(channel, bearer) })
    }

    /// Runs until the table is published; `on_notice` hears of everything before that. Dropping the future cancels the
    /// run.
    ///
    /// # Errors
    /// What the server says, or that it went away.
    pub async fn materialize(
        &mut self,
        request: MaterializeRequest,
        mut on_notice: impl FnMut(Notice),
    ) -> Result<MaterializeResult, ClientError> {
        let mut events = self.inner.materialize(request).await?.into_inner();
        while let Some(message) = events.message().await? {
            match message.event {
                Some(Event::Progress(progress)) => on_notice(Notice::Progress(progress)),
                Some(Event::Warning(warning)) => on_notice(Notice::Warning(warning)),
                Some(Event::Log(line)) => on_notice(Notice::Log(line)),
                Some(Event::Result(result)) => return Ok(result),
                // An event of a later version.
                None => {}
            }
        }
        Err(no_result())
    }

    /// Sends inputs along, made by [`chunks`], and runs; the scores come back as [`Notice::Chunk`]s where `start` asks
    /// for them. Parts are taken no faster than the server stores them. Dropping the future cancels the run.
    ///
    /// # Errors
    /// What the server says, or that it went away.
    pub async fn materialize_stream(
        &mut self,
        start: StreamStart,
        chunks: impl Stream<Item = InputChunk> + Send + 'static,
        mut on_notice: impl FnMut(Notice),
    ) -> Result<MaterializeResult, ClientError> {
        // The transport goes on sending what it was given even when nobody waits for the answer any more: the parts must
        // end with this call.
        let (_alive, gone) = oneshot::channel::<()>();
        let start = stream::once(ready(Part::Start(start)));
        let parts = start.chain(chunks.map(Part::Chunk)).map(|part| MaterializeStreamRequest { part: Some(part) });
        let parts = parts.take_until(gone);
        let mut events = self.inner.materialize_stream(parts).await?.into_inner();
        while let Some(message) = events.message().await? {
            match message.event {
                Some(StreamEvent::Progress(progress)) => on_notice(Notice::Progress(progress)),
                Some(StreamEvent::Warning(warning)) => on_notice(Notice::Warning(warning)),
                Some(StreamEvent::Log(line)) => on_notice(Notice::Log(line)),
                Some(StreamEvent::Chunk(chunk)) => on_notice(Notice::Chunk(chunk.data)),
                Some(StreamEvent::Result(result)) => return Ok(result),
                // An event of a later version.
                None => {}
            }
        }
        Err(no_result())
    }

    /// Runs until the table is published, and tells what came of it in short. Dropping the future cancels the run.
    ///
    /// # Errors
    /// What the server says, or that it went away.
    pub async fn materialize_sync(
        &mut self,
        request: MaterializeSyncRequest,
    ) -> Result<MaterializeSyncResponse, ClientError> {
        Ok(self.inner.materialize_sync(request).await?.into_inner())
    }

    /// Checks a component; its problems are in the answer.
    ///
    /// # Errors
    /// What the server says, or that it went away.
    pub async fn validate_component(
        &mut self,
        request: ValidateComponentRequest,
    ) -> Result<ValidateComponentResponse, ClientError> {
        Ok(self.inner.validate_component(request).await?.into_inner())
    }

    /// What a component would do.
    ///
    /// # Errors
    /// What the server says, or that it went away.
    pub async fn describe_component(
        &mut self,
        request: DescribeComponentRequest,
    ) -> Result<DescribeComponentResponse, ClientError> {
        Ok(self.inner.describe_component(request).await?.into_inner())
    }

    /// Takes the score of one customer apart.
    ///
    /// # Errors
    /// What the server says, or that it went away.
    pub async fn explain_customer(
        &mut self,
        request: ExplainCustomerRequest,
    ) -> Result<ExplainCustomerResponse, ClientError> {
        Ok(self.inner.explain_customer(request).await?.into_inner())
    }

    /// The scorecards that are built in.
    ///
    /// # Errors
    /// What the server says, or that it went away.
    pub async fn list_scorecards(&mut self) -> Result<Vec<ScorecardListing>, ClientError> {
        Ok(self.inner.list_scorecards(ListScorecardsRequest {}).await?.into_inner().scorecards)
    }
}

fn no_result() -> ClientError {
    ClientError::new(ErrorKind::Internal, "the server ended the call without a result\nhint: the server's log says why")
}

/// An input in pieces of 1 MiB, the last one marked as such.
pub fn chunks(input: Input, bytes: &[u8]) -> impl Iterator<Item = InputChunk> {
    let pieces = bytes.len().div_ceil(CHUNK).max(1);
    (0..pieces).map(move |at| InputChunk {
        input: input.into(),
        data: bytes.chunks(CHUNK).nth(at).unwrap_or_default().to_vec(),
        last: at + 1 == pieces,
    })
}

/// The request that runs a recipe.
///
/// # Errors
/// Where the working directory, which a relative base folder starts from, cannot be told.
pub fn request(
    recipe: &Recipe,
    as_of: Option<DateTime<Utc>>,
    run_id: Option<&str>,
) -> std::io::Result<MaterializeRequest> {
    let overrides = &recipe.overrides;
    Ok(MaterializeRequest {
        component: Some(component(recipe)?),
        inputs: inputs(recipe),
        output: overrides.output.clone().unwrap_or_default(),
        history: overrides.history.clone().unwrap_or_default(),
        analysis_period_days: overrides.analysis_period_days,
        outputs: overrides.fan_out.iter().map(convert_override).collect(),
        as_of: as_of.map(timestamp),
        run_id: run_id.unwrap_or_default().to_owned(),
        ..MaterializeRequest::default()
    })
}

/// The component of a recipe, for any request.
///
/// # Errors
/// Where the working directory, which a relative base folder starts from, cannot be told.
pub fn component(recipe: &Recipe) -> std::io::Result<ComponentSource> {
    // An empty path is no path to `absolute`, but the working directory to a recipe.
    let base = if recipe.base_dir.as_os_str().is_empty() { Path::new(".") } else { &recipe.base_dir };
    Ok(ComponentSource {
        source: Some(Source::Text(recipe.text.clone())),
        file: recipe.file.clone(),
        base_dir: std::path::absolute(base)?.display().to_string(),
        variables: recipe.variables.clone().into_iter().collect(),
    })
}

/// The inputs that a recipe gives in place of the component's own, for any request.
pub fn inputs(recipe: &Recipe) -> Vec<InputOverride> {
    let inputs = recipe.overrides.inputs.iter();
    inputs
        .map(|(name, own)| InputOverride {
            input: convert_input(*name).into(),
            path: own.path.clone().unwrap_or_default(),
            r#where: own.filter.clone().unwrap_or_default(),
        })
        .collect()
}

fn convert_override((table, path): (&FanOut, &String)) -> OutputOverride {
    let (value, name) = (convert_table(Some(*table)), table_name(Some(*table)));
    OutputOverride { table: value.into(), table_name: name.to_owned(), path: path.clone() }
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        let known = read_reason(&status);
        // Without a reason it is not our server's answer: the connection broke, or something in between spoke.
        let kind = known.unwrap_or_else(|| {
            if status.source().is_some() { ErrorKind::Unavailable } else { read_code(status.code()) }
        });
        let message = match (known, status.source()) {
            (None, Some(source)) => connect::broken(&root_cause(source)),
            _ if status.message().is_empty() => status.code().description().to_lowercase(),
            _ => status.message().to_owned(),
        };
        let (problems, all_problems) = read_problems(&status);
        Self { kind, message, problems, all_problems }
    }
}

/// The innermost cause: `connection refused` says more than the `transport error` around it.
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// The Rust of the API's page compiles.
#[cfg(doctest)]
#[doc = include_str!("../docs/api.md")]
mod page {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::proto::REASON;

    #[test]
    fn the_reason_decides_the_kind_and_the_code_stands_in() {
        let mut status = Status::aborted("another run writes it");
        let told = ClientError::new(ErrorKind::OutputConflict, "another run writes it");
        assert_eq!(ClientError::from(status.clone()), told);
        status.metadata_mut().insert(REASON, "UNAVAILABLE".parse().unwrap());
        assert_eq!(ClientError::from(status).kind, ErrorKind::Unavailable);
        let bare = ClientError::from(Status::deadline_exceeded(""));
        assert_eq!((bare.kind, bare.message.contains("status:")), (ErrorKind::Unavailable, false));
    }

    #[test]
    fn a_relative_recipe_starts_from_the_working_directory() {
        let request = request(&Recipe::default(), None, None).unwrap();
        let here = std::env::current_dir().unwrap().display().to_string();
        assert_eq!(request.component.unwrap().base_dir, here);
    }
}

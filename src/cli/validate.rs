//! `validate`: is a component right, and do its inputs have what it needs?

use serde::Serialize;

use super::args::{ComponentArgs, LimitArgs};
use super::exit::{self, Failure};
use super::format::{self, Format, FormatArgs};
use super::print::{Lines, list};
use super::remote::{self, RemoteArgs};
use super::summary::input_name;
use super::{block_on, print};
use crate::component::Recipe;
use crate::wire;
use crate::wire::proto::{DescribeComponentRequest, DescribeComponentResponse, FieldOrigin};

/// Arguments of `validate`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
Reads no rows and writes nothing. All problems of the file are told at once, each with its line and column. Succeeds only
where a run could start: an input that does not exist is told with the rest, and the other ones are checked all the same.

Examples:
  customer-health validate component.yaml
  customer-health validate component.yaml --input usage=exports/usage.parquet
  customer-health validate component.yaml --format json | jq '.error.problems[] | {{line, message}}'
  customer-health validate component.yaml --server http://127.0.0.1:50051

{}", exit::HELP))]
pub struct ValidateArgs {
    #[command(flatten)]
    component: ComponentArgs,

    #[command(flatten)]
    remote: RemoteArgs,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    pub format: FormatArgs,
}

/// What is told of a component that could run.
#[derive(Serialize)]
struct Valid<'a> {
    valid: bool,
    file: &'a str,
    #[serde(flatten)]
    description: &'a DescribeComponentResponse,
}

/// Checks the component, then its inputs.
///
/// # Errors
/// All problems of the component, or what is wrong with an input.
pub fn run(args: &ValidateArgs) -> Result<(), Failure> {
    let recipe = args.component.recipe()?;
    let description = block_on(described(args, &recipe))?;
    let file = &args.component.file.display().to_string();
    match args.format.format {
        Format::Text => print::stdout(&text(file, &description)),
        Format::Json => format::document(&Valid { valid: true, file, description: &description }),
    }
}

async fn described(args: &ValidateArgs, recipe: &Recipe) -> Result<DescribeComponentResponse, Failure> {
    let Some(mut client) = args.remote.client().await? else {
        let (engine, component) = args.limits.opened(recipe).await?;
        let description = engine.describe(&component).await?;
        return Ok(wire::convert_description(&component, description));
    };
    let asked = remote::asked(recipe)?;
    let (component, inputs, history) = asked.clone();
    let described = client.describe_component(DescribeComponentRequest { component, inputs, history }).await;
    match described {
        Ok(description) => Ok(description),
        Err(error) => Err(remote::told_whole(&mut client, asked, error).await),
    }
}

fn text(file: &str, description: &DescribeComponentResponse) -> Lines {
    let columns: Vec<&str> = description.columns.iter().map(|column| column.name.as_str()).collect();
    let mut text = Lines::one(format_args!("{file} is valid, and its inputs can be read"));
    let asset = description.asset.as_ref().map(|asset| asset.name.as_str());
    text.line(format_args!("  asset: {}", asset.unwrap_or_default()));
    text.line(format_args!("  scorecard: {} {:.12}", description.scorecard_name, description.scorecard_hash));
    let output = Some(description.output.as_str()).filter(|output| !output.is_empty());
    text.line(format_args!("  output: {}", output.unwrap_or("not named; give it with --output")));
    text.line(format_args!("  columns: {}", columns.join(", ")));
    for input in &description.inputs {
        let has = input.fields.iter().filter(|field| field.origin() != FieldOrigin::Absent).count();
        text.line(format_args!("  input {}: {}", input_name(input.input()), input.path));
        text.line(format_args!("    key {}, {has} of {} fields found", input.key, input.fields.len()));
        for field in &input.fields {
            let from = match field.origin() {
                FieldOrigin::Column | FieldOrigin::Unspecified => String::new(),
                FieldOrigin::Alias => format!(": column {}", field.source),
                FieldOrigin::Expression => format!(": {}", field.source),
                FieldOrigin::Absent => ": no such column".to_owned(),
            };
            text.line(format_args!("    {}{from}", field.field));
        }
    }
    text.append(&list("warnings", &description.warnings));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::proto::{Asset, ColumnReport, FieldDescription, Input, InputDescription};

    #[test]
    fn the_summary_shows_where_each_field_comes_from() {
        let field = |name: &str, origin: FieldOrigin, source: &str| FieldDescription {
            field: name.into(),
            origin: origin.into(),
            source: source.into(),
            ..Default::default()
        };
        let column = |name: &str| ColumnReport { name: name.into(), ..Default::default() };
        let description = DescribeComponentResponse {
            asset: Some(Asset { name: "customer_health_scores".into(), ..Default::default() }),
            scorecard_name: "default".into(),
            scorecard_hash: "0123456789abcdef".into(),
            output: "out.parquet".into(),
            columns: vec![column("customer_id"), column("health_score")],
            inputs: vec![InputDescription {
                input: Input::Usage.into(),
                path: "/data/u.parquet".into(),
                key: "customer_id".into(),
                fields: vec![
                    field("session_count", FieldOrigin::Alias, "sessions"),
                    field("usage_change", FieldOrigin::Expression, "a - b"),
                    field("core_feature_usage", FieldOrigin::Absent, ""),
                ],
            }],
            warnings: vec!["mind the gap".into()],
            ..Default::default()
        };
        insta::assert_snapshot!(text("component.yaml", &description).as_str(), @r"
        component.yaml is valid, and its inputs can be read
          asset: customer_health_scores
          scorecard: default 0123456789ab
          output: out.parquet
          columns: customer_id, health_score
          input usage: /data/u.parquet
            key customer_id, 2 of 3 fields found
            session_count: column sessions
            usage_change: a - b
            core_feature_usage: no such column

        warnings
          - mind the gap
        ");
    }
}

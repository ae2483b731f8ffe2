//! `schema`: the JSON Schemas of component.yaml and of scorecard files.

use super::exit::Failure;
use super::print;
use crate::component;
use crate::error::ErrorKind;

/// Arguments of `schema`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  customer-health schema > component.schema.json
  customer-health schema --scorecard > scorecard.schema.json

With this as its first line, editors complete and check a component.yaml:
  # yaml-language-server: $schema=component.schema.json")]
pub struct SchemaArgs {
    /// The schema of scorecard files, which `scorecard:` and `extends:` name
    #[arg(long)]
    scorecard: bool,
}

/// Prints the schema.
///
/// # Errors
/// Where stdout cannot be written.
pub fn run(args: &SchemaArgs) -> Result<(), Failure> {
    let schema = if args.scorecard { component::scorecard_schema() } else { component::json_schema() };
    let text = serde_json::to_string_pretty(&schema)
        .map_err(|error| Failure::new(ErrorKind::Internal, format!("the schema cannot be written: {error}")))?;
    print::document(&format!("{text}\n"))
}

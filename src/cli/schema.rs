//! `schema`: the JSON Schema of component.yaml.

use super::exit::Failure;
use super::print;
use crate::component;
use crate::error::ErrorKind;

/// Arguments of `schema`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  customer-health schema > component.schema.json

With this as its first line, editors complete and check a component.yaml:
  # yaml-language-server: $schema=component.schema.json")]
pub struct SchemaArgs {}

/// Prints the schema.
///
/// # Errors
/// Where stdout cannot be written.
pub fn run(_: &SchemaArgs) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(&component::json_schema())
        .map_err(|error| Failure::new(ErrorKind::Internal, format!("the schema cannot be written: {error}")))?;
    print::stdout(&format!("{text}\n"))
}

//! `init`: a starter component.yaml, from the schemas of the tables that one has.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use arrow::datatypes::{DataType, SchemaRef};
use serde_json::json;

use super::exit::{self, Failure};
use super::format::{self, Format, FormatArgs};
use super::starter::{self, Table};
use super::{args, block_on, print};
use crate::component::{Component, InputOverride, Overrides, Recipe};
use crate::engine::{Engine, EngineConfig};
use crate::error::ErrorKind;
use crate::scorecard::{InputName, Scorecard};

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = format!("\
Only schemas are read. Which input a table is shows in its columns; say it with --input where they do not tell.

Examples:
  customer-health init data/*.parquet -o component.yaml
  customer-health init --input usage=events.parquet accounts.parquet > component.yaml

{}", exit::HELP)
)]
pub struct InitArgs {
    /// Parquet, Arrow, CSV or JSON files, or folders of files with the same columns, one to four
    #[arg(value_name = "PATH", required_unless_present = "inputs")]
    paths: Vec<String>,

    /// A table of which you say what it is: NAME is customer, subscription, usage or support (repeatable)
    #[arg(long = "input", value_name = "NAME=PATH", value_parser = args::input)]
    inputs: Vec<(InputName, String)>,

    /// Write here; stdout if left out
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Overwrite the file if it exists
    #[arg(long, requires = "output")]
    force: bool,

    #[command(flatten)]
    pub format: FormatArgs,
}

/// Writes the starter.
///
/// # Errors
/// Where a table cannot be read, it is not clear which input it is, or the file exists.
pub fn run(args: &InitArgs) -> Result<(), Failure> {
    if let Some(output) = args.output.as_deref().filter(|output| output.exists() && !args.force) {
        return Err(in_the_way(output));
    }
    let card = starter::default_scorecard()?;
    let tables = block_on(tables(args, &card))?;
    let text = starter::yaml(&card, &tables);
    if let Some(output) = &args.output {
        write(output, &text, args.force)?;
    }
    let names: Vec<&str> = tables.keys().map(|name| name.as_str()).collect();
    match (args.format.format, args.output.as_deref().map(Path::display)) {
        (Format::Json, file) => {
            let file = file.map(|file| file.to_string());
            format::document(&json!({"file": file, "inputs": names, "text": text}))
        }
        (Format::Text, None) => print::stdout(&text),
        (Format::Text, Some(file)) => {
            print::stdout(&format!("wrote {file} with {}\nnext: customer-health validate {file}\n", names.join(", ")))
        }
    }
}

async fn tables(args: &InitArgs, card: &Scorecard) -> Result<BTreeMap<InputName, Table>, Failure> {
    let engine = Engine::new(EngineConfig::default())?;
    let mut tables: BTreeMap<InputName, Table> = BTreeMap::new();
    let told = args.inputs.iter().map(|(name, path)| (Some(*name), path));
    for (told, path) in told.chain(args.paths.iter().map(|path| (None, path))) {
        let schema = engine.read_schema(&args::absolute(path)?).await?;
        let columns: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let name = match told {
            Some(name) => name,
            None => starter::guess(card, path, &columns).map_err(|between| undecided(path, &between))?,
        };
        let key = key(&engine, name, path).await?;
        let table = Table { path: path_in_yaml(path, args.output.as_deref())?, key, columns, times: times(&schema) };
        if let Some(other) = tables.insert(name, table) {
            return Err(Failure::new(
                ErrorKind::InvalidInput,
                format!(
                    "both `{}` and `{path}` look like the input `{name}`\n\
                     hint: say which is which, as in `--input {name}={path}`, for both or without the other",
                    other.path
                ),
            ));
        }
    }
    Ok(tables)
}

/// The column that the engine would take for the customer's id; `None` where it finds none.
async fn key(engine: &Engine, name: InputName, path: &str) -> Result<Option<String>, Failure> {
    let inputs = BTreeMap::from([(name, InputOverride::path(args::absolute(path)?))]);
    let recipe = Recipe { overrides: Overrides { inputs, ..Overrides::default() }, ..Recipe::default() };
    let described = engine.describe(&Component::new(&recipe)?).await;
    Ok(described.ok().and_then(|description| description.inputs.into_iter().next()).map(|input| input.key))
}

fn times(schema: &SchemaRef) -> Vec<String> {
    let is_time =
        |data_type: &DataType| matches!(data_type, DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64);
    schema.fields().iter().filter(|field| is_time(field.data_type())).map(|field| field.name().clone()).collect()
}

/// Paths in a component start from its folder: as given where that is the working directory, else absolute.
fn path_in_yaml(path: &str, output: Option<&Path>) -> Result<String, Failure> {
    let folder = output.and_then(Path::parent).unwrap_or(Path::new(""));
    if folder.as_os_str().is_empty() || folder == Path::new(".") { Ok(path.to_owned()) } else { args::absolute(path) }
}

fn undecided(path: &str, between: &[InputName]) -> Failure {
    let names: Vec<&str> = between.iter().map(|name| name.as_str()).collect();
    Failure::new(
        ErrorKind::InvalidInput,
        format!(
            "cannot tell which input `{path}` is: its columns fit {} alike\nhint: say it, as in `--input {}={path}`",
            names.join(", "),
            names.first().unwrap_or(&"usage")
        ),
    )
}

fn in_the_way(output: &Path) -> Failure {
    let message = format!("{} exists\nhint: --force overwrites it", output.display());
    Failure::new(ErrorKind::OutputConflict, message)
}

fn write(output: &Path, text: &str, force: bool) -> Result<(), Failure> {
    // `create_new` refuses a file that appeared since it was looked for.
    let mut options = OpenOptions::new();
    options.write(true).create_new(!force).create(force).truncate(force);
    let outcome = options.open(output).and_then(|mut file| file.write_all(text.as_bytes()));
    outcome.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => in_the_way(output),
        _ => Failure::io(&format!("cannot write {}", output.display()), &error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_the_way_stays_unless_forced() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("component.yaml");
        write(&output, "a: long text", false).unwrap();
        assert_eq!(write(&output, "b", false).unwrap_err().code, exit::OUTPUT_CONFLICT);
        assert_eq!(std::fs::read_to_string(&output).unwrap(), "a: long text");
        write(&output, "b", true).unwrap();
        assert_eq!(std::fs::read_to_string(&output).unwrap(), "b");
        assert_eq!(write(&folder.path().join("no/c.yaml"), "c", false).unwrap_err().code, exit::NOT_FOUND);
    }

    #[test]
    fn paths_stay_as_given_where_the_file_lies_in_the_working_directory() {
        let here = std::env::current_dir().unwrap().join("a.parquet").display().to_string();
        assert_eq!(path_in_yaml("a.parquet", None).unwrap(), "a.parquet");
        assert_eq!(path_in_yaml("a.parquet", Some(Path::new("component.yaml"))).unwrap(), "a.parquet");
        assert_eq!(path_in_yaml("a.parquet", Some(Path::new("conf/component.yaml"))).unwrap(), here);
    }
}

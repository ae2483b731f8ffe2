//! `init`: a starter component.yaml, from the schemas of the tables that one has.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::exit::{self, Failure};
use super::format::{self, Format, FormatArgs};
use super::print::{self, Lines};
use super::starter;
use super::taken::{self, Taken};
use super::{args, block_on};
use crate::error::ErrorKind;
use crate::scorecard::InputName;
use crate::shown::shown;

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = format!("\
Only schemas are read. Which input a table is shows in its columns and in its name; say it with --input where neither tells.
A folder is looked through for tables. What cannot be taken is told and left out, and the component that is written is valid;
it is an error where nothing is left, a path leads nowhere, or a table of --input cannot be taken.

Examples:
  customer-health init data/ -o component.yaml
  customer-health init data/*.parquet -o component.yaml
  customer-health init --input usage=events.parquet accounts.parquet > component.yaml

{}", exit::HELP)
)]
pub struct InitArgs {
    /// Parquet, Arrow, CSV or JSON files, folders of files with the same columns, or folders of such files and folders
    #[arg(value_name = "PATH", required_unless_present = "inputs")]
    pub paths: Vec<String>,

    /// A table of which you say what it is: NAME is customer, subscription, usage or support (repeatable)
    #[arg(long = "input", value_name = "NAME=PATH", value_parser = args::input)]
    pub inputs: Vec<(InputName, String)>,

    /// Write here; stdout if left out
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Overwrite the file if it exists
    #[arg(long, requires = "output")]
    force: bool,

    #[command(flatten)]
    pub format: FormatArgs,
}

impl InitArgs {
    /// The file to write.
    pub fn output(&self) -> Option<&Path> {
        self.output.as_deref()
    }
}

/// Writes the starter.
///
/// # Errors
/// Where no table can be taken, one that was named is not there or cannot be read, or the file exists.
pub fn run(args: &InitArgs) -> Result<(), Failure> {
    if let Some(output) = args.output.as_deref().filter(|output| output.exists() && !args.force) {
        return Err(in_the_way(output));
    }
    let mut names = BTreeSet::new();
    if let Some((name, _)) = args.inputs.iter().find(|(name, _)| !names.insert(*name)) {
        return Err(args::twice(*name));
    }
    let card = starter::default_scorecard()?;
    let Taken { tables, notes } = block_on(taken::take(args, &card))?;
    let text = starter::yaml(&card, &tables, &notes);
    if let Some(output) = &args.output {
        write(output, &text, args.force)?;
    }
    for note in &notes {
        print::stderr(&note.lines());
    }
    let names: Vec<&str> = tables.keys().map(|name| name.as_str()).collect();
    match (args.format.format, args.output.as_deref().map(Path::display)) {
        (Format::Json, file) => {
            let file = file.map(|file| file.to_string());
            format::document(&json!({"file": file, "inputs": names, "notes": notes, "text": text}))
        }
        (Format::Text, None) => print::document(&text),
        (Format::Text, Some(file)) => {
            let mut lines = Lines::one(format_args!("wrote {file} with {}", names.join(", ")));
            lines.line(format_args!("next: customer-health validate {file}"));
            print::stdout(&lines)
        }
    }
}

fn in_the_way(output: &Path) -> Failure {
    let message = format!("{} exists\nhint: --force overwrites it", shown(output.display()));
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
}

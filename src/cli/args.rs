//! Arguments that several subcommands share, and how their texts are read.

use std::path::PathBuf;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Utc};
use clap::Args;

use super::exit::Failure;
use crate::component::{Component, InputOverride, Recipe};
use crate::engine::{Engine, EngineConfig};
use crate::error::ErrorKind;
use crate::scorecard::InputName;

/// Which component, and what the command line puts in place of its own.
#[derive(Debug, Args)]
pub struct ComponentArgs {
    /// The component.yaml; paths in it start from its folder
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Use this table in place of the one in FILE; NAME is customer, subscription, usage or support, PATH a file,
    /// folder, glob or URI (repeatable)
    #[arg(long = "input", value_name = "NAME=PATH", value_parser = input)]
    pub inputs: Vec<(InputName, String)>,

    /// Earlier scores for the trend, in place of the component's `history`
    #[arg(long, value_name = "PATH")]
    pub history: Option<String>,
}

impl ComponentArgs {
    /// Reads the component's text, with the command line's inputs and history in place of its own.
    ///
    /// # Errors
    /// Where the file cannot be read or an input is given twice.
    pub fn recipe(&self) -> Result<Recipe, Failure> {
        let mut recipe = Recipe::read(&self.file).map_err(|error| {
            let kind = if self.file.exists() { error.kind() } else { ErrorKind::NotFound };
            Failure::new(kind, error.to_string()).told_by(error.problems)
        })?;
        for (name, path) in &self.inputs {
            let path = absolute(path)?;
            if recipe.overrides.inputs.insert(*name, InputOverride::path(path)).is_some() {
                return Err(twice(*name));
            }
        }
        recipe.overrides.history = self.history.as_deref().map(absolute).transpose()?;
        Ok(recipe)
    }
}

/// An input that is given twice.
pub fn twice(name: InputName) -> Failure {
    Failure::usage(format!(
        "`--input {name}=...` is given twice\nhint: give one path for each input; a path may be a glob"
    ))
}

/// The arguments below, which are the server's own where there is one.
pub const LIMITS: [&str; 5] = ["memory_limit", "temp_dir", "temp_limit", "max_rows", "max_input_bytes"];

/// What a run may use.
#[derive(Debug, Clone, Args)]
pub struct LimitArgs {
    /// Memory that runs may use before they spill to disk, such as 512MiB, 2GiB or 4GB; six tenths of the machine's if
    /// left out
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    pub memory_limit: Option<usize>,

    /// Folder for temporary files; the system's if left out
    #[arg(long, value_name = "DIR")]
    pub temp_dir: Option<PathBuf>,

    /// Disk that data spilled there may take, of all runs together; 64GiB if left out
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    pub temp_limit: Option<usize>,

    /// Rows that an input may have; ten billion if left out
    #[arg(long, value_name = "N")]
    pub max_rows: Option<u64>,

    /// Bytes that an input may have, unpacked where its files tell; 1TiB if left out
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    pub max_input_bytes: Option<usize>,
}

impl LimitArgs {
    /// The engine's configuration.
    pub fn engine(&self) -> EngineConfig {
        EngineConfig {
            memory_limit: self.memory_limit,
            temp_dir: self.temp_dir.clone(),
            temp_limit: self.temp_limit.map(|bytes| bytes as u64),
            max_rows: self.max_rows,
            max_input_bytes: self.max_input_bytes.map(|bytes| bytes as u64),
            ..EngineConfig::default()
        }
    }

    /// An engine in this process, and the component of a recipe.
    ///
    /// # Errors
    /// Where there can be no such engine, or the component is wrong.
    pub async fn opened(&self, recipe: &Recipe) -> Result<(Engine, Component), Failure> {
        let engine = Engine::new(self.engine())?;
        let component = engine.component(recipe).await?;
        Ok((engine, component))
    }
}

/// A path given on the command line, which starts from the working directory whatever the component's folder is.
///
/// # Errors
/// Where the working directory cannot be told.
pub fn absolute(path: &str) -> Result<String, Failure> {
    if path.contains("://") {
        return Ok(path.to_owned());
    }
    let path = std::path::absolute(path).map_err(|error| Failure::io(&format!("cannot resolve `{path}`"), &error))?;
    Ok(path.display().to_string())
}

/// Reads `NAME=PATH`.
pub fn input(text: &str) -> Result<(InputName, String), String> {
    let Some((name, path)) = text.split_once('=') else {
        return Err("expected NAME=PATH, such as usage=data/usage.parquet".to_owned());
    };
    let name = name.trim().parse()?;
    if path.trim().is_empty() {
        return Err(format!("the path of `{name}` is empty"));
    }
    Ok((name, path.to_owned()))
}

/// Reads a server's address, such as `http://127.0.0.1:50051`.
pub fn server(text: &str) -> Result<String, String> {
    let address = url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    match address {
        Some(_) => Ok(text.to_owned()),
        None => Err("expected http://HOST:PORT or https://HOST:PORT, as `customer-health serve` prints it".to_owned()),
    }
}

/// Years that a run can be told to be in, on the wire as here: outside of them times can be neither written nor sent.
const YEARS: std::ops::RangeInclusive<i32> = 1..=9999;

/// Reads a moment: RFC 3339, or a date, which is its midnight UTC.
pub fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    let date = text.parse::<NaiveDate>().map(|date| date.and_time(NaiveTime::MIN).and_utc());
    let time = date.or_else(|_| DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()));
    match time {
        Ok(time) if YEARS.contains(&time.year()) => Ok(time),
        Ok(_) => Err("expected a time in the years 1 to 9999".to_owned()),
        Err(_) => Err("expected a date such as 2025-06-30 or a moment such as 2025-06-30T18:00:00Z".to_owned()),
    }
}

/// Less than this is a forgotten unit.
const SMALLEST_LIMIT: f64 = 1024.0 * 1024.0;

/// Reads `NAME=VALUE`.
pub fn tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE, such as job=nightly".to_owned()),
    }
}

/// Reads a number of bytes, such as `2GiB`.
pub fn memory(text: &str) -> Result<usize, String> {
    let wrong = || "expected a size such as 512MiB, 2GiB or 4GB".to_owned();
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let factor: f64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        "k" | "kib" => 1024.0,
        "m" | "mib" => 1024.0 * 1024.0,
        "g" | "gib" => 1024.0 * 1024.0 * 1024.0,
        "t" | "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return Err(wrong()),
    };
    let bytes = (number * factor).round();
    if bytes < SMALLEST_LIMIT {
        return Err(format!("a limit below 1MiB leaves nothing to run with; {}", wrong()));
    }
    // Saturates where the number exceeds the address space, which is as good as no limit.
    Ok(bytes as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_units() {
        assert_eq!(memory("4194304"), Ok(4 << 20));
        assert_eq!(memory("2GiB"), Ok(2 << 30));
        assert_eq!(memory("1.5 mb"), Ok(1_500_000));
        for wrong in ["", "GiB", "2XB", "0", "64", "-1", "1.2.3GB"] {
            assert!(memory(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_date_is_its_midnight() {
        assert_eq!(moment("2025-06-30").unwrap().to_rfc3339(), "2025-06-30T00:00:00+00:00");
        assert_eq!(moment("2025-06-30T02:00:00+02:00").unwrap().to_rfc3339(), "2025-06-30T00:00:00+00:00");
        assert!(moment("30.6.2025").is_err());
        assert!(moment("0001-01-01").is_ok() && moment("9999-12-31").is_ok());
        for edge in ["0000-12-31", "+10000-01-01", "-262143-01-01", "+262142-12-31", "9999-12-31T23:59:59-01:00"] {
            assert!(moment(edge).is_err(), "{edge}");
        }
    }

    #[test]
    fn inputs_have_a_known_name_and_a_path() {
        assert_eq!(input("usage=a=b.parquet"), Ok((InputName::Usage, "a=b.parquet".to_owned())));
        assert!(input("usages=a").unwrap_err().contains("unknown input `usages`"));
        assert!(input("usage").is_err() && input("usage=").is_err());
    }

    #[test]
    fn a_server_is_an_http_address() {
        assert!(server("http://127.0.0.1:50051").is_ok() && server("https://[::1]:50051").is_ok());
        for wrong in ["", "127.0.0.1:50051", "localhost:50051", "ftp://host:1", "http://"] {
            assert!(server(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn uris_stay_and_paths_become_absolute() {
        assert_eq!(absolute("s3://bucket/key").unwrap(), "s3://bucket/key");
        let here = std::env::current_dir().unwrap();
        assert_eq!(absolute("a/*.parquet").unwrap(), here.join("a/*.parquet").display().to_string());
    }
}

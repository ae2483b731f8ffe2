//! What files, columns, customers and keys are called never forges a line and never steers a terminal: it is shown escaped
//! wherever people read it, and as it is where programs do.

use std::process::{Command, Output};

use customer_health::proto::{MaterializeRequest, ValidateComponentRequest};
use serde_json::Value;
use tonic_types::StatusExt;

use crate::support::{Folder, Running, Served, batch, block_on, ints, serve, source, texts};

/// A line end, a colour, a C1 control that is one in a single character, and what turns the text behind it.
const NAME: &str = "a\nFORGED\r\u{1b}[31m\u{9b}2J\u{202e}z";

/// The same in a line for people.
const SHOWN: &str = "a\\nFORGED\\r\\u{1b}[31m\\u{9b}2J\\u{202e}z";

/// A file that can be read; controls are not, whatever system allows them.
const FILE: &str = "t\u{202e}.parquet";

/// A text of YAML that reads back as this one.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\' || c == ' ';
    let parts: String =
        text.chars().map(|c| if plain(c) { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) }).collect();
    format!("\"{parts}\"")
}

/// A customer's table in which all is called so that it ends lines, and a component that reads it.
fn folder() -> (Folder, String) {
    let folder = Folder::new();
    let (key, time, column) = (format!("{NAME}_key"), format!("{NAME}_time"), format!("{NAME}_days"));
    folder.parquet(
        FILE,
        &batch([
            (&key, texts([NAME, "b", "c"])),
            (&time, texts(["2025-06-20", "2025-06-21", NAME])),
            (&column, ints([3, 4, 5])),
        ]),
    );
    let fields = format!("{{active_days: {}, login_frequency: 0}}", quoted(&format!("\"{column}\"")));
    let text = format!(
        "inputs:\n  customer:\n    path: {}\n    key: {}\n    timestamp: {}\n    fields: {fields}\noutput: {}\n",
        quoted(FILE),
        quoted(&key),
        quoted(&time),
        quoted(&format!("out{FILE}")),
    );
    folder.text("c.yaml", &text);
    (folder, text)
}

fn run(folder: &Folder, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_customer-health"));
    command.current_dir(folder.path("")).env_remove("RUST_LOG").args(arguments).output().unwrap()
}

/// Looks at bytes as a terminal does: no controls but line ends, and each of these is ours.
#[track_caller]
fn tame(bytes: &[u8]) -> String {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let steers = |c: char| c != '\n' && (c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c));
    assert!(!text.contains(steers), "it steers: {text:?}");
    let forged = text.lines().any(|line| line.trim_start().starts_with("FORGED"));
    assert!(!forged, "a line is forged: {text}");
    text
}

/// What a command says in words, on stdout and on stderr.
#[track_caller]
fn told(folder: &Folder, arguments: &[&str], code: i32) -> (String, String) {
    let output = run(folder, arguments);
    let (stdout, stderr) = (tame(&output.stdout), tame(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stdout}{stderr}");
    (stdout, stderr)
}

#[test]
fn a_run_its_checks_and_what_explains_it() {
    let (folder, _) = folder();
    let at = ["--as-of", "2025-07-01"];
    let (stdout, _) = told(&folder, &["validate", "c.yaml"], 0);
    for part in ["t\\u{202e}.parquet\n", &format!("key {SHOWN}_key"), &format!("active_days: \"{SHOWN}_days\"")] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    let (stdout, _) = told(&folder, &[&["materialize", "c.yaml", "--checks"], &at[..]].concat(), 0);
    for part in ["t\\u{202e}.parquet\n", &format!("{SHOWN}_key (key)"), &format!("\"{SHOWN}\" (1)")] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    assert!(stdout.contains("/outt\\u{202e}.parquet (2 rows"), "{stdout}");
    assert!(folder.path(&format!("out{FILE}")).is_file(), "paths are what they were");
    let (stdout, _) = told(&folder, &[&["explain", "c.yaml", NAME], &at[..]].concat(), 0);
    assert!(stdout.starts_with(&format!("{SHOWN}: health score ")), "{stdout}");
    let (stdout, _) = told(&folder, &["explain", "c.yaml", "--plan"], 0);
    assert!(stdout.contains(&format!("{SHOWN}_days")) && stdout.contains("\n  "), "{stdout}");
    let (_, stderr) = told(&folder, &[&["explain", "c.yaml", "x\nFORGED"], &at[..]].concat(), 5);
    assert!(stderr.contains("`x\\nFORGED` is in none of the inputs\n  hint: "), "{stderr}");
}

#[test]
fn what_is_wrong_with_a_component() {
    let (folder, text) = folder();
    let wrong = |old: &str, new: &str, part: &str| {
        assert!(text.contains(old), "{old}");
        folder.text("wrong.yaml", &text.replace(old, new));
        for command in ["validate", "materialize"] {
            let output = run(&folder, &[command, "wrong.yaml"]);
            let stderr = tame(&output.stderr);
            assert!(!output.status.success() && stderr.contains(part), "{command} {new}: {stderr}");
            assert!(tame(&output.stdout).is_empty(), "{command} {new}");
        }
    };
    let name = quoted(NAME);
    wrong("output:", &format!("{name}: 1\noutput:"), &format!("unknown key `{SHOWN}`"));
    wrong("    timestamp:", &format!("    {name}: 1\n    timestamp:"), &format!("unknown key `{SHOWN}`"));
    wrong("output:", &format!("components: {{{name}: {{weight: 1}}}}\noutput:"), SHOWN);
    wrong("output:", &format!("scorecard: {name}\noutput:"), SHOWN);
    wrong("login_frequency: 0", &format!("login_frequency: {}", quoted(&format!("\"{NAME}\""))), SHOWN);
    wrong("login_frequency: 0", &format!("login_frequency: {}", quoted(&format!("sum('{NAME}')"))), "'sum'");
    wrong(&quoted(FILE), &quoted(&format!("{NAME}.parquet")), SHOWN);
    wrong("_key\"\n", "_kez\"\n", &format!("{SHOWN}_kez"));
    wrong("output:", &format!("history: {name}\npopulation: {name}\noutput:"), SHOWN);
}

#[test]
fn what_is_wrong_with_files_and_command_lines() {
    let (folder, _) = folder();
    let nothing = format!("{NAME}.yaml");
    assert!(told(&folder, &["validate", &nothing], 5).1.contains(SHOWN));
    assert!(told(&folder, &["materialize", "c.yaml", &format!("--{NAME}")], 2).1.contains(SHOWN));
    assert!(told(&folder, &["materialize", "c.yaml", "--input", &format!("{NAME}=x")], 2).1.contains(SHOWN));
    assert!(told(&folder, &["validate", "c.yaml", "--server", &format!("http://{NAME}")], 2).1.contains(SHOWN));
    assert!(told(&folder, &["serve", "--token-file", NAME], 5).1.contains(SHOWN));
    assert!(told(&folder, &["serve", "--components", NAME], 5).1.contains(SHOWN));
    // A file of a folder that cannot be read.
    folder.text(&format!("d/{NAME}.csv"), "customer_id,active_days\na,1,2\n");
    told(&folder, &["validate", "c.yaml", "--input", "customer=d"], 4);
    folder.text("header.csv", &format!("\"{NAME}\";b\n1;2\n"));
    told(&folder, &["validate", "c.yaml", "--input", "customer=header.csv"], 4);
    let output = folder.path("").join(NAME);
    assert!(
        told(&folder, &["materialize", "c.yaml", "--output", &format!("{}/x/", output.display())], 3).1.contains(SHOWN)
    );
}

#[test]
fn programs_get_names_as_they_are() {
    let (folder, text) = folder();
    let document = |arguments: &[&str]| -> Value {
        let output = run(&folder, &[arguments, &["--format", "json"]].concat());
        serde_json::from_str(&tame(&output.stdout)).unwrap()
    };
    let explained = document(&["explain", "c.yaml", NAME, "--as-of", "2025-07-01"]);
    assert_eq!(explained["customer_id"], NAME);
    assert_eq!(document(&["validate", "c.yaml"])["inputs"][0]["key"], format!("{NAME}_key"));
    folder.text("wrong.yaml", &format!("{}: 1\n{text}", quoted(NAME)));
    let here = document(&["validate", "wrong.yaml"]);
    assert_eq!(here["error"]["message"], format!("unknown key `{NAME}`"));
    let run = document(&["materialize", "wrong.yaml", "--quiet"]);
    assert_eq!(run, here, "a run is told of by a server, which says the same");

    let running = block_on(Running::start());
    let component = source(&format!("{}: 1\n{text}", quoted(NAME)), &folder.path(""));
    let request = ValidateComponentRequest { component: component.clone(), ..Default::default() };
    let answer = block_on(async { running.client().await.validate_component(request).await }).unwrap();
    assert_eq!(answer.problems[0].message, format!("unknown key `{NAME}`"));
    let request = MaterializeRequest { component, ..Default::default() };
    let status = block_on(async { running.raw().await.materialize(request).await.unwrap_err() });
    tame(status.message().as_bytes());
    let details = status.get_error_details();
    let told = &details.bad_request().unwrap().field_violations[0];
    assert!(told.description.contains(&format!("unknown key `{NAME}`")), "{told:?}");
    block_on(running.stop());
}

/// What a server and a run with `RUST_LOG` write: a line for an event, which programs read back.
#[test]
fn a_log_has_a_line_for_each_event() {
    let (folder, _) = folder();
    let mut command = Command::new(env!("CARGO_BIN_EXE_customer-health"));
    command.current_dir(folder.path("")).env("RUST_LOG", "info").args(["materialize", "c.yaml", "--quiet"]);
    let log = tame(&command.args(["--as-of", "2025-07-01"]).output().unwrap().stderr);
    assert!(log.contains("run done") && log.contains("outt\\u{202e}.parquet"), "{log}");

    folder.text(&format!("d/{NAME}.yaml"), "inputz: {}\n");
    let human = Served::of(serve(&folder, &["--components", "d"])).stop();
    assert!(tame(human.as_bytes()).contains("unknown key `inputz`"), "{human}");
    let json = Served::of(serve(&folder, &["--components", "d", "--log-format", "json"])).stop();
    let lines: Vec<Value> = tame(json.as_bytes()).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let named = lines.iter().any(|line| line["component"] == NAME);
    assert!(named, "{json}");
}

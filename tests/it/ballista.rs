//! `--engine ballista`: a scheduler and two executors, processes of their own (`--example ballista`), score what this process
//! scores, and what becomes of a run when they do not.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{SortOptions, sort_to_indices, take_record_batch};
use arrow::datatypes::Float64Type;

use crate::support::{Folder, batch, floats, ints, read_parquet, texts};

/// Fewer where the engine was compiled without optimization and needs minutes for a million.
const CUSTOMERS: usize = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };

/// How long anything may take that has to end.
const BOUND: Duration = Duration::from_secs(180);

/// Shuffled bytes that only the plan of the scores comes to.
const SCORING: u64 = 500_000;

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until something holds.
#[track_caller]
fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < BOUND, "{what}: not within {BOUND:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A process that ends with the test.
struct Process(Child);

impl Process {
    fn start(args: &[&str]) -> Self {
        let test = std::env::current_exe().unwrap();
        let program = test.parent().unwrap().parent().unwrap().join("examples/ballista");
        Self(Command::new(program).args(args).stdout(Stdio::null()).spawn().unwrap())
    }

    fn kill(&mut self) {
        drop(self.0.kill());
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A scheduler and two executors.
struct Cluster {
    port: u16,
    work: Folder,
    executors: Vec<Process>,
    _scheduler: Process,
}

impl Cluster {
    fn start() -> Self {
        let (port, work) = (free_port(), Folder::new());
        let scheduler = Process::start(&["scheduler", &port.to_string()]);
        wait_for("the scheduler listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        let executor = |name: &str| {
            let ports = [port, free_port(), free_port()].map(|port| port.to_string());
            let folder = work.path(name);
            fs::create_dir(&folder).unwrap();
            Process::start(&["executor", &ports[0], &ports[1], &ports[2], folder.to_str().unwrap()])
        };
        let executors = ["one", "two"].map(executor).into();
        wait_for("the executors are known", || ready(port));
        Self { port, work, executors, _scheduler: scheduler }
    }

    fn address(&self) -> String {
        format!("df://127.0.0.1:{}", self.port)
    }

    fn run(&self, folder: &Folder, output: &str) -> Process {
        start(folder, output, &["--engine", "ballista", "--scheduler", &self.address(), "--partitions", "4"])
    }

    /// Bytes that an executor, or all, have shuffled.
    fn shuffled(&self, executor: &str) -> u64 {
        bytes_below(&self.work.path(executor))
    }

    /// Tells all executors.
    fn signal(&self, signal: &str) {
        for executor in &self.executors {
            assert!(Command::new("kill").args([signal, &executor.0.id().to_string()]).status().unwrap().success());
        }
    }
}

fn ready(port: u16) -> bool {
    let mut answer = String::new();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").unwrap();
    stream.read_to_string(&mut answer).unwrap();
    answer.contains("ready: 2 executors")
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => bytes_below(&entry.path()),
            Ok(found) => found.len(),
            Err(_gone_meanwhile) => 0,
        })
        .sum()
}

fn start(folder: &Folder, output: &str, args: &[&str]) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_customer-health"));
    command.arg("materialize").arg(folder.path("component.yaml")).args(["--quiet", "--as-of", "2025-06-30"]);
    command.arg("--output").arg(folder.path(output)).args(args);
    Process(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
}

/// Waits for the end of a run, which has to come.
#[track_caller]
fn end(mut run: Process) -> Output {
    wait_for("the run ends", || run.0.try_wait().unwrap().is_some());
    let mut stderr = Vec::new();
    run.0.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
    Output { status: run.0.wait().unwrap(), stdout: Vec::new(), stderr }
}

#[track_caller]
fn succeed(run: Process) {
    let output = end(run);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn by_customer(path: &Path) -> RecordBatch {
    let table = read_parquet(path);
    let order = sort_to_indices(table.column(0), Some(SortOptions::default()), None).unwrap();
    take_record_batch(&table, &order).unwrap()
}

/// Two tables with the same rows, but for their order, the time of the run, and the last bits of sums.
#[track_caller]
fn assert_same(found: &Path, expected: &Path) {
    let (found, expected) = (by_customer(found), by_customer(expected));
    assert_eq!(found.schema().fields(), expected.schema().fields());
    assert_eq!(found.num_rows(), expected.num_rows());
    for (at, field) in expected.schema().fields().iter().enumerate().filter(|(_, f)| f.name() != "calculated_at") {
        let (found, expected) = (found.column(at), expected.column(at));
        match (found.as_primitive_opt::<Float64Type>(), expected.as_primitive_opt::<Float64Type>()) {
            (Some(found), Some(expected)) => {
                let differs = |(a, b): &(Option<f64>, Option<f64>)| match (a, b) {
                    (Some(a), Some(b)) => (a - b).abs() > 1e-9,
                    (a, b) => a.is_some() != b.is_some(),
                };
                assert_eq!(found.iter().zip(expected).find(differs), None, "{}", field.name());
            }
            // Lists hold numbers too, which are equal as they are shown.
            _ => assert_eq!(shown(found), shown(expected), "{}", field.name()),
        }
    }
}

fn shown(column: &dyn Array) -> Vec<String> {
    let shown = arrow::util::display::ArrayFormatter::try_new(column, &Default::default()).unwrap();
    (0..column.len()).map(|row| shown.value(row).to_string()).collect()
}

/// Four inputs of so many customers, of which not all are in each, and old scores in the output's place.
fn inputs(customers: usize) -> Folder {
    let folder = Folder::new();
    let mixed = |row: usize, salt: usize| (row.wrapping_mul(2_654_435_761) ^ salt.wrapping_mul(40_503)) % 1_000_003;
    let ids = |share: usize, salt: usize| -> Vec<usize> {
        (0..customers).filter(|row| mixed(*row, salt) % 10 < share).collect()
    };
    let name = |rows: &[usize]| -> Vec<String> { rows.iter().map(|row| format!("customer {row:09}")).collect() };
    let numbers = |rows: &[usize], salt: usize, most: usize| {
        ints(rows.iter().map(|row| (mixed(*row, salt) % most) as i64).collect::<Vec<_>>())
    };
    let rows = ids(10, 0);
    let names = name(&rows);
    folder.parquet(
        "customers.parquet",
        &batch([
            ("customer_id", texts(names.iter().map(String::as_str))),
            ("login_frequency", numbers(&rows, 1, 60)),
            ("active_days", numbers(&rows, 2, 31)),
            ("last_login_days", numbers(&rows, 3, 90)),
        ]),
    );
    let rows = ids(8, 4);
    let names = name(&rows);
    folder.parquet(
        "usage.parquet",
        &batch([
            ("customer_id", texts(names.iter().map(String::as_str))),
            ("session_count", numbers(&rows, 5, 400)),
            ("feature_usage_count", numbers(&rows, 6, 50)),
            ("session_duration_avg", floats(rows.iter().map(|row| mixed(*row, 7) as f64 / 7.0).collect::<Vec<_>>())),
        ]),
    );
    let rows = ids(9, 8);
    let names = name(&rows);
    let status = ["active", "past_due", "canceled", "trialing"];
    folder.parquet(
        "subscriptions.parquet",
        &batch([
            ("customer_id", texts(names.iter().map(String::as_str))),
            ("status", texts(rows.iter().map(|row| status[mixed(*row, 9) % 4]).collect::<Vec<_>>())),
            ("mrr", floats(rows.iter().map(|row| mixed(*row, 10) as f64 / 100.0).collect::<Vec<_>>())),
        ]),
    );
    let rows = ids(5, 11);
    let names = name(&rows);
    folder.parquet(
        "support.parquet",
        &batch([
            ("customer_id", texts(names.iter().map(String::as_str))),
            ("ticket_count", numbers(&rows, 12, 20)),
            ("csat_score", numbers(&rows, 13, 5)),
        ]),
    );
    folder.text(
        "component.yaml",
        "inputs:\n  customer: customers.parquet\n  usage: usage.parquet\n  subscription: subscriptions.parquet\n  \
         support: support.parquet\n",
    );
    folder
}

/// The old table, whole, and nothing beside it that a reader could take for a table.
#[track_caller]
fn assert_untouched(folder: &Folder, old: &[u8]) {
    assert!(fs::read(folder.path("out/scores.parquet")).unwrap() == old, "the old table was touched");
    assert_eq!(tables(folder), [folder.path("out/scores.parquet")]);
}

fn tables(folder: &Folder) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.path("out")).unwrap().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|ending| ending == "parquet")).collect()
}

fn old_scores(folder: &Folder) -> Vec<u8> {
    folder.text("out/scores.parquet", "the old table");
    fs::read(folder.path("out/scores.parquet")).unwrap()
}

#[test]
fn two_executors_score_as_this_process_does() {
    let (cluster, folder) = (Cluster::start(), inputs(CUSTOMERS));
    succeed(start(&folder, "local.parquet", &[]));
    succeed(cluster.run(&folder, "remote.parquet"));
    assert_same(&folder.path("remote.parquet"), &folder.path("local.parquet"));
    let shuffled = ["one", "two"].map(|executor| cluster.shuffled(executor));
    assert!(shuffled.iter().all(|bytes| *bytes > SCORING), "an executor had nothing to do: {shuffled:?}");
}

#[test]
fn an_executor_killed_in_mid_job_costs_time_and_no_customer() {
    let (mut cluster, folder) = (Cluster::start(), inputs(CUSTOMERS));
    succeed(start(&folder, "local.parquet", &[]));
    let old = old_scores(&folder);
    let run = cluster.run(&folder, "out/scores.parquet");
    wait_for("the job is at work", || cluster.shuffled("one") > SCORING);
    cluster.executors[0].kill();
    let output = end(run);
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        assert_same(&folder.path("out/scores.parquet"), &folder.path("local.parquet"));
        assert_eq!(tables(&folder), [folder.path("out/scores.parquet")]);
    } else {
        assert!(said.contains(&format!("127.0.0.1:{}", cluster.port)) && said.contains("hint: "), "{said}");
        assert_untouched(&folder, &old);
    }
    // The one that is left does a later run: once the scheduler has noticed that it is alone.
    wait_for("a run succeeds", || end(cluster.run(&folder, "out/scores.parquet")).status.success());
    assert_same(&folder.path("out/scores.parquet"), &folder.path("local.parquet"));
}

#[test]
fn a_cluster_without_executors_fails_the_run_and_leaves_the_old_table() {
    let (mut cluster, folder) = (Cluster::start(), inputs(CUSTOMERS));
    let old = old_scores(&folder);
    let run = cluster.run(&folder, "out/scores.parquet");
    wait_for("the job is at work", || cluster.shuffled("") > SCORING);
    cluster.executors.iter_mut().for_each(Process::kill);
    let output = end(run);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(9), "{said}");
    assert!(said.contains(&format!("Ballista scheduler 127.0.0.1:{}: ", cluster.port)), "{said}");
    assert!(said.contains("hint: "), "{said}");
    assert_untouched(&folder, &old);
}

#[test]
fn a_job_that_does_not_end_is_given_up() {
    let (cluster, folder) = (Cluster::start(), inputs(CUSTOMERS));
    let old = old_scores(&folder);
    let address = cluster.address();
    let args = ["--engine", "ballista", "--scheduler", &address, "--job-timeout", "1"];
    // Nobody works, and nobody has noticed.
    cluster.signal("-STOP");
    let output = end(start(&folder, "out/scores.parquet", &args));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(9), "{said}");
    assert!(said.contains("a job did not end within 1 seconds") && said.contains("pull-staged"), "{said}");
    assert_untouched(&folder, &old);
}

#[test]
fn a_scheduler_that_is_not_there_is_named() {
    let folder = inputs(10);
    let old = old_scores(&folder);
    let address = format!("127.0.0.1:{}", free_port());
    let scheduler = format!("df://{address}");
    let output = end(start(&folder, "out/scores.parquet", &["--engine", "ballista", "--scheduler", &scheduler]));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(9), "{said}");
    assert!(said.contains(&format!("Ballista scheduler {address}: cannot be reached")), "{said}");
    assert!(said.contains("--scheduler df://HOST:PORT"), "{said}");
    assert_untouched(&folder, &old);
}

#[test]
fn a_scheduler_without_executors_is_told_at_once() {
    let (folder, port) = (inputs(10), free_port());
    let old = old_scores(&folder);
    let _scheduler = Process::start(&["scheduler", &port.to_string()]);
    wait_for("the scheduler listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let address = format!("df://127.0.0.1:{port}");
    let output = end(start(&folder, "out/scores.parquet", &["--engine", "ballista", "--scheduler", &address]));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(9), "{said}");
    assert!(said.contains("0/1 executors registered") && said.contains("hint: start executors"), "{said}");
    assert_untouched(&folder, &old);
}

#[test]
fn whatever_a_component_may_say_survives_the_way_to_the_cluster() {
    let (cluster, folder) = (Cluster::start(), inputs(2_000));
    // Beside what the pattern names lies what it does not: a scheduler that lost the pattern would read that too.
    for (name, from) in [("part-1", 0), ("part-2", 500), ("rest", 9_000)] {
        let ids: Vec<String> = (from..from + 900).map(|row| format!("customer {row:09}")).collect();
        let days: Vec<String> =
            (from..from + 900).map(|row| format!("2025-06-{:02}T10:00:00Z", 1 + row % 30)).collect();
        folder.parquet(
            &format!("events/a b%20c/{name}.parquet"),
            &batch([
                ("account", texts(ids.iter().map(String::as_str))),
                ("at", texts(days.iter().map(String::as_str))),
                ("kind", texts((0..900).map(|row| ["click", "heartbeat", "buy"][row % 3]))),
                ("seconds", ints((0..900).map(|row| (row * 7) % 100))),
            ]),
        );
    }
    let tickets: String = (0..700).map(|row| format!("{row:04},{},note {row}\n", row % 9)).collect();
    folder.text("tickets.csv", &format!("customer_id,ticket_count,note\n{tickets}"));
    let subscriptions: String = (0..800)
        .map(|row| {
            format!(
                "{{\"customer_id\": \"{row:04}\", \"status\": \"{}\", \"mrr\": {}.5}}\n",
                ["Active ", "canceled"][row % 2],
                row
            )
        })
        .collect();
    folder.text("subscriptions.json", &subscriptions);
    folder.arrow("customers.arrow", &read_parquet(&folder.path("customers.parquet")));
    let yaml = "inputs:\n  customer: customers.arrow\n  subscription: subscriptions.json\n  support: tickets.csv\n  usage:\n    \
                path: events/a b%20c/part-*.parquet\n    key: account\n    timestamp: at\n    where: kind <> 'heartbeat'\n    \
                fields:\n      feature_usage_count: count(DISTINCT kind)\n      session_duration_avg: seconds / 60.0\n      \
                days_since_last_activity: CAST(as_of AS DATE) - CAST(at AS DATE)\n\
                include_drivers: true\ncalculate_trend: true\nhistory: local.parquet\n\
                components:\n  engagement:\n    indicators:\n      active_days: {weight: 1, scale: {range: [p05, p95]}}\n      days_since_last_activity: {input: usage}\n";
    folder.text("component.yaml", yaml);
    succeed(start(&folder, "local.parquet", &[]));
    succeed(start(&folder, "again.parquet", &[]));
    succeed(cluster.run(&folder, "remote.parquet"));
    assert_same(&folder.path("remote.parquet"), &folder.path("again.parquet"));

    // But for functions of arrays below the top of the plan, which Ballista's executors do not have.
    let length = "count(DISTINCT kind)\n      session_count: array_length(make_array(seconds))";
    folder.text("component.yaml", &yaml.replace("count(DISTINCT kind)", length));
    let output = end(cluster.run(&folder, "remote.parquet"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("do not know the function `array_length`") && said.contains("--engine local"), "{said}");
    assert_eq!(output.status.code(), Some(3), "{said}");
}

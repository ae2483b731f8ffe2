//! Object stores that fail, stumble or are slow: what is told, and that nothing is left half done.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use customer_health::engine::{Engine, EngineConfig, RunRequest, StoreOptions, uploads_ended};
use customer_health::error::ErrorKind;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use tokio::sync::Notify;

use crate::stores::{INPUTS, OUTPUT, both, component, fails, run, scores};
use crate::support::{Answer, Seen, batch, ints, silent, texts};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_or_forbidden_is_named() {
    let (s3, folder) = both().await;
    for (input, named) in [
        ("s3://bucket/in/d.parquet", "input `customer`: there is nothing at s3://bucket/in/d.parquet"),
        ("s3://bucket/nothing/", "s3://bucket/nothing/"),
        ("s3://bucket/in/*.csv", "s3://bucket/in/*.csv"),
        ("s3://other/in/c.parquet", "s3://other/in/c.parquet"),
    ] {
        let (kind, message) = fails(&s3, &folder, &format!("inputs: {{customer: \"{input}\"}}\n{OUTPUT}")).await;
        assert!(kind == ErrorKind::NotFound && message.contains(named), "{kind:?} {message}");
    }
    s3.answer(|seen, _| if seen.begins_upload() { Answer::Status(404) } else { Answer::Pass });
    let (kind, message) = fails(&s3, &folder, &format!("{INPUTS}output: \"s3://other/o.parquet\"\n")).await;
    assert!(kind == ErrorKind::NotFound && message.contains("s3://other/o.parquet"), "{kind:?} {message}");
    for status in [401, 403] {
        s3.answer(move |seen, _| if seen.path.contains("/in/") { Answer::Status(status) } else { Answer::Pass });
        let (kind, message) = fails(&s3, &folder, &format!("{INPUTS}{OUTPUT}")).await;
        assert_eq!(kind, ErrorKind::Denied, "{message}");
        for input in ["input `customer`: s3://bucket/in/c.parquet", "input `usage`: s3://bucket/in/usage/"] {
            assert!(message.contains(input), "{message}");
        }
        s3.answer(move |seen, _| if seen.method == "POST" { Answer::Status(status) } else { Answer::Pass });
        let (kind, message) = fails(&s3, &folder, &format!("{INPUTS}{OUTPUT}")).await;
        assert_eq!(kind, ErrorKind::Denied, "{message}");
        assert!(message.starts_with("output: s3://bucket/out/scores.parquet cannot be written"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_stumbles_is_asked_again() {
    let (s3, folder) = both().await;
    for status in [500, 503] {
        // The first two requests of each kind and object.
        let counts = std::sync::Mutex::new(std::collections::HashMap::new());
        s3.answer(move |seen, _| {
            let mut counts = counts.lock().unwrap();
            let count = counts.entry((seen.method.clone(), seen.path.clone())).or_insert(0);
            *count += 1;
            if *count <= 2 { Answer::Status(status) } else { Answer::Pass }
        });
        let report = run(&s3, &folder, &format!("{INPUTS}{OUTPUT}")).await.unwrap();
        assert_eq!(scores(&s3.file("out/scores.parquet")).len() as u64, report.customers);
        assert!(s3.uploads().is_empty(), "{:?}", s3.uploads());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_for_good_ends_the_run_and_leaves_the_old_table() {
    type Hit = fn(&Seen) -> bool;
    let (s3, folder) = both().await;
    let text = format!("{INPUTS}{OUTPUT}fan_out: {{churn_risk: \"s3://bucket/out/risk.parquet\"}}\n");
    run(&s3, &folder, &text).await.unwrap();
    let files = ["out/scores.parquet", "out/risk.parquet"].map(|key| s3.file(key));
    let before = files.clone().map(|file| fs::read(file).unwrap());
    let hits: [(&str, Hit); 5] = [
        ("input `customer`: s3://bucket/in/c.parquet", |seen| seen.path.contains("/in/c.parquet")),
        ("input `usage`: s3://bucket/in/usage/", |seen| seen.method == "GET" && seen.path.contains("/in/usage/")),
        ("output: s3://bucket/out/", Seen::begins_upload),
        ("output: s3://bucket/out/", Seen::is_part),
        ("output: s3://bucket/out/", Seen::completes),
    ];
    for (named, hit) in hits {
        s3.answer(move |seen, _| if hit(seen) { Answer::Status(503) } else { Answer::Pass });
        let since = Instant::now();
        let (kind, message) = fails(&s3, &folder, &text).await;
        assert_eq!(kind, ErrorKind::Unavailable, "{message}");
        assert!(message.starts_with(named) && message.contains("503"), "{named}: {message}");
        assert!(since.elapsed() < Duration::from_secs(40), "{named}: {:?}", since.elapsed());
        assert!(files.clone().map(|file| fs::read(file).unwrap()) == before, "{named}: the tables are as they were");
        assert!(s3.uploads().is_empty(), "{named}: {:?}", s3.uploads());
    }
    s3.behave();
    run(&s3, &folder, &text).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_gets_lost_is_no_failure() {
    let (s3, folder) = both().await;
    s3.answer(|seen, _| if seen.completes() { Answer::DoneBut(503) } else { Answer::Pass });
    run(&s3, &folder, &format!("{INPUTS}{OUTPUT}")).await.unwrap();
    assert_eq!(scores(&s3.file("out/scores.parquet")).len(), 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_answers_are_waited_for_and_none_at_all_are_not() {
    let (s3, folder) = both().await;
    s3.answer(|_, _| Answer::After(Duration::from_millis(100)));
    run(&s3, &folder, &format!("{INPUTS}{OUTPUT}")).await.unwrap();
    s3.answer(|_, _| Answer::After(Duration::from_secs(60)));
    let config = EngineConfig { store_timeout: Some(Duration::from_millis(300)), ..s3.config() };
    let component = component(&folder, &format!("{INPUTS}{OUTPUT}"));
    let since = Instant::now();
    let error = Engine::new(config).unwrap().materialize(&component, &RunRequest::new(), &silent()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("did not answer in time"), "{error}");
    assert!(since.elapsed() < Duration::from_secs(15), "{:?}", since.elapsed());
    let config = EngineConfig {
        store_options: StoreOptions(
            s3.config()
                .store_options
                .0
                .into_iter()
                .chain([("aws_endpoint".into(), "http://127.0.0.1:9".into())])
                .collect(),
        ),
        ..s3.config()
    };
    let error = Engine::new(config).unwrap().materialize(&component, &RunRequest::new(), &silent()).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.to_string().contains("cannot be reached"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_run_leaves_the_old_table_and_no_parts() {
    let (s3, folder) = both().await;
    let text = format!("{INPUTS}{OUTPUT}");
    run(&s3, &folder, &text).await.unwrap();
    let before = fs::read(s3.file("out/scores.parquet")).unwrap();
    let hits: [fn(&Seen) -> bool; 3] =
        [|seen| seen.path.contains("/in/c.parquet"), Seen::is_part, |seen| seen.method == "POST" && seen.completes()];
    for hit in hits {
        let reached = Arc::new(Notify::new());
        let tell = reached.clone();
        s3.answer(move |seen, _| {
            if !hit(seen) {
                return Answer::Pass;
            }
            tell.notify_one();
            Answer::After(Duration::from_secs(60))
        });
        let (engine, component, request) = (s3.engine(), component(&folder, &text), RunRequest::new());
        let watcher = silent();
        tokio::select! {
            outcome = engine.materialize(&component, &request, &watcher) => panic!("ended: {outcome:?}"),
            () = reached.notified() => {}
        }
        uploads_ended().await;
        assert!(fs::read(s3.file("out/scores.parquet")).unwrap() == before);
        assert!(s3.uploads().is_empty(), "{:?}", s3.uploads());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_input_that_changes_while_it_is_read_is_told() {
    let (s3, folder) = both().await;
    let (from, to) = (folder.path("usage/1.parquet"), s3.file("in/c.parquet"));
    // Once the first passes are done; inputs with several rows for each customer have been read by then.
    s3.answer(move |seen, _| {
        if seen.begins_upload() {
            fs::copy(&from, &to).unwrap();
        }
        Answer::Pass
    });
    let (kind, message) = fails(&s3, &folder, &format!("{INPUTS}{OUTPUT}")).await;
    assert_eq!(kind, ErrorKind::Unavailable, "{message}");
    assert!(
        message.starts_with("input `customer`: s3://bucket/in/c.parquet") && message.contains("it changed"),
        "{message}"
    );
    assert!(s3.uploads().is_empty() && !s3.keys().contains(&"out/scores.parquet".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_late_is_told_with_the_input_it_has() {
    let (s3, folder) = both().await;
    let begun = std::sync::atomic::AtomicBool::new(false);
    s3.answer(move |seen, _| {
        use std::sync::atomic::Ordering;
        begun.fetch_or(seen.begins_upload(), Ordering::SeqCst);
        let late = begun.load(Ordering::SeqCst) && seen.path.contains("/in/");
        if late { Answer::Status(503) } else { Answer::Pass }
    });
    let (kind, message) = fails(&s3, &folder, &format!("{INPUTS}{OUTPUT}")).await;
    assert_eq!(kind, ErrorKind::Unavailable, "{message}");
    assert!(message.starts_with("input `") && message.contains(": s3://bucket/in/"), "{message}");
    assert!(s3.uploads().is_empty(), "{:?}", s3.uploads());
}

/// A packed Parquet file in which the first page of the last column says that it unpacks to 2 GiB.
fn with_a_page_of_gigabytes() -> Vec<u8> {
    let ids: Vec<String> = (0..500).map(|at| format!("customer-{at}")).collect();
    let table =
        batch([("customer_id", texts(ids.iter().map(String::as_str))), ("sessions", ints((0..500).map(|at| at % 17)))]);
    let packed = Compression::ZSTD(ZstdLevel::default());
    // Nothing behind the page is found by its offset but the footer, which is found from the end.
    let properties = WriterProperties::builder().set_compression(packed).set_offset_index_disabled(true);
    let properties = properties.set_statistics_enabled(EnabledStatistics::Chunk).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), table.schema(), Some(properties)).unwrap();
    writer.write(&table).unwrap();
    let metadata = writer.finish().unwrap();
    let start = metadata.row_group(0).column(1).byte_range().0 as usize;
    let mut bytes = writer.inner().clone();
    // The head begins with two integers, each behind its field's mark: the sort of page and its size unpacked.
    assert_eq!((bytes[start], bytes[start + 2]), (0x15, 0x15));
    let length = bytes[start + 3..].iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    bytes.splice(start + 3..start + 3 + length, [0xfe, 0xff, 0xff, 0xff, 0x0f]);
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_promises_gigabytes_is_refused_before_it_is_unpacked() {
    let (s3, folder) = both().await;
    let text = format!("{INPUTS}{OUTPUT}");
    run(&s3, &folder, &text).await.unwrap();
    let before = fs::read(s3.file("out/scores.parquet")).unwrap();
    fs::write(s3.file("in/usage/1.parquet"), with_a_page_of_gigabytes()).unwrap();
    s3.behave();
    let (kind, message) = fails(&s3, &folder, &text).await;
    assert_eq!(kind, ErrorKind::InvalidInput, "{message}");
    assert!(message.starts_with("input `usage`") && message.contains("2147483647 bytes unpacked"), "{message}");
    assert_eq!(fs::read(s3.file("out/scores.parquet")).unwrap(), before);
    // The heads are looked at in what is read anyway: nothing is asked for twice for them.
    let asked = s3.seen().iter().filter(|seen| seen.method == "GET" && seen.path.contains("1.parquet")).count();
    assert!(asked <= 6, "{asked}: {:?}", s3.seen());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_were_put_in_their_places_are_put_back_where_another_fails() {
    let (s3, folder) = both().await;
    let text = format!("{INPUTS}{OUTPUT}fan_out: {{churn_risk: risks.parquet, expansion: grown.parquet}}\n");
    run(&s3, &folder, &text).await.unwrap();
    let (risks, scores) =
        (fs::read(folder.path("risks.parquet")).unwrap(), fs::read(s3.file("out/scores.parquet")).unwrap());
    fs::remove_file(folder.path("grown.parquet")).unwrap();
    s3.answer(|seen, _| if seen.completes() { Answer::Status(403) } else { Answer::Pass });
    let (kind, message) = fails(&s3, &folder, &format!("{text}churn_risk_threshold: 74\n")).await;
    assert!(kind == ErrorKind::Denied && !message.contains("new already"), "{message}");
    assert!(fs::read(folder.path("risks.parquet")).unwrap() == risks, "the table is as it was");
    assert!(fs::read(s3.file("out/scores.parquet")).unwrap() == scores, "the table is as it was");
    assert!(!folder.path("grown.parquet").exists());
    // Given up in the middle, they are put back too.
    let (reached, was_new) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
    let (tell, new, file, before) = (reached.clone(), was_new.clone(), folder.path("risks.parquet"), risks.clone());
    s3.answer(move |seen, _| {
        if !seen.completes() {
            return Answer::Pass;
        }
        new.store(fs::read(&file).unwrap() != before, Ordering::SeqCst);
        tell.notify_one();
        Answer::After(Duration::from_secs(60))
    });
    let other = format!("{text}churn_risk_threshold: 73\n");
    tokio::select! {
        outcome = run(&s3, &folder, &other) => panic!("{outcome:?}"),
        () = reached.notified() => {}
    }
    assert!(was_new.load(Ordering::SeqCst), "the tables were in their places");
    assert!(fs::read(folder.path("risks.parquet")).unwrap() == risks, "and are put back");
    // An object that is complete cannot be put back, and is named.
    let text = format!("{INPUTS}{OUTPUT}fan_out: {{churn_risk: \"s3://bucket/out/risks.parquet\"}}\n");
    s3.answer(
        |seen, _| if seen.completes() && seen.path.contains("scores") { Answer::Status(403) } else { Answer::Pass },
    );
    let (_, message) = fails(&s3, &folder, &text).await;
    assert!(message.contains("s3://bucket/out/risks.parquet is new already and could not be put back"), "{message}");
    let left: Vec<_> = folder.path("").read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".tmp")), "{left:?}");
}

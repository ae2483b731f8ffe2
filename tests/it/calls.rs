//! The plain calls of the service, each through a real server.

use std::path::Path;

use customer_health::error::ErrorKind;
use customer_health::proto::{
    DescribeComponentRequest, ExplainCustomerRequest, FieldOrigin, Input, InputOverride, MaterializeSyncRequest,
    ValidateComponentRequest,
};

use crate::support::{Folder, Running, asking, assert_close, batch, floats, ints, read_parquet, source, texts};

fn folder() -> Folder {
    let folder = Folder::new();
    folder.parquet(
        "c.parquet",
        &batch([
            ("customer_id", texts(["a", "b", "c"])),
            ("last_login_days", ints([0, 10, 30])),
            ("logins", floats([30.0, 10.0, 0.0])),
        ]),
    );
    folder
}

fn base(folder: &Folder) -> std::path::PathBuf {
    folder.path("")
}

const GOOD: &str =
    "asset_name: scores\ndescription: how they fare\ninputs: {customer: c.parquet}\noutput: out.parquet\n";

#[tokio::test]
async fn a_run_in_one_call_writes_the_table_and_tells_it_in_short() {
    let (running, folder) = (Running::start().await, folder());
    let request = MaterializeSyncRequest { run_id: "r-1".to_owned(), ..asking(GOOD, &base(&folder)) };
    let done = running.client().await.materialize_sync(request).await.unwrap();
    assert_eq!((done.run_id.as_str(), done.asset_name.as_str()), ("r-1", "scores"));
    assert_eq!((done.rows, done.customers), (3, 3));
    assert_eq!(Path::new(&done.output_path), folder.path("out.parquet"));
    assert_eq!(done.bytes, folder.path("out.parquet").metadata().unwrap().len());
    assert_eq!(done.scorecard_hash.len(), 64);
    assert_eq!(done.categories.iter().map(|category| category.customers).sum::<u64>(), 3);
    assert!(done.mean_score.is_some() && done.median_score.is_some() && done.as_of.is_some());
    assert!(!done.warnings.is_empty(), "three components have no input");
    assert_eq!(read_parquet(&folder.path("out.parquet")).num_rows(), 3);
    running.stop().await;
}

#[tokio::test]
async fn problems_of_a_component_are_an_answer() {
    let (running, folder) = (Running::start().await, folder());
    let text = "churn_treshold: 40\ninputs:\n  customer: {path: c.parquet, key: costumer_id}\n";
    let request = ValidateComponentRequest { component: source(text, &base(&folder)), ..Default::default() };
    let answer = running.client().await.validate_component(request).await.unwrap();
    assert!(!answer.valid);
    let places: Vec<_> = answer.problems.iter().map(|p| (p.file.as_str(), p.line, p.column, p.path.as_str())).collect();
    assert_eq!(places[0], ("component.yaml", 1, 1, "churn_treshold"));
    assert_eq!((places[1].1, places[1].3), (3, "inputs.customer.key"), "{places:?}");
    assert!(answer.problems[0].hint.as_ref().unwrap().contains("churn_risk_threshold"));
    assert!(answer.problems.iter().all(|problem| !problem.message.is_empty()));
    assert!(answer.config_hash.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn a_right_component_is_valid_even_before_its_inputs_are_there() {
    let (running, folder) = (Running::start().await, folder());
    let mut client = running.client().await;
    let request = ValidateComponentRequest { component: source(GOOD, &base(&folder)), ..Default::default() };
    let answer = client.validate_component(request.clone()).await.unwrap();
    assert!(answer.valid && answer.inputs_checked && answer.problems.is_empty() && answer.inputs_note.is_empty());
    let (hash, columns) = (answer.config_hash, answer.columns);
    assert_eq!(columns.first().map(|column| column.name.as_str()), Some("customer_id"));
    assert!(columns.iter().all(|column| !column.description.is_empty()), "{columns:?}");
    let done = client.materialize_sync(asking(GOOD, &base(&folder))).await.unwrap();
    assert_eq!((hash.len(), hash.as_str()), (64, done.config_hash.as_str()));
    let inputs = vec![InputOverride {
        input: Input::Customer.into(),
        path: "later.parquet".to_owned(),
        ..InputOverride::default()
    }];
    let answer = client.validate_component(ValidateComponentRequest { inputs, ..request }).await.unwrap();
    assert!(answer.valid && !answer.inputs_checked);
    assert!(answer.inputs_note.contains("later.parquet"), "{}", answer.inputs_note);
    // The columns hang on the component alone.
    assert_eq!(answer.columns, columns);
    assert_eq!(answer.config_hash, hash, "the settings do not hang on the inputs");
    drop(client);
    running.stop().await;
}

#[tokio::test]
async fn a_component_is_described_without_a_run() {
    let (running, folder) = (Running::start().await, folder());
    let request = DescribeComponentRequest { component: source(GOOD, &base(&folder)), ..Default::default() };
    let told = running.client().await.describe_component(request).await.unwrap();
    let asset = told.asset.unwrap();
    assert_eq!((asset.name.as_str(), asset.description.as_deref()), ("scores", Some("how they fare")));
    assert_eq!((told.scorecard_name.as_str(), told.output.as_str()), ("default", "out.parquet"));
    assert_eq!(told.columns[0].name, "customer_id");
    let input = &told.inputs[0];
    assert_eq!((input.input(), input.key.as_str()), (Input::Customer, "customer_id"));
    let found: Vec<_> = input.fields.iter().filter(|field| field.origin() != FieldOrigin::Absent).collect();
    assert!(found.iter().any(|field| field.field == "last_login_days" && field.source == "last_login_days"));
    assert!(input.fields.len() > found.len(), "fields that are not there are told too");
    let engagement = told.components.iter().find(|component| component.name == "engagement").unwrap();
    assert_eq!((engagement.weight, engagement.share, engagement.column.as_str()), (0.25, 0.25, "engagement_score"));
    assert!(engagement.indicators.iter().all(|indicator| !indicator.scale.is_empty() && indicator.weight > 0.0));
    assert!(told.components.iter().any(|component| !component.caps.is_empty()));
    assert!(!folder.path("out.parquet").exists());
    running.stop().await;
}

#[tokio::test]
async fn a_customers_score_is_taken_apart() {
    let (running, folder) = (Running::start().await, folder());
    let mut client = running.client().await;
    let asked = |customer: &str| ExplainCustomerRequest {
        component: source(GOOD, &base(&folder)),
        customer_id: customer.to_owned(),
        ..Default::default()
    };
    let told = client.explain_customer(asked("b")).await.unwrap();
    assert_eq!((told.customer_id.as_str(), told.components.len()), ("b", 4));
    assert_close(told.components.iter().map(|c| c.contribution).sum(), told.unclipped, "contributions");
    let missing = told.components.iter().find(|component| component.score.is_none()).unwrap();
    assert_eq!(missing.counted_as, Some(50.0));
    let error = client.explain_customer(asked("z")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert_eq!(client.explain_customer(asked(" ")).await.unwrap_err().kind, ErrorKind::InvalidComponent);
    drop(client);
    running.stop().await;
}

#[tokio::test]
async fn built_in_scorecards_are_listed_and_can_be_used_as_they_are() {
    let (running, folder) = (Running::start().await, folder());
    let cards = running.client().await.list_scorecards().await.unwrap();
    assert_eq!(cards[0].name, "default");
    folder.text("mine.yaml", &cards[0].text);
    let text = GOOD.to_owned() + "scorecard: ./mine.yaml\n";
    let request = ValidateComponentRequest { component: source(&text, &base(&folder)), ..Default::default() };
    assert!(running.client().await.validate_component(request).await.unwrap().valid);
    running.stop().await;
}

#[tokio::test]
async fn dagsters_own_documents_and_attributes_are_left_to_it() {
    let (running, folder) = (Running::start().await, folder());
    let mut client = running.client().await;
    let text = "type: other.Thing\nattributes: {whatever: 1}\n---\ntype: x.CustomerHealthScoreComponent\nattributes:\n  \
                partition_type: daily\n  partition_start: 2025-01-01\n  inputs: {customer: c.parquet}\n  output: out.parquet\n";
    let request =
        |text: &str| ValidateComponentRequest { component: source(text, &base(&folder)), ..Default::default() };
    let answer = client.validate_component(request(text)).await.unwrap();
    assert!(answer.valid, "{:?}", answer.problems);
    let answer = client.validate_component(request(&text.replace("partition_type", "partition_tipe"))).await.unwrap();
    let problem = &answer.problems[0];
    assert_eq!((problem.line, problem.column, problem.path.as_str()), (6, 3, "partition_tipe"), "{problem:?}");
    drop(client);
    running.stop().await;
}

#[tokio::test]
async fn history_is_given_to_every_call_that_looks_at_a_component() {
    let (running, folder) = (Running::start().await, folder());
    let mut client = running.client().await;
    let component = source(&format!("{GOOD}calculate_trend: true\n"), &base(&folder));
    let asked = ValidateComponentRequest { component: component.clone(), ..Default::default() };
    let problems = client.validate_component(asked.clone()).await.unwrap().problems;
    assert_eq!(problems.iter().map(|problem| problem.path.as_str()).collect::<Vec<_>>(), ["calculate_trend"]);
    let history = "before.parquet".to_owned();
    let answer =
        client.validate_component(ValidateComponentRequest { history: history.clone(), ..asked }).await.unwrap();
    assert!(answer.valid, "{:?}", answer.problems);
    assert!(answer.warnings.iter().any(|warning| warning.contains("nothing at")), "{:?}", answer.warnings);

    let old = batch([("customer_id", texts(["b"])), ("health_score", floats([12.5]))]);
    folder.parquet(&history, &old);
    let request =
        DescribeComponentRequest { component: component.clone(), history: history.clone(), ..Default::default() };
    let told = client.describe_component(request).await.unwrap();
    assert!(told.columns.iter().any(|column| column.name == "previous_health_score"));
    let told: Vec<&String> = told.warnings.iter().filter(|warning| warning.contains("history")).collect();
    assert!(told.len() == 1 && told[0].contains("does not say what time it is as of"), "{told:?}");

    let customer_id = "b".to_owned();
    let request = ExplainCustomerRequest { component, history, customer_id, ..Default::default() };
    assert_eq!(client.explain_customer(request).await.unwrap().customer_id, "b");
    drop(client);
    running.stop().await;
}

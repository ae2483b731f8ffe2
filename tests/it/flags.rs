//! Who is flagged: by a score, by categories, or as many as can be looked after; and what missing data counts as.

use customer_health::component::Component;
use customer_health::scorecard::{Flag, Threshold};

use crate::support::{Folder, Run, Scores, assert_close, scorecard};

/// Ten customers with health scores of 5, 15, ... 95, in no order.
fn ten() -> Folder {
    let folder = Folder::new();
    folder.text("c.csv", "customer_id,x\nh,75\na,5\nj,95\nb,15\nc,25\ni,85\ne,45\nd,35\nf,55\ng,65\n");
    folder.text(
        "card.yaml",
        &scorecard("  c: {input: customer, weight: 1, indicators: {x: {weight: 1, scale: {range: [0, 100]}}}}\n"),
    );
    folder
}

const TEXT: &str = "inputs: {customer: c.csv}\nscorecard: card.yaml\n";
const CATEGORIES: &str =
    "risk_categories: [{name: Critical, below: 30}, {name: At-Risk, below: 60}, {name: Healthy}]\n";

const CHECKED: Run<'_> = Run { as_of: None, partitions: None, no_accel: false, checks: true, output: None };

fn flagged(scores: &Scores, column: &str) -> String {
    scores.ids().into_iter().filter(|id| scores.flag(id, column)).collect()
}

#[track_caller]
fn check(scores: &Scores, churn: &str, expansion: &str) {
    assert_eq!(flagged(scores, "is_churn_risk"), churn);
    assert_eq!(flagged(scores, "is_expansion_opportunity"), expansion);
    assert_eq!(scores.report.churn_risks, churn.len() as u64);
    assert_eq!(scores.report.expansion_opportunities, expansion.len() as u64);
}

#[test]
fn named_categories_decide_the_flags_where_no_threshold_is_given_beside_them() {
    let folder = ten();
    let scores = folder.score(&format!("{TEXT}{CATEGORIES}"));
    check(&scores, "abc", "ghij");
    assert!(scores.report.warnings.is_empty(), "{:?}", scores.report.warnings);
    assert_eq!(scores.report.flags_beside_categories, None);
    // A score of just the edge is the upper category's.
    let edges = CATEGORIES.replace("60", "55").replace("30", "25");
    check(&folder.score(&format!("{TEXT}{edges}")), "ab", "fghij");
    // One category tells nobody from anybody.
    check(&folder.score(&format!("{TEXT}risk_categories: [{{name: All}}]\n")), "abcd", "ij");
}

#[test]
fn thresholds_beside_categories_decide_and_the_difference_is_told() {
    let folder = ten();
    let scores = folder.run(&format!("{TEXT}{CATEGORIES}churn_risk_threshold: 50\n"), CHECKED);
    check(&scores, "abcde", "ghij");
    let warnings = scores.report.warnings.join("\n");
    assert!(
        warnings.contains("is_churn_risk follows churn_risk_threshold (50), while the category `Critical` ends at 30")
    );
    assert!(warnings.contains("2 of 10 customers are flagged by a threshold"), "{warnings}");
    let found =
        scores.report.checks.iter().find(|check| check.name == "categories_match_flags").expect("it is checked");
    assert!(!found.passed && found.facts["disagreeing"] == 2.0, "{found:?}");
    // The same as the categories say is no difference.
    let scores = folder.run(&format!("{TEXT}{CATEGORIES}churn_risk_threshold: 30\n"), CHECKED);
    check(&scores, "abc", "ghij");
    assert!(scores.report.warnings.is_empty(), "{:?}", scores.report.warnings);
    assert!(scores.report.checks.iter().all(|check| check.passed), "{:?}", scores.report.checks);
    // A scorecard's own categories and thresholds belong together.
    let card = std::fs::read_to_string(folder.path("card.yaml")).unwrap();
    folder.text("card.yaml", &format!("{CATEGORIES}{card}"));
    check(&folder.score(TEXT), "abcd", "ij");
}

#[test]
fn as_many_are_flagged_as_can_be_looked_after() {
    let folder = ten();
    let run = |thresholds: &str| folder.run(&format!("{TEXT}{thresholds}"), CHECKED);
    let scores = run("churn_risk_threshold: {worst: 20 %}\nexpansion_opportunity_threshold: {best: 3}\n");
    check(&scores, "ab", "hij");
    assert_eq!((scores.report.cutoffs.churn_risk, scores.report.cutoffs.expansion_opportunity), (25.0, 65.0));
    assert_eq!(scores.text("a", "risk_category").as_deref(), Some("high_risk"));
    assert_eq!(scores.text("c", "risk_category").as_deref(), Some("moderate"));
    assert!(scores.report.checks.iter().all(|check| check.passed), "{:?}", scores.report.checks);
    // To the nearest customer, one at least; more than there are is all.
    check(&run("churn_risk_threshold: {worst: 1 %}\n"), "a", "ij");
    check(&run("churn_risk_threshold: {worst: 25%}\n"), "abc", "ij");
    check(&run("churn_risk_threshold: {worst: 4000}\n"), "abcdefghij", "");
    check(&run("expansion_opportunity_threshold: {best: 100 %}\n"), "abcd", "efghij");
    // Nobody is both.
    check(&run("churn_risk_threshold: {worst: 6}\nexpansion_opportunity_threshold: {best: 6}\n"), "abcdef", "hij");
}

#[test]
fn ties_at_the_edge_are_left_out_and_told() {
    let folder = ten();
    folder.text("c.csv", "customer_id,x\na,50\nb,50\nc,50\nd,90\n");
    let scores = folder.score(&format!("{TEXT}churn_risk_threshold: {{worst: 2}}\n"));
    check(&scores, "", "d");
    assert!(scores.report.warnings.join("\n").contains("is_churn_risk is set for 0 customers and not for 2"));
    for rows in ["", "a,50\n"] {
        folder.text("c.csv", &format!("customer_id,x\n{rows}"));
        std::fs::remove_file(folder.path("out.parquet")).unwrap();
        let scores = folder.score(&format!("{TEXT}churn_risk_threshold: {{worst: 50 %}}\n"));
        assert_eq!(scores.report.churn_risks, scores.report.customers);
    }
}

#[test]
fn the_edge_is_the_same_for_repeated_keys_and_one_customers_explanation() {
    let folder = ten();
    let repeated: String = (0..4).flat_map(|_| ["a,5\n", "b,15\n", "c,25\n", "d,95\n"]).collect();
    folder.text("c.csv", &format!("customer_id,x\n{repeated}"));
    let text = format!("{TEXT}churn_risk_threshold: {{worst: 2}}\n");
    check(&folder.score(&text), "ab", "d");
    let component = Component::new(&folder.recipe(&text, "out.parquet")).unwrap();
    assert_eq!(component.scorecard().churn_risk, Flag::Threshold(Threshold::Customers(2)));
    let request = customer_health::engine::RunRequest::new();
    let explain = |id: &str| {
        let engine = crate::support::engine(None);
        crate::support::block_on(async { engine.explain(&component, &request, id).await }).unwrap()
    };
    assert!(explain("b").is_churn_risk && !explain("c").is_churn_risk);
}

#[test]
fn wrong_thresholds_are_told_where_they_stand() {
    let folder = ten();
    let fails = |text: &str, part: &str| {
        let error = folder.try_run(&format!("{TEXT}{text}"), Run::default()).err().expect(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
    };
    fails(
        "churn_risk_threshold: {best: 10}\n",
        "component.yaml:3:30: `churn_risk_threshold` is told by the worst customers",
    );
    fails("churn_risk_threshold: {best: 10 %}\n", "hint: write `worst: 10 %`");
    fails("churn_risk_threshold: {worst: 0}\n", "a number of customers from 1");
    fails("churn_risk_threshold: {worst: ten}\n", "such as `10 %`");
    fails("churn_risk_threshold: {worst: 120 %}\n", "up to 100 %");
    fails("churn_risk_threshold: {worse: 10}\n", "did you mean `worst`?");
    fails("churn_risk_threshold: {worst: 10, best: 10}\n", "found both");
    fails(
        "churn_risk_threshold: {worst: 60 %}\nexpansion_opportunity_threshold: {best: 60 %}\n",
        "a customer would be both",
    );
}

/// Two components, the second from an input that has only `a`; `y` of it is missing for `a`.
fn two(missing: &str, indicator: &str) -> Scores {
    let folder = Folder::new();
    folder.text("c.csv", "customer_id,x\na,100\nb,100\n");
    folder.text("u.csv", "customer_id,y,z\na,,80\n");
    let components = format!(
        "  c: {{input: customer, weight: 1, indicators: {{x: {{weight: 1, scale: {{range: [0, 100]}}}}}}}}\n  \
           u:\n    input: usage\n    weight: 1\n{missing}    indicators:\n      \
             y: {{weight: 1, scale: {{range: [0, 100]}}{indicator}}}\n      \
             z: {{weight: 3, scale: {{range: [0, 100]}}}}\n"
    );
    folder.text("card.yaml", &scorecard(&components));
    folder.score("inputs: {customer: c.csv, usage: u.csv}\nscorecard: card.yaml\ninclude_drivers: true\n")
}

#[test]
fn what_is_missing_counts_as_its_component_or_indicator_says() {
    let expect = |scores: Scores, a: f64, b: f64, health_of_b: f64| {
        assert_close(scores.of("a", "u"), a, "component of a");
        assert_close(scores.of("b", "u"), b, "component of b");
        assert_close(scores.health("b"), health_of_b, "health of b");
        assert_eq!(scores.missing("u"), 1, "what data is backed by does not change");
    };
    expect(two("", ""), 80.0, 50.0, 75.0);
    expect(two("    missing: 10\n", ""), 80.0, 10.0, 55.0);
    expect(two("    missing: exclude\n", ""), 80.0, 50.0, 100.0);
    expect(two("", ", missing: 0"), 60.0, 0.0, 50.0);
    expect(two("", ", missing: neutral"), 72.5, 50.0, 75.0);
    expect(two("", ", missing: exclude"), 80.0, 50.0, 75.0);
    expect(two("    missing: 20\n", ", missing: 0"), 60.0, 20.0, 60.0);
}

//! Pinned population statistics: one new customer moves nobody else's score.

use crate::support::{Folder, Scores, assert_close, batch, floats, texts};

fn table(folder: &Folder, name: &str, values: &[(&str, f64)]) {
    folder.parquet(
        name,
        &batch([
            ("customer_id", texts(values.iter().map(|(id, _)| *id))),
            ("core_feature_usage", floats(values.iter().map(|(_, value)| *value))),
            ("session_count", floats(values.iter().map(|(_, value)| value * 2.0))),
        ]),
    );
}

/// Three customers, and the same three with a giant beside them.
fn folder() -> Folder {
    let folder = Folder::new();
    let three = [("a", 10.0), ("b", 20.0), ("c", 40.0)];
    table(&folder, "three.parquet", &three);
    table(&folder, "four.parquet", &[&three[..], &[("giant", 4000.0)]].concat());
    folder
}

#[track_caller]
fn nobody_moved(before: &Scores, after: &Scores) {
    for (id, score) in before.all() {
        assert_close(after.health(id), score, id);
    }
}

fn statistic(scores: &Scores, indicator: &str) -> (Option<f64>, bool) {
    let all = &scores.report.population;
    let found = all.iter().find(|s| s.indicator == indicator && s.statistic == "max").expect("it is recorded");
    (found.value, found.pinned)
}

#[test]
fn without_pins_a_giant_moves_everyone() {
    let folder = folder();
    let before = folder.score("inputs: {usage: three.parquet}");
    let after = folder.score("inputs: {usage: four.parquet}");
    assert_close(before.of("c", "product_usage"), 100.0, "the largest of three");
    assert_close(after.of("c", "product_usage"), 1.0, "a hundredth of the giant");
    assert_eq!(statistic(&before, "core_feature_usage"), (Some(40.0), false));
    assert_eq!(statistic(&after, "core_feature_usage"), (Some(4000.0), false));
}

#[test]
fn a_map_pins_statistics() {
    let folder = folder();
    let pins = "population: {product_usage: {core_feature_usage: {max: 40}, session_count: {max: 80}}}\n";
    let before = folder.score("inputs: {usage: three.parquet}");
    let after = folder.score(&format!("inputs: {{usage: four.parquet}}\n{pins}"));
    nobody_moved(&before, &after);
    assert_close(after.of("giant", "product_usage"), 100.0, "clipped");
    assert_eq!(statistic(&after, "core_feature_usage"), (Some(40.0), true));
}

#[test]
fn an_earlier_output_pins_all_that_it_used() {
    let folder = folder();
    let before = folder.score("inputs: {usage: three.parquet}");
    std::fs::copy(folder.path("out.parquet"), folder.path("earlier.parquet")).unwrap();
    let after = folder.score("inputs: {usage: four.parquet}\npopulation: earlier.parquet\n");
    nobody_moved(&before, &after);
    assert_eq!(statistic(&after, "session_count"), (Some(80.0), true));
    // And pins go on from output to output.
    std::fs::copy(folder.path("out.parquet"), folder.path("later.parquet")).unwrap();
    nobody_moved(&after, &folder.score("inputs: {usage: four.parquet}\npopulation: later.parquet\n"));
}

#[test]
fn a_statistic_that_is_not_pinned_is_found() {
    let folder = folder();
    let after =
        folder.score("inputs: {usage: four.parquet}\npopulation: {product_usage: {core_feature_usage: {max: 40}}}\n");
    assert_eq!(statistic(&after, "core_feature_usage"), (Some(40.0), true));
    assert_eq!(statistic(&after, "session_count"), (Some(8000.0), false));
}

#[test]
fn pinned_or_found_a_run_may_be_pinned_to_its_own_statistics() {
    let folder = folder();
    let before = folder.score("inputs: {usage: four.parquet}");
    std::fs::copy(folder.path("out.parquet"), folder.path("earlier.parquet")).unwrap();
    nobody_moved(&before, &folder.score("inputs: {usage: four.parquet}\npopulation: earlier.parquet\n"));
}

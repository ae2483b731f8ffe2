//! The example in the root: its files are what the generator writes, and it scores well.

use customer_health::component::{Component, Recipe};
use customer_health::engine::RunRequest;
use customer_health::scorecard::InputName;

use crate::support::{Scores, block_on, engine, read_parquet, root, silent};

#[allow(dead_code, reason = "the generator is a program of its own")]
#[path = "../../examples/generate.rs"]
mod generate;

#[test]
fn the_files_are_what_the_generator_writes() {
    let mut bytes = 0;
    for (name, table) in generate::tables().unwrap() {
        let path = root().join(format!("examples/data/{name}.parquet"));
        bytes += path.metadata().unwrap().len();
        assert!(read_parquet(&path) == table, "{name} differs; run `cargo run --example generate`");
    }
    assert!(bytes < 100 * 1024, "the example data has {bytes} bytes");
}

#[test]
fn the_example_component_scores_every_customer() {
    let mut recipe = Recipe::read(&root().join("component.yaml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.parquet");
    recipe.overrides.output = Some(output.display().to_string());
    let component = Component::new(&recipe).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(component.asset().upstream.len(), 4);
    assert!(component.warnings().is_empty(), "{:?}", component.warnings());

    let report = block_on(engine(None).materialize(&component, &RunRequest::new(), &silent()));
    let scores = Scores::read(&output, report.unwrap_or_else(|error| panic!("{error}")));
    assert_eq!(scores.ids().len(), 200);
    assert_eq!(scores.missing("engagement"), 0);
    let ids = scores.input(InputName::Support).customers;
    assert_eq!(scores.missing("support_health"), 200 - ids, "numbers of one table are the texts of the others");
    let report = &scores.report;
    for (category, customers) in &report.categories {
        assert!((10..150).contains(customers), "the example shows all categories, {category} has {customers}");
    }
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    let absent = report.inputs.iter().flat_map(|i| &i.fields).filter(|f| f.no_data).count();
    assert_eq!(absent, 0, "every indicator of the default scorecard has data");
}

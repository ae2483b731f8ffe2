//! `validate`: is a component right, and do its inputs have what it needs?

use std::fmt::Write as _;

use super::args::ComponentArgs;
use super::exit::{self, Failure};
use super::print::list;
use super::{block_on, print};
use crate::component::Component;
use crate::engine::{Description, Engine, EngineConfig, FieldOrigin};

/// Arguments of `validate`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
Reads no rows and writes nothing. All problems of the file are told at once, each with its line and column. Succeeds only
where a run could start: an input that does not exist is told with the rest, and the other ones are checked all the same.

Examples:
  customer-health validate component.yaml
  customer-health validate component.yaml --input usage=exports/usage.parquet

{}", exit::HELP))]
pub struct ValidateArgs {
    #[command(flatten)]
    component: ComponentArgs,
}

/// Checks the component, then its inputs.
///
/// # Errors
/// All problems of the component, or what is wrong with an input.
pub fn run(args: &ValidateArgs) -> Result<(), Failure> {
    let recipe = args.component.recipe()?;
    let (component, described) = block_on(async {
        let engine = Engine::new(EngineConfig::default())?;
        let component = engine.component(&recipe).await?;
        let described = engine.describe(&component).await;
        Ok((component, described))
    })?;
    let file = args.component.file.display().to_string();
    match described {
        Ok(description) => print::stdout(&text(&file, &component, &description)),
        Err(error) => Err(error.into()),
    }
}

fn text(file: &str, component: &Component, description: &Description) -> String {
    let columns: Vec<&str> = description.columns.iter().map(|column| column.name.as_str()).collect();
    let mut text = format!("{file} is valid, and its inputs can be read\n");
    let _ = writeln!(text, "  asset: {}", component.asset().name);
    let _ = writeln!(text, "  scorecard: {} {:.12}", component.scorecard_name(), component.scorecard_hash());
    let _ = writeln!(text, "  output: {}", component.output().unwrap_or("not named; give it with --output"));
    let _ = writeln!(text, "  columns: {}", columns.join(", "));
    for input in &description.inputs {
        let has = input.fields.iter().filter(|field| field.origin != FieldOrigin::Absent).count();
        let _ = writeln!(text, "  input {}: {}", input.name, input.path);
        let _ = writeln!(text, "    key {}, {has} of {} fields found", input.key, input.fields.len());
        for field in &input.fields {
            let _ = match &field.origin {
                FieldOrigin::Column => writeln!(text, "    {}", field.field),
                FieldOrigin::Alias(column) => writeln!(text, "    {}: column {column}", field.field),
                FieldOrigin::Expression(sql) => writeln!(text, "    {}: {sql}", field.field),
                FieldOrigin::Absent => writeln!(text, "    {}: no such column", field.field),
            };
        }
    }
    text + &list("warnings", &description.warnings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::Recipe;
    use crate::engine::{ColumnReport, FieldReport, InputDescription};
    use crate::scorecard::InputName;

    #[test]
    fn the_summary_shows_where_each_field_comes_from() {
        let text_of_it = "inputs: {usage: u.parquet}\noutput: out.parquet".to_owned();
        let component = Component::new(&Recipe { text: text_of_it, ..Recipe::default() }).unwrap();
        let field = |name: &str, origin| FieldReport {
            component: "product_usage".into(),
            indicator: name.into(),
            field: name.into(),
            origin,
            unparsable: 0,
            unmapped: 0,
            unmapped_texts: Vec::new(),
            no_data: false,
        };
        let column = |name: &str| ColumnReport { name: name.into(), data_type: "Utf8".into(), nullable: false };
        let description = Description {
            columns: vec![column("customer_id"), column("health_score")],
            inputs: vec![InputDescription {
                name: InputName::Usage,
                path: "/data/u.parquet".into(),
                key: "customer_id".into(),
                fields: vec![
                    field("session_count", FieldOrigin::Alias("sessions".into())),
                    field("usage_change", FieldOrigin::Expression("a - b".into())),
                    field("core_feature_usage", FieldOrigin::Absent),
                ],
            }],
            outputs: Vec::new(),
            warnings: vec!["mind the gap".into()],
        };
        let text = text("component.yaml", &component, &description);
        let hash = component.scorecard_hash()[..12].to_owned();
        insta::assert_snapshot!(text.replace(&hash, "HASH"), @r"
        component.yaml is valid, and its inputs can be read
          asset: customer_health_scores
          scorecard: default HASH
          output: out.parquet
          columns: customer_id, health_score
          input usage: /data/u.parquet
            key customer_id, 2 of 3 fields found
            session_count: column sessions
            usage_change: a - b
            core_feature_usage: no such column

        warnings
          - mind the gap
        ");
    }
}

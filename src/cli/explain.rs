//! `explain`: one customer's health score taken apart, or the plan of the run.

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};

use super::args::{self, ComponentArgs, LimitArgs};
use super::exit::{self, Failure};
use super::print::{Side, Table};
use super::{block_on, print};
use crate::engine::{ComponentExplanation, Engine, Explanation, RunRequest};

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
Writes no file. Weights are shares of the whole health score; contributions are points of it, and sum to the score
before it is clipped.

Examples:
  customer-health explain component.yaml C-1042
  customer-health explain component.yaml --plan

{}", exit::HELP))]
pub struct ExplainArgs {
    #[command(flatten)]
    component: ComponentArgs,

    /// The customer, as in the column customer_id
    #[arg(value_name = "CUSTOMER_ID", required_unless_present = "plan", conflicts_with = "plan")]
    customer_id: Option<String>,

    /// Print the plan that a run would execute
    #[arg(long)]
    plan: bool,

    /// End of the analysis period: a moment such as 2025-06-30T18:00:00Z, or a date, which stands for its midnight
    /// UTC; now if left out
    #[arg(long, value_name = "WHEN", value_parser = args::moment)]
    as_of: Option<DateTime<Utc>>,

    #[command(flatten)]
    limits: LimitArgs,
}

/// Explains a customer's score, or the plan where no customer is named.
///
/// # Errors
/// Where the component or its inputs are wrong, or there is no such customer.
pub fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let recipe = args.component.recipe()?;
    let request = RunRequest { as_of: args.as_of, ..RunRequest::new() };
    let text = block_on(async {
        let engine = Engine::new(args.limits.engine())?;
        let component = engine.component(&recipe).await?;
        Ok(match &args.customer_id {
            Some(customer) => text(&engine.explain(&component, &request, customer).await?),
            None => format!("{}\n", engine.explain_plan(&component, &request).await?.trim_end()),
        })
    })?;
    print::stdout(&text)
}

fn text(explanation: &Explanation) -> String {
    let mut text = format!(
        "{}: health score {:.2}, {}, as of {}\n",
        explanation.customer_id,
        explanation.health_score,
        explanation.risk_category,
        explanation.as_of.to_rfc3339_opts(SecondsFormat::AutoSi, true)
    );
    let yes = |flag| if flag { "yes" } else { "no" };
    let _ = writeln!(text, "  churn risk: {}", yes(explanation.is_churn_risk));
    let _ = writeln!(text, "  expansion opportunity: {}", yes(explanation.is_expansion_opportunity));
    let _ = writeln!(text, "  backed by data: {:.1} % of the weight", explanation.data_coverage * 100.0);
    // Floating point noise is not clipping.
    if (explanation.unclipped - explanation.health_score).abs() > 1e-9 {
        let (low, high) = explanation.given_out;
        let _ = writeln!(text, "  clipped: {:.2} lies outside {low}-{high}", explanation.unclipped);
    }
    for component in &explanation.components {
        text += &component_text(component);
    }
    let counted = explanation.components.iter().filter(|component| component.counted_as.is_some());
    let parts: Vec<String> = counted.map(|component| format!("{:.2}", component.contribution)).collect();
    let _ = writeln!(text, "\n{} = {:.2}", parts.join(" + ").replace("+ -", "- "), explanation.unclipped);
    text
}

fn component_text(component: &ComponentExplanation) -> String {
    let share = format!("share {:.3}", component.share);
    let headline = match (component.score, component.counted_as) {
        (Some(score), _) => format!("score {score:.2}, {share}, contributes {:.2}", component.contribution),
        (None, Some(counted)) => {
            format!("no data, counts as {counted:.2}, {share}, contributes {:.2}", component.contribution)
        }
        (None, None) => "no data, takes no part".to_owned(),
    };
    let mut text = format!("\n{}: {headline}\n", component.name);
    let mut table = Table::new(&[
        ("indicator", Side::Left),
        ("value", Side::Right),
        ("scale", Side::Left),
        ("score", Side::Right),
        ("weight", Side::Right),
        ("contribution", Side::Right),
        ("from", Side::Left),
    ]);
    for indicator in &component.indicators {
        table.row([
            indicator.name.clone(),
            indicator.value.clone().unwrap_or_else(|| "missing".to_owned()),
            indicator.scale.clone(),
            indicator.score.map_or_else(|| "-".to_owned(), |score| format!("{score:.2}")),
            format!("{:.4}", indicator.weight),
            format!("{:.2}", indicator.contribution),
            format!("{}: {}", indicator.input, indicator.origin),
        ]);
    }
    if !component.indicators.is_empty() {
        text += &table.text();
    }
    for (when, at_most) in &component.caps_hit {
        let from = component.uncapped.map_or_else(String::new, |uncapped| format!(", from {uncapped:.2}"));
        let _ = writeln!(text, "  cap: {when} lowers it to at most {at_most}{from}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::IndicatorExplanation;
    use crate::scorecard::InputName;

    fn indicator(name: &str, value: Option<&str>, score: Option<f64>) -> IndicatorExplanation {
        let present = score.is_some();
        IndicatorExplanation {
            name: name.into(),
            input: InputName::Subscription,
            origin: if present { "column" } else { "no such column" }.into(),
            value: value.map(str::to_owned),
            scale: "range [3, 0]".into(),
            score,
            weight: if present { 0.125 } else { 0.0 },
            contribution: if present { 4.375 } else { 0.0 },
        }
    }

    #[test]
    fn a_score_is_taken_apart() {
        let component = |name: &str| ComponentExplanation {
            name: name.into(),
            score: None,
            counted_as: Some(50.0),
            uncapped: None,
            share: 0.5,
            contribution: 25.0,
            caps_hit: vec![],
            indicators: vec![],
        };
        let explanation = Explanation {
            as_of: DateTime::from_timestamp(1_751_328_000, 0).unwrap(),
            customer_id: "C-1".into(),
            health_score: 40.0,
            unclipped: 33.75,
            given_out: (40.0, 100.0),
            risk_category: "high_risk".into(),
            is_churn_risk: true,
            is_expansion_opportunity: false,
            data_coverage: 0.5,
            components: vec![
                ComponentExplanation {
                    score: Some(17.5),
                    counted_as: Some(17.5),
                    uncapped: Some(60.0),
                    contribution: 8.75,
                    caps_hit: vec![("payment_failures >= 3".into(), 35.0)],
                    indicators: vec![
                        indicator("payment_failures", Some("3"), Some(0.0)),
                        indicator("recent_downgrades", None, None),
                    ],
                    ..component("payment_health")
                },
                component("engagement"),
                ComponentExplanation { counted_as: None, contribution: -0.0, ..component("support_health") },
            ],
        };
        insta::assert_snapshot!(text(&explanation), @r"
        C-1: health score 40.00, high_risk, as of 2025-07-01T00:00:00Z
          churn risk: yes
          expansion opportunity: no
          backed by data: 50.0 % of the weight
          clipped: 33.75 lies outside 40-100

        payment_health: score 17.50, share 0.500, contributes 8.75
          indicator            value  scale         score  weight  contribution  from
          payment_failures         3  range [3, 0]   0.00  0.1250          4.38  subscription: column
          recent_downgrades  missing  range [3, 0]      -  0.0000          0.00  subscription: no such column
          cap: payment_failures >= 3 lowers it to at most 35, from 60.00

        engagement: no data, counts as 50.00, share 0.500, contributes 25.00

        support_health: no data, takes no part

        8.75 + 25.00 = 33.75
        ");
    }
}

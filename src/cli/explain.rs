//! `explain`: one customer's health score taken apart, or the plan of the run.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::args::{self, ComponentArgs, LimitArgs};
use super::exit::{self, Failure};
use super::format::{self, Format, FormatArgs};
use super::print::{Lines, Side, Table};
use super::remote::{self, RemoteArgs};
use super::summary::input_name;
use super::{block_on, print, rounded};
use crate::client;
use crate::component::Recipe;
use crate::engine::RunRequest;
use crate::wire;
use crate::wire::proto::{ComponentExplanation, ExplainCustomerRequest, ExplainCustomerResponse};

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
Writes no file. Weights are shares of the whole health score; contributions are points of it, and sum to the score
before it is clipped, also as they are shown: of two that are rounded, the one that loses more is rounded up.

Examples:
  customer-health explain component.yaml C-1042
  customer-health explain component.yaml C-1042 --format json | jq '.components[] | {{name, contribution}}'
  customer-health explain component.yaml C-1042 --server http://127.0.0.1:50051
  customer-health explain component.yaml --plan

{}", exit::HELP))]
pub struct ExplainArgs {
    #[command(flatten)]
    component: ComponentArgs,

    /// The customer, as in the column customer_id
    #[arg(value_name = "CUSTOMER_ID", required_unless_present = "plan", conflicts_with = "plan")]
    customer_id: Option<String>,

    /// Print the plan that a run in this process would execute
    #[arg(long, conflicts_with = "server")]
    plan: bool,

    /// End of the analysis period: a moment such as 2025-06-30T18:00:00Z, or a date, which stands for its midnight
    /// UTC; now if left out
    #[arg(long, value_name = "WHEN", value_parser = args::moment)]
    as_of: Option<DateTime<Utc>>,

    #[command(flatten)]
    remote: RemoteArgs,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    pub format: FormatArgs,
}

/// Explains a customer's score, or the plan where no customer is named.
///
/// # Errors
/// Where the component or its inputs are wrong, or there is no such customer.
pub fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let recipe = args.component.recipe()?;
    let format = args.format.format;
    let Some(customer) = &args.customer_id else {
        let plan = block_on(plan(args, &recipe))?;
        return match format {
            Format::Text => print::stdout(&lines_of(&plan)),
            Format::Json => format::document(&json!({"plan": plan})),
        };
    };
    let explanation = block_on(explained(args, &recipe, customer))?;
    match format {
        Format::Text => print::stdout(&text(&explanation)),
        Format::Json => format::document(&explanation),
    }
}

async fn plan(args: &ExplainArgs, recipe: &Recipe) -> Result<String, Failure> {
    let (engine, component) = args.limits.opened(recipe).await?;
    let request = RunRequest { as_of: args.as_of, ..RunRequest::new() };
    Ok(engine.explain_plan(&component, &request).await?)
}

async fn explained(args: &ExplainArgs, recipe: &Recipe, customer: &str) -> Result<ExplainCustomerResponse, Failure> {
    let Some(mut client) = args.remote.client().await? else {
        let (engine, component) = args.limits.opened(recipe).await?;
        let request = RunRequest { as_of: args.as_of, ..RunRequest::new() };
        return Ok(wire::convert_explanation(engine.explain(&component, &request, customer).await?));
    };
    let asked = remote::asked(recipe)?;
    let (component, inputs, history) = asked.clone();
    let (customer_id, as_of) = (customer.to_owned(), args.as_of.map(client::timestamp));
    let request = ExplainCustomerRequest { component, inputs, customer_id, as_of, history };
    match client.explain_customer(request).await {
        Ok(explanation) => Ok(explanation),
        Err(error) => Err(remote::told_whole(&mut client, asked, error).await),
    }
}

/// A plan has a line for each of its steps.
fn lines_of(plan: &str) -> Lines {
    let mut lines = Lines::default();
    plan.trim_end().lines().for_each(|line| lines.line(line));
    lines
}

fn text(explanation: &ExplainCustomerResponse) -> Lines {
    let as_of = explanation.as_of.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut text = Lines::one(format_args!(
        "{}: health score {:.2}, {}, as of {as_of}",
        explanation.customer_id, explanation.health_score, explanation.risk_category
    ));
    let yes = |flag| if flag { "yes" } else { "no" };
    text.line(format_args!("  churn risk: {}", yes(explanation.is_churn_risk)));
    text.line(format_args!("  expansion opportunity: {}", yes(explanation.is_expansion_opportunity)));
    text.line(format_args!("  backed by data: {:.1} % of the weight", explanation.data_coverage * 100.0));
    // Floating point noise is not clipping.
    if (explanation.unclipped - explanation.health_score).abs() > 1e-9 {
        let (low, high) = (explanation.min_health_score, explanation.max_health_score);
        text.line(format_args!("  clipped: {:.2} lies outside {low}-{high}", explanation.unclipped));
    }
    let contributions: Vec<f64> = explanation.components.iter().map(|component| component.contribution).collect();
    let contributions = rounded::hundredths(&contributions, rounded::of(explanation.unclipped));
    for (component, contribution) in explanation.components.iter().zip(&contributions) {
        component_text(component, *contribution, &mut text);
    }
    let counted = explanation.components.iter().zip(&contributions).filter(|(part, _)| part.counted_as.is_some());
    let parts: Vec<String> = counted.map(|(_, contribution)| rounded::text(*contribution)).collect();
    text.blank();
    text.line(format_args!("{} = {:.2}", parts.join(" + ").replace("+ -", "- "), explanation.unclipped));
    text
}

fn component_text(component: &ComponentExplanation, contribution: i64, text: &mut Lines) {
    let contributes = format!("share {:.3}, contributes {}", component.share, rounded::text(contribution));
    let headline = match (component.score, component.counted_as) {
        (Some(score), _) => format!("score {score:.2}, {contributes}"),
        (None, Some(counted)) => format!("no data, counts as {counted:.2}, {contributes}"),
        (None, None) => "no data, takes no part".to_owned(),
    };
    text.blank();
    text.line(format_args!("{}: {headline}", component.name));
    let mut table = Table::new(&[
        ("indicator", Side::Left),
        ("value", Side::Right),
        ("scale", Side::Left),
        ("score", Side::Right),
        ("weight", Side::Right),
        ("contribution", Side::Right),
        ("from", Side::Left),
    ]);
    let contributions: Vec<f64> = component.indicators.iter().map(|indicator| indicator.contribution).collect();
    let contributions = rounded::hundredths(&contributions, contribution);
    for (indicator, contribution) in component.indicators.iter().zip(contributions) {
        table.row([
            indicator.name.clone(),
            indicator.value.clone().unwrap_or_else(|| "missing".to_owned()),
            indicator.scale.clone(),
            indicator.score.map_or_else(|| "-".to_owned(), |score| format!("{score:.2}")),
            format!("{:.4}", indicator.weight),
            rounded::text(contribution),
            format!("{}: {}", input_name(indicator.input()), indicator.origin),
        ]);
    }
    if !component.indicators.is_empty() {
        text.append(&table.lines());
    }
    for cap in &component.caps_hit {
        let from = component.uncapped.map_or_else(String::new, |uncapped| format!(", from {uncapped:.2}"));
        text.line(format_args!("  cap: {} lowers it to at most {}{from}", cap.when, cap.at_most));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::proto::{CapDescription, IndicatorExplanation, Input};

    fn indicator(name: &str, value: Option<&str>, score: Option<f64>) -> IndicatorExplanation {
        let present = score.is_some();
        IndicatorExplanation {
            name: name.into(),
            input: Input::Subscription.into(),
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
        let explanation = ExplainCustomerResponse {
            as_of: DateTime::from_timestamp(1_751_328_000, 0).map(client::timestamp),
            customer_id: "C-1".into(),
            health_score: 40.0,
            unclipped: 33.75,
            min_health_score: 40.0,
            max_health_score: 100.0,
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
                    caps_hit: vec![CapDescription { when: "payment_failures >= 3".into(), at_most: 35.0 }],
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
        insta::assert_snapshot!(text(&explanation).as_str(), @r"
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

    #[test]
    fn what_is_shown_adds_up() {
        let third = ComponentExplanation {
            name: "c".into(),
            score: Some(33.335),
            counted_as: Some(33.335),
            uncapped: Some(33.335),
            share: 1.0 / 3.0,
            contribution: 33.335 / 3.0,
            indicators: (0..3)
                .map(|_| IndicatorExplanation { contribution: 33.335 / 9.0, ..indicator("i", Some("1"), Some(33.335)) })
                .collect(),
            caps_hit: vec![],
        };
        let explanation =
            ExplainCustomerResponse { unclipped: 33.335, components: vec![third; 3], ..Default::default() };
        let text = text(&explanation);
        let text = text.as_str();
        assert!(
            text.ends_with("\n11.12 + 11.11 + 11.11 = 33.34\n") || text.ends_with("\n11.12 + 11.11 + 11.10 = 33.33\n"),
            "{text}"
        );
        let shown =
            |line: &str, word: &str| line.split(word).nth(1).map(|rest| rounded::of(rest.trim().parse().unwrap()));
        let components: Vec<i64> = text.lines().filter_map(|line| shown(line, "contributes ")).collect();
        let indicators: Vec<&str> = text.lines().filter(|line| line.contains("subscription: ")).collect();
        for (at, component) in components.iter().enumerate() {
            let of_it = indicators[at * 3..].iter().take(3).map(|line| line.split_whitespace().nth(7).unwrap());
            let sum: i64 = of_it.map(|text| rounded::of(text.parse().unwrap())).sum();
            assert_eq!(sum, *component, "{text}");
        }
    }
}

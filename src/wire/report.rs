//! From domain to wire: what a run tells while it works, and what it did; pure.

use chrono::Utc;

use super::measures::list_measures;
use crate::component::Asset;
use crate::engine::{self, Event, RunReport};
use crate::wire::proto;
use crate::wire::values::{
    convert_asset, convert_input, convert_origin, convert_output, convert_stage, convert_timestamp,
};

/// What an event is on the wire; `stage` is the stage that the run is in.
pub fn convert_event(event: Event, stage: engine::Stage) -> proto::MaterializeResponse {
    use proto::materialize_response::Event as Wire;
    let event = match event {
        Event::Started(stage) => Wire::Progress(proto::Progress { stage: convert_stage(stage).into(), rows: 0 }),
        Event::Rows(rows) => Wire::Progress(proto::Progress { stage: convert_stage(stage).into(), rows }),
        Event::Warning(message) => Wire::Warning(proto::Warning { message }),
        Event::Log(message) => Wire::Log(proto::LogLine { time: Some(convert_timestamp(Utc::now())), message }),
    };
    proto::MaterializeResponse { event: Some(event) }
}

/// The last event of a run that went well.
pub fn convert_result(asset: &Asset, report: RunReport) -> proto::MaterializeResponse {
    let outputs = list_outputs(&report);
    let result =
        proto::MaterializeResult { asset: Some(convert_asset(asset)), report: Some(convert_report(report)), outputs };
    proto::MaterializeResponse { event: Some(proto::materialize_response::Event::Result(result)) }
}

/// A run that went well, in short.
pub fn convert_summary(report: RunReport) -> proto::MaterializeSyncResponse {
    proto::MaterializeSyncResponse {
        outputs: list_outputs(&report),
        run_id: report.run_id,
        asset_name: report.asset_name,
        scorecard_name: report.scorecard_name,
        scorecard_hash: report.scorecard_hash,
        as_of: Some(convert_timestamp(report.as_of)),
        calculated_at: Some(convert_timestamp(report.calculated_at)),
        output_path: report.output.path,
        rows: report.output.rows,
        bytes: report.output.bytes,
        customers: report.customers,
        mean_score: report.scores.map(|scores| scores.mean),
        median_score: report.scores.map(|scores| scores.median),
        categories: convert_categories(report.categories),
        churn_risks: report.churn_risks,
        expansion_opportunities: report.expansion_opportunities,
        warnings: report.warnings,
        partition_key: report.partition_key.unwrap_or_default(),
        data_version: report.data_version,
        config_hash: report.config_hash,
        checks: report.checks.into_iter().map(convert_check).collect(),
    }
}

fn convert_categories(categories: Vec<(String, u64)>) -> Vec<proto::CategoryReport> {
    categories.into_iter().map(|(name, customers)| proto::CategoryReport { name, customers }).collect()
}

fn convert_report(report: RunReport) -> proto::RunReport {
    proto::RunReport {
        measures: list_measures(&report),
        join: Some(convert_join(report.join)),
        run_id: report.run_id,
        asset_name: report.asset_name,
        component_version: report.component_version,
        scorecard_name: report.scorecard_name,
        scorecard_hash: report.scorecard_hash,
        as_of: Some(convert_timestamp(report.as_of)),
        calculated_at: Some(convert_timestamp(report.calculated_at)),
        output: Some(convert_output(report.output)),
        customers: report.customers,
        scores: report.scores.map(|s| proto::ScoreSummary { mean: s.mean, median: s.median, min: s.min, max: s.max }),
        categories: convert_categories(report.categories),
        churn_risks: report.churn_risks,
        expansion_opportunities: report.expansion_opportunities,
        inputs: report.inputs.into_iter().map(convert_input_report).collect(),
        components: report.components.into_iter().map(convert_component_report).collect(),
        population: report.population.into_iter().map(convert_statistic_report).collect(),
        warnings: report.warnings,
        hints: report.hints,
        stages: report.stages.into_iter().map(convert_stage_report).collect(),
        partition_key: report.partition_key.unwrap_or_default(),
        tags: report.tags,
        data_version: report.data_version,
        config_hash: report.config_hash,
        checks: report.checks.into_iter().map(convert_check).collect(),
        preview_json: report.preview.unwrap_or_default(),
        churn_risk_cutoff: report.cutoffs.churn_risk,
        expansion_opportunity_cutoff: report.cutoffs.expansion_opportunity,
        flags_beside_categories: report.flags_beside_categories,
    }
}

fn convert_join(join: engine::JoinReport) -> proto::JoinReport {
    proto::JoinReport {
        operator: join.operator.unwrap_or_default().to_owned(),
        unfit_column: join.unfit_column.unwrap_or_default(),
    }
}

fn convert_check(check: engine::Check) -> proto::Check {
    let severity = match check.severity {
        engine::Severity::Warn => proto::CheckSeverity::Warn,
        engine::Severity::Error => proto::CheckSeverity::Error,
    };
    proto::Check {
        name: check.name.to_owned(),
        passed: check.passed,
        severity: severity.into(),
        description: check.description,
        facts: check.facts,
    }
}

/// All tables of a run, the scores first.
fn list_outputs(report: &RunReport) -> Vec<proto::OutputReport> {
    std::iter::once(&report.output).chain(&report.fan_out).cloned().map(convert_output).collect()
}

fn convert_input_report(report: engine::InputReport) -> proto::InputReport {
    let dropped = report.dropped.into_iter();
    proto::InputReport {
        input: convert_input(report.name).into(),
        path: report.path,
        files: report.files,
        bytes: report.bytes,
        rows_read: report.rows_read,
        rows_kept: report.rows_kept,
        dropped: dropped.map(|d| proto::DroppedRows { reason: d.reason, rows: d.rows }).collect(),
        customers: report.customers,
        duplicates_merged: report.duplicates_merged,
        unmatched: report.unmatched,
        key: report.key,
        fields: report.fields.into_iter().map(convert_field_report).collect(),
    }
}

fn convert_field_report(report: engine::FieldReport) -> proto::FieldReport {
    let (origin, source) = convert_origin(&report.field, report.origin);
    let texts = report.unmapped_texts.into_iter();
    proto::FieldReport {
        component: report.component,
        indicator: report.indicator,
        field: report.field,
        origin: origin.into(),
        source,
        unparsable: report.unparsable,
        no_data: report.no_data,
        unmapped: report.unmapped,
        unmapped_texts: texts.map(|(text, count)| proto::UnmappedText { text, count }).collect(),
    }
}

fn convert_component_report(report: engine::ComponentReport) -> proto::ComponentReport {
    proto::ComponentReport {
        name: report.name,
        weight: report.weight,
        share: report.share,
        with_data: report.with_data,
        missing: report.missing,
        mean: report.mean,
    }
}

fn convert_statistic_report(report: engine::StatisticReport) -> proto::StatisticReport {
    proto::StatisticReport {
        component: report.component,
        indicator: report.indicator,
        statistic: report.statistic,
        value: report.value,
        pinned: report.pinned,
    }
}

fn convert_stage_report(report: engine::StageReport) -> proto::StageReport {
    // A stage of 292 billion years is out of range for the wire, and for us.
    let elapsed = prost_types::Duration::try_from(report.elapsed).ok();
    proto::StageReport { stage: convert_stage(report.stage).into(), elapsed }
}

impl From<proto::MaterializeResponse> for proto::MaterializeStreamResponse {
    fn from(response: proto::MaterializeResponse) -> Self {
        use proto::materialize_response::Event as Plain;
        use proto::materialize_stream_response::Event as Streamed;
        let event = response.event.map(|event| match event {
            Plain::Progress(progress) => Streamed::Progress(progress),
            Plain::Warning(warning) => Streamed::Warning(warning),
            Plain::Result(result) => Streamed::Result(result),
            Plain::Log(line) => Streamed::Log(line),
        });
        Self { event }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::FieldOrigin;

    #[test]
    fn an_origin_names_what_was_read() {
        let field = |origin| {
            let (component, indicator, field) = ("c".to_owned(), "i".to_owned(), "f".to_owned());
            let report = convert_field_report(engine::FieldReport {
                component,
                indicator,
                field,
                origin,
                unparsable: 2,
                unmapped: 3,
                unmapped_texts: vec![("lost".to_owned(), 3)],
                no_data: true,
            });
            assert_eq!((report.unparsable, report.unmapped), (2, 3));
            assert_eq!(report.unmapped_texts, [proto::UnmappedText { text: "lost".to_owned(), count: 3 }]);
            (report.origin(), report.source)
        };
        assert_eq!(field(FieldOrigin::Column), (proto::FieldOrigin::Column, "f".to_owned()));
        assert_eq!(field(FieldOrigin::Alias("a".into())), (proto::FieldOrigin::Alias, "a".to_owned()));
        assert_eq!(field(FieldOrigin::Expression("1".into())), (proto::FieldOrigin::Expression, "1".to_owned()));
        assert_eq!(field(FieldOrigin::Absent), (proto::FieldOrigin::Absent, String::new()));
    }
}

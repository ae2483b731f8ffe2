//! From domain to wire: the small things that several answers share; pure.

use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::StreamWriter;
use chrono::{DateTime, Utc};
use prost_types::Timestamp;
use url::Url;

use crate::component::{Asset, FanOut};
use crate::engine::{self, FieldOrigin};
use crate::scorecard::InputName;
use crate::wire::proto;

/// A moment, to the nanosecond.
pub fn convert_timestamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp { seconds: time.timestamp(), nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(0) }
}

/// Facts about the asset.
pub fn convert_asset(asset: &Asset) -> proto::Asset {
    let upstream = asset.upstream.iter();
    proto::Asset {
        name: asset.name.clone(),
        description: asset.description.clone(),
        group_name: asset.group_name.clone(),
        owners: asset.owners.clone(),
        tags: asset.tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        kinds: asset.kinds.clone(),
        upstream: upstream
            .map(|(name, key)| proto::UpstreamAsset { input: convert_input(*name).into(), asset_key: key.clone() })
            .collect(),
    }
}

/// A table that was written, or would be.
pub fn convert_output(output: engine::OutputReport) -> proto::OutputReport {
    proto::OutputReport {
        table: convert_table(output.fan_out).into(),
        table_name: table_name(output.fan_out).to_owned(),
        asset_name: output.asset_name,
        uri: path_to_uri(&output.path),
        path: output.path,
        rows: output.rows,
        bytes: output.bytes,
        columns: output.columns.into_iter().map(convert_column).collect(),
        arrow_schema: encode_schema(&output.schema),
        lineage: output.lineage.into_iter().map(convert_lineage).collect(),
    }
}

/// Name of a table that a run writes.
pub fn table_name(fan_out: Option<FanOut>) -> &'static str {
    fan_out.map_or("scores", FanOut::name)
}

/// A table that a run writes, for callers that know no names of tables.
pub fn convert_table(fan_out: Option<FanOut>) -> proto::Table {
    match fan_out {
        None => proto::Table::Scores,
        Some(FanOut::ChurnRisk) => proto::Table::ChurnRisk,
        Some(FanOut::Expansion) => proto::Table::Expansion,
    }
}

fn convert_lineage(lineage: engine::ColumnLineage) -> proto::ColumnLineage {
    let source = |source: engine::SourceColumn| proto::SourceColumn {
        input: convert_input(source.input).into(),
        asset_key: source.asset_key.unwrap_or_default(),
        column: source.column,
    };
    proto::ColumnLineage { column: lineage.column, sources: lineage.sources.into_iter().map(source).collect() }
}

/// A path as a URI; a URI stays what it is.
fn path_to_uri(path: &str) -> String {
    if path.is_empty() || path.contains("://") {
        return path.to_owned();
    }
    std::path::absolute(path).ok().and_then(|path| Url::from_file_path(path).ok()).map(String::from).unwrap_or_default()
}

/// A schema as the message that an Arrow IPC stream begins with.
fn encode_schema(schema: &SchemaRef) -> Vec<u8> {
    // Writing into memory does not fail; without its schema the table is still described by its columns.
    StreamWriter::try_new(Vec::new(), schema).map(|writer| writer.get_ref().clone()).unwrap_or_default()
}

/// A column of the table.
pub fn convert_column(column: engine::ColumnReport) -> proto::ColumnReport {
    proto::ColumnReport {
        name: column.name,
        data_type: column.data_type,
        nullable: column.nullable,
        description: column.description,
    }
}

/// Where a field's values come from, and the column or SQL that says so.
pub fn convert_origin(field: &str, origin: FieldOrigin) -> (proto::FieldOrigin, String) {
    match origin {
        FieldOrigin::Column => (proto::FieldOrigin::Column, field.to_owned()),
        FieldOrigin::Alias(column) => (proto::FieldOrigin::Alias, column),
        FieldOrigin::Expression(sql) => (proto::FieldOrigin::Expression, sql),
        FieldOrigin::Absent => (proto::FieldOrigin::Absent, String::new()),
    }
}

/// A stage of a run.
pub fn convert_stage(stage: engine::Stage) -> proto::Stage {
    match stage {
        engine::Stage::Open => proto::Stage::Open,
        engine::Stage::Profile => proto::Stage::Profile,
        engine::Stage::Population => proto::Stage::Population,
        engine::Stage::Score => proto::Stage::Score,
        engine::Stage::Publish => proto::Stage::Publish,
        engine::Stage::Check => proto::Stage::Check,
    }
}

/// The name of an input.
pub fn convert_input(name: InputName) -> proto::Input {
    match name {
        InputName::Customer => proto::Input::Customer,
        InputName::Subscription => proto::Input::Subscription,
        InputName::Usage => proto::Input::Usage,
        InputName::Support => proto::Input::Support,
    }
}

//! From domain to wire: the small things that several answers share; pure.

use chrono::{DateTime, Utc};
use prost_types::Timestamp;

use crate::component::Asset;
use crate::engine::{self, FieldOrigin};
use crate::proto;
use crate::scorecard::InputName;

/// A moment, to the nanosecond.
pub fn timestamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp { seconds: time.timestamp(), nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(0) }
}

/// Facts about the asset.
pub fn asset(asset: &Asset) -> proto::Asset {
    let upstream = asset.upstream.iter();
    proto::Asset {
        name: asset.name.clone(),
        description: asset.description.clone(),
        group_name: asset.group_name.clone(),
        owners: asset.owners.clone(),
        tags: asset.tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        kinds: asset.kinds.clone(),
        upstream: upstream
            .map(|(name, key)| proto::UpstreamAsset { input: input(*name).into(), asset_key: key.clone() })
            .collect(),
    }
}

/// A column of the table.
pub fn column(column: engine::ColumnReport) -> proto::ColumnReport {
    proto::ColumnReport { name: column.name, data_type: column.data_type, nullable: column.nullable }
}

/// Where a field's values come from, and the column or SQL that says so.
pub fn origin(field: &str, origin: FieldOrigin) -> (proto::FieldOrigin, String) {
    match origin {
        FieldOrigin::Column => (proto::FieldOrigin::Column, field.to_owned()),
        FieldOrigin::Alias(column) => (proto::FieldOrigin::Alias, column),
        FieldOrigin::Expression(sql) => (proto::FieldOrigin::Expression, sql),
        FieldOrigin::Absent => (proto::FieldOrigin::Absent, String::new()),
    }
}

/// A stage of a run.
pub fn stage(stage: engine::Stage) -> proto::Stage {
    match stage {
        engine::Stage::Open => proto::Stage::Open,
        engine::Stage::Profile => proto::Stage::Profile,
        engine::Stage::Population => proto::Stage::Population,
        engine::Stage::Score => proto::Stage::Score,
        engine::Stage::Publish => proto::Stage::Publish,
    }
}

/// The name of an input.
pub fn input(name: InputName) -> proto::Input {
    match name {
        InputName::Customer => proto::Input::Customer,
        InputName::Subscription => proto::Input::Subscription,
        InputName::Usage => proto::Input::Usage,
        InputName::Support => proto::Input::Support,
    }
}

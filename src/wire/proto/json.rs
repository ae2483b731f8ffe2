//! How wire values look in JSON: enums by short name, timestamps as RFC 3339, durations in seconds.

use prost_types::{Duration, Timestamp};
use serde::{Serialize, Serializer};

use super::{CheckSeverity, Delivery, FieldOrigin, Input, Stage, StreamedFormat, Table};

/// `INPUT_USAGE` as `usage`; a number that this version does not know stays a number.
fn short<S: Serializer>(name: Option<&str>, prefix: &str, number: i32, serializer: S) -> Result<S::Ok, S::Error> {
    match name {
        Some(name) => serializer.serialize_str(&name.strip_prefix(prefix).unwrap_or(name).to_lowercase()),
        None => serializer.serialize_i32(number),
    }
}

pub(super) fn input<S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    short(Input::try_from(*value).ok().map(|v| v.as_str_name()), "INPUT_", *value, serializer)
}

pub(super) fn stage<S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    short(Stage::try_from(*value).ok().map(|v| v.as_str_name()), "STAGE_", *value, serializer)
}

pub(super) fn field_origin<S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    short(FieldOrigin::try_from(*value).ok().map(|v| v.as_str_name()), "FIELD_ORIGIN_", *value, serializer)
}

pub(super) fn table<S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    short(Table::try_from(*value).ok().map(|v| v.as_str_name()), "TABLE_", *value, serializer)
}

pub(super) fn check_severity<S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    short(CheckSeverity::try_from(*value).ok().map(|v| v.as_str_name()), "CHECK_SEVERITY_", *value, serializer)
}

pub(super) fn streamed_format<S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    short(StreamedFormat::try_from(*value).ok().map(|v| v.as_str_name()), "STREAMED_FORMAT_", *value, serializer)
}

pub(super) fn delivery<S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    short(Delivery::try_from(*value).ok().map(|v| v.as_str_name()), "DELIVERY_", *value, serializer)
}

pub(super) fn timestamp<S: Serializer>(value: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map(ToString::to_string).serialize(serializer)
}

pub(super) fn duration<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map(|d| d.seconds as f64 + f64::from(d.nanos) / 1e9).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::super::{InputReport, RunReport, StageReport};
    use super::*;

    #[test]
    fn json_is_snake_case_with_short_names_and_plain_times() {
        let report = RunReport {
            run_id: "r".into(),
            as_of: Some(Timestamp { seconds: 1_751_241_600, nanos: 0 }),
            inputs: vec![InputReport { input: Input::Usage.into(), ..Default::default() }],
            stages: vec![StageReport {
                stage: Stage::Score.into(),
                elapsed: Some(Duration { seconds: 1, nanos: 500_000_000 }),
            }],
            ..Default::default()
        };
        let json = serde_json::to_value(report).unwrap();
        assert_eq!(json["as_of"], "2025-06-30T00:00:00Z");
        assert_eq!(json["calculated_at"], serde_json::Value::Null);
        assert_eq!(json["inputs"][0]["input"], "usage");
        assert_eq!(json["stages"][0], serde_json::json!({"stage": "score", "elapsed": 1.5}));
    }
}

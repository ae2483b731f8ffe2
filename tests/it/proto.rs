//! The committed code under `src/wire/proto/` is what the files under `proto/` say.

use std::fs;
use std::path::Path;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FileDescriptorSet};

pub const PACKAGE: &str = "customer_health.v1";
const FILES: [&str; 6] = [
    "customer_health/v1/component.proto",
    "customer_health/v1/customer_health.proto",
    "customer_health/v1/inspect.proto",
    "customer_health/v1/report.proto",
    "customer_health/v1/run.proto",
    "customer_health/v1/stream.proto",
];

#[test]
fn generated_code_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let descriptors = descriptors(&root.join("proto"));
    let update = std::env::var_os("UPDATE_PROTO").is_some();
    for (name, fresh) in
        [("customer_health_v1.rs", code(descriptors.clone())), ("customer_health_v1.bin", encode(&descriptors))]
    {
        let path = root.join("src/wire/proto").join(name);
        if update {
            fs::write(&path, &fresh).unwrap();
        }
        let current = fs::read(&path).unwrap_or_default() == fresh;
        assert!(current, "{} is out of date\nhint: UPDATE_PROTO=1 cargo test --test it proto", path.display());
    }
}

#[test]
fn every_proto_file_is_listed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/customer_health/v1");
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| format!("customer_health/v1/{}", entry.unwrap().file_name().to_string_lossy()))
        .collect();
    names.sort();
    assert_eq!(names, FILES);
}

/// Every message, field, enum, value and call is explained, because strangers read only the contract.
#[test]
fn everything_in_the_contract_has_a_comment() {
    let descriptors = descriptors(&Path::new(env!("CARGO_MANIFEST_DIR")).join("proto"));
    for file in descriptors.file.iter().filter(|file| file.package() == PACKAGE) {
        let info = file.source_code_info.as_ref().unwrap();
        let explained = |path: &[i32]| {
            let location = info.location.iter().find(|location| location.path == path).unwrap();
            assert!(!location.leading_comments().trim().is_empty(), "{}: no comment at {path:?}", file.name());
        };
        for (at, message) in (0..).zip(&file.message_type) {
            explained(&[4, at]);
            (0..).zip(&message.field).for_each(|(field, _)| explained(&[4, at, 2, field]));
        }
        for (at, values) in (0..).zip(&file.enum_type) {
            explained(&[5, at]);
            (0..).zip(&values.value).for_each(|(value, _)| explained(&[5, at, 2, value]));
        }
        for (at, service) in (0..).zip(&file.service) {
            explained(&[6, at]);
            (0..).zip(&service.method).for_each(|(method, _)| explained(&[6, at, 2, method]));
        }
    }
}

pub fn descriptors(include: &Path) -> FileDescriptorSet {
    let mut compiler = protox::Compiler::new([include]).unwrap();
    compiler.include_imports(true).include_source_info(true).open_files(FILES).unwrap();
    let mut descriptors = compiler.file_descriptor_set();
    // Google's own comments are not ours to ship.
    for file in descriptors.file.iter_mut().filter(|file| file.package() != PACKAGE) {
        file.source_code_info = None;
    }
    descriptors
}

fn encode(descriptors: &FileDescriptorSet) -> Vec<u8> {
    prost::Message::encode_to_vec(descriptors)
}

fn code(descriptors: FileDescriptorSet) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let mut builder = tonic_prost_build::configure()
        .out_dir(folder.path())
        .emit_rerun_if_changed(false)
        .btree_map(".")
        .type_attribute(".", "#[derive(serde::Serialize)]");
    for file in descriptors.file.iter().filter(|file| file.package() == PACKAGE) {
        for message in &file.message_type {
            for (path, attribute) in serde_attributes(message) {
                builder = builder.field_attribute(path, attribute);
            }
            for oneof in &message.oneof_decl {
                let path = format!("{PACKAGE}.{}.{}", message.name(), oneof.name());
                builder = builder.enum_attribute(path, "#[serde(rename_all = \"snake_case\")]");
            }
        }
    }
    builder.compile_fds(descriptors).unwrap();
    let text = fs::read_to_string(folder.path().join(format!("{PACKAGE}.rs"))).unwrap();
    let first = "//! Messages, client and server of `customer_health.v1`, generated from `proto/`; do not edit.\n\n";
    format!("{first}{text}").into_bytes()
}

/// What serde cannot know of itself: how enums, timestamps and durations look in JSON.
fn serde_attributes(message: &DescriptorProto) -> Vec<(String, String)> {
    let mut attributes = Vec::new();
    for field in &message.field {
        let type_name = field.type_name();
        let helper = match (field.r#type(), type_name) {
            // Encoded schemas and tables are for programs that speak Arrow.
            (Type::Bytes, _) => {
                let path = format!("{PACKAGE}.{}.{}", message.name(), field.name());
                attributes.push((path, "#[serde(skip)]".to_owned()));
                continue;
            }
            (Type::Enum, _) => snake_case(type_name.rsplit('.').next().unwrap()),
            (_, ".google.protobuf.Timestamp") => "timestamp".to_owned(),
            (_, ".google.protobuf.Duration") => "duration".to_owned(),
            _ => continue,
        };
        assert_ne!(field.label(), Label::Repeated, "{type_name}: JSON of a list of these is not written yet");
        let path = format!("{PACKAGE}.{}.{}", message.name(), field.name());
        attributes.push((path, format!("#[serde(serialize_with = \"super::json::{helper}\")]")));
    }
    attributes
}

fn snake_case(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

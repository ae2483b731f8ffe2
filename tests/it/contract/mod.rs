//! The contract breaks no caller of before: what `buf breaking` holds, read off the descriptors.
//!
//! `released.binpb` is the contract as callers have it, as `buf build --exclude-source-info --exclude-imports` writes it.
//! `UPDATE_RELEASED_PROTO=1` puts today's in its place, where that breaks nobody, so that its new fields are held as well.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use prost::Message;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorSet};

use crate::proto::{PACKAGE, descriptors};
use crate::support::root;

/// What a caller relies on, by what it is found by: a field by its message and number, a call by its name.
type Promises = BTreeMap<String, String>;

fn promises(contract: &FileDescriptorSet) -> Promises {
    let mut found = Promises::new();
    for file in contract.file.iter().filter(|file| file.package() == PACKAGE) {
        found.insert(format!("file {}", file.name()), file.syntax().to_owned());
        promise_messages(&file.message_type, PACKAGE, &mut found);
        promise_enums(&file.enum_type, PACKAGE, &mut found);
        for service in &file.service {
            found.insert(format!("service {}", service.name()), file.name().to_owned());
            for method in &service.method {
                let asked = (method.client_streaming(), method.input_type());
                let told = (method.server_streaming(), method.output_type());
                found.insert(format!("call {}.{}", service.name(), method.name()), format!("{asked:?} {told:?}"));
            }
        }
    }
    found
}

fn promise_messages(messages: &[DescriptorProto], within: &str, found: &mut Promises) {
    for message in messages {
        let path = format!("{within}.{}", message.name());
        found.insert(format!("message {path}"), String::new());
        for field in &message.field {
            let oneof = field.oneof_index.map(|at| message.oneof_decl[at as usize].name());
            let kind = (field.r#type(), field.type_name(), field.label(), oneof);
            let names = (field.name(), field.json_name());
            found.insert(format!("field {path} = {}", field.number()), format!("{names:?} {kind:?}"));
        }
        promise_messages(&message.nested_type, &path, found);
        promise_enums(&message.enum_type, &path, found);
    }
}

fn promise_enums(enums: &[EnumDescriptorProto], within: &str, found: &mut Promises) {
    for values in enums {
        let path = format!("{within}.{}", values.name());
        found.insert(format!("enum {path}"), String::new());
        for value in &values.value {
            found.insert(format!("value {path} = {}", value.number()), value.name().to_owned());
        }
    }
}

/// What was promised before and is not kept now.
fn broken(before: &FileDescriptorSet, now: &FileDescriptorSet) -> Vec<String> {
    let now = promises(now);
    let lost = promises(before).into_iter().filter(|(of, promise)| now.get(of) != Some(promise));
    lost.map(|(of, promise)| format!("{of}: was {promise}, is {:?}", now.get(&of))).collect()
}

fn released() -> FileDescriptorSet {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/contract/released.binpb");
    FileDescriptorSet::decode(&*fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_contract_breaks_no_caller_of_before() {
    let now = descriptors(&root().join("proto"));
    let broken = broken(&released(), &now);
    assert!(broken.is_empty(), "callers of before would no longer be understood:\n{}", broken.join("\n"));
    if std::env::var_os("UPDATE_RELEASED_PROTO").is_some() {
        let mut own = FileDescriptorSet { file: now.file.into_iter().filter(|f| f.package() == PACKAGE).collect() };
        own.file.iter_mut().for_each(|file| file.source_code_info = None);
        fs::write(root().join("tests/it/contract/released.binpb"), own.encode_to_vec()).unwrap();
    }
}

#[test]
fn whatever_would_break_a_caller_is_seen() {
    let told = |change: fn(&mut FileDescriptorSet)| {
        let mut now = released();
        change(&mut now);
        broken(&released(), &now)
    };
    fn message<'a>(set: &'a mut FileDescriptorSet, name: &str) -> &'a mut DescriptorProto {
        set.file.iter_mut().flat_map(|file| &mut file.message_type).find(|message| message.name() == name).unwrap()
    }
    assert!(promises(&released()).len() > 300);
    assert!(told(|_| {}).is_empty());
    assert!(
        told(|set| message(set, "RunReport").field.push(Default::default())).is_empty(),
        "a new field breaks nobody"
    );
    let changes: [fn(&mut FileDescriptorSet); 11] = [
        |set| message(set, "RunReport").field[8].number = Some(99),
        |set| message(set, "RunReport").field[8].name = Some("clients".to_owned()),
        |set| message(set, "RunReport").field[8].set_type(prost_types::field_descriptor_proto::Type::Int32),
        |set| message(set, "RunReport").field[7].type_name = Some(".customer_health.v1.Check".to_owned()),
        |set| message(set, "RunReport").field[9].set_label(prost_types::field_descriptor_proto::Label::Repeated),
        |set| drop(message(set, "RunReport").field.pop()),
        |set| message(set, "ComponentSource").field.iter_mut().for_each(|field| field.oneof_index = None),
        |set| message(set, "RunReport").name = Some("Report".to_owned()),
        |set| drop(set.file.iter_mut().find_map(|file| file.enum_type.first_mut()).unwrap().value.pop()),
        |set| set.file.iter_mut().find_map(|file| file.service.first_mut()).unwrap().method[0].server_streaming = None,
        |set| drop(set.file.pop()),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        assert!(!told(change).is_empty(), "change {at} is not seen");
    }
}

//! CSV and JSON as programs write them: packed, in arrays, with marks, in other encodings, one type here and another there.

use std::fs;
use std::io::Write;

use customer_health::engine::EngineConfig;
use customer_health::error::ErrorKind;
use customer_health::scorecard::InputName;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::{Folder, Run, assert_close, block_on, silent};

const CSV: &str = "customer_id,active_days\r\na,30\r\n007,15\r\n";
const JSON: &str = "{\"customer_id\": \"a\", \"active_days\": 30}\n{\"customer_id\": \"007\", \"active_days\": 15}\n";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// A frame of one block that is stored as it is.
fn zstd(bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).unwrap();
    let block = (u32::from(length) << 3) | 1;
    [&[0x28, 0xB5, 0x2F, 0xFD, 0x20, length], &block.to_le_bytes()[..3], bytes].concat()
}

fn utf16(text: &str) -> Vec<u8> {
    std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

fn write(folder: &Folder, name: &str, bytes: &[u8]) {
    folder.text(name, "");
    fs::write(folder.path(name), bytes).unwrap();
}

/// `a` has all 30 of the days, `007` half of them.
#[track_caller]
fn scores(folder: &Folder, input: &str) {
    let scores = folder.score(&format!("inputs: {{customer: {input}}}"));
    assert_eq!(scores.ids(), ["007", "a"], "{input}");
    assert_close(scores.of("a", "engagement"), 100.0, input);
    assert_close(scores.of("007", "engagement"), 50.0, input);
}

#[track_caller]
fn refused(folder: &Folder, input: &str, parts: &[&str]) {
    let error = folder.try_run(&format!("inputs: {{customer: {input}}}"), Run::default()).err();
    let error = error.unwrap_or_else(|| panic!("{input} was read"));
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
    assert!(parts.iter().all(|part| text.contains(part)) && text.contains("hint: "), "{parts:?} in: {text}");
}

#[test]
fn records_with_other_columns_than_the_header_are_told_by_their_line() {
    let folder = Folder::new();
    folder.text("more.csv", "customer_id,active_days\na,1\nb,\"2\"\nc,3,4\n");
    refused(&folder, "more.csv", &["the record in line 4 has 3 values, and the header 2 columns", "into quotes"]);
    folder.text("fewer.csv", "customer_id,active_days\n\na,1\nb");
    refused(&folder, "fewer.csv", &["line 4 has 1 values", "keeps its separator"]);
    folder.text("in/1.csv", "customer_id,active_days\na,1\n");
    folder.text("in/2.csv", "customer_id,active_days\nb\n");
    refused(&folder, "{path: in, format: csv}", &["2.csv", "line 2 has 1 values"]);
    folder.text("one.csv", "customer_id\na\n\n\"b\"\n");
    assert_eq!(folder.score("inputs: {customer: one.csv}").ids(), ["a", "b"]);
}

#[test]
fn packed_text_is_read_in_one_part_or_several() {
    let folder = Folder::new();
    let (head, tail) = CSV.as_bytes().split_at(29);
    write(&folder, "a.csv.gz", &gzip(CSV.as_bytes()));
    write(&folder, "b.csv.gz", &[gzip(head), gzip(tail)].concat());
    write(&folder, "c.csv.zst", &[zstd(head), zstd(tail)].concat());
    write(&folder, "d.jsonl.zst", &zstd(JSON.as_bytes()));
    write(&folder, "e.JSON.gz", &gzip(JSON.as_bytes()));
    // What is in a file counts, not its name.
    write(&folder, "f.csv", &gzip(CSV.as_bytes()));
    write(&folder, "g.csv.gz", CSV.as_bytes());
    write(&folder, "h.tsv.gz", &gzip(CSV.replace(',', "\t").as_bytes()));
    for name in ["a.csv.gz", "b.csv.gz", "c.csv.zst", "d.jsonl.zst", "e.JSON.gz", "f.csv", "g.csv.gz", "h.tsv.gz"] {
        scores(&folder, name);
    }
    let whole = gzip(CSV.repeat(100).as_bytes());
    write(&folder, "half.csv.gz", &whole[..whole.len() / 2]);
    refused(&folder, "half.csv.gz", &["half.csv.gz", "cannot be unpacked"]);
    write(&folder, "none.csv.gz", &gzip(b""));
    refused(&folder, "none.csv.gz", &["none.csv.gz", "empty"]);
}

#[test]
fn a_folder_of_text_is_its_files_whatever_their_endings() {
    let folder = Folder::new();
    let lines: Vec<&str> = JSON.lines().collect();
    folder.text("all/1.jsonl", lines[0]);
    write(&folder, "all/2 #1.ndjson.gz", &gzip(lines[1].as_bytes()));
    folder.text("all/README.txt", "no table");
    scores(&folder, "{path: all/, format: json}");
    scores(&folder, "{path: 'all/*json*', format: json}");
}

#[test]
fn limits_hold_for_what_is_unpacked() {
    let folder = Folder::new();
    write(&folder, "bomb.csv.gz", &gzip(&[b"customer_id,x\n", b"a,1\n".repeat(1 << 20).as_slice()].concat()));
    write(&folder, "long.csv.gz", &gzip(&[b"customer_id\n".as_slice(), &vec![b'x'; 17 << 20]].concat()));
    let long = [b"[{\"customer_id\": \"".as_slice(), &vec![b'x'; 17 << 20]].concat();
    write(&folder, "long.json.gz", &gzip(&long));
    assert!(fs::metadata(folder.path("bomb.csv.gz")).unwrap().len() < 100_000);
    let config = EngineConfig { max_input_bytes: Some(1 << 20), ..EngineConfig::default() };
    let engine = customer_health::engine::Engine::new(config).unwrap();
    let component = folder.component("inputs: {customer: bomb.csv.gz}");
    let request = customer_health::engine::RunRequest::new();
    let error = block_on(engine.materialize(&component, &request, &silent())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("--max-input-bytes"), "{error}");
    for name in ["long.csv.gz", "long.json.gz"] {
        refused(&folder, name, &[name, "longer than 16777216 bytes"]);
    }
}

#[test]
fn json_stands_in_lines_one_after_another_or_in_an_array() {
    let folder = Folder::new();
    let lines: Vec<&str> = JSON.lines().collect();
    let spread = |line: &str| line.replace(", ", ",\n  ").replace('{', "{\n  ").replace('}', "\n}");
    let array = format!("[{}]", lines.join(", "));
    for (name, text) in [
        ("array", array.clone()),
        ("indented", format!("[\n{},\n{}\n]\n", spread(lines[0]), spread(lines[1]))),
        ("objects", format!("{}\n{}", spread(lines[0]), spread(lines[1]))),
        ("line", lines.concat()),
        ("marked", format!("\u{feff}{}", JSON.replace('\n', "\r\n\r\n"))),
        ("marked_array", format!("\u{feff}{array}")),
    ] {
        folder.text(&format!("{name}.json"), &text);
        scores(&folder, &format!("{name}.json"));
    }
    folder.text("empty.json", "[]");
    let text = folder.try_run("inputs: {customer: empty.json}", Run::default()).err().unwrap().to_string();
    assert!(text.contains("empty.json") && text.contains("key"), "{text}");
    for (name, text, told) in [
        ("cut", "[{\"customer_id\": \"a\"}, {\"cust", "ends within record 2"),
        ("numbers", "[1, 2]", "line 1: expected an object"),
        ("page", "\n<html>", "line 2: expected an object, `{...}`, found `<`"),
        ("wrong", "{\"customer_id\": \"a\"}\n{\"customer_id\": x}\n", "record 2 is no JSON"),
    ] {
        folder.text(&format!("{name}.json"), text);
        refused(&folder, &format!("{name}.json"), &[name, told]);
    }
}

#[test]
fn fields_of_json_may_be_one_thing_here_and_another_there() {
    let folder = Folder::new();
    let ids = "{\"customer_id\": 1001, \"active_days\": 30}\n{\"customer_id\": \"1002\", \"active_days\": 15}\n\
               {\"customer_id\": 18446744073709551617, \"active_days\": 3}\n{\"customer_id\": true}\n";
    folder.text("ids.jsonl", ids);
    let found = folder.score("inputs: {customer: ids.jsonl}");
    assert_eq!(found.ids(), ["1001", "1002", "18446744073709551617", "true"]);
    assert_close(found.of("1002", "engagement"), 50.0, "15 of 30");

    let values = ["0", "\"15\"", "null", "\"never\"", "[1]"];
    let line = |(at, value): (usize, &&str)| format!("{{\"customer_id\": \"{at}\", \"active_days\": {value}}}\n");
    folder.text("values.jsonl", &values.iter().enumerate().map(line).collect::<String>());
    let found = folder.score("inputs: {customer: values.jsonl}");
    assert_close(found.of("1", "engagement"), 50.0, "text that is a number");
    assert_eq!(found.missing("engagement"), 3);
    assert_eq!(found.input(InputName::Customer).fields.iter().map(|field| field.unparsable).max(), Some(2));

    let unused = "{\"customer_id\": \"a\", \"active_days\": 30, \"x\": 1}\n{\"customer_id\": \"007\", \"active_days\": 15, \
                  \"x\": [\"y\", {\"z\": 2}], \"w\": {\"v\": [1, [2]]}}\n";
    folder.text("unused.jsonl", unused);
    scores(&folder, "unused.jsonl");
    // What fits no type is its text.
    scores(&folder, "{path: unused.jsonl, where: \"x = '1' or x = '[\\\"y\\\", {\\\"z\\\": 2}]'\"}");

    let late = "{\"customer_id\": \"a\", \"active_days\": 30}\n".repeat(20_000)
        + "{\"customer_id\": \"007\", \"active_days\": 7.5}\n";
    folder.text("late.jsonl", &late);
    assert_close(folder.score("inputs: {customer: late.jsonl}").of("007", "engagement"), 25.0, "the last of 20,001");

    folder.text("parts/1.json", "{\"customer_id\": \"a\", \"active_days\": null}\n");
    folder.text("parts/2.json", "{\"customer_id\": 7, \"active_days\": 15}\n");
    let found = folder.score("inputs: {customer: {path: parts/, format: json}}");
    assert_eq!((found.ids(), found.missing("engagement")), (vec!["7", "a"], 1));
}

#[test]
fn encodings_and_delimiters_are_read_or_told_by_name() {
    let folder = Folder::new();
    folder.text("mark.csv", &format!("\u{feff}{CSV}"));
    folder.text("quoted.csv", "\u{feff}\"customer_id\",\"active_days\"\n\"a\",\"30\"\n\"007\",\"15\"\n");
    folder.text("tabs.tsv", &CSV.replace(',', "\t"));
    write(&folder, "unread.csv", b"customer_id,name,active_days\na,Zo\xEB,30\n007,x,15\n");
    for name in ["mark.csv", "quoted.csv", "tabs.tsv", "unread.csv"] {
        scores(&folder, name);
    }
    write(&folder, "key.csv", b"name,customer_id,active_days\n\xEB,a,1\n\"x\ny\",Zo\xEB,1\n");
    refused(&folder, "key.csv", &["key.csv", "`customer_id`", "not UTF-8", "line 4"]);
    write(&folder, "wide.csv", &utf16(CSV));
    refused(&folder, "wide.csv", &["wide.csv", "UTF-16", "UTF-8"]);
    write(&folder, "bytes.jsonl", b"{\"customer_id\": \"a\"}\n{\"customer_id\": \"Zo\xEB\"}\n");
    refused(&folder, "bytes.jsonl", &["bytes.jsonl", "line 2 is not UTF-8"]);
    folder.text("semicolons.csv", &CSV.replace(',', ";"));
    refused(&folder, "semicolons.csv", &["semicolons.csv", "customer_id;active_days", "semicolons as commas"]);
    folder.text("sep.csv", &format!("sep=;\n{}", CSV.replace(',', ";")));
    refused(&folder, "sep.csv", &["sep.csv", "sep=;"]);
}

#[test]
fn a_name_that_tells_no_format_is_told() {
    let folder = Folder::new();
    folder.text("export.dat", CSV);
    refused(&folder, "export.dat", &["export.dat is no Parquet", ".csv, .tsv", "format: csv"]);
    scores(&folder, "{path: export.dat, format: csv}");
    write(&folder, "sheet.csv", b"PK\x03\x04rest");
    refused(&folder, "sheet.csv", &["ZIP archive or a sheet of Excel", "save sheets as CSV"]);
    folder.text("bad/1.csv", CSV);
    write(&folder, "bad/2.csv", &utf16(CSV));
    refused(&folder, "{path: bad/, format: csv}", &["2.csv: it is UTF-16"]);
}

#[test]
fn line_ends_in_values_are_values_in_large_files_too() {
    let folder = Folder::new();
    let mut text = "customer_id,name,active_days\n".to_owned();
    for at in 0..40_000 {
        text += &format!("c{at},\"{}\n{at}\n\n\",15\n", "x".repeat(300));
    }
    folder.text("long.csv", &text);
    let run = Run { partitions: Some(4), ..Run::default() };
    let scores = folder.run("inputs: {customer: long.csv}", run);
    assert_eq!((scores.table.num_rows(), scores.missing("engagement")), (40_000, 0));
}

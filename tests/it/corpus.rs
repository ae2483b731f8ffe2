//! The fuzz targets' bodies over their committed corpus and mutations of it, for a while: no nightly is needed.
//!
//! `FUZZ_SECONDS` says for how long each, 2 if not given; `FUZZ_SEED` where the mutations begin; `FUZZ_KEEP` names a file
//! that holds the input in work, for faults that end the process.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use crate::support::root;

#[path = "../../fuzz/bodies.rs"]
mod bodies;

/// Longest input that mutations grow to.
const LONGEST: usize = 16 << 10;

/// Longest that one input may take, in a debug build on a busy machine.
const SLOWEST: Duration = Duration::from_secs(20);

/// Texts that mean something to one or the other reader.
const WORDS: [&[u8]; 20] = [
    b"&a",
    b"*a",
    b"[",
    b"{",
    b"- ",
    b": ",
    b"|\n",
    b"{{ env.",
    b"}}",
    b"'",
    b"(",
    b" + a",
    b"CASE WHEN ",
    b" OVER ()",
    b"PAR1",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x80",
    b"\xff\xff\xff\x7f",
    b"\x19\xfc",
    b"\x00\x00\x00\x00",
];

/// Numbers as Thrift and protobuf write them: 0, -1, 1 << 31, 1 << 41, and the largest of 32 and 64 bits.
const NUMBERS: [&[u8]; 6] = [
    b"\x00",
    b"\x01",
    b"\x80\x80\x80\x80\x10",
    b"\x80\x80\x80\x80\x80\x80\x01",
    b"\xfe\xff\xff\xff\x0f",
    b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",
];

/// Kilobytes of address space that a process has where what it reads may promise more.
const ROOM: &str = "8388608";

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below.max(1)
    }

    /// One of the seeds with some changes.
    fn mutated(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            let (at, length) = (self.below(bytes.len() + 1), self.below(64));
            let to = (at + length).min(bytes.len());
            match self.below(9) {
                0 | 1 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                2 if at < bytes.len() => bytes[at] = self.below(256) as u8,
                3 => drop(bytes.drain(at..to)),
                4 => bytes.truncate(at),
                5 => {
                    // A piece again and again: what is deep or long comes of it.
                    let piece = bytes[at..to].repeat(1 + self.below(200));
                    drop(bytes.splice(at..at, piece));
                }
                6 => {
                    let other = &seeds[self.below(seeds.len())];
                    let from = self.below(other.len() + 1);
                    drop(bytes.splice(at..to, other[from..(from + length).min(other.len())].to_vec()));
                }
                7 => {
                    // Thrift's and protobuf's numbers are of any length: one is replaced whole, by one at an edge.
                    let more = bytes[at..].iter().take_while(|byte| **byte & 0x80 != 0).count();
                    let number = NUMBERS[self.below(NUMBERS.len())];
                    drop(bytes.splice(at..(at + more + 1).min(bytes.len()), number.iter().copied()));
                }
                _ => {
                    let word = WORDS[self.below(WORDS.len())].repeat(1 + self.below(3));
                    drop(bytes.splice(at..at, word));
                }
            }
            bytes.truncate(LONGEST);
        }
        bytes
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

fn try_one(name: &str, body: bodies::Body, bytes: &[u8]) {
    if let Some(path) = std::env::var_os("FUZZ_KEEP") {
        fs::write(path, bytes).unwrap();
    }
    let began = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| body(bytes)));
    let slow = began.elapsed() > SLOWEST;
    if outcome.is_err() || slow {
        let path = std::env::temp_dir().join(format!("customer-health-fuzz-{name}"));
        fs::write(&path, bytes).unwrap();
        eprintln!("{name}: the input is at {}", path.display());
    }
    assert!(!slow, "{name}: it took {:?}", began.elapsed());
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

#[track_caller]
fn over_corpus(name: &str) {
    let (_, body) = bodies::ALL.into_iter().find(|(known, _)| *known == name).unwrap();
    let folder = root().join("fuzz/corpus").join(name);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(seeds.len() >= 3, "{name} has hardly a seed");
    seeds.iter().for_each(|seed| try_one(name, body, seed));
    let mut numbers = Numbers(setting("FUZZ_SEED").unwrap_or(1));
    let (until, mut tried) = (Instant::now() + Duration::from_secs(setting("FUZZ_SECONDS").unwrap_or(2)), 0);
    while Instant::now() < until {
        try_one(name, body, &numbers.mutated(&seeds));
        tried += 1;
    }
    println!("{name}: {tried} mutations of {} seeds", seeds.len());
}

/// The same in a process of its own whose memory is bounded, which ends where room is made for what does not come.
#[track_caller]
fn over_corpus_bounded(name: &str, test: &str) {
    if std::env::var_os("FUZZ_BOUNDED").is_some() {
        return over_corpus(name);
    }
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &format!("ulimit -v {ROOM}; exec \"$0\" \"$@\"")]).arg(std::env::current_exe().unwrap());
    let output = shell.args(["--exact", test, "--nocapture"]).env("FUZZ_BOUNDED", "1").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {}\n{told}", output.status);
    let ran = String::from_utf8_lossy(&output.stdout);
    assert!(ran.contains("1 passed"), "{test} is no test of this binary:\n{ran}");
}

#[test]
fn component_texts_are_read_or_refused() {
    over_corpus("component_text");
}

#[test]
fn expressions_are_planned_or_refused() {
    over_corpus("expression");
}

#[test]
fn streams_are_taken_or_refused() {
    over_corpus_bounded("ipc_chunks", "corpus::streams_are_taken_or_refused");
}

#[test]
fn parquet_files_are_read_or_refused() {
    over_corpus_bounded("parquet_bytes", "corpus::parquet_files_are_read_or_refused");
}

#[test]
fn parquet_footers_are_read_or_refused() {
    over_corpus_bounded("parquet_footer", "corpus::parquet_footers_are_read_or_refused");
}

#[test]
fn requests_are_understood_or_refused() {
    over_corpus("proto_request");
}

/// Writes the seeds that are not text anew: `cargo test --test it -- --ignored seeds_are_written`.
#[test]
#[ignore = "writes into the repository"]
fn seeds_are_written() {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, DictionaryArray, ListArray, RecordBatch};
    use arrow::datatypes::Int32Type;
    use arrow::ipc::CompressionType;
    use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
    use customer_health::proto::{Input, InputOverride, MaterializeRequest};
    use parquet::arrow::ArrowWriter;
    use parquet::basic::{Compression, ZstdLevel};
    use parquet::file::properties::WriterProperties;
    use prost::Message;

    use crate::support::{flags, floats, ints, source, texts};

    let write = |name: &str, bytes: Vec<u8>| fs::write(root().join("fuzz/corpus").join(name), bytes).unwrap();
    let kinds: DictionaryArray<Int32Type> = ["x", "y", "x"].into_iter().collect();
    let lists = [Some(vec![Some(1), None]), None, Some(vec![])];
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(lists);
    let columns: [(&str, ArrayRef); 6] = [
        ("customer_id", texts(["a", "b", "c"])),
        ("active_days", ints([Some(1), None, Some(30)])),
        ("logins", floats([0.5, f64::NAN, 1e300])),
        ("active", flags([true, false, true])),
        ("kind", Arc::new(kinds)),
        ("lists", Arc::new(lists)),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let packings = [("plain", None), ("zstd", Some(CompressionType::ZSTD)), ("lz4", Some(CompressionType::LZ4_FRAME))];
    for (name, packing) in packings {
        let options = IpcWriteOptions::default().try_with_compression(packing).unwrap();
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
        writer.write(&batch).unwrap();
        writer.write(&batch.slice(1, 2)).unwrap();
        writer.finish().unwrap();
        write(&format!("ipc_chunks/{name}"), writer.into_inner().unwrap());
    }
    let zstd = Compression::ZSTD(ZstdLevel::default());
    for (name, packing) in [("plain", Compression::UNCOMPRESSED), ("zstd", zstd), ("snappy", Compression::SNAPPY)] {
        let properties = WriterProperties::builder().set_compression(packing).set_max_row_group_row_count(Some(2));
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties.build())).unwrap();
        writer.write(&batch).unwrap();
        write(&format!("parquet_bytes/{name}"), writer.into_inner().unwrap());
    }
    let component = source("inputs: {customer: c.parquet}\n", "/data".as_ref());
    let small = MaterializeRequest { component: component.clone(), ..Default::default() };
    let input = InputOverride { input: Input::Usage.into(), path: "u".to_owned(), r#where: "a > 1".to_owned() };
    let as_of = Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 5 });
    let full = MaterializeRequest {
        inputs: vec![input],
        output: "o.parquet".to_owned(),
        history: "h.parquet".to_owned(),
        analysis_period_days: Some(7),
        as_of,
        run_id: "r-1".to_owned(),
        ..small.clone()
    };
    let far = prost_types::Timestamp { seconds: i64::MAX, nanos: i32::MIN };
    let odd = MaterializeRequest { as_of: Some(far), component, ..Default::default() };
    for (name, request) in [("small", small), ("full", full), ("odd", odd)] {
        write(&format!("proto_request/{name}"), request.encode_to_vec());
    }
}

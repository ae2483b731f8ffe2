//! Folders with a log of which files count: the current version of a Delta table; other kinds are refused by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::partition::{Values, decoded};

/// Folder of a Delta table's log.
const DELTA_LOG: &str = "_delta_log";
/// Most bytes of a log.
const MAX_LOG: u64 = 256 << 20;
/// What a reader has to know of, and this one does.
const FEATURES: [&str; 7] = [
    "columnMapping",
    "deletionVectors",
    "timestampNtz",
    "typeWidening",
    "typeWidening-preview",
    "v2Checkpoint",
    "vacuumProtocolCheck",
];

/// A kind of table whose folder holds more than its current rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lake {
    /// Delta Lake.
    Delta,
    /// Apache Iceberg.
    Iceberg,
    /// Apache Hudi.
    Hudi,
}

impl Lake {
    /// The kind that a file is a sign of, and how many folders lead to the table, of the file's path below a folder.
    pub fn of(parts: &[&str]) -> Option<(Self, usize)> {
        let at = |name: &str| parts.iter().position(|part| *part == name);
        if let Some(depth) = at(DELTA_LOG) {
            return Some((Self::Delta, depth));
        }
        if let Some(depth) = at(".hoodie") {
            return Some((Self::Hudi, depth));
        }
        match parts {
            [folders @ .., "metadata", file] if file.ends_with(".metadata.json") => {
                Some((Self::Iceberg, folders.len()))
            }
            _ => None,
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delta => "a Delta table",
            Self::Iceberg => "an Iceberg table",
            Self::Hudi => "a Hudi table",
        }
    }
}

/// Why a Delta table is not read.
#[derive(Debug, thiserror::Error)]
pub enum DeltaFault {
    /// Earlier parts of the log were removed.
    #[error("its log begins with a checkpoint before version {0}, and checkpoints are not read")]
    Checkpoint(u64),
    /// A part of the log is missing.
    #[error("version {0} is missing in its log")]
    Gap(u64),
    /// The log is too long.
    #[error("its log has {0} bytes, and at most {MAX_LOG} are read")]
    Size(u64),
    /// A line of the log makes no sense.
    #[error("{file}, line {line}: {why}")]
    Line {
        /// File of the log.
        file: String,
        /// Its line.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// It needs what is not known here.
    #[error("it uses {0}, which is not read")]
    Feature(String),
    /// A file stands elsewhere.
    #[error("its file {0} lies outside of its folder")]
    Elsewhere(String),
    /// A file is not there.
    #[error("its log has the file {0}, which is not there")]
    Missing(String),
    /// The log could not be read.
    #[error("its log cannot be read: {0}")]
    Store(#[from] object_store::Error),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Action {
    add: Option<Add>,
    remove: Option<Remove>,
    meta_data: Option<MetaData>,
    protocol: Option<Protocol>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Add {
    path: String,
    #[serde(default)]
    partition_values: IndexMap<String, Option<String>>,
    deletion_vector: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Remove {
    path: String,
}

#[derive(Deserialize)]
struct MetaData {
    #[serde(default)]
    configuration: BTreeMap<String, Option<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Protocol {
    min_reader_version: u32,
    #[serde(default)]
    reader_features: Vec<String>,
}

/// What a log says so far.
#[derive(Default)]
struct Version {
    files: IndexMap<String, Add>,
    feature: Option<String>,
}

impl Version {
    fn apply(&mut self, file: &str, text: &[u8]) -> Result<(), DeltaFault> {
        let mut added = Vec::new();
        for (at, line) in
            text.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty())
        {
            let action: Action = serde_json::from_slice(line).map_err(|error| DeltaFault::Line {
                file: file.to_owned(),
                line: at + 1,
                why: error.to_string(),
            })?;
            if let Some(Remove { path }) = action.remove {
                self.files.shift_remove(&path);
            }
            added.extend(action.add);
            if let Some(Protocol { min_reader_version, reader_features }) = action.protocol {
                let unknown = reader_features.into_iter().find(|feature| !FEATURES.contains(&feature.as_str()));
                let unknown = unknown.map(|feature| format!("the feature `{feature}`"));
                self.feature = unknown
                    .or_else(|| (min_reader_version > 3).then(|| format!("reader version {min_reader_version}")));
            }
            let mapping =
                action.meta_data.and_then(|mut data| data.configuration.remove("delta.columnMapping.mode").flatten());
            if mapping.is_some_and(|mode| mode != "none") {
                self.feature = Some("column mapping".to_owned());
            }
        }
        // In one version a file may be removed and come back changed, in any order.
        self.files.extend(added.into_iter().map(|add| (add.path.clone(), add)));
        Ok(())
    }
}

/// The files of a Delta table's current version, with the values of its partitions.
///
/// # Errors
/// Why they cannot be told.
pub async fn delta(
    store: &Arc<dyn ObjectStore>,
    root: &Path,
    all: &[ObjectMeta],
) -> Result<Vec<(ObjectMeta, Values)>, DeltaFault> {
    let log = root.clone().join(DELTA_LOG);
    let mut versions: Vec<(u64, &ObjectMeta)> =
        all.iter().filter_map(|file| Some((version(&log, file)?, file))).collect();
    versions.sort_unstable_by_key(|(version, _)| *version);
    let bytes = versions.iter().map(|(_, file)| file.size).sum();
    if bytes > MAX_LOG {
        return Err(DeltaFault::Size(bytes));
    }
    let mut current = Version::default();
    for (expected, (number, file)) in (0..).zip(&versions) {
        if *number != expected {
            return Err(if expected == 0 { DeltaFault::Checkpoint(*number) } else { DeltaFault::Gap(expected) });
        }
        let text = store.get(&file.location).await?.bytes().await?;
        current.apply(file.location.filename().unwrap_or_default(), &text)?;
    }
    if versions.is_empty() {
        return Err(DeltaFault::Gap(0));
    }
    if let Some(feature) = current.feature {
        return Err(DeltaFault::Feature(feature));
    }
    let there: BTreeMap<&Path, &ObjectMeta> = all.iter().map(|file| (&file.location, file)).collect();
    let mut files = Vec::with_capacity(current.files.len());
    for add in current.files.into_values() {
        if add.deletion_vector.is_some() {
            return Err(DeltaFault::Feature("deletion vectors".to_owned()));
        }
        let name = decoded(&add.path);
        if name.contains("://") || name.starts_with('/') || name.split('/').any(|part| part == "..") {
            return Err(DeltaFault::Elsewhere(name));
        }
        let location = Path::parse(format!("{root}/{name}").trim_start_matches('/'));
        let Some(file) = location.ok().and_then(|location| there.get(&location).copied()) else {
            return Err(DeltaFault::Missing(name));
        };
        files.push((file.clone(), add.partition_values.into_iter().collect()));
    }
    Ok(files)
}

/// The version that a file of the log is.
fn version(log: &Path, file: &ObjectMeta) -> Option<u64> {
    let mut parts = file.location.prefix_match(log)?;
    let name = parts.next()?;
    let number = name.as_ref().strip_suffix(".json").filter(|number| number.len() == 20)?.parse().ok()?;
    parts.next().is_none().then_some(number)
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    async fn table(files: &[(&str, &str)]) -> Result<Vec<(String, Values)>, DeltaFault> {
        use futures::TryStreamExt;
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        for (name, text) in files {
            store.put(&Path::parse(format!("t/{name}")).unwrap(), text.to_string().into()).await.unwrap();
        }
        let all: Vec<_> = store.list(None).try_collect().await.unwrap();
        let files = delta(&store, &Path::from("t"), &all).await?;
        Ok(files.into_iter().map(|(file, values)| (file.location.to_string(), values)).collect())
    }

    fn log(version: u64) -> String {
        format!("{DELTA_LOG}/{version:020}.json")
    }

    #[tokio::test]
    async fn the_current_version_is_what_was_added_and_not_removed() {
        let (zero, one) = (log(0), log(1));
        let a = r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}
{"add":{"path":"a.parquet","partitionValues":{}}}"#;
        let b = r#"{"add":{"path":"d=x%253Ay/b%20.parquet","partitionValues":{"d":"x:y","e":null}}}
{"remove":{"path":"a.parquet"}}
"#;
        let data = [("a.parquet", "x"), ("d=x%3Ay/b .parquet", "x"), ("stale.parquet", "x")];
        let files = table(&[&data[..], &[(&zero, a), (&one, b)]].concat()).await.unwrap();
        let values = vec![("d".to_owned(), Some("x:y".to_owned())), ("e".to_owned(), None)];
        assert_eq!(files, [("t/d=x%3Ay/b .parquet".to_owned(), values)]);
    }

    #[tokio::test]
    async fn what_cannot_be_told_is_refused_with_a_word() {
        let (zero, one, two) = (log(0), log(1), log(2));
        for (files, word) in [
            (vec![(one.as_str(), "")], "checkpoint"),
            (vec![(&zero, ""), (&two, "")], "version 1 is missing"),
            (vec![], "version 0 is missing"),
            (vec![(&zero, "{\n")], "00000000.json, line 1"),
            (vec![(&zero, r#"{"add":{"path":"gone.parquet"}}"#)], "gone.parquet"),
            (vec![(&zero, r#"{"add":{"path":"../a.parquet"}}"#)], "outside"),
            (vec![(&zero, r#"{"add":{"path":"a","deletionVector":{"storageType":"u"}}}"#)], "deletion vectors"),
            (vec![(&zero, r#"{"metaData":{"configuration":{"delta.columnMapping.mode":"name"}}}"#)], "column mapping"),
            (vec![(&zero, r#"{"protocol":{"minReaderVersion":3,"readerFeatures":["new"]}}"#)], "feature `new`"),
        ] {
            let error = table(&files).await.unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn tables_are_known_by_their_logs() {
        assert_eq!(Lake::of(&["x", "_delta_log", "0.json"]), Some((Lake::Delta, 1)));
        assert_eq!(Lake::of(&["metadata", "v1.metadata.json"]), Some((Lake::Iceberg, 0)));
        assert_eq!(Lake::of(&[".hoodie", "hoodie.properties"]), Some((Lake::Hudi, 0)));
        assert_eq!(Lake::of(&["metadata", "a.json"]), None);
    }
}

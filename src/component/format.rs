//! Formats of files, and the endings of names that tell them.

/// Format of an input's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// Arrow IPC, file or stream.
    Arrow,
    /// Values separated by commas, or by tabs where the name says `.tsv`, with a header.
    Csv,
    /// JSON objects, one a line, one after another or in one array.
    Json,
}

/// Endings of packed text behind its own; what is in a file decides whether it can be unpacked.
const PACKED: [&str; 7] = ["gz", "gzip", "zst", "zstd", "bz2", "xz", "zip"];

impl Format {
    /// All formats.
    pub const ALL: [Self; 4] = [Self::Parquet, Self::Arrow, Self::Csv, Self::Json];

    /// Its name in component.yaml.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }

    /// Endings of file names that tell it, the usual one first.
    pub fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Parquet => &["parquet", "parq", "pq"],
            Self::Arrow => &["arrow", "arrows", "ipc", "feather"],
            Self::Csv => &["csv", "tsv"],
            Self::Json => &["json", "jsonl", "ndjson"],
        }
    }

    /// The format that a name's ending tells, in upper or lower case; that of text may be packed, as in `.csv.gz`.
    pub fn told_by(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        let mut endings = name.rsplit(['/', '\\']).next().unwrap_or_default().rsplit('.');
        let last = endings.next().unwrap_or_default();
        let tells = |ending: &str| Self::ALL.into_iter().find(|format| format.endings().contains(&ending));
        if PACKED.contains(&last) {
            return endings.next().and_then(tells).filter(|format| matches!(format, Self::Csv | Self::Json));
        }
        tells(last)
    }

    /// The format that a path's ending tells; Parquet where it tells none.
    pub fn of_path(path: &str) -> Self {
        Self::told_by(path).unwrap_or(Self::Parquet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_format_packed_or_not() {
        let told = |names: &[&str]| names.iter().map(|name| Format::told_by(name)).collect::<Vec<_>>();
        let csv = ["a.csv", "/x.json/a.CSV", "a.tsv", "a.b.csv.gz", "s3://bucket/a.csv.zst", "a.csv.zip"];
        assert_eq!(told(&csv), [Some(Format::Csv); 6]);
        assert_eq!(told(&["a.json", "a.jsonl", "a.ndjson", "1#2.json.gz", "a.jsonl.GZ"]), [Some(Format::Json); 5]);
        assert_eq!(told(&["a.parquet", "a.feather"]), [Some(Format::Parquet), Some(Format::Arrow)]);
        assert_eq!(told(&["a.parquet.gz", "a.xlsx", "a.gz", "csv.gz/", "", "data.csv/x"]), [None; 6]);
        assert_eq!(Format::of_path("a.dat"), Format::Parquet);
    }
}

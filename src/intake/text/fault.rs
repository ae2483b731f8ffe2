//! What is wrong with a text file, told with its name, and the way out.

use std::io;

use datafusion::error::DataFusionError;

use super::{MAX_COLUMNS, MAX_RECORD};
use crate::error::external;

/// Why a text file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    /// A record is too long.
    #[error("record {0} is longer than {MAX_RECORD} bytes")]
    Record(u64),
    /// There are too many columns.
    #[error("it has more than {MAX_COLUMNS} columns")]
    Columns,
    /// It is too much once unpacked.
    #[error("it takes more than the {0} bytes, unpacked, that are left for it")]
    Unpacked(u64),
    /// It is something else, such as an archive.
    #[error("it is {0}, and not text")]
    NoText(&'static str),
    /// It cannot be unpacked.
    #[error("it is packed, and cannot be unpacked: {0}")]
    Packed(String),
    /// Nothing is in it.
    #[error("it is empty (0 bytes)")]
    Empty,
    /// A line is not UTF-8.
    #[error("line {0} is not UTF-8")]
    Line(u64),
    /// A column that is read is not UTF-8.
    #[error("the column `{column}` has text that is not UTF-8, first in line {line}")]
    Column {
        /// The column.
        column: String,
        /// The first such line.
        line: u64,
    },
    /// A header without the delimiter.
    #[error("its header is a single column, `{0}`")]
    Delimiter(String),
    /// A record has more or fewer values than the header has names.
    #[error("the record in line {line} has {values} values, and the header {named} columns")]
    Values {
        /// The line on which it begins.
        line: u64,
        /// Columns of the header.
        named: usize,
        /// Values of the record.
        values: usize,
    },
    /// Something stands where an object should.
    #[error("line {line}: expected an object, `{{...}}`, found `{}`", found.escape_debug())]
    NoObject {
        /// The line.
        line: u64,
        /// What begins there.
        found: char,
    },
    /// It is not what its format says.
    #[error("{0}")]
    Malformed(String),
}

impl TextFault {
    fn hint(&self) -> &'static str {
        match self {
            Self::Record(_) => {
                "see whether a quote is left open or line ends are missing; tables with values that long go into Parquet"
            }
            Self::Columns => "leave out columns that nothing reads, or write the table as Parquet",
            Self::Unpacked(_) => "split the input, or raise the limit with --max-input-bytes",
            Self::NoText(_) => {
                "text may be packed by gzip or zstd; unpack others, and save sheets as CSV in UTF-8 (`CSV UTF-8` in Excel)"
            }
            Self::Packed(_) => "see whether the file is complete, or unpack it",
            Self::Empty => "see whether what makes it has finished, or did so without an error",
            Self::Line(_) | Self::Column { .. } => {
                "write the file as UTF-8, such as by `iconv -f WINDOWS-1252 -t UTF-8`"
            }
            Self::Delimiter(_) => {
                "values are separated by commas, or by tabs in a file that is named `.tsv`; write semicolons as commas, \
                 decimal commas as points, and no line `sep=`"
            }
            Self::Values { values, named, .. } if values > named => {
                "put values that have the separator in them into quotes, or give every column a name in the header"
            }
            Self::Values { .. } => {
                "see whether the line was cut, or has another separator; an empty value keeps its separator, as in `a,,1`"
            }
            Self::NoObject { .. } => {
                "a file of JSON has one object in each line, objects one after another, or one array of them"
            }
            Self::Malformed(_) => {
                "check that the file is complete and of the format that its name tells, or give the input a `format`"
            }
        }
    }
}

/// A text file with its fault.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{file}: {fault}")]
pub struct TextError {
    file: String,
    fault: TextFault,
}

impl TextError {
    /// A file that lies there with its fault.
    pub fn new(file: &object_store::path::Path, fault: TextFault) -> Self {
        Self { file: file.filename().unwrap_or_default().to_owned(), fault }
    }

    /// What is wrong, told beside the path that the component gives: of a folder, with which of its files it is.
    pub fn reason_for(&self, path: &str) -> String {
        if path.ends_with(&self.file) { self.fault.to_string() } else { self.to_string() }
    }

    /// The way out.
    pub fn hint(&self) -> &'static str {
        self.fault.hint()
    }
}

/// A fault on its way through readers.
impl From<TextFault> for io::Error {
    fn from(fault: TextFault) -> Self {
        Self::other(fault)
    }
}

/// What a reader came upon: a fault of the text, a store's failure, or the system's.
pub fn failure(file: &object_store::path::Path, error: io::Error) -> DataFusionError {
    let error = match error.downcast::<TextFault>() {
        Ok(fault) => return external(TextError::new(file, fault)),
        Err(error) => error,
    };
    match error.downcast::<object_store::Error>() {
        Ok(error) => error.into(),
        Err(error) => error.into(),
    }
}

//! What a table of an earlier run says of itself: its rows, and the facts in its footer.

use object_store::ObjectStoreExt;
use parquet::file::metadata::ParquetMetaData;

use super::source;
use super::store::Stores;
use super::store::failure;
use super::uri::{Uri, is_uri};
use crate::intake::parquet_footer::{self, ParquetFault};
use crate::io::IoError;
use crate::io::context::RunContext;
use crate::regular;

/// An earlier table's footer.
pub struct Earlier(ParquetMetaData);

impl Earlier {
    /// Reads the footer of the file or object at a path; `None` where it is no Parquet file.
    ///
    /// # Errors
    /// Where nothing is there, or it may not be read, or its footer makes no sense.
    pub async fn read(role: &str, path: &str, context: &RunContext) -> Result<Option<Self>, IoError> {
        let footer = match is_uri(path) {
            true => in_store(role, path, context).await?,
            false => {
                let file = regular::open(&source::local(role, path)?);
                let file = file.map_err(|error| IoError::of_io(role, path, "read", error))?;
                parquet_footer::of_file(&file).map_err(|fault| IoError::not_taken(role, path, &fault.into()))?
            }
        };
        Ok(footer.map(Self))
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        u64::try_from(self.0.file_metadata().num_rows()).unwrap_or(0)
    }

    /// One of the facts of [`super::output::keys`], where it was recorded.
    pub fn fact(&self, key: &str) -> Option<&str> {
        let facts = self.0.file_metadata().key_value_metadata().into_iter().flatten();
        facts.filter(|pair| pair.key == key).find_map(|pair| pair.value.as_deref())
    }
}

async fn in_store(role: &str, path: &str, context: &RunContext) -> Result<Option<ParquetMetaData>, IoError> {
    let uri = Uri::parse(role, path)?;
    let store = Stores::register(role, &uri, context)?;
    let object = store.head(&uri.path()).await.map_err(|error| failure::of(role, path, "read", &error))?;
    parquet_footer::of_object(&store, &object).await.map_err(|fault| match fault {
        ParquetFault::Store(error) => failure::of(role, path, "read", &error),
        fault => IoError::not_taken(role, path, &fault.into()),
    })
}

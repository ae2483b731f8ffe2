//! The files of a table: as they were when it was opened, and those that a later run would find.

use datafusion::execution::object_store::ObjectStoreUrl;
use futures::{StreamExt, stream};
use object_store::{ObjectMeta, ObjectStoreExt};
use url::{Position, Url};

use super::list::Choice;
use super::{IoError, LOOKS};
use crate::component::Format;
use crate::io::context::RunContext;
use crate::io::output::Output;

/// The files of a table, as they were when it was opened.
#[derive(Debug, Clone)]
pub struct Files {
    /// The store that has them.
    pub url: Url,
    /// The path that led to them, for messages.
    pub path: String,
    /// What the store says of each.
    pub objects: Vec<ObjectMeta>,
}

impl Files {
    /// Refuses what was read where a file is no longer the one that was opened: a file that is gone has no rows, and a
    /// table without them would pass for a good one. `reads_elsewhere` where a cluster reads the files.
    ///
    /// # Errors
    /// Where a file was changed or removed meanwhile.
    pub async fn same(&self, role: &str, reads_elsewhere: bool, context: &RunContext) -> Result<(), IoError> {
        // Objects of a store are held to one state with every read of this process, though not with an executor's.
        if self.url.scheme() != "file" && !reads_elsewhere {
            return Ok(());
        }
        let unreadable = |error| IoError::unreadable(role, &self.path, error);
        let place = ObjectStoreUrl::parse(&self.url[..Position::BeforePath]).map_err(unreadable)?;
        let store = context.session().runtime_env().object_store(place).map_err(unreadable)?;
        let looks = stream::iter(self.objects.clone()).map(|opened| {
            let store = store.clone();
            async move { (store.head(&opened.location).await, opened) }
        });
        let mut looks = std::pin::pin!(looks.buffer_unordered(LOOKS));
        while let Some((now, opened)) = looks.next().await {
            let how = match now {
                Ok(now) if now.size == opened.size && now.last_modified == opened.last_modified => continue,
                Ok(now) => format!("{} has {} bytes now, and had {}", opened.location, now.size, opened.size),
                Err(error) => error.to_string(),
            };
            return Err(IoError::changed(role, &self.path, &how));
        }
        Ok(())
    }
}

/// Where the files of a table are, now and in a later run.
pub struct Place {
    /// What is read there.
    pub choice: Choice,
    /// Of a folder, the format of its files.
    pub format: Option<Format>,
}

impl Place {
    /// Whether an output is, or would be, one of the table's files.
    pub fn covers(&self, output: &Output) -> bool {
        let (store, path) = match output {
            Output::File(path, _) => ("file:///", object_store::path::Path::from_absolute_path(path).ok()),
            Output::Object(uri, _) => (uri.store.as_str(), Some(uri.path())),
        };
        let here = self.choice.root.object_store().as_str() == store;
        let name = |path: &object_store::path::Path| path.filename().is_some_and(|name| self.is_named(name));
        here && path.is_some_and(|path| name(&path) && self.choice.takes(&path))
    }

    fn is_named(&self, name: &str) -> bool {
        self.format.is_none_or(|format| Format::told_by(name) == Some(format))
    }
}

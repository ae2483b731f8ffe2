//! Inputs: from a path, folder or glob to a table with a schema.

mod arrow_files;
mod columns;
mod files;
mod lake;
mod list;
mod locate;
mod partition;
mod reconcile;
mod table;
mod texts;

use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::catalog::default_table_source::provider_as_source;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::error::Result as DataFusionResult;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use url::Url;

use self::columns::Columns;
use self::lake::Lake;
use self::list::{Choice, told};
use self::partition::{Partitions, Values};
use self::table::{Alike, FileTable};
use self::texts::endings;
use super::uri::is_uri;
use crate::cluster::{Cluster, ClusterError};
use crate::component::Format;
use crate::error::ErrorKind;
use crate::intake::parquet_footer::{self, Pages};
use crate::io::IoError;
use crate::io::context::RunContext;
use crate::io::store::failure;
use crate::plan::Table;
use crate::plan::key;

pub use files::{Files, Place};
pub use locate::{local, plain, resolve};

/// Files that are looked at beside one another.
const LOOKS: usize = 16;

/// A table that was opened, and what it is made of.
pub struct Opened {
    /// For plans.
    pub table: Table,
    /// Number of files.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Where they are.
    pub place: Place,
    /// The files themselves.
    pub objects: Files,
    /// What was there and not read, though it looks like data.
    pub warnings: Vec<String>,
}

/// What is to be opened.
pub struct Source<'a> {
    /// What the path is for, such as ``input `usage` ``.
    pub role: &'a str,
    /// The path, absolute or relative to the working directory.
    pub path: &'a str,
    /// Format of the files; told by their names where it is not given.
    pub format: Option<Format>,
    /// Column that holds the key, where it was named.
    pub key: Option<&'a str>,
}

/// The files of a table.
struct Chosen {
    files: Vec<(ObjectMeta, Values)>,
    format: Format,
    warnings: Vec<String>,
}

impl Source<'_> {
    /// Opens the files and reads their schema.
    ///
    /// # Errors
    /// Where nothing is there, it may not be read, or is not of its format.
    pub async fn open(&self, context: &RunContext) -> Result<Opened, IoError> {
        let unreadable = |error| IoError::unreadable(self.role, self.path, error);
        let choice = match is_uri(self.path) {
            true => self.locate_in_store(context).await?,
            false => self.locate()?,
        };
        let at = choice.root.get_url().clone();
        let store = context.session().runtime_env().object_store(&choice.root).map_err(unreadable)?;
        let listed = choice.root.list_all_files(context.session(), store.as_ref(), "").await.map_err(unreadable)?;
        let all: Vec<_> = listed.try_collect().await.map_err(unreadable)?;
        let Chosen { files: chosen, format, warnings } = self.choose(&choice, &all, &store, context).await?;
        let (files, values): (Vec<_>, Vec<_>) = chosen.into_iter().unzip();
        if let Some(empty) = files.iter().find(|file| file.size == 0) {
            let reason = "the file is empty (0 bytes)";
            let hint = "see whether what makes it has finished, or did so without an error";
            return Err(self.refused(&shown(&at, &empty.location), reason.to_owned(), hint));
        }
        self.admit(&at, &files, context)?;
        if format == Format::Parquet && self.format.is_none() {
            self.is_parquet(store.as_ref(), &files).await?;
        }
        let bytes = files.iter().map(|file| file.size).sum();
        let limits = context.limits();
        limits.admit_bytes(bytes).map_err(|error| IoError::not_taken(self.role, self.path, &error.into()))?;
        if format == Format::Parquet {
            let pages = match at.scheme() {
                "file" => Pages::OnDisk,
                _ => Pages::Arriving(context.page_checks().clone(), choice.root.object_store().as_str().to_owned()),
            };
            let checked = parquet_footer::check_files(&store, &files, pages, &limits).await;
            checked.map_err(|error| IoError::not_taken(self.role, self.path, &error))?;
        }
        if format == Format::Arrow {
            let checked = arrow_files::check_files(&at, &store, &files).await;
            checked.map_err(|error| IoError::not_taken(self.role, self.path, &error))?;
        }
        let columns = Columns::read(self, format, context, (&at, &store), &files).await?;
        let partitions =
            Partitions::new(&values, |name| self.key == Some(name) || key::is_usual(name), |name| columns.in_all(name));
        let partitions = partitions.map_err(unreadable)?;
        let source = self.table(context, &choice, (&all, &files), columns, partitions)?;
        let is_folder = choice.root.is_collection() && choice.pattern.is_none();
        Ok(Opened {
            table: Table { path: self.path.to_owned(), source: provider_as_source(source) },
            files: files.len() as u64,
            bytes,
            place: Place { choice, format: is_folder.then_some(format) },
            objects: Files { url: at, path: self.path.to_owned(), objects: files },
            warnings,
        })
    }

    /// The files of the table, of all that is below its folder.
    async fn choose(
        &self,
        choice: &Choice,
        all: &[ObjectMeta],
        store: &Arc<dyn ObjectStore>,
        context: &RunContext,
    ) -> Result<Chosen, IoError> {
        let at = choice.root.get_url();
        if let Some(files) = self.lake(choice, all, store, context).await? {
            return Ok(Chosen { files, format: Format::Parquet, warnings: Vec::new() });
        }
        let found = choice.of(all.to_vec());
        let is_folder = choice.root.is_collection() && choice.pattern.is_none();
        let format = match self.format {
            Some(format) => format,
            None => match Choice::formats(&found.files).as_slice() {
                [] => Format::Parquet,
                [(format, _)] => *format,
                [(one, first), (other, second), ..] => {
                    let reason = format!(
                        "it has files of several formats, {} ({}) and {} ({})",
                        one.as_str(),
                        shown(at, &first.location),
                        other.as_str(),
                        shown(at, &second.location)
                    );
                    let hint = "give the input a `format`, or name the files with a pattern such as folder/*.csv";
                    return Err(self.refused(self.path, reason, hint));
                }
            },
        };
        let (files, others): (Vec<_>, Vec<_>) =
            found.files.into_iter().partition(|file| !is_folder || told(file) == Some(format));
        if files.is_empty() {
            return Err(self.not_found(match is_folder {
                false => "no file matches; check the pattern".to_owned(),
                true => format!("the folder has no file whose name ends in {}", endings(format)),
            }));
        }
        let mut warnings = Vec::new();
        let mut tell = |what: &str, passed: Vec<&Path>| {
            if let Some(first) = passed.first() {
                let (role, first) = (self.role, shown(at, first));
                let path = self.path;
                warnings.push(format!("{role}: {} {what} in {path} were not read, such as {first}", passed.len()));
            }
        };
        tell("files of other formats", others.iter().map(|file| &file.location).collect());
        tell("data files in hidden or underscored folders", found.hidden.iter().collect());
        let values = |file: &ObjectMeta| partition::of_path(&choice.below(&file.location).unwrap_or_default());
        let files = files.into_iter().map(|file| (file.clone(), values(&file))).collect();
        Ok(Chosen { files, format, warnings })
    }

    /// The files of a Delta table's current version, where the folder is one.
    async fn lake(
        &self,
        choice: &Choice,
        all: &[ObjectMeta],
        store: &Arc<dyn ObjectStore>,
        context: &RunContext,
    ) -> Result<Option<Vec<(ObjectMeta, Values)>>, IoError> {
        let sign = all.iter().find_map(|file| {
            let (lake, depth) = Lake::of(&choice.below(&file.location)?)?;
            Some((lake, depth, file))
        });
        let Some((lake, depth, file)) = sign else { return Ok(None) };
        let at = choice.root.get_url();
        let sign = shown(at, &file.location);
        let what = lake.as_str();
        let hint = "write the current version as plain Parquet into a folder of its own, and read that";
        if lake != Lake::Delta {
            let reason = format!("it is {what} ({sign}), whose folder has files of earlier versions too");
            return Err(self.refused(self.path, reason, hint));
        }
        if depth > 0 || choice.pattern.is_some() {
            let reason = format!("it has files of {what} ({sign}), of which its log tells which count");
            return Err(self.refused(self.path, reason, "name the table's own folder, without a pattern"));
        }
        if self.format.is_some_and(|format| format != Format::Parquet) {
            let reason = format!("it is {what} ({sign}), whose files are Parquet");
            return Err(self.refused(self.path, reason, "leave out `format`"));
        }
        let log: Vec<_> = all.iter().filter(|file| file.location.as_ref().contains("_delta_log/")).cloned().collect();
        self.admit(at, &log, context)?;
        match lake::delta(store, choice.root.prefix(), all).await {
            Ok(files) if files.is_empty() => Err(self.not_found("its log has no files".to_owned())),
            Ok(files) => Ok(Some(files)),
            Err(lake::DeltaFault::Store(error)) if at.scheme() != "file" => {
                Err(failure::of(self.role, self.path, "read", &error))
            }
            Err(fault) => Err(self.refused(self.path, format!("it is {what}, and {fault}"), hint)),
        }
    }

    /// Refuses files that links lead to outside of the allowed folders.
    fn admit(&self, at: &Url, files: &[ObjectMeta], context: &RunContext) -> Result<(), IoError> {
        // A store has no links.
        if at.scheme() == "file"
            && let Some(roots) = context.access().roots()
        {
            // Links in a folder or behind a glob are followed, wherever they lead.
            let local = LocalFileSystem::new();
            for file in files {
                let path = local.path_to_filesystem(&file.location);
                let path = path.map_err(|error| IoError::unreadable(self.role, self.path, error.into()))?;
                roots.admit_file(self.role, &path)?;
            }
        }
        Ok(())
    }

    /// The files as a table: as one listing where that finds the same files, one by one where it does not.
    fn table(
        &self,
        context: &RunContext,
        choice: &Choice,
        (all, files): (&[ObjectMeta], &[ObjectMeta]),
        columns: Columns,
        partitions: Partitions,
    ) -> Result<Arc<dyn TableProvider>, IoError> {
        let unreadable = |error| IoError::unreadable(self.role, self.path, error);
        let plain = columns.groups.len() == 1 && partitions.fields.is_empty();
        let listing = |paths, ending: &str, columns: &Columns| {
            let options = ListingOptions::new(columns.format.clone()).with_file_extension(ending);
            let config = ListingTableConfig::new_with_multi_paths(paths);
            let config = config.with_listing_options(options).with_schema(columns.schema.clone());
            Ok(Arc::new(ListingTable::try_new(config).map_err(unreadable)?) as Arc<dyn TableProvider>)
        };
        if let Some(cluster) = context.cluster() {
            if plain {
                let paths = one_by_one(choice.root.get_url(), files).map_err(unreadable)?;
                return listing(paths, "", &columns);
            }
            return Err(self.only_here(cluster, !partitions.fields.is_empty()));
        }
        let url = match &choice.pattern {
            Some(pattern) => choice.root.clone().with_glob(pattern.as_str()).map_err(unreadable)?,
            None => choice.root.clone(),
        };
        let ending = match files.first().and_then(|file| file.location.extension()) {
            Some(ending) if choice.root.is_collection() => format!(".{ending}"),
            _ => String::new(),
        };
        let lists = |file: &ObjectMeta| {
            file.size > 0 && file.location.as_ref().ends_with(&ending) && url.contains(&file.location, false)
        };
        let listed = all.iter().filter(|file| lists(file)).count();
        if plain && !columns.differ && listed == files.len() && files.iter().all(lists) {
            return listing(vec![url], &ending, &columns);
        }
        let Partitions { fields: in_folders, values } = partitions;
        let own = |name: &str| in_folders.iter().all(|field| field.name() != name);
        let fields = columns.schema.fields().iter().filter(|field| own(field.name())).cloned();
        let schema: SchemaRef = Arc::new(Schema::new(fields.chain(in_folders.iter().cloned()).collect::<Vec<_>>()));
        let mut values: Vec<_> = files.iter().cloned().zip(values).map(Some).collect();
        let groups = columns.groups.into_iter().map(|(group, members)| {
            let fields = group.fields().iter().filter(|field| own(field.name())).cloned().collect::<Vec<_>>();
            let files = members.into_iter().filter_map(|at| values.get_mut(at)?.take()).collect();
            Alike { columns: Arc::new(Schema::new(fields)), files }
        });
        let groups = groups.collect();
        let store = choice.root.object_store();
        Ok(Arc::new(FileTable { store, format: columns.format, columns: schema, partitions: in_folders, groups }))
    }

    fn refused(&self, path: &str, reason: String, hint: &str) -> IoError {
        let (role, path, hint) = (self.role.to_owned(), path.to_owned(), hint.to_owned());
        IoError::Unreadable { role, path, reason, hint, source: None }
    }

    /// Refuses what a cluster's executors cannot put together as this process does.
    fn only_here(&self, cluster: &Cluster, partitioned: bool) -> IoError {
        let what = match partitioned {
            true => "has columns in the names of its folders",
            false => "has files whose columns differ",
        };
        IoError::Cluster(ClusterError {
            scheduler: cluster.config.scheduler().to_owned(),
            reason: format!("{}: {} {what}, which executors do not read as one table", self.role, self.path),
            hint: "write it as one plain table, or run with `--engine local`",
            kind: ErrorKind::InvalidInput,
        })
    }
}

/// A file for messages: its path, or its URI.
fn shown(at: &Url, location: &Path) -> String {
    match at.scheme() {
        "file" => format!("/{location}"),
        _ => format!("{}/{location}", &at[..url::Position::BeforePath]),
    }
}

/// A URL for each file: on its way to a scheduler a pattern is lost, and all of its folder would be read.
fn one_by_one(at: &Url, files: &[ObjectMeta]) -> DataFusionResult<Vec<ListingTableUrl>> {
    let of_file = |file: &ObjectMeta| {
        let mut url = at.clone();
        url.set_path(&file.location.as_ref().replace('%', "%25"));
        ListingTableUrl::try_new(url, None)
    };
    files.iter().map(of_file).collect()
}

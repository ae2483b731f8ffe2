//! Inputs: from a path, folder or glob to a table with a schema.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::default_table_source::provider_as_source;
use datafusion::common::TableReference;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::arrow::ArrowFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::session_state::SessionState;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::local::LocalFileSystem;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use url::{Position, Url};

use super::cause::cause;
use super::cluster::{Cluster, Work};
use super::limits::InputLimits;
use super::pages::Arriving;
use super::parquet_vet::{self, Pages};
use super::publish::Output;
use super::store::Stores;
use super::text::{self, TextFault};
use super::uri::{Protocol, Uri, is_uri};
use super::{EngineError, Roots, store_error};
use crate::component::{Format, nearest};
use crate::plan::Table;
use crate::plan::bind::KEY_ALIASES;

/// What to look at where a store has nothing.
const MISSING_OBJECT: &str = "check the bucket and the key; upper and lower case differ";
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
}

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
    /// table without them would pass for a good one.
    ///
    /// # Errors
    /// Where a file was changed or removed meanwhile.
    pub async fn same(&self, role: &str, work: &Work, state: &SessionState) -> Result<(), EngineError> {
        // Objects of a store are held to one state with every read of this process, though not with an executor's.
        if self.url.scheme() != "file" && !work.remote {
            return Ok(());
        }
        let unreadable = |error| EngineError::unreadable(role, &self.path, error);
        let place = ObjectStoreUrl::parse(&self.url[..Position::BeforePath]).map_err(unreadable)?;
        let store = state.runtime_env().object_store(place).map_err(unreadable)?;
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
            return Err(EngineError::changed(role, &self.path, &how));
        }
        Ok(())
    }
}

/// Where the files of a table are, now and in a later run.
pub struct Place {
    url: ListingTableUrl,
    ending: String,
}

impl Place {
    /// Whether an output is, or would be, one of the table's files.
    pub fn covers(&self, output: &Output) -> bool {
        let (store, path) = match output {
            Output::File(path, _) => ("file:///", object_store::path::Path::from_absolute_path(path).ok()),
            Output::Object(uri, _) => (uri.store.as_str(), Some(uri.path())),
        };
        let here = self.url.object_store().as_str() == store;
        here && path.is_some_and(|path| path.as_ref().ends_with(&self.ending) && self.url.contains(&path, false))
    }
}

/// What is to be opened.
pub struct Source<'a> {
    /// What the path is for, such as ``input `usage` ``.
    pub role: &'a str,
    /// The path, absolute or relative to the working directory.
    pub path: &'a str,
    /// Format of the files.
    pub format: Format,
    /// Column that holds the key, where it was named.
    pub key: Option<&'a str>,
}

/// A path of component.yaml as seen from the working directory.
pub fn resolve(base: &Path, path: &str) -> String {
    if path.contains("://") || Path::new(path).is_absolute() || base.as_os_str().is_empty() {
        return path.to_owned();
    }
    base.join(path).display().to_string()
}

/// The local path that a path or a file URI stands for.
///
/// # Errors
/// Where it is a URI of another sort.
pub fn local(role: &str, path: &str) -> Result<PathBuf, EngineError> {
    match path.split_once("://") {
        Some(("file", _)) => match Url::parse(path).map(|url| url.to_file_path()) {
            Ok(Ok(path)) => Ok(path),
            _ => {
                let (role, path) = (role.to_owned(), path.to_owned());
                let hint = "a file URI looks like file:///folder/name.parquet".to_owned();
                Err(EngineError::NotFound { role, path, hint })
            }
        },
        Some((scheme, _)) => {
            let (role, path) = (role.to_owned(), path.to_owned());
            Err(EngineError::Scheme { role, path, scheme: scheme.to_owned() })
        }
        None => Ok(PathBuf::from(path)),
    }
}

impl Source<'_> {
    /// Opens the files and reads their schema.
    ///
    /// # Errors
    /// Where nothing is there, it may not be read, or is not of its format.
    pub async fn open(&self, state: &SessionState) -> Result<Opened, EngineError> {
        let unreadable = |error| EngineError::unreadable(self.role, self.path, error);
        let (url, ending) = match is_uri(self.path) {
            true => self.locate_in_store(state).await?,
            false => self.locate()?,
        };
        let at = url.get_url().clone();
        let store = state.runtime_env().object_store(&url).map_err(unreadable)?;
        let listed = url.list_all_files(state, store.as_ref(), &ending).await.map_err(unreadable)?;
        let files: Vec<_> = listed.try_collect().await.map_err(unreadable)?;
        if files.is_empty() {
            let hint = match ending.as_str() {
                "" => "no file matches; check the pattern".to_owned(),
                ending => format!("the folder has no file whose name ends in {ending}"),
            };
            return Err(self.not_found(hint));
        }
        let bytes = files.iter().map(|file| file.size).sum();
        if bytes == 0 {
            return Err(EngineError::Unreadable {
                role: self.role.to_owned(),
                path: self.path.to_owned(),
                reason: "the file is empty (0 bytes)".to_owned(),
                hint: "see whether what makes it has finished, or did so without an error".to_owned(),
                source: None,
            });
        }
        // A store has no links.
        if at.scheme() == "file"
            && let Some(roots) = state.config().get_extension::<Roots>()
        {
            // Links in a folder or behind a glob are followed, wherever they lead.
            let local = LocalFileSystem::new();
            for file in &files {
                let path = local.path_to_filesystem(&file.location).map_err(|error| unreadable(error.into()))?;
                roots.admit_file(self.role, &path)?;
            }
        }
        if let Some(limits) = state.config().get_extension::<InputLimits>() {
            limits.admit_bytes(self.role, self.path, bytes)?;
            if self.format == Format::Parquet {
                let pages = match state.config().get_extension::<Arriving>() {
                    Some(arriving) if at.scheme() != "file" => {
                        Pages::Arriving(arriving, url.object_store().as_str().to_owned())
                    }
                    _ => Pages::OnDisk,
                };
                parquet_vet::vet((self.role, self.path), &store, &files, pages, &limits).await?;
            }
        }
        let options = ListingOptions::new(self.file_format(state)).with_file_extension(ending.clone());
        let place = Place { url: url.clone(), ending };
        let schema = match self.format {
            Format::Csv => text::csv_schema(&csv(), state, &store, &files).await,
            Format::Json => text::json_schema(&store, &files).await,
            Format::Parquet | Format::Arrow => options.infer_schema(state, &url).await,
        };
        let schema = schema.map_err(|error| match cause::<TextFault>(&error) {
            Some(fault) => fault.of_input(self.role, self.path),
            None => unreadable(error),
        })?;
        let schema = self.keep_key_text(schema);
        let config = match state.config().get_extension::<Cluster>() {
            Some(_) => ListingTableConfig::new_with_multi_paths(one_by_one(&at, &files).map_err(unreadable)?),
            None => ListingTableConfig::new(url),
        };
        let config = config.with_listing_options(options).with_schema(schema);
        let table = ListingTable::try_new(config).map_err(unreadable)?;
        Ok(Opened {
            table: Table { path: self.path.to_owned(), source: provider_as_source(Arc::new(table)) },
            files: files.len() as u64,
            bytes,
            place,
            objects: Files { url: at, path: self.path.to_owned(), objects: files },
        })
    }

    /// Where the files are, and what their names end in.
    fn locate(&self) -> Result<(ListingTableUrl, String), EngineError> {
        let path = local(self.role, self.path)?;
        let path = plain(&path).map_err(|e| EngineError::of_io(self.role, self.path, "read", e))?;
        let url = match std::fs::metadata(&path) {
            Ok(found) if found.is_dir() => Url::from_directory_path(&path).map(|url| (url, self.ending().to_owned())),
            // Opened once here, so that a file that may not be read is told as such.
            Ok(_) => match std::fs::File::open(&path) {
                Ok(_) => Url::from_file_path(&path).map(|url| (url, String::new())),
                Err(error) => return Err(EngineError::of_io(self.role, self.path, "read", error)),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && self.path.contains(['*', '?', '[']) => {
                let pattern = path.display().to_string();
                let url = ListingTableUrl::parse(&pattern);
                return Ok((url.map_err(|e| EngineError::unreadable(self.role, self.path, e))?, String::new()));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(self.not_found(near(&path))),
            Err(error) => return Err(EngineError::of_io(self.role, self.path, "read", error)),
        };
        let Ok((url, ending)) = url else {
            return Err(self.not_found("the path cannot be made absolute".to_owned()));
        };
        let url = ListingTableUrl::try_new(url, None).map_err(|e| EngineError::unreadable(self.role, self.path, e))?;
        Ok((url, ending))
    }

    /// The same in a store, where a folder is what has something below it.
    async fn locate_in_store(&self, state: &SessionState) -> Result<(ListingTableUrl, String), EngineError> {
        let mut uri = Uri::parse(self.role, self.path)?;
        let store = Stores::register(self.role, &uri, state)?;
        if uri.protocol == Protocol::Http && uri.folder {
            return Err(EngineError::Uri {
                role: self.role.to_owned(),
                uri: uri.to_string(),
                reason: "is a folder or a pattern, and web servers do not list their files".to_owned(),
                hint: "name one file, or put the files on s3://, gs:// or az://".to_owned(),
            });
        }
        if !uri.folder {
            match store.head(&uri.path()).await {
                Ok(_) => {}
                Err(object_store::Error::NotFound { .. }) if uri.protocol != Protocol::Http => {
                    // Named without its slash, as local folders may be.
                    let below = store.list(Some(&uri.path())).try_next().await;
                    let below = below.map_err(|error| store_error::of(self.role, self.path, "read", &error))?;
                    if below.is_none() {
                        return Err(self.not_found(MISSING_OBJECT.to_owned()));
                    }
                    uri.folder = true;
                }
                Err(error) => return Err(store_error::of(self.role, self.path, "read", &error)),
            }
        }
        let ending = if uri.folder && uri.glob.is_none() { self.ending() } else { "" };
        let unreadable = |error| EngineError::unreadable(self.role, self.path, error);
        // Listings are kept by path, and two stores may have one path.
        let url = ListingTableUrl::try_new(uri.url(), None).map_err(unreadable)?;
        let url = url.with_table_ref(TableReference::bare(uri.store.as_str()));
        let url = match &uri.glob {
            Some(glob) => url.with_glob(glob).map_err(unreadable)?,
            None => url,
        };
        Ok((url, ending.to_owned()))
    }

    fn not_found(&self, hint: String) -> EngineError {
        EngineError::NotFound { role: self.role.to_owned(), path: self.path.to_owned(), hint }
    }

    fn ending(&self) -> &'static str {
        match self.format {
            Format::Parquet => ".parquet",
            Format::Arrow => ".arrow",
            Format::Csv => ".csv",
            Format::Json => ".json",
        }
    }

    fn file_format(&self, state: &SessionState) -> Arc<dyn FileFormat> {
        match self.format {
            Format::Parquet => Arc::new(ParquetFormat::default().with_options(state.default_table_options().parquet)),
            Format::Arrow => Arc::new(ArrowFormat),
            Format::Csv => Arc::new(csv()),
            Format::Json => Arc::new(JsonFormat::default()),
        }
    }

    /// In CSV the key stays the text it is: `007` is not 7.
    fn keep_key_text(&self, schema: SchemaRef) -> SchemaRef {
        if self.format != Format::Csv {
            return schema;
        }
        let has = |name: &&str| schema.field_with_name(name).is_ok();
        let Some(key) = self.key.into_iter().chain(KEY_ALIASES).find(has) else { return schema };
        let field = |field: &Arc<Field>| match field.name() == key {
            true => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8)),
            false => field.clone(),
        };
        Arc::new(Schema::new_with_metadata(
            schema.fields().iter().map(field).collect::<Vec<_>>(),
            schema.metadata().clone(),
        ))
    }
}

/// All rows are looked at, so that a late one cannot break an early guess at the types.
fn csv() -> CsvFormat {
    CsvFormat::default().with_schema_infer_max_rec(usize::MAX)
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

/// A path from the root without links and `..`, which object stores do not know, as far as it exists.
///
/// # Errors
/// Where there is no working directory.
pub fn plain(path: &Path) -> std::io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let mut rest = Vec::new();
    for folder in path.ancestors() {
        if let Ok(found) = folder.canonicalize() {
            return Ok(rest.iter().rev().fold(found, |path, part| path.join(part)));
        }
        rest.extend(folder.file_name());
    }
    Ok(path)
}

/// A hint at what is there instead.
fn near(path: &Path) -> String {
    let fallback = "check the path; relative ones start from the folder of component.yaml".to_owned();
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return fallback };
    let Ok(entries) = std::fs::read_dir(folder) else {
        return format!(
            "the folder {} is not there either; relative paths start from component.yaml's",
            folder.display()
        );
    };
    let names: Vec<String> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    // Without their endings, which are alike and say nothing.
    let stem = |name: &str| name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned();
    let stems: Vec<String> = names.iter().map(|name| stem(name)).collect();
    let likeliest = nearest(&stem(&name.to_string_lossy()), stems.iter().map(String::as_str));
    match likeliest.and_then(|near| names.iter().find(|name| stem(name) == near)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => fallback,
    }
}

//! Object stores: a client for each bucket, made when it is first needed and kept as long as the engine.

pub mod failure;
pub mod pinned;
pub mod upload;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use datafusion::execution::object_store::ObjectStoreUrl;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{ClientOptions, HttpClient, HttpConnector};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig};

use self::pinned::PinnedStore;
use super::uri::{Protocol, Uri};
use crate::io::IoError;
use crate::io::context::RunContext;

/// How long a store may take to answer, and to go on answering.
const ANSWER: Duration = Duration::from_secs(15);

/// The same where a part of an output is on its way, which a slow line makes long.
const TAKE: Duration = Duration::from_secs(60);

const CONNECT: Duration = Duration::from_secs(5);

/// Settings of stores by the names that their environment variables have, such as `aws_endpoint`; they go before the
/// environment.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StoreOptions(pub BTreeMap<String, String>);

impl fmt::Debug for StoreOptions {
    // Values may be credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What is done with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// It is read.
    Read,
    /// It is replaced.
    Write,
}

/// The stores of an engine.
pub struct Stores {
    options: BTreeMap<String, String>,
    patience: Option<Duration>,
    /// Folder for outputs before they are sent.
    pub temp_dir: PathBuf,
    open: Mutex<BTreeMap<(String, Purpose), Arc<dyn ObjectStore>>>,
    claimed: Mutex<BTreeSet<String>>,
}

impl fmt::Debug for Stores {
    // Options may be credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").finish_non_exhaustive()
    }
}

impl Stores {
    /// No store yet; `patience` is how long one may take to answer, and `temp_dir` has outputs before they are sent.
    pub fn new(options: StoreOptions, patience: Option<Duration>, temp_dir: Option<PathBuf>) -> Self {
        Self {
            options: options.0,
            patience,
            temp_dir: temp_dir.unwrap_or_else(std::env::temp_dir),
            open: Mutex::default(),
            claimed: Mutex::default(),
        }
    }

    /// The store that a URI is in.
    ///
    /// # Errors
    /// Where its settings are incomplete or wrong.
    pub fn open(&self, role: &str, uri: &Uri, purpose: Purpose) -> Result<Arc<dyn ObjectStore>, IoError> {
        let key = (uri.address.clone(), purpose);
        if let Some(store) = lock(&self.open).get(&key) {
            return Ok(store.clone());
        }
        let store = self.make(uri, purpose).map_err(|_| IoError::Store {
            role: role.to_owned(),
            uri: uri.to_string(),
            action: if purpose == Purpose::Read { "read" } else { "written" },
            reason: "the store's settings are incomplete or cannot be used".to_owned(),
            hint: match uri.protocol {
                Protocol::S3 => "check the variables AWS_* of the environment, such as AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY",
                Protocol::Google => "check the variables GOOGLE_* of the environment, such as GOOGLE_SERVICE_ACCOUNT",
                Protocol::Azure => "check the variables AZURE_* of the environment, such as AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY",
                Protocol::Http => "check the address",
            },
            kind: crate::error::ErrorKind::InvalidInput,
        })?;
        Ok(lock(&self.open).entry(key).or_insert(store).clone())
    }

    /// The same as a run sees it, known to its session from now on.
    ///
    /// # Errors
    /// Where its settings are incomplete or wrong.
    pub fn register(role: &str, uri: &Uri, context: &RunContext) -> Result<Arc<dyn ObjectStore>, IoError> {
        let known =
            ObjectStoreUrl::parse(uri.store.as_str()).and_then(|url| context.session().runtime_env().object_store(url));
        known.or_else(|_| Self::renew(role, uri, context))
    }

    /// The same, for a run that has changed what is there.
    ///
    /// # Errors
    /// Where its settings are incomplete or wrong.
    pub fn renew(role: &str, uri: &Uri, context: &RunContext) -> Result<Arc<dyn ObjectStore>, IoError> {
        let store = context.stores().open(role, uri, Purpose::Read)?;
        let pinned = uri.protocol != Protocol::Http;
        let pages = context.page_checks().clone();
        let store: Arc<dyn ObjectStore> = Arc::new(PinnedStore::new(store, uri.store.as_str(), pinned, pages));
        context.session().runtime_env().register_object_store(&uri.store, store.clone());
        Ok(store)
    }

    /// Keeps other runs of this process away from an output; `None` where one has it.
    pub fn claim(self: &Arc<Self>, uri: &Uri) -> Option<Claim> {
        let place = uri.place();
        lock(&self.claimed).insert(place.clone()).then(|| Claim { stores: self.clone(), place })
    }

    fn make(&self, uri: &Uri, purpose: Purpose) -> object_store::Result<Arc<dyn ObjectStore>> {
        // A few quick ones: a run should rather tell that a store is down than wait for it.
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(200),
                max_backoff: Duration::from_secs(3),
                base: 2.0,
            },
            max_retries: 4,
            retry_timeout: Duration::from_secs(10),
        };
        let patience = self.patience.unwrap_or(if purpose == Purpose::Read { ANSWER } else { TAKE });
        let connector = Connector { patience };
        let address = uri.address.as_str();
        Ok(match uri.protocol {
            Protocol::S3 => {
                let builder = AmazonS3Builder::from_env().with_url(address);
                let builder = self.settings().fold(builder, |builder, (key, value)| builder.with_config(key, value));
                Arc::new(builder.with_retry(retry).with_http_connector(connector).build()?)
            }
            Protocol::Google => {
                let builder = GoogleCloudStorageBuilder::from_env().with_url(address);
                let builder = self.settings().fold(builder, |builder, (key, value)| builder.with_config(key, value));
                Arc::new(builder.with_retry(retry).with_http_connector(connector).build()?)
            }
            Protocol::Azure => {
                let builder = MicrosoftAzureBuilder::from_env().with_url(address);
                let builder = self.settings().fold(builder, |builder, (key, value)| builder.with_config(key, value));
                Arc::new(builder.with_retry(retry).with_http_connector(connector).build()?)
            }
            Protocol::Http => {
                // That it is not encrypted stands in the URI.
                let options = ClientOptions::new().with_allow_http(uri.store.scheme() == "http");
                let builder = HttpBuilder::new().with_url(address).with_client_options(options);
                Arc::new(builder.with_retry(retry).with_http_connector(connector).build()?)
            }
        })
    }

    /// The options that a store knows; it is not told of others'.
    fn settings<K: FromStr>(&self) -> impl Iterator<Item = (K, String)> {
        self.options.iter().filter_map(|(key, value)| Some((key.to_ascii_lowercase().parse().ok()?, value.clone())))
    }
}

/// An output that no other run of this process writes, as long as this lives.
#[derive(Debug)]
pub struct Claim {
    /// The stores that know of it.
    pub stores: Arc<Stores>,
    place: String,
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.stores.claimed).remove(&self.place);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes clients that do not follow redirects, which could lead out of what an operator allows, and that wait for the
/// next byte of an answer rather than for its end.
#[derive(Debug)]
struct Connector {
    patience: Duration,
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let failed = |error: reqwest::Error| object_store::Error::Generic { store: "HTTP", source: error.into() };
        let is = |key| options.get_config_value(&key).as_deref() == Some("true");
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .read_timeout(self.patience)
            .user_agent(concat!("customer-health/", env!("CARGO_PKG_VERSION")))
            .https_only(!is(ClientConfigKey::AllowHttp))
            .danger_accept_invalid_certs(is(ClientConfigKey::AllowInvalidCertificates))
            .no_gzip();
        if !is(ClientConfigKey::Http2Only) {
            builder = builder.http1_only();
        }
        if let Some(proxy) = options.get_config_value(&ClientConfigKey::ProxyUrl) {
            builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(failed)?);
        }
        Ok(HttpClient::new(builder.build().map_err(failed)?))
    }
}

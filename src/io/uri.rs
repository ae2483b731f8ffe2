//! URIs of objects: what is taken, and what is refused before anything is opened.

use std::fmt;

use object_store::path::Path;
use url::Url;

use crate::io::IoError;

/// What a path may be instead of a local one, for hints.
pub const SCHEMES: &str = "local files, s3://, gs:// and az:// (also abfs:// and abfss://); http:// and https:// are read only; write the scheme in lower case";

/// Which protocol leads to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// Amazon S3 and what speaks like it.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure,
    /// A web server, which is read only.
    Http,
}

/// The URI of an object, a folder or a pattern, with nothing in it that could lead elsewhere or is nobody's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri {
    text: String,
    /// Which protocol leads there.
    pub protocol: Protocol,
    /// What tells the store from others: scheme and authority, for Azure always `az://CONTAINER[.ACCOUNT]`.
    pub store: Url,
    /// The URL that makes a client for the store.
    pub address: String,
    /// Parts of the key before the first with a pattern.
    pub segments: Vec<String>,
    /// The pattern, if there is one, below the segments.
    pub glob: Option<String>,
    /// Whether it ends in a slash.
    pub folder: bool,
}

/// Whether a path is a URI of something that is no local file.
pub fn is_uri(path: &str) -> bool {
    path.contains("://") && !path.starts_with("file://")
}

/// A URI without what may be secret in it: what stands before an `@`, and what stands behind a `?` or `#`.
pub fn redacted(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (shown, hidden) = rest.split_at(end);
    let (user, place) = shown.rsplit_once('@').map_or(("", shown), |(_, place)| ("...@", place));
    let hidden = hidden.chars().next().map_or_else(String::new, |mark| format!("{mark}..."));
    format!("{scheme}://{user}{place}{hidden}")
}

impl Uri {
    /// Reads a URI that leads to a store.
    ///
    /// # Errors
    /// Where its scheme is unknown, or there is anything in it that could lead elsewhere or is a secret.
    pub fn parse(role: &str, text: &str) -> Result<Self, IoError> {
        let refused = |reason: &str, hint: &str| IoError::Uri {
            role: role.to_owned(),
            uri: redacted(text),
            reason: reason.to_owned(),
            hint: hint.to_owned(),
        };
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let protocol = match scheme {
            "s3" => Protocol::S3,
            "gs" => Protocol::Google,
            "az" | "abfs" | "abfss" => Protocol::Azure,
            "http" | "https" => Protocol::Http,
            _ => {
                let (role, path) = (role.to_owned(), redacted(text));
                return Err(IoError::Scheme { role, path, scheme: scheme.to_owned() });
            }
        };
        if let Some(mark) = rest.find(['?', '#']) {
            let what = if rest[mark..].starts_with('?') { "a query" } else { "a fragment" };
            return Err(refused(
                &format!("has {what}, which is refused"),
                "name the object alone; credentials come from the environment, and `*` is the pattern for any text",
            ));
        }
        if rest.contains('\\') || rest.chars().any(char::is_control) || rest.trim() != rest {
            return Err(refused("has a backslash, a control character or blanks around it", "remove it"));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (store, address) = store(protocol, scheme, authority).map_err(|(reason, hint)| refused(reason, hint))?;
        let mut parts: Vec<&str> = path.split('/').collect();
        let folder = parts.last().is_some_and(|last| last.is_empty());
        if folder {
            parts.pop();
        }
        let mut segments = Vec::with_capacity(parts.len());
        for part in parts {
            let segment = segment(part).ok_or_else(|| {
                refused(
                    "has an empty part, `.`, `..` or an encoded form of `.`, `/`, `\\` or `%`",
                    "write the key as the store lists it",
                )
            })?;
            segments.push(segment);
        }
        let pattern = segments.iter().position(|segment| segment.contains(['*', '[']));
        let glob = pattern.map(|at| segments.split_off(at).join("/"));
        if glob.is_some() && folder {
            return Err(refused(
                "ends in a slash behind a pattern",
                "end it in a pattern for files, such as *.parquet",
            ));
        }
        let folder = folder || glob.is_some() || segments.is_empty();
        Ok(Self { text: text.to_owned(), protocol, store, address, segments, glob, folder })
    }

    /// The same, as the place of an output.
    ///
    /// # Errors
    /// Where nothing can be written there.
    pub fn writable(self, role: &str) -> Result<Self, IoError> {
        let (reason, hint) = if self.protocol == Protocol::Http {
            ("cannot be written: web servers are read only", "name a local file, or one on s3://, gs:// or az://")
        } else if self.glob.is_some() {
            ("has a pattern, though an output is one file", "name one file, such as scores.parquet")
        } else if self.folder {
            ("is a folder, though an output is one file", "name a file, such as customer_health_scores.parquet in it")
        } else {
            return Ok(self);
        };
        let (role, uri) = (role.to_owned(), self.text);
        Err(IoError::Uri { role, uri, reason: reason.to_owned(), hint: hint.to_owned() })
    }

    /// Whether another URI is this one or below; both in one store.
    pub fn holds(&self, other: &Self) -> bool {
        self.store == other.store && self.glob.is_none() && other.segments.starts_with(&self.segments)
    }

    /// Path of the object or folder in its store.
    pub fn path(&self) -> Path {
        // Not encoded once more: the segments are the key as the store lists it.
        Path::parse(self.segments.join("/")).unwrap_or_default()
    }

    /// The object or the folder as a URL of the query engine, without the pattern.
    pub fn url(&self) -> Url {
        let mut url = self.store.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(&self.segments);
            if self.folder && !self.segments.is_empty() {
                path.push("");
            }
        }
        url
    }

    /// The folder that it is in, for people: written as the URI is.
    pub fn above(&self) -> String {
        let end = self.glob.as_ref().map_or(self.text.len(), |_| self.text.find(['*', '[']).unwrap_or(self.text.len()));
        let start = self.text.find("://").map_or(0, |at| at + 3);
        let end = self.text[start..end].trim_end_matches('/').rfind('/').map_or(end, |at| start + at);
        self.text[..end].trim_end_matches('/').to_owned()
    }

    /// One name for all ways of naming the place.
    pub fn place(&self) -> String {
        format!("{}{}", self.store, self.path())
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A part of a key, decoded once; `None` where it could lead elsewhere.
fn segment(part: &str) -> Option<String> {
    let lower = part.to_ascii_lowercase();
    if ["%2e", "%2f", "%5c", "%25"].iter().any(|encoded| lower.contains(encoded)) {
        return None;
    }
    let path = Path::from_url_path(part).ok()?;
    let decoded = path.as_ref();
    let harmless = !matches!(decoded, "" | "." | "..") && !decoded.chars().any(char::is_control);
    harmless.then(|| decoded.to_owned())
}

/// What tells a store from others, and the URL that makes its client.
fn store(protocol: Protocol, scheme: &str, authority: &str) -> Result<(Url, String), (&'static str, &'static str)> {
    const USER: (&str, &str) = (
        "has a user or password in it, which is refused",
        "remove what stands before the `@`; credentials come from the environment",
    );
    const NAME: (&str, &str) = (
        "names no bucket that can be",
        "expected letters, digits, `.`, `-` and `_`, as in s3://bucket/folder/name.parquet",
    );
    let is_name = |name: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        !name.starts_with('.') && name.chars().any(|c| c.is_ascii_alphanumeric()) && name.chars().all(allowed)
    };
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let (name, address) = match (protocol, user) {
        // abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/... is how Azure writes it.
        (Protocol::Azure, Some(container)) if scheme != "az" => {
            if container.contains(':') {
                return Err(USER);
            }
            if !is_name(container) || container.contains('.') || !is_name(host) || !host.contains('.') {
                return Err(NAME);
            }
            let account = host.split('.').next().unwrap_or_default();
            (format!("{container}.{account}"), format!("{scheme}://{container}@{host}/"))
        }
        (_, Some(_)) => return Err(USER),
        (Protocol::Http, None) => {
            let url = Url::parse(&format!("{scheme}://{host}/")).map_err(|_| NAME)?;
            if host.is_empty() || !url.has_host() || host.contains('%') {
                return Err(NAME);
            }
            return Ok((url.clone(), url.to_string()));
        }
        (_, None) => (host.to_owned(), format!("{scheme}://{host}/")),
    };
    // With a dot it could be taken for one of an account.
    if !is_name(&name) || (protocol == Protocol::Azure && user.is_none() && name.contains('.')) {
        return Err(NAME);
    }
    let scheme = if protocol == Protocol::Azure { "az" } else { scheme };
    let url = Url::parse(&format!("{scheme}://{name}/")).map_err(|_| NAME)?;
    Ok((url, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Uri, String> {
        Uri::parse("input", text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_could_lead_elsewhere_is_refused() {
        for wrong in [
            "ftp://host/a",
            "S3://bucket/a",
            "://a",
            "s3://",
            "s3:///a",
            "s3://./a",
            "s3://bucket/../a",
            "s3://bucket/a/./b",
            "s3://bucket/a//b",
            "s3://bucket/%2e%2e/a",
            "s3://bucket/.%2E/a",
            "s3://bucket/a%2fb",
            "s3://bucket/a%5Cb",
            "s3://bucket/%252e%252e/a",
            "s3://bucket/..\\a",
            "s3://bucket/.\t./a",
            "s3://bucket/a%00",
            "s3://bucket/a\n",
            "s3://bucket:99/a",
            "s3://buck%65t/a",
            "s3://key:secret@bucket/a",
            "s3://user@bucket/a",
            "az://container.account/a",
            "az://container@account.dfs.core.windows.net/a",
            "abfss://user:secret@account.dfs.core.windows.net/a",
            "https://user:secret@host/a",
            "https://host\\@other/a",
            "https://host/a?token=secret",
            "https://host/a#part",
            "gs://bucket/*/",
        ] {
            let error = parse(wrong).expect_err(wrong);
            assert!(error.contains("\n  hint: ") && !error.contains("secret"), "{wrong}: {error}");
        }
    }

    #[test]
    fn keys_are_decoded_once_and_encoded_for_the_engine() {
        let uri = parse("s3://bucket/a b/c%20d/x@y=1.parquet").unwrap();
        assert_eq!(uri.path().as_ref(), "a b/c d/x@y=1.parquet");
        assert_eq!(Path::from_url_path(uri.url().path()).unwrap(), uri.path());
        let uri = parse("gs://bucket/in/2025-*/part.parquet").unwrap();
        assert_eq!((uri.url().as_str(), uri.glob.as_deref()), ("gs://bucket/in/", Some("2025-*/part.parquet")));
        assert!(parse("s3://bucket").unwrap().folder && parse("s3://bucket/a/").unwrap().folder);
    }

    #[test]
    fn a_root_holds_whole_parts_of_keys_in_its_own_store() {
        let holds = |root: &str, uri: &str| parse(root).unwrap().holds(&parse(uri).unwrap());
        for root in ["s3://bucket/prefix", "s3://bucket/prefix/", "s3://bucket"] {
            for inside in ["s3://bucket/prefix/a", "s3://bucket/prefix", "s3://bucket/prefix/*.csv"] {
                assert!(holds(root, inside), "{root} {inside}");
            }
            for outside in ["s3://bucket-evil/prefix/a", "gs://bucket/prefix/a", "s3://Bucket/prefix/a"] {
                assert!(!holds(root, outside), "{root} {outside}");
            }
        }
        for outside in ["prefix-evil/a", "prefix-evil", "a", "*", "", "pre*/a", "Prefix/a"] {
            assert!(!holds("s3://bucket/prefix", &format!("s3://bucket/{outside}")), "{outside}");
        }
        assert!(holds("abfss://c@acc.dfs.core.windows.net/p", "abfs://c@acc.dfs.core.windows.net/p/a"));
        assert!(!holds("abfss://c@acc.dfs.core.windows.net/p", "abfs://c@other.dfs.core.windows.net/p/a"));
        assert!(!holds("https://host/p", "http://host/p/a") && !holds("https://host/p", "https://host:8443/p/a"));
        assert!(holds("https://host/p", "https://HOST:443/p/a"));
    }

    #[test]
    fn the_folder_above_is_written_as_the_uri_is() {
        for (uri, above) in [
            ("s3://bucket/a/b.csv", "s3://bucket/a"),
            ("s3://bucket/a/", "s3://bucket"),
            ("s3://bucket/a/b*/c.csv", "s3://bucket/a"),
            ("s3://bucket/*.csv", "s3://bucket"),
            ("s3://bucket", "s3://bucket"),
            ("abfss://c@acc.dfs.core.windows.net/p/a", "abfss://c@acc.dfs.core.windows.net/p"),
        ] {
            assert_eq!(parse(uri).unwrap().above(), above);
        }
    }

    #[test]
    fn outputs_are_single_objects_on_stores() {
        for wrong in ["http://host/a", "s3://bucket/a*", "s3://bucket/a/", "s3://bucket"] {
            assert!(parse(wrong).unwrap().writable("output").is_err(), "{wrong}");
        }
        assert!(parse("s3://bucket/a").unwrap().writable("output").is_ok());
    }

    #[test]
    fn what_may_be_secret_is_left_out() {
        assert_eq!(redacted("s3://key:se/cret@bucket/a"), "s3://...@bucket/a");
        assert_eq!(redacted("https://host/a?sig=secret"), "https://host/a?...");
        assert_eq!(redacted("s3://bucket/a"), "s3://bucket/a");
    }
}

//! Bearer tokens from a file, which may change while the server runs.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use blake3::Hash;

use crate::app::connection::credential::{Credential, CredentialError};

/// Tokens shorter than this can be guessed.
const SHORT: usize = 16;

/// What stands before the token in the header `authorization`.
const SCHEME: &str = "bearer ";

/// The tokens that a server knows; only their hashes are kept.
#[derive(Clone)]
pub struct Tokens {
    /// The file to look at; none where the tokens stay as they are.
    file: Option<Credential>,
    state: Arc<RwLock<State>>,
}

struct State {
    /// Hash of the file, or of what keeps it from being read, when it was last looked at.
    seen: Hash,
    tokens: Vec<Hash>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Tokens {
    /// The tokens of a file: one on each line; blank lines and those that begin with `#` do not count.
    ///
    /// # Errors
    /// Where the file cannot be read, or has no token.
    pub fn read(path: &Path) -> Result<Self, CredentialError> {
        let file = Credential::new("--token-file", path);
        let text = file.text()?;
        let tokens = hash_tokens(&file, &text)?;
        let state = Arc::new(RwLock::new(State { seen: blake3::hash(text.as_bytes()), tokens }));
        Ok(Self { file: Some(file), state })
    }

    /// One token, which was made up, for a server and a caller in one process.
    pub fn one(token: &str) -> Self {
        let hash = blake3::hash(token.as_bytes());
        Self { file: None, state: Arc::new(RwLock::new(State { seen: hash, tokens: vec![hash] })) }
    }

    /// The first token of a file, for a caller.
    ///
    /// # Errors
    /// Where the file cannot be read, or has no token.
    pub fn read_first(path: &Path) -> Result<String, CredentialError> {
        let file = Credential::new("--token-file", path);
        let text = file.text()?;
        let tokens = read_tokens(&file, &text)?;
        Ok(tokens.first().copied().unwrap_or_default().to_owned())
    }

    /// Whether a header `authorization` has one of the tokens. How long it takes tells nothing of them: hashes are
    /// compared, in constant time, and all of them.
    pub fn admit(&self, header: &[u8]) -> bool {
        let Some((scheme, token)) = header.split_at_checked(SCHEME.len()) else { return false };
        if !scheme.eq_ignore_ascii_case(SCHEME.as_bytes()) {
            return false;
        }
        let given = blake3::hash(token.trim_ascii());
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.tokens.iter().fold(false, |found, token| found | (*token == given))
    }

    /// Reads the file anew where it has changed; the last good tokens stay where it is broken.
    pub(crate) fn refresh(&self) {
        let Some(file) = &self.file else { return };
        let (seen, read) = match file.text() {
            Ok(text) => (blake3::hash(text.as_bytes()), hash_tokens(file, &text)),
            Err(error) => (blake3::hash(error.to_string().as_bytes()), Err(error)),
        };
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.seen == seen {
            return;
        }
        state.seen = seen;
        match read {
            Ok(tokens) => {
                tracing::info!(tokens = tokens.len(), "the file of tokens was read anew");
                state.tokens = tokens;
            }
            Err(error) => tracing::error!("the last good tokens are kept: {error}"),
        }
    }
}

fn hash_tokens(file: &Credential, text: &str) -> Result<Vec<Hash>, CredentialError> {
    let tokens = read_tokens(file, text)?;
    if let Some(at) = tokens.iter().position(|token| token.len() < SHORT) {
        tracing::warn!("{} {}: token {} is shorter than {SHORT} characters", file.flag, file.path.display(), at + 1);
    }
    Ok(tokens.into_iter().map(|token| blake3::hash(token.as_bytes())).collect())
}

fn read_tokens<'a>(file: &Credential, text: &'a str) -> Result<Vec<&'a str>, CredentialError> {
    const HINT: &str = "expected one token on each line, without blanks, such as `openssl rand -hex 32` makes it";
    let lines = text.lines().map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let mut tokens = Vec::new();
    for (at, line) in lines {
        // What a header can carry.
        if !line.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(file.invalid(format!("has no token on line {}", at + 1), HINT));
        }
        tokens.push(line);
    }
    if tokens.is_empty() { Err(file.invalid("has no token".to_owned(), HINT)) } else { Ok(tokens) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, Result<Tokens, CredentialError>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        std::fs::write(&path, text).unwrap();
        let tokens = Tokens::read(&path);
        (folder, tokens)
    }

    #[test]
    fn each_line_is_a_token_and_nothing_else_is() {
        let (_folder, tokens) = file("# for the nightly job\nfirst-token-of-all\n\n  second-token-of-all \r\n");
        let tokens = tokens.unwrap();
        for right in ["Bearer first-token-of-all", "bearer second-token-of-all"] {
            assert!(tokens.admit(right.as_bytes()), "{right}");
        }
        for wrong in ["", "Bearer", "Bearer ", "Bearer first-token-of-al", "Basic first-token-of-all", "Bearer #"] {
            assert!(!tokens.admit(wrong.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn a_broken_file_is_told_by_its_line_and_never_by_its_content() {
        for (text, told) in [("# none\n\n", "has no token\n"), ("good-token-1234567\nse cret\n", "on line 2")] {
            let error = file(text).1.unwrap_err().to_string();
            assert!(
                error.starts_with("--token-file ") && error.contains(told) && error.contains("\nhint: "),
                "{error}"
            );
            assert!(!error.contains("se cret"), "{error}");
        }
    }

    #[test]
    fn the_last_good_tokens_outlive_a_broken_edit() {
        let (folder, tokens) = file("old-token-12345678\n");
        let (tokens, path) = (tokens.unwrap(), folder.path().join("tokens"));
        for broken in [Some(""), Some("a b\n"), None] {
            match broken {
                Some(text) => std::fs::write(&path, text).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            tokens.refresh();
            assert!(tokens.admit(b"Bearer old-token-12345678"), "{broken:?}");
        }
        std::fs::write(&path, "new-token-12345678\n").unwrap();
        tokens.refresh();
        assert!(tokens.admit(b"Bearer new-token-12345678") && !tokens.admit(b"Bearer old-token-12345678"));
    }
}

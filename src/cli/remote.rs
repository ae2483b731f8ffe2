//! Arguments of a command that may ask a server.

use std::path::{Path, PathBuf};

use super::args;
use super::exit::Failure;
use crate::app::{Credential, CredentialError, Tokens};
use crate::client::{self, Client, ClientError, ClientOptions};
use crate::component::{ComponentError, Problem, Recipe};
use crate::wire::proto::{ComponentSource, InputOverride, ValidateComponentRequest};

/// Which server, and what it wants to see.
#[derive(Debug, clap::Args)]
pub struct RemoteArgs {
    /// Ask the server at this address, which must see the same files; without it the run happens in this process
    #[arg(long, value_name = "http[s]://HOST:PORT", value_parser = args::server, conflicts_with_all = args::LIMITS)]
    server: Option<String>,

    /// CA that signed the server's certificate, in PEM; the system's CAs if left out
    #[arg(long, value_name = "FILE", requires = "server")]
    tls_ca: Option<PathBuf>,

    /// Own certificate, in PEM, where the server asks for one
    #[arg(long, value_name = "FILE", requires = "tls_key", requires = "server")]
    tls_cert: Option<PathBuf>,

    /// Key of the own certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// File whose first line that is neither blank nor a comment is the token that the server wants
    #[arg(long, value_name = "FILE", requires = "server")]
    token_file: Option<PathBuf>,
}

impl RemoteArgs {
    /// A connection to the server, where one is named.
    ///
    /// # Errors
    /// Where a file cannot be used, or the server cannot be reached.
    pub async fn client(&self) -> Result<Option<Client>, Failure> {
        let Some(uri) = &self.server else { return Ok(None) };
        let pem = |flag, path: &Option<PathBuf>, section: &str| {
            let read = |path: &PathBuf| Credential::new(flag, path).pem(section);
            path.as_ref().map(read).transpose()
        };
        let token = self.token_file.as_deref().map(|path: &Path| Tokens::read_first(path));
        let options = ClientOptions {
            tls_ca: pem("--tls-ca", &self.tls_ca, "CERTIFICATE")?,
            client_cert: pem("--tls-cert", &self.tls_cert, "CERTIFICATE")?,
            client_key: pem("--tls-key", &self.tls_key, "PRIVATE KEY")?,
            domain: None,
            token: token.transpose().map_err(|error: CredentialError| Failure::from(error))?,
        };
        if !uri.starts_with("https:") && (self.tls_ca.is_some() || self.tls_cert.is_some()) {
            return Err(Failure::usage(format!(
                "certificates are given for {uri}, which is not encrypted\n\
                 hint: say https:// where the server has `--tls-cert`"
            )));
        }
        Ok(Some(Client::connect_with(uri, &options).await?))
    }
}

/// What a call was about: the component, the tables in place of its own, and the history.
pub type Asked = (Option<ComponentSource>, Vec<InputOverride>, String);

/// What a call about a recipe is about.
///
/// # Errors
/// Where the working directory cannot be told.
pub fn asked(recipe: &Recipe) -> Result<Asked, Failure> {
    let component =
        client::component(recipe).map_err(|error| Failure::io("cannot tell the working directory", &error))?;
    Ok((Some(component), client::inputs(recipe), recipe.overrides.history.clone().unwrap_or_default()))
}

/// A call's failure with all of the component's problems. Headers are short, and a status may hold the first of them only.
pub async fn told_whole(client: &mut Client, (component, inputs, history): Asked, error: ClientError) -> Failure {
    if error.problems.len() >= error.all_problems {
        return error.into();
    }
    let all = error.all_problems;
    let answer = client.validate_component(ValidateComponentRequest { component, inputs, history }).await;
    let problems: Vec<Problem> =
        answer.map(|answer| answer.problems.into_iter().map(Problem::from).collect()).unwrap_or_default();
    // What only the run finds is told by the run alone.
    if problems.len() < all {
        return error.into();
    }
    let told = ComponentError::new(problems);
    Failure::new(error.kind, told.to_string()).told_by(told.problems)
}

//! How to log in to a server. Invariant: a secret comes from the environment or a file, never from an argument
//! that a process list shows.

use std::path::PathBuf;

use anyhow::Context as _;
use assay_prom_api::{Auth, ClientOptions};

/// Options for servers that want to know who asks.
#[derive(Debug, clap::Args)]
pub(super) struct Login {
    /// The environment variable that holds a bearer token
    #[arg(long, value_name = "VARIABLE")]
    bearer_token_env: Option<String>,
    /// The file that holds a bearer token
    #[arg(long, value_name = "FILE", conflicts_with = "bearer_token_env")]
    bearer_token_file: Option<PathBuf>,
    /// The user for basic authentication
    #[arg(long, value_name = "NAME", conflicts_with_all = ["bearer_token_env", "bearer_token_file"])]
    user: Option<String>,
    /// The environment variable that holds the user's password
    #[arg(
        long,
        value_name = "VARIABLE",
        requires = "user",
        default_value_if("user", clap::builder::ArgPredicate::IsPresent, "RULESEVAL_PASSWORD")
    )]
    password_env: Option<String>,
    /// A further header, such as "X-Scope-OrgID: team"; a value of $NAME is taken from the environment
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
}

impl Login {
    /// How to ask the server at this address.
    pub(super) fn options(&self, url: &str) -> anyhow::Result<ClientOptions> {
        Ok(ClientOptions { auth: self.auth()?, headers: self.headers()?, ..ClientOptions::new(url) })
    }

    fn auth(&self) -> anyhow::Result<Auth> {
        if let Some(name) = &self.bearer_token_env {
            return Ok(Auth::Bearer(from_env(name)?));
        }
        if let Some(path) = &self.bearer_token_file {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("{}: cannot be read", path.display()))?;
            return Ok(Auth::Bearer(text.trim().to_owned()));
        }
        match (&self.user, &self.password_env) {
            (Some(user), Some(name)) => Ok(Auth::Basic(user.clone(), from_env(name)?)),
            _ => Ok(Auth::None),
        }
    }

    fn headers(&self) -> anyhow::Result<Vec<(String, String)>> {
        let read = |text: &String| {
            let (name, value) = text.split_once(':').context("--header: no colon; write NAME: VALUE")?;
            let value = value.trim();
            let value = match value.strip_prefix('$') {
                Some(variable) => from_env(variable)?,
                None => value.to_owned(),
            };
            Ok((name.trim().to_owned(), value))
        };
        self.headers.iter().map(read).collect()
    }
}

fn from_env(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| format!("the environment variable {name} is not set"))
}

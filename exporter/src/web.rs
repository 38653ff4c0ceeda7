//! `--web.config.file`: TLS, passwords and headers, in the format of Prometheus' exporters.
//!
//! Invariant: what is in force is a file that was valid as a whole. A change is taken up with the next connection;
//! one that is not valid is logged and changes nothing.

mod auth;
mod config;
mod tls;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

pub(crate) use self::tls::TlsListener;
use self::{auth::Verified, config::Config};

/// A web configuration file, as it stands.
#[derive(Debug)]
pub struct WebConfig {
    path: PathBuf,
    state: Mutex<Loaded>,
    verified: Verified,
}

/// The file's content, and when it and the files that it names were changed.
#[derive(Debug)]
struct Loaded {
    config: Arc<Config>,
    stamps: Vec<(PathBuf, Option<SystemTime>)>,
}

/// What is wrong with a web configuration file: a line for each problem, with file, line and column.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WebConfigError(pub(crate) String);

impl WebConfig {
    /// Reads the file and the certificates that it names.
    ///
    /// # Errors
    /// Where one of them cannot be read or is not valid.
    pub fn load(path: &Path) -> Result<Self, WebConfigError> {
        let state = Mutex::new(Loaded::read(path)?);
        Ok(Self { path: path.to_owned(), state, verified: Verified::default() })
    }

    /// Whether connections are TLS. This does not change while the exporter runs.
    pub(crate) fn has_tls(&self) -> bool {
        self.current().tls.is_some()
    }

    /// What is in force now, read anew where a file was changed.
    fn current(&self) -> Arc<Config> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps: Vec<_> = state.stamps.iter().map(|(path, _)| (path.clone(), changed(path))).collect();
        if stamps != state.stamps {
            match Loaded::read(&self.path) {
                Ok(loaded) => {
                    tracing::info!(file = %self.path.display(), "web configuration read anew");
                    *state = loaded;
                }
                Err(error) => {
                    tracing::error!("the web configuration stays as it was: {error}");
                    state.stamps = stamps;
                }
            }
        }
        Arc::clone(&state.config)
    }
}

impl Loaded {
    fn read(path: &Path) -> Result<Self, WebConfigError> {
        // Before reading: a change in between is then seen with the next connection.
        let own = (path.to_owned(), changed(path));
        let config = Config::read(path)?;
        let stamps = [own].into_iter().chain(config.files.iter().map(|f| (f.clone(), changed(f)))).collect();
        Ok(Self { config: Arc::new(config), stamps })
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|metadata| metadata.modified()).ok()
}

/// Asks for a password where the file has users, and adds the file's headers.
pub(crate) async fn guard(State(web): State<Arc<WebConfig>>, request: Request, next: Next) -> Response {
    let config = web.current();
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let credentials = header.and_then(auth::credentials);
    let mut response = if config.users.is_empty() || web.allows(&config, credentials).await {
        next.run(request).await
    } else {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic")];
        (StatusCode::UNAUTHORIZED, challenge, "a user and a password are needed\n").into_response()
    };
    for (name, value) in &config.headers {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    response
}

impl WebConfig {
    async fn allows(&self, config: &Config, credentials: Option<(String, String)>) -> bool {
        let Some((user, password)) = credentials else { return false };
        // A user who does not exist costs as much time as one who does.
        let hash = config.users.iter().find(|(name, _)| *name == user).map(|(_, hash)| hash.clone());
        self.verified.check(user, password, hash).await
    }
}

//! `--web.config.file`: TLS, passwords, headers and a rate limit, in the format of Prometheus' exporters.
//!
//! Invariant: what is in force is a file that was valid as a whole. A change is taken up with the next connection;
//! one that is not valid is logged and changes nothing.

mod auth;
mod config;
mod limit;
mod tls;

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Instant, SystemTime},
};

use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use rustls::ServerConfig;

use self::{
    auth::{Attempt, Login, Verified},
    config::Config,
    limit::Limiter,
};

/// A web configuration file, as it is.
#[derive(Debug)]
pub struct WebConfig {
    path: PathBuf,
    state: Mutex<Loaded>,
    verified: Arc<Verified>,
    /// What the file said at the start: these need a restart.
    fixed: Fixed,
}

#[derive(Debug)]
struct Fixed {
    has_tls: bool,
    http2: bool,
    limiter: Option<Limiter>,
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
        let loaded = Loaded::read(path)?;
        let config = &loaded.config;
        let fixed = Fixed {
            has_tls: config.tls.is_some(),
            http2: config.http2,
            limiter: config.rate_limit.map(Limiter::new),
        };
        Ok(Self { path: path.to_owned(), state: Mutex::new(loaded), verified: Arc::default(), fixed })
    }

    /// Whether connections are TLS. This does not change while the exporter runs.
    pub(crate) fn has_tls(&self) -> bool {
        self.fixed.has_tls
    }

    /// Whether HTTP/2 is offered. This does not change while the exporter runs.
    pub(crate) fn has_http2(&self) -> bool {
        self.fixed.http2
    }

    /// The certificates for a new connection.
    pub(crate) fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.current().tls.clone()
    }

    /// Settings of a changed file that wait for a restart.
    fn need_restart(&self, config: &Config) -> Vec<&'static str> {
        let rate_limit = self.fixed.limiter.as_ref().map(Limiter::limit);
        let changed = [
            ("turning TLS on or off", config.tls.is_some() != self.fixed.has_tls),
            ("http2", config.http2 != self.fixed.http2),
            ("rate_limit", config.rate_limit != rate_limit),
        ];
        changed.into_iter().filter(|(_, is_changed)| *is_changed).map(|(what, _)| what).collect()
    }

    /// What is in force now, reloaded where a file was changed.
    fn current(&self) -> Arc<Config> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps: Vec<_> = state.stamps.iter().map(|(path, _)| (path.clone(), changed(path))).collect();
        if stamps != state.stamps {
            match Loaded::read(&self.path) {
                Ok(loaded) => {
                    tracing::info!(file = %self.path.display(), "web configuration reloaded");
                    for setting in self.need_restart(&loaded.config) {
                        tracing::warn!("web configuration: {setting} takes effect after a restart only");
                    }
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

/// The address of a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Asks for a password where the file has users, and adds the file's headers.
pub(crate) async fn guard(State(web): State<Arc<WebConfig>>, request: Request, next: Next) -> Response {
    if let Some(limiter) = &web.fixed.limiter
        && !limiter.allows(Instant::now())
    {
        return (StatusCode::TOO_MANY_REQUESTS, "too many requests; see rate_limit\n").into_response();
    }
    let config = web.current();
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let credentials = header.and_then(auth::credentials);
    let from = request.extensions().get::<Peer>().map(|Peer(address)| *address);
    let login = match credentials {
        _ if config.users.is_empty() => Login::Right,
        Some(credentials) => web.log_in(&config, from, credentials).await,
        None => Login::Wrong,
    };
    let mut response = match login {
        Login::Right => next.run(request).await,
        Login::Wrong => {
            let challenge = [(header::WWW_AUTHENTICATE, "Basic")];
            (StatusCode::UNAUTHORIZED, challenge, "a user and a password are needed\n").into_response()
        }
        Login::TooMany => {
            let later = [(header::RETRY_AFTER, "1")];
            (StatusCode::TOO_MANY_REQUESTS, later, "too many failed logins; try again later\n")
                .into_response()
        }
    };
    for (name, value) in &config.headers {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    response
}

impl WebConfig {
    async fn log_in(&self, config: &Config, from: Option<IpAddr>, credentials: (String, String)) -> Login {
        let (user, password) = credentials;
        let hash = config.users.iter().find(|(name, _)| *name == user).map(|(_, hash)| hash.clone());
        let highest_cost =
            config.users.iter().filter_map(|(_, hash)| auth::cost(hash)).max().unwrap_or_default();
        self.verified.check(Attempt { from, user, password, hash, highest_cost }).await
    }
}

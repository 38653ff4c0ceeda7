//! Why a run does not take place, or cannot continue.

use std::io;

use super::options::RunOptions;
use crate::{
    client::{origin::OriginError, probe::ProbeError, proxy::ProxyError, route::SocketError, tls::TlsError},
    sink::SinkError,
    summary::PercentileFileError,
};

/// Why a run did not take place, or could not continue.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The options or the scenario's surroundings are wrong.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The target did not pass its health check.
    #[error(transparent)]
    Unhealthy(#[from] ProbeError),
    /// What is done once before the run failed.
    #[error("before_run: {0}")]
    BeforeRun(String),
    /// A sink could not take the measurements.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The percentile files could not be written.
    #[error(transparent)]
    PercentileFile(#[from] PercentileFileError),
    /// The system could not give what the run needs.
    #[error("cannot start the load: {0}")]
    System(#[from] io::Error),
}

/// What is wrong with the options of a run.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// Neither the options nor the scenario name a target.
    #[error(
        "there is no target: give --target URL, or the key target in the scenario, such as http://127.0.0.1:8000"
    )]
    NoTarget,
    /// The target is not a URL.
    #[error("the target {text:?} is not a URL: {source}; write for example http://127.0.0.1:8000")]
    TargetUrl {
        /// The target as given.
        text: String,
        /// What is wrong with it.
        source: url::ParseError,
    },
    /// The target is a URL that load cannot go to.
    #[error("the target {text:?}: {source}")]
    Target {
        /// The target as given.
        text: String,
        /// What is wrong with it.
        source: OriginError,
    },
    /// The target is a socket that load cannot go to.
    #[error("the target: {0}")]
    Socket(#[from] SocketError),
    /// A proxy has nothing to do with a socket of this machine.
    #[error("the target is a Unix socket, which no proxy reaches; leave out the proxy")]
    SocketThroughProxy,
    /// The proxy cannot be used.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The TLS files cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The time scale is not a positive number, or too large.
    #[error("the time scale {0} is not above 0 and at most {most}", most = RunOptions::MOST_TIME_SCALE)]
    TimeScale(f64),
    /// There is nothing to run.
    #[error("there is no phase to run")]
    NoPhase,
    /// Two phases have one name, so that their series could not be told apart.
    #[error("the phase {0:?} appears twice in the run; its series would mix")]
    DuplicatePhase(String),
    /// Shards that search would each see a part of the load and find another rate.
    #[error("a search cannot be shared by shards, because each would see a part of the load; a sweep can")]
    SharedSearch,
    /// A start that falls to a shard needs a user there.
    #[error("{name}: {users} users are too few for {shards} shards; each shard needs at least one (max_vus)")]
    TooFewUsers {
        /// The phase, or the sweep.
        name: String,
        /// Its users.
        users: u32,
        /// The shards.
        shards: u32,
    },
    /// Each user may hold a connection, and the system allows fewer.
    #[error(
        "{users} users need {needed} file descriptors and the limit is {limit}; raise it with: ulimit -n {needed}"
    )]
    Descriptors {
        /// The users.
        users: u32,
        /// The file descriptors that they need.
        needed: u64,
        /// How many the system allows.
        limit: u64,
    },
}

//! `demo serve`: its options, and the service alone until a signal. Invariant: a secret comes from a variable or a flag and
//! is never printed.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, anyhow};
use assay_model::duration::parse_ms;
use assay_platform::ending::Endings;
use assay_text::console;
use demo::service::{
    self, CyborgDbOptions, EmbedderKind, Fault, Profile, RemoteOptions, ServiceOptions, Timeouts,
};

use super::bind;

/// The exit code of a service that a second signal ended.
const INTERRUPTED: u8 = 130;

#[derive(clap::Args)]
pub(super) struct ServeArguments {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    listen: String,
    /// The password of the users nurse, resident and admin
    #[arg(long, env = "RAG_PASSWORD", hide_env_values = true, default_value = "demo")]
    password: String,
    /// The key that /v1/* accepts in addition to tokens
    #[arg(long, env = "RAG_API_KEY", hide_env_values = true, default_value = "demo")]
    api_key: String,
    /// How long a token is valid
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration)]
    token_lifetime: Duration,
    /// How long stages take: reference, laptop, or a file
    #[arg(long, value_name = "NAME|FILE", default_value = "reference")]
    profile: String,
    /// The least similarity of a passage that answers are drawn from; the embedding model's own by default
    #[arg(long, value_name = "COSINE")]
    min_score: Option<f32>,
    /// Embed with MiniLM-L6-v2 from this directory (needs a build with the feature minilm)
    #[arg(long, value_name = "DIR")]
    minilm: Option<PathBuf>,
    /// Search in the CyborgDB service at this URL
    #[arg(long, value_name = "URL")]
    cyborgdb: Option<String>,
    /// CyborgDB's root key
    #[arg(long, env = "CYBORGDB_SERVICE_ROOT_KEY", hide_env_values = true)]
    cyborgdb_key: Option<String>,
    /// The file with the index' key, 64 hexadecimal digits; it is created if it does not exist
    #[arg(long, value_name = "FILE", default_value = "cyborgdb-index.key")]
    cyborgdb_index_key: PathBuf,
    /// Generate with the OpenAI-compatible server at this URL
    #[arg(long, value_name = "URL")]
    llm: Option<String>,
    /// The key of that server
    #[arg(long, env = "LLM_API_KEY", hide_env_values = true)]
    llm_key: Option<String>,
    /// The model of that server
    #[arg(long, value_name = "MODEL")]
    llm_model: Option<String>,
    /// Plant faults, such as slow-search=4 or memory-leak=500kB
    #[arg(long, value_name = "FAULT", num_args = 1..)]
    fault: Vec<Fault>,
    /// Send traces to this OTLP/HTTP endpoint; OTEL_EXPORTER_OTLP_ENDPOINT by default
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
    /// Show classic histogram buckets in addition to the native ones
    #[arg(long)]
    classic_buckets: bool,
    /// The seed of everything random, except tokens
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

// Derived output would show passwords and keys.
impl std::fmt::Debug for ServeArguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServeArguments").field("listen", &self.listen).finish_non_exhaustive()
    }
}

impl ServeArguments {
    pub(super) fn otlp(&self) -> Option<&str> {
        self.otlp.as_deref()
    }

    fn options(&self) -> Result<ServiceOptions> {
        let timeouts = Timeouts::default();
        let cyborgdb = self.cyborgdb.as_ref().map(|url| CyborgDbOptions {
            url: url.clone(),
            api_key: self.cyborgdb_key.clone(),
            key_file: self.cyborgdb_index_key.clone(),
            index: "assay-clinical".to_owned(),
            timeout: timeouts.search,
        });
        let llm = self.llm.as_ref().map(|url| RemoteOptions {
            url: url.clone(),
            api_key: self.llm_key.clone(),
            model: self.llm_model.clone(),
            connect: timeouts.connect,
        });
        Ok(ServiceOptions {
            api_key: Some(self.api_key.clone()).filter(|key| !key.is_empty()),
            token_lifetime: self.token_lifetime,
            profile: Profile::load(&self.profile).map_err(|problems| anyhow!("{problems}"))?,
            min_score: self.min_score,
            embedder: self.minilm.clone().map_or(EmbedderKind::Hashing, EmbedderKind::MiniLm),
            cyborgdb,
            llm,
            faults: self.fault.clone(),
            classic_buckets: self.classic_buckets,
            seed: self.seed,
            timeouts,
            ..ServiceOptions::with_password(&self.password)
        })
    }
}

/// Serves until a signal; a second one ends at once.
pub(super) async fn run(arguments: &ServeArguments) -> Result<u8> {
    let options = arguments.options()?;
    let listener = bind(&arguments.listen).await?;
    console::say(format_args!("listening on http://{}", listener.local_addr()?));
    let (stop, stopping) = tokio::sync::oneshot::channel();
    let mut endings = Endings::watch().context("cannot watch for signals")?;
    let signals = async {
        endings.next().await;
        let _ = stop.send(());
        endings.next().await;
    };
    let served = service::serve(listener, options, async {
        let _ = stopping.await;
    });
    tokio::select! {
        served = served => served.map(|()| 0).map_err(Into::into),
        () = signals => Ok(INTERRUPTED),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let ms = parse_ms(text).map_err(|cause| cause.to_string())?;
    u64::try_from(ms).map(Duration::from_millis).map_err(|_| "expected a duration such as 30m".to_owned())
}

//! The parts behind the stages: opened at start, watched afterwards.
//!
//! Invariant: the service is ready when every part is there. A part that is away is asked again until it is back, and
//! nothing needs a restart.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    corpus::{Passage, passages},
    embed::{EmbedError, Embedder},
    llm::Llm,
    metrics::Stage,
    options::ServiceOptions,
    search::{Search, cyborgdb::CyborgDbOptions},
};

/// The stages that have a part behind them.
const WITH_PARTS: [Stage; 3] = [Stage::Embed, Stage::Search, Stage::Generate];

/// How often a part that is away is asked again, and how often each is asked whether it is still there.
const PROBE: Duration = Duration::from_secs(1);

/// The parts.
pub(crate) struct Parts {
    pub(crate) passages: Vec<Passage>,
    opened: OnceLock<Opened>,
    up: [AtomicBool; WITH_PARTS.len()],
}

/// What embeds and what searches; they open together, since the index holds the model's vectors.
pub(crate) struct Opened {
    pub(crate) embedder: Embedder,
    pub(crate) search: Search,
}

impl Parts {
    /// Nothing is opened yet.
    ///
    /// # Errors
    /// When the built-in passages cannot be read.
    pub(crate) fn new() -> Result<Self, String> {
        Ok(Self { passages: passages()?, opened: OnceLock::new(), up: Default::default() })
    }

    /// What embeds and searches, once it is there.
    pub(crate) fn opened(&self) -> Option<&Opened> {
        self.opened.get()
    }

    /// Each part with whether it is there.
    pub(crate) fn status(&self) -> Vec<(Stage, bool)> {
        WITH_PARTS.iter().zip(&self.up).map(|(stage, up)| (*stage, up.load(Ordering::Relaxed))).collect()
    }

    /// The parts that are away, by the names of their stages.
    pub(crate) fn away(&self) -> Vec<&'static str> {
        self.status().iter().filter(|(_, up)| !up).map(|(stage, _)| stage.as_str()).collect()
    }

    /// A part was found to be there, or away.
    pub(crate) fn report(&self, stage: Stage, is_up: bool) {
        let Some(at) = WITH_PARTS.iter().position(|s| *s == stage) else { return };
        if self.up[at].swap(is_up, Ordering::Relaxed) != is_up {
            tracing::info!(stage = stage.as_str(), is_up, "a part has changed");
        }
    }

    /// Loads the embedding model, embeds all passages and opens the index.
    ///
    /// # Errors
    /// What is wrong with the model's directory; an index that is away is no error, it is asked again.
    pub(crate) async fn open(&self, options: &ServiceOptions) -> Result<(), EmbedError> {
        let kind = options.embedder.clone();
        let loaded = tokio::task::spawn_blocking(move || kind.load());
        let model = loaded.await.map_err(|cause| EmbedError(cause.to_string()))??;
        let embedder = Embedder::start(model, options.limits.waiting);
        let texts = self.passages.iter().map(Passage::full_text).collect();
        let vectors = embedder.embed(texts).await?;
        self.report(Stage::Embed, true);
        let cyborgdb = options.cyborgdb.as_ref().map(|store| {
            let index = format!("{}-{}", store.index, embedder.model.name().to_lowercase());
            CyborgDbOptions { index, ..store.clone() }
        });
        loop {
            match Search::open(&self.passages, &vectors, cyborgdb.as_ref()).await {
                Ok(search) => {
                    self.report(Stage::Search, true);
                    let _ = self.opened.set(Opened { embedder, search });
                    return Ok(());
                }
                Err(cause) => tracing::warn!("the index cannot be opened yet: {cause}"),
            }
            tokio::time::sleep(PROBE).await;
        }
    }

    /// Asks the parts whether they are there, for ever.
    pub(crate) async fn watch(&self, llm: &Llm) {
        loop {
            self.report(Stage::Generate, llm.probe().await.is_ok());
            if let Some(opened) = self.opened() {
                self.report(Stage::Embed, opened.embedder.embed_one("probe").await.is_ok());
                self.report(Stage::Search, opened.search.probe().await.is_ok());
            }
            tokio::time::sleep(PROBE).await;
        }
    }
}

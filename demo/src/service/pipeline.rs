//! From a question to the model's queue: embed, search, prompt.
//!
//! Invariant: the two stages that compute run on as many threads as they have slots; whoever finds none waits, and
//! the wait is part of the stage's time.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use tokio::sync::{Semaphore, mpsc};

use super::{
    corpus, embed,
    llm::{Llm, Overloaded},
    metrics::{Gauges, Metrics, Stage},
    options::{Role, ServiceOptions},
    prompt,
    search::{Hit, Index},
};

/// What queries share.
pub(super) struct Pipeline {
    index: Arc<Index>,
    embed_slots: Arc<Semaphore>,
    search_slots: Arc<Semaphore>,
    llm: Llm,
    rng: Mutex<SmallRng>,
    options: ServiceOptions,
}

/// A passage that an answer was drawn from.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct Source {
    id: String,
    title: String,
    score: f32,
}

/// An answer on its way.
pub(super) struct Answer {
    pub(super) sources: Vec<Source>,
    pub(super) prompt_tokens: u32,
    pub(super) tokens: mpsc::UnboundedReceiver<String>,
    /// When it entered the model's queue.
    pub(super) asked: Instant,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// On purpose.
    #[error("the service failed as it was told to")]
    Fault,
    #[error("a stage ended early: {0}")]
    Internal(String),
}

impl Pipeline {
    pub(super) fn new(options: ServiceOptions) -> Self {
        Self {
            index: Arc::new(Index::new(corpus::passages(options.passages, options.seed))),
            embed_slots: Arc::new(Semaphore::new(options.embed_slots.max(1))),
            search_slots: Arc::new(Semaphore::new(options.search_slots.max(1))),
            llm: Llm::start(options.llm.clone(), options.seed),
            rng: Mutex::new(SmallRng::seed_from_u64(options.seed)),
            options,
        }
    }

    pub(super) fn gauges(&self) -> Gauges {
        Gauges {
            llm_active: self.llm.active(),
            llm_queued: self.llm.queued(),
            llm_slots: self.options.llm.slots,
            passages: self.index.len(),
        }
    }

    /// Everything up to the model's queue.
    pub(super) async fn ask(
        &self,
        metrics: &Metrics,
        role: Role,
        question: &str,
        patient_id: &str,
    ) -> Result<Answer, Failed> {
        let hits = self.find(metrics, role, question).await?;
        self.fail_on_purpose().await?;

        let start = Instant::now();
        let found: Vec<_> = hits.iter().map(|hit| self.index.passage(hit.passage)).collect();
        let prompt = {
            let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
            prompt::build(question, patient_id, &found, &mut rng)
        };
        metrics.stage(Stage::Prompt, start.elapsed());

        let asked = Instant::now();
        let tokens = self.llm.generate(prompt.tokens, prompt.answer)?;
        let sources = hits
            .iter()
            .zip(&found)
            .map(|(hit, p)| Source { id: p.id.clone(), title: p.title.clone(), score: hit.score })
            .collect();
        Ok(Answer { sources, prompt_tokens: prompt.tokens, tokens, asked })
    }

    async fn find(&self, metrics: &Metrics, role: Role, question: &str) -> Result<Vec<Hit>, Failed> {
        let start = Instant::now();
        let text = question.to_owned();
        let vector = on_slot(&self.embed_slots, move || embed::embed(&text)).await?;
        metrics.stage(Stage::Embed, start.elapsed());

        let start = Instant::now();
        let (index, k) = (Arc::clone(&self.index), self.options.top_k);
        let hits = on_slot(&self.search_slots, move || index.nearest(&vector, role, k)).await?;
        metrics.stage(Stage::Search, start.elapsed());
        Ok(hits)
    }

    async fn fail_on_purpose(&self) -> Result<(), Failed> {
        let faults = &self.options.faults;
        let (fails, stalls) = {
            let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
            (rng.random::<f64>() < faults.error_rate, rng.random::<f64>() < faults.stall_rate)
        };
        if stalls {
            tokio::time::sleep(faults.stall).await;
        }
        if fails { Err(Failed::Fault) } else { Ok(()) }
    }
}

/// Runs `work` on a thread of its own when a slot is free. The slot is held until the work is done, even where
/// the client has left.
async fn on_slot<T: Send + 'static>(
    slots: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failed> {
    let internal = |cause: &dyn std::fmt::Display| Failed::Internal(cause.to_string());
    let slot = Arc::clone(slots).acquire_owned().await.map_err(|cause| internal(&cause))?;
    let done = tokio::task::spawn_blocking(move || {
        let result = work();
        drop(slot);
        result
    });
    done.await.map_err(|cause| internal(&cause))
}

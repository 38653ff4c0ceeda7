//! Text as a vector: a model, and the queue before it that joins what waits into one batch.
//!
//! Invariant: every vector has length 1 (or 0, for text without a word), so that a dot product is a cosine; one
//! batch is computed at a time, on a blocking thread.

pub(crate) mod hashing;
#[cfg(feature = "minilm")]
pub mod minilm;

use std::{path::PathBuf, sync::Arc};

use tokio::sync::{mpsc, oneshot};

/// How many dimensions a vector has.
pub const DIMENSIONS: usize = 384;

/// A vector.
pub type Vector = Box<[f32; DIMENSIONS]>;

/// Why a text has no vector.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct EmbedError(pub(crate) String);

/// Which model embeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EmbedderKind {
    /// Feature hashing, which needs nothing.
    #[default]
    Hashing,
    /// MiniLM-L6-v2 from a directory with `model.safetensors`, `tokenizer.json` and `config.json`.
    MiniLm(PathBuf),
}

/// A model that embeds.
pub(crate) trait Model: Send + Sync {
    /// Its name in answers, spans and metrics.
    fn name(&self) -> &str;
    /// The least cosine at which a passage is about a question.
    fn threshold(&self) -> f32;
    /// One vector for each text, in order.
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vector>, EmbedError>;
    /// How many tokens the text is for this model.
    fn tokens(&self, text: &str) -> usize;
}

impl EmbedderKind {
    /// Loads the model; this may take a second.
    pub(crate) fn load(&self) -> Result<Arc<dyn Model>, EmbedError> {
        match self {
            Self::Hashing => Ok(Arc::new(hashing::Hashing)),
            #[cfg(feature = "minilm")]
            Self::MiniLm(dir) => Ok(Arc::new(minilm::MiniLm::load(dir)?)),
            #[cfg(not(feature = "minilm"))]
            Self::MiniLm(_) => Err(EmbedError(
                "this build has no MiniLM; build it with `cargo build --features minilm`".to_owned(),
            )),
        }
    }
}

/// Texts computed together at most.
const LARGEST_BATCH: usize = 32;

/// A handle to the model's queue.
#[derive(Clone)]
pub(crate) struct Embedder {
    pub(crate) model: Arc<dyn Model>,
    jobs: mpsc::Sender<Job>,
}

struct Job {
    texts: Vec<String>,
    reply: oneshot::Sender<Result<Vec<Vector>, EmbedError>>,
}

impl Embedder {
    /// Starts the queue's task on the current Tokio runtime.
    pub(crate) fn start(model: Arc<dyn Model>, max_waiting: usize) -> Self {
        let (jobs, queue) = mpsc::channel(max_waiting.max(1));
        tokio::spawn(work(Arc::clone(&model), queue));
        Self { model, jobs }
    }

    /// The vectors of the texts, in order.
    ///
    /// # Errors
    /// When the model fails.
    pub(crate) async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vector>, EmbedError> {
        let (reply, answer) = oneshot::channel();
        let stopped = || EmbedError("the embedding model has stopped".to_owned());
        self.jobs.send(Job { texts, reply }).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// The vector of one text.
    ///
    /// # Errors
    /// When the model fails.
    pub(crate) async fn embed_one(&self, text: &str) -> Result<Vector, EmbedError> {
        let mut vectors = self.embed(vec![text.to_owned()]).await?;
        vectors.pop().ok_or_else(|| EmbedError("the embedding model returned no vector".to_owned()))
    }
}

async fn work(model: Arc<dyn Model>, mut queue: mpsc::Receiver<Job>) {
    while let Some(first) = queue.recv().await {
        let mut batch = vec![first];
        let mut size = batch[0].texts.len();
        while size < LARGEST_BATCH
            && let Ok(next) = queue.try_recv()
        {
            size += next.texts.len();
            batch.push(next);
        }
        // Nobody waits for the vectors of a client that has left.
        batch.retain(|job| !job.reply.is_closed());
        let model = Arc::clone(&model);
        let computed = tokio::task::spawn_blocking(move || compute(&*model, batch));
        if let Err(cause) = computed.await {
            tracing::error!("embedding failed: {cause}");
        }
    }
}

fn compute(model: &dyn Model, batch: Vec<Job>) {
    let texts: Vec<&str> = batch.iter().flat_map(|job| job.texts.iter().map(String::as_str)).collect();
    let mut vectors = model.embed(&texts).map(Vec::into_iter);
    for job in batch {
        let result = match &mut vectors {
            Ok(vectors) => Ok(vectors.by_ref().take(job.texts.len()).collect()),
            Err(cause) => Err(cause.clone()),
        };
        // A client that has left needs no vectors.
        let _ = job.reply.send(result);
    }
}

#[cfg(test)]
mod tests {
    use super::{hashing::embed, *};

    #[tokio::test]
    async fn a_batch_gives_each_request_its_own_vectors() {
        let embedder = Embedder::start(EmbedderKind::Hashing.load().unwrap(), 100);
        let requests = (0..50).map(|i| {
            let embedder = embedder.clone();
            tokio::spawn(async move {
                let texts: Vec<_> = (0..i % 4).map(|j| format!("question {i} part {j}")).collect();
                let vectors = embedder.embed(texts.clone()).await.unwrap();
                assert_eq!(vectors, texts.iter().map(|t| embed(t)).collect::<Vec<_>>());
            })
        });
        for request in requests.collect::<Vec<_>>() {
            request.await.unwrap();
        }
    }
}

//! The language model: simulated, or a server elsewhere that speaks OpenAI's chat completions.
//!
//! Invariant: an answer is a channel of events that ends with [`Event::End`] or an error; dropping the receiver gives
//! up the slot, or the place in the queue.

mod remote;
mod simulated;

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;

pub use self::remote::RemoteOptions;
use self::{remote::Remote, simulated::Simulated};
use super::{failure::Failure, faults::Faults, options::LlmOptions};

/// What comes of an answer, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// The next piece of text.
    Token(String),
    /// The end.
    End(Usage),
}

/// How an answer ended, in the model's own tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) prompt_tokens: u32,
    pub(crate) output_tokens: u32,
    /// Whether it ended because it was as long as allowed.
    pub(crate) cut: bool,
}

/// An answer on its way.
pub(crate) type Events = mpsc::Receiver<Result<Event, Failure>>;

/// What a model is asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The conversation, for a model that reads: role and text.
    pub(crate) messages: Vec<(String, String)>,
    /// The prompt's length in tokens, for a model that does not.
    pub(crate) prompt_tokens: u32,
    /// The answer of a model that does not read, token by token.
    pub(crate) answer: Vec<String>,
    /// The longest answer, in tokens.
    pub(crate) max_tokens: Option<u32>,
    /// What generation takes when nothing else runs; by the model's pace when absent.
    pub(crate) time: Option<Duration>,
}

/// A handle to the model.
#[derive(Clone)]
pub(crate) enum Llm {
    Simulated(Simulated),
    Remote(Arc<Remote>),
}

/// How many answers a model is at, and how many wait, as far as the service knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LlmLoad {
    pub(crate) active: usize,
    pub(crate) queued: usize,
    pub(crate) slots: usize,
}

impl Llm {
    /// Starts the model on the current Tokio runtime.
    ///
    /// # Errors
    /// When the options of a model elsewhere make no client.
    pub(crate) fn start(
        simulated: &LlmOptions,
        remote: Option<&RemoteOptions>,
        faults: &Arc<Faults>,
        seed: u64,
    ) -> Result<Self, String> {
        Ok(match remote {
            None => Self::Simulated(Simulated::start(simulated.clone(), Arc::clone(faults), seed)),
            Some(options) => Self::Remote(Arc::new(Remote::new(options)?)),
        })
    }

    /// The model's name in answers, spans and metrics.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Simulated(_) => simulated::MODEL,
            Self::Remote(remote) => remote.model(),
        }
    }

    /// Who provides it, as `gen_ai.provider.name` has it.
    pub(crate) fn provider(&self) -> &'static str {
        match self {
            Self::Simulated(_) => "assay",
            Self::Remote(_) => "openai",
        }
    }

    /// Asks for an answer.
    ///
    /// # Errors
    /// When the queue is full, or the server is away or refuses.
    pub(crate) async fn generate(&self, request: Request) -> Result<Events, Failure> {
        match self {
            Self::Simulated(model) => model.generate(request),
            Self::Remote(server) => Arc::clone(server).generate(request).await,
        }
    }

    /// What it is at now.
    pub(crate) fn load(&self) -> LlmLoad {
        match self {
            Self::Simulated(model) => model.load(),
            Self::Remote(server) => LlmLoad { active: server.active(), ..LlmLoad::default() },
        }
    }

    /// Whether the model answers at all.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) async fn probe(&self) -> Result<(), String> {
        match self {
            Self::Simulated(_) => Ok(()),
            Self::Remote(server) => server.probe().await,
        }
    }
}

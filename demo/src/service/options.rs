//! How the service behaves: [`ServiceOptions`].

use std::time::Duration;

/// What a user may read; each role reads what the ones before it read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads care procedures.
    Nurse,
    /// Reads guidelines and medication, too.
    Resident,
    /// Reads everything, case discussions among it.
    Attending,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Nurse, Self::Resident, Self::Attending];

    /// The role in metrics and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nurse => "nurse",
            Self::Resident => "resident",
            Self::Attending => "attending",
        }
    }
}

/// Someone who can log in.
#[derive(Clone, Debug)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
    /// What they may read.
    pub role: Role,
}

/// The pace of the language model.
///
/// One step of the model gives every answer in the batch one token and takes `step` and `step_per_sequence` for
/// each of them. An answer joins the batch when a slot is free; reading its prompt takes `prefill_per_token` for
/// each token, and the whole batch waits for it.
#[derive(Clone, Debug)]
pub struct LlmOptions {
    /// Answers that are generated at once.
    pub slots: usize,
    /// Questions that may wait for a slot; one more is turned away.
    pub max_queue: usize,
    /// The time of a step with an empty batch.
    pub step: Duration,
    /// What each answer in the batch adds to it.
    pub step_per_sequence: Duration,
    /// The time to read one token of a prompt.
    pub prefill_per_token: Duration,
    /// The share by which a step is longer or shorter, at random, 0 to 1.
    pub jitter: f64,
}

/// Things that go wrong on purpose. All are off unless asked for.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// The share of queries that fail with 500, 0 to 1.
    pub error_rate: f64,
    /// The share of queries that stall before generation, 0 to 1.
    pub stall_rate: f64,
    /// How long they stall.
    pub stall: Duration,
}

/// How the service behaves. The defaults keep p99 below five seconds with twenty users on two cores.
#[derive(Clone, Debug)]
pub struct ServiceOptions {
    /// Who can log in.
    pub users: Vec<User>,
    /// How long a token is good for.
    pub token_lifetime: Duration,
    /// How many passages there are.
    pub passages: usize,
    /// How many of them an answer is drawn from.
    pub top_k: usize,
    /// Questions that are embedded at once.
    pub embed_slots: usize,
    /// Searches that run at once.
    pub search_slots: usize,
    /// The language model's pace.
    pub llm: LlmOptions,
    /// What goes wrong.
    pub faults: Faults,
    /// Whether histograms show classic buckets beside the native ones.
    pub classic_buckets: bool,
    /// The seed of everything that is random, except tokens.
    pub seed: u64,
}

impl ServiceOptions {
    /// The defaults with one user for each role, named for it, all with `password`.
    #[must_use]
    pub fn with_password(password: &str) -> Self {
        let user = |role: Role| User { name: role.as_str().into(), password: password.into(), role };
        Self { users: Role::ALL.map(user).into(), ..Self::default() }
    }
}

impl Default for LlmOptions {
    /// About 110 tokens per second for one answer, and 1,900 for all of a full batch.
    fn default() -> Self {
        Self {
            slots: 24,
            max_queue: 256,
            step: Duration::from_micros(9_000),
            step_per_sequence: Duration::from_micros(150),
            prefill_per_token: Duration::from_micros(100),
            jitter: 0.1,
        }
    }
}

impl Default for ServiceOptions {
    /// The users `nurse`, `resident` and `attending`, each with the password `demo`.
    fn default() -> Self {
        let user = |role: Role| User { name: role.as_str().into(), password: "demo".into(), role };
        Self {
            users: Role::ALL.map(user).into(),
            token_lifetime: Duration::from_secs(3600),
            passages: 4000,
            top_k: 4,
            embed_slots: 2,
            search_slots: 2,
            llm: LlmOptions::default(),
            faults: Faults::default(),
            classic_buckets: false,
            seed: 1,
        }
    }
}

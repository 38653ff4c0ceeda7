//! How the service behaves: [`ServiceOptions`].

use std::{sync::Arc, time::Duration};

use super::{
    embed::EmbedderKind, faults::Fault, llm::RemoteOptions, metrics::Stage, profile::Profile, role::Role,
    search::cyborgdb::CyborgDbOptions,
};

/// Someone who can log in.
#[derive(Clone)]
pub struct User {
    /// The name that they log in with.
    pub name: String,
    /// What they are called.
    pub full_name: String,
    /// The password.
    pub password: String,
    /// What they may do.
    pub role: Role,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("name", &self.name).field("role", &self.role).finish_non_exhaustive()
    }
}

/// The simulated language model.
///
/// An answer that runs alone gets a token each `per_token`, after its prompt was read at `prefill_per_token`. Up to
/// `knee` answers run together at that pace; each one beyond makes all of them slower by `slowdown`.
#[derive(Clone, Debug, PartialEq)]
pub struct LlmOptions {
    /// Answers that are generated at once.
    pub slots: usize,
    /// Questions that may wait for a slot; one more is turned away.
    pub max_queue: usize,
    /// The time of a token of an answer that runs alone.
    pub per_token: Duration,
    /// The time to read one token of a prompt.
    pub prefill_per_token: Duration,
    /// Answers that run together at full pace.
    pub knee: usize,
    /// The share of its time that a token takes longer for each answer beyond the knee.
    pub slowdown: f64,
    /// The share by which an answer's pace differs from the average, at random, 0 to 1.
    pub jitter: f64,
}

/// What the service takes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests that may wait for the embedding or the search; one more is turned away with 503.
    pub waiting: usize,
    /// Questions of one user under way; one more is turned away with 429.
    pub per_user: usize,
    /// Failed logins answered at a time; one more is turned away with 429.
    pub failing_logins: usize,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Connections open at a time; one more waits to be accepted.
    pub connections: usize,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Embedding, waiting included.
    pub embed: Duration,
    /// Search, waiting included.
    pub search: Duration,
    /// Until a language model elsewhere begins to answer.
    pub connect: Duration,
    /// Between two tokens, and until the first.
    pub token: Duration,
    /// Generation as a whole.
    pub generate: Duration,
    /// Until a request's head has arrived; an idle connection is closed after as long.
    pub head: Duration,
    /// Until a request's body has arrived.
    pub body: Duration,
    /// How long answers under way may take to end on shutdown.
    pub shutdown: Duration,
    /// How long every failed login takes.
    pub failed_login: Duration,
}

/// The cache of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheOptions {
    /// Answers kept.
    pub entries: usize,
    /// How long an answer is good for.
    pub lifetime: Duration,
}

/// How the service behaves.
#[derive(Clone, Debug)]
pub struct ServiceOptions {
    /// Who can log in.
    pub users: Vec<User>,
    /// A key that `/v1/*` takes in addition to tokens, as model servers have one.
    pub api_key: Option<String>,
    /// How long a token is good for.
    pub token_lifetime: Duration,
    /// How many passages an answer is drawn from, unless the question says.
    pub top_k: usize,
    /// The least cosine of a passage that is used; the embedding model's own when absent.
    pub min_score: Option<f32>,
    /// How long stages take.
    pub profile: Arc<Profile>,
    /// What embeds.
    pub embedder: EmbedderKind,
    /// The vector store; passages are searched in process when absent.
    pub cyborgdb: Option<CyborgDbOptions>,
    /// The language model's server; a simulated model answers when absent.
    pub llm: Option<RemoteOptions>,
    /// What the service takes at most.
    pub limits: Limits,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// The cache of answers.
    pub cache: CacheOptions,
    /// Faults planted from the start.
    pub faults: Vec<Fault>,
    /// Whether histograms show classic buckets in addition to the native ones.
    pub classic_buckets: bool,
    /// The seed of everything that is random, except tokens.
    pub seed: u64,
}

impl ServiceOptions {
    /// The defaults with one user for each role, named for it, all with `password`.
    #[must_use]
    pub fn with_password(password: &str) -> Self {
        Self { users: users(password), ..Self::default() }
    }
}

fn users(password: &str) -> Vec<User> {
    let people = [
        ("Grace Adeyemi, RN", Role::Nurse),
        ("Dr Jonas Lind", Role::Resident),
        ("Dr Maria Ferreira", Role::Admin),
    ];
    let user = |(full_name, role): (&str, Role)| User {
        name: role.as_str().to_owned(),
        full_name: full_name.to_owned(),
        password: password.to_owned(),
        role,
    };
    people.map(user).into()
}

impl Timeouts {
    /// How long a stage may take as a whole.
    #[must_use]
    pub fn of(&self, stage: Stage) -> Duration {
        match stage {
            Stage::Embed => self.embed,
            Stage::Search => self.search,
            Stage::Auth | Stage::Prompt | Stage::Generate => self.generate,
        }
    }
}

impl Default for LlmOptions {
    /// About 110 tokens per second for one answer, and 1,900 for all of a full batch.
    fn default() -> Self {
        Self {
            slots: 24,
            max_queue: 256,
            per_token: Duration::from_micros(9_000),
            prefill_per_token: Duration::from_micros(100),
            knee: 1,
            slowdown: 0.017,
            jitter: 0.1,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { waiting: 256, per_user: 256, failing_logins: 16, body_bytes: 1 << 20, connections: 1024 }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            embed: Duration::from_secs(5),
            search: Duration::from_secs(5),
            connect: Duration::from_secs(10),
            token: Duration::from_secs(20),
            generate: Duration::from_secs(60),
            head: Duration::from_secs(60),
            body: Duration::from_secs(10),
            shutdown: Duration::from_secs(10),
            failed_login: Duration::from_millis(200),
        }
    }
}

impl Default for ServiceOptions {
    /// The users `nurse`, `resident` and `admin`, each with the password `demo`, and nothing delayed.
    fn default() -> Self {
        Self {
            users: users("demo"),
            api_key: Some("demo".to_owned()),
            token_lifetime: Duration::from_secs(3600),
            top_k: 5,
            min_score: None,
            profile: Profile::laptop(),
            embedder: EmbedderKind::Hashing,
            cyborgdb: None,
            llm: None,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            cache: CacheOptions { entries: 1024, lifetime: Duration::from_secs(600) },
            faults: Vec::new(),
            classic_buckets: false,
            seed: 1,
        }
    }
}

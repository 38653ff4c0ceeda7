//! The APIs that a step can name instead of a method and a path. Invariant: what is known of an API is one row here.

/// An operation of a known API.
#[derive(Debug)]
pub(crate) struct Api {
    /// The key of a step.
    key: &'static str,
    operation: &'static str,
    pub(crate) path: &'static str,
    /// What `gen_ai` metrics call it.
    pub(crate) metric: &'static str,
    /// Headers that it needs, unless the step sets them.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    streams: Streams,
}

/// When an operation streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Streams {
    /// If the body says `stream: true`.
    IfAsked,
    /// Unless the body says `stream: false`.
    UnlessRefused,
    Never,
}

/// The keys of steps that name an API.
pub(crate) const KEYS: [&str; 3] = ["openai", "anthropic", "ollama"];

const fn api(
    key: &'static str,
    operation: &'static str,
    path: &'static str,
    metric: &'static str,
    streams: Streams,
) -> Api {
    Api { key, operation, path, metric, headers: &[], streams }
}

static APIS: [Api; 7] = [
    api("openai", "chat", "/v1/chat/completions", "chat", Streams::IfAsked),
    api("openai", "completions", "/v1/completions", "text_completion", Streams::IfAsked),
    api("openai", "embeddings", "/v1/embeddings", "embeddings", Streams::Never),
    api("openai", "responses", "/v1/responses", "chat", Streams::IfAsked),
    Api {
        headers: &[("anthropic-version", "2023-06-01")],
        ..api("anthropic", "messages", "/v1/messages", "chat", Streams::IfAsked)
    },
    api("ollama", "chat", "/api/chat", "chat", Streams::UnlessRefused),
    api("ollama", "generate", "/api/generate", "text_completion", Streams::UnlessRefused),
];

/// The operation of this name.
pub(crate) fn find(key: &str, operation: &str) -> Option<&'static Api> {
    APIS.iter().find(|api| api.key == key && api.operation == operation)
}

/// The names of the operations behind a key.
pub(crate) fn operations(key: &str) -> impl Iterator<Item = &'static str> {
    APIS.iter().filter(move |api| api.key == key).map(|api| api.operation)
}

impl Api {
    /// Whether it streams, given what the body says about it.
    pub(crate) fn streams(&self, asked: Option<bool>) -> bool {
        match self.streams {
            Streams::IfAsked => asked == Some(true),
            Streams::UnlessRefused => asked != Some(false),
            Streams::Never => false,
        }
    }
}

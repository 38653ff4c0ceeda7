//! Why a server gave no answer. Invariant: a message names the server without credentials and shows what it said.

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ApiError {
    /// The address is not that of a server.
    #[error("{url:?}: {what}; write for example http://127.0.0.1:9090")]
    Address {
        /// The address as it was given.
        url: String,
        /// What is wrong with it.
        what: String,
    },
    /// The client could not be set up.
    #[error("cannot set up an HTTP client: {0}")]
    Setup(String),
    /// The server has more to say than it, or this client, handles at once: ask for less.
    #[error("{url}: {what}")]
    TooLarge {
        /// The server.
        url: String,
        /// The server's words, or the bound that was reached.
        what: String,
    },
    /// The server refused, and would again.
    #[error("{url}: {what}")]
    Refused {
        /// The server.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The status and the server's words.
        what: String,
    },
    /// The server could not be reached, or failed in a way that may pass, at every attempt.
    #[error("{url}: {what}")]
    Unavailable {
        /// The server.
        url: String,
        /// The last failure.
        what: String,
    },
    /// The answer is not what the API answers.
    #[error("{url}: {what}")]
    Answer {
        /// The server.
        url: String,
        /// What is wrong with it.
        what: String,
    },
}

//! How a server knows who asks. Invariant: a secret is in a header and never in a message or a log.

use reqwest::RequestBuilder;

/// How a server knows who asks.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Auth {
    /// It does not.
    #[default]
    None,
    /// `Authorization: Bearer …`.
    Bearer(String),
    /// `Authorization: Basic …` of a user and a password.
    Basic(String, String),
}

impl Auth {
    /// The request with the credentials in its header.
    pub fn apply(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::None => request,
            Self::Bearer(token) => request.bearer_auth(token),
            Self::Basic(user, password) => request.basic_auth(user, Some(password)),
        }
    }
}

impl std::fmt::Debug for Auth {
    /// The kind alone: secrets do not go to logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Bearer(_) => "Bearer(…)",
            Self::Basic(..) => "Basic(…)",
        })
    }
}

//! Error classes. Invariant: every failed request has exactly one, and its text is the `error_type` under
//! which the failure is counted, so the set is small and fixed but for HTTP statuses.

use std::{fmt, io};

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorClass {
    /// The host's name did not resolve.
    Dns,
    /// Nobody listens at the address.
    Refused,
    /// No connection for another reason, such as an unreachable network.
    Connect,
    /// The connection was reset or closed before the response began.
    Reset,
    /// The step's time ran out.
    Timeout,
    /// The TLS handshake failed.
    Tls,
    /// The response is not HTTP, or breaks its rules.
    Protocol,
    /// The response began and did not end: a body or a stream that was cut.
    CutStream,
    /// The status is a success and the response reports an error: an event of a stream, or an error object in a JSON
    /// answer of an OpenAI-compatible step.
    ReportedError,
    /// A body, an event or a header section beyond the limits.
    TooLarge,
    /// A status that the step does not expect.
    Status(u16),
    /// A check on a response of the expected status failed.
    Check,
    /// The step's templates could not be rendered, so nothing was sent.
    Template,
    /// The request was still open when its phase's graceful stop was over.
    Unfinished,
    /// A person's stop cut the request off, which is nobody's failure: it is in no error rate.
    Interrupted,
    /// The scenario had the client cancel it, which is no failure either.
    Cancelled,
}

impl ErrorClass {
    /// The class of an error of the socket before any byte of a response.
    #[must_use]
    pub fn of_connect(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Self::Reset,
            io::ErrorKind::TimedOut => Self::Timeout,
            _ => Self::Connect,
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::Connect => "connect",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
            Self::CutStream => "cut_stream",
            Self::ReportedError => "reported_error",
            Self::TooLarge => "too_large",
            Self::Status(code) => return write!(f, "{code}"),
            Self::Check => "check",
            Self::Template => "template",
            Self::Unfinished => "unfinished",
            Self::Interrupted => "interrupted",
            Self::Cancelled => "cancelled",
        };
        f.write_str(text)
    }
}

/// A failure with its class and what was seen, for messages.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{detail}")]
pub struct Failure {
    /// The class.
    pub class: ErrorClass,
    /// What was seen.
    pub detail: String,
}

impl Failure {
    /// A failure from anything that can be printed.
    pub fn new(class: ErrorClass, detail: impl fmt::Display) -> Self {
        Self { class, detail: detail.to_string() }
    }
}

//! What a user does in one iteration. Invariant: a step's `id` is its place in the scenario's list of steps.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Method};
use minijinja::Value;

use super::{Capture, Check, Expectation, RenderError, StreamSpec, Text, Think};

/// One item of a flow.
#[derive(Debug)]
pub(crate) enum Item {
    /// A request.
    Request(Box<Step>),
    /// A pause.
    Think(Think),
    /// A name for a value, until the next time it is set.
    Set { name: String, value: Text },
    /// One of several flows, chosen by weight.
    OneOf(Vec<Alternative>),
    /// One flow if an expression is true, another if not.
    If { condition: Text, then: Vec<Item>, otherwise: Vec<Item> },
    /// Items that are done several times.
    Repeat(Box<Repeat>),
}

/// Items that are done several times.
#[derive(Debug)]
pub(crate) struct Repeat {
    pub(crate) items: Vec<Item>,
    /// How often at most.
    pub(crate) times: Option<Times>,
    pub(crate) condition: Option<RepeatCondition>,
    /// How long rounds are begun where there is a condition.
    pub(crate) timeout: Duration,
    /// The pause between rounds.
    pub(crate) every: Option<Think>,
    /// The name for the number of the round.
    pub(crate) counter: Option<String>,
    /// What happens to the iteration when the condition is not met in time.
    pub(crate) on_failure: OnFailure,
}

/// How often items are done.
#[derive(Debug)]
pub(crate) enum Times {
    Fixed(u32),
    Computed(Text),
}

/// What a repeat waits for.
#[derive(Debug)]
pub(crate) struct RepeatCondition {
    /// Whether it ends when the expression is true after a round, and not when it is false before one.
    pub(crate) is_until: bool,
    pub(crate) holds: Text,
    /// The check that counts whether it was met.
    pub(crate) check: usize,
}

/// One of several flows.
#[derive(Debug)]
pub(crate) struct Alternative {
    pub(crate) weight: f64,
    pub(crate) items: Vec<Item>,
}

/// A request and what its response must be.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) id: usize,
    pub(crate) method: Method,
    /// A path on the target, or a whole URL.
    pub(crate) url: Text,
    pub(crate) query: Vec<(String, Text)>,
    pub(crate) headers: Vec<(HeaderName, Text)>,
    pub(crate) body: Body,
    pub(crate) stream: Option<StreamSpec>,
    /// Whether it speaks a known protocol of generation, so that a plain answer may carry an error and token counts.
    pub(crate) is_generation: bool,
    pub(crate) expect: Expectation,
    pub(crate) checks: Vec<Check>,
    pub(crate) captures: Vec<Capture>,
    pub(crate) objectives: Objectives,
    /// When it is cancelled, if it is.
    pub(crate) cancel: Option<Cancel>,
    pub(crate) timeout: Duration,
    /// Whether a request that a kept connection lost is sent again.
    pub(crate) resend: Resend,
    /// What happens to the iteration when the step fails.
    pub(crate) on_failure: OnFailure,
    /// How often a failed request is sent again.
    pub(crate) retries: u32,
    /// How many redirects are followed.
    pub(crate) redirects: u32,
}

impl Step {
    /// Whether a request of this method is sent again after a kept connection lost it.
    pub(crate) fn sends_again(&self, method: &Method) -> bool {
        match self.resend {
            Resend::IfIdempotent => method.is_idempotent(),
            Resend::Always => true,
            Resend::Never => false,
        }
    }

    /// Whether the request is the same each time.
    pub(crate) fn is_fixed(&self) -> bool {
        let literal = |t: &Text| t.literal().is_some();
        literal(&self.url)
            && self.query.iter().all(|(_, t)| literal(t))
            && self.headers.iter().all(|(_, t)| literal(t))
            && matches!(self.body, Body::Fixed(_))
    }
}

/// Whether a request is sent again that was written on a kept connection, which was then closed before a byte of the
/// response: the server may have acted on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resend {
    /// If its method is idempotent (RFC 9110, 9.2.2).
    IfIdempotent,
    /// Whatever its method.
    Always,
    /// In no case.
    Never,
}

/// What happens to an iteration when a step of it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// It ends: what follows would send nonsense.
    EndIteration,
    /// It continues, as in k6.
    Continue,
}

/// When a client that loses patience closes the connection, whatever is still to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cancel {
    pub(crate) when: CancelWhen,
    /// The share of the requests that it happens to.
    pub(crate) share: f64,
}

/// What a cancelled request has come to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CancelWhen {
    /// So many output tokens of a stream.
    Tokens(u64),
    /// So long after it began.
    After(Duration),
}

/// What a request must keep to count as good.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Objectives {
    /// From the first byte sent to the end.
    pub(crate) duration: Option<Duration>,
    /// From the scheduled instant to the end.
    pub(crate) latency: Option<Duration>,
    /// From the first byte sent to the first content of a stream.
    pub(crate) first_chunk: Option<Duration>,
    /// From the first content to the last, for each output token after the first.
    pub(crate) per_token: Option<Duration>,
    /// Between two pieces of content, wherever in the stream.
    pub(crate) chunk_gap: Option<Duration>,
}

/// A request's body.
#[derive(Debug)]
pub(crate) enum Body {
    /// Always the same bytes.
    Fixed(Bytes),
    /// A text.
    Text(Text),
    /// JSON with computed values in it.
    Json(Vec<JsonPart>),
    /// A form, URL-encoded.
    Form(Vec<(String, Text)>),
    /// A form of parts, some of which may be files.
    Multipart(Vec<super::multipart::Part>),
}

/// A piece of a JSON body.
#[derive(Debug)]
pub(crate) enum JsonPart {
    /// JSON as it is.
    Literal(String),
    /// A value to be computed and written as JSON.
    Value(Text),
}

impl Body {
    /// The body's bytes.
    pub(crate) fn render(&self, context: &Value) -> Result<Bytes, RenderError> {
        match self {
            Self::Fixed(bytes) => Ok(bytes.clone()),
            Self::Text(text) => text.render(context).map(|t| Bytes::from(t.into_owned())),
            Self::Json(parts) => {
                let mut out = Vec::with_capacity(256);
                for part in parts {
                    match part {
                        JsonPart::Literal(text) => out.extend_from_slice(text.as_bytes()),
                        JsonPart::Value(text) => {
                            let value = text.value(context)?;
                            serde_json::to_writer(&mut out, &value).map_err(RenderError::new)?;
                        }
                    }
                }
                Ok(Bytes::from(out))
            }
            Self::Multipart(parts) => super::multipart::render(parts, context),
            Self::Form(fields) => {
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                for (name, value) in fields {
                    form.append_pair(name, &value.render(context)?);
                }
                Ok(Bytes::from(form.finish()))
            }
        }
    }
}

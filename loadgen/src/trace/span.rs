//! A span that has ended. Invariant: only sampled spans are made, and their attributes are those of
//! OpenTelemetry's semantic conventions or `load.*`.

/// How many spans travel together: what OpenTelemetry's SDKs send at a time.
pub(crate) const BATCH: usize = 512;

/// A span.
#[derive(Debug)]
pub(crate) struct Span {
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
    pub(crate) parent: Option<u64>,
    pub(crate) name: String,
    /// Whether it is a call of a service, or work of the generator's own.
    pub(crate) is_client: bool,
    /// Nanoseconds since the Unix epoch.
    pub(crate) start_ns: u64,
    /// Nanoseconds since the Unix epoch.
    pub(crate) end_ns: u64,
    pub(crate) attributes: Vec<(&'static str, Value)>,
    /// Names, and nanoseconds since the Unix epoch.
    pub(crate) events: Vec<(&'static str, u64)>,
    pub(crate) is_error: bool,
}

/// The value of an attribute.
#[derive(Debug, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Number(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

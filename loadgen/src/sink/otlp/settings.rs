//! Where exports go and how: command line first, then the environment variables of OpenTelemetry's exporter
//! specification (1.50, "OpenTelemetry Protocol Exporter").
//!
//! Invariant: settings that exist can be used: the endpoint is a URL of the protocol, the files are named.
//! Header values carry secrets and are never printed.

use std::{fmt, path::PathBuf, time::Duration};

use percent_encoding::percent_decode_str;
use url::Url;

/// How long one export may take, unless the environment says otherwise: the specification's default.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Metrics.
    Metrics,
    /// Traces.
    Traces,
}

impl Signal {
    /// As a word: `metrics` or `traces`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Traces => "traces",
        }
    }

    /// What a base endpoint is followed by, over HTTP.
    fn path(self) -> &'static str {
        match self {
            Self::Metrics => "/v1/metrics",
            Self::Traces => "/v1/traces",
        }
    }
}

/// How messages travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// `http/protobuf`.
    #[default]
    HttpProtobuf,
    /// `grpc`.
    Grpc,
}

impl Protocol {
    /// # Errors
    /// Where the name is not one of a protocol that is spoken here.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        match text {
            "http/protobuf" => Ok(Self::HttpProtobuf),
            "grpc" => Ok(Self::Grpc),
            other => Err(SettingsError::Protocol(other.to_owned())),
        }
    }
}

/// What is wrong with where or how exports go.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// An option or variable is wrong.
    #[error("{by}: {error}")]
    Named {
        /// The option or variable.
        by: String,
        /// What is wrong with it.
        error: Box<Self>,
    },
    /// Not the name of a protocol that loadgen speaks.
    #[error("{0:?} is not an OTLP protocol of loadgen; use http/protobuf or grpc")]
    Protocol(String),
    /// The endpoint is not a URL.
    #[error("the OTLP endpoint {text:?} is not a URL: {source}; write for example http://127.0.0.1:{port}")]
    Endpoint {
        /// The endpoint.
        text: String,
        /// What is wrong with it.
        source: url::ParseError,
        /// The protocol's usual port.
        port: u16,
    },
    /// The endpoint has another scheme than http and https.
    #[error(
        "the OTLP endpoint {text:?} is neither http nor https; write for example http://127.0.0.1:{port}"
    )]
    Scheme {
        /// The endpoint.
        text: String,
        /// The protocol's usual port.
        port: u16,
    },
    /// A client certificate without its key, or the other way round.
    #[error("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY go together; set both")]
    HalfOfAPair,
    /// Not a number of milliseconds.
    #[error("{0:?} is not a number of milliseconds, such as 10000")]
    Timeout(String),
    /// Not a compression of OTLP.
    #[error("{0:?} is not a compression of OTLP; use gzip or none")]
    Compression(String),
    /// Not a list of headers. The message leaves the text out, for headers carry secrets.
    #[error("write key=value, separated by commas, values percent-encoded")]
    Headers,
}

impl SettingsError {
    fn named(self, by: String) -> Self {
        Self::Named { by, error: Box::new(self) }
    }
}

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// The endpoint of both signals.
    pub endpoint: Option<String>,
    /// The endpoint of the traces, where it is another; used as it is.
    pub traces_endpoint: Option<String>,
    /// The protocol.
    pub protocol: Option<Protocol>,
}

/// How the messages of one signal are exported.
#[derive(Clone)]
pub struct Settings {
    pub(super) signal: Signal,
    pub(super) protocol: Protocol,
    pub(super) url: Url,
    pub(super) headers: Vec<(String, String)>,
    pub(super) timeout: Duration,
    pub(super) gzip: bool,
    /// PEM certificates to trust in addition to the system's.
    pub(super) ca: Option<PathBuf>,
    /// PEM certificate chain and key of the client.
    pub(super) client: Option<(PathBuf, PathBuf)>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Settings")
            .field("signal", &self.signal)
            .field("protocol", &self.protocol)
            .field("url", &self.url.as_str())
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Exports to a base endpoint without headers, as the specification's defaults have it.
    ///
    /// # Errors
    /// Where the endpoint is not an http or https URL.
    pub fn new(signal: Signal, protocol: Protocol, endpoint: &str) -> Result<Self, SettingsError> {
        Ok(Self {
            signal,
            protocol,
            url: based(endpoint, signal, protocol, false)?,
            headers: Vec::new(),
            timeout: TIMEOUT,
            gzip: false,
            ca: None,
            client: None,
        })
    }

    /// What the command line and the environment (`variable` gives a variable's value) say together; `None`
    /// where neither names an endpoint. The command line wins, then a variable of the signal's own, then the
    /// one for all signals.
    ///
    /// # Errors
    /// One line that names the option or variable, and what would be right.
    pub fn resolve(
        signal: Signal,
        given: &Given,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, SettingsError> {
        let env = Environment { signal, variable: &variable };
        // Without a place to go to, whatever else is set is meant for others.
        let Some(named) = Named::find(given, &env) else { return Ok(None) };
        let protocol = match (given.protocol, env.of("PROTOCOL")) {
            (Some(protocol), _) => protocol,
            (None, Some((name, text))) => Protocol::parse(&text).map_err(|e| e.named(name))?,
            (None, None) => Protocol::default(),
        };
        let url = named.url(&env, protocol)?;
        let file = |what| env.of(what).map(|(_, path)| PathBuf::from(path));
        let client = match (file("CLIENT_CERTIFICATE"), file("CLIENT_KEY")) {
            (Some(chain), Some(key)) => Some((chain, key)),
            (None, None) => None,
            _ => {
                return Err(SettingsError::HalfOfAPair);
            }
        };
        Ok(Some(Self {
            signal,
            protocol,
            url,
            headers: headers(&env)?,
            timeout: match env.of("TIMEOUT") {
                None => TIMEOUT,
                Some((name, text)) => match text.parse() {
                    Ok(ms) => Duration::from_millis(ms),
                    Err(_) => return Err(SettingsError::Timeout(text).named(name)),
                },
            },
            gzip: match env.of("COMPRESSION") {
                None => false,
                Some((_, text)) if text == "none" => false,
                Some((_, text)) if text == "gzip" => true,
                Some((name, text)) => {
                    return Err(SettingsError::Compression(text).named(name));
                }
            },
            ca: file("CERTIFICATE"),
            client,
        }))
    }
}

/// The specification's variables. An empty one is one that is not set.
struct Environment<'a> {
    signal: Signal,
    variable: &'a dyn Fn(&str) -> Option<String>,
}

impl Environment<'_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|v| !v.is_empty())
    }

    fn own(&self, what: &str) -> Option<(String, String)> {
        let name = format!("OTEL_EXPORTER_OTLP_{}_{what}", self.signal.name().to_uppercase());
        self.get(&name).map(|value| (name, value))
    }

    fn general(&self, what: &str) -> Option<(String, String)> {
        let name = format!("OTEL_EXPORTER_OTLP_{what}");
        self.get(&name).map(|value| (name, value))
    }

    /// The signal's own, else the one for all.
    fn of(&self, what: &str) -> Option<(String, String)> {
        self.own(what).or_else(|| self.general(what))
    }
}

/// Where an endpoint was named, by what, and whether the signal's path follows it.
struct Named {
    by: String,
    text: String,
    is_base: bool,
}

impl Named {
    /// What names the endpoint of the signal. Metrics and traces often go to different places, so the variable of
    /// the traces alone beats the option that names the place of both.
    fn find(given: &Given, env: &Environment<'_>) -> Option<Self> {
        let flag = |by: &str, text: &Option<String>, is_base| {
            text.as_ref().map(|text| Self { by: by.to_owned(), text: text.clone(), is_base })
        };
        let variable =
            |found: Option<(String, String)>, is_base| found.map(|(by, text)| Self { by, text, is_base });
        let (both, own) = (flag("--otlp", &given.endpoint, true), variable(env.own("ENDPOINT"), false));
        let named = match env.signal {
            Signal::Traces => flag("--otlp-traces", &given.traces_endpoint, false).or(own).or(both),
            Signal::Metrics => both.or(own),
        };
        named.or_else(|| variable(env.general("ENDPOINT"), true))
    }

    fn url(&self, env: &Environment<'_>, protocol: Protocol) -> Result<Url, SettingsError> {
        let insecure = env.of("INSECURE").is_some_and(|(_, text)| text.eq_ignore_ascii_case("true"));
        let url = match self.is_base {
            true => based(&self.text, env.signal, protocol, insecure),
            false => parse(&self.text, protocol, insecure),
        };
        url.map_err(|e| e.named(self.by.clone()))
    }
}

/// A base endpoint: over HTTP the signal's path follows it, unless it is there.
fn based(text: &str, signal: Signal, protocol: Protocol, insecure: bool) -> Result<Url, SettingsError> {
    let mut url = parse(text, protocol, insecure)?;
    if protocol == Protocol::HttpProtobuf {
        let base = url.path().trim_end_matches('/');
        // `--otlp` is the place of both signals, also where it is written with the path of one.
        let base = base.trim_end_matches(Signal::Metrics.path()).trim_end_matches(Signal::Traces.path());
        url.set_path(&format!("{base}{}", signal.path()));
    }
    Ok(url)
}

fn parse(text: &str, protocol: Protocol, insecure: bool) -> Result<Url, SettingsError> {
    let port: u16 = if protocol == Protocol::Grpc { 4317 } else { 4318 };
    let whole = match protocol {
        // gRPC endpoints may come without a scheme, whose place another variable takes.
        Protocol::Grpc if !text.contains("://") => {
            format!("{}://{text}", if insecure { "http" } else { "https" })
        }
        _ => text.to_owned(),
    };
    let url = Url::parse(&whole).map_err(|source| SettingsError::Endpoint {
        text: text.to_owned(),
        source,
        port,
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(SettingsError::Scheme { text: text.to_owned(), port });
    }
    Ok(url)
}

/// `key=value,key=value` with percent-encoded values; a signal's own replace those for all, name by name.
fn headers(env: &Environment<'_>) -> Result<Vec<(String, String)>, SettingsError> {
    let mut out: Vec<(String, String)> = Vec::new();
    for (name, text) in [env.general("HEADERS"), env.own("HEADERS")].into_iter().flatten() {
        for pair in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            // The message leaves the text out: headers carry secrets.
            let wrong = || SettingsError::Headers.named(name.clone());
            let (key, value) = pair.split_once('=').ok_or_else(wrong)?;
            let key = key.trim().to_ascii_lowercase();
            let value = percent_decode_str(value.trim()).decode_utf8().map_err(|_| wrong())?.into_owned();
            if http::HeaderName::try_from(&key).is_err() || http::HeaderValue::try_from(&value).is_err() {
                return Err(wrong());
            }
            out.retain(|(known, _)| *known != key);
            out.push((key, value));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests;

//! Which format a scraper gets, by its `Accept` header, and what a response says it holds.
//!
//! Source: RFC 9110, section 12.5.1, and what Prometheus 3 sends (`config/config.go`, `ScrapeProtocol`).
//! Invariant: any header has an answer; what asks for nothing we know gets the text format.

use super::{MetricFamily, protobuf, write_openmetrics, write_text};

/// An exposition format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// The Prometheus text format 0.0.4.
    #[default]
    Text,
    /// OpenMetrics 1.0 text.
    OpenMetrics,
    /// Length-delimited `io.prometheus.client.MetricFamily` messages, the one format with native histograms.
    Protobuf,
}

impl Format {
    /// The value of the `Content-Type` header.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    /// The format that a `Content-Type` header names, or `None` where it names none of ours.
    #[must_use]
    pub fn from_content_type(header: &str) -> Option<Self> {
        match MediaRange::parse(header).format()? {
            Wanted::Exactly(format) => Some(format),
            Wanted::Any => None,
        }
    }

    /// The families in this format: the body of a `/metrics` response.
    #[must_use]
    pub fn encode(self, families: &[MetricFamily]) -> Vec<u8> {
        /// Of a sample with its part of its family's help, as a rule.
        const BYTES: usize = 112;
        let samples: usize = families.iter().map(|family| family.metrics.len()).sum();
        let mut out = String::with_capacity(samples * BYTES);
        match self {
            Self::Text => write_text(&mut out, families),
            Self::OpenMetrics => write_openmetrics(&mut out, families),
            Self::Protobuf => return protobuf::encode(families),
        }
        out.into_bytes()
    }
}

/// The best format for an `Accept` header: the highest quality, and of equals the one named first.
#[must_use]
pub fn negotiate(accept: &str) -> Format {
    let mut best = (Format::Text, 0.0);
    for range in accept.split(',').map(MediaRange::parse) {
        let Some(wanted) = range.format() else { continue };
        if range.quality > best.1 {
            best = (if let Wanted::Exactly(format) = wanted { format } else { Format::Text }, range.quality);
        }
    }
    best.0
}

/// What a media range asks for.
enum Wanted {
    Exactly(Format),
    Any,
}

/// One part of an `Accept` header: `type/subtype;parameter=value;q=0.5`.
struct MediaRange<'a> {
    name: &'a str,
    version: &'a str,
    proto: &'a str,
    encoding: &'a str,
    quality: f64,
}

impl<'a> MediaRange<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let mut range =
            Self { name: parts.next().unwrap_or(""), version: "", proto: "", encoding: "", quality: 1.0 };
        for (key, value) in parts.filter_map(|p| p.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match key.trim().to_ascii_lowercase().as_str() {
                "version" => range.version = value,
                "proto" => range.proto = value,
                "encoding" => range.encoding = value,
                "q" => range.quality = value.parse().unwrap_or(0.0),
                _ => {}
            }
        }
        range
    }

    fn format(&self) -> Option<Wanted> {
        match self.name.to_ascii_lowercase().as_str() {
            "*/*" => Some(Wanted::Any),
            "text/*" => Some(Wanted::Exactly(Format::Text)),
            "text/plain" if matches!(self.version, "" | "0.0.4" | "1.0.0") => {
                Some(Wanted::Exactly(Format::Text))
            }
            "application/openmetrics-text" if matches!(self.version, "" | "0.0.1" | "1.0.0") => {
                Some(Wanted::Exactly(Format::OpenMetrics))
            }
            "application/vnd.google.protobuf"
                if self.proto == "io.prometheus.client.MetricFamily" && self.encoding == "delimited" =>
            {
                Some(Wanted::Exactly(Format::Protobuf))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negotiates_as_scrapers_ask() {
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;\
            q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let native = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
            encoding=delimited;escaping=allow-utf-8;q=0.7,application/openmetrics-text;version=1.0.0;q=0.6,*/*;q=0.2";
        let text = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text;q=0.9,*/*;q=0.1";
        for (accept, want) in [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/html, application/xhtml+xml, */*;q=0.8", Format::Text),
            ("application/json", Format::Text),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("application/openmetrics-text; version=2.0.0, text/plain;q=0.1", Format::Text),
            (
                "text/plain; q=0.3, application/openmetrics-text; version=\"1.0.0\"; q=0.4",
                Format::OpenMetrics,
            ),
            (prometheus_3, Format::OpenMetrics),
            (native, Format::Protobuf),
            (text, Format::Text),
        ] {
            assert_eq!(negotiate(accept), want, "{accept}");
        }
    }

    #[test]
    fn content_types_name_their_format() {
        for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
            assert_eq!(Format::from_content_type(format.content_type()), Some(format));
        }
        assert_eq!(Format::from_content_type("text/html; charset=utf-8"), None);
        assert_eq!(Format::from_content_type("*/*"), None);
    }
}

//! Exposition formats: what a target shows on `/metrics`, and what a scraper reads from it.
//!
//! A [`MetricFamily`] is what all of them say. A target fills families and calls [`Format::encode`] in the
//! format that [`negotiate`] finds; a scraper calls [`read_scrape`] for the series that Prometheus would
//! store. [`parse_line`] and [`parse_series`] read text line by line, for files of any size.
//!
//! Invariant: a family carries the name that its series have (a counter keeps `_total`); the writers add
//! or take off what a format wants otherwise.

mod declared;
mod error;
pub mod family;
mod float;
mod format;
mod line;
mod openmetrics;
pub mod protobuf;
mod scrape;
mod text;
mod text_families;

pub use error::{ParseError, ParseErrors, Position};
pub use family::{
    Bucket, HistogramValue, Metric, MetricFamily, MetricValue, NativeHistogram, Quantile, SummaryValue,
};
pub use float::{format_float, format_openmetrics_float, write_float, write_openmetrics_float};
pub use format::{Format, negotiate};
pub use line::{Dialect, Line, LineError, SampleLine, parse_line, parse_rest, parse_series};
pub use openmetrics::{push_seconds, write_openmetrics};
pub use scrape::{Scrape, ScrapeSample, ScrapeValue, normalized_bound, read_scrape};
pub use text::{push_series_text, write_text};
pub use text_families::parse_families;

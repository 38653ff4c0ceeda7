//! Exposition formats: what a target shows on `/metrics`, and what a scraper reads from it.
//!
//! A [`MetricFamily`] is what all of them say. Invariant: a family carries the name that its series have (a
//! counter keeps `_total`); the writers add or take off what a format wants otherwise.

pub mod family;
mod float;
mod text;

pub use family::{
    Bucket, HistogramValue, Metric, MetricFamily, MetricValue, NativeHistogram, Quantile, SummaryValue,
};
pub use float::{format_float, format_openmetrics_float, write_float};
pub use text::write_text;

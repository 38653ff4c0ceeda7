//! Annotations while a query runs. Invariant: a note names the node it is about by its place in the tree, so
//! that a shared result can be told of at every place that uses it.
//!
//! The texts are those of Prometheus `util/annotations/annotations.go` v3.13.

use std::fmt::Display;

use assay_model::number::format_g;
use hashbrown::{Equivalent, HashMap};

use crate::value::{Annotation, Severity};

/// Where in the trees of a plan a node stands: its number in the order of reading, parentheses not counted.
pub(crate) type Site = usize;

/// A remark.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Note {
    pub(crate) severity: Severity,
    pub(crate) site: Site,
    pub(crate) text: String,
    pub(crate) detail: Option<Detail>,
}

/// What is counted over all occurrences of one remark.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Detail {
    /// Buckets had to be made monotonic.
    Monotonicity {
        first_ms: i64,
        last_ms: i64,
        min_bucket: f64,
        max_bucket: f64,
        max_diff: f64,
        count: usize,
    },
    /// Samples' start times overlap.
    Overlap { count: usize },
}

/// The most remarks of a query. A text that has a value in it is another one for each value, at every step.
const MOST: usize = 1000;

/// A borrowed key of [`Notes::index`].
#[derive(Hash)]
struct Key<'a>(Site, &'a str);

impl Equivalent<(Site, String)> for Key<'_> {
    fn equivalent(&self, key: &(Site, String)) -> bool {
        self.0 == key.0 && self.1 == key.1
    }
}

/// Remarks, each once, the first [`MOST`] of them.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    list: Vec<Note>,
    index: HashMap<(Site, String), usize>,
}

impl Notes {
    /// Adds a remark, or counts it where it is there.
    pub(crate) fn add(&mut self, note: Note) {
        if let Some(last) = self.list.last_mut()
            && last.site == note.site
            && last.text == note.text
        {
            last.absorb(note);
            return;
        }
        match self.index.get(&Key(note.site, &note.text)) {
            Some(&at) => self.list[at].absorb(note),
            None if self.list.len() >= MOST => {}
            None => {
                self.index.insert((note.site, note.text.clone()), self.list.len());
                self.list.push(note);
            }
        }
    }

    /// Adds a warning.
    pub(crate) fn warn(&mut self, site: Site, text: impl Display) {
        self.add(Note {
            severity: Severity::Warning,
            site,
            text: format!("PromQL warning: {text}"),
            detail: None,
        });
    }

    /// Adds an info.
    pub(crate) fn info(&mut self, site: Site, text: impl Display) {
        self.add(Note { severity: Severity::Info, site, text: format!("PromQL info: {text}"), detail: None });
    }

    /// Adds all of `other`.
    pub(crate) fn extend(&mut self, other: impl IntoIterator<Item = Note>) {
        for note in other {
            self.add(note);
        }
    }

    /// All of them.
    pub(crate) fn into_list(self) -> Vec<Note> {
        self.list
    }

    /// Takes all out and leaves none.
    pub(crate) fn take(&mut self) -> Vec<Note> {
        if self.list.is_empty() {
            return Vec::new();
        }
        self.index.clear();
        std::mem::take(&mut self.list)
    }
}

impl Note {
    fn absorb(&mut self, other: Self) {
        match (&mut self.detail, other.detail) {
            (Some(Detail::Overlap { count }), Some(Detail::Overlap { count: more })) => *count += more,
            (
                Some(Detail::Monotonicity { first_ms, last_ms, min_bucket, max_bucket, max_diff, count }),
                Some(Detail::Monotonicity {
                    first_ms: first,
                    last_ms: last,
                    min_bucket: min,
                    max_bucket: max,
                    max_diff: diff,
                    count: more,
                }),
            ) => {
                *first_ms = first.min(*first_ms);
                *last_ms = last.max(*last_ms);
                *min_bucket = min.min(*min_bucket);
                *max_bucket = max.max(*max_bucket);
                *max_diff = diff.max(*max_diff);
                *count += more;
            }
            _ => {}
        }
    }

    /// The remark as results carry it.
    pub(crate) fn into_annotation(self, span: std::ops::Range<usize>) -> Annotation {
        let details = self.detail.as_ref().map(Detail::text).unwrap_or_default();
        Annotation { severity: self.severity, message: self.text, details, span }
    }
}

impl Detail {
    fn text(&self) -> String {
        match self {
            Self::Overlap { count: 1 } => String::new(),
            Self::Overlap { count } => format!(" ({count} occurrences)"),
            Self::Monotonicity { first_ms, last_ms, min_bucket, max_bucket, max_diff, count } => format!(
                ", from buckets {} to {}, with a max diff of {}, over {count} samples from {} to {}",
                format_g(*min_bucket),
                format_g(*max_bucket),
                two_digits(*max_diff),
                super::calendar::rfc3339(first_ms.div_euclid(1000)),
                super::calendar::rfc3339(last_ms.div_euclid(1000)),
            ),
        }
    }
}

/// Go's `%.2g`.
fn two_digits(v: f64) -> String {
    format_g(format!("{v:.1e}").parse().unwrap_or(v))
}

/// The remark that a range has floats and histograms.
pub(crate) fn mixed_types(metric: &str) -> String {
    format!("encountered a mix of histograms and floats for metric name {metric:?}")
}

/// The remark that histograms with exponential and with custom buckets met.
pub(crate) fn mixed_schemas(metric: &str) -> String {
    format!(
        "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {metric:?}"
    )
}

/// The remark that a counter was expected and a gauge found.
pub(crate) fn not_counter(metric: &str) -> String {
    format!("this native histogram metric is not a counter: {metric:?}")
}

/// The remark that a gauge was expected and a counter found.
pub(crate) fn not_gauge(metric: &str) -> String {
    format!("this native histogram metric is not a gauge: {metric:?}")
}

/// The remark that histograms were left out of a range.
pub(crate) fn ignored_in_range(metric: &str) -> String {
    format!("ignored histograms in a range containing both floats and histograms for metric name {metric:?}")
}

/// The remark that histograms were left out of an aggregation.
pub(crate) fn ignored_in_aggregation(op: &str) -> String {
    format!("ignored histogram in {op} aggregation")
}

/// The remark that custom bounds differed.
pub(crate) fn bounds_reconciled(operation: &str) -> String {
    format!("mismatched custom buckets were reconciled during {operation}")
}

/// The remark that reset hints contradict each other.
pub(crate) fn reset_collision(operation: &str) -> String {
    format!("conflicting counter resets during histogram {operation}")
}

/// The remark on a quantile outside of 0 to 1.
pub(crate) fn invalid_quantile(q: f64) -> String {
    format!("quantile value should be between 0 and 1, got {}", format_g(q))
}

/// `text`, with the metric's name where there is one.
pub(crate) fn for_metric(text: &str, metric: &str) -> String {
    if metric.is_empty() { text.to_owned() } else { format!("{text} for metric name {metric:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_remarks_are_kept_and_no_more_than_the_most() {
        let mut notes = Notes::default();
        (0..3 * MOST).for_each(|n| notes.warn(0, invalid_quantile(n as f64)));
        let list = notes.into_list();
        assert_eq!(list.len(), MOST);
        assert!(list[MOST - 1].text.ends_with("got 999"), "{:?}", list[MOST - 1]);
    }
}

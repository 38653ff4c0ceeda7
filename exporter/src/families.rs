//! [`Families`]: the registry of one scrape, in which collectors put their samples in any order.
//!
//! Invariant: one family for one name, with one type, and one sample for one label set. What came first stays; what
//! does not agree with it is left out and reported.

mod memory;
mod template;

use std::{fmt, sync::Arc};

use assay_model::{
    Labels, MetricType,
    expo::{Format, Metric, MetricFamily, MetricValue},
};
use hashbrown::HashMap;

pub(crate) use self::memory::Memory;
use self::template::{Recorder, Replay, Template, is_plain};

/// The metric families of one scrape.
#[derive(Clone, Debug, Default)]
pub struct Families {
    list: Vec<MetricFamily>,
    by_name: HashMap<String, usize>,
    conflicts: Vec<Conflict>,
    track: Track,
}

/// What samples are compared with, or kept for.
#[derive(Clone, Debug, Default)]
enum Track {
    #[default]
    None,
    /// All samples so far came as in the scrape before; nothing is in the list.
    Replay(Replay),
    /// The next scrape is compared with this one.
    Record(Recorder),
}

/// A finished scrape.
#[derive(Debug)]
pub(crate) enum Scraped {
    /// The families, with a template for the next scrape.
    New(Vec<MetricFamily>, Option<Arc<Template>>),
    /// The same series as the scrape before.
    Again(Again),
}

/// The values of a scrape that came as the one before.
#[derive(Debug)]
pub(crate) struct Again(Replay);

impl Scraped {
    pub(crate) fn families(self) -> Vec<MetricFamily> {
        match self {
            Self::New(families, _) => families,
            Self::Again(Again(replay)) => replay.families(),
        }
    }

    pub(crate) fn encode(&self, format: Format) -> Vec<u8> {
        match self {
            Self::New(families, _) => format.encode(families),
            Self::Again(Again(replay)) => replay.encode(format),
        }
    }
}

/// A sample that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The family's name.
    pub name: String,
    /// Why it was left out.
    pub reason: ConflictReason,
    /// What is in the way, for the log.
    pub detail: String,
}

/// Why a sample was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConflictReason {
    /// There is a sample with these labels.
    Duplicate,
    /// The family has another type.
    Type,
    /// The name is one of the series of a histogram or summary.
    Name,
}

impl fmt::Display for ConflictReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Duplicate => "duplicate",
            Self::Type => "type",
            Self::Name => "name",
        })
    }
}

impl Families {
    /// No families.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Families that are compared with those of the scrape before.
    fn after(template: Option<Arc<Template>>) -> Self {
        let track = match template {
            Some(template) => Track::Replay(Replay::new(template)),
            None => Track::Record(Recorder::default()),
        };
        Self { track, ..Self::default() }
    }

    /// Whether they are compared, or kept to be compared with.
    pub(crate) fn is_tracked(&self) -> bool {
        !matches!(self.track, Track::None)
    }

    /// Adds a counter's sample. Names of counters end in `_total` by convention; nothing is appended.
    pub fn counter(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.add(MetricType::Counter, name, help, labels, value);
    }

    /// Adds a gauge's sample.
    pub fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.add(MetricType::Gauge, name, help, labels, value);
    }

    /// Adds a sample of a metric whose kernel source does not say whether it counts or measures.
    pub fn untyped(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.add(MetricType::Unknown, name, help, labels, value);
    }

    /// Adds a sample. Labels with an empty value are left out, which is the same series to Prometheus.
    pub fn add(
        &mut self,
        metric_type: MetricType,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        value: f64,
    ) {
        if self.replays(metric_type, name, help, labels.iter().copied(), value) {
            return;
        }
        let metric = Metric::new(Labels::from_pairs(labels.iter().copied()), MetricValue::Float(value));
        if let Track::Record(recorder) = &mut self.track {
            recorder.note(name, labels.iter().copied(), &metric);
        }
        self.put(metric_type, name, help, metric);
    }

    /// Adds a metric of any kind.
    pub fn push(&mut self, metric_type: MetricType, name: &str, help: &str, metric: Metric) {
        match metric.value {
            MetricValue::Float(value) if is_plain(&metric) => {
                if self.replays(metric_type, name, help, metric.labels.iter(), value) {
                    return;
                }
            }
            _ => self.stop_replay(),
        }
        if let Track::Record(recorder) = &mut self.track {
            recorder.note(name, metric.labels.iter(), &metric);
        }
        self.put(metric_type, name, help, metric);
    }

    /// Whether the sample came as in the scrape before; where it did not, all so far take the slow way.
    fn replays<'a>(
        &mut self,
        metric_type: MetricType,
        name: &str,
        help: &str,
        pairs: impl Iterator<Item = (&'a str, &'a str)>,
        value: f64,
    ) -> bool {
        if let Track::Replay(replay) = &mut self.track {
            if replay.take(metric_type, name, help, pairs, value) {
                return true;
            }
            self.stop_replay();
        }
        false
    }

    fn stop_replay(&mut self) {
        let replay = match std::mem::take(&mut self.track) {
            Track::Replay(replay) => replay,
            other => return self.track = other,
        };
        let mut recorder = Recorder::default();
        replay.each(|metric_type, name, help, pairs, metric| {
            recorder.note_packed(name, pairs, &metric);
            self.put(metric_type, name, help, metric);
        });
        self.track = Track::Record(recorder);
    }

    fn put(&mut self, metric_type: MetricType, name: &str, help: &str, metric: Metric) {
        let at = self.index(metric_type, name, help);
        let family = &mut self.list[at];
        if family.metric_type == metric_type {
            family.metrics.push(metric);
        } else {
            let detail = format!("{} was a {} before", metric_type.as_str(), family.metric_type.as_str());
            self.conflicts.push(Conflict { name: name.to_owned(), reason: ConflictReason::Type, detail });
        }
    }

    /// The family of that name; a new one where there is none.
    fn index(&mut self, metric_type: MetricType, name: &str, help: &str) -> usize {
        // Collectors mostly add to the family that they added to last.
        match self.list.last() {
            Some(last) if last.name == name => self.list.len() - 1,
            _ => match self.by_name.get(name) {
                Some(at) => *at,
                None => {
                    self.list.push(MetricFamily::new(metric_type, name, help));
                    self.by_name.insert(name.to_owned(), self.list.len() - 1);
                    self.list.len() - 1
                }
            },
        }
    }

    /// Everything that `other` holds is added.
    pub fn append(&mut self, other: Self) {
        self.conflicts.extend(other.conflicts);
        let is_tracked = self.is_tracked();
        for family in other.list {
            if is_tracked || self.by_name.contains_key(&family.name) {
                for metric in family.metrics {
                    self.push(family.metric_type, &family.name, &family.help, metric);
                }
            } else {
                self.by_name.insert(family.name.clone(), self.list.len());
                self.list.push(family);
            }
        }
    }

    /// All that was added, what was left out, and what the next scrape is compared with.
    pub(crate) fn scraped(mut self) -> (Scraped, Vec<Conflict>) {
        match std::mem::take(&mut self.track) {
            Track::Replay(replay) if replay.is_complete() && self.conflicts.is_empty() => {
                return (Scraped::Again(Again(replay)), Vec::new());
            }
            other => self.track = other,
        }
        self.stop_replay();
        let track = std::mem::take(&mut self.track);
        let (families, conflicts) = self.finish_with_conflicts();
        let template = match track {
            Track::Record(recorder) if conflicts.is_empty() => recorder.template(&families).map(Arc::new),
            _ => None,
        };
        (Scraped::New(families, template), conflicts)
    }

    /// The families sorted by name, the metrics of each by their labels.
    #[must_use]
    pub fn finish(self) -> Vec<MetricFamily> {
        self.finish_with_conflicts().0
    }

    /// The same, with what was left out.
    #[must_use]
    pub fn finish_with_conflicts(mut self) -> (Vec<MetricFamily>, Vec<Conflict>) {
        let mut conflicts = std::mem::take(&mut self.conflicts);
        self.drop_names_of_parts(&mut conflicts);
        self.list.retain(|family| !family.metrics.is_empty());
        self.list.sort_by(|a, b| a.name.cmp(&b.name));
        for family in &mut self.list {
            if family.metrics.len() == 1 {
                continue;
            }
            // The sort is stable: of two equal ones the first to come stays.
            family.metrics.sort_by(|a, b| a.labels.cmp(&b.labels));
            let name = &family.name;
            family.metrics.dedup_by(|later, first| {
                let is_same = later.labels == first.labels;
                if is_same {
                    let detail = format!("there is one with the labels {}", first.labels);
                    conflicts.push(Conflict {
                        name: name.clone(),
                        reason: ConflictReason::Duplicate,
                        detail,
                    });
                }
                is_same
            });
        }
        (self.list, conflicts)
    }

    /// A histogram `x` has the series `x_count`; a family of that name would show them twice.
    fn drop_names_of_parts(&mut self, conflicts: &mut Vec<Conflict>) {
        let mut drop = Vec::new();
        for (at, family) in self.list.iter().enumerate() {
            let parts: &[&str] = match family.metric_type {
                MetricType::Histogram => &["_bucket", "_count", "_sum"],
                MetricType::Summary => &["_count", "_sum"],
                _ => continue,
            };
            for part in parts {
                if let Some(other) = self.by_name.get(&format!("{}{part}", family.name)) {
                    drop.push((at.max(*other), at.min(*other)));
                }
            }
        }
        for (later, first) in drop {
            let n = self.list[later].metrics.len();
            self.list[later].metrics.clear();
            let detail = format!("its series are those of {} as well", self.list[first].name);
            let conflict =
                Conflict { name: self.list[later].name.clone(), reason: ConflictReason::Name, detail };
            conflicts.extend(std::iter::repeat_n(conflict, n));
        }
    }
}

#[cfg(test)]
mod tests {
    use assay_model::expo::{Dialect, parse_families, write_text};

    use super::*;

    /// What is shown of `text`, a family at a time, and what was left out.
    fn check(texts: &[&str], want: &str, left_out: &[(&str, ConflictReason)]) {
        let mut all = Families::new();
        for text in texts {
            let mut some = Families::new();
            for family in parse_families(text, Dialect::Text).unwrap() {
                for metric in family.metrics {
                    some.push(family.metric_type, &family.name, "", metric);
                }
            }
            all.append(some);
        }
        let (families, conflicts) = all.finish_with_conflicts();
        let mut shown = String::new();
        write_text(&mut shown, &families);
        let lines: Vec<&str> = shown.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines.join("\n"), want);
        let conflicts: Vec<_> = conflicts.iter().map(|c| (c.name.as_str(), c.reason)).collect();
        assert_eq!(conflicts, left_out);
    }

    #[test]
    fn the_first_of_two_stays() {
        use ConflictReason::{Duplicate, Name, Type};
        check(
            &["a{x=\"1\"} 1\n", "a{x=\"1\"} 2\na{x=\"2\"} 3\n"],
            "a{x=\"1\"} 1\na{x=\"2\"} 3",
            &[("a", Duplicate)],
        );
        check(&["# TYPE a gauge\na 1\n", "# TYPE a counter\na{x=\"1\"} 2\n"], "a 1", &[("a", Type)]);
        check(
            &["# TYPE h summary\nh_sum 1\nh_count 2\n", "h_count 7\n"],
            "h_sum 1\nh_count 2",
            &[("h_count", Name)],
        );
        check(&["h_count 7\n", "# TYPE h summary\nh_sum 1\nh_count 2\n"], "h_count 7", &[("h", Name)]);
    }
}

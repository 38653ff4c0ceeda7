//! A scrape's series from the scrape before: most hosts show the same ones in the same order again and again, with other
//! values. [`Replay`] compares and keeps the values alone, and the text around them is copied.
//!
//! Invariant: what is shown is what would be shown without this. A sample that is not the one that came at this place
//! before ends the replay, and all samples take the slow way.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use assay_model::{
    Labels, MetricType,
    expo::{Format, Metric, MetricFamily, MetricValue, write_float, write_openmetrics_float},
};

/// It is in no UTF-8 text, so that it ends names and values.
const END: u8 = 0xff;

/// The series of a scrape in the order in which they came. All are plain numbers, and none was left out.
#[derive(Debug)]
pub(crate) struct Template {
    families: Vec<Family>,
    steps: Vec<Step>,
    /// The steps in the order in which they are shown.
    order: Vec<usize>,
    /// `None` in it where what the encoder writes is not a line for each step.
    text: OnceLock<Option<Rendered>>,
    openmetrics: OnceLock<Option<Rendered>>,
}

#[derive(Debug)]
struct Family {
    metric_type: MetricType,
    name: String,
    help: String,
}

#[derive(Debug)]
struct Step {
    family: usize,
    /// The first of its family brings the help.
    is_first: bool,
    /// The pairs as they were given.
    pairs: Box<[u8]>,
    labels: Labels,
}

/// An exposition without its values.
#[derive(Debug)]
struct Rendered {
    /// What comes before each value, and the newline of the value before.
    before: Vec<String>,
    after: String,
}

/// Samples as they come, to make a template of.
#[derive(Clone, Debug, Default)]
pub(super) struct Recorder {
    samples: Vec<Recorded>,
    /// One was more than a number.
    is_unfit: bool,
}

#[derive(Clone, Debug)]
struct Recorded {
    name: String,
    pairs: Box<[u8]>,
    labels: Labels,
}

/// The values of a scrape so far, all of which came as in the template.
#[derive(Clone, Debug)]
pub(super) struct Replay {
    template: Arc<Template>,
    values: Vec<f64>,
}

fn packed<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Box<[u8]> {
    let mut out = Vec::new();
    for part in pairs.flat_map(<[&str; 2]>::from) {
        out.extend_from_slice(part.as_bytes());
        out.push(END);
    }
    out.into()
}

fn is_packed<'a>(mut rest: &[u8], pairs: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
    for part in pairs.flat_map(<[&str; 2]>::from) {
        match rest.strip_prefix(part.as_bytes()) {
            Some([END, after @ ..]) => rest = after,
            _ => return false,
        }
    }
    rest.is_empty()
}

impl Recorder {
    pub(super) fn note<'a>(
        &mut self,
        name: &str,
        pairs: impl Iterator<Item = (&'a str, &'a str)>,
        metric: &Metric,
    ) {
        if !is_plain(metric) {
            self.is_unfit = true;
            self.samples = Vec::new();
        }
        if !self.is_unfit {
            let (pairs, labels) = (packed(pairs), metric.labels.clone());
            self.samples.push(Recorded { name: name.to_owned(), pairs, labels });
        }
    }

    /// The same for pairs that were noted before.
    pub(super) fn note_packed(&mut self, name: &str, pairs: &[u8], metric: &Metric) {
        self.samples.push(Recorded {
            name: name.to_owned(),
            pairs: pairs.into(),
            labels: metric.labels.clone(),
        });
    }

    /// The template of a scrape that was shown so.
    pub(super) fn template(self, shown: &[MetricFamily]) -> Option<Template> {
        if self.is_unfit {
            return None;
        }
        let places: HashMap<(&str, &Labels), usize> =
            self.samples.iter().enumerate().map(|(at, s)| ((s.name.as_str(), &s.labels), at)).collect();
        let order: Vec<usize> = shown
            .iter()
            .flat_map(|family| family.metrics.iter().map(|metric| (family.name.as_str(), &metric.labels)))
            .map(|series| places.get(&series).copied())
            .collect::<Option<_>>()?;
        if order.len() != self.samples.len() || places.len() != order.len() {
            return None;
        }
        let by_name: HashMap<&str, usize> =
            shown.iter().enumerate().map(|(at, family)| (family.name.as_str(), at)).collect();
        let mut is_known = vec![false; shown.len()];
        let step = |sample: &Recorded| {
            let family = *by_name.get(sample.name.as_str())?;
            let is_first = !std::mem::replace(&mut is_known[family], true);
            Some(Step { family, is_first, pairs: sample.pairs.clone(), labels: sample.labels.clone() })
        };
        let steps = self.samples.iter().map(step).collect::<Option<_>>()?;
        let family = |family: &MetricFamily| Family {
            metric_type: family.metric_type,
            name: family.name.clone(),
            help: family.help.clone(),
        };
        let families = shown.iter().map(family).collect();
        Some(Template { families, steps, order, text: OnceLock::new(), openmetrics: OnceLock::new() })
    }
}

pub(super) fn is_plain(metric: &Metric) -> bool {
    matches!(metric.value, MetricValue::Float(_))
        && metric.t_ms.is_none()
        && metric.start_ms.is_none()
        && metric.exemplars.is_empty()
        && metric.empty_label.is_none()
}

impl Replay {
    pub(super) fn new(template: Arc<Template>) -> Self {
        let values = Vec::with_capacity(template.steps.len());
        Self { template, values }
    }

    /// Takes the value where the series is the next one of the template.
    pub(super) fn take<'a>(
        &mut self,
        metric_type: MetricType,
        name: &str,
        help: &str,
        pairs: impl Iterator<Item = (&'a str, &'a str)>,
        value: f64,
    ) -> bool {
        let Some(step) = self.template.steps.get(self.values.len()) else { return false };
        let family = &self.template.families[step.family];
        let is_next = family.name == name
            && family.metric_type == metric_type
            && (!step.is_first || family.help == help)
            && is_packed(&step.pairs, pairs);
        if is_next {
            self.values.push(value);
        }
        is_next
    }

    pub(super) fn is_complete(&self) -> bool {
        self.values.len() == self.template.steps.len()
    }

    /// What came so far: type, name, help, pairs as they were given, and the metric.
    pub(super) fn each(&self, mut take: impl FnMut(MetricType, &str, &str, &[u8], Metric)) {
        for (step, value) in self.template.steps.iter().zip(&self.values) {
            let family = &self.template.families[step.family];
            let metric = Metric::new(step.labels.clone(), MetricValue::Float(*value));
            take(family.metric_type, &family.name, &family.help, &step.pairs, metric);
        }
    }

    /// The families as they are shown.
    pub(super) fn families(&self) -> Vec<MetricFamily> {
        self.template.families(|step| self.values[step])
    }

    pub(super) fn encode(&self, format: Format) -> Vec<u8> {
        let template = &self.template;
        let (rendered, write): (_, fn(&mut String, f64)) = match format {
            Format::Text => (&template.text, write_float),
            Format::OpenMetrics => (&template.openmetrics, write_openmetrics_float),
            Format::Protobuf => return format.encode(&self.families()),
        };
        let Some(rendered) = rendered.get_or_init(|| template.render(format, write)) else {
            return format.encode(&self.families());
        };
        /// Of a value, as a rule.
        const VALUE_BYTES: usize = 20;
        let bytes: usize = rendered.before.iter().map(|text| text.len() + VALUE_BYTES).sum();
        let mut out = String::with_capacity(bytes + rendered.after.len());
        for (before, step) in rendered.before.iter().zip(&template.order) {
            out.push_str(before);
            write(&mut out, self.values[*step]);
        }
        out.push_str(&rendered.after);
        out.into_bytes()
    }
}

impl Template {
    fn families(&self, value: impl Fn(usize) -> f64) -> Vec<MetricFamily> {
        let empty = |family: &Family| {
            MetricFamily::new(family.metric_type, family.name.as_str(), family.help.as_str())
        };
        let mut families: Vec<MetricFamily> = self.families.iter().map(empty).collect();
        for step in &self.order {
            let Step { family, labels, .. } = &self.steps[*step];
            families[*family].push(Metric::new(labels.clone(), MetricValue::Float(value(*step))));
        }
        families
    }

    /// Written with the numbers of the steps for values, and taken apart at them; `None` where what is written is not a line
    /// for each step, in their order.
    fn render(&self, format: Format, write: fn(&mut String, f64)) -> Option<Rendered> {
        let text = String::from_utf8(format.encode(&self.families(|step| step as f64))).ok()?;
        let (mut before, mut after) = (Vec::with_capacity(self.order.len()), String::new());
        let (mut order, mut end) = (self.order.iter(), String::new());
        for line in text.split_inclusive('\n') {
            if line.starts_with('#') {
                after.push_str(line);
                continue;
            }
            end.clear();
            end.push(' ');
            write(&mut end, *order.next()? as f64);
            end.push('\n');
            after.push_str(line.strip_suffix(end.as_str())?);
            after.push(' ');
            before.push(std::mem::replace(&mut after, "\n".to_owned()));
        }
        order.next().is_none().then_some(Rendered { before, after })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Families, Scraped};
    use super::*;

    const FORMATS: [Format; 3] = [Format::Text, Format::OpenMetrics, Format::Protobuf];

    /// Adds the samples of a made-up scrape but one, which `change` adds or not.
    fn fill(out: &mut Families, seed: f64, change: impl Fn(&mut Families)) {
        for cpu in ["1", "0"] {
            for (mode, v) in [("user", 0.25), ("idle", 1e9), ("odd \"\\\n# NaN", f64::NAN)] {
                out.counter(
                    "z_seconds_total",
                    "Seconds\nby mode.",
                    &[("mode", mode), ("cpu", cpu)],
                    v + seed,
                );
            }
            out.gauge("a_info", "Always 1, # NaN", &[("cpu", cpu), ("empty", ""), ("x", "y NaN")], seed);
        }
        change(out);
        let mut aside = Families::new();
        aside.untyped("m", "", &[], -seed);
        aside.counter("DCGM_COUNT", "Not a total.", &[("\u{fc}", "é")], seed * 1e7);
        out.append(aside);
        out.gauge("last", "NaN", &[], 3.5);
    }

    fn usual(out: &mut Families) {
        out.gauge("changes", "Help.", &[("a", "1"), ("b", "2")], 7.0);
    }

    /// The scrape after one like `usual`: whether it is the same series, and that it is shown as without a template.
    fn check(is_same: bool, change: impl Fn(&mut Families)) {
        let mut first = Families::after(None);
        fill(&mut first, 1.0, usual);
        let Scraped::New(_, Some(template)) = first.scraped().0 else { panic!("no template") };
        let (mut plain, mut second) = (Families::new(), Families::after(Some(template)));
        fill(&mut plain, 2.0, &change);
        fill(&mut second, 2.0, &change);
        let (families, left_out) = plain.finish_with_conflicts();
        let (scraped, conflicts) = second.scraped();
        assert_eq!(conflicts, left_out);
        assert_eq!(matches!(scraped, Scraped::Again(_)), is_same);
        for format in FORMATS {
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            assert_eq!(text(scraped.encode(format)), text(format.encode(&families)), "{format:?}");
        }
        // A NaN equals nothing, so the families are compared as they print.
        assert_eq!(format!("{:?}", scraped.families()), format!("{families:?}"));
    }

    #[test]
    fn a_scrape_of_the_same_series_is_shown_as_without_a_template() {
        check(true, usual);
        check(true, |out| out.gauge("changes", "Help.", &[("a", "1"), ("b", "2")], f64::INFINITY));
    }

    #[test]
    fn whatever_changes_is_shown() {
        check(false, |_| {});
        check(false, |out| {
            usual(out);
            out.gauge("more", "More.", &[], 1.0);
        });
        check(false, |out| out.counter("changes", "Help.", &[("a", "1"), ("b", "2")], 7.0));
        check(false, |out| out.gauge("changes", "Other help.", &[("a", "1"), ("b", "2")], 7.0));
        check(false, |out| out.gauge("changes", "Help.", &[("a", "12"), ("b", "")], 7.0));
        check(false, |out| out.gauge("changes", "Help.", &[("a", "1")], 7.0));
        check(false, |out| out.gauge("changes", "Help.", &[("a", "1"), ("b", "2"), ("c", "3")], 7.0));
        check(false, |out| out.gauge("changed", "Help.", &[("a", "1"), ("b", "2")], 7.0));
        // A second one of the same series is left out and reported.
        check(false, |out| {
            usual(out);
            usual(out);
        });
        check(false, |out| {
            let timed = Metric::new(Labels::empty(), MetricValue::Float(1.0)).at(5);
            out.push(MetricType::Gauge, "changes", "Help.", timed);
        });
    }

    /// A template whose series are in another order than they are shown in would put values behind the wrong ones.
    #[test]
    fn a_template_that_is_not_what_is_written_is_not_used() {
        let mut first = Families::after(None);
        fill(&mut first, 1.0, usual);
        let Scraped::New(_, Some(template)) = first.scraped().0 else { panic!("no template") };
        let mut template = Arc::into_inner(template).unwrap();
        assert!(template.render(Format::Text, write_float).is_some());
        let last = template.order.len() - 1;
        template.order.swap(0, last);
        assert!(template.render(Format::Text, write_float).is_none());
        assert!(template.render(Format::OpenMetrics, write_openmetrics_float).is_none());
        let values: Vec<f64> = (0..=last).map(|step| step as f64).collect();
        let replay = Replay { template: Arc::new(template), values };
        assert_eq!(replay.encode(Format::Text), Format::Text.encode(&replay.families()));
    }

    #[test]
    fn what_is_more_than_numbers_makes_no_template() {
        let mut out = Families::after(None);
        fill(&mut out, 1.0, |out| {
            let timed = Metric::new(Labels::empty(), MetricValue::Float(1.0)).at(5);
            out.push(MetricType::Gauge, "changes", "Help.", timed);
        });
        assert!(matches!(out.scraped().0, Scraped::New(_, None)));
    }
}

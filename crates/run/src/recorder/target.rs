//! What is scraped, and what a scrape puts on record.
//!
//! Source: Prometheus `scrape/{scrape,target}.go` v3.5. Invariant: the series of a target are those that a
//! Prometheus with the same job and instance would store, its five reports and its stale markers among them.

use std::{collections::HashMap, time::Duration};

use assay_model::{
    Histogram, Labels, METRIC_NAME,
    expo::{Scrape, ScrapeSample},
    stale_nan,
};
use assay_prom_api::Auth;
use reqwest::Url;

use super::{RecordError, Row, RowValue};
use crate::nhcb::Classic;

/// Something that is scraped.
#[derive(Clone, Debug)]
pub struct Target {
    /// The label `job`.
    pub job: String,
    /// The label `instance`.
    pub instance: String,
    /// Where the metrics are.
    pub url: Url,
    /// How often.
    pub interval: Duration,
    /// How long one scrape may take.
    pub timeout: Duration,
    /// Labels that every series of the target gets.
    pub labels: Vec<(String, String)>,
    /// How to log in.
    pub auth: Auth,
    /// Whether classic histograms are recorded as native ones with custom buckets, too.
    pub convert_classic_histograms: bool,
}

impl Target {
    /// A target scraped once a second. A URL without a path means `/metrics`; `instance` is its host and port.
    ///
    /// # Errors
    /// Where the URL is none, or not of http or https.
    pub fn new(job: &str, url: &str) -> Result<Self, RecordError> {
        let fail = |what: String| RecordError::Target { url: url.to_owned(), what };
        let mut parsed = Url::parse(url)
            .map_err(|e| fail(format!("{e}; write for example http://127.0.0.1:9100/metrics")))?;
        let host = match (parsed.scheme(), parsed.host_str()) {
            ("http" | "https", Some(host)) => host.to_owned(),
            (scheme, _) => return Err(fail(format!("{scheme}: is not http: or https:"))),
        };
        if parsed.path() == "/" {
            parsed.set_path("/metrics");
        }
        let port = parsed.port_or_known_default().unwrap_or(80);
        let second = Duration::from_secs(1);
        Ok(Self {
            job: job.to_owned(),
            instance: format!("{host}:{port}"),
            url: parsed,
            interval: second,
            timeout: second,
            labels: Vec::new(),
            auth: Auth::None,
            convert_classic_histograms: false,
        })
    }
}

/// What was scraped of a target so far.
#[derive(Debug)]
pub(super) struct History {
    /// The labels that the target's own do not override.
    own: Vec<(String, String)>,
    /// By the labels as exposed.
    series: HashMap<Labels, Known>,
    round: u64,
    convert_classic_histograms: bool,
}

#[derive(Debug)]
struct Known {
    labels: Labels,
    round: u64,
    native: bool,
    /// Series with times of their own get no stale markers, as in Prometheus.
    own_time: bool,
}

impl History {
    pub(super) fn new(target: &Target) -> Self {
        let mut own = target.labels.clone();
        own.push(("job".into(), target.job.clone()));
        own.push(("instance".into(), target.instance.clone()));
        let convert_classic_histograms = target.convert_classic_histograms;
        Self { own, series: HashMap::new(), round: 0, convert_classic_histograms }
    }

    /// The rows of one scrape at `t_ms` that took `seconds`; `None` where it failed.
    pub(super) fn rows(&mut self, t_ms: i64, seconds: f64, scrape: Option<Scrape>) -> Vec<Row> {
        self.round += 1;
        let up = scrape.is_some();
        let (mut scraped, mut added) = (0, 0);
        let mut rows = Vec::new();
        if let Some(scrape) = scrape {
            scraped = scrape.samples.len();
            rows.reserve(scraped + 5);
            let made = if self.convert_classic_histograms { converted(&scrape.samples) } else { Vec::new() };
            for sample in scrape.samples.into_iter().chain(made) {
                self.take(t_ms, sample, &mut rows, &mut added);
            }
        }
        self.mark_gone(t_ms, &mut rows);
        for (name, value) in [
            ("up", f64::from(u8::from(up))),
            ("scrape_duration_seconds", seconds),
            ("scrape_samples_scraped", scraped as f64),
            ("scrape_samples_post_metric_relabeling", scraped as f64),
            ("scrape_series_added", f64::from(added)),
        ] {
            let labels = self.attach(&Labels::from_pairs([(METRIC_NAME, name)]));
            rows.push(Row::float(labels, t_ms, value));
        }
        rows
    }

    fn take(&mut self, t_ms: i64, sample: ScrapeSample, rows: &mut Vec<Row>, added: &mut u32) {
        let native = !matches!(sample.value, RowValue::Float(_));
        let own_time = sample.t_ms.is_some();
        let round = self.round;
        let labels = match self.series.get_mut(&sample.labels) {
            Some(known) => {
                // A series that stands twice in one exposition has one sample for one time: the first.
                if known.round == round && !own_time {
                    return;
                }
                (known.round, known.native, known.own_time) = (round, native, own_time);
                known.labels.clone()
            }
            None => {
                let labels = self.attach(&sample.labels);
                *added += 1;
                let known = Known { labels: labels.clone(), round, native, own_time };
                self.series.insert(sample.labels, known);
                labels
            }
        };
        rows.push(Row {
            labels,
            t_ms: sample.t_ms.unwrap_or(t_ms),
            value: sample.value,
            start_ms: sample.start_ms,
            exemplars: sample.exemplars,
        });
    }

    /// Stale markers for the series that the last scrape had and this one has not.
    fn mark_gone(&mut self, t_ms: i64, rows: &mut Vec<Row>) {
        let round = self.round;
        self.series.retain(|_, known| {
            let gone = known.round != round;
            if gone && !known.own_time {
                let value = if known.native {
                    RowValue::Histogram(Histogram { sum: stale_nan(), ..Histogram::default() })
                } else {
                    RowValue::Float(stale_nan())
                };
                rows.push(Row::new(known.labels.clone(), t_ms, value));
            }
            !gone
        });
    }

    /// The labels as stored: the target's own win, and what they displace is kept as `exported_…`.
    fn attach(&self, exposed: &Labels) -> Labels {
        let mut labels = exposed.to_builder();
        for (name, value) in &self.own {
            let displaced = labels.get(name).to_owned();
            if !displaced.is_empty() {
                let mut kept_as = format!("exported_{name}");
                while !labels.get(&kept_as).is_empty() {
                    kept_as.insert_str(0, "exported_");
                }
                labels.set(&kept_as, &displaced);
            }
            labels.set(name, value);
        }
        labels.build()
    }
}

/// The classic histograms among samples as native ones.
fn converted(samples: &[ScrapeSample]) -> Vec<ScrapeSample> {
    let mut classic = Classic::default();
    for sample in samples {
        classic.take(&sample.labels, &sample.value);
    }
    let native = |(labels, value)| ScrapeSample {
        labels,
        value,
        t_ms: None,
        start_ms: None,
        exemplars: Vec::new(),
        family: None,
        cumulative: true,
    };
    classic.finish().map(native).collect()
}

#[cfg(test)]
mod tests {
    use assay_model::{
        expo::{Format, HistogramValue, Metric, MetricFamily, MetricValue, read_scrape},
        is_stale,
    };

    use super::*;

    fn target() -> Target {
        Target::new("api", "http://127.0.0.1:8000").expect("a target")
    }

    fn shown(rows: &[Row]) -> Vec<String> {
        let one = |row: &Row| {
            let value = match &row.value {
                RowValue::Float(v) if is_stale(*v) => "stale".to_owned(),
                RowValue::Float(v) => v.to_string(),
                RowValue::Histogram(h) if is_stale(h.sum) => "stale histogram".to_owned(),
                RowValue::Histogram(h) => format!("histogram of {}", h.count),
                RowValue::FloatHistogram(h) => format!("histogram of {}", h.count),
            };
            format!("{} {value} @{}", row.labels, row.t_ms)
        };
        rows.iter().map(one).collect()
    }

    fn text(text: &str) -> Option<Scrape> {
        Some(read_scrape(Format::Text, text.as_bytes()).expect("reads"))
    }

    /// The rows without the five reports, which come last.
    fn series(rows: &[Row]) -> Vec<String> {
        shown(&rows[..rows.len() - 5])
    }

    #[test]
    fn a_url_makes_a_target() {
        let t = target();
        assert_eq!(
            (t.url.as_str(), t.instance.as_str()),
            ("http://127.0.0.1:8000/metrics", "127.0.0.1:8000")
        );
        let t = Target::new("x", "https://h/custom?a=b").expect("a target");
        assert_eq!((t.url.as_str(), t.instance.as_str()), ("https://h/custom?a=b", "h:443"));
        for bad in ["127.0.0.1:9100", "ftp://h/", "", "http://"] {
            assert!(Target::new("x", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn series_come_and_go() {
        let mut history = History::new(&target());
        let rows = history.rows(1000, 0.5, text("a 1\nb 2\nb 3\nc 4 77\n"));
        let l = r#"{instance="127.0.0.1:8000", job="api"}"#;
        assert_eq!(
            shown(&rows),
            [
                format!("a{l} 1 @1000"),
                format!("b{l} 2 @1000"),
                format!("c{l} 4 @77"),
                format!("up{l} 1 @1000"),
                format!("scrape_duration_seconds{l} 0.5 @1000"),
                format!("scrape_samples_scraped{l} 4 @1000"),
                format!("scrape_samples_post_metric_relabeling{l} 4 @1000"),
                format!("scrape_series_added{l} 3 @1000"),
            ]
        );
        assert_eq!(
            series(&history.rows(2000, 0.5, text("a 5\n"))),
            [format!("a{l} 5 @2000"), format!("b{l} stale @2000")]
        );
        let failed = history.rows(3000, 1.0, None);
        assert_eq!(series(&failed), [format!("a{l} stale @3000")]);
        assert_eq!(shown(&failed)[1], format!("up{l} 0 @3000"));
        assert_eq!(series(&history.rows(4000, 1.0, None)), [""; 0]);
        assert_eq!(series(&history.rows(5000, 0.5, text("a 6\n"))), [format!("a{l} 6 @5000")]);
    }

    #[test]
    fn a_native_histogram_that_goes_is_marked_as_one() {
        let mut family = MetricFamily::histogram("h", "");
        let native = Histogram { zero_count: 1, count: 1, ..Histogram::default() };
        family.push(Metric::new(Labels::empty(), MetricValue::Histogram(HistogramValue::native(native))));
        let scrape = read_scrape(Format::Protobuf, &Format::Protobuf.encode(&[family])).expect("reads");
        let mut history = History::new(&target());
        let l = r#"{instance="127.0.0.1:8000", job="api"}"#;
        assert_eq!(series(&history.rows(1, 0.0, Some(scrape))), [format!("h{l} histogram of 1 @1")]);
        assert_eq!(series(&history.rows(2, 0.0, text(""))), [format!("h{l} stale histogram @2")]);
    }

    #[test]
    fn classic_histograms_are_recorded_as_native_ones_too_if_asked_for() {
        let body = "h_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_sum 4\nh_count 3\n";
        let mut t = target();
        let count = |rows: &[Row]| series(rows).iter().filter(|s| s.contains("histogram of 3")).count();
        assert_eq!(count(&History::new(&t).rows(1, 0.0, text(body))), 0);
        t.convert_classic_histograms = true;
        let rows = History::new(&t).rows(1, 0.0, text(body));
        assert_eq!((count(&rows), series(&rows).len()), (1, 5));
    }

    #[test]
    fn labels_that_clash_are_kept_as_exported() {
        let mut t = target();
        t.labels = vec![("zone".into(), "z".into())];
        let rows = History::new(&t).rows(1, 0.0, text("a{job=\"x\",exported_job=\"y\",zone=\"q\"} 1\n"));
        assert_eq!(
            series(&rows),
            [
                r#"a{exported_exported_job="x", exported_job="y", exported_zone="q", instance="127.0.0.1:8000", job="api", zone="z"} 1 @1"#
            ]
        );
    }
}

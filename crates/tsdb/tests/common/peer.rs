//! A real Prometheus for the tests: it is started on a directory, written to and read from over HTTP.

use std::{collections::BTreeMap, path::Path, process::Command};

use assay_model::{Column, FloatHistogram, Histogram, Labels};
pub use assay_testkit::peer;
use assay_testkit::{Prometheus, http};

use super::{
    Data,
    proto::{self, Field, Message, fields},
    values,
};

/// Runs promtool and returns what it printed.
pub fn promtool(args: &[&str]) -> String {
    let program = peer("promtool").expect("the caller asked for peers");
    let output = Command::new(program).args(args).output().expect("promtool runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "promtool {args:?}: {out}{err}");
    assert!(!err.contains("level=ERROR"), "promtool {args:?}: {err}");
    out.into_owned()
}

/// A sample that is sent.
#[derive(Clone)]
pub enum Sent {
    Float(f64),
    Histogram(Histogram),
    FloatHistogram(FloatHistogram),
}

/// A running Prometheus that is written to and read from.
pub struct Server(Prometheus);

impl std::ops::Deref for Server {
    type Target = Prometheus;

    fn deref(&self) -> &Prometheus {
        &self.0
    }
}

impl Server {
    /// Starts Prometheus on a data directory; `None` without peers.
    pub fn start(data: &Path, config: &str, flags: &[&str]) -> Option<Self> {
        Prometheus::start(data, config, flags).map(Self)
    }

    /// Asks until the answer is yes.
    pub fn wait(&self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        self.0.wait(what, |_| condition(self));
    }

    /// The status and the body of the answer to a GET.
    pub fn get(&self, path: &str) -> (u16, String) {
        let answer = self.0.get(path).unwrap_or_else(|e| panic!("{path}: {e}\n{}", self.log()));
        (answer.status, answer.text())
    }

    pub fn post(&self, path: &str) {
        let answer = http::post_form(self.address(), path, "").expect("answers");
        assert!(answer.status < 300, "{path}: {} {}", answer.status, answer.text());
    }

    /// Sends a protobuf message, compressed.
    fn send(&self, path: &str, message: &Message) -> http::Response {
        let headers = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n";
        let body = snap::raw::Encoder::new().compress_vec(&message.0).expect("compresses");
        http::request(self.address(), "POST", path, headers, &body).expect("answers")
    }

    pub fn stop(self) {
        self.0.stop();
    }

    /// Sends samples by remote write.
    pub fn push(&self, samples: &[(Labels, i64, Sent)]) {
        let mut by_series: BTreeMap<&Labels, Message> = BTreeMap::new();
        for (labels, t, value) in samples {
            let m = by_series.remove(labels).unwrap_or_else(|| Message::default().labels(1, labels));
            let m = match value {
                Sent::Float(v) => m.bytes(2, &Message::default().double(1, *v).int(2, *t as u64).0),
                Sent::Histogram(h) => m.bytes(4, &proto::put_histogram(*t, h).0),
                Sent::FloatHistogram(h) => m.bytes(4, &proto::put_float_histogram(*t, h).0),
            };
            by_series.insert(labels, m);
        }
        let request = by_series.values().fold(Message::default(), |request, m| request.bytes(1, &m.0));
        let answer = self.send("/api/v1/write", &request);
        assert!(answer.status < 300, "{} {}", answer.status, answer.text());
    }

    /// Every sample of every series, stale markers too, by remote read.
    pub fn read_all(&self) -> Data {
        let matcher = Message::default().int(1, 2).bytes(2, b"__name__").bytes(3, b".+");
        let query = Message::default().int(1, 0).int(2, (1u64 << 53) - 1).bytes(3, &matcher.0);
        let answer = self.send("/api/v1/read", &Message::default().bytes(1, &query.0));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = snap::raw::Decoder::new().decompress_vec(&answer.body).expect("decompresses");
        let mut data = Data::new();
        for (_, result) in fields(&answer) {
            let Field::Bytes(result) = result else { continue };
            for (_, series) in fields(result) {
                let Field::Bytes(series) = series else { continue };
                let (labels, column) = time_series(series);
                data.insert(labels.to_string(), values(&column));
            }
        }
        data
    }
}

fn time_series(data: &[u8]) -> (Labels, Column) {
    let (mut pairs, mut column) = (Vec::new(), Column::default());
    for (n, field) in fields(data) {
        let Field::Bytes(b) = field else { continue };
        match n {
            1 => {
                let text: Vec<_> = fields(b)
                    .into_iter()
                    .filter_map(|(_, f)| match f {
                        Field::Bytes(b) => Some(String::from_utf8_lossy(b).into_owned()),
                        _ => None,
                    })
                    .collect();
                pairs.push((text[0].clone(), text[1].clone()));
            }
            2 => {
                let (mut t, mut v) = (0, 0.0);
                for (n, field) in fields(b) {
                    match (n, field) {
                        (1, Field::Fixed(bits)) => v = f64::from_bits(bits),
                        (2, Field::Varint(ms)) => t = ms as i64,
                        _ => {}
                    }
                }
                column.times.push(t);
                column.values.push(v);
            }
            4 => {
                let (t, h) = proto::histogram(b);
                column.histogram_times.push(t);
                column.histograms.push(h.into());
            }
            _ => {}
        }
    }
    (Labels::from_pairs(pairs), column)
}

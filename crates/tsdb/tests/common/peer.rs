//! A real Prometheus for the tests: it is started on a directory, written to and read from over HTTP.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use assay_model::{Column, FloatHistogram, Histogram, Labels};

use super::{
    Data,
    proto::{self, Field, Message, fields},
    values,
};

/// The path of a peer's binary, or `None` where the peers are left out; in CI they may not be.
pub fn peer(name: &str) -> Option<PathBuf> {
    match std::env::var_os("ASSAY_PEERS") {
        Some(dir) => Some(Path::new(&dir).join(name)),
        None if std::env::var_os("CI").is_some() => panic!("ASSAY_PEERS is not set"),
        None => {
            eprintln!("left out: ASSAY_PEERS is not set");
            None
        }
    }
}

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

/// A running Prometheus; it is killed when dropped.
pub struct Server {
    child: Child,
    address: String,
    pub log: std::sync::Arc<std::sync::Mutex<String>>,
}

impl Server {
    /// Starts Prometheus on a data directory and waits until it is ready; `None` without peers.
    pub fn start(data: &Path, config: &str, flags: &[&str]) -> Option<Self> {
        let program = peer("prometheus")?;
        let file = data.parent().expect("has a parent").join("prometheus.yml");
        std::fs::write(&file, config).expect("writes");
        let mut child = Command::new(program)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .args(["--web.listen-address=127.0.0.1:0", "--storage.tsdb.retention.time=100y"])
            .args(["--web.enable-remote-write-receiver", "--web.enable-admin-api", "--web.enable-lifecycle"])
            .arg("--enable-feature=native-histograms")
            .args(flags)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("prometheus starts");
        let mut lines = BufReader::new(child.stderr.take().expect("is piped")).lines();
        let log = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
        let mut address = None;
        while let Some(Ok(line)) = lines.next() {
            log.lock().expect("no panic").push_str(&format!("{line}\n"));
            if let Some((_, rest)) = line.split_once("msg=\"Listening on\"") {
                address = rest.split_once("address=").map(|(_, a)| a.trim().to_owned());
                break;
            }
        }
        let sink = std::sync::Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                sink.lock().expect("no panic").push_str(&format!("{line}\n"));
            }
        });
        let Some(address) = address else {
            panic!("prometheus did not start:\n{}", log.lock().expect("no panic"))
        };
        let server = Self { child, address, log };
        server.wait("is ready", |s| s.get("/-/ready").0 == 200);
        Some(server)
    }

    /// Asks until the answer is yes.
    pub fn wait(&self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(start.elapsed() < Duration::from_secs(60), "not: {what}\n{}", self.logged());
            std::thread::yield_now();
            // A short wait between questions, not a guess at how long the answer takes.
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    pub fn logged(&self) -> String {
        self.log.lock().expect("no panic").clone()
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    fn request(&self, head: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let connected = TcpStream::connect(&self.address);
        let mut stream = connected.unwrap_or_else(|e| panic!("{head}: {e}\n{}", self.logged()));
        // HTTP/1.0, so that the answer ends with the connection.
        let text = format!("{head} HTTP/1.0\r\nHost: {}\r\nContent-Length: {}\r\n", self.address, body.len());
        stream.write_all(text.as_bytes()).expect("writes");
        stream
            .write_all(b"Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\r\n")
            .expect("writes");
        stream.write_all(body).expect("writes");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("reads");
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("has a head");
        let status =
            std::str::from_utf8(&answer[9..12]).ok().and_then(|s| s.parse().ok()).expect("has a status");
        (status, answer.split_off(end + 4))
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        let (status, body) = self.request(&format!("GET {path}"), &[]);
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    pub fn post(&self, path: &str) {
        let (status, body) = self.request(&format!("POST {path}"), &[]);
        assert!(status < 300, "{path}: {status} {}", String::from_utf8_lossy(&body));
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
        let body = snap::raw::Encoder::new().compress_vec(&request.0).expect("compresses");
        let (status, answer) = self.request("POST /api/v1/write", &body);
        assert!(status < 300, "{status} {}", String::from_utf8_lossy(&answer));
    }

    /// Every sample of every series, stale markers too, by remote read.
    pub fn read_all(&self) -> Data {
        let matcher = Message::default().int(1, 2).bytes(2, b"__name__").bytes(3, b".+");
        let query = Message::default().int(1, 0).int(2, (1u64 << 53) - 1).bytes(3, &matcher.0);
        let body = Message::default().bytes(1, &query.0);
        let body = snap::raw::Encoder::new().compress_vec(&body.0).expect("compresses");
        let (status, answer) = self.request("POST /api/v1/read", &body);
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
        let answer = snap::raw::Decoder::new().decompress_vec(&answer).expect("decompresses");
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

    /// Ends the server as an operator would, and waits for it.
    pub fn stop(mut self) {
        let kill = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill runs");
        assert!(kill.success());
        assert!(self.child.wait().expect("ends").success(), "{}", self.logged());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
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

//! The numbers of a report, asked of a real Prometheus over a copy of the run.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use ruleseval::{
    eval::{EvalOptions, ServerOptions, eval, eval_server},
    source::RemoteOptions,
};

use crate::recording::{Recording, Trouble, rules, sla};

/// A peer's program, or `None` where there are no peers; on CI that is a failure.
pub(crate) fn peer(name: &str) -> Option<PathBuf> {
    match std::env::var_os("ASSAY_PEERS") {
        Some(dir) => Some(Path::new(&dir).join(name)),
        None => {
            assert!(std::env::var_os("CI").is_none(), "ASSAY_PEERS is not set");
            eprintln!("left out: ASSAY_PEERS is not set");
            None
        }
    }
}

/// A Prometheus that ends with the test.
pub(crate) struct Prometheus {
    child: Child,
    pub(crate) address: String,
}

impl Prometheus {
    /// Starts one on a data directory, at a port of its own choice.
    pub(crate) fn start(program: &Path, data: &Path, folder: &Path) -> Self {
        let config = folder.join("prometheus.yml");
        std::fs::write(&config, "global: {scrape_interval: 1h}\n").expect("writes");
        let mut child = Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .args(["--storage.tsdb.retention.time=100y", "--web.listen-address=127.0.0.1:0"])
            .args(["--enable-feature=native-histograms", "--log.format=json"])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("starts");
        let mut log = BufReader::new(child.stderr.take().expect("is piped"));
        let (mut address, mut line) = (String::new(), String::new());
        loop {
            line.clear();
            assert!(log.read_line(&mut line).expect("logs") > 0, "ended before it was ready");
            if line.contains("Listening on") {
                let at = line.find("127.0.0.1:").expect("has an address");
                address =
                    line[at..].chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
            }
            if line.contains("Server is ready") {
                break;
            }
        }
        // Nobody reads the rest; a full pipe would stop the server.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, address }
    }

    fn query(&self, expression: &str, t_ms: i64) -> serde_json::Value {
        let form: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("query", expression)
            .append_pair("time", &format!("{}.{:03}", t_ms / 1000, t_ms % 1000))
            .finish();
        let mut stream = TcpStream::connect(&self.address).expect("connects");
        write!(stream, "GET /api/v1/query?{form} HTTP/1.0\r\nHost: localhost\r\n\r\n").expect("asks");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("answers");
        let body = text.split_once("\r\n\r\n").expect("has a body").1;
        serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {text}"))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("makes");
    for entry in std::fs::read_dir(from).expect("lists") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("has a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copies");
        }
    }
}

/// Prometheus before 3.6 extrapolates a native histogram beyond its zero point. That scales each series by a
/// factor of its own: without failures there is one series, and ratios and quantiles are the same to the last
/// bits; with failures there are two, and they differ a little.
const SCALED: f64 = 5e-3;
const EXACT: f64 = 1e-12;

fn check(trouble: Trouble, tolerance: f64) {
    let Some(program) = peer("prometheus") else { return };
    let recording = Recording::new(trouble);
    let mut options = EvalOptions::new(recording.path());
    options.rules = vec![rules()];
    options.slas = vec![sla()];
    let verdict = eval(&options).expect("evaluates").verdict;
    let data = recording.beside("copy");
    copy(&recording.path().join("data"), &data);
    let server = Prometheus::start(&program, &data, data.parent().expect("has one"));
    let mut compared = 0;
    for row in verdict.objectives.iter().filter(|r| r.at_ms > 0) {
        let answer = server.query(&row.measure, row.at_ms);
        let found: Vec<f64> = answer["data"]["result"]
            .as_array()
            .unwrap_or_else(|| panic!("{}: {answer}", row.measure))
            .iter()
            .filter(|s| row.labels.iter().all(|(n, v)| s["metric"][n] == **v))
            .map(|s| s["value"][1].as_str().expect("is text").parse().expect("is a number"))
            .collect();
        match row.value {
            Some(value) => {
                assert_eq!(found.len(), 1, "{}: {answer}", row.title());
                let near = (found[0] - value).abs() <= tolerance * value.abs().max(found[0].abs());
                assert!(near, "{}: {} here, {} there: {}", row.title(), value, found[0], row.measure);
                compared += 1;
            }
            None => assert!(found.is_empty(), "{}: {answer}", row.title()),
        }
    }
    assert!(compared >= 11, "only {compared} numbers were compared");
}

#[test]
fn prometheus_answers_the_same_numbers() {
    check(Trouble::default(), EXACT);
}

#[test]
fn prometheus_answers_the_same_numbers_over_failures() {
    check(Trouble { errors: true, ..Trouble::default() }, SCALED);
}

#[test]
fn prometheus_answers_the_same_numbers_over_a_killed_run() {
    check(Trouble { killed_after_s: Some(60), ..Trouble::default() }, EXACT);
}

#[test]
fn judging_on_a_server_gives_the_same_rows() {
    let Some(program) = peer("prometheus") else { return };
    let recording = Recording::new(Trouble::default());
    // Without a manifest both judge the whole time, and so the series of all phases, as one window.
    let data = recording.beside("copy");
    copy(&recording.path().join("data"), &data);
    let mut options = EvalOptions::new(&data);
    options.slas = vec![sla()];
    let here = eval(&options).expect("evaluates").verdict;
    let server = Prometheus::start(&program, &data, data.parent().expect("has one"));
    let there = eval_server(&ServerOptions {
        server: RemoteOptions::new(format!("http://{}", server.address)),
        start_ms: here.run.start_ms,
        end_ms: here.run.end_ms,
        slas: vec![sla()],
        interval_ms: 5_000,
        charts: true,
        command: String::new(),
    })
    .expect("evaluates");
    assert_eq!(here.objectives.len(), there.verdict.objectives.len());
    for (a, b) in here.objectives.iter().zip(&there.verdict.objectives) {
        assert_eq!((&a.name, a.status, &a.labels, &a.reason), (&b.name, b.status, &b.labels, &b.reason));
        let near = a.value.zip(b.value).is_none_or(|(x, y)| (x - y).abs() <= SCALED * x.abs());
        assert!(near && a.value.is_some() == b.value.is_some(), "{}: {:?} {:?}", a.name, a.value, b.value);
    }
    assert!(there.charts.plots.iter().any(|c| c.id == "latency"));
    let away = eval_server(&ServerOptions {
        server: RemoteOptions { attempts: 1, ..RemoteOptions::new("http://127.0.0.1:1") },
        start_ms: 0,
        end_ms: 1_000,
        slas: vec![sla()],
        interval_ms: 5_000,
        charts: false,
        command: String::new(),
    });
    assert!(away.expect_err("nobody is there").to_string().starts_with("http://127.0.0.1:1: "));
}

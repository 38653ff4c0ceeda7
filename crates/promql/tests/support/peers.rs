//! What the tests need from outside: the shared cases, and a real Prometheus asked over HTTP.
//!
//! Invariant: where something is missing the caller is told, and in CI that is a failure, never a silent pass.
#![allow(dead_code)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// The directory that an environment variable names, or `None` after saying so; a panic in CI.
pub(crate) fn directory(variable: &str) -> Option<PathBuf> {
    if let Some(value) = std::env::var_os(variable) {
        return Some(value.into());
    }
    assert!(std::env::var_os("CI").is_none(), "{variable} is not set, and CI must not leave this test out");
    eprintln!("left out: {variable} is not set");
    None
}

/// Every `.test` file of the conformance cases, sorted.
pub(crate) fn test_files(data: &Path) -> Vec<PathBuf> {
    let dir = data.join("promqltest");
    let entries = std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut files: Vec<_> = entries.map(|e| e.expect("a directory entry").path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "test"));
    files.sort();
    files
}

/// The expressions of all `eval` lines, each once.
pub(crate) fn expressions(data: &Path) -> Vec<String> {
    let mut found = std::collections::BTreeSet::new();
    for file in test_files(data) {
        let text = std::fs::read_to_string(&file).expect("a readable case file");
        found.extend(text.lines().filter_map(|l| expression(l.trim())).map(str::to_owned));
    }
    found.into_iter().collect()
}

fn expression(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("eval")?;
    let rest = rest.split_once(char::is_whitespace)?.1.trim_start();
    let skip = |text: &'static str| move |r: &str| r.starts_with(text);
    let words = match rest {
        r if skip("instant")(r) => 3,
        r if skip("range")(r) => 7,
        _ => return None,
    };
    let mut rest = rest;
    for _ in 0..words {
        rest = rest.split_once(char::is_whitespace)?.1.trim_start();
    }
    Some(rest)
}

/// A Prometheus of our own on a free port, stopped when dropped.
pub(crate) struct Prometheus {
    child: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Prometheus {
    /// Starts the server over a data directory, or an empty one, with the language's feature flags on.
    pub(crate) fn start(peers: &Path, data: Option<&Path>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let config = dir.path().join("prometheus.yml");
        std::fs::write(&config, "global: {scrape_interval: 1h}\n").expect("a configuration");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let storage = data.map_or_else(|| dir.path().join("data"), Path::to_path_buf);
        let mut child = Command::new(peers.join("prometheus"))
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", storage.display()))
            .arg("--storage.tsdb.retention.time=100y")
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--query.lookback-delta=5m")
            .arg("--enable-feature=promql-experimental-functions,promql-duration-expr")
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("prometheus starts");
        // The server says when it is ready; everything after that is read so that it never blocks.
        let mut log = BufReader::new(child.stderr.take().expect("a log"));
        let (mut line, mut all) = (String::new(), String::new());
        loop {
            line.clear();
            let read = log.read_line(&mut line).expect("a readable log");
            all += &line;
            assert!(read > 0, "prometheus ended:\n{all}");
            if line.contains("Server is ready to receive web requests") {
                break;
            }
        }
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, port, _dir: dir }
    }

    /// The status and body of a POST with form values.
    pub(crate) fn post(&self, path: &str, form: &[(&str, &str)]) -> (u16, String) {
        let body: Vec<_> = form.iter().map(|(k, v)| format!("{k}={}", percent(v))).collect();
        let body = body.join("&");
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        let head = format!(
            "POST {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(body.as_bytes()))
            .expect("a request");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("a reply");
        let (head, body) = reply.split_once("\r\n\r\n").expect("a header and a body");
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
        (status, body.to_owned())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn percent(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect()
}

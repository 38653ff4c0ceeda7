//! Clients of Prometheus' API, unchanged: the requests that Grafana's data source sends, answered as a real Prometheus
//! answers them, and Alertmanager, which takes the alerts that a run would have fired.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    peers::{Prometheus, copy, peer},
    recording::{Recording, T0_MS, Trouble},
    serve::Server,
};

/// Sends one request and gives the status and the JSON of the answer.
fn ask(address: &str, method: &str, path: &str, kind: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).expect("connects");
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .expect("asks");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("answers");
    let (head, body) = text.split_once("\r\n\r\n").expect("has a body");
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("has a status");
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

const FORM: &str = "application/x-www-form-urlencoded";

/// What Grafana sends: when a data source is saved, when the query builder fills its lists, and for a panel.
fn requests() -> Vec<(&'static str, String, String)> {
    let (start, end) = (T0_MS / 1000, T0_MS / 1000 + 120);
    let span = format!("start={start}&end={end}");
    let get = |path: &str| ("GET", path.to_owned(), String::new());
    let post = |path: &str, body: String| ("POST", path.to_owned(), body);
    vec![
        post("/api/v1/query", "query=1%2B1&time=4".to_owned()),
        post("/api/v1/query", format!("query=sum%20by%20(load_phase)%20(load_users)&time={end}.000")),
        post("/api/v1/query_range", format!("query=load_users&{span}&step=15")),
        post(
            "/api/v1/query_range",
            format!("query=rate(load_iterations_total%5B1m0s%5D)&{span}&step=15&timeout=60s"),
        ),
        post("/api/v1/query_range", format!("query=max(up)%20%3D%3D%200&{span}&step=30")),
        get(&format!("/api/v1/labels?{span}")),
        post("/api/v1/labels", format!("{span}&match%5B%5D=load_users")),
        get(&format!("/api/v1/label/__name__/values?{span}")),
        get(&format!("/api/v1/label/load_phase/values?{span}&match%5B%5D=load_users")),
        get(&format!("/api/v1/series?{span}&match%5B%5D=load_users")),
        post("/api/v1/series", format!("{span}&match%5B%5D=%7B__name__%3D~%22up%7Cload_users%22%7D")),
        post("/api/v1/query_exemplars", format!("query=up&{span}")),
        get("/api/v1/rules?type=alert"),
        get("/api/v1/alerts"),
    ]
}

/// An answer without what a server may order as it likes.
fn settled(mut answer: Value) -> Value {
    let list = match &mut answer["data"] {
        Value::Array(list) => Some(list),
        data => data.get_mut("result").and_then(Value::as_array_mut),
    };
    if let Some(list) = list {
        list.sort_by_key(ToString::to_string);
    }
    answer
}

#[test]
fn grafana_is_answered_as_prometheus_answers_it() {
    let Some(program) = peer("prometheus") else { return };
    let recording = Recording::new(Trouble::default());
    let data = recording.beside("copy");
    copy(&recording.path().join("data"), &data);
    let theirs = Prometheus::start(&program, &data, data.parent().expect("has one"));
    let ours = Server::without_rules(&recording);
    let mut with_data = 0;
    for (method, path, body) in requests() {
        let (status, answer) = ask(&ours.address, method, &path, FORM, &body);
        let (their_status, their_answer) = ask(&theirs.address, method, &path, FORM, &body);
        let (answer, their_answer) = (settled(answer), settled(their_answer));
        assert_eq!((status, &answer), (their_status, &their_answer), "{method} {path} {body}");
        with_data += usize::from(answer["data"].as_array().is_some_and(|l| !l.is_empty()));
        with_data += usize::from(answer["data"]["result"].as_array().is_some_and(|l| !l.is_empty()));
    }
    assert!(with_data >= 9, "only {with_data} answers hold anything");
    let (status, built) = ask(&ours.address, "GET", "/api/v1/status/buildinfo", FORM, "");
    assert!(status == 200 && built["data"]["version"].is_string(), "{built}");
    let (status, failed) = ask(&ours.address, "POST", "/api/v1/query", FORM, "query=sum(");
    assert_eq!((status, &failed["errorType"]), (400, &json!("bad_data")), "{failed}");
}

/// An Alertmanager that tells nobody; it ends with the test.
struct Alertmanager {
    child: Child,
    address: String,
}

impl Alertmanager {
    fn start(program: &Path, folder: &Path) -> Self {
        let config = folder.join("alertmanager.yml");
        std::fs::write(&config, "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n").expect("writes");
        let mut child = command(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.join("alertmanager").display()))
            .args(["--web.listen-address=127.0.0.1:0", "--cluster.listen-address=", "--log.format=json"])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("starts");
        let mut log = BufReader::new(child.stderr.take().expect("is piped"));
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(log.read_line(&mut line).expect("logs") > 0, "ended before it listened");
            if line.contains("Listening on")
                && let Some(at) = line.find("127.0.0.1:")
            {
                break line[at..].chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
            }
        };
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, address }
    }
}

/// Debian's Alertmanager reads its templates below `/usr/share` and ends without them: where they are not installed,
/// it gets a view of the file system in which those beside the program are there.
fn command(program: &Path) -> Command {
    if Path::new("/usr/share/prometheus/alertmanager/default.tmpl").is_file() {
        return Command::new(program);
    }
    let share = program.parent().and_then(Path::parent).expect("lies in usr/bin").join("share");
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--mount", "sh", "-c", "mount --bind \"$0\" /usr/share && exec \"$@\""])
        .arg(share)
        .arg(program);
    command
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn alertmanager_takes_what_a_run_would_have_fired() {
    let Some(program) = peer("prometheus-alertmanager") else { return };
    let recording = Recording::new(Trouble { slow_peak: true, ..Trouble::default() });
    let server = Server::start(&recording);
    let (_, answer) = ask(&server.address, "GET", "/api/v1/alerts", FORM, "");
    // What Prometheus itself posts: labels, annotations and when it began; the end is left to Alertmanager.
    let firing: Vec<Value> = answer["data"]["alerts"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|a| a["state"] == "firing")
        .map(|a| json!({"labels": a["labels"], "annotations": a["annotations"], "startsAt": a["activeAt"]}))
        .collect();
    assert!(!firing.is_empty(), "{answer}");
    let alertmanager = Alertmanager::start(&program, recording.path().parent().expect("has one"));
    let posted = json!(firing).to_string();
    let (status, said) = ask(&alertmanager.address, "POST", "/api/v2/alerts", "application/json", &posted);
    assert_eq!(status, 200, "{said}: {posted}");
    let mut got = Vec::new();
    for _ in 0..100 {
        let (_, held) = ask(&alertmanager.address, "GET", "/api/v2/alerts", FORM, "");
        got = held.as_array().cloned().unwrap_or_default();
        if got.len() == firing.len() {
            break;
        }
        // It takes alerts in on a thread of its own.
        std::thread::sleep(Duration::from_millis(50));
    }
    let labels = |list: &[Value]| {
        let mut all: Vec<String> =
            list.iter().map(|a| a["labels"].to_string() + &a["annotations"].to_string()).collect();
        all.sort();
        all
    };
    assert_eq!(labels(&got), labels(&firing));
}

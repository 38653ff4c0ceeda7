//! Clients of Prometheus' API, unchanged: the requests that Grafana's data source sends, answered as a real Prometheus
//! answers them, and Alertmanager, which takes the alerts that a run would have fired.

use std::path::Path;

use assay_testkit::{Program, http, peer, peers, wait::wait_for_some};
use serde_json::{Value, json};

use crate::{
    peers::prometheus_over,
    recording::{Recording, T0_MS, Trouble, rules},
    serve::serve,
};

/// Sends one request and gives the status and the JSON of the answer.
pub(crate) fn ask(address: &str, method: &str, path: &str, kind: &str, body: &str) -> (u16, Value) {
    let headers = format!("Content-Type: {kind}\r\n");
    let answer = http::request(address, method, path, &headers, body.as_bytes()).expect("answers");
    (answer.status, answer.json())
}

pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

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
pub(crate) fn settled(mut answer: Value) -> Value {
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
    let recording = Recording::new(Trouble::default());
    let Some(theirs) = prometheus_over(&recording) else { return };
    let ours = serve(&recording, &[]);
    let mut with_data = 0;
    for (method, path, body) in requests() {
        let (status, answer) = ask(&ours.address, method, &path, FORM, &body);
        let (their_status, their_answer) = ask(theirs.address(), method, &path, FORM, &body);
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

/// An Alertmanager that notifies nobody.
fn alertmanager(folder: &Path) -> Option<Program> {
    let config = folder.join("alertmanager.yml");
    std::fs::write(&config, "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n").expect("writes");
    let mut command = peers::alertmanager(&peer("prometheus-alertmanager")?);
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", folder.join("alertmanager").display()))
        .args(["--web.listen-address=127.0.0.1:0", "--cluster.listen-address="]);
    Some(Program::listening(&mut command, "listening on"))
}

#[test]
fn alertmanager_takes_what_a_run_would_have_fired() {
    let recording = Recording::new(Trouble { slow_peak: true, ..Trouble::default() });
    let Some(alertmanager) = alertmanager(recording.path().parent().expect("has one")) else { return };
    let server = serve(&recording, &["--rules", &rules()]);
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
    let posted = json!(firing).to_string();
    let (status, said) = ask(&alertmanager.address, "POST", "/api/v2/alerts", "application/json", &posted);
    assert_eq!(status, 200, "{said}: {posted}");
    // It takes alerts in on a thread of its own.
    let got = wait_for_some("the alerts are held", || {
        let (_, held) = ask(&alertmanager.address, "GET", "/api/v2/alerts", FORM, "");
        held.as_array().filter(|held| held.len() == firing.len()).cloned()
    });
    let labels = |list: &[Value]| {
        let mut all: Vec<String> =
            list.iter().map(|a| a["labels"].to_string() + &a["annotations"].to_string()).collect();
        all.sort();
        all
    };
    assert_eq!(labels(&got), labels(&firing));
}

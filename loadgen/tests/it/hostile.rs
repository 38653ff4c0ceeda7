//! Names in a scenario and the words of servers: none of them steers a terminal or a log.

use std::path::Path;

use assay_testkit::hostile::{HOSTILE, assert_clean};

use crate::{
    cli::{loadgen, outcome, write},
    server::{Server, respond},
};

/// A text in YAML.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("JSON").replace('\u{7f}', "\\u007f").replace('\u{85}', "\\u0085")
}

fn scenario() -> String {
    let name = quoted(HOSTILE);
    format!(
        "scenario: {name}\nhealth: /health\nflow:\n  - {{name: {name}, get: /, check: {{status: 200, body: {{$.a: exists}}}}}}\n  - {{think: 20ms}}\n\
         phases:\n  {name}: {{executor: per-vu-iterations, iterations: 60}}\n"
    )
}

/// A server that greets with what steers terminals.
fn server() -> Server {
    Server::start(|seen| match seen.line() {
        "GET /health" => respond(200, "", "ok"),
        "GET /metrics" => {
            respond(200, "content-type: text/plain\r\n", "a\u{1b}[2J\u{202e} {{{\n::error::x\n")
        }
        _ => respond(418, "content-type: application/json\r\n", "{\"error\": \"\\u001b[2J\\n::error::x\"}"),
    })
}

#[test]
fn hostile_names_and_answers_steer_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, server) = (write(dir.path(), &scenario()), server());
    let (url, runs) = (server.url(), dir.path().join("runs").display().to_string());
    let scrape = format!("{url}/metrics?token=s3cret");
    for (view, summary) in [("lines", "text"), ("json", "json")] {
        let mut command = loadgen(&[
            "run",
            &path,
            "--target",
            &url,
            "--record",
            &runs,
            "--scrape",
            &scrape,
            "--view",
            view,
            "--summary",
            summary,
        ]);
        let (code, out, err) = outcome(command.env("RUST_LOG", "debug"));
        assert_eq!(code, 0, "{err}");
        assert!(out.contains("0;title"), "{out}");
        assert!(err.contains("scrape:") && err.contains("recorded: "), "{err}");
        assert_clean(summary, &out);
        assert_clean(view, &err);
        let record = err.lines().find_map(|l| l.strip_prefix("recorded: ")).expect("a record");
        let manifest = std::fs::read_to_string(Path::new(record).join("run.json")).expect("a description");
        assert!(manifest.contains("0;title"), "{manifest}");
        assert_clean("run.json", &manifest);
    }
}

#[test]
fn messages_about_hostile_input_are_clean() {
    let dir = tempfile::tempdir().expect("a directory");
    let bad = format!("{}{}: 1\n", scenario(), quoted(HOSTILE));
    let path = write(dir.path(), &bad);
    let (code, _, err) = outcome(&mut loadgen(&["check", &path]));
    assert_eq!((code, err.lines().count()), (2, 1), "{err}");
    assert_clean("check", &err);
    let path = write(dir.path(), &scenario());
    let (code, out, _) = outcome(&mut loadgen(&["check", &path]));
    assert_eq!(code, 0);
    assert_clean("check", &out);
    let (code, _, err) = outcome(&mut loadgen(&["run", &path, "--target", HOSTILE]));
    assert_eq!(code, 2, "{err}");
    assert_clean("a target", &err);
}

#[test]
fn a_reader_that_has_gone_is_no_error_and_a_full_disk_is_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, server) = (write(dir.path(), crate::cli::SCENARIO), Server::start(|_| crate::server::ok()));
    let (url, runs) = (server.url(), dir.path().join("runs").display().to_string());
    let run = ["run", &path, "--target", &url, "--record", &runs, "--quiet"];
    let import = ["import", "curl", "curl http://h/"];
    for (arguments, says) in
        [(&run[..], "recorded: "), (&["list"], ""), (&["check", &path], ""), (&import, "")]
    {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let out = loadgen(arguments).stdout(writer).output().expect("runs");
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(0) && said.starts_with(says), "{arguments:?}: {said}");
        let Some(full) = assay_testkit::files::full() else { continue };
        let out = loadgen(arguments).stdout(full).output().expect("runs");
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.starts_with(says), "{said}");
        assert!(said.contains("loadgen: standard output: No space left on device"), "{said}");
    }
}

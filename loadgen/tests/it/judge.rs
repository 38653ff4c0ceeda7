//! `--judge`: a run that ends with its verdict, and can be judged again by what it brings along.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Stdio,
};

use assay_testkit::interrupt;
use assay_verdict::{eval::EvalOptions, verdict::Status};

use crate::{
    breakdown::only_run,
    cli::{loadgen, run, write},
    server::{Server, ok, respond},
};

const SCENARIO: &str = "scenario: t\nflow: [{get: /, name: page}]\n\
     phases: {p: {executor: constant-arrival-rate, rate: 20, duration: 3s, pre_allocated_vus: 4}}\n";

const SLA: &str = r#"sla: t
judge: {phases: [p]}
objectives:
  - name: Errors
    category: errors
    unit: percent
    require: |
      100 * (sum(histogram_count(increase(http_client_request_duration_seconds{error_type!=""}[$__range]))) or vector(0))
      / sum(histogram_count(increase(http_client_request_duration_seconds[$__range]))) < 1
"#;

/// Runs the scenario against a server, and gives the exit code, what was printed, and the run.
fn judged(dir: &Path, server: &Server, more: &[&str]) -> (i32, String, PathBuf) {
    let (scenario, sla, runs) = (write(dir, SCENARIO), dir.join("sla.yml"), dir.join("runs"));
    std::fs::write(&sla, SLA).expect("writes");
    let (sla, parent) = (sla.display().to_string(), runs.display().to_string());
    let target = server.url();
    let base = ["run", &scenario, "--target", &target, "--quiet", "--record", &parent, "--sla", &sla];
    let (code, out, err) = run(&[base.as_slice(), more].concat());
    (code, out + &err, only_run(&runs))
}

#[test]
fn a_run_ends_with_its_verdict_and_brings_along_what_judged_it() {
    for (server, code, status) in [
        (Server::start(|_| ok()), 0, Status::Pass),
        (Server::start(|_| respond(500, "", "")), 1, Status::Fail),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let (ended, text, run) = judged(dir.path(), &server, &["--judge"]);
        assert_eq!(ended, code, "{text}");
        assert!(text.contains("Errors") && text.contains("report: "), "{text}");
        let verdict = std::fs::read_to_string(run.join("verdict.json")).expect("is written");
        let verdict: serde_json::Value = serde_json::from_str(&verdict).expect("JSON");
        assert_eq!(verdict["status"], serde_json::json!(status));
        assert!(std::fs::read_to_string(run.join("report.html")).expect("is written").contains("Errors"));
        #[cfg(unix)]
        for name in ["run.json", "verdict.json", "report.html"] {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(run.join(name)).expect("is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name} is its owner's alone");
        }
        let again = assay_verdict::eval::eval(&EvalOptions::new(&run)).expect("is judged by its own files");
        assert_eq!(again.verdict.status, status, "{}", again.verdict.summary);
        assert!(again.verdict.alerts.len() > 40, "the shipped rules were put into the run");
    }
}

#[test]
fn the_page_of_a_run_follows_it_and_becomes_its_report() {
    if interrupt::is_helper() {
        return;
    }
    let (dir, server) = (tempfile::tempdir().expect("a directory"), Server::start(|_| ok()));
    let scenario = write(dir.path(), &SCENARIO.replace("3s", "10m"));
    let (runs, sla) = (dir.path().join("runs"), dir.path().join("sla.yml"));
    std::fs::write(&sla, SLA).expect("writes");
    let (target, parent, sla) = (server.url(), runs.display().to_string(), sla.display().to_string());
    let arguments = ["run", &scenario, "--target", &target, "--quiet", "--record", &parent, "--sla", &sla];
    let mut command = loadgen(&[arguments.as_slice(), &["--judge", "--web", "127.0.0.1:0"]].concat());
    let mut running = interrupt::prepare(&mut command)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut line = String::new();
    BufReader::new(running.stderr.take().expect("is piped")).read_line(&mut line).expect("a line");
    let address = line.trim().strip_prefix("page of the run: http://").expect(&line).to_owned();
    let ask = |path: &str| {
        let mut stream = TcpStream::connect(&address).expect("a listener");
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes()).expect("sent");
        stream
    };
    let mut page = String::new();
    // On a busy machine the first page may take its time.
    assay_testkit::wait_for("a page", || {
        page.clear();
        ask("/").read_to_string(&mut page).expect("an answer");
        page.starts_with("HTTP/1.1 200 OK")
    });
    assert!(page.starts_with("HTTP/1.1 200 OK") && page.contains("new EventSource"), "{page:.300}");
    // What changes comes until the run ends; it is ended here once everything has come.
    let mut is_stopped = false;
    let (mut seen, mut report, mut kind) = (std::collections::BTreeSet::new(), None, String::new());
    for line in BufReader::new(ask("/events")).lines().map(|l| l.expect("is sent")) {
        match line.strip_prefix("data: ").map(serde_json::from_str::<serde_json::Value>) {
            None => line.strip_prefix("event: ").unwrap_or(&kind).to_owned().clone_into(&mut kind),
            Some(data) if kind == "end" => report = Some(data.expect("JSON")),
            Some(data) => {
                for part in data.expect("JSON").as_array().into_iter().flatten() {
                    let text = part[1].as_str().unwrap_or_default();
                    let expected = [("top", "so far"), ("happened", "Throughput"), ("objectives", "Errors")];
                    seen.extend(expected.into_iter().filter(|(n, t)| part[0] == *n && text.contains(t)));
                }
                // A second signal would end the program at once.
                if seen.len() == 3 && !std::mem::replace(&mut is_stopped, true) {
                    interrupt::interrupt(running.id());
                }
            }
        }
    }
    assert_eq!(running.wait().expect("ends").code(), Some(130));
    let written = std::fs::read_to_string(only_run(&runs).join("report.html")).expect("is written");
    let report = report.expect("it ends with the report");
    assert!(report.as_str() == Some(written.as_str()), "the file is what the browser has");
}

#[test]
fn without_judge_the_files_that_were_given_travel_and_nothing_is_judged() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(|_| respond(500, "", ""));
    let (ended, text, run) = judged(dir.path(), &server, &[]);
    assert_eq!(ended, 0, "{text}");
    assert!(
        run.join("sla/sla.yml").is_file()
            && !run.join("rules").exists()
            && !run.join("verdict.json").exists()
    );
}

#[test]
fn classic_histograms_of_a_service_are_judged_as_native_ones_where_that_is_asked_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let asked = std::sync::atomic::AtomicU32::new(0);
    let server = Server::start(move |seen| match seen.line() {
        "GET /metrics" => {
            let n = asked.fetch_add(10, std::sync::atomic::Ordering::Relaxed) + 10;
            let text = format!(
                "# TYPE took_seconds histogram\ntook_seconds_bucket{{le=\"0.5\"}} {n}\ntook_seconds_bucket{{le=\"+Inf\"}} {n}\n\
                 took_seconds_sum {n}\ntook_seconds_count {n}\n"
            );
            respond(200, "content-type: text/plain; version=0.0.4\r\n", text)
        }
        _ => ok(),
    });
    let scrape = format!("app={}/metrics", server.url());
    let convert = ["--scrape", &scrape, "--convert-classic-histograms-to-nhcb"];
    let (_, text, run) = judged(dir.path(), &server, &convert);
    let run = assay_run::Run::open(&run).unwrap_or_else(|e| panic!("{e}: {text}"));
    let has = |name: &str, is_histogram: bool| {
        let own = [assay_model::Matcher::equal("__name__", name)];
        let found = assay_model::Queryable::select(&run.database, &own, i64::MIN, i64::MAX).expect("selects");
        found.iter().any(|series| {
            let mut column = assay_model::Column::default();
            series.read(i64::MIN, i64::MAX, &mut column).expect("reads");
            if is_histogram { !column.histograms.is_empty() } else { !column.values.is_empty() }
        })
    };
    assert!(has("took_seconds", true), "as a native histogram");
    assert!(has("took_seconds_bucket", false), "and as it was");
}

#[test]
fn wrong_files_are_said_before_the_load_starts() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(|_| panic!("nothing may be asked"));
    let (scenario, parent) = (write(dir.path(), SCENARIO), dir.path().join("runs").display().to_string());
    let sla = dir.path().join("sla.yml");
    std::fs::write(&sla, SLA.replace("unit:", "units:")).expect("writes");
    let (sla, target) = (sla.display().to_string(), server.url());
    let check = |more: &[&str], says: &str| {
        let (code, _, err) = run(&[&["run", &scenario, "--target", &target, "--quiet"], more].concat());
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(says), "{err}");
    };
    check(&["--judge", "--record", &parent, "--sla", &sla], "sla.yml:6:5: unknown key \"units\"");
    check(
        &["--judge", "--record", &parent, "--sla", "none/*.yml"],
        "none/*.yml: the pattern matches no file",
    );
    check(&["--sla", &sla.replace("sla.yml", "s.yml")], "");
    check(&["--judge", "--shard", "0/2"], "cannot be used with");
    assert!(!dir.path().join("runs").exists());
}

//! Conditions, repeats, pacing, what is done once around a run, and the one iteration that is looked at.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use loadgen::{RunError, RunOptions, Scenario};

use crate::server::{Server, ok, respond, run, run_with};

fn iterations(flow: &str, n: u32) -> String {
    format!(
        "scenario: t\nflow:\n{flow}\nphases: {{p: {{executor: per-vu-iterations, vus: 1, iterations: {n}}}}}\n"
    )
}

fn lines(server: &Server) -> Vec<String> {
    let seen = server.seen();
    // The health check is not the scenario's.
    seen.iter().map(|s| s.line().to_owned()).filter(|l| l != "GET /").collect()
}

#[test]
fn conditions_choose_what_is_done() {
    let server = Server::start(|_| ok());
    let flow = r#"
  - if: iteration is even
    then: [{get: /even}, {if: "iteration > 2 and missing is not defined", then: [{get: /late}]}]
    else: [{get: /odd}]
  - if: "{{ iteration == 9 }}"
    then: [{get: /never}]
"#;
    let summary = run(&server, &iterations(flow, 4));
    assert_eq!(lines(&server), ["GET /odd", "GET /even", "GET /odd", "GET /even", "GET /late"]);
    assert_eq!((summary.requests, summary.errors), (5, 0));
}

#[test]
fn repeats_count_and_end_on_their_conditions() {
    let polls = AtomicU32::new(0);
    let server = Server::start(move |seen| match seen.line() {
        "GET /job" => {
            let n = polls.fetch_add(1, Ordering::Relaxed);
            respond(200, "", format!(r#"{{"state":"{}"}}"#, if n < 2 { "busy" } else { "done" }))
        }
        _ => ok(),
    });
    let flow = r#"
  - repeat: [{name: part, put: "/part/{{ part }}"}]
    as: part
    times: 3
  - repeat: [{name: poll, get: /job, capture: {state: $.state}}]
    until: state == 'done'
    every: 1ms
  - set: {left: 2}
  - repeat:
      - {name: down, get: "/left/{{ left }}"}
      - set: {left: "{{ left | int - 1 }}"}
    while: left | int > 0
  - repeat: [{name: computed, get: "/computed"}]
    times: "{{ 1 + 1 }}"
"#;
    let summary = run(&server, &iterations(flow, 1));
    let want = [
        "PUT /part/1",
        "PUT /part/2",
        "PUT /part/3",
        "GET /job",
        "GET /job",
        "GET /job",
        "GET /left/2",
        "GET /left/1",
        "GET /computed",
        "GET /computed",
    ];
    assert_eq!(lines(&server), want);
    let checks: Vec<_> =
        summary.checks.iter().map(|c| (c.step.as_str(), c.name.as_str(), c.passed, c.failed)).collect();
    assert_eq!(checks, [("poll", "until state == 'done'", 1, 0), ("down", "while left | int > 0", 1, 0)]);
}

#[test]
fn a_condition_that_is_not_met_in_time_fails_and_is_counted() {
    let server = Server::start(|_| respond(200, "", r#"{"state":"busy"}"#));
    let poll = |how: &str| {
        format!(
            "  - repeat: [{{name: poll, get: /job, capture: {{state: $.state}}}}]\n    until: state == 'done'\n    {how}\n  - get: /after\n"
        )
    };
    let summary = run(&server, &iterations(&poll("times: 3"), 2));
    assert_eq!(lines(&server), vec!["GET /job"; 6], "the iteration ends");
    assert_eq!((summary.checks[0].passed, summary.checks[0].failed), (0, 2));
    assert_eq!(summary.errors, 0, "no request failed");

    // The pause ends after the timeout, so that there is one round.
    let server = Server::start(|_| respond(200, "", r#"{"state":"busy"}"#));
    run(&server, &iterations(&poll("every: 1h\n    timeout: 1s"), 1));
    assert_eq!(lines(&server), ["GET /job"]);

    let server = Server::start(|_| respond(200, "", r#"{"state":"busy"}"#));
    let text = format!("on_failure: continue\n{}", iterations(&poll("times: 2"), 1));
    run(&server, &text);
    assert_eq!(lines(&server), ["GET /job", "GET /job", "GET /after"]);
}

#[test]
fn pacing_holds_the_next_iteration_back() {
    let server = Server::start(|_| ok());
    let scenario = "scenario: t\nflow: [{get: /a}]\nphases: {p: {executor: constant-vus, vus: 1, duration: 1s, pacing: 100s}}\n";
    let summary = run(&server, scenario);
    assert_eq!(summary.requests, 1);
    let text = "scenario: t\nflow: [{get: /a}]\nphases: {p: {executor: per-vu-iterations, iterations: 3, pacing: 40ms}}\n";
    let summary = run(&server, text);
    // The third is due 80 ms into the phase.
    assert!(summary.phases[0].iterations == 3 && summary.phases[0].duration_s >= 0.08, "{summary:#?}");
}

#[test]
fn functions_make_values_that_follow_from_the_seed() {
    let bodies = || {
        let server = Server::start(|_| ok());
        let flow = r#"  - {post: /a, json: {id: "{{ uuid() }}", n: "{{ random(1, 6) }}", c: "{{ choice('x', 'y') }}", t: "{{ random_text(5) }}"}}
"#;
        let summary = run(&server, &iterations(flow, 3));
        assert_eq!(summary.errors, 0);
        server.seen().into_iter().map(|s| s.body).filter(|b| !b.is_empty()).collect::<Vec<_>>()
    };
    let first = bodies();
    assert_eq!(first, bodies(), "the same seed");
    assert!(first[0] != first[1] && first[0].contains("\"id\":\""), "{first:?}");
}

const AROUND: &str = r#"
scenario: t
before_run: [{name: seed, post: /fixtures, capture: {fixture: $.id}}, {set: {mark: "m"}}]
setup: [{name: login, post: /login}]
flow: [{name: read, get: "/fixtures/{{ fixture }}?{{ mark }}"}]
after_run: [{name: clean, delete: "/fixtures/{{ fixture }}"}]
phases: {p: {executor: per-vu-iterations, vus: 2, iterations: 2}}
"#;

#[test]
fn what_is_done_once_is_done_once_and_not_measured() {
    let server = Server::start(|seen| match seen.line() {
        "POST /fixtures" => respond(201, "", r#"{"id":7}"#),
        _ => ok(),
    });
    let summary = run(&server, AROUND);
    let lines = lines(&server);
    let count = |line: &str| lines.iter().filter(|l| *l == line).count();
    assert_eq!(
        (
            count("POST /fixtures"),
            count("POST /login"),
            count("GET /fixtures/7?m"),
            count("DELETE /fixtures/7")
        ),
        (1, 2, 4, 1)
    );
    assert_eq!(lines.first().map(String::as_str), Some("POST /fixtures"));
    assert_eq!(lines.last().map(String::as_str), Some("DELETE /fixtures/7"));
    assert_eq!((summary.requests, summary.errors), (6, 0));
    assert!(summary.warnings.iter().all(|w| !w.contains("after_run")), "{:?}", summary.warnings);
    let names: Vec<_> = summary.phases[0].steps.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["login", "read"]);
}

fn try_run(server: &Server, scenario: &str) -> Result<loadgen::Summary, RunError> {
    let scenario = Scenario::from_text("t.yml", scenario, &[]).unwrap_or_else(|e| panic!("{e}"));
    let mut options = RunOptions::new(Arc::new(scenario));
    options.target = Some(server.url());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime").block_on(loadgen::run(options))
}

#[test]
fn a_failed_beginning_sends_no_load_and_a_failed_end_is_a_warning() {
    let server = Server::start(|_| respond(500, "", ""));
    let error = try_run(&server, AROUND).expect_err("it failed").to_string();
    assert!(error.contains("before_run: seed: 500"), "{error}");
    assert_eq!(lines(&server), ["POST /fixtures"]);

    let server = Server::start(|seen| match seen.line() {
        "POST /fixtures" => respond(201, "", r#"{"id":7}"#),
        "DELETE /fixtures/7" => respond(409, "", ""),
        _ => ok(),
    });
    let summary = try_run(&server, AROUND).expect("it ran");
    assert!(summary.warnings.iter().any(|w| w.contains("after_run: clean: 409")), "{:?}", summary.warnings);
}

/// What is seen of one iteration, and what was wrong.
fn once(server: &Server, scenario: &str) -> (Vec<loadgen::Exchange>, Option<String>) {
    let scenario = Scenario::from_text("t.yml", scenario, &[]).unwrap_or_else(|e| panic!("{e}"));
    let mut options = RunOptions::new(Arc::new(scenario));
    options.target = Some(server.url());
    options.environment = vec![("API_KEY".to_owned(), "sesame-open".to_owned())];
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let failure = runtime.block_on(async {
        let checked = options.check().await.unwrap_or_else(|e| panic!("{e}"));
        checked
            .once(move |e| log.lock().expect("nobody panicked").push(e.clone()))
            .await
            .unwrap_or_else(|e| panic!("{e}"))
    });
    let exchanges = seen.lock().expect("nobody panicked").clone();
    (exchanges, failure)
}

#[test]
fn one_iteration_shows_everything_but_secrets() {
    let server = Server::start(|seen| match seen.line() {
        "POST /login" => respond(
            200,
            "content-type: application/json\r\n",
            r#"{"access_token":"tok-123456","user":"ada"}"#,
        ),
        _ => respond(
            200,
            "content-type: text/event-stream\r\n",
            "data: {\"text\":\"your key is sesame-open\"}\n\ndata: [DONE]\n\n",
        ),
    });
    let scenario = r#"
scenario: t
setup: [{name: login, post: /login, json: {password: "{{ env.API_KEY | default('') }}"}, check: {status: 200, body: {$.user: ada}}, capture: {token: $.access_token, user: $.user}}]
flow: [{name: ask, post: "/ask?key={{ env.API_KEY | default('') }}", headers: {authorization: "Bearer {{ token }}"}, stream: sse}, {think: 1h}]
phases: {p: {executor: constant-vus, vus: 50, duration: 1h}}
"#;
    let (seen, failure) = once(&server, scenario);
    assert_eq!(failure, None);
    assert_eq!(seen.iter().map(|e| e.step.as_str()).collect::<Vec<_>>(), ["login", "ask"]);
    let shown = format!("{seen:#?}");
    for secret in ["sesame-open", "tok-123456"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert_eq!(
        seen[0].checks,
        [
            ("status is 200".to_owned(), true, "200".to_owned()),
            ("$.user is \"ada\"".to_owned(), true, "\"ada\"".to_owned())
        ]
    );
    assert_eq!(seen[0].captures[1], ("user".to_owned(), Some("ada".to_owned())));
    assert_eq!(seen[0].status, Some(200));
    assert_eq!(seen[1].events.len(), 2);
    assert!(seen[1].request.starts_with("POST http://127.0.0.1"), "{}", seen[1].request);
}

#[test]
fn one_iteration_says_which_check_or_capture_failed_and_what_was_found() {
    let server = Server::start(|_| respond(200, "", r#"{"n":4}"#));
    let failure = |step: &str| once(&server, &iterations(step, 1)).1.expect("it failed");
    let check = failure("  - {name: a, get: /a, check: {body: {$.n: 3}}}");
    assert!(check.contains("a: failed check: $.n is 3; found 4"), "{check}");
    let capture = failure("  - {name: a, get: /a, capture: {m: $.m}}");
    assert!(capture.contains("a: nothing to capture as \"m\" at $.m"), "{capture}");
    let until =
        failure("  - repeat: [{name: a, get: /a, capture: {n: $.n}}]\n    until: n == 5\n    times: 2");
    assert!(until.contains("until n == 5"), "{until}");
    // Only a check has found something else.
    let server = Server::start(|_| respond(503, "", r#"{"n":4}"#));
    let status = once(&server, &iterations("  - {name: a, get: /a, check: {status: 200}}", 1)).1;
    assert_eq!(status.as_deref(), Some("a: 503: unexpected status 503"));
}

#[test]
fn the_command_shows_one_iteration_and_the_schedule() {
    use std::process::Command;
    let server = Server::start(|_| respond(200, "", r#"{"n":4}"#));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("s.yml");
    let text = "scenario: t\nflow: [{name: a, get: /a, check: {body: {$.n: 4}}}]\nphases:\n  up: {executor: ramping-vus, vus: 10, ramp: 1/s, duration: 20s}\n  flat: {executor: constant-arrival-rate, rate: 50/s, duration: 1m}\n";
    std::fs::write(&file, text).expect("is written");
    let loadgen = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_loadgen"))
            .arg("run")
            .arg(&file)
            .args(["--target", &server.url()])
            .args(arguments)
            .output()
            .expect("runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("a text")
    };
    let shown = loadgen(&["--once", "--verbose"]);
    assert!(shown.contains("a: GET http://127.0.0.1") && shown.contains("check passed: $.n is 4"), "{shown}");
    assert_eq!(loadgen(&["--once"]).lines().count(), 1);
    let before = server.seen().len();
    let schedule = loadgen(&["--dry-run", "--time-scale", "0.5"]);
    assert_eq!(server.seen().len(), before, "nothing is sent");
    assert!(
        schedule.contains("0s to 10s: up (ramping-vus)") && schedule.contains("10s to 40s: flat"),
        "{schedule}"
    );
    assert!(schedule.contains("5 users at 2s500ms") && schedule.contains("50/s at 25s"), "{schedule}");
}

#[test]
fn a_stop_ends_what_comes_before_the_run_and_its_requests() {
    let (came, comes) = std::sync::mpsc::channel();
    let came = std::sync::Mutex::new(came);
    let server = Server::start(move |seen| match seen.line() {
        "GET /ready" => {
            let _ = came.lock().expect("no panic").send(());
            respond(200, "", "{\"ready\": false}")
        }
        _ => ok(),
    });
    let text = "scenario: t\nbefore_run: [{repeat: [{name: poll, get: /ready, capture: {ready: $.ready}}], until: ready, every: 1ms, timeout: 1h}]\nflow: [{get: /}]\nphases: {p: {executor: per-vu-iterations}}\n";
    let summary = run_with(&server, text, |o| {
        let control = o.control();
        std::thread::spawn(move || {
            let _ = comes.recv();
            control.stop();
            // Kept, so that the server's sending does not fail.
            while comes.recv().is_ok() {}
        });
    });
    assert_eq!(summary.outcome, loadgen::summary::Outcome::Interrupted);
    // The polling has ended with the run: two looks, apart by many of its rounds, see the same.
    let count = || server.seen().len();
    assert_settles(count);
}

/// Waits until a count no longer changes over a thousand rounds of what would change it.
fn assert_settles(count: impl Fn() -> usize) {
    let mut last = count();
    for _ in 0..100 {
        let server = Server::start(|_| ok());
        run(
            &server,
            "scenario: t\nflow: [{get: /}]\nphases: {p: {executor: per-vu-iterations, iterations: 50}}\n",
        );
        let now = count();
        if now == last {
            return;
        }
        last = now;
    }
    panic!("it goes on and on: {last}");
}

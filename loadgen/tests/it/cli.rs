//! The command line: exit codes, and what goes where.

use std::{
    io::Read as _,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use assay_run::{Outcome, Run};
use assay_testkit::interrupt;

use crate::server::{Server, ok, respond};

/// The program, without what the environment would tell it.
pub(crate) fn loadgen(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command.args(arguments).stdin(Stdio::null()).env_remove("RUST_LOG");
    for (name, _) in std::env::vars_os().filter(|(n, _)| n.to_string_lossy().starts_with("OTEL_")) {
        command.env_remove(name);
    }
    command
}

pub(crate) fn run(arguments: &[&str]) -> (i32, String, String) {
    outcome(&mut loadgen(arguments))
}

/// Exit code, stdout and stderr of a program that is run to its end.
pub(crate) fn outcome(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    let text = |b: Vec<u8>| String::from_utf8(b).expect("text");
    (status.code().expect("an exit code"), text(stdout), text(stderr))
}

pub(crate) fn write(dir: &Path, text: &str) -> String {
    let path = dir.join("s.yml");
    std::fs::write(&path, text).expect("written");
    path.display().to_string()
}

pub(crate) const SCENARIO: &str = "scenario: t\nhealth: /health\nflow: [{get: /}, {think: 10ms}]\nphases: {p: {executor: per-vu-iterations, iterations: 3}}\n";

#[test]
fn a_run_prints_its_summary_on_stdout_and_ends_with_0() {
    let dir = tempfile::tempdir().expect("a directory");
    let (scenario, server) = (write(dir.path(), SCENARIO), Server::start(|_| ok()));
    let (code, out, err) =
        run(&["run", &scenario, "--target", &server.url(), "--quiet", "--summary", "json"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let summary: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&summary["requests"], &summary["errors"]), (&3.into(), &0.into()));
    assert!(summary["duration_s"].as_f64().is_some_and(|d| d > 0.0));
    assert!(summary["phases"][0]["steps"][0]["latency"]["p99.9"].as_f64().is_some());
}

#[test]
fn bad_input_ends_with_2_and_a_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let scenario = write(dir.path(), "scenaro: t\nflow: [{get: /}]\nphases: {}\n");
    let (code, out, err) = run(&["check", &scenario]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(
        err.contains("s.yml:1:1: unknown key \"scenaro\" in a scenario; did you mean \"scenario\"?"),
        "{err}"
    );
    assert_eq!(run(&["run", &scenario]).0, 2);
    assert_eq!(run(&["run", "no-such-pack"]).0, 2);
    let scenario = write(dir.path(), SCENARIO);
    let (code, _, err) = run(&["run", &scenario]);
    assert_eq!(code, 2);
    assert!(err.contains("there is no target"), "{err}");
    let (code, _, err) = run(&["run", &scenario, "--target", "http://127.0.0.1:1", "--phase", "q"]);
    assert_eq!((code, err.trim()), (2, "loadgen: there is no phase \"q\"; there are: p"));
    let few = SCENARIO.replace("iterations: 3", "vus: 1000000");
    let (code, _, err) = run(&["run", &write(dir.path(), &few), "--target", "http://127.0.0.1:1"]);
    assert_eq!(code, 2);
    assert!(err.contains("1000000 users need 1000064 file descriptors and the limit is"), "{err}");
}

#[test]
fn an_unhealthy_target_ends_with_4_and_one_line() {
    let dir = tempfile::tempdir().expect("a directory");
    let scenario = write(dir.path(), SCENARIO);
    let (code, _, err) = run(&["run", &scenario, "--target", "http://127.0.0.1:1", "--record", "never-made"]);
    assert_eq!((code, err.lines().count()), (4, 1), "{err}");
    assert!(err.contains("http://127.0.0.1:1 cannot be reached (refused)"), "{err}");
    assert!(!Path::new("never-made").exists());
    let server = Server::start(|_| respond(503, "", "starting"));
    let (code, _, err) = run(&["run", &scenario, "--target", &server.url()]);
    assert_eq!((code, err.lines().count()), (4, 1), "{err}");
    assert!(err.contains("/health returned 503; a healthy target returns a status below 400"), "{err}");
}

/// The ways to ask a program to end.
enum Request {
    CtrlC,
    #[cfg(unix)]
    Signal(rustix::process::Signal),
}

#[test]
fn a_request_to_end_ends_with_130_and_a_whole_record() {
    if interrupt::is_helper() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(|_| ok());
    let scenario = write(
        dir.path(),
        "scenario: t\nflow: [{get: /}, {think: 10ms}]\nphases: {p: {executor: constant-vus, vus: 2, duration: 1h}}\n",
    );
    let runs = dir.path().join("runs").display().to_string();
    for request in [
        Request::CtrlC,
        #[cfg(unix)]
        Request::Signal(rustix::process::Signal::TERM),
        #[cfg(unix)]
        Request::Signal(rustix::process::Signal::HUP),
    ] {
        let before = server.seen().len();
        let arguments = ["run", &scenario, "--target", &server.url(), "--record", &runs];
        let mut command = loadgen(&arguments);
        if cfg!(target_os = "linux") {
            // A program that runs under nohup hands on that SIGHUP is ignored; here it is not.
            command = Command::new("env");
            command.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_loadgen")]).args(arguments);
        }
        let mut child = interrupt::prepare(&mut command)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        wait_for_load(&server, before + 20, Duration::from_secs(20));
        match request {
            Request::CtrlC => interrupt::interrupt(child.id()),
            #[cfg(unix)]
            Request::Signal(signal) => {
                rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal)
                    .expect("sent");
            }
        }
        assert_eq!(child.wait().expect("it ends").code(), Some(130));
        let mut err = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut err).expect("text");
        let path = err.lines().find_map(|l| l.strip_prefix("recorded: ")).expect("a record");
        let run = Run::open(Path::new(path)).unwrap_or_else(|e| panic!("{e}"));
        let manifest = run.manifest.expect("a description");
        assert_eq!((manifest.outcome, run.cut_short), (Some(Outcome::Interrupted), None));
        assert!(manifest.phases[0].end_ms.is_some());
    }
}

#[test]
fn a_place_that_cannot_be_written_ends_with_2_before_any_load() {
    let dir = tempfile::tempdir().expect("a directory");
    let (scenario, server) = (write(dir.path(), SCENARIO), Server::start(|_| ok()));
    let below_a_file = Path::new(&scenario).join("nowhere").display().to_string();
    for option in ["--record", "--hgrm"] {
        let (code, out, err) = run(&["run", &scenario, "--target", &server.url(), option, &below_a_file]);
        assert_eq!((code, out.as_str(), err.lines().count()), (2, "", 1), "{err}");
        assert!(err.contains(&format!("{option} {below_a_file}")), "{err}");
    }
    assert!(server.seen().iter().all(|s| s.line() == "GET /health"));
}

#[test]
fn what_import_makes_is_what_check_takes_and_run_sends() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(|_| ok());
    let out = dir.path().join("made.yml").display().to_string();
    let url = format!("{}/a?b=c", server.url());
    let curl =
        ["import", "curl", "--out", &out, "curl", "-H", "authorization: Bearer s3cret", "-d", "x=1", &url];
    let (code, text, err) = run(&curl);
    assert_eq!((code, text.as_str()), (0, ""), "{err}");
    assert!(err.contains("set the environment variables AUTHORIZATION"), "{err}");
    assert_eq!(run(&curl).0, 2, "a file is not overwritten");
    assert_eq!(run(&["check", &out]).0, 0);
    let (code, _, err) = run(&["run", &out, "--quiet", "--summary", "none", "--time-scale", "0.002"]);
    assert_eq!(code, 0, "{err}");
    let seen = server.seen();
    let sent = seen.iter().find(|s| s.line() == "POST /a?b=c").expect("the request");
    assert_eq!((sent.body.as_str(), sent.header("authorization")), ("x=1", Some("Bearer unset")));

    // One argument is a command for a shell; files come from a path or the standard input.
    let (code, text, _) = run(&["import", "curl", &format!("curl -s '{url}' | jq")]);
    assert_eq!((code, text.as_str()), (2, ""));
    let document = dir.path().join("api.json");
    std::fs::write(&document, "{\"openapi\": \"3.0.0\",\n \"paths\": {\"/x\": {\"get\": {}}}}")
        .expect("written");
    let (code, text, _) = run(&["import", "openapi", &document.display().to_string()]);
    assert_eq!(code, 0);
    assert_eq!(run(&["check", &write(dir.path(), &text)]).0, 0, "{text}");
    let (code, _, err) = run(&["import", "har", &document.display().to_string()]);
    assert_eq!(code, 2);
    assert!(err.contains("api.json:2:") && err.contains("missing field `log`"), "{err}");
}

#[test]
fn packs_are_listed_and_valid() {
    let (code, out, _) = run(&["list"]);
    assert_eq!(code, 0);
    for word in ["clinical-rag", "warmup", "steady", "peak", "stress", "sustained", "demo"] {
        assert!(out.contains(word), "{word}");
    }
    assert_eq!(run(&["check", "clinical-rag"]).0, 0);
}

#[test]
fn a_missed_threshold_ends_with_1_and_is_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let (scenario, server) = (write(dir.path(), SCENARIO), Server::start(|_| ok()));
    let url = server.url();
    let with = |thresholds: &[&str]| {
        let mut arguments = vec!["run", &scenario, "--target", &url, "--quiet"];
        thresholds.iter().for_each(|t| arguments.extend(["--threshold", *t]));
        run(&arguments)
    };
    let met = ["http_reqs: count==3", "http_req_failed: rate<0.01", "http_req_duration: p(99)<60s"];
    let (code, out, err) = with(&met);
    assert_eq!((code, out.matches("threshold met").count()), (0, 3), "{out}{err}");
    let (code, out, _) = with(&["http_reqs: count>3", "checks: rate>0.9"]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("threshold missed: http_reqs: count>3 (3.0000)"), "{out}");
    assert!(out.contains("threshold missed: checks: rate>0.9 (no data)"), "{out}");
    assert_eq!(with(&["http_reqs: p(99)<1"]).0, 2);
}

/// A run that shows nothing and prints its summary as JSON.
#[cfg(unix)]
fn start_quietly(scenario: &str, server: &Server) -> std::process::Child {
    loadgen(&["run", scenario, "--target", &server.url(), "--quiet", "--summary", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs")
}

/// Waits until the server has seen so many requests.
fn wait_for_load(server: &Server, requests: usize, longest: Duration) {
    let until = Instant::now() + longest;
    while server.seen().len() < requests {
        assert!(Instant::now() < until, "no load");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
#[cfg(unix)]
fn a_generator_that_was_stopped_at_the_end_of_a_phase_does_not_blame_the_target() {
    use rustix::process::{Pid, Signal, kill_process};
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(|_| ok());
    let text = "scenario: t\nflow: [{get: /}]\nphases: {p: {executor: constant-arrival-rate, rate: 200/s, duration: 1500ms}}\n";
    let scenario = write(dir.path(), text);
    let child = start_quietly(&scenario, &server);
    wait_for_load(&server, 20, Duration::from_secs(20));
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::STOP).expect("stopped");
    // Longer than the phase, whenever in it that was.
    std::thread::sleep(Duration::from_secs(2));
    kill_process(pid, Signal::CONT).expect("continued");
    let output = child.wait_with_output().expect("it ends");
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&summary["requests"], &summary["dropped_iterations"]), (&300.into(), &0.into()), "{summary}");
    // On a machine that others use the stop may come after the phase; then the generator was not late either.
    let warnings = summary["warnings"].to_string();
    assert!(!warnings.contains("no user was free"), "{warnings}");
}

#[test]
#[cfg(unix)]
fn a_closed_model_says_that_its_generator_was_stopped() {
    use rustix::process::{Pid, Signal, kill_process};
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(|_| ok());
    let text = "scenario: t\nflow: [{get: /}, {think: 50ms}]\nphases: {p: {executor: constant-vus, vus: 1, duration: 10m}}\n";
    let scenario = write(dir.path(), text);
    let child = start_quietly(&scenario, &server);
    let wait_for = |requests| wait_for_load(&server, requests, Duration::from_secs(60));
    let pid = Pid::from_child(&child);
    wait_for(5);
    kill_process(pid, Signal::STOP).expect("stopped");
    let before = server.seen().len();
    // How long it is stopped is what is measured.
    std::thread::sleep(Duration::from_secs(3));
    kill_process(pid, Signal::CONT).expect("continued");
    wait_for(before + 40);
    kill_process(pid, Signal::INT).expect("interrupted");
    let output = child.wait_with_output().expect("it ends");
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let warnings = summary["warnings"].to_string();
    assert!(warnings.contains("p: the generator itself stood still for "), "{warnings}");
}

#[test]
fn a_variable_of_the_command_line_need_not_be_in_the_environment() {
    let server = Server::start(|_| ok());
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("s.yml").display().to_string();
    let text = "scenario: t\nflow: [{name: a, get: '/{{ env.ASSAY_TEST_NOWHERE }}'}]\nphases: {p: {executor: per-vu-iterations}}\n";
    std::fs::write(&path, text).expect("written");
    let (code, _, err) = run(&["check", &path]);
    assert!(code == 2 && err.contains("ASSAY_TEST_NOWHERE is not set"), "{err}");
    let (code, out, err) =
        run(&["run", &path, "--quiet", "--target", &server.url(), "--var", "ASSAY_TEST_NOWHERE=here"]);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(server.seen().last().map(|s| s.line().to_owned()).as_deref(), Some("GET /here"));
}

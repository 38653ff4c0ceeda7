//! Limits that a shell sets, a full file system, and memory as `/proc` has it.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::{assert_readable, long, only_run};
use crate::{
    cli::{SCENARIO, loadgen, outcome, write},
    server::{Do, Server, ok, raw},
};

/// The last words of a run that the disk stopped: exit code 1, what, where and why, said a bounded number of times.
#[track_caller]
fn assert_stopped((code, _, err): &(i32, String, String), why: &str) {
    assert_eq!(*code, 1, "{err}");
    let last = err.lines().rfind(|l| l.starts_with("loadgen: ")).expect("a line");
    assert!(last.contains("recording has stopped: ") && last.contains("/data/wal/"), "{err}");
    assert!(last.contains(why), "{err}");
    assert!(err.lines().count() <= 4, "{err}");
}

/// A command behind a line of shell, which runs it with `"$@"`.
fn through_shell(script: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// Processor seconds of what a shell ran, as its `times` prints them: `0m1.25s 0m0.5s`.
fn processor_s(times: &str) -> f64 {
    let seconds = |text: &str| {
        let (minutes, rest) = text.split_once('m').expect("minutes");
        let seconds: f64 = rest.trim_end_matches('s').parse().expect("seconds");
        minutes.parse::<f64>().expect("minutes") * 60.0 + seconds
    };
    times.split_whitespace().map(seconds).sum()
}

#[test]
fn a_file_that_may_not_grow_ends_the_run_with_1_and_does_not_spin() {
    let dir = tempfile::tempdir().expect("a directory");
    let (server, runs) = (Server::start(|_| ok()), dir.path().join("runs"));
    let (scenario, place) = (long(dir.path()), runs.display().to_string());
    let command = loadgen(&["run", &scenario, "--target", &server.url(), "--record", &place, "--quiet"]);
    // 48 KiB a file; a program that did not care would be ended by the system at the first write too many.
    let script = r#"(ulimit -f 96; exec "$@"); code=$?; times | tail -n 1; exit $code"#;
    let ended = outcome(&mut through_shell(script, &command));
    assert_stopped(&ended, "File too large");
    let cpu_s = processor_s(&ended.1);
    // Two users with 5 ms of pauses need far less than a core, also unoptimised; a loop that spins would need
    // all of it for as long as the rest of the hour.
    assert!(cpu_s < 20.0, "{cpu_s} s");
    assert_readable(&only_run(&runs));
}

#[test]
fn a_full_disk_ends_the_run_with_1() {
    let dir = tempfile::tempdir().expect("a directory");
    let (server, scenario) = (Server::start(|_| ok()), long(dir.path()));
    let (disk, saved) = (dir.path().join("disk"), dir.path().join("saved"));
    for path in [&disk, &saved] {
        std::fs::create_dir(path).expect("a directory");
    }
    let place = disk.display().to_string();
    let command = loadgen(&["run", &scenario, "--target", &server.url(), "--record", &place, "--quiet"]);
    // A file system of a few pages, which only the commands here see; what is on it is copied out of it.
    let inner = format!(
        r#"mount -t tmpfs -o size=48k none {place} || exit 77; "$@"; code=$?; cp -r {place}/. {}; exit $code"#,
        saved.display()
    );
    let script = format!("exec unshare --map-root-user --mount sh -c '{inner}' sh \"$@\"");
    let allowed = Command::new("unshare")
        .args(["--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", &place])
        .output()
        .is_ok_and(|o| o.status.success());
    if !allowed {
        eprintln!("left out: this system lets nobody mount a file system of their own");
        return;
    }
    let ended = outcome(&mut through_shell(&script, &command));
    assert_stopped(&ended, "No space left on device");
    assert_readable(&only_run(&saved));
}

#[test]
fn a_limit_on_descriptors_is_said_before_the_load() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(|_| ok());
    let scenario = write(dir.path(), &SCENARIO.replace("iterations: 3", "vus: 200, iterations: 1"));
    let command = loadgen(&["run", &scenario, "--target", &server.url()]);
    let (code, _, err) = outcome(&mut through_shell(r#"ulimit -n 100; exec "$@""#, &command));
    let want =
        "loadgen: 200 users need 264 file descriptors and the limit is 100; raise it with: ulimit -n 264";
    assert_eq!((code, err.trim()), (2, want));
    assert!(server.seen().is_empty());
    let (code, out, err) = outcome(&mut through_shell(r#"ulimit -n 264; exec "$@" --quiet"#, &command));
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
}

/// The most memory that a program had, watched to its end.
fn peak_kib(child: &mut Child) -> u64 {
    let path = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().expect("a child").is_none() {
        let status = std::fs::read_to_string(&path).unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let kib = line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok());
        peak = kib.unwrap_or(0).max(peak);
        std::thread::sleep(Duration::from_millis(10));
    }
    peak
}

#[test]
fn endless_answers_take_bounded_memory() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(|seen| {
        let head = match seen.line() {
            "GET /body" => "content-length: 99999999999\r\n\r\n",
            "GET /events" => "content-type: text/event-stream\r\n\r\ndata: ",
            _ => "x: ",
        };
        vec![raw(format!("HTTP/1.1 200 OK\r\n{head}")), Do::SendForEver(vec![b'y'; 65_536])]
    });
    let text = "scenario: t\ntimeout: 1s\nflow:\n  - one_of:\n      - flow: [{name: body, get: /body}]\n      - flow: [{name: kept, get: /body, check: {body: {contains: x}}}]\n      - flow: [{name: events, get: /events, stream: sse}]\n      - flow: [{name: head, get: /head}]\nphases: {p: {executor: constant-vus, vus: 6, duration: 4s, graceful_stop: 2s}}\n";
    let scenario = write(dir.path(), text);
    let mut command = loadgen(&["run", &scenario, "--target", &server.url(), "--quiet", "--summary", "json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let peak = peak_kib(&mut child);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(summary["requests"].as_u64().is_some_and(|n| n > 6), "{summary}");
    assert_eq!(summary["requests"], summary["errors"]);
    // Six users may keep 16 MiB of a body each, and as much again where it grows.
    assert!((1..300 * 1024).contains(&peak), "{peak} KiB");
    eprintln!("peak: {peak} KiB");
}

//! Searches and sweeps against a server whose capacity is known.

use std::{
    sync::{Condvar, Mutex},
    time::Duration,
};

use loadgen::capacity::SearchEnd;

use crate::server::{Do, Server, ok, respond, run, run_with};

/// A server that works on so many requests at a time, each for 20 ms.
fn limited(at_once: u32) -> Server {
    let busy = (Mutex::new(0), Condvar::new());
    Server::start(move |seen| {
        if seen.line() == "GET /" && seen.connection > 0 {
            let free = busy.1.wait_while(busy.0.lock().expect("no panic"), |n| *n >= at_once);
            *free.expect("no panic") += 1;
            std::thread::sleep(Duration::from_millis(20));
            *busy.0.lock().expect("no panic") -= 1;
            busy.1.notify_one();
        }
        ok()
    })
}

const SEARCH: &str = "
scenario: t
flow: [{get: /}]
phases:
  warm: {executor: per-vu-iterations, vus: 2, iterations: 2, warmup: true}
modes:
  search:
    phases: [warm]
    search:
      rate: {from: 5/s, to: 640/s}
      factor: 4
      precision: 0.3
      confirm: 0
      window: 600ms
      rest: 0s
      max_vus: 64
      objectives: {latency: {p95: 150ms}}
";

#[test]
fn a_search_finds_what_the_server_bears() {
    // Two at a time for 20 ms: 100 a second at most, less what a busy machine takes.
    let server = limited(2);
    let summary = run_with(&server, SEARCH, |o| {
        o.phases = o.scenario.mode("search").expect("a mode");
        o.capacity = o.scenario.capacity(Some("search")).cloned();
    });
    let capacity = summary.capacity.as_ref().expect("a result");
    let found = capacity.search.as_ref().expect("a search");
    assert_eq!(found.end, SearchEnd::Found, "{}", summary.to_text());
    let (held, broken) = (found.highest_held_per_s.expect("held"), found.lowest_broken_per_s.expect("broke"));
    // A little more than it bears fits into a short window, its queue short enough for the objectives.
    assert!((20.0..=125.0).contains(&held) && broken > held, "{}", summary.to_text());
    // Every window is a phase, after those that the mode names, and each says what it missed.
    assert_eq!(summary.phases.len(), capacity.windows.len() + 1);
    assert_eq!((summary.phases[0].name.as_str(), summary.phases[1].name.as_str()), ("warm", "search-01-5/s"));
    // A rate near the edge may hold in one window and break in the next; the one that was found broken says why.
    let mut of_broken = capacity.windows.iter().filter(|w| w.rate_per_s >= broken);
    assert!(of_broken.any(|w| w.rate_per_s <= broken && !w.missed.is_empty()), "{}", summary.to_text());
    assert!(summary.to_text().contains(&format!("highest rate that holds: {held} iterations/s")));
}

#[test]
fn a_sweep_runs_every_rate_once_and_fits_a_plot() {
    let server = Server::start(|seen| match seen.line() {
        "GET /health" => ok(),
        _ => {
            let mut actions = vec![Do::Wait(Duration::from_millis(5))];
            actions.extend(respond(200, "", "ok"));
            actions
        }
    });
    let text = "scenario: t\nflow: [{get: /}]\nphases: {p: {executor: constant-vus, vus: 1, duration: 1s}}\nmodes:\n  default: {sweep: {rates: [20/s, 3000/m, 10/s], window: 1s, rest: 0s}}\n";
    let summary = run(&server, text);
    let capacity = summary.capacity.as_ref().expect("a result");
    let got: Vec<_> = capacity.windows.iter().map(|w| (w.rate_per_s, w.requests)).collect();
    assert_eq!(got, [(20.0, 20), (50.0, 50), (10.0, 10)]);
    assert!(capacity.search.is_none());
    assert_eq!(server.seen().len(), 80, "and nothing of the phases that the mode does not name");
    let csv = capacity.to_csv();
    let rows: Vec<Vec<&str>> = csv.lines().map(|l| l.split(',').collect()).collect();
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|r| r.len() == rows[0].len()), "{csv}");
    let column = |name: &str| rows[0].iter().position(|c| *c == name).expect(name);
    assert_eq!(rows[2][column("rate_per_s")], "50");
    assert_eq!(rows[2][column("phase")], "sweep-02-50/s");
    let achieved: f64 = rows[2][column("achieved_per_s")].parse().expect("a number");
    assert!((20.0..=50.0).contains(&achieved), "{achieved}");
    let p50: f64 = rows[1][column("duration_p50_s")].parse().expect("a number");
    assert!(p50 >= 0.005, "{p50}");
    let json = serde_json::to_value(&summary).expect("JSON");
    assert_eq!(json["capacity"]["windows"][1]["rate_per_s"], 50.0);
}

#[test]
fn a_sweep_over_users_is_repeated_and_tells_its_intervals() {
    // Two at a time: the third user adds nothing.
    let server = limited(2);
    let text = "scenario: t\nflow: [{get: /}]\nphases: {p: {executor: constant-vus, vus: 1, duration: 1s}}\nmodes:\n  default: {sweep: {vus: [1, 4], window: 300ms, rest: 0s, repeat: 3}}\n";
    let summary = run(&server, text);
    let capacity = summary.capacity.as_ref().expect("a result");
    let order: Vec<_> = capacity.windows.iter().map(|w| (w.users, w.phase.as_str())).collect();
    assert_eq!(order.len(), 6);
    assert_eq!(
        order[..3],
        [(Some(1), "sweep-01-1-vus"), (Some(4), "sweep-02-4-vus"), (Some(1), "sweep-03-1-vus")]
    );
    assert!(capacity.windows.iter().all(|w| w.dropped_ratio == 0.0 && w.throughput_ratio == 1.0));
    let levels = &capacity.levels;
    assert_eq!(levels.iter().map(|l| (l.users, l.windows)).collect::<Vec<_>>(), [(Some(1), 3), (Some(4), 3)]);
    for level in levels {
        let e = level.goodput_per_s;
        assert!(e.low.is_some_and(|low| low <= e.mean) && e.high.is_some_and(|high| high >= e.mean), "{e:?}");
        assert_eq!(level.is_pareto, None, "nothing streams");
    }
    assert_eq!(levels.iter().filter(|l| l.is_best_goodput).count(), 1);
    let text = summary.to_text();
    assert!(text.contains("4 users over 3 windows:") && text.contains("most good requests:"), "{text}");
    let csv = capacity.to_csv();
    assert!(
        csv.starts_with("users,rate_per_s,") && csv.lines().nth(2).is_some_and(|row| row.starts_with("4,")),
        "{csv}"
    );
}

#[test]
fn the_points_that_no_other_beats_are_marked() {
    // Each of more users waits longer for its tokens.
    let server = Server::start(|_| {
        let mut actions = vec![crate::server::raw(
            "HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n",
        )];
        for _ in 0..4 {
            actions.extend([crate::server::raw("data: x\n\n"), Do::Wait(Duration::from_millis(5))]);
        }
        actions.push(Do::Close);
        actions
    });
    let text = "scenario: t\nflow: [{get: /, stream: sse}]\nphases: {p: {executor: constant-vus, vus: 1, duration: 1s}}\nmodes:\n  default: {sweep: {vus: [1, 2], window: 300ms, rest: 0s}}\n";
    let summary = run(&server, text);
    let levels = &summary.capacity.as_ref().expect("a result").levels;
    assert!(levels.iter().any(|l| l.is_pareto == Some(true)), "{levels:?}");
    assert!(levels.iter().all(|l| l.output_tokens_per_s_per_user.is_some_and(|e| e.mean > 0.0)));
    assert!(summary.to_text().contains("tokens/s that no other load beats:"), "{}", summary.to_text());
}

#[test]
fn a_stop_ends_a_search_and_says_so() {
    let server = Server::start(|_| ok());
    let text = "scenario: t\nflow: [{get: /}]\nphases: {p: {executor: constant-vus, vus: 1, duration: 1s}}\nmodes:\n  default: {search: {rate: {from: 10/s, to: 1000/s}, window: 1h}}\n";
    let summary = run_with(&server, text, |o| {
        let control = o.control();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(1500));
            control.stop();
        });
    });
    let found = summary.capacity.expect("a result").search.expect("a search");
    assert_eq!((found.end, found.highest_held_per_s), (SearchEnd::Unfinished, None));
    assert_eq!(summary.outcome, loadgen::summary::Outcome::Interrupted);
}

#[test]
fn a_sweep_has_so_many_windows_however_they_are_asked_for() {
    let server = Server::start(|_| ok());
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("s.yml").display().to_string();
    let text = "scenario: t\nflow: [{get: /}]\nphases: {p: {executor: constant-vus, vus: 1, duration: 1s}}\nmodes:\n  default: {sweep: {vus: [1, 4], window: 300ms}}\n";
    std::fs::write(&path, text).expect("written");
    let (code, _, err) =
        crate::cli::run(&["run", &path, "--target", &server.url(), "--quiet", "--repeat", "51"]);
    assert_eq!(code, 2, "{err}");
    assert!(
        err.contains("--repeat 51: 2 loads, each 51 times, are 102 windows; a run has at most 100"),
        "{err}"
    );
    assert_eq!(server.seen().len(), 0);
    // What is scaled beyond what a clock can tell is refused as well, and by the plan without a run, too.
    for scale in ["-1", "0", "1e300", "nan"] {
        let scale = format!("--time-scale={scale}");
        let (code, _, err) = crate::cli::run(&["run", &path, "--dry-run", &scale]);
        assert!(code == 2 && err.contains("expected a number above 0, up to 1000"), "{err}");
    }
    std::fs::write(&path, text.replace("300ms", "300ms, repeat: 51")).expect("written");
    let (code, _, err) = crate::cli::run(&["check", &path]);
    assert!(code == 2 && err.contains("s.yml:5:20: 2 loads, each 51 times"), "{err}");
}

//! Each executor, judged by the instants that the server saw.

use std::time::{Duration, Instant};

use crate::{
    server::{Do, Seen, Server, ok, run, run_with},
    stalls::Stalls,
};

/// Requests as seconds after the first.
fn times(seen: &[Seen]) -> Vec<f64> {
    let first = seen.first().map_or_else(Instant::now, |s| s.at);
    seen.iter().map(|s| (s.at - first).as_secs_f64()).collect()
}

/// Half of the instants are within 20 ms of a schedule, wherever its origin is, and on a machine that others use
/// too, within twice the time for which a thread of this test was kept from running: a wrong schedule is wrong all
/// along.
#[track_caller]
fn assert_follows(got: &[f64], stalls: &Stalls, want: impl Fn(usize) -> f64) {
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let off: Vec<f64> = got.iter().enumerate().map(|(i, t)| t - want(i)).collect();
    let origin = median(off.clone());
    let deviation = median(off.iter().map(|o| (o - origin).abs()).collect());
    let most = 0.02 + 2.0 * stalls.longest_s();
    assert!(deviation < most, "{deviation} s off, {most} s is allowed: {got:?}");
}

fn scenario(phase: &str) -> String {
    format!("scenario: t\nflow: [{{get: /}}]\nphases: {{p: {{{phase}}}}}\n")
}

#[test]
fn constant_vus_start_at_their_ramp() {
    let stalls = Stalls::watch();
    let server = Server::start(|_| vec![Do::Wait(Duration::from_secs(5))]);
    let text = scenario("executor: constant-vus, vus: 5, duration: 500ms, ramp: 20/s, graceful_stop: 0s");
    let summary = run(&server, &text);
    let got = times(&server.seen());
    assert_eq!(got.len(), 5, "each user has one request in flight");
    assert_follows(&got, &stalls, |i| i as f64 * 0.05);
    // What was open after the graceful stop is the service's failure, at its age.
    let step = &summary.phases[0].steps[0];
    assert_eq!(step.error_types, [("unfinished".to_owned(), 5)]);
    assert!(step.duration.max > 0.4 && step.duration.min > 0.15, "{:?}", step.duration);
}

#[test]
fn constant_arrival_rate_is_even_though_answers_are_slow() {
    let stalls = Stalls::watch();
    let server = Server::start(|_| {
        let mut actions = vec![Do::Wait(Duration::from_millis(150))];
        actions.extend(ok());
        actions
    });
    let text = scenario("executor: constant-arrival-rate, rate: 100/s, duration: 1s");
    let summary = run(&server, &text);
    let got = times(&server.seen());
    assert_eq!(got.len(), 100);
    assert_follows(&got, &stalls, |i| i as f64 * 0.01);
    assert_eq!((summary.requests, summary.errors, summary.dropped_iterations), (100, 0, 0));
}

#[test]
fn what_waits_for_a_user_has_the_wait_in_its_latency_and_the_rest_is_dropped() {
    let server = Server::start(|_| {
        let mut actions = vec![Do::Wait(Duration::from_millis(100))];
        actions.extend(ok());
        actions
    });
    // One user does 10 a second; 20 a second are due.
    let text = scenario(
        "executor: constant-arrival-rate, rate: 20/s, duration: 1s, pre_allocated_vus: 1, max_vus: 1",
    );
    let summary = run(&server, &text);
    let p = &summary.phases[0];
    assert_eq!(p.requests + p.dropped_iterations, 20, "{}", summary.to_text());
    assert!((5..=11).contains(&p.requests), "{}", p.requests);
    assert!(p.steps[0].duration.p50 < 0.13, "the server takes 100 ms");
    assert!(p.steps[0].latency.max > 0.4, "the last waited for half a second");
    assert!(summary.warnings.iter().any(|w| w.contains("never started")));
}

#[test]
fn poisson_arrivals_do_not_depend_on_the_number_of_workers() {
    let text = scenario("executor: constant-arrival-rate, rate: 200/s, duration: 1s, arrivals: poisson");
    let counts: Vec<usize> = [1, 2]
        .into_iter()
        .map(|workers| {
            let server = Server::start(|_| ok());
            run_with(&server, &text, |o| {
                o.workers = Some(workers);
                o.seed = 5;
            });
            let got = times(&server.seen());
            let gaps: Vec<f64> = got.windows(2).map(|w| w[1] - w[0]).collect();
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            let cv = (gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt() / mean;
            assert!(cv > 0.75, "gaps are exponential: {cv}");
            got.len()
        })
        .collect();
    assert_eq!(counts[0], counts[1]);
}

#[test]
fn ramping_arrivals_follow_the_line() {
    let stalls = Stalls::watch();
    let server = Server::start(|_| ok());
    let stages = "stages: [{duration: 1s, target: 100}, {duration: 500ms, target: 0}]";
    run(&server, &scenario(&format!("executor: ramping-arrival-rate, start_rate: 0, {stages}")));
    let got = times(&server.seen());
    assert!((73..=75).contains(&got.len()), "{}", got.len());
    // The n-th start of the rise is at sqrt(n / 50).
    assert_follows(&got[..50], &stalls, |i| ((i + 1) as f64 / 50.0).sqrt());
}

#[test]
fn iterations_are_counted_out() {
    let server = Server::start(|_| ok());
    run(&server, &scenario("executor: per-vu-iterations, vus: 4, iterations: 7"));
    let seen = server.seen();
    let mut each: Vec<usize> = (1..=4).map(|c| seen.iter().filter(|s| s.connection == c).count()).collect();
    each.sort_unstable();
    assert_eq!(each, [7, 7, 7, 7]);
    let server = Server::start(|_| ok());
    let text = scenario("executor: shared-iterations, vus: 4, iterations: 30");
    run_with(&server, &text, |o| o.workers = Some(2));
    assert_eq!(server.seen().len(), 30);
}

#[test]
fn ramping_vus_come_and_go() {
    let stalls = Stalls::watch();
    let server = Server::start(|_| {
        let mut actions = vec![Do::Wait(Duration::from_millis(10))];
        actions.extend(ok());
        actions
    });
    let stages = "stages: [{duration: 400ms, target: 4}, {duration: 400ms, target: 0}]";
    run(&server, &scenario(&format!("executor: ramping-vus, {stages}")));
    let seen = server.seen();
    let first = seen[0].at;
    let mut lives: Vec<(f64, f64)> = (1..=4)
        .map(|c| {
            let own: Vec<f64> =
                seen.iter().filter(|s| s.connection == c).map(|s| (s.at - first).as_secs_f64()).collect();
            (own[0], own[own.len() - 1])
        })
        .collect();
    lives.sort_by(|a, b| a.0.total_cmp(&b.0));
    // User i comes at (i + 1) tenths and goes when the line is down at i; the first request is the origin.
    let (came, went): (Vec<f64>, Vec<f64>) = lives.into_iter().unzip();
    assert_follows(&came, &stalls, |i| i as f64 * 0.1);
    assert_follows(&went, &stalls, |i| 0.7 - i as f64 * 0.1);
}

#[test]
fn think_times_are_kept_and_the_end_does_not_wait_for_them() {
    let server = Server::start(|_| ok());
    let text = "scenario: t\nflow:\n  - get: /\n  - think: 100ms\nphases:\n  p: {executor: constant-vus, vus: 1, duration: 350ms}\n  q: {executor: constant-vus, vus: 1, duration: 350ms, think: 0.5}\n";
    let began = Instant::now();
    let summary = run(&server, text);
    // As many as there is time for, and on a busy machine fewer, never more.
    let [first, second] = [0, 1].map(|i| summary.phases[i].requests);
    assert!((2..=4).contains(&first) && (4..=7).contains(&second), "{}", summary.to_text());
    assert!(second > first && began.elapsed() < Duration::from_millis(2500));
}

#[test]
fn time_scale_stretches_phases_and_leaves_rates() {
    let server = Server::start(|_| ok());
    let text = scenario("executor: constant-arrival-rate, rate: 50/s, duration: 10s");
    let summary = run_with(&server, &text, |o| o.time_scale = 0.05);
    assert_eq!(summary.requests, 25);
}

#[test]
fn a_stop_ends_the_run_and_the_rest_of_the_phases() {
    let server = Server::start(|_| ok());
    let text = "scenario: t\nflow: [{get: /}, {think: 10ms}]\nphases:\n  p: {executor: constant-vus, vus: 2, duration: 1h}\n  q: {executor: constant-vus, vus: 2, duration: 1h}\n";
    let summary = run_with(&server, text, |o| {
        let control = o.control();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            control.stop();
        });
    });
    assert_eq!(summary.outcome, loadgen::summary::Outcome::Interrupted);
    assert_eq!(summary.phases.len(), 1);
    assert!(summary.requests > 10 && summary.errors == 0);
}

/// A sink that holds on to the values of the first second until it is let go.
struct Slow {
    let_go: std::sync::mpsc::Receiver<()>,
    pushes: u32,
}

impl loadgen::sink::MetricsSink for Slow {
    fn push(
        &mut self,
        _t_ms: i64,
        _families: &[assay_model::expo::MetricFamily],
    ) -> Result<(), loadgen::sink::SinkError> {
        self.pushes += 1;
        if self.pushes == 2 {
            let waited = self.let_go.recv_timeout(Duration::from_secs(60));
            return waited.map_err(|_| loadgen::sink::SinkError::new("the load waited for the sink"));
        }
        Ok(())
    }
}

#[test]
fn a_slow_sink_holds_up_no_phase() {
    let (let_go, held) = std::sync::mpsc::channel();
    // It is let go when the second phase is on, to which a load that waits for it never comes.
    let server = Server::start(move |seen| {
        if seen.line() == "GET /second" {
            let _ = let_go.send(());
        }
        ok()
    });
    let text = "scenario: t\nusers: [{name: u, vars: {path: first}}]\nflow:\n  - {name: step, get: '/{{ path }}'}\n  - set: {path: second}\nphases:\n  p: {executor: per-vu-iterations, iterations: 1}\n  q: {executor: per-vu-iterations, iterations: 1}\n";
    let summary = run_with(&server, text, |o| {
        o.outputs.sinks.push(Box::new(Slow { let_go: held, pushes: 0 }));
    });
    assert_eq!((summary.requests, summary.errors), (2, 0));
}

#[test]
fn what_a_stop_cuts_off_is_in_no_error_rate() {
    let seen = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&seen);
    let server = Server::start(move |_| {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        vec![Do::Hang]
    });
    let text = scenario("executor: constant-vus, vus: 3, duration: 1h");
    let summary = run_with(&server, &text, |o| {
        let control = o.control();
        std::thread::spawn(move || {
            let until = Instant::now() + Duration::from_secs(60);
            while seen.load(std::sync::atomic::Ordering::Relaxed) < 3 && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
            control.stop();
        });
    });
    assert_eq!(summary.outcome, loadgen::summary::Outcome::Interrupted);
    assert_eq!((summary.requests, summary.errors, summary.interrupted), (0, 0, 3), "{}", summary.to_text());
}

#[test]
fn a_phase_of_arrivals_lasts_its_duration() {
    let server = Server::start(|_| ok());
    // The only start is at once; the phase lasts a second all the same, so that shards stay together.
    let text = scenario("executor: constant-arrival-rate, rate: 1/s, duration: 1s");
    let summary = run(&server, &text);
    let phase = &summary.phases[0];
    assert!(phase.requests == 1 && phase.duration_s >= 1.0, "{} s", phase.duration_s);
    // Executors that count end when they are done.
    let text = scenario("executor: shared-iterations, vus: 2, iterations: 4, max_duration: 1h");
    assert_eq!(run(&server, &text).phases[0].requests, 4);
}

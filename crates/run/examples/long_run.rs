//! Records a run of an hour or so as the recorder would have, at once: `cargo run --release -p assay-run --example long_run -- DIR
//! [SECONDS [SERIES]]`. The benchmark of the report reads it.
//!
//! Invariant: the same arguments give the same samples; its names are those of loadgen, the demo service and node_exporter.

use std::path::PathBuf;

use assay_model::{ExponentialHistogram, Labels};
use assay_run::{Manifest, Outcome, Phase};
use assay_tsdb::{Head, HeadOptions};

const T0_MS: i64 = 1_767_225_600_000;
const STEPS: [(&str, f64, f64); 3] = [("login", 0.5, 0.03), ("patient", 1.0, 0.05), ("query", 4.0, 1.0)];
const STAGES: [(&str, f64); 5] =
    [("auth", 0.01), ("embed", 0.05), ("search", 0.1), ("prompt", 0.01), ("generate", 0.83)];

/// A phase's name, its part of the run, its users, and how much longer than alone requests take.
const PHASES: [(&str, f64, f64, f64); 4] = [
    ("warmup", 0.1, 5.0, 1.2),
    ("steady", 0.4, 5.0, 1.0),
    ("peak", 0.3, 20.0, 1.3),
    ("stress", 0.2, 60.0, 4.0),
];

/// A phase's name, first and last second, users, and how much longer than alone requests take.
type Planned = (&'static str, i64, i64, f64, f64);

/// A small generator whose sequence never changes; numbers from 0 to 1.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Which phase a second is in: its number, first and last second.
fn phases(seconds: i64) -> Vec<Planned> {
    let mut from = 0;
    PHASES
        .iter()
        .map(|(name, part, users, slow)| {
            let to = from + (*part * seconds as f64) as i64;
            let phase = (*name, from, to, *users, *slow);
            from = to;
            phase
        })
        .collect()
}

struct Writer {
    head: Head,
    t_ms: i64,
    count: usize,
}

impl Writer {
    fn float(&mut self, name: &str, labels: &[(&str, &str)], v: f64) {
        let labels = Labels::from_pairs(labels.iter().copied().chain([("__name__", name)]));
        self.head.append(&labels, self.t_ms, v).expect("appends");
        self.count += 1;
    }

    fn histogram(&mut self, name: &str, labels: &[(&str, &str)], h: &ExponentialHistogram) {
        let labels = Labels::from_pairs(labels.iter().copied().chain([("__name__", name)]));
        self.head.append_histogram(&labels, self.t_ms, &h.snapshot()).expect("appends");
        self.count += 1;
    }
}

/// What the generator and the service have counted so far.
struct Counts {
    /// By phase, step and status.
    requests: Vec<[[ExponentialHistogram; 2]; 3]>,
    stages: [ExponentialHistogram; 5],
    iterations: Vec<f64>,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().expect("a directory for the run"));
    let mut number = |or: i64| arguments.next().map_or(or, |text| text.parse().expect("a number"));
    let (seconds, series) = (number(3_600), number(900) as usize);
    let plan = phases(seconds);
    let mut out = Writer {
        head: Head::create(&dir.join("data"), HeadOptions::default()).expect("begins"),
        t_ms: 0,
        count: 0,
    };
    let new = || ExponentialHistogram::new(160);
    let mut counts = Counts {
        requests: plan.iter().map(|_| [(); 3].map(|()| [new(), new()])).collect(),
        stages: [(); 5].map(|()| new()),
        iterations: vec![0.0; plan.len()],
    };
    let mut noise = Noise(7);
    for s in 0..=seconds {
        out.t_ms = T0_MS + s * 1_000;
        out.count = 0;
        load(&mut counts, &plan, s, &mut noise);
        generator(&mut out, &counts, &plan, s);
        service(&mut out, &counts, s);
        host(&mut out, s, series, &mut noise);
    }
    out.head.finish().expect("finishes");
    describe(&dir, &plan, seconds);
    println!("{} series, {seconds} s, in {}", out.count, dir.display());
}

/// A second of requests.
fn load(counts: &mut Counts, plan: &[Planned], s: i64, noise: &mut Noise) {
    let Some(at) = plan.iter().position(|p| s > p.1 && s <= p.2) else { return };
    let (_, _, _, users, slow) = plan[at];
    for (step, (_, each, takes)) in STEPS.iter().enumerate() {
        for _ in 0..(each * users / 5.0).ceil() as i64 {
            let took = takes * slow * (0.5 + noise.next() * noise.next() * 2.0);
            let failed = usize::from(noise.next() < 0.002 * slow);
            counts.requests[at][step][failed].record(took);
            if step == 2 {
                for (stage, (_, part)) in STAGES.iter().enumerate() {
                    counts.stages[stage].record(took * part);
                }
            }
        }
    }
    counts.iterations[at] += users;
}

fn generator(out: &mut Writer, counts: &Counts, plan: &[Planned], s: i64) {
    let base = [("job", "loadgen"), ("instance", "l"), ("load_run", "r")];
    let all = |more: &[(&'static str, &'static str)]| [&base[..], more].concat();
    out.float("load_run_info", &all(&[("load_scenario", "clinical-rag"), ("load_mode", "all")]), 1.0);
    let over = s >= plan[plan.len() - 1].2;
    for outcome in ["running", "finished", "interrupted", "aborted"] {
        let holds = (outcome == "finished") == over && ["running", "finished"].contains(&outcome);
        out.float("load_run_outcome", &all(&[("outcome", outcome)]), f64::from(u8::from(holds)));
    }
    for (at, (name, from, to, users, _)) in plan.iter().copied().enumerate() {
        let of = ("load_phase", name);
        let warmup = if name == "warmup" { "true" } else { "false" };
        let (begun, ended) = (s >= from, s >= to);
        let time = |is: bool, t: i64| if is { (T0_MS / 1_000 + t) as f64 } else { 0.0 };
        out.float("load_phase_info", &all(&[of, ("executor", "constant-vus"), ("warmup", warmup)]), 1.0);
        out.float("load_phase_planned_seconds", &all(&[of]), (to - from) as f64);
        out.float("load_phase_start_time_seconds", &all(&[of]), time(begun, from));
        out.float("load_phase_end_time_seconds", &all(&[of]), time(ended, to));
        let state = match (begun, ended) {
            (false, _) => "planned",
            (true, false) => "running",
            (true, true) => "finished",
        };
        for outcome in ["planned", "running", "finished", "cut_short"] {
            out.float(
                "load_phase_outcome",
                &all(&[of, ("outcome", outcome)]),
                f64::from(u8::from(outcome == state)),
            );
        }
        out.float("load_users", &all(&[of]), if begun && !ended { users } else { 0.0 });
        out.float("load_iterations_total", &all(&[of]), counts.iterations[at]);
        for (step, (step_name, ..)) in STEPS.iter().enumerate() {
            let [ok, failed] = &counts.requests[at][step];
            let here = all(&[of, ("load_step", step_name)]);
            let with = |more: &[(&'static str, &'static str)]| [here.as_slice(), more].concat();
            out.histogram(
                "http_client_request_duration_seconds",
                &with(&[("http_response_status_code", "200")]),
                ok,
            );
            let class = [("http_response_status_code", "503"), ("error_type", "503")];
            out.histogram("http_client_request_duration_seconds", &with(&class), failed);
            out.histogram("load_request_latency_seconds", &here, ok);
            out.histogram("load_schedule_lag_seconds", &here, ok);
            out.float("load_requests_good_total", &here, ok.snapshot().count as f64);
            let passed = ok.snapshot().count as f64;
            out.float("load_checks_total", &with(&[("check", "answer"), ("result", "pass")]), passed);
            out.float("load_checks_total", &with(&[("check", "answer"), ("result", "fail")]), 0.0);
            out.histogram("gen_ai_client_operation_time_to_first_chunk_seconds", &here, ok);
        }
    }
}

fn service(out: &mut Writer, counts: &Counts, s: i64) {
    let base = [("job", "demo"), ("instance", "d")];
    for ((name, _), h) in STAGES.iter().zip(&counts.stages) {
        out.histogram("rag_stage_duration_seconds", &[base[0], base[1], ("stage", name)], h);
    }
    for (name, v) in [
        ("up", 1.0),
        ("process_start_time_seconds", 1.767e9),
        ("process_cpu_seconds_total", 0.6 * s as f64),
        ("process_resident_memory_bytes", 2e8),
        ("process_open_fds", 40.0),
        ("rag_llm_active", 3.0),
        ("rag_llm_queued", 0.2),
        ("rag_llm_slots", 8.0),
    ] {
        out.float(name, &base, v);
    }
}

/// The host's series, and as many more of the kind as there are to be.
fn host(out: &mut Writer, s: i64, series: usize, noise: &mut Noise) {
    let base = [("job", "exporter"), ("instance", "h")];
    out.float("up", &base, 1.0);
    out.float("node_memory_MemTotal_bytes", &base, 16e9);
    out.float("node_memory_MemAvailable_bytes", &base, 9e9 - 1e9 * noise.next());
    for cpu in 0..16 {
        let cpu = cpu.to_string();
        for (mode, part) in [("idle", 0.6), ("user", 0.3), ("system", 0.1), ("iowait", 0.0)] {
            let labels = [base[0], base[1], ("cpu", cpu.as_str()), ("mode", mode)];
            out.float("node_cpu_seconds_total", &labels, part * s as f64);
        }
    }
    for device in ["lo", "eth0"] {
        for name in ["node_network_receive_bytes_total", "node_network_transmit_bytes_total"] {
            out.float(name, &[base[0], base[1], ("device", device)], 1e5 * s as f64);
        }
    }
    let mut more = 0;
    while out.count < series {
        let name = more.to_string();
        let labels = [base[0], base[1], ("device", name.as_str())];
        out.float("node_disk_io_time_seconds_total", &labels, noise.next().round() + s as f64);
        more += 1;
    }
}

fn describe(dir: &std::path::Path, plan: &[Planned], seconds: i64) {
    let mut manifest = Manifest::new("clinical-rag", T0_MS);
    manifest.outcome = Some(Outcome::Finished);
    manifest.end_ms = Some(T0_MS + seconds * 1_000);
    manifest.phases = plan
        .iter()
        .map(|(name, from, to, ..)| Phase {
            name: (*name).to_owned(),
            start_ms: T0_MS + from * 1_000,
            end_ms: Some(T0_MS + to * 1_000),
            warmup: *name == "warmup",
            outcome: None,
        })
        .collect();
    manifest.write(dir).expect("writes");
}

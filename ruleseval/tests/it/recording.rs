//! Runs as loadgen, the service and the exporter leave them, made of computed samples at fixed times.

use std::path::{Path, PathBuf};

use assay_model::{Histogram, Labels, histogram::ExponentialHistogram};
use assay_run::{Manifest, Outcome, Recorder, RecorderOptions, Row};

/// The first instant of every run here.
pub(crate) const T0_MS: i64 = 1_700_000_000_000;

/// Phases as name, first and last second, and whether it warms up.
const PHASES: [(&str, i64, i64, bool); 3] =
    [("warmup", 0, 10, true), ("steady", 10, 70, false), ("peak", 70, 130, false)];

/// What is wrong with a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trouble {
    /// Queries of the peak take eight seconds, most of it in the stage `generate`.
    pub(crate) slow_peak: bool,
    /// Every fifth query fails with a 503.
    pub(crate) errors: bool,
    /// The service's own metrics are missing.
    pub(crate) no_service: bool,
    /// Where the random numbers start.
    pub(crate) seed: u64,
    /// The recording stops after this many seconds without an outcome.
    pub(crate) killed_after_s: Option<i64>,
}

/// A recorded run in a directory that goes away with it.
pub(crate) struct Recording {
    dir: tempfile::TempDir,
}

impl Recording {
    pub(crate) fn new(trouble: Trouble) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let recording = Self { dir };
        record(&recording.path(), trouble);
        recording
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    /// A place next to the run.
    pub(crate) fn place(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("is in a workspace").to_owned()
}

/// The patterns of the shipped rules.
pub(crate) fn rules() -> String {
    root().join("prometheus/rules/*.yml").display().to_string()
}

/// The shipped SLA.
pub(crate) fn sla() -> PathBuf {
    root().join("prometheus/sla/clinical-rag.yml")
}

fn record(dir: &Path, trouble: Trouble) {
    let mut manifest = Manifest::new("clinical-rag", T0_MS);
    manifest.seed = Some(7);
    let recorder = Recorder::create(dir, manifest, &RecorderOptions::default()).expect("begins");
    let sink = recorder.sink();
    let mut load = Load { state: trouble.seed, ..Load::default() };
    let last_s = trouble.killed_after_s.unwrap_or(130);
    for s in 0..=last_s {
        for (name, from, to, warmup) in PHASES {
            if s == from {
                recorder.phase_started(name, warmup, T0_MS + s * 1000).expect("notes");
            }
            if s == to {
                recorder.phase_ended(name, T0_MS + s * 1000).expect("notes");
            }
        }
        sink.append(load.second(s, trouble)).expect("takes in");
    }
    sink.commit().expect("commits");
    if trouble.killed_after_s.is_some() {
        return;
    }
    let mut done = recorder.finish(Outcome::Finished).expect("finishes").manifest;
    // These samples are of another time than the clock's.
    done.end_ms = Some(T0_MS + 130_000);
    done.write(dir).expect("writes");
}

/// The generator's and the service's counters.
#[derive(Default)]
struct Load {
    series: Vec<(Labels, ExponentialHistogram)>,
    iterations: f64,
    good: f64,
    state: u64,
}

impl Load {
    /// A number from 0 to 1, the same in every run.
    fn random(&mut self) -> f64 {
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 11) as f64 / (1u64 << 53) as f64
    }

    fn observe(&mut self, labels: &[(&str, &str)], value: Option<f64>) {
        let labels = Labels::from_pairs(labels.iter().copied());
        let at = self.series.iter().position(|(l, _)| *l == labels).unwrap_or_else(|| {
            self.series.push((labels, ExponentialHistogram::new(160)));
            self.series.len() - 1
        });
        if let Some(value) = value {
            self.series[at].1.record(value);
        }
    }

    /// The samples of a second.
    fn second(&mut self, s: i64, trouble: Trouble) -> Vec<Row> {
        // What is recorded at the end of a phase belongs to it: windows hold their end, not their start.
        let phase = PHASES.iter().rev().find(|p| s > p.1).map_or("warmup", |p| p.0);
        let users = if phase == "peak" { 24.0 } else { 5.0 };
        for (name, ..) in PHASES {
            self.query(name, "200", None, trouble);
        }
        // Each user asks every other second.
        for i in 0..(users as i64 / 2) {
            if s == 0 {
                continue;
            }
            let base = if phase == "peak" && trouble.slow_peak { 8.0 } else { 1.0 };
            let took = base * (0.7 + 0.6 * self.random());
            let status = if trouble.errors && (s + i) % 5 == 0 { "503" } else { "200" };
            self.query(phase, status, Some(took), trouble);
            self.iterations += 1.0;
            self.good += f64::from(u8::from(status == "200"));
        }
        let t_ms = T0_MS + s * 1000;
        let mut rows: Vec<Row> =
            self.series.iter().map(|(labels, h)| Row::histogram(labels.clone(), t_ms, snapshot(h))).collect();
        rows.extend(self.gauges(s, t_ms, users));
        rows
    }

    fn query(&mut self, phase: &str, status: &str, took: Option<f64>, trouble: Trouble) {
        let load = [
            ("job", "loadgen"),
            ("instance", "l"),
            ("load_scenario", "clinical-rag"),
            ("load_phase", phase),
            ("load_step", "query"),
        ];
        let with = |name: &'static str, more: &[(&'static str, &'static str)]| {
            let mut all: Vec<(&str, &str)> = load.to_vec();
            all.push(("__name__", name));
            all.extend(more.iter().copied());
            all
        };
        let mut request = with("http_client_request_duration_seconds", &[]);
        request.push(("http_response_status_code", status));
        if status == "503" {
            request.push(("error_type", "503"));
        }
        self.observe(&request, took);
        self.observe(&with("load_request_latency_seconds", &[]), took);
        self.observe(
            &with("gen_ai_client_operation_time_to_first_chunk_seconds", &[]),
            took.map(|t| t * 0.2),
        );
        self.observe(
            &with("gen_ai_client_token_usage", &[("gen_ai_token_type", "output")]),
            took.map(|t| t * 60.0),
        );
        if trouble.no_service {
            return;
        }
        for (stage, part) in [("embed", 0.05), ("search", 0.1), ("generate", 0.85)] {
            let labels = [
                ("__name__", "rag_stage_duration_seconds"),
                ("job", "demo"),
                ("instance", "d"),
                ("stage", stage),
            ];
            self.observe(&labels, took.map(|t| t * part));
        }
    }

    fn gauges(&self, s: i64, t_ms: i64, users: f64) -> Vec<Row> {
        let seconds = s as f64;
        let float = |name: &str, labels: &[(&str, &str)], value: f64| {
            let pairs = labels.iter().copied().chain([("__name__", name)]);
            Row::float(Labels::from_pairs(pairs), t_ms, value)
        };
        let load = [("job", "loadgen"), ("instance", "l"), ("load_scenario", "clinical-rag")];
        let host = [("job", "exporter"), ("instance", "h")];
        let cpu = |cpu: &str, mode: &str, part: f64| {
            let labels = [host[0], host[1], ("cpu", cpu), ("mode", mode)];
            float("node_cpu_seconds_total", &labels, 1000.0 + part * seconds)
        };
        vec![
            float("load_users", &load, users),
            float("load_iterations_total", &load, self.iterations),
            float(
                "load_requests_good_total",
                &[load[0], load[1], load[2], ("load_step", "query")],
                self.good,
            ),
            cpu("0", "idle", 0.5),
            cpu("0", "user", 0.5),
            cpu("1", "idle", 0.7),
            cpu("1", "user", 0.3),
            float("node_memory_MemTotal_bytes", &host, 8e9),
            float("node_memory_MemAvailable_bytes", &host, 5e9 - 1e6 * seconds),
            float("up", &[("job", "demo"), ("instance", "d")], 1.0),
            float("up", &host, 1.0),
            float("process_cpu_seconds_total", &[("job", "demo"), ("instance", "d")], 0.6 * seconds),
            float("process_resident_memory_bytes", &[("job", "demo"), ("instance", "d")], 2e8),
        ]
    }
}

fn snapshot(h: &ExponentialHistogram) -> Histogram {
    h.snapshot()
}

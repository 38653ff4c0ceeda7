//! A load and a service, simulated: what each of them counts at any second, and a record of that as a recorder or a
//! Prometheus would leave it. Invariant: a world is a function of time; a record samples it and adds nothing.

use std::path::{Path, PathBuf};

use assay_model::{ExponentialHistogram, Labels};
use assay_promql::promqltest::{SequenceValue, parse_series_line};
use assay_run::{Manifest, Outcome, Phase, PhaseOutcome};
use assay_tsdb::{Head, HeadOptions};

/// The first instant of every world, in milliseconds since the Unix epoch.
pub(crate) const T0_MS: i64 = 1_700_000_000_000;

/// How a world reaches the judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Recorded each second.
    Recorded,
    /// Exported from a Prometheus that scrapes at this interval, in seconds.
    Exported(i64),
}

impl Form {
    pub(crate) const ALL: [Self; 4] =
        [Self::Recorded, Self::Exported(5), Self::Exported(15), Self::Exported(60)];

    fn interval_s(self) -> f64 {
        match self {
            Self::Recorded => 1.0,
            Self::Exported(s) => s as f64,
        }
    }
}

/// A phase of the load.
#[derive(Clone, Debug)]
pub(crate) struct SimPhase {
    pub(crate) name: &'static str,
    /// First and last second.
    pub(crate) span: (f64, f64),
    pub(crate) warmup: bool,
    /// Requests each second, and how long each takes in seconds.
    pub(crate) rate: f64,
    pub(crate) latency: f64,
    pub(crate) users: f64,
}

/// Requests that fail: from when to when, how many, and their class.
#[derive(Clone, Debug)]
pub(crate) struct Failures {
    pub(crate) span: (f64, f64),
    pub(crate) count: usize,
}

/// What is simulated.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) phases: Vec<SimPhase>,
    pub(crate) failures: Vec<Failures>,
    /// Whether the series of failed requests are there before the first.
    pub(crate) foreseen: bool,
    /// When the generator is killed.
    pub(crate) killed_s: Option<f64>,
    /// When someone stops the load, which ends the phase that is on and the plan after it.
    pub(crate) stopped_s: Option<f64>,
    /// How many generators share the load.
    pub(crate) shards: usize,
    /// The lag of starts behind the schedule, and iterations dropped in each second of a phase.
    pub(crate) lag_s: f64,
    pub(crate) dropped: f64,
    /// Series of the service `app`, in promtool's notation at one second each, from T0 on.
    pub(crate) service: Vec<String>,
    /// When the service answers no scrape.
    pub(crate) down: Vec<(f64, f64)>,
    /// When nothing is recorded.
    pub(crate) stalled: Vec<(f64, f64)>,
    /// What of the record is kept.
    pub(crate) kept: (f64, f64),
    /// Whether the plan is published, and whether there is a `run.json`.
    pub(crate) plan: bool,
    pub(crate) manifest: Option<Outcome>,
    /// By which part of it the latency has grown at the end of each phase.
    pub(crate) drift: f64,
    /// What chance does to it: rates, times, scrapes, figures; none if 0.
    pub(crate) seed: u64,
}

impl Default for World {
    fn default() -> Self {
        let phase = |name, from, to, rate| SimPhase {
            name,
            span: (from, to),
            warmup: name == "warmup",
            rate,
            latency: 0.2,
            users: 20.0,
        };
        Self {
            phases: vec![
                phase("warmup", 0.0, 20.0, 2.0),
                phase("steady", 20.0, 140.0, 2.0),
                phase("peak", 140.0, 260.0, 8.0),
            ],
            failures: Vec::new(),
            foreseen: true,
            killed_s: None,
            stopped_s: None,
            shards: 1,
            lag_s: 0.001,
            dropped: 0.0,
            service: vec![
                "app_requests_total{code=\"200\"} 1000+4x500".to_owned(),
                "app_queue_depth 2x500".to_owned(),
                "process_start_time_seconds 1699990000x500".to_owned(),
            ],
            down: Vec::new(),
            stalled: Vec::new(),
            kept: (-5.0, 1000.0),
            plan: true,
            manifest: Some(Outcome::Finished),
            drift: 0.0,
            seed: 0,
        }
    }
}

/// A request: when it ended, in which phase, how long it took, and whether it failed.
#[derive(Clone, Copy)]
struct Request {
    end_s: f64,
    phase: usize,
    failed: bool,
}

impl World {
    pub(crate) fn phase(&mut self, name: &str) -> &mut SimPhase {
        self.phases.iter_mut().find(|p| p.name == name).expect("is a phase")
    }

    /// The same world on another day: the rates differ by up to 15 %, what happens comes up to five seconds earlier or later, and what
    /// a record has of it is disturbed.
    pub(crate) fn perturbed(mut self, seed: u64) -> Self {
        self.seed = seed;
        for (i, phase) in self.phases.iter_mut().enumerate() {
            phase.rate *= 1.0 + 0.15 * noise(seed, 1, i as u64);
        }
        let later = self.later_s();
        for span in self.down.iter_mut().chain(&mut self.stalled) {
            *span = (span.0 + later, span.1 + later);
        }
        for failures in &mut self.failures {
            failures.span = (failures.span.0 + later, failures.span.1 + later);
        }
        self
    }

    /// By how much later than at home the service does what it does.
    fn later_s(&self) -> f64 {
        (5.0 * noise(self.seed, 2, 0)).round()
    }

    /// How long a request takes: the world's latency with what chance and drift make of it.
    fn takes_s(&self, number: usize, request: &Request) -> f64 {
        let phase = &self.phases[request.phase];
        let gone = (request.end_s - phase.span.0) / (phase.span.1 - phase.span.0);
        phase.latency * (1.0 + self.drift * gone) * (0.15 * noise(self.seed, 3, number as u64)).exp()
    }

    /// A figure as a record has it: gauges are read with an error of up to 3 %.
    fn figure(&self, name: &str, t: f64, v: f64) -> f64 {
        let is_noisy = name.ends_with("_fds")
            || name.ends_with("_queued")
            || name.ends_with("_active")
            || (name.ends_with("_bytes") && !name.contains("Total") && !name.contains("speed"));
        if is_noisy { v * (1.0 + 0.03 * noise(self.seed, 4, t.to_bits())) } else { v }
    }

    /// Leaves only these phases, the first of them from T0 on.
    pub(crate) fn only(mut self, names: &[&str]) -> Self {
        self.phases.retain(|p| names.contains(&p.name));
        let from = self.phases[0].span.0;
        for phase in &mut self.phases {
            phase.span = (phase.span.0 - from, phase.span.1 - from);
        }
        self
    }

    pub(crate) fn failing(mut self, from: f64, to: f64, count: usize) -> Self {
        self.failures.push(Failures { span: (from, to), count });
        self
    }

    pub(crate) fn with(mut self, series: &str) -> Self {
        self.service.push(series.to_owned());
        self
    }

    pub(crate) fn without(mut self, part: &str) -> Self {
        self.service.retain(|s| !s.contains(part));
        self
    }

    /// The last second of the load as it went.
    pub(crate) fn end_s(&self) -> f64 {
        let planned = self.phases.last().expect("has phases").span.1;
        self.stopped_s.map_or(planned, |s| s.min(planned))
    }

    fn requests(&self) -> Vec<Request> {
        let mut out = Vec::new();
        for (at, phase) in self.phases.iter().enumerate() {
            let last = phase.span.1.min(self.end_s()) - phase.latency;
            let mut start = phase.span.0 + 0.5 / phase.rate;
            while start <= last {
                out.push(Request { end_s: start + phase.latency, phase: at, failed: false });
                start += 1.0 / phase.rate;
            }
        }
        for failures in &self.failures {
            let mut left = failures.count;
            for request in out.iter_mut().filter(|r| r.end_s > failures.span.0 && r.end_s <= failures.span.1)
            {
                if left == 0 {
                    break;
                }
                request.failed = true;
                left -= 1;
            }
            assert_eq!(left, 0, "fewer requests than failures in {failures:?}");
        }
        out
    }

    /// Writes a record of each generator on its own, as shards leave them; the service is in the first.
    pub(crate) fn record_shards(&self, dir: &Path) -> Vec<PathBuf> {
        let mut runs = Vec::new();
        for shard in 0..self.shards {
            let run = dir.join(format!("shard-{shard}"));
            let mut head = Head::create(&run.join("data"), HeadOptions::default()).expect("begins");
            let linger = self.end_s() + 2.5;
            self.generator(&mut head, shard, 0.0, 1.0, linger);
            if shard == 0 {
                self.services(&mut head, 0.0, 1.0, linger);
            }
            head.finish().expect("finishes");
            self.describe(&run, &Outcome::Finished, true);
            let mut manifest = Manifest::read(&run).expect("reads");
            let (index, count) = (shard as u32, self.shards as u32);
            manifest.shard = Some(assay_run::manifest::Shard { index, count });
            manifest.write(&run).expect("is written");
            runs.push(run);
        }
        runs
    }

    /// Writes a record into a new run directory; yields its path.
    pub(crate) fn record(&self, dir: &Path, form: Form) -> PathBuf {
        let run = dir.join("run");
        let mut head = Head::create(&run.join("data"), HeadOptions::default()).expect("begins");
        let interval = form.interval_s();
        // The generator stays for two scrapes after its load.
        let linger = self.end_s() + 2.0 * interval + 0.5;
        for shard in 0..self.shards {
            let offset =
                if form == Form::Recorded { 0.0 } else { interval * (0.37 + 0.2 * shard as f64) % interval };
            self.generator(&mut head, shard, offset, interval, self.killed_s.unwrap_or(linger));
        }
        let offset = if form == Form::Recorded { 0.0 } else { interval * 0.71 % interval };
        self.services(&mut head, offset, interval, linger);
        head.finish().expect("finishes");
        if let Some(outcome) = &self.manifest {
            self.describe(&run, outcome, form == Form::Recorded);
        }
        run
    }

    fn describe(&self, run: &Path, outcome: &Outcome, recorded: bool) {
        let mut manifest = Manifest::new("simulated", T0_MS + (self.kept.0.max(-5.0) * 1000.0) as i64);
        let is_killed = self.killed_s.is_some();
        manifest.outcome = (!is_killed || !recorded).then(|| outcome.clone());
        let end_s =
            self.kept.1.min(self.killed_s.unwrap_or(self.end_s() + 1.0).max(self.end_s().min(self.kept.1)));
        manifest.end_ms = (!is_killed || !recorded).then(|| T0_MS + (end_s * 1000.0) as i64);
        if recorded {
            for phase in self.phases.iter().filter(|p| p.span.0 < self.killed_s.unwrap_or(self.end_s())) {
                let is_cut = phase.span.1 > self.end_s();
                let end_s = phase.span.1.min(self.end_s());
                manifest.phases.push(Phase {
                    name: phase.name.to_owned(),
                    start_ms: at_ms(phase.span.0),
                    end_ms: self.killed_s.is_none_or(|k| k >= end_s).then(|| at_ms(end_s)),
                    warmup: phase.warmup,
                    outcome: is_cut.then_some(PhaseOutcome::CutShort),
                });
            }
        }
        manifest.write(run).expect("is written");
    }

    fn is_kept(&self, t: f64) -> bool {
        let within = |(from, to): &(f64, f64)| t >= *from && t < *to;
        t >= self.kept.0 && t <= self.kept.1 && !self.stalled.iter().any(within)
    }

    fn generator(&self, head: &mut Head, shard: usize, offset: f64, interval: f64, until: f64) {
        let instance = format!("l{shard}");
        let base = [("job", "loadgen"), ("instance", instance.as_str()), ("load_run", "r1")];
        let labels = |name: &str, more: &[(&str, &str)]| {
            let pairs = base.iter().copied().chain(more.iter().copied()).chain([("__name__", name)]);
            Labels::from_pairs(pairs)
        };
        let requests = self.requests();
        let new = || ExponentialHistogram::new(160);
        let mut ok: Vec<_> = self.phases.iter().map(|_| new()).collect();
        let mut failed: Vec<_> = self.phases.iter().map(|_| new()).collect();
        let mut lag: Vec<_> = self.phases.iter().map(|_| new()).collect();
        let mut next = 0;
        let mut t = offset - interval;
        while t <= until {
            while next < requests.len() && requests[next].end_s <= t {
                let request = requests[next];
                if next % self.shards == shard {
                    let into = if request.failed { &mut failed } else { &mut ok };
                    into[request.phase].record(self.takes_s(next, &request));
                    lag[request.phase].record(self.lag_s);
                }
                next += 1;
            }
            if self.is_kept(t) && t >= -0.9 {
                let t_ms = at_ms(t);
                for (at, phase) in self.phases.iter().enumerate() {
                    let of = [("load_phase", phase.name), ("load_step", "query")];
                    let mut put = |name: &str, more: &[(&str, &str)], h: &ExponentialHistogram| {
                        let labels = labels(name, &[&of[..], more].concat());
                        head.append_histogram(&labels, t_ms, &h.snapshot()).expect("appends");
                    };
                    let http = "http_client_request_duration_seconds";
                    put(http, &[("http_response_status_code", "200")], &ok[at]);
                    if self.foreseen || failed[at].snapshot().count > 0 {
                        let class = [("http_response_status_code", "500"), ("error_type", "500")];
                        put(http, &class, &failed[at]);
                    }
                    put("load_schedule_lag_seconds", &[], &lag[at]);
                    let done = (ok[at].snapshot().count + failed[at].snapshot().count) as f64;
                    let is_on = t > phase.span.0 && t <= phase.span.1.min(self.end_s());
                    let past = (t.min(phase.span.1) - phase.span.0).max(0.0);
                    for (name, v) in [
                        ("load_iterations_total", done),
                        ("load_iterations_dropped_total", past * self.dropped),
                        ("load_users", if is_on { phase.users } else { 0.0 }),
                    ] {
                        head.append(&labels(name, &of[..1]), t_ms, v).expect("appends");
                    }
                }
                if self.plan {
                    self.publish(head, &labels, t, t_ms);
                }
            }
            t += interval;
        }
    }

    fn publish(&self, head: &mut Head, labels: &MakeLabels<'_>, t: f64, t_ms: i64) {
        let mut put = |name: &str, more: &[(&str, &str)], v: f64| {
            head.append(&labels(name, more), t_ms, v).expect("appends");
        };
        let flag = |is: bool| f64::from(u8::from(is));
        put("load_run_info", &[("load_scenario", "simulated"), ("load_mode", "all")], 1.0);
        let end = self.end_s();
        let state = match self.stopped_s {
            _ if t < end => "running",
            Some(_) => "interrupted",
            None => "finished",
        };
        for outcome in ["running", "finished", "interrupted", "aborted"] {
            put("load_run_outcome", &[("outcome", outcome)], flag(outcome == state));
        }
        for phase in &self.phases {
            let of = ("load_phase", phase.name);
            let warmup = if phase.warmup { "true" } else { "false" };
            put("load_phase_info", &[of, ("executor", "constant-vus"), ("warmup", warmup)], 1.0);
            put("load_phase_planned_seconds", &[of], phase.span.1 - phase.span.0);
            let begun = t >= phase.span.0 && phase.span.0 < end;
            let over = begun && t >= phase.span.1.min(end);
            let seconds = |s: f64| (T0_MS as f64 / 1000.0) + s;
            let start = if begun { seconds(phase.span.0) } else { 0.0 };
            let stop = if over { seconds(phase.span.1.min(end)) } else { 0.0 };
            put("load_phase_start_time_seconds", &[of], start);
            put("load_phase_end_time_seconds", &[of], stop);
            let state = match (begun, over) {
                (false, _) => "planned",
                (true, false) => "running",
                (true, true) if phase.span.1 > end => "cut_short",
                (true, true) => "finished",
            };
            for outcome in ["planned", "running", "finished", "cut_short"] {
                put("load_phase_outcome", &[of, ("outcome", outcome)], flag(outcome == state));
            }
        }
    }

    /// The service's series, and `up` of its targets: a series with an instance of its own is a target of its own.
    fn services(&self, head: &mut Head, offset: f64, interval: f64, until: f64) {
        let parsed: Vec<(Labels, Vec<SequenceValue>)> = self
            .service
            .iter()
            .map(|line| {
                let (labels, values) = parse_series_line(line).unwrap_or_else(|e| panic!("{line}: {e}"));
                let mut builder = labels.to_builder();
                for (name, value) in [("job", "app"), ("instance", "a")] {
                    if labels.get(name).is_none() {
                        builder.set(name, value);
                    }
                }
                (builder.build(), values)
            })
            .collect();
        let mut targets: Vec<Labels> = parsed.iter().map(|(l, _)| l.keep_target()).collect();
        targets.sort();
        targets.dedup();
        let mut t = offset - 10.0 * interval;
        while t <= until {
            let is_down = self.down.iter().any(|(from, to)| t >= *from && t < *to);
            // One scrape in fifty is lost on the way, and none is quite on time.
            let is_lost = noise(self.seed, 5, t.to_bits()) > 0.96;
            let at = t + 0.2 * interval * noise(self.seed, 6, t.to_bits());
            let in_service = t - self.later_s();
            if self.is_kept(t) && !is_lost {
                for target in &targets {
                    let own = || parsed.iter().filter(|(l, _)| l.keep_target() == *target);
                    let found: Vec<_> =
                        own().filter_map(|(l, values)| Some((l, value_at(values, in_service)?))).collect();
                    // A target without any series is not there any more, or not yet.
                    if found.is_empty() {
                        continue;
                    }
                    let up = target.to_builder().set("__name__", "up").build();
                    head.append(&up, at_ms(at), f64::from(u8::from(!is_down))).expect("appends");
                    for (labels, value) in found.into_iter().filter(|_| !is_down) {
                        match value {
                            SequenceValue::Float(v) => {
                                let v = self.figure(labels.metric_name(), t, *v);
                                head.append(labels, at_ms(at), v).expect("appends");
                            }
                            SequenceValue::Histogram { value, .. } => {
                                head.append_float_histogram(labels, at_ms(at), value).expect("appends");
                            }
                            SequenceValue::Omitted => {}
                        }
                    }
                }
            }
            t += interval;
        }
    }
}

/// A number from -1 to 1 that is the same for the same seed, subject and place; 0 for no seed.
pub(crate) fn noise(seed: u64, subject: u64, place: u64) -> f64 {
    if seed == 0 {
        return 0.0;
    }
    // SplitMix64 (Steele, Lea and Flood 2014), a step for each.
    let mut state = 0u64;
    for part in [seed, subject, place] {
        state = (state ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^= state >> 31;
    }
    (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

trait KeepTarget {
    fn keep_target(&self) -> Labels;
}

impl KeepTarget for Labels {
    fn keep_target(&self) -> Labels {
        self.without(|name| name != "job" && name != "instance")
    }
}

/// The value at a time, of values that stand one second apart; before T0 that of T0.
fn value_at(values: &[SequenceValue], t: f64) -> Option<&SequenceValue> {
    let at = t.max(0.0).floor() as usize;
    values.get(at).filter(|v| **v != SequenceValue::Omitted)
}

/// Makes the labels of a generator's series of its name and labels.
type MakeLabels<'a> = dyn Fn(&str, &[(&str, &str)]) -> Labels + 'a;

/// A second of the world, in milliseconds since the Unix epoch.
pub(crate) fn at_ms(s: f64) -> i64 {
    T0_MS + (s * 1000.0).round() as i64
}

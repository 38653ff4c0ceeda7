//! Each kind of fault, planted in a service that traces: it shows in the span and the histogram of its own stage, or where
//! else it must. A kind without a line here does not compile.

use std::time::{Duration, Instant};

use demo::service::FaultKind;
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};
use serde_json::{Value, json};

use crate::{
    client::{PATIENCE, Reply, Running, question, read},
    traces::{Spans, collector, hex, serve, text},
};

/// Where a fault shows.
enum Shows {
    /// The stage takes so many seconds at least, and no other does.
    Takes(&'static str, f64),
    /// The stage fails.
    Fails(&'static str),
    /// A second answer's first token waits until the first answer has ended.
    Waits,
    /// A metric of the process grows by so much.
    Grows(&'static str, f64),
    /// A question that was answered goes through the stages again.
    AsksAgain,
    /// Tokens and counts are gone.
    Forgets,
}

/// What is planted for a kind, and where it shows.
fn shows(kind: FaultKind) -> (&'static [&'static str], Shows) {
    match kind {
        FaultKind::SlowEmbed => (&["slow-embed=100"], Shows::Takes("embed", 2.0)),
        FaultKind::SlowSearch => (&["slow-search=100"], Shows::Takes("search", 2.0)),
        FaultKind::LlmSlots => (&["llm-slots=1"], Shows::Waits),
        FaultKind::Stalls => (&["stalls=1"], Shows::Takes("generate", 5.0)),
        FaultKind::StallSeconds => (&["stall-seconds=2.5", "stalls=1"], Shows::Takes("generate", 2.5)),
        FaultKind::Errors => (&["errors=1"], Shows::Fails("generate")),
        FaultKind::StreamErrors => (&["stream-errors=1"], Shows::Fails("generate")),
        FaultKind::MemoryLeak => {
            (&["memory-leak=100MB"], Shows::Grows("process_resident_memory_bytes", 20e6))
        }
        FaultKind::FdLeak => (&["fd-leak=500"], Shows::Grows("process_open_fds", 50.0)),
        FaultKind::CpuBurn => (&["cpu-burn=1"], Shows::Grows("process_cpu_seconds_total", 0.5)),
        FaultKind::Restart => (&["restart=0.2"], Shows::Forgets),
        FaultKind::CacheOff => (&["cache-off"], Shows::AsksAgain),
    }
}

const STAGES: [&str; 5] = ["auth", "embed", "search", "prompt", "generate"];

/// Stages that take long enough for a factor to be seen, and a model that takes far less.
const PROFILE: &str = "profile: p\nstages: {embed: 20ms, search: 20ms}\nllm: {per_token: 200us}\n";

struct Bench {
    running: Running,
    spans: Spans,
    traces: u32,
    token: String,
}

impl Bench {
    /// The trace of the next request, and the header that says so.
    fn trace(&mut self) -> (String, String) {
        self.traces += 1;
        let id = format!("{:032x}", self.traces);
        let header = format!("00-{id}-00000000000000aa-01");
        (id, header)
    }

    /// Asks a question; yields its trace.
    async fn ask(&mut self, cache_control: &str) -> (String, Reply) {
        let (trace, header) = self.trace();
        let mut body = question();
        body["stream"] = true.into();
        let headers = [
            ("authorization", self.token.as_str()),
            ("traceparent", &header),
            ("cache-control", cache_control),
        ];
        (trace, self.running.ask("POST", "/query", &headers, &body).await)
    }

    /// The spans of a trace, once the last of them has come: that of the request itself.
    async fn spans(&self, trace: &str) -> Vec<Span> {
        let start = Instant::now();
        loop {
            let of = |span: &&Span| hex(&span.trace_id) == trace;
            let found: Vec<Span> = self.spans.lock().unwrap().iter().filter(of).cloned().collect();
            if found.iter().any(|span| span.name.starts_with("POST ")) {
                return found;
            }
            assert!(start.elapsed() < PATIENCE, "no spans of {trace}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Seconds and number of a stage so far, from its histogram.
    async fn histogram(&self, stage: &str) -> (f64, f64) {
        let series = |part| format!("rag_stage_duration_seconds_{part}{{stage=\"{stage}\"}}");
        (self.running.metric(&series("sum")).await, self.running.metric(&series("count")).await)
    }

    async fn takes(&mut self, slow: &str, seconds: f64) {
        let mut before = Vec::new();
        for stage in STAGES {
            before.push(self.histogram(stage).await);
        }
        let (trace, reply) = self.ask("no-cache").await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let spans = self.spans(&trace).await;
        for (stage, before) in STAGES.into_iter().zip(before) {
            let after = self.histogram(stage).await;
            let (in_span, in_histogram) = (length(of_stage(&spans, stage)), after.0 - before.0);
            assert_eq!(after.1, before.1 + 1.0, "{stage} is counted once");
            for took in [in_span, in_histogram] {
                assert_eq!(took >= seconds, stage == slow, "{stage} took {took} s; {slow} is slow");
            }
        }
    }

    async fn fails(&mut self, stage: &str) {
        let before = self.histogram(stage).await;
        let (trace, reply) = self.ask("no-cache").await;
        assert!(reply.body.contains("planted"), "{}", reply.body);
        let spans = self.spans(&trace).await;
        for span in spans.iter().filter(|span| text(span, "rag.stage").is_some()) {
            let failed = span.status.as_ref().is_some_and(|s| s.code == StatusCode::Error as i32);
            assert_eq!(failed, text(span, "rag.stage").as_deref() == Some(stage), "{}", span.name);
            assert_eq!(text(span, "error.type").as_deref(), failed.then_some("planted"));
        }
        assert_eq!(self.histogram(stage).await.1, before.1 + 1.0, "what failed is in the histogram");
    }

    /// A long answer and a short one at once.
    async fn waits(&mut self) {
        let before = self.histogram("generate").await;
        let (first, second) = (self.trace(), self.trace());
        let chat = |tokens: u32| {
            json!({"messages": [{"role": "user", "content": "hello"}], "max_tokens": tokens, "ignore_eos": true})
                .to_string()
        };
        let headers = |trace: &'static str| [("authorization", "Bearer demo"), ("traceparent", trace)];
        let path = "/v1/chat/completions";
        let long = self.running.send("POST", path, &headers(String::leak(first.1)), &chat(8000)).await;
        self.running.until("rag_llm_active", 1.0).await;
        let short = self.running.send("POST", path, &headers(String::leak(second.1)), &chat(5)).await;
        assert_eq!((read(long).await.status, read(short).await.status), (200, 200));
        let spans = [self.spans(&first.0).await, self.spans(&second.0).await];
        let [long, short] = [&spans[0], &spans[1]].map(|spans| of_stage(spans, "generate"));
        let first_chunk: f64 = text(short, "gen_ai.response.time_to_first_chunk").unwrap().parse().unwrap();
        let waited = (long.end_time_unix_nano.saturating_sub(short.start_time_unix_nano)) as f64 / 1e9;
        assert!(
            first_chunk > waited - 0.05,
            "it came after {first_chunk} s, the slot was free after {waited} s"
        );
        let (seconds, count) = self.histogram("generate").await;
        assert_eq!(count, before.1 + 2.0);
        assert!(seconds - before.0 >= first_chunk, "the wait is part of the stage");
    }

    async fn grows(&self, metric: &str, by: f64) {
        let (before, start) = (self.running.metric(metric).await, Instant::now());
        // How fast depends on the machine; that it happens does not.
        while self.running.metric(metric).await < before + by {
            assert!(start.elapsed() < PATIENCE, "{metric} stays at {before}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn asks_again(&mut self) {
        for _ in 0..2 {
            let (trace, reply) = self.ask("max-age=60").await;
            assert!(reply.head.contains("x-cache: bypass"), "{}", reply.head);
            let spans = self.spans(&trace).await;
            assert!(STAGES.iter().all(|stage| of_stage(&spans, stage).parent_span_id.len() == 8));
        }
    }

    async fn forgets(&self) {
        self.running.until_forgotten(&self.token).await;
        for stage in ["embed", "search", "prompt", "generate"] {
            assert_eq!(self.histogram(stage).await.1, 0.0);
        }
    }
}

fn of_stage<'s>(spans: &'s [Span], stage: &str) -> &'s Span {
    let found = spans.iter().find(|span| text(span, "rag.stage").as_deref() == Some(stage));
    found.unwrap_or_else(|| panic!("no span of {stage}: {spans:?}"))
}

fn length(span: &Span) -> f64 {
    (span.end_time_unix_nano - span.start_time_unix_nano) as f64 / 1e9
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_fault_shows_where_it_must() {
    let (spans, dir) = (Spans::default(), tempfile::tempdir().unwrap());
    let profile = dir.path().join("p.yml");
    std::fs::write(&profile, PROFILE).unwrap();
    let url = collector(&spans).await;
    let (_process, running) = serve(&["--otlp", &url, "--profile", profile.to_str().unwrap()]).await;
    let mut bench = Bench { running, spans, traces: 0, token: String::new() };
    for kind in FaultKind::all() {
        bench.token = bench.running.log_in("resident").await;
        let (faults, shows) = shows(kind);
        bench.running.plant(faults).await;
        let series = format!("rag_fault_planted{{fault=\"{}\"}}", kind.name());
        if !matches!(shows, Shows::Forgets) {
            assert!(bench.running.metric(&series).await > 0.0, "{kind:?}");
        }
        match shows {
            Shows::Takes(stage, seconds) => bench.takes(stage, seconds).await,
            Shows::Fails(stage) => bench.fails(stage).await,
            Shows::Waits => bench.waits().await,
            Shows::Grows(metric, by) => bench.grows(metric, by).await,
            Shows::AsksAgain => bench.asks_again().await,
            Shows::Forgets => bench.forgets().await,
        }
        let admin = bench.running.log_in("admin").await;
        bench.running.ask("DELETE", "/admin/fault", &[("authorization", &admin)], &Value::Null).await;
        assert_eq!(bench.running.metric(&series).await, 0.0, "{kind:?}");
    }
}

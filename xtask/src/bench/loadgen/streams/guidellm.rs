//! guidellm, told to read the same streams. Invariant: what is shown is what it reports of requests that
//! succeeded; its inter-token latency is one mean a request, not one value an event.

use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{
    super::{
        distribution::Percentiles,
        rig::{Rig, Served, find},
    },
    Truth,
};

/// What it reports: times to the first token, and between tokens.
pub(super) struct Report {
    pub(super) first: Percentiles,
    pub(super) gap: Percentiles,
    pub(super) truth: Truth,
}

/// Runs it with `streams` streams at a time; `None` where it is not installed.
pub(super) fn run(rig: &Rig, plan: &str, streams: u32, seconds: u64) -> Result<Option<Report>> {
    let Some(program) = find("guidellm") else { return Ok(None) };
    let (prompts, report) = (rig.dir.join("prompts.jsonl"), rig.dir.join("guidellm.json"));
    let lines: String = (0..20_000).map(|i| format!("{{\"prompt\": \"question {i}\"}}\n")).collect();
    fs::write(&prompts, lines)?;
    let server: Served = rig.serve(plan)?;
    let target = server.url();
    let arguments = [
        "run".to_owned(),
        "--backend".to_owned(),
        format!(
            "kind=openai_http,target={},model=bench,validate_backend=false",
            target.trim_end_matches('/')
        ),
        "--profile".to_owned(),
        format!("kind=concurrent,streams={streams}"),
        "--constraint".to_owned(),
        format!("kind=max_duration,seconds={seconds}"),
        "--data".to_owned(),
        format!("kind=json_file,path={}", prompts.display()),
        "--output".to_owned(),
        format!("kind=json,path={}", report.display()),
        "--disable-console-interactive".to_owned(),
    ];
    rig.client(&program, &arguments)?;
    let truth = Truth::of(&server.quit(0)?);
    let value: Value = serde_json::from_str(&fs::read_to_string(&report)?)?;
    let metrics = value["benchmarks"][0]["metrics"].as_object().context("guidellm's metrics")?;
    let of = |name: &str| {
        let p = &metrics[name]["successful"]["percentiles"];
        ["p50", "p90", "p95", "p99", "p999"].map(|n| p[n].as_f64().map_or(f64::NAN, |ms| ms / 1e3))
    };
    Ok(Some(Report { first: of("time_to_first_token_ms"), gap: of("inter_token_latency_ms"), truth }))
}

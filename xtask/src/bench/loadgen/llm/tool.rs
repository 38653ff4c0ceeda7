//! The tools: how each is made to send the same requests, and what it writes of each. Invariant: what a tool does not
//! write of a request is not made up; such a request is left out.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    super::rig::{Rig, Served, find},
    pairs::Times,
};

/// A load generator that knows what a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    Loadgen,
    Guidellm,
    Aiperf,
}

/// What is asked for.
pub(super) struct Job<'j> {
    /// Requests each second.
    pub(super) rate: f64,
    pub(super) seconds: u64,
    /// How long a request takes.
    pub(super) length_s: f64,
    pub(super) tokens: u32,
    pub(super) tokenizer: &'j Path,
}

impl Job<'_> {
    fn count(&self) -> u64 {
        ((self.rate * self.seconds as f64) as u64).max(1)
    }
}

/// Those that are installed, loadgen first; the others are named on standard output.
pub(super) fn installed(rig: &Rig, tokenizer: &Path) -> Vec<(Tool, PathBuf)> {
    let mut tools = vec![(Tool::Loadgen, rig.loadgen.clone())];
    for tool in [Tool::Guidellm, Tool::Aiperf] {
        let name = tool.name();
        match find(name) {
            Some(_) if tool == Tool::Aiperf && !tokenizer.join("tokenizer.json").is_file() => {
                println!(
                    "{name} needs a tokenizer, and there is none in {}: it is left out",
                    tokenizer.display()
                );
            }
            Some(program) => tools.push((tool, program)),
            None => println!("{name} is not installed and is left out"),
        }
    }
    tools
}

impl Tool {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Loadgen => "loadgen",
            Self::Guidellm => "guidellm",
            Self::Aiperf => "aiperf",
        }
    }

    /// The arguments of a run. A tool that takes prompts from a file gets as many as it needs.
    pub(super) fn arguments(self, rig: &Rig, server: &Served, job: &Job<'_>) -> Result<Vec<String>> {
        let prompts = rig.dir.join("prompts.jsonl");
        let member = if self == Self::Aiperf { "text" } else { "prompt" };
        let lines: String =
            (0..job.count()).map(|i| format!("{}\n", json!({member: format!("question {i}")}))).collect();
        fs::write(&prompts, lines)?;
        let (target, prompts) = (server.url().trim_end_matches('/').to_owned(), prompts.display());
        let report = self.report(rig);
        if report.is_dir() {
            fs::remove_dir_all(&report)?;
        }
        match self {
            Self::Loadgen => {
                // Twice the users that are needed: a late answer holds up no request.
                let users = (job.rate * job.length_s * 2.0).ceil() as u64 + 10;
                let phase = format!(
                    "{{executor: constant-arrival-rate, rate: {}/s, pre_allocated_vus: {users}, max_vus: {users}, duration: {}s}}",
                    job.rate, job.seconds
                );
                let step = format!(
                    "{{name: chat, openai: chat, json: {{model: bench, stream: true, max_tokens: {}, messages: [{{role: user, content: \"question {{{{ vu }}}}\"}}]}}}}",
                    job.tokens
                );
                let mut words = rig.scenario(server.port, &step, &[&phase])?;
                words.extend(["--requests".to_owned(), report.display().to_string()]);
                Ok(words)
            }
            Self::Guidellm => Ok(words(&[
                "run",
                "--backend",
                &format!(
                    "kind=openai_http,target={target},model=bench,validate_backend=false,max_tokens={}",
                    job.tokens
                ),
                "--profile",
                &format!("kind=constant,rate={}", job.rate),
                "--constraint",
                &format!("kind=max_requests,count={}", job.count()),
                "--data",
                &format!("kind=json_file,path={prompts}"),
                "--output",
                &format!("kind=json,path={}", report.display()),
                "--disable-console-interactive",
            ])),
            Self::Aiperf => Ok(words(&[
                "profile",
                "--model",
                "bench",
                "--url",
                &target,
                "--endpoint-type",
                "chat",
                "--streaming",
                "--tokenizer",
                &job.tokenizer.display().to_string(),
                "--input-file",
                &prompts.to_string(),
                "--custom-dataset-type",
                "single_turn",
                "--arrival-pattern",
                "constant",
                "--request-rate",
                &job.rate.to_string(),
                "--request-count",
                &job.count().to_string(),
                "--use-server-token-count",
                "--no-gpu-telemetry",
                "--no-server-metrics",
                "--export-level",
                "records",
                "--ui",
                "none",
                "--artifact-dir",
                &report.display().to_string(),
            ])),
        }
    }

    /// Where it writes its requests.
    fn report(self, rig: &Rig) -> PathBuf {
        rig.dir.join(match self {
            Self::Loadgen => "loadgen.jsonl",
            Self::Guidellm => "guidellm.json",
            Self::Aiperf => "aiperf",
        })
    }

    /// The times of each request that it answered, as it has them.
    pub(super) fn times(self, rig: &Rig) -> Result<Vec<Times>> {
        let report = self.report(rig);
        match self {
            Self::Loadgen => lines(&report, |row| {
                let s = |name: &str| row[name].as_f64();
                Some(Times {
                    sent_s: s("sent_at")?,
                    first_s: s("time_to_first_chunk_s")?,
                    gap_s: s("time_per_output_token_s")?,
                })
            }),
            Self::Guidellm => {
                let report: Value = serde_json::from_str(&read(&report)?)?;
                let requests = report["benchmarks"][0]["requests"]["successful"].as_array();
                let times = |row: &Value| {
                    let n = |name: &str| row[name].as_f64();
                    Some(Times {
                        sent_s: n("request_start_time")?,
                        first_s: n("time_to_first_token_ms")? / 1e3,
                        gap_s: n("inter_token_latency_ms")? / 1e3,
                    })
                };
                Ok(requests.context("guidellm's requests")?.iter().filter_map(times).collect())
            }
            Self::Aiperf => lines(&report.join("profile_export.jsonl"), |row| {
                let ms = |name: &str| row["metrics"][name]["value"].as_f64();
                Some(Times {
                    sent_s: row["metadata"]["request_start_ns"].as_f64()? / 1e9,
                    first_s: ms("time_to_first_token")? / 1e3,
                    gap_s: ms("inter_token_latency")? / 1e3,
                })
            }),
        }
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// The requests of a file of JSON lines.
fn lines(path: &Path, times: impl Fn(&Value) -> Option<Times>) -> Result<Vec<Times>> {
    let rows: Vec<Value> = read(path)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    Ok(rows.iter().filter_map(times).collect())
}

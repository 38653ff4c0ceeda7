//! Conversations from a large file: what loadgen holds in memory, and how soon its first request comes. Invariant: the
//! file is as large as asked for before loadgen starts, and the first request is the one that the server had.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use serde_json::{Value, json};

use super::{
    rig::{Client, Rig},
    server,
};

/// The file and the load.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The size of the file in bytes.
    #[arg(long, default_value_t = 1_000_000_000)]
    bytes: u64,
    /// Conversations.
    #[arg(long, default_value_t = 5000)]
    conversations: u32,
    /// Conversations at a time.
    #[arg(long, default_value_t = 100)]
    users: u32,
    /// Questions of a conversation, at most.
    #[arg(long, default_value_t = 20)]
    turns: u32,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let rig = Rig::make("conversations")?;
    let held_mib = write(&rig.dir.join("chats.json"), options)?;
    println!(
        "\n| order | requests | first request after, s | resident MiB: median | largest | live histories, at most | CPU µs a request |\n|---|---|---|---|---|---|---|"
    );
    for (order, row) in [("of the file", "next"), ("shuffled", "random")] {
        let (mut client, requests, first_s) = once(&rig, options, row)?;
        client.resident_mib.sort_by(f64::total_cmp);
        println!(
            "| {order} | {requests} | {first_s:.3} | {:.1} | {:.1} | {:.1} | {:.1} |",
            client.resident_mib.get(client.resident_mib.len() / 2).copied().unwrap_or(f64::NAN),
            client.peak_mib,
            held_mib * f64::from(options.users),
            client.cpu_s * 1e6 / requests as f64
        );
    }
    Ok(())
}

/// The scenario: each conversation asks its questions in turn, with the model's own answers between them.
fn scenario(port: u16, options: &Options, row: &str) -> String {
    format!(
        "scenario: conversations
target: http://127.0.0.1:{port}
data: {{chats: chats.json}}
flow:
  - set: {{chat: \"{{{{ chats.{row} }}}}\"}}
  - set: {{asked: \"{{{{ chat.conversations | selectattr('from', 'eq', 'human') | map(attribute='value') | list }}}}\"}}
  - set: {{messages: \"{{{{ [] }}}}\"}}
  - repeat:
      - set: {{messages: \"{{{{ messages + [{{'role': 'user', 'content': asked[turn - 1]}}] }}}}\"}}
      - {{name: turn, openai: chat, json: {{model: m, messages: \"{{{{ messages }}}}\", stream: true}}, capture: {{answer: {{content: all}}}}}}
      - set: {{messages: \"{{{{ messages + [{{'role': 'assistant', 'content': answer}}] }}}}\"}}
    as: turn
    times: \"{{{{ asked | length }}}}\"
phases: {{steady: {{executor: shared-iterations, vus: {}, iterations: {}, max_duration: 1h}}}}
",
        options.users, options.conversations
    )
}

/// Runs the scenario; yields the client, its requests, and the seconds to the first of them.
fn once(rig: &Rig, options: &Options, row: &str) -> Result<(Client, usize, f64)> {
    let server = rig.serve("stream:16:0.002:0.01")?;
    let file = rig.dir.join("scenario.yml");
    std::fs::write(&file, scenario(server.port, options, row))?;
    let file = file.display().to_string();
    let arguments = ["run", &file, "--quiet", "--workers", "1", "--summary", "json"].map(str::to_owned);
    let begun_ns = server::now_ns();
    let client = rig.client(&rig.loadgen, &arguments)?;
    let summary: Value = serde_json::from_str(&client.stdout)?;
    ensure!(summary["errors"] == 0, "loadgen saw errors: {summary}");
    let log = server.quit(0)?;
    let first_ns = log.received_ns.first().context("no request")?;
    Ok((client, log.received_ns.len(), (first_ns - begun_ns) as f64 / 1e9))
}

/// Writes a file in ShareGPT's form, the same each time; yields the MiB of the largest conversation.
fn write(path: &Path, options: &Options) -> Result<f64> {
    const WORDS: [&str; 8] = ["water", "under", "the", "long", "which", "name", "number", "people"];
    let (mut random, begun) = (SmallRng::seed_from_u64(1), Instant::now());
    let mut text = |from: &str, words: u32| {
        let words: Vec<_> = (0..words).map(|_| WORDS[random.random_range(0..WORDS.len())]).collect();
        json!({"from": from, "value": words.join(" ")})
    };
    let mut lengths = SmallRng::seed_from_u64(2);
    let mut out = BufWriter::new(File::create(path)?);
    let (mut bytes, mut count, mut largest) = (0u64, 0u64, 0usize);
    while bytes < options.bytes {
        let turns = lengths.random_range(1..=options.turns);
        let said: Vec<Value> = (0..turns)
            .flat_map(|_| {
                let (asked, answered) = (lengths.random_range(5..=60), lengths.random_range(20..=300));
                [text("human", asked), text("gpt", answered)]
            })
            .collect();
        let line = json!({"id": format!("c{count}"), "conversations": said}).to_string();
        largest = largest.max(line.len());
        let begin = if count == 0 { "[" } else { ",\n" };
        write!(out, "{begin}{line}")?;
        bytes += (begin.len() + line.len()) as u64;
        count += 1;
    }
    out.write_all(b"]\n")?;
    out.flush()?;
    println!("{count} conversations in {bytes} bytes, written in {:.0} s", begun.elapsed().as_secs_f64());
    Ok(largest as f64 / f64::from(1u32 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_an_array_of_conversations() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("assay-bench-chats-{}", std::process::id()));
        let options = Options { bytes: 50_000, conversations: 1, users: 1, turns: 3 };
        write(&folder, &options)?;
        let all: Vec<Value> = serde_json::from_slice(&std::fs::read(&folder)?)?;
        std::fs::remove_file(&folder)?;
        assert!(all.len() > 5);
        for chat in all {
            let said = chat["conversations"].as_array().context("an array")?;
            assert!(said.len() <= 6 && said[0]["from"] == "human" && said[1]["from"] == "gpt");
        }
        Ok(())
    }
}

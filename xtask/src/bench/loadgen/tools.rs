//! The other load generators: how each is called and what it prints. Invariant: one that is not installed is
//! left out and said so.

mod paced;

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::rig::find;

/// A load generator that others wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    Wrk,
    Oha,
    Hey,
    Locust,
}

impl Tool {
    /// Those that are measured in a closed loop.
    pub(super) const FAST: [Self; 3] = [Self::Wrk, Self::Oha, Self::Hey];
    /// Those that can keep to a rate.
    pub(super) const PACED: [Self; 3] = [Self::Oha, Self::Hey, Self::Locust];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Wrk => "wrk",
            Self::Oha => "oha",
            Self::Hey => "hey",
            Self::Locust => "locust",
        }
    }

    /// The arguments of a closed loop.
    pub(super) fn closed(self, connections: u32, seconds: u64, url: &str) -> Vec<String> {
        let (c, s) = (connections.to_string(), format!("{seconds}s"));
        let words: &[&str] = match self {
            Self::Wrk => &["-t", "1", "-c", &c, "-d", &s, "--latency", url],
            Self::Oha => &["-z", &s, "-c", &c, "--no-tui", "--output-format", "json", url],
            Self::Hey => &["-z", &s, "-c", &c, url],
            Self::Locust => &[],
        };
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    /// How many requests were answered.
    pub(super) fn requests(self, stdout: &str) -> Result<f64> {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        match self {
            Self::Wrk => {
                let line = stdout.lines().find(|l| l.contains(" requests in ")).context(stdout.to_owned())?;
                words(line).first().context("a count")?.parse().context("wrk's count")
            }
            Self::Oha => {
                let value: Value = serde_json::from_str(stdout)?;
                value["statusCodeDistribution"]["200"].as_f64().context("oha's count")
            }
            Self::Hey => {
                let line = stdout
                    .lines()
                    .find(|l| l.trim_start().starts_with("[200]"))
                    .context(stdout.to_owned())?;
                words(line).get(1).context("a count")?.parse().context("hey's count")
            }
            Self::Locust => bail!("locust has no closed loop here"),
        }
    }
}

/// Those that are installed; the others are named on standard output.
pub(super) fn installed(tools: &[Tool]) -> Vec<(Tool, PathBuf)> {
    let mut found = Vec::new();
    for &tool in tools {
        match find(tool.name()) {
            Some(path) => found.push((tool, path)),
            None => println!("{} is not installed and is left out", tool.name()),
        }
    }
    for (tool, path) in &found {
        println!("{}: {}", tool.name(), version(*tool, path).unwrap_or_else(|| "version unknown".to_owned()));
    }
    found
}

/// What a tool says of its version; hey says nothing.
fn version(tool: Tool, path: &PathBuf) -> Option<String> {
    let argument = match tool {
        Tool::Wrk => "-v",
        Tool::Oha | Tool::Locust => "--version",
        Tool::Hey => return None,
    };
    let output = Command::new(path).arg(argument).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().map(|line| line.split(" Copyright").next().unwrap_or(line).to_owned())
}

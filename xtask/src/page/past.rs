//! Runs of the past, made of one that was driven: a folder with a history, and a baseline that was faster. Invariant: what is made has
//! the form that the tools write; only figures and dates are others.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use regex::{Captures, Regex};
use serde_json::{Value, json};

use crate::{folder, shell};

/// How many runs the history has, and with which of them requests begin to take longer.
const RUNS: usize = 24;
const STEP: usize = 16;

/// A folder of judged runs, one a day, whose latencies grow by 30 % with one of them.
pub(super) fn runs(run: &Path, dir: &Path) -> Result<PathBuf> {
    let past = dir.join("past");
    folder::fresh(&past)?;
    let read = |file: &str| -> Result<Value> {
        let path = run.join(file);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(serde_json::from_str(&text)?)
    };
    let (manifest, verdict) = (read("run.json")?, read("verdict.json")?);
    for number in 0..RUNS {
        let path = past.join(format!("run-{number:02}"));
        fs::create_dir(&path)?;
        let (mut manifest, mut verdict) = (manifest.clone(), verdict.clone());
        manifest["start"] = json!(format!("2026-10-{:02}T10:00:00.000Z", number + 1));
        manifest["end"] = json!(format!("2026-10-{:02}T10:01:00.000Z", number + 1));
        manifest["phases"] = json!([]);
        for row in verdict["objectives"].as_array_mut().into_iter().flatten() {
            let noise = ((number * 7) % 11) as f64 / 11.0 - 0.5;
            let step = if number >= STEP && row["unit"] == "s" { 1.3 } else { 1.0 };
            if let Some(value) = row["value"].as_f64() {
                row["value"] = json!(value * (1.0 + 0.05 * noise) * step);
            }
        }
        fs::write(path.join("run.json"), manifest.to_string())?;
        fs::write(path.join("verdict.json"), verdict.to_string())?;
    }
    Ok(past)
}

/// The page of a comparison of a run with a baseline in which everything took a fifth less.
pub(super) fn comparison(ruleseval: &Path, run: &Path, dir: &Path) -> Result<PathBuf> {
    let (file, page) = (dir.join("faster.yaml"), dir.join("worse.html"));
    shell::run(Command::new(ruleseval).arg("baseline").arg(run).arg("--output").arg(&file))?;
    let text = fs::read_to_string(&file)?;
    let (head, measures) = text.split_once("\nmeasures:").context("a baseline has measures")?;
    let number = Regex::new(r"\d+\.\d+")?;
    let faster = |found: &Captures<'_>| {
        found[0].parse::<f64>().map_or_else(|_| found[0].to_owned(), |v| format!("{}", v * 0.8))
    };
    let is_value = |line: &&str| {
        let line = line.trim_start().trim_start_matches("- ");
        line.starts_with("value") || line.starts_with(|c: char| c.is_ascii_digit())
    };
    let lines = measures.lines().map(|line| match is_value(&line) {
        true => number.replace_all(line, faster).into_owned(),
        false => line.to_owned(),
    });
    fs::write(&file, format!("{head}\nmeasures:{}\n", lines.collect::<Vec<_>>().join("\n")))?;
    let status =
        Command::new(ruleseval).arg("compare").args([&file, run]).arg("--html").arg(&page).output()?;
    // What came out of it is on the page.
    anyhow::ensure!(page.is_file(), "{}", String::from_utf8_lossy(&status.stderr));
    Ok(page)
}

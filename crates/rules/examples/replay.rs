//! Replays rules over a Prometheus data directory and prints when alerts were active.
//!
//! `cargo run -p assay-rules --example replay -- DATA-DIRECTORY RULE-FILE…`

use std::{path::Path, time::Instant};

use assay_model::{Queryable, duration::format_ms};
use assay_rules::{ReplayOptions, RuleFiles, replay};
use assay_tsdb::{Database, OpenOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, patterns @ ..] = arguments.as_slice() else {
        return Err("usage: replay DATA-DIRECTORY RULE-FILE…".into());
    };
    let begun = Instant::now();
    let database = Database::open(Path::new(directory), OpenOptions::default())?;
    let files = RuleFiles::load(patterns)?;
    let (start_ms, end_ms) = database.time_range().ok_or("the directory holds no sample")?;
    let read_s = begun.elapsed().as_secs_f64();
    let result = replay(&database, &files, &ReplayOptions::new(start_ms, end_ms));
    for alert in &result.alerts {
        let since_start = |ms: i64| format_ms(ms - start_ms);
        println!(
            "{} active {} firing {} until {}",
            alert.labels,
            since_start(alert.active_at_ms),
            alert.fired_at_ms.map_or_else(|| "never".to_owned(), since_start),
            alert.ended_at_ms.map_or_else(|| "the end".to_owned(), since_start),
        );
    }
    for error in &result.errors {
        let rule = &files.groups[error.id.group].rules[error.id.rule];
        eprintln!("{}: {} evaluations failed: {}", rule.title(), error.count, error.message);
    }
    let rules: usize = files.groups.iter().map(|g| g.rules.len()).sum();
    let samples: usize = result.rules.iter().map(|r| r.samples).sum();
    eprintln!(
        "{rules} rules, {samples} samples written; read in {read_s:.3} s, replayed in {:.3} s",
        begun.elapsed().as_secs_f64() - read_s
    );
    Ok(())
}

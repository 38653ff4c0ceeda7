//! Planted causes and runs that are well, as chance disturbs them: simulated, and recorded on a real GPU. Invariant: a seed gives the
//! same disturbances each time.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use assay_model::{Column, Queryable as _};
use assay_tsdb::{Head, HeadOptions};
use assay_verdict::{
    eval::{EvalOptions, eval},
    findings::Finding,
};

use crate::{
    causes::{causes, found, heading, well},
    healthy::ALL,
    world::noise,
};

fn key(found: &[Finding]) -> Vec<String> {
    found.iter().filter(|f| f.severity.as_str() != "info").map(heading).collect()
}

#[test]
fn what_chance_does_to_a_run_changes_neither_cause_nor_silence() {
    let mut wrong = String::new();
    for (name, world, want) in causes() {
        let key = key(&found(&world.perturbed(1), ALL));
        if key.first().is_none_or(|first| first != want) {
            let _ = writeln!(wrong, "{name}: wanted {want}, and found {key:?}");
        }
    }
    for seed in 0..3 {
        let key = key(&found(&well().perturbed(seed), ALL));
        if !key.is_empty() {
            let _ = writeln!(wrong, "well, seed {seed}: {key:?}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Prints the table of docs/findings.md: `cargo xtask bench soundness --simulated`.
#[test]
#[ignore = "a measurement"]
fn matrix() {
    const RUNS: u64 = 10;
    const WELL: u64 = 20;
    let mut wrong = Vec::new();
    println!("| planted | must come first | first in | first in the others |\n|---|---|---|---|");
    let mut row = |name: &str, want: &str, firsts: Vec<String>| {
        let right = firsts.iter().filter(|f| *f == want).count() as u64;
        let others: BTreeSet<_> = firsts.into_iter().filter(|f| f != want).collect();
        let others = others.into_iter().collect::<Vec<_>>().join(", ");
        println!("| {name} | {want} | {right} of {RUNS} | {others} |");
        if right * 10 < RUNS * 9 {
            wrong.push(format!("{name}: {right} of {RUNS}"));
        }
    };
    let first = |key: Vec<String>| key.into_iter().next().unwrap_or_else(|| "nothing".to_owned());
    for (name, world, want) in causes() {
        let firsts = (1..=RUNS).map(|seed| first(key(&found(&world.clone().perturbed(seed), ALL))));
        row(name, want, firsts.collect());
    }
    if let Some(short) = assay_testkit::data("h200-llm") {
        let runs: Vec<_> = (1..=RUNS).map(|seed| on_gpu(&short, seed)).collect();
        let has = |run: &[String], want: &str| {
            if run.iter().any(|f| f == want) { want.to_owned() } else { format!("{run:?}") }
        };
        let firsts = runs.iter().map(|run| first(run.clone())).collect();
        row("slots of a real GPU are short", "Q001 in peak", firsts);
        let second = runs.iter().map(|run| has(run, "D001 in steady")).collect();
        row("a warm-up of a real GPU in a judged phase (after it)", "D001 in steady", second);
    }
    let mut silent = 0;
    for seed in 1..=WELL {
        let key = key(&found(&well().perturbed(seed), ALL));
        silent += u64::from(key.is_empty());
        if !key.is_empty() {
            println!("well, seed {seed}: {}", key.join(", "));
        }
    }
    println!("\n{silent} of {WELL} runs that are well have no finding above info");
    if let Some(well) = assay_testkit::data("h200") {
        let quiet = (1..=RUNS).filter(|seed| on_gpu(&well, *seed).is_empty()).count() as u64;
        println!("{quiet} of {RUNS} of a real GPU that is well have none");
        if quiet < RUNS {
            wrong.push(format!("a real GPU that is well: {quiet} of {RUNS}"));
        }
    }
    assert!(wrong.is_empty() && silent == WELL, "{wrong:?}, {silent} of {WELL} silent");
}

/// What is found above info in a recorded run from which one sample in ten of each target was lost, other ones with each seed; none with 0.
fn on_gpu(run: &Path, seed: u64) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a directory");
    let path = if seed == 0 { run.to_owned() } else { resampled(run, &dir.path().join("run"), seed) };
    let mut options = EvalOptions::new(path);
    options.rules = vec![concat!(env!("CARGO_MANIFEST_DIR"), "/../../prometheus/rules/*.yml").to_owned()];
    let findings = eval(&options).expect("judges").verdict.findings;
    let serious = findings.iter().filter(|f| f.severity.as_str() != "info");
    serious.map(|f| format!("{} in {}", f.id, f.window.title())).collect()
}

/// A copy of a record without some of its samples.
fn resampled(run: &Path, to: &Path, seed: u64) -> PathBuf {
    let run_of = assay_run::Run::open(run).expect("opens");
    let mut head = Head::create(&to.join("data"), HeadOptions::default()).expect("begins");
    for series in run_of.database.select(&[], i64::MIN, i64::MAX).expect("reads") {
        let labels = series.labels();
        let target = format!("{:?}{:?}", labels.get("job"), labels.get("instance"));
        // The load's own record loses nothing: it is written where it is made.
        let is_own = labels.get("job") == Some("loadgen");
        let is_kept = |t_ms: i64| is_own || noise(seed, target.len() as u64, t_ms as u64) < 0.8;
        let mut column = Column::default();
        series.read(i64::MIN, i64::MAX, &mut column).expect("reads");
        for (t_ms, v) in column.times.iter().zip(&column.values).filter(|(t, _)| is_kept(**t)) {
            head.append(labels, *t_ms, *v).expect("appends");
        }
        for (t_ms, h) in column.histogram_times.iter().zip(&column.histograms).filter(|(t, _)| is_kept(**t)) {
            head.append_float_histogram(labels, *t_ms, h).expect("appends");
        }
    }
    head.finish().expect("finishes");
    std::fs::copy(run.join("run.json"), to.join("run.json")).expect("copies");
    to.to_owned()
}

/// Two runs of a real H200: one that is well, and one in which slots are short, and a judged phase has the warm-up in it.
#[test]
fn what_happened_on_a_real_gpu() {
    let (Some(well), Some(short)) = (assay_testkit::data("h200"), assay_testkit::data("h200-llm")) else {
        return;
    };
    for seed in [0, 1] {
        assert_eq!(on_gpu(&well, seed), [""; 0]);
        assert_eq!(on_gpu(&short, seed), ["Q001 in peak", "D001 in steady"]);
    }
}

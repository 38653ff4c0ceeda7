//! The description of a merged run. Invariant: runs that differ in what they did are refused, not averaged.

use crate::{
    Manifest, Outcome, Phase, Run,
    manifest::{Part, Shard},
};

use super::MergeError;

/// The description, and what else should be known.
pub(super) fn merged(runs: &[Run]) -> Result<(Manifest, Vec<String>), MergeError> {
    let mut parts: Vec<(&Run, &Manifest)> = Vec::new();
    for run in runs {
        let Some(manifest) = &run.manifest else {
            return Err(mismatch(run, "has no run.json; merge takes runs that loadgen recorded"));
        };
        if let Some((_, first)) = parts.first() {
            fits(run, manifest, first)?;
        }
        parts.push((run, manifest));
    }
    let warnings = shards(&parts)?;
    let Some((_, first)) = parts.first() else {
        let what = "there is no run to merge".to_owned();
        return Err(MergeError::Mismatch { path: std::path::PathBuf::new(), what });
    };
    let mut out = Manifest::new(first.scenario.clone(), first.start_ms);
    out.id = first.id.as_ref().map(|id| format!("{id}-merged"));
    out.mode.clone_from(&first.mode);
    out.target.clone_from(&first.target);
    out.seed = first.seed;
    out.git.clone_from(&first.git);
    out.versions.clone_from(&first.versions);
    out.start_ms = parts.iter().map(|(_, m)| m.start_ms).min().unwrap_or(first.start_ms);
    out.end_ms = parts.iter().filter_map(|(_, m)| m.end_ms).max();
    out.outcome = Some(outcome(&parts));
    for (_, manifest) in &parts {
        for phase in &manifest.phases {
            join(&mut out.phases, phase);
        }
        for scraped in &manifest.scrape {
            if !out.scrape.contains(scraped) {
                out.scrape.push(scraped.clone());
            }
        }
        out.parts.push(Part {
            name: parts_name(runs, out.parts.len()),
            shard: manifest.shard,
            host: manifest.host.as_ref().map(|h| h.name.clone()),
            start_ms: manifest.start_ms,
            end_ms: manifest.end_ms,
            outcome: manifest.outcome.clone(),
        });
    }
    Ok((out, warnings))
}

fn parts_name(runs: &[Run], index: usize) -> String {
    runs.get(index).map_or_else(String::new, |r| r.path.display().to_string())
}

fn fits(run: &Run, manifest: &Manifest, first: &Manifest) -> Result<(), MergeError> {
    let check = |what: &str, ours: String, theirs: String| {
        if ours == theirs {
            return Ok(());
        }
        Err(mismatch(
            run,
            &format!("its {what} is {ours}, that of the first run {theirs}; merge the shards of one load"),
        ))
    };
    check("scenario", manifest.scenario.clone(), first.scenario.clone())?;
    check("mode", format!("{:?}", manifest.mode), format!("{:?}", first.mode))?;
    let count =
        |m: &Manifest| m.shard.map_or("not sharded".to_owned(), |s| format!("one of {} shards", s.count));
    check("part", count(manifest), count(first))?;
    if manifest.shard.is_some() {
        check("seed", format!("{:?}", manifest.seed), format!("{:?}", first.seed))?;
    }
    Ok(())
}

/// Each shard once; those that are missing are reported.
fn shards(parts: &[(&Run, &Manifest)]) -> Result<Vec<String>, MergeError> {
    let mut seen: Vec<Shard> = Vec::new();
    for (run, manifest) in parts {
        let Some(shard) = manifest.shard else { continue };
        if seen.contains(&shard) {
            let what = format!("duplicate shard {}; its load would count double", shard.index);
            return Err(mismatch(run, &what));
        }
        seen.push(shard);
    }
    let count = seen.first().map_or(0, |s| s.count);
    let missing: Vec<String> =
        (0..count).filter(|i| seen.iter().all(|s| s.index != *i)).map(|i| i.to_string()).collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![format!(
        "of {count} shards these are missing: {}; the sums are without them",
        missing.join(", ")
    )])
}

/// All finished is finished; else the first reason that there is.
fn outcome(parts: &[(&Run, &Manifest)]) -> Outcome {
    for (run, manifest) in parts {
        let name = run.path.display();
        match &manifest.outcome {
            Some(Outcome::Finished) => {}
            Some(Outcome::Aborted { reason }) => {
                return Outcome::Aborted { reason: format!("{name}: {reason}") };
            }
            Some(Outcome::Interrupted) => return Outcome::Interrupted,
            None => return Outcome::Aborted { reason: format!("{name}: the run was cut short") },
        }
    }
    Outcome::Finished
}

/// A phase of all parts runs from where the first part began it to where the last one ended it.
fn join(phases: &mut Vec<Phase>, phase: &Phase) {
    match phases.iter_mut().find(|p| p.name == phase.name) {
        None => phases.push(phase.clone()),
        Some(known) => {
            known.start_ms = known.start_ms.min(phase.start_ms);
            known.end_ms = known.end_ms.max(phase.end_ms);
            known.warmup &= phase.warmup;
            known.outcome = known.outcome.max(phase.outcome);
        }
    }
}

fn mismatch(run: &Run, what: &str) -> MergeError {
    MergeError::Mismatch { path: run.path.clone(), what: what.to_owned() }
}

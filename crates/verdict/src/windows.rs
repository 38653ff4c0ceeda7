//! Which stretches of a run are judged. Invariant: a window lies within the run, is longer than nothing and is never a
//! warm-up phase unless an SLA names it; a phase that is asked for is judged, or it is said why not.

use assay_run::PhaseOutcome;

use crate::{
    units,
    verdict::{PhaseInfo, PhaseSource, RunInfo, Window},
};

/// The windows for a list of phases, and what is to be said about those that are not there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Windows {
    /// In the order of time.
    pub list: Vec<Window>,
    /// Why something that was asked for cannot be judged: each makes the verdict inconclusive.
    pub problems: Vec<String>,
    /// The phases that this run did not have to have, and why.
    pub skipped: Vec<Skipped>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

/// A phase that is not judged, and rightly so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The phase.
    pub phase: String,
    /// Why.
    pub reason: String,
}

/// A phase that the scenario does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no phase is named {phase:?}; did you mean {nearest:?}?")]
pub struct UnknownPhase {
    /// The name as it was written.
    pub phase: String,
    /// The phase that was most likely meant.
    pub nearest: String,
}

/// The windows of `phases` in the run; all of it but the warm-up if `phases` is empty, or if nothing names the phases of
/// the run. With `allow_incomplete`, phases that did not run to their end count for as far as they went.
///
/// # Errors
/// If a phase is asked for that the run does not have, under a name that is nearly that of one which it has.
pub fn select(run: &RunInfo, phases: &[String], allow_incomplete: bool) -> Result<Windows, UnknownPhase> {
    if phases.is_empty() || run.phases_from == PhaseSource::None {
        let mut windows = whole_run(run, allow_incomplete);
        if run.phases_from == PhaseSource::None {
            let judged = "nothing names the phases of this run: it is judged as one window";
            windows.notes.push(match phases {
                [] => judged.to_owned(),
                asked => {
                    format!("{judged}, not by {}; name them with --phase NAME=START..END", asked.join(", "))
                }
            });
        }
        return Ok(windows);
    }
    let mut windows = Windows::default();
    for name in phases {
        match run.phases.iter().find(|p| p.name == *name) {
            Some(phase) => windows.take(run, phase, allow_incomplete),
            None => windows.miss(run, name, phases, allow_incomplete)?,
        }
    }
    windows.list.sort_by_key(|w| (w.start_ms, w.end_ms));
    Ok(windows)
}

impl Windows {
    /// Takes a phase that began.
    fn take(&mut self, run: &RunInfo, phase: &PhaseInfo, allow_incomplete: bool) {
        let is_given = run.phases_from == PhaseSource::Given;
        let end_ms = if is_given { phase.end_ms } else { phase.end_ms.min(run.end_ms) };
        let incomplete = incomplete(phase);
        if end_ms <= phase.start_ms {
            let why = incomplete.unwrap_or_else(|| format!("phase {} has no length", phase.name));
            return self.undecided(allow_incomplete, &phase.name, why);
        }
        if let (true, Some(why)) = (allow_incomplete, &incomplete) {
            self.notes.push(format!("{why}; judged as far as it went (--allow-incomplete)"));
        }
        self.list.push(Window {
            phase: Some(phase.name.clone()),
            start_ms: phase.start_ms,
            end_ms,
            incomplete: incomplete.filter(|_| !allow_incomplete),
        });
    }

    /// Takes a phase that did not begin.
    fn miss(
        &mut self,
        run: &RunInfo,
        name: &str,
        asked: &[String],
        allow_incomplete: bool,
    ) -> Result<(), UnknownPhase> {
        if run.not_begun.iter().any(|p| p == name) {
            self.undecided(allow_incomplete, name, format!("phase {name} was planned and did not begin"));
            return Ok(());
        }
        let known =
            run.phases.iter().map(|p| p.name.as_str()).chain(run.not_begun.iter().map(String::as_str));
        // A phase that is asked for by its right name, too, is not what this one was meant to be.
        let others: Vec<&str> = known.filter(|k| asked.iter().all(|a| a != k)).collect();
        if let Some(meant) = others.into_iter().find(|known| is_misspelt(name, known)) {
            return Err(UnknownPhase { phase: name.to_owned(), nearest: meant.to_owned() });
        }
        if run.phases_from == PhaseSource::Manifest && !run.is_whole() {
            let why = format!(
                "phase {name} is not in this run, which did not run to its end: it may have been planned"
            );
            self.undecided(allow_incomplete, name, why);
            return Ok(());
        }
        let reason = "this run has no such phase".to_owned();
        self.skipped.push(Skipped { phase: name.to_owned(), reason });
        Ok(())
    }

    fn undecided(&mut self, allow_incomplete: bool, phase: &str, why: String) {
        if allow_incomplete {
            self.skipped.push(Skipped { phase: phase.to_owned(), reason: why });
        } else {
            self.problems.push(why);
        }
    }
}

/// Whether a name is that of a phase but for a slip: one letter in five.
fn is_misspelt(name: &str, known: &str) -> bool {
    strsim::damerau_levenshtein(name, known) <= (name.chars().count() / 5).max(1)
}

/// Why a phase is not all that it was to be.
fn incomplete(phase: &PhaseInfo) -> Option<String> {
    let ran = units::length(phase.end_ms - phase.start_ms);
    let of = phase.planned_ms.map_or_else(String::new, |ms| format!(" of {}", units::length(ms)));
    match phase.outcome {
        PhaseOutcome::Finished => None,
        PhaseOutcome::CutShort => Some(format!("phase {} was cut short after {ran}{of}", phase.name)),
        PhaseOutcome::Running | PhaseOutcome::Planned => Some(format!(
            "phase {} has no end on record: it was on for {ran}{of} when the record ended",
            phase.name
        )),
    }
}

fn whole_run(run: &RunInfo, allow_incomplete: bool) -> Windows {
    let mut windows = Windows::default();
    // A warm-up phase at the start is left out; one in the middle belongs to the run.
    let warm_ms = run.phases.iter().take_while(|p| p.warmup).map(|p| p.end_ms).max();
    let measured: Vec<&PhaseInfo> = run.phases.iter().skip_while(|p| p.warmup).collect();
    let start_ms = measured.first().map(|p| p.start_ms).or(warm_ms).unwrap_or(run.start_ms);
    let end_ms = measured.iter().map(|p| p.end_ms).max().unwrap_or(run.end_ms).min(run.end_ms);
    if start_ms >= end_ms {
        windows.problems.push(if run.phases.is_empty() {
            "the run holds no samples".to_owned()
        } else {
            "the run ended within its warm-up".to_owned()
        });
        return windows;
    }
    let unfinished = measured.iter().find_map(|p| incomplete(p));
    let unbegun = run.not_begun.first().map(|p| format!("phase {p} was planned and did not begin"));
    let stopped =
        (run.phases.is_empty() && !run.is_whole()).then(|| "the run did not end as planned".to_owned());
    let incomplete = unfinished.or(unbegun).or(stopped);
    if let (true, Some(why)) = (allow_incomplete, &incomplete) {
        windows.notes.push(format!("{why}; judged as far as it went (--allow-incomplete)"));
    }
    let incomplete = incomplete.filter(|_| !allow_incomplete);
    windows.list.push(Window { incomplete, ..Window::whole(start_ms, end_ms) });
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(name: &str, start_ms: i64, end_ms: i64, outcome: PhaseOutcome) -> PhaseInfo {
        let warmup = name == "warmup";
        PhaseInfo { name: name.to_owned(), start_ms, end_ms, warmup, outcome, planned_ms: Some(60) }
    }

    fn run(phases_from: PhaseSource, phases: &[(&str, i64, i64)]) -> RunInfo {
        let finished = |p: &(&str, i64, i64)| phase(p.0, p.1, p.2, PhaseOutcome::Finished);
        RunInfo {
            end_ms: 100,
            phases: phases.iter().map(finished).collect(),
            phases_from,
            outcome: Some("finished".to_owned()),
            ..RunInfo::default()
        }
    }

    /// Windows as `phase start-end`, `!` before one that decides nothing; then problems, skipped phases and notes.
    fn check(run: &RunInfo, asked: &[&str], allow: bool, want: &[&str]) {
        let asked: Vec<_> = asked.iter().map(|p| (*p).to_owned()).collect();
        let got = match select(run, &asked, allow) {
            Ok(windows) => {
                let shown = |w: &Window| {
                    let mark = if w.incomplete.is_some() { "!" } else { "" };
                    format!("{mark}{} {}-{}", w.title(), w.start_ms, w.end_ms)
                };
                let mut got: Vec<String> = windows.list.iter().map(shown).collect();
                got.extend(windows.problems.iter().map(|p| format!("problem: {p}")));
                got.extend(windows.skipped.iter().map(|s| format!("skipped {}: {}", s.phase, s.reason)));
                got.extend(windows.notes.iter().map(|n| format!("note: {n}")));
                got
            }
            Err(e) => vec![e.to_string()],
        };
        assert_eq!(got.len(), want.len(), "{got:?}");
        for (got, want) in got.iter().zip(want) {
            assert!(got.contains(want), "{got:?} against {want:?}");
        }
    }

    #[test]
    fn phases_in_the_order_of_the_run() {
        let full = run(PhaseSource::Plan, &[("warmup", 0, 10), ("steady", 10, 60), ("peak", 60, 100)]);
        check(&full, &["peak", "steady"], false, &["steady 10-60", "peak 60-100"]);
        check(
            &full,
            &["steady", "soak"],
            false,
            &["steady 10-60", "skipped soak: this run has no such phase"],
        );
        check(&full, &["stedy"], false, &["no phase is named \"stedy\"; did you mean \"steady\"?"]);
        check(&full, &["steady", "steady2"], false, &["steady 10-60", "skipped steady2"]);
        check(&full, &[], false, &["whole run 10-100"]);
        check(
            &run(PhaseSource::Plan, &[("warmup", 0, 100)]),
            &[],
            false,
            &["problem: the run ended within its warm-up"],
        );
    }

    #[test]
    fn without_phases_the_run_is_one_window_and_that_is_said() {
        let bare = RunInfo { end_ms: 100, ..run(PhaseSource::None, &[]) };
        check(&bare, &["steady"], false, &["whole run 0-100", "note: nothing names the phases"]);
        check(&bare, &[], false, &["whole run 0-100", "note: nothing names the phases"]);
        check(&RunInfo::default(), &[], false, &["problem: the run holds no samples", "note: "]);
    }

    #[test]
    fn what_did_not_run_to_its_end_decides_nothing() {
        let mut cut = run(PhaseSource::Plan, &[("warmup", 0, 10), ("steady", 10, 60)]);
        cut.phases.push(phase("peak", 60, 90, PhaseOutcome::CutShort));
        cut.not_begun.push("stress".to_owned());
        cut.outcome = Some("interrupted".to_owned());
        let want = ["steady 10-60", "!peak 60-90", "problem: phase stress was planned and did not begin"];
        check(&cut, &["steady", "peak", "stress"], false, &want);
        let want = [
            "steady 10-60",
            "peak 60-90",
            "skipped stress",
            "note: phase peak was cut short after 0.03s of 0.06s",
        ];
        check(&cut, &["steady", "peak", "stress"], true, &want);
        check(&cut, &[], false, &["!whole run 10-90"]);
        // An older record names only the phases that began: what else was planned is not known.
        let mut older = run(PhaseSource::Manifest, &[("steady", 10, 60)]);
        check(&older, &["steady", "peak"], false, &["steady 10-60", "skipped peak"]);
        older.outcome = Some("running".to_owned());
        check(
            &older,
            &["steady", "peak"],
            false,
            &["steady 10-60", "problem: phase peak is not in this run"],
        );
    }
}

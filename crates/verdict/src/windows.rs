//! Which stretches of a run are judged. Invariant: a window lies within the run, is longer than nothing and is
//! never a warm-up phase unless an SLA names it.

use assay_yaml::nearest;

use crate::verdict::{RunInfo, Window};

/// The windows for a list of phases, and what is to be said about the phases that are not there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Windows {
    /// In the order of time.
    pub list: Vec<Window>,
    /// Why nothing can be judged; empty where `list` is not.
    pub problem: Option<String>,
    /// Which of the asked phases the run does not have.
    pub note: Option<String>,
}

/// The windows of `phases` in the run; all of it but the warm-up where `phases` is empty, or where the run has
/// no phases at all (a data directory without a manifest).
#[must_use]
pub fn select(run: &RunInfo, phases: &[String]) -> Windows {
    if phases.is_empty() || run.phases.is_empty() {
        let mut windows = whole_run(run);
        if !phases.is_empty() {
            windows.note = Some(format!(
                "the run has no manifest with phases: judged as a whole, not by {}",
                phases.join(", ")
            ));
        }
        return windows;
    }
    let list: Vec<Window> = run
        .phases
        .iter()
        .filter(|p| phases.contains(&p.name) && p.end_ms > p.start_ms)
        .map(|p| Window { phase: Some(p.name.clone()), start_ms: p.start_ms, end_ms: p.end_ms })
        .collect();
    let ran: Vec<_> = run.phases.iter().map(|p| p.name.as_str()).collect();
    let missing: Vec<_> =
        phases.iter().filter(|p| !list.iter().any(|w| w.phase.as_ref() == Some(p))).cloned().collect();
    let mut windows = Windows { list, ..Windows::default() };
    if windows.list.is_empty() {
        let hints: Vec<_> = missing
            .iter()
            .filter_map(|m| Some(format!("did you mean {:?}?", nearest(m, ran.iter().copied())?)))
            .collect();
        let asked = missing.join(", ");
        windows.problem = Some(
            format!("no judged phase ({asked}) was run; the run has {}. {}", ran.join(", "), hints.join(" "))
                .trim_end()
                .to_owned(),
        );
    } else if !missing.is_empty() {
        windows.note = Some(format!("not in this run, and so not judged: {}", missing.join(", ")));
    }
    windows
}

fn whole_run(run: &RunInfo) -> Windows {
    // A warm-up phase at the start is left out; one in the middle belongs to the run.
    let warm_ms = run.phases.iter().take_while(|p| p.warmup).map(|p| p.end_ms).max();
    let start_ms = warm_ms.unwrap_or(run.start_ms).max(run.start_ms);
    if start_ms >= run.end_ms {
        let problem = if run.phases.is_empty() {
            "the run holds no samples".to_owned()
        } else {
            "the run ended within its warm-up".to_owned()
        };
        return Windows { problem: Some(problem), ..Windows::default() };
    }
    Windows { list: vec![Window { phase: None, start_ms, end_ms: run.end_ms }], ..Windows::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::PhaseInfo;

    fn run(phases: &[(&str, i64, i64, bool)]) -> RunInfo {
        let phase = |p: &(&str, i64, i64, bool)| PhaseInfo {
            name: p.0.to_owned(),
            start_ms: p.1,
            end_ms: p.2,
            warmup: p.3,
        };
        RunInfo { start_ms: 0, end_ms: 100, phases: phases.iter().map(phase).collect(), ..RunInfo::default() }
    }

    fn check(run: &RunInfo, phases: &[&str], want: &[(Option<&str>, i64, i64)], say: &str) {
        let phases: Vec<_> = phases.iter().map(|p| (*p).to_owned()).collect();
        let got = select(run, &phases);
        let list: Vec<_> = got.list.iter().map(|w| (w.phase.as_deref(), w.start_ms, w.end_ms)).collect();
        assert_eq!(list, want);
        let said = format!("{}{}", got.problem.unwrap_or_default(), got.note.unwrap_or_default());
        assert!(said.contains(say) && say.is_empty() == said.is_empty(), "{said:?} against {say:?}");
    }

    #[test]
    fn selects_phases_in_the_order_of_the_run() {
        let full = run(&[("warmup", 0, 10, true), ("steady", 10, 60, false), ("peak", 60, 100, false)]);
        check(&full, &["peak", "steady"], &[(Some("steady"), 10, 60), (Some("peak"), 60, 100)], "");
        check(&full, &["steady", "soak"], &[(Some("steady"), 10, 60)], "not judged: soak");
        check(&full, &["stedy"], &[], "did you mean \"steady\"?");
        check(&full, &[], &[(None, 10, 100)], "");
        check(&run(&[]), &["steady"], &[(None, 0, 100)], "judged as a whole");
        check(&run(&[("warmup", 0, 100, true)]), &[], &[], "within its warm-up");
        check(&RunInfo::default(), &[], &[], "no samples");
    }

    #[test]
    fn a_phase_cut_short_before_it_began_is_not_judged() {
        let cut = run(&[("steady", 10, 60, false), ("peak", 100, 100, false)]);
        check(&cut, &["steady", "peak"], &[(Some("steady"), 10, 60)], "not judged: peak");
    }
}

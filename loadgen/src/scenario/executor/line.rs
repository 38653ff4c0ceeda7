//! The straight lines through stages. Invariant: a line begins at the start value and is at a stage's target at
//! its end; beyond the last stage it stays.

use std::{ops::Range, time::Duration};

/// A stage: a straight line to `target` over `duration`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stage {
    /// How long it takes.
    pub duration: Duration,
    /// Users, or iterations each second, at its end.
    pub target: f64,
}

/// How long all stages take together.
pub(super) fn length(stages: &[Stage]) -> Duration {
    stages.iter().map(|s| s.duration).sum()
}

/// The stages with their times multiplied by `scale`.
pub(super) fn stretched(stages: &[Stage], scale: f64) -> Vec<Stage> {
    stages.iter().map(|s| Stage { duration: s.duration.mul_f64(scale), ..*s }).collect()
}

/// The value of the lines `at` into them.
pub(super) fn value_at(start: f64, stages: &[Stage], at: Duration) -> f64 {
    let (mut from, mut rest) = (start, at);
    for stage in stages {
        if rest < stage.duration {
            return from + (stage.target - from) * rest.as_secs_f64() / stage.duration.as_secs_f64();
        }
        rest -= stage.duration;
        from = stage.target;
    }
    from
}

/// When user `index` is there: from when the line is above its index on the way up, until it comes down to it.
pub(super) fn above(start_vus: u32, stages: &[Stage], index: u32) -> Vec<Range<Duration>> {
    let own = f64::from(index);
    let mut out: Vec<Range<Duration>> = Vec::new();
    let mut since = (start_vus > index).then_some(Duration::ZERO);
    let (mut at, mut from) = (Duration::ZERO, f64::from(start_vus));
    for stage in stages {
        let cross = |level: f64| {
            let share = if stage.target == from { 0.0 } else { (level - from) / (stage.target - from) };
            at + stage.duration.mul_f64(share.clamp(0.0, 1.0))
        };
        if since.is_none() && stage.target >= own + 1.0 {
            since = Some(cross(own + 1.0));
        } else if stage.target <= own
            && let Some(start) = since.take()
        {
            out.push(start..cross(own));
        }
        at += stage.duration;
        from = stage.target;
    }
    if let Some(start) = since {
        out.push(start..at);
    }
    out.retain(|r| r.start < r.end);
    out
}

#[cfg(test)]
pub(super) mod tests {
    use crate::scenario::executor::{Executes, Plan};

    /// The seconds in which a user of a closed model starts iterations.
    #[track_caller]
    pub(in crate::scenario::executor) fn check(executor: &impl Executes, index: u32, want: &[(u64, u64)]) {
        let Plan::Users { active, .. } = executor.plan() else { panic!("users set the pace") };
        let got: Vec<_> = active(index).iter().map(|r| (r.start.as_secs(), r.end.as_secs())).collect();
        assert_eq!(got, want, "user {index} of {executor:?}");
    }
}

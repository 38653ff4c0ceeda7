//! When the users of a closed model are active. Invariant: intervals of a user are disjoint, ascending, and
//! within the phase; ends are not in.

use std::{ops::Range, time::Duration};

use crate::scenario::{Executor, Stage};

/// When user `index` (from 0) starts iterations, as times into the phase; empty for an open model, whose
/// users wait for arrivals.
pub(crate) fn active(executor: &Executor, index: u32) -> Vec<Range<Duration>> {
    let whole = Duration::ZERO..executor.duration();
    match executor {
        Executor::ConstantVus { vus, duration, ramp_per_s } => {
            let start = ramp_per_s.map_or(Duration::ZERO, |r| Duration::from_secs_f64(f64::from(index) / r));
            if index < *vus && start < *duration { vec![start..*duration] } else { Vec::new() }
        }
        Executor::RampingVus { start_vus, stages } => ramping(*start_vus, stages, index),
        Executor::PerVuIterations { vus, .. } | Executor::SharedIterations { vus, .. } => {
            if index < *vus {
                vec![whole]
            } else {
                Vec::new()
            }
        }
        Executor::ConstantArrivalRate { .. } | Executor::RampingArrivalRate { .. } => Vec::new(),
    }
}

/// A user is there while the line through the stages is above its index on the way up, and until the line
/// comes down to its index.
fn ramping(start_vus: u32, stages: &[Stage], index: u32) -> Vec<Range<Duration>> {
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
mod tests {
    use super::*;

    fn s(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn check(executor: &Executor, index: u32, want: &[(u64, u64)]) {
        let got: Vec<_> =
            active(executor, index).iter().map(|r| (r.start.as_secs(), r.end.as_secs())).collect();
        assert_eq!(got, want, "user {index} of {executor:?}");
    }

    #[test]
    fn constant_users_start_one_after_the_other() {
        let e = Executor::ConstantVus { vus: 3, duration: s(10), ramp_per_s: Some(0.5) };
        check(&e, 0, &[(0, 10)]);
        check(&e, 2, &[(4, 10)]);
        check(&e, 3, &[]);
    }

    #[test]
    fn ramping_users_come_and_go_with_the_line() {
        let stages = vec![
            Stage { duration: s(10), target: 10.0 },
            Stage { duration: s(5), target: 10.0 },
            Stage { duration: s(10), target: 0.0 },
            Stage { duration: s(4), target: 2.0 },
        ];
        let e = Executor::RampingVus { start_vus: 0, stages };
        check(&e, 0, &[(1, 25), (27, 29)]);
        check(&e, 9, &[(10, 16)]);
        check(&e, 4, &[(5, 21)]);
        check(&e, 10, &[]);
        let down = Executor::RampingVus { start_vus: 4, stages: vec![Stage { duration: s(4), target: 0.0 }] };
        check(&down, 3, &[(0, 1)]);
        check(&down, 0, &[(0, 4)]);
        // A jump: a stage without length.
        let jump = vec![Stage { duration: s(0), target: 5.0 }, Stage { duration: s(3), target: 5.0 }];
        check(&Executor::RampingVus { start_vus: 1, stages: jump }, 4, &[(0, 3)]);
    }

    #[test]
    fn at_each_moment_as_many_users_as_the_line_says() {
        let stages = vec![
            Stage { duration: s(7), target: 20.0 },
            Stage { duration: s(3), target: 5.0 },
            Stage { duration: s(6), target: 12.0 },
        ];
        let e = Executor::RampingVus { start_vus: 3, stages: stages.clone() };
        let line = Executor::RampingArrivalRate {
            start_rate_per_s: 3.0,
            stages,
            vus: 1,
            max_vus: 1,
            arrivals: crate::scenario::Arrivals::Constant,
        };
        for tenth in 0..160u64 {
            let at = Duration::from_millis(tenth * 100 + 51);
            let users = (0..20).filter(|i| active(&e, *i).iter().any(|r| r.contains(&at))).count() as f64;
            let line = line.target_rate_per_s(at).unwrap_or_default();
            assert!((users - line).abs() <= 1.0, "{users} users at {at:?}, the line is at {line}");
        }
    }
}

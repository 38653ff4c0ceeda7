//! `ramping-vus`: a number of users that follows stages.

use std::time::Duration;

use assay_yaml::{MapReader, shape::Key};

use super::{
    Budget, Executes, Plan, Stage, length,
    line::{self, stretched},
    users,
};
use crate::scenario::{parse::Parser, shape};

/// A number of users that follows stages.
#[derive(Clone, Debug, PartialEq)]
pub struct RampingVus {
    /// Users at the start.
    pub start_vus: u32,
    /// The stages, one after the other.
    pub stages: Vec<Stage>,
}

impl Executes for RampingVus {
    const NAME: &'static str = "ramping-vus";
    const ABOUT: &'static str = "A number of users that follows stages; or, short, `vus` that come at `ramp` and stay until `duration` is over. k6: `ramping-vus`.";
    const KEYS: &'static [Key] =
        &[shape::START_VUS.or("0"), shape::STAGES, shape::VUS, shape::DURATION, shape::RAMP];

    /// k6's stages, or the short form: `vus`, `duration` and a `ramp` in users per second.
    fn read(p: &mut Parser<'_>, options: &mut MapReader<'_>) -> Option<Self> {
        let start_vus = p.count(options, "start_vus", Some(0));
        if options.get("stages").is_some() {
            let stages = p.stages(options);
            return Some(Self { start_vus: start_vus?, stages: stages? });
        }
        let vus = p.count(options, "vus", None);
        let duration = p.length(options, "duration");
        let ramp = options.require(&mut p.cx, "ramp").and_then(|n| p.rate(n));
        let (start_vus, vus, duration, ramp) = (start_vus?, vus?, duration?, ramp?);
        let rise = Duration::from_secs_f64(f64::from(vus.abs_diff(start_vus)) / ramp);
        if rise > duration {
            let message =
                format!("{vus} users at {ramp} per second take {}, longer than the phase", length(rise));
            p.cx.error(options.node(), message);
        }
        let hold = duration.saturating_sub(rise);
        let target = f64::from(vus);
        let stages = vec![Stage { duration: rise, target }, Stage { duration: hold, target }];
        Some(Self { start_vus, stages })
    }

    fn describe(&self) -> String {
        format!("up to {} over {}", users(self.max_users()), length(self.duration()))
    }

    fn duration(&self) -> Duration {
        line::length(&self.stages)
    }

    fn max_users(&self) -> u32 {
        self.stages.iter().map(|s| s.target.ceil() as u32).max().unwrap_or(0).max(self.start_vus)
    }

    fn scaled(&self, scale: f64) -> Self {
        Self { stages: stretched(&self.stages, scale), ..*self }
    }

    fn plan(&self) -> Plan<'_> {
        let active = |index: u32| line::above(self.start_vus, &self.stages, index);
        Plan::Users { active: Box::new(active), budget: Budget::Unlimited }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::executor::line::tests::check;

    fn s(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn users_come_and_go_with_the_line() {
        let stages = vec![
            Stage { duration: s(10), target: 10.0 },
            Stage { duration: s(5), target: 10.0 },
            Stage { duration: s(10), target: 0.0 },
            Stage { duration: s(4), target: 2.0 },
        ];
        let e = RampingVus { start_vus: 0, stages };
        check(&e, 0, &[(1, 25), (27, 29)]);
        check(&e, 9, &[(10, 16)]);
        check(&e, 4, &[(5, 21)]);
        check(&e, 10, &[]);
        let down = RampingVus { start_vus: 4, stages: vec![Stage { duration: s(4), target: 0.0 }] };
        check(&down, 3, &[(0, 1)]);
        check(&down, 0, &[(0, 4)]);
        // A jump: a stage without length.
        let jump = vec![Stage { duration: s(0), target: 5.0 }, Stage { duration: s(3), target: 5.0 }];
        check(&RampingVus { start_vus: 1, stages: jump }, 4, &[(0, 3)]);
    }

    #[test]
    fn at_each_moment_as_many_users_as_the_line_says() {
        let stages = vec![
            Stage { duration: s(7), target: 20.0 },
            Stage { duration: s(3), target: 5.0 },
            Stage { duration: s(6), target: 12.0 },
        ];
        let e = RampingVus { start_vus: 3, stages };
        let Plan::Users { active, .. } = e.plan() else { panic!("users set the pace") };
        for tenth in 0..160u64 {
            let at = Duration::from_millis(tenth * 100 + 51);
            let users = (0..20).filter(|i| active(*i).iter().any(|r| r.contains(&at))).count() as f64;
            let line = line::value_at(3.0, &e.stages, at);
            assert!((users - line).abs() <= 1.0, "{users} users at {at:?}, the line is at {line}");
        }
    }
}

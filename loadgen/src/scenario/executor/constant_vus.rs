//! `constant-vus`: a fixed number of users, each of which starts its next iteration when the last has ended.

use std::time::Duration;

use assay_yaml::{MapReader, shape::Key};

use super::{Budget, Executes, Plan, length, users};
use crate::scenario::{parse::Parser, shape};

/// A fixed number of users.
#[derive(Clone, Debug, PartialEq)]
pub struct ConstantVus {
    /// How many users.
    pub vus: u32,
    /// How long they start iterations.
    pub duration: Duration,
    /// Users that start each second; `None` for all at once.
    pub ramp_per_s: Option<f64>,
}

impl Executes for ConstantVus {
    const NAME: &'static str = "constant-vus";
    const ABOUT: &'static str = "A fixed number of users, each of which starts its next iteration when the last has ended. k6: `constant-vus`.";
    const KEYS: &'static [Key] =
        &[shape::VUS.required(), shape::DURATION.required(), shape::RAMP.otherwise("all at once")];

    fn read(p: &mut Parser<'_>, options: &mut MapReader<'_>) -> Option<Self> {
        let vus = p.count(options, "vus", None);
        let duration = p.length(options, "duration");
        let ramp_per_s = options.get("ramp").and_then(|n| p.rate(n));
        let (vus, duration) = (vus?, duration?);
        if let (Some(ramp), Some(n)) = (ramp_per_s, options.get("ramp"))
            && f64::from(vus.saturating_sub(1)) / ramp >= duration.as_secs_f64()
        {
            let message = format!(
                "{vus} users at {ramp} per second are not all there when the phase ends after {}",
                length(duration)
            );
            p.cx.error(n, message);
        }
        Some(Self { vus, duration, ramp_per_s })
    }

    fn describe(&self) -> String {
        format!("{} for {}", users(self.vus), length(self.duration))
    }

    fn duration(&self) -> Duration {
        self.duration
    }

    fn max_users(&self) -> u32 {
        self.vus
    }

    fn scaled(&self, scale: f64) -> Self {
        let ramp_per_s = self.ramp_per_s.map(|r| r / scale);
        Self { duration: self.duration.mul_f64(scale), ramp_per_s, ..*self }
    }

    fn plan(&self) -> Plan<'_> {
        let active = |index: u32| {
            let start =
                self.ramp_per_s.map_or(Duration::ZERO, |r| Duration::from_secs_f64(f64::from(index) / r));
            if index < self.vus && start < self.duration { vec![start..self.duration] } else { Vec::new() }
        };
        Plan::Users { active: Box::new(active), budget: Budget::Unlimited }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::executor::line::tests::check;

    #[test]
    fn users_start_one_after_the_other() {
        let e = ConstantVus { vus: 3, duration: Duration::from_secs(10), ramp_per_s: Some(0.5) };
        check(&e, 0, &[(0, 10)]);
        check(&e, 2, &[(4, 10)]);
        check(&e, 3, &[]);
    }
}

//! `shared-iterations`: all users together do a number of iterations.

use std::time::Duration;

use assay_yaml::{MapReader, shape::Key};

use super::{Budget, Executes, Plan, length, users};
use crate::scenario::{parse::Parser, shape};

/// All users together do a number of iterations.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedIterations {
    /// How many users.
    pub vus: u32,
    /// Iterations of all together.
    pub iterations: u64,
    /// When the phase ends even if not all are done.
    pub max_duration: Duration,
}

impl Executes for SharedIterations {
    const NAME: &'static str = "shared-iterations";
    const ABOUT: &'static str = "All users together do a number of iterations. k6: `shared-iterations`.";
    const KEYS: &'static [Key] = &[shape::COUNTED[0], shape::COUNTED[1], shape::COUNTED[2]];

    fn read(p: &mut Parser<'_>, options: &mut MapReader<'_>) -> Option<Self> {
        let vus = p.count(options, "vus", Some(1));
        let iterations = p.iterations(options);
        let max_duration = p.max_duration(options);
        Some(Self { vus: vus?, iterations: iterations?, max_duration: max_duration? })
    }

    fn describe(&self) -> String {
        format!(
            "{} iterations shared by {}, {} at most",
            self.iterations,
            users(self.vus),
            length(self.max_duration)
        )
    }

    fn duration(&self) -> Duration {
        self.max_duration
    }

    fn max_users(&self) -> u32 {
        self.vus
    }

    fn scaled(&self, scale: f64) -> Self {
        Self { max_duration: self.max_duration.mul_f64(scale), ..*self }
    }

    fn plan(&self) -> Plan<'_> {
        let whole = Duration::ZERO..self.max_duration;
        let active = move |index: u32| if index < self.vus { vec![whole.clone()] } else { Vec::new() };
        Plan::Users { active: Box::new(active), budget: Budget::Shared(self.iterations) }
    }
}

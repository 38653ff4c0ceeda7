//! `constant-arrival-rate`: iterations that start at a fixed rate, whether earlier ones have ended or not.

use std::time::Duration;

use assay_yaml::{MapReader, shape::Key};

use super::{Arrivals, Executes, Plan, Schedule, Stage, length};
use crate::scenario::{parse::Parser, shape};

/// Iterations that start at a fixed rate.
#[derive(Clone, Debug, PartialEq)]
pub struct ConstantArrivalRate {
    /// Iterations each second.
    pub rate_per_s: f64,
    /// How long they start.
    pub duration: Duration,
    /// Users that are there from the start.
    pub vus: u32,
    /// Users that there may be at most.
    pub max_vus: u32,
    /// How the gaps between starts are drawn.
    pub arrivals: Arrivals,
}

impl Executes for ConstantArrivalRate {
    const NAME: &'static str = "constant-arrival-rate";
    const ABOUT: &'static str = "Iterations that start at a fixed rate, whether earlier ones have ended or not. k6: `constant-arrival-rate`.";
    const KEYS: &'static [Key] = &[
        shape::RATE.required(),
        shape::TIME_UNIT.or("1s"),
        shape::DURATION.required(),
        shape::ALLOCATION[0],
        shape::ALLOCATION[1],
        shape::ALLOCATION[2],
    ];

    fn read(p: &mut Parser<'_>, options: &mut MapReader<'_>) -> Option<Self> {
        let rate = options.require(&mut p.cx, "rate").and_then(|n| p.rate(n));
        let unit = p.time_unit_s(options);
        let duration = p.length(options, "duration");
        let (vus, max_vus) = p.allocation(options);
        let arrivals = p.arrivals(options);
        Some(Self { rate_per_s: rate? / unit, duration: duration?, vus: vus?, max_vus: max_vus?, arrivals })
    }

    fn describe(&self) -> String {
        format!("{} iterations/s for {}", self.rate_per_s, length(self.duration))
    }

    fn duration(&self) -> Duration {
        self.duration
    }

    fn max_users(&self) -> u32 {
        self.vus.max(self.max_vus)
    }

    fn scaled(&self, scale: f64) -> Self {
        Self { duration: self.duration.mul_f64(scale), ..*self }
    }

    fn plan(&self) -> Plan<'_> {
        Plan::Schedule(Schedule {
            start_rate_per_s: self.rate_per_s,
            stages: vec![Stage { duration: self.duration, target: self.rate_per_s }],
            arrivals: self.arrivals,
            // At an even rate the first iteration starts at once.
            starts_at_once: self.arrivals == Arrivals::Constant,
            users: self.vus,
        })
    }
}

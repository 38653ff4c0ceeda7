//! `ramping-arrival-rate`: iterations that start at a rate that follows stages, whose targets are iterations each
//! second.

use std::time::Duration;

use assay_yaml::{MapReader, shape::Key};

use super::{
    Arrivals, Executes, Plan, Schedule, Stage, length,
    line::{self, stretched},
};
use crate::scenario::{parse::Parser, shape};

/// Iterations that start at a rate that follows stages.
#[derive(Clone, Debug, PartialEq)]
pub struct RampingArrivalRate {
    /// Iterations each second at the start.
    pub start_rate_per_s: f64,
    /// The stages, one after the other.
    pub stages: Vec<Stage>,
    /// Users that are there from the start.
    pub vus: u32,
    /// Users that there may be at most.
    pub max_vus: u32,
    /// How the gaps between starts are drawn.
    pub arrivals: Arrivals,
}

impl Executes for RampingArrivalRate {
    const NAME: &'static str = "ramping-arrival-rate";
    const ABOUT: &'static str =
        "Iterations that start at a rate that follows stages. k6: `ramping-arrival-rate`.";
    const KEYS: &'static [Key] = &[
        shape::START_RATE.or("0"),
        shape::TIME_UNIT.or("1s"),
        shape::STAGES.required(),
        shape::ALLOCATION[0],
        shape::ALLOCATION[1],
        shape::ALLOCATION[2],
    ];

    fn read(p: &mut Parser<'_>, options: &mut MapReader<'_>) -> Option<Self> {
        let start = options.get("start_rate").and_then(|n| p.rate_or_zero(n)).unwrap_or(0.0);
        let unit = p.time_unit_s(options);
        let stages = p.stages(options).map(|mut stages| {
            stages.iter_mut().for_each(|s| s.target /= unit);
            stages
        });
        let (vus, max_vus) = p.allocation(options);
        let arrivals = p.arrivals(options);
        Some(Self { start_rate_per_s: start / unit, stages: stages?, vus: vus?, max_vus: max_vus?, arrivals })
    }

    fn describe(&self) -> String {
        let most = self.stages.iter().map(|s| s.target).fold(self.start_rate_per_s, f64::max);
        format!("up to {most} iterations/s over {}", length(self.duration()))
    }

    fn duration(&self) -> Duration {
        line::length(&self.stages)
    }

    fn max_users(&self) -> u32 {
        self.vus.max(self.max_vus)
    }

    fn scaled(&self, scale: f64) -> Self {
        Self { stages: stretched(&self.stages, scale), ..*self }
    }

    fn plan(&self) -> Plan<'_> {
        Plan::Schedule(Schedule {
            start_rate_per_s: self.start_rate_per_s,
            stages: self.stages.clone(),
            arrivals: self.arrivals,
            starts_at_once: false,
            users: self.vus,
        })
    }
}

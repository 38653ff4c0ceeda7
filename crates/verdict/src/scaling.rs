//! How much load the service carries within the SLA: the levels of load that the run had, what each took, and between which two
//! the objectives break. Invariant: a figure is of a level that ran; what lies between or beyond levels is said to be an estimate, or
//! not said.

use serde::{Deserialize, Serialize};

use crate::{
    data::RunData,
    findings::Confidence,
    judge::JudgeError,
    sla::Sla,
    source::{RecordedSource, SourceError, one_number},
    verdict::{RunInfo, Verdict, number},
};

mod carried;
mod knee;
mod levels;

/// The most that loads may differ and be the same level.
const SAME: f64 = 0.02;

/// How the service does under more and less load.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// What is meant by load.
    pub axis: Axis,
    /// How many instances of the service there were, if its series say so.
    #[serde(with = "number::optional")]
    pub instances: Option<f64>,
    /// Phases, and parts of phases whose load changed, by load.
    pub levels: Vec<Level>,
    /// The load beyond which requests take longer the more of them there are.
    pub knee: Option<Knee>,
    /// What all instances together carry within the SLA.
    pub carried: Option<Carried>,
    /// Why there is no knee, or nothing is known to be carried; empty if both are known.
    pub unknown: Vec<String>,
}

/// What load is measured in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// Virtual users at a time.
    #[default]
    Users,
    /// Iterations per second, as offered.
    Rate,
}

impl Axis {
    /// The unit of [`Level::load`].
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Rate => "iterations/s",
        }
    }
}

/// A stretch of a run with about the same load all along.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// The phase.
    pub phase: String,
    /// Whether it is only a part of it.
    pub is_part: bool,
    /// Milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// Milliseconds since the Unix epoch.
    pub end_ms: i64,
    /// The load, in the unit of the axis.
    #[serde(with = "number::plain")]
    pub load: f64,
    /// Requests that ended, per second.
    #[serde(with = "number::plain")]
    pub requests_per_s: f64,
    /// Those of them that kept all objectives of the scenario, per second.
    #[serde(with = "number::optional")]
    pub good_per_s: Option<f64>,
    /// The part of the requests that failed, 0 to 1.
    #[serde(with = "number::plain")]
    pub failed_ratio: f64,
    /// Seconds from the first byte sent, over all requests.
    #[serde(with = "number::plain")]
    pub mean_s: f64,
    /// The same at the median.
    #[serde(with = "number::plain")]
    pub p50_s: f64,
    /// The same at the 99th percentile.
    #[serde(with = "number::plain")]
    pub p99_s: f64,
    /// Whether the objectives were kept, throughput aside; `None` if that was not decided.
    pub held: Option<bool>,
    /// The measured value of the objective that is nearest to its limit, or furthest beyond it, in terms of the limit.
    #[serde(with = "number::optional")]
    pub strain: Option<f64>,
    /// Which objective that is.
    pub strained_by: String,
}

/// Where the mean time begins to grow with the load.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Knee {
    /// In the unit of the axis.
    pub load: f64,
    /// Where it lies if any one level is left out.
    pub interval: (f64, f64),
    /// How sure it is.
    pub confidence: Confidence,
}

/// How much load is carried within the SLA.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Carried {
    /// The highest load that kept the objectives, below the lowest that missed them; `None` if none did.
    #[serde(with = "number::optional")]
    pub held: Option<f64>,
    /// The requests per second that ended at that load.
    #[serde(with = "number::optional")]
    pub held_requests_per_s: Option<f64>,
    /// The lowest load above it that missed them; `None` if none did.
    #[serde(with = "number::optional")]
    pub missed: Option<f64>,
    /// Where between the two the first objective reaches its limit.
    #[serde(with = "number::optional")]
    pub estimate: Option<f64>,
    /// How many levels of about the load that held did hold, and how many there were.
    pub levels: (usize, usize),
    /// The objective that breaks first, or is nearest to its limit.
    pub limited_by: String,
    /// How sure it is.
    pub confidence: Confidence,
}

/// Looks at all levels of load of a run that was judged.
///
/// # Errors
/// If its series cannot be read.
pub(crate) fn scaling(data: &RunData<'_>, verdict: &Verdict, slas: &[Sla]) -> Result<Scaling, JudgeError> {
    let run = &verdict.run;
    let (axis, mut levels) = levels::find(data, run)?;
    levels::judge(&mut levels, data, verdict, slas)?;
    levels.sort_by(|a, b| a.load.total_cmp(&b.load).then(a.start_ms.cmp(&b.start_ms)));
    let mut out = Scaling { axis, instances: instances(data, run)?, ..Scaling::default() };
    match carried::of(&levels) {
        Ok(carried) => out.carried = Some(carried),
        Err(why) => out.unknown.push(why),
    }
    match knee::of(&levels) {
        Ok(knee) => out.knee = Some(knee),
        Err(why) => out.unknown.push(why),
    }
    out.levels = levels;
    Ok(out)
}

/// How many instances of the service said how they do at the run's end.
fn instances(data: &RunData<'_>, run: &RunInfo) -> Result<Option<f64>, SourceError> {
    let expression = "count(count by (job, instance) (last_over_time(rag_stage_duration_seconds[5m]) \
                      or last_over_time(http_server_request_duration_seconds[5m]) or last_over_time(vllm:num_requests_running[5m])))";
    one_number(&RecordedSource::new(data.source()), expression, run.end_ms)
}

/// The different loads among those of levels, ascending.
#[must_use]
pub fn different_loads(loads: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut loads: Vec<f64> = loads.into_iter().collect();
    loads.sort_by(f64::total_cmp);
    loads.dedup_by(|a, b| is_same(*a, *b));
    loads
}

/// Whether two loads are the same level.
fn is_same(a: f64, b: f64) -> bool {
    (a - b).abs() <= SAME * a.abs().max(b.abs())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A level with this load and mean time.
    pub(crate) fn level(load: f64, mean_s: f64) -> Level {
        Level {
            phase: format!("at {load}"),
            is_part: false,
            start_ms: 0,
            end_ms: 60_000,
            load,
            requests_per_s: load,
            good_per_s: Some(load),
            failed_ratio: 0.0,
            mean_s,
            p50_s: mean_s,
            p99_s: 2.0 * mean_s,
            held: None,
            strain: None,
            strained_by: String::new(),
        }
    }
}

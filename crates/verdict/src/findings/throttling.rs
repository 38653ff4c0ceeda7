//! Limits that hold a part back while the host has time: a container's quota, a GPU's power and heat.

use super::{
    Confidence, Finding, Kind, Topic,
    seen::{Seen, mean, share_of},
};
use crate::{source::SourceError, units};

pub(super) const CPU: Kind = Kind { id: "T001", name: "cpu-throttled" };
pub(super) const GPU: Kind = Kind { id: "T002", name: "gpu-throttled" };

/// The share of a quota's periods that may be throttled.
const THROTTLED: f64 = 0.05;
/// Fewer periods than this prove nothing: a period is a tenth of a second.
const FEWEST: f64 = 50.0;

/// Why a GPU's clocks are held back that is no choice and no idleness: slowdown by hardware, heat, power brake (nvml.h).
const HARD_REASONS: u64 = 0x8 | 0x20 | 0x40 | 0x80;
/// The power limit, which is usual under full load, and a fault only if the clocks fall.
const POWER_CAP: u64 = 0x4;
/// How far clocks may fall below the window's first part at the power limit.
const CLOCKS: f64 = 0.9;

pub(super) fn find(seen: &Seen<'_>) -> Result<Vec<Finding>, SourceError> {
    let mut found = containers(seen)?;
    found.extend(gpus(seen)?);
    Ok(found)
}

fn containers(seen: &Seen<'_>) -> Result<Vec<Finding>, SourceError> {
    let mut found = Vec::new();
    for label in ["name", "id"] {
        let sum = |metric: &str| format!("sum by ({label}) (increase(container_cpu_cfs_{metric}[RANGE]))");
        let periods = seen.ranked(&sum("periods_total"), label)?;
        let share = format!("{} / {}", sum("throttled_periods_total"), sum("periods_total"));
        for (who, throttled) in seen.ranked(&share, label)? {
            let has_enough = periods.iter().any(|(name, n)| *name == who && *n >= FEWEST);
            if who.is_empty() || throttled < THROTTLED || !has_enough {
                continue;
            }
            let title = format!(
                "The container {who} is held back by its CPU limit in {} of its periods",
                units::quantity(throttled, "ratio")
            );
            found.push(
                seen.finding(CPU, &who, title)
                    .severity(seen.severity(&[Topic::Time, Topic::Throughput]))
                    .confidence(Confidence::High)
                    .shows("share of the quota's periods in which it was throttled", seen.over_window(&share), Some(THROTTLED), throttled, "ratio")
                    .against("Latencies that stay when the limit is raised.")
                    .act("Raise the container's CPU limit, or let it run fewer threads: they use the quota up at once and then wait."),
            );
        }
        if !found.is_empty() {
            break;
        }
    }
    Ok(found)
}

fn gpus(seen: &Seen<'_>) -> Result<Vec<Finding>, SourceError> {
    let mut found = Vec::new();
    let clocks = seen.lines("DCGM_FI_DEV_SM_CLOCK", "gpu")?;
    let mut reasons = seen.lines("DCGM_FI_DEV_CLOCK_THROTTLE_REASONS", "gpu")?;
    reasons.extend(seen.lines("DCGM_FI_DEV_CLOCKS_EVENT_REASONS", "gpu")?);
    for (gpu, bits) in reasons {
        let share = |mask: u64| share_of(&bits, |v| v as u64 & mask != 0);
        let sm =
            clocks.iter().find(|(g, _)| *g == gpu).map(|(_, points)| points.as_slice()).unwrap_or_default();
        let early = mean(&sm[..sm.len() / 5]);
        let slow: Vec<_> = sm.iter().filter(|p| p.1 < CLOCKS * early).copied().collect();
        let falls = slow.len() as f64 > 0.05 * sm.len().max(1) as f64;
        let (hard, cap) = (share(HARD_REASONS), share(POWER_CAP));
        if hard < THROTTLED && (cap < THROTTLED || !falls) {
            continue;
        }
        let (why, part) =
            if hard >= THROTTLED { ("heat or a power brake", hard) } else { ("its power limit", cap) };
        let title =
            format!("GPU {gpu} is slowed down by {why} in {} of the time", units::quantity(part, "ratio"));
        let mut finding = seen
            .finding(GPU, &gpu, title)
            .severity(seen.severity(&[Topic::Time, Topic::Throughput]))
            .confidence(if falls { Confidence::High } else { Confidence::Medium })
            .shows(
                "share of the samples in which the driver names a reason",
                String::new(),
                Some(THROTTLED),
                part,
                "ratio",
            )
            .against("Clocks, and tokens a second, that stay as they were.")
            .act("Look at cooling, power supply and power limit (nvidia-smi -q -d PERFORMANCE).");
        if falls {
            finding = finding.shows(
                "SM clock in MHz while it was slow, against the window's first part",
                String::new(),
                Some(early),
                mean(&slow),
                "",
            );
        }
        found.push(finding);
    }
    Ok(found)
}

//! Disks and GPUs that have no time left, and GPUs that fail. Invariant: a device that is busy is no fault while nothing waits for it.

use std::collections::BTreeMap;

use super::{
    Confidence, Finding, Kind, Severity, Topic,
    seen::{Seen, mean, only, share_of},
};
use crate::{source::SourceError, units};

pub(super) const DISK: Kind = Kind { id: "R007", name: "disk-saturated" };
pub(super) const GPU: Kind = Kind { id: "R009", name: "gpu-saturated" };
pub(super) const XID: Kind = Kind { id: "T003", name: "gpu-error" };

/// From which share of the time on a disk is busy, and for which part of the window at least.
const DISK_BUSY: f64 = 0.9;
const LASTING: f64 = 0.25;
/// How many operations are queued on average at a disk that is saturated.
const QUEUED: f64 = 2.0;
/// The share of the time in which something may wait for a disk.
const WAITING: f64 = 0.1;
/// From which part of the multiprocessors in use on a GPU is full (NVIDIA's guide to profiling metrics), and for how long.
const SM_ACTIVE: f64 = 0.8;
const KERNELS: f64 = 0.95;
const GPU_LASTING: f64 = 0.5;

pub(super) fn find(seen: &Seen<'_>) -> Result<Vec<Finding>, SourceError> {
    let mut found = disks(seen)?;
    found.extend(gpus(seen)?);
    found.extend(errors(seen)?);
    Ok(found)
}

fn disks(seen: &Seen<'_>) -> Result<Vec<Finding>, SourceError> {
    let busy = "max by (device) (rate(node_disk_io_time_seconds_total[RANGE]))";
    let mut found = Vec::new();
    for (device, points) in seen.lines(busy, "device")? {
        if share_of(&points, |v| v > DISK_BUSY) < LASTING {
            continue;
        }
        let of = only("device", &device);
        let queued = format!("max(rate(node_disk_io_time_weighted_seconds_total{{{of}}}[RANGE]))");
        let Some(queue) = seen.number(&queued)?.filter(|n| *n >= QUEUED) else { continue };
        let waiting = "max(rate(node_pressure_io_waiting_seconds_total[RANGE]))";
        let pressure = seen.number(waiting)?;
        // A disk that takes many operations at once is busy all the time before it is full.
        if pressure.is_some_and(|share| share < WAITING) {
            continue;
        }
        let title = format!(
            "The disk {device} is busy {} of the time, with {} operations at a time",
            units::quantity(mean(&points), "ratio"),
            units::digits(queue)
        );
        let mut finding = seen
            .finding(DISK, &device, title)
            .severity(seen.severity(&[Topic::Time, Topic::Throughput, Topic::Resources]))
            .confidence(if pressure.is_some() { Confidence::High } else { Confidence::Medium })
            .shows(
                "share of the time in which the disk is busy, against where it is saturated",
                seen.over_window(&format!("max(rate(node_disk_io_time_seconds_total{{{of}}}[RANGE]))")),
                Some(DISK_BUSY),
                mean(&points),
                "ratio",
            )
            .shows("operations at the disk on average, against where they wait", seen.over_window(&queued), Some(QUEUED), queue, "")
            .against("A disk that does as much again when it is asked for more: then it was busy, and not full.")
            .act("See who reads and writes (iotop, namedprocess_namegroup_read_bytes_total): logs, swap, an index that does not fit in memory; or give it a faster disk.");
        if let Some(share) = pressure {
            finding = finding.shows(
                "share of the time in which something waited for a disk",
                seen.over_window(waiting),
                Some(WAITING),
                share,
                "ratio",
            );
        }
        found.push(finding);
    }
    Ok(found)
}

fn gpus(seen: &Seen<'_>) -> Result<Vec<Finding>, SourceError> {
    // How many multiprocessors work says how full a GPU is; that a kernel runs says little.
    let full = seen.lines("max by (gpu) (DCGM_FI_PROF_SM_ACTIVE)", "gpu")?;
    let is_full = !full.is_empty();
    let (lines, limit, what, metric, scale) = if is_full {
        (full, SM_ACTIVE, "of its multiprocessors work", "DCGM_FI_PROF_SM_ACTIVE", "")
    } else {
        let runs = seen.lines("max by (gpu) (DCGM_FI_DEV_GPU_UTIL) / 100", "gpu")?;
        (runs, KERNELS, "of the time a kernel runs", "DCGM_FI_DEV_GPU_UTIL", " / 100")
    };
    let mut found = Vec::new();
    for (gpu, points) in lines {
        if share_of(&points, |v| v > limit) < GPU_LASTING {
            continue;
        }
        let is_missed = is_full && seen.misses(&[Topic::Time, Topic::Throughput]);
        let share = units::quantity(mean(&points), "ratio");
        let title = format!("GPU {gpu} is in use all along: {share} {what}");
        found.push(
            seen.finding(GPU, &gpu, title)
                // A GPU is there to be used.
                .severity(if is_missed { Severity::Warning } else { Severity::Info })
                .confidence(if is_full { Confidence::High } else { Confidence::Low })
                .shows(
                    format!("{what}, against where a GPU is full"),
                    seen.over_window(&format!("max(avg_over_time({metric}{{{}}}[RANGE])){scale}", only("gpu", &gpu))),
                    Some(limit),
                    mean(&points),
                    "ratio",
                )
                .against("Tokens a second that still grow when more requests come: then there is room.")
                .act("Add GPUs or replicas; or make an answer cheaper: a quantised or smaller model, shorter prompts and answers, larger batches."),
        );
    }
    Ok(found)
}

/// Errors that the driver reports.
fn errors(seen: &Seen<'_>) -> Result<Vec<Finding>, SourceError> {
    let counted = "sum by (gpu, xid) (increase(exporter_gpu_xid_errors_total[RANGE])) >= 0.5";
    // dcgm-exporter has the number of the last one, for as long as the driver is loaded.
    let last = "max by (gpu) (last_over_time(DCGM_FI_DEV_XID_ERRORS[RANGE])) > 0 \
                and max by (gpu) (changes(DCGM_FI_DEV_XID_ERRORS[RANGE])) > 0";
    let mut by_gpu: BTreeMap<String, Vec<(String, f64)>> = BTreeMap::new();
    for (labels, count) in seen.found(counted)? {
        let of = |name: &str| labels.get(name).unwrap_or_default().to_owned();
        by_gpu.entry(of("gpu")).or_default().push((of("xid"), count));
    }
    let expression = if by_gpu.is_empty() { last } else { counted };
    if by_gpu.is_empty() {
        for (gpu, xid) in seen.ranked(last, "gpu")? {
            by_gpu.entry(gpu).or_default().push((units::digits(xid), 1.0));
        }
    }
    let finding = |(gpu, xids): (String, Vec<(String, f64)>)| {
        let named: Vec<_> = xids.iter().map(|(xid, _)| format!("XID {xid}{}", meaning(xid))).collect();
        let count: f64 = xids.iter().map(|(_, n)| n).sum();
        let title = format!("The driver of GPU {gpu} reports {}", named.join(", and "));
        seen.finding(XID, &gpu, title)
            .severity(Severity::Critical)
            .confidence(Confidence::High)
            .shows("errors that the driver reported", seen.over_window(expression), Some(0.0), count.round(), "")
            .against("The same number from a program that has nothing to do with the service.")
            .act("Read the kernel's log (dmesg, NVRM: Xid) and NVIDIA's list of XIDs; errors of memory and bus need a reset, or another board.")
    };
    Ok(by_gpu.into_iter().map(finding).collect())
}

/// What the most frequent numbers mean (NVIDIA, XID Errors).
fn meaning(xid: &str) -> &'static str {
    match xid {
        "13" | "31" | "43" | "45" => ": a program's fault",
        "48" | "63" | "64" | "92" | "94" | "95" => ": an error of its memory",
        "74" => ": an error of NVLink",
        "79" => ": it has fallen off the bus",
        "119" | "120" => ": its firmware does not answer",
        _ => "",
    }
}

//! Processors and memory of the host, and who uses them. Invariant: one process is one user of a processor, however many
//! jobs scrape it.

use super::{
    Confidence, Finding, Kind, Severity, Topic,
    seen::{Seen, longest, mean, only, share_of},
};
use crate::{source::SourceError, units};

pub(super) const CPU: Kind = Kind { id: "R001", name: "cpu-saturated" };
pub(super) const CPU_OTHERS: Kind = Kind { id: "R002", name: "other-programs" };
pub(super) const MEMORY: Kind = Kind { id: "R003", name: "memory-short" };
pub(super) const OOM: Kind = Kind { id: "R004", name: "out-of-memory" };

/// From which busy share on a host's processors are saturated.
const BUSY: f64 = 0.9;
/// For which share of the window at least.
const LASTING: f64 = 0.25;
/// The least share of memory that should be available.
const AVAILABLE: f64 = 0.1;
/// The share of the time in which something may wait for memory.
const PRESSED: f64 = 0.1;

pub(super) fn find(seen: &Seen<'_>) -> Result<Vec<Finding>, SourceError> {
    let mut found = Vec::new();
    found.extend(processors(seen)?);
    found.extend(memory(seen)?);
    found.extend(killed(seen)?);
    Ok(found)
}

fn processors(seen: &Seen<'_>) -> Result<Option<Finding>, SourceError> {
    let busy = "1 - sum by (instance) (rate(node_cpu_seconds_total{mode=~\"idle|iowait\"}[RANGE])) \
                / sum by (instance) (rate(node_cpu_seconds_total[RANGE]))";
    let mut hosts = seen.lines(busy, "instance")?;
    let saturated = |points: &[(i64, f64)]| share_of(points, |v| v > BUSY);
    hosts.sort_by(|a, b| saturated(&b.1).total_cmp(&saturated(&a.1)));
    let Some((host, points)) = hosts.first().filter(|(_, points)| saturated(points) >= LASTING) else {
        return Ok(None);
    };
    let of_host = only("instance", host);
    let all =
        seen.number(&format!("count(node_cpu_seconds_total{{mode=\"idle\",{of_host}}})"))?.unwrap_or(1.0);
    let work = format!("sum(rate(node_cpu_seconds_total{{mode!~\"idle|iowait\",{of_host}}}[RANGE]))");
    let working = seen.number(&work)?.unwrap_or(0.0);
    let users = users(seen)?;
    let known: f64 = users.iter().map(|(_, v)| v).sum();
    let share = mean(points);
    let others = working - known;
    let list: Vec<_> = users
        .iter()
        .filter(|u| u.1 > 0.01 * all)
        .take(3)
        .map(|(name, v)| format!("{name} {}", units::digits(*v)))
        .collect();
    let is_foreign = others > 0.5 * working && others > 0.25 * all;
    let severity = seen.severity(&[Topic::Time, Topic::Throughput, Topic::Resources]);
    let finding = if is_foreign {
        let title = format!(
            "Programs that are not part of the test keep {} of {host}'s {} processors busy",
            units::digits(others),
            units::digits(all)
        );
        seen.finding(CPU_OTHERS, host, title)
            .severity(severity)
            .shows(
                "processors busy with programs that nothing scrapes, against those that are known",
                String::new(),
                Some(known),
                others,
                "",
            )
            .against("A part of the service that nothing scrapes: then it is the service's own work.")
            .act("Stop what else runs there, or move the test; measure again.")
    } else {
        let title = format!("The processors of {host} are {} busy", units::quantity(share, "ratio"));
        let most = users.first().map_or_else(String::new, |(name, _)| format!(", most of all {name}"));
        seen.finding(CPU, host, title)
            .severity(severity)
            .against("Latencies that do not change when fewer requests come.")
            .act(format!("Give the host more processors, or make what runs on it cheaper{most}."))
    };
    let finding = finding.confidence(Confidence::High).shows(
        "busy share of the processors, against where they are saturated",
        seen.over_window(&format!("1 - sum(rate(node_cpu_seconds_total{{mode=~\"idle|iowait\",{of_host}}}[RANGE])) / sum(rate(node_cpu_seconds_total{{{of_host}}}[RANGE]))")),
        Some(BUSY),
        share,
        "ratio",
    );
    // How long at a stretch, if it is not all of the window.
    let finding = match longest(points, |v| v > BUSY).filter(|_| saturated(points) < 1.0) {
        Some(span) => finding.span(span),
        None => finding,
    };
    let finding = if list.is_empty() {
        finding
    } else {
        finding.shows(
            format!("processors of the processes that are known ({})", list.join(", ")),
            String::new(),
            None,
            known,
            "",
        )
    };
    Ok(Some(pressure(seen, &of_host, finding)?))
}

fn pressure(seen: &Seen<'_>, of_host: &str, finding: Finding) -> Result<Finding, SourceError> {
    let waiting = format!("avg(rate(node_pressure_cpu_waiting_seconds_total{{{of_host}}}[RANGE]))");
    Ok(match seen.number(&waiting)? {
        Some(share) => finding.shows(
            "share of the time in which something waited for a processor",
            seen.over_window(&waiting),
            None,
            share,
            "ratio",
        ),
        None => finding,
    })
}

/// Processors by job, the generator among them.
fn users(seen: &Seen<'_>) -> Result<Vec<(String, f64)>, SourceError> {
    let used = seen.ranked("sum by (job) (rate(process_cpu_seconds_total[RANGE]))", "job")?;
    let started = seen.ranked("min by (job) (process_start_time_seconds)", "job")?;
    let start_of = |job: &str| started.iter().find(|(j, _)| j == job).map(|(_, v)| *v);
    let mut users: Vec<(String, f64)> = Vec::new();
    for (job, cpus) in used {
        // Parts of one process started at one instant and use the same time.
        let same = |u: &&(String, f64)| {
            start_of(&u.0) == start_of(&job)
                && start_of(&job).is_some()
                && (u.1 - cpus).abs() < 0.05 * cpus.max(0.01)
        };
        if users.iter().find(same).is_none() {
            users.push((job, cpus));
        }
    }
    if let Some(cpus) = seen.number("sum(rate(load_cpu_time_seconds_total[RANGE]))")?
        && !users.iter().any(|u| u.0 == "loadgen")
    {
        users.push(("the generator".to_owned(), cpus));
    }
    users.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(users)
}

fn memory(seen: &Seen<'_>) -> Result<Option<Finding>, SourceError> {
    let share = "min by (instance) (min_over_time(node_memory_MemAvailable_bytes[RANGE])) \
                 / max by (instance) (max_over_time(node_memory_MemTotal_bytes[RANGE]))";
    let pressed = "max(rate(node_pressure_memory_waiting_seconds_total[RANGE]))";
    let pressure = seen.number(pressed)?;
    let is_pressed = pressure.is_some_and(|share| share > PRESSED);
    let mut hosts = seen.ranked(share, "instance")?;
    let Some((host, available)) = hosts.pop().filter(|h| h.1 < AVAILABLE || is_pressed) else {
        return Ok(None);
    };
    let processes =
        seen.ranked("max by (job) (max_over_time(process_resident_memory_bytes[RANGE]))", "job")?;
    let list: Vec<_> =
        processes.iter().take(3).map(|(job, v)| format!("{job} {}", units::quantity(*v, "bytes"))).collect();
    let swap = "sum(rate(node_vmstat_pswpin[RANGE])) + sum(rate(node_vmstat_pswpout[RANGE]))";
    let left = units::quantity(available, "ratio");
    let title = match pressure.filter(|_| available >= AVAILABLE) {
        Some(share) => format!(
            "Programs wait for memory {} of the time, in a control group's limit or in swap, while {host} has {left} of its memory left",
            units::quantity(share, "ratio")
        ),
        None => format!("{host} has only {left} of its memory left"),
    };
    let mut finding = seen
        .finding(MEMORY, &host, title)
        .severity(seen.severity(&[Topic::Time, Topic::Throughput, Topic::Resources]))
        .confidence(Confidence::High)
        .shows(
            "the least share of memory that was available",
            seen.over_window(share),
            Some(AVAILABLE),
            available,
            "ratio",
        )
        .against("Memory that the kernel gives back on demand: it counts as available.")
        .act(if list.is_empty() {
            "Give the host more memory, or run less on it.".to_owned()
        } else {
            format!(
                "Give the host more memory, or run less on it; the largest processes: {}.",
                list.join(", ")
            )
        });
    if let Some(share) = pressure.filter(|share| *share > 0.0) {
        finding = finding.shows(
            "share of the time in which something waited for memory",
            seen.over_window(pressed),
            Some(PRESSED),
            share,
            "ratio",
        );
    }
    if let Some(pages) = seen.number(swap)?.filter(|p| *p > 1.0) {
        finding = finding.shows("pages swapped each second", seen.over_window(swap), Some(0.0), pages, "/s");
    }
    Ok(Some(finding))
}

fn killed(seen: &Seen<'_>) -> Result<Option<Finding>, SourceError> {
    let kills = "sum(increase(node_vmstat_oom_kill[RANGE]))";
    let Some(count) = seen.number(kills)?.filter(|n| *n >= 0.5) else { return Ok(None) };
    let title = format!("The kernel ended {} processes for want of memory", units::digits(count.round()));
    Ok(Some(
        seen.finding(OOM, "", title)
            .severity(Severity::Critical)
            .confidence(Confidence::High)
            .shows("processes ended for want of memory", seen.over_window(kills), Some(0.0), count, "")
            .against("A process of another program on the same host: the kernel's log names it.")
            .act("Find in the kernel's log which process it was; raise its limit, or make it smaller."),
    ))
}

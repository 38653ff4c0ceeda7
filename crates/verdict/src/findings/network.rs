//! The network and its queues: interfaces that are full, packets that are lost, connections that the host turns away. Invariant: a
//! few packets lost are no finding.

use super::{
    Confidence, Finding, Kind, Severity, Topic,
    seen::{Seen, mean, only, share_of},
};
use crate::{source::SourceError, units};

pub(super) const KIND: Kind = Kind { id: "R008", name: "network-saturated" };

/// From which part of its speed on an interface is full, and for which part of the window at least.
const FULL: f64 = 0.8;
const LASTING: f64 = 0.25;

/// Something that should not be, in parts of something else.
struct Loss {
    subject: &'static str,
    /// How many, and of how many; `None` where every one counts.
    lost: &'static str,
    of: Option<&'static str>,
    /// The share that is allowed, and the fewest that are worth a word.
    allowed: f64,
    fewest: f64,
    /// What happened to them, and the figure's name.
    what: &'static str,
    figure: &'static str,
    remedy: &'static str,
}

const LOSSES: [Loss; 4] = [
    Loss {
        subject: "TCP",
        lost: "sum(increase(node_netstat_Tcp_RetransSegs[RANGE]))",
        of: Some("sum(increase(node_netstat_Tcp_OutSegs[RANGE]))"),
        allowed: 0.01,
        fewest: 50.0,
        what: "TCP segments were sent again",
        figure: "share of TCP's segments that were sent again",
        remedy: "Look where packets are lost on the way: cables, switches, a shaper, a virtual interface that is full.",
    },
    Loss {
        subject: "interfaces",
        lost: "sum(increase(node_network_receive_errs_total{device!=\"lo\"}[RANGE])) + sum(increase(node_network_transmit_errs_total{device!=\"lo\"}[RANGE])) + sum(increase(node_network_transmit_drop_total{device!=\"lo\"}[RANGE]))",
        of: Some(
            "sum(increase(node_network_receive_packets_total{device!=\"lo\"}[RANGE])) + sum(increase(node_network_transmit_packets_total{device!=\"lo\"}[RANGE]))",
        ),
        allowed: 0.001,
        fewest: 50.0,
        what: "packets were damaged, or dropped before they were sent",
        figure: "share of the packets that were damaged or dropped",
        remedy: "Read the counters of the interface (ethtool -S); its queue may be too short, or its link broken.",
    },
    Loss {
        subject: "accept queue",
        lost: "sum(increase(node_netstat_TcpExt_ListenOverflows[RANGE]))",
        of: None,
        allowed: 0.0,
        fewest: 1.0,
        what: "connections were turned away, because those before them were not accepted",
        figure: "connections that were turned away",
        remedy: "Let the service accept faster, raise its backlog (and net.core.somaxconn), or keep connections open.",
    },
    Loss {
        subject: "connection tracking",
        lost: "max(max_over_time(node_nf_conntrack_entries[RANGE]))",
        of: Some("max(node_nf_conntrack_entries_limit)"),
        allowed: 0.95,
        fewest: 50.0,
        what: "entries of the table of connections are in use",
        figure: "share of the table of connections that is in use",
        remedy: "Raise net.netfilter.nf_conntrack_max, or keep connections open: a full table drops what is new.",
    },
];

pub(super) fn find(seen: &Seen<'_>) -> Result<Vec<Finding>, SourceError> {
    let mut found = interfaces(seen)?;
    for loss in &LOSSES {
        found.extend(lost(seen, loss)?);
    }
    Ok(found)
}

fn interfaces(seen: &Seen<'_>) -> Result<Vec<Finding>, SourceError> {
    let mut found = Vec::new();
    for (way, metric) in
        [("receives", "node_network_receive_bytes_total"), ("sends", "node_network_transmit_bytes_total")]
    {
        let used = format!(
            "max by (device) (rate({metric}{{device!=\"lo\"}}[RANGE]) / on (instance, device) (node_network_speed_bytes > 0))"
        );
        for (device, points) in seen.lines(&used, "device")? {
            if share_of(&points, |v| v > FULL) < LASTING {
                continue;
            }
            let share = units::quantity(mean(&points), "ratio");
            let part = format!(
                "max(rate({metric}{{{}}}[RANGE]) / on (instance, device) (node_network_speed_bytes > 0))",
                only("device", &device)
            );
            found.push(
                seen.finding(KIND, &device, format!("The interface {device} {way} at {share} of its speed"))
                    .severity(seen.severity(&[Topic::Time, Topic::Throughput, Topic::Resources]))
                    .confidence(Confidence::High)
                    .shows("part of the interface's speed, against where it is full", seen.over_window(&part), Some(FULL), mean(&points), "ratio")
                    .against("A speed that the interface does not have: virtual ones say anything.")
                    .act("Send less (compression, smaller answers), or use a faster link, or put the two ends closer together."),
            );
        }
    }
    Ok(found)
}

fn lost(seen: &Seen<'_>, loss: &Loss) -> Result<Option<Finding>, SourceError> {
    let Some(count) = seen.number(loss.lost)?.filter(|n| *n >= loss.fewest) else { return Ok(None) };
    let many = units::digits(count.round());
    let (before, after, unit, title, expression) = match loss.of {
        Some(of) => {
            let Some(all) = seen.number(of)?.filter(|n| *n > 0.0) else { return Ok(None) };
            let title = format!("{many} of {} {}", units::digits(all.round()), loss.what);
            (loss.allowed, count / all, "ratio", title, format!("({}) / ({of})", loss.lost))
        }
        None => (0.0, count.round(), "", format!("{many} {}", loss.what), loss.lost.to_owned()),
    };
    if after <= before {
        return Ok(None);
    }
    Ok(Some(
        seen.finding(KIND, loss.subject, title)
            .severity(Severity::Warning)
            .confidence(Confidence::Medium)
            .shows(
                format!("{}, against what is usual", loss.figure),
                seen.over_window(&expression),
                Some(before),
                after,
                unit,
            )
            .against("Traffic of other programs on the same host: the counters are the host's.")
            .act(loss.remedy),
    ))
}

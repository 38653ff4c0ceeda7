//! Requests as a tool has them, next to the same requests in the server's log. Invariant: a request is joined to the
//! first one of the log that is not earlier and not joined yet, so that one that a tool does not report shifts no other.

use rustix::time::{ClockId, clock_gettime};

use super::super::server::Log;

/// The times of a request, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Times {
    /// When it was sent, or was received, since the Unix epoch.
    pub(super) sent_s: f64,
    /// From there to its first token.
    pub(super) first_s: f64,
    /// From token to token: from the first to the last, for each after the first.
    pub(super) gap_s: f64,
}

/// A request of both sides.
#[derive(Debug, PartialEq)]
pub(super) struct Pair {
    pub(super) reported: Times,
    pub(super) truth: Times,
}

/// By how much the clocks of the two sides may seem apart: some tools write no more than milliseconds.
const CLOCKS_S: f64 = 0.002;

impl Times {
    /// Those of the log, whose requests all have been answered to the end.
    pub(super) fn logged(log: &Log) -> Vec<Self> {
        let s = |clock| {
            let t = clock_gettime(clock);
            t.tv_sec as f64 + t.tv_nsec as f64 / 1e9
        };
        let epoch_s = s(ClockId::Realtime) - s(ClockId::Monotonic);
        Self::since(log, epoch_s)
    }

    /// The same, where the clock of the log was zero at `epoch_s`.
    fn since(log: &Log, epoch_s: f64) -> Vec<Self> {
        let mut events: Vec<Option<(u64, u64, u32)>> = vec![None; log.received_ns.len()];
        for &(entry, at) in &log.sent {
            let (first, _, n) = events[entry as usize].unwrap_or((at, at, 0));
            events[entry as usize] = Some((first, at, n + 1));
        }
        let of = |(&received, events): (&u64, &Option<(u64, u64, u32)>)| {
            let (first, last, n) = (*events)?;
            Some(Self {
                sent_s: epoch_s + received as f64 / 1e9,
                first_s: (first - received) as f64 / 1e9,
                gap_s: (last - first) as f64 / 1e9 / f64::from(n.max(2) - 1),
            })
        };
        log.received_ns.iter().zip(&events).filter_map(of).collect()
    }
}

/// Joins what a tool reports (in any order) to the log.
pub(super) fn join(mut reported: Vec<Times>, mut truth: Vec<Times>) -> Vec<Pair> {
    reported.sort_by(|a, b| a.sent_s.total_cmp(&b.sent_s));
    truth.sort_by(|a, b| a.sent_s.total_cmp(&b.sent_s));
    let mut log = truth.into_iter();
    reported
        .into_iter()
        .map_while(|reported| {
            let truth = log.find(|t| t.sent_s >= reported.sent_s - CLOCKS_S)?;
            Some(Pair { reported, truth })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn times_are_of_one_request() {
        let log = Log {
            received_ns: vec![0, 5 * MS],
            sent: vec![(0, 20 * MS), (1, 30 * MS), (0, 40 * MS), (1, 33 * MS), (0, 70 * MS)],
        };
        let times = Times::since(&log, 100.0);
        assert_eq!(times[0], Times { sent_s: 100.0, first_s: 0.02, gap_s: 0.025 });
        assert_eq!(times[1], Times { sent_s: 100.005, first_s: 0.025, gap_s: 0.003 });
    }

    #[test]
    fn a_request_that_a_tool_leaves_out_shifts_no_other() {
        let at = |sent_s: f64| Times { sent_s, first_s: sent_s, gap_s: 0.0 };
        let truth = vec![at(1.001), at(2.0), at(3.001)];
        // The clock of the second is a millisecond ahead, and the request between was not reported.
        let pairs = join(vec![at(3.002), at(1.0)], truth);
        let of: Vec<_> = pairs.iter().map(|p| (p.reported.sent_s, p.truth.sent_s)).collect();
        assert_eq!(of, [(1.0, 1.001), (3.002, 3.001)]);
    }
}

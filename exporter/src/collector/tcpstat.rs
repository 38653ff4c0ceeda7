//! `node_tcp_connection_states` from `/proc/net/tcp` and `tcp6`.

use std::collections::BTreeMap;

use super::{Collector, Entry};
use crate::{Failure, Families, Host};

pub(super) const ENTRY: Entry = Entry::off("tcpstat", "TCP connections by state", |_| Box::new(Tcpstat));

/// TCP connections by state. Off unless asked for: the kernel writes a line for each of them.
pub(super) struct Tcpstat;

/// The kernel's states, from 1 (`include/net/tcp_states.h`).
const STATES: [&str; 11] = [
    "established",
    "syn_sent",
    "syn_recv",
    "fin_wait1",
    "fin_wait2",
    "time_wait",
    "close",
    "close_wait",
    "last_ack",
    "listen",
    "closing",
];

impl Collector for Tcpstat {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let v4 = host.read_proc("net/tcp")?;
        // There is none where IPv6 is off.
        let v6 = host.read_proc("net/tcp6").unwrap_or_default();
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for line in v4.lines().skip(1).chain(v6.lines().skip(1)) {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let [_, _, _, state, queues, ..] = words.as_slice() else { continue };
            let state = usize::from_str_radix(state, 16).ok().and_then(|n| STATES.get(n.checked_sub(1)?));
            *counts.entry(state.copied().unwrap_or("unknown")).or_default() += 1;
            let bytes = |hex: &str| u64::from_str_radix(hex, 16).unwrap_or(0);
            if let Some((sent, received)) = queues.split_once(':') {
                *counts.entry("tx_queued_bytes").or_default() += bytes(sent);
                *counts.entry("rx_queued_bytes").or_default() += bytes(received);
            }
        }
        for (state, n) in counts {
            let help = "Connections by state, and the bytes in their queues.";
            out.gauge("node_tcp_connection_states", help, &[("state", state)], n as f64);
        }
        Ok(())
    }
}

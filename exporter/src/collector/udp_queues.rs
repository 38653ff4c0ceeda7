//! `node_udp_queues{ip,queue}` from `/proc/net/udp` and `udp6`.

use super::{Collector, Entry};
use crate::{Failure, Families, Host};

pub(super) const ENTRY: Entry = Entry::on("udp_queues", "Bytes in UDP queues", |_| Box::new(UdpQueues));

/// Bytes that wait in the queues of UDP sockets.
pub(super) struct UdpQueues;

impl Collector for UdpQueues {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        for (file, ip) in [("net/udp", "v4"), ("net/udp6", "v6")] {
            let text = match host.read_proc(file) {
                Err(Failure::Absent(_)) => continue,
                other => other?,
            };
            let (mut transmit, mut receive) = (0u64, 0u64);
            for line in text.lines().skip(1) {
                let queues = line.split_ascii_whitespace().nth(4).and_then(|word| word.split_once(':'));
                if let Some((tx, rx)) = queues {
                    transmit += u64::from_str_radix(tx, 16).unwrap_or(0);
                    receive += u64::from_str_radix(rx, 16).unwrap_or(0);
                }
            }
            for (queue, bytes) in [("tx", transmit), ("rx", receive)] {
                let labels = [("ip", ip), ("queue", queue)];
                out.gauge("node_udp_queues", "Bytes in the queues of UDP sockets.", &labels, bytes as f64);
            }
        }
        Ok(())
    }
}

//! `node_softnet_*` from `/proc/net/softnet_stat`.

use assay_model::MetricType::{self, Counter, Gauge};

use super::{Collector, Entry};
use crate::{Failure, Families, Host};

pub(super) const ENTRY: Entry = Entry::on("softnet", "Packet processing by CPU", |_| Box::new(Softnet));

/// Packet processing by CPU.
pub(super) struct Softnet;

/// Column (hexadecimal; `net/core/net-procfs.c`), metric, type and help. Columns 3 to 7 are always zero.
const COLUMNS: [(usize, &str, MetricType, &str); 7] = [
    (0, "node_softnet_processed_total", Counter, "Packets processed."),
    (1, "node_softnet_dropped_total", Counter, "Packets dropped because the queue was full."),
    (
        2,
        "node_softnet_times_squeezed_total",
        Counter,
        "Times that processing stopped with packets left to do.",
    ),
    (8, "node_softnet_cpu_collision_total", Counter, "Collisions on a device's lock while sending."),
    (9, "node_softnet_received_rps_total", Counter, "Times that another CPU handed over packets."),
    (10, "node_softnet_flow_limit_count_total", Counter, "Times that a flow's limit was reached."),
    (11, "node_softnet_backlog_len", Gauge, "Packets that wait."),
];
const CPU: usize = 12;

impl Collector for Softnet {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let text = host.read_proc("net/softnet_stat")?;
        for (line_number, line) in text.lines().enumerate() {
            let words: Vec<u32> =
                line.split_ascii_whitespace().filter_map(|w| u32::from_str_radix(w, 16).ok()).collect();
            // Kernels before 5.14 do not say which CPU a line is about: the nth line is the nth online.
            let cpu = words.get(CPU).map_or(line_number as u32, |cpu| *cpu).to_string();
            for (column, name, metric_type, help) in COLUMNS {
                // Older kernels have fewer columns; node_exporter shows zeros for the others.
                let value = words.get(column).copied().unwrap_or(0);
                out.add(metric_type, name, help, &[("cpu", &cpu)], f64::from(value));
            }
        }
        Ok(())
    }
}

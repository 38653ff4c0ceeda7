//! `node_network_{receive,transmit}_*_total` from `/proc/net/dev`.

use super::Collector;
use crate::{Failure, Families, Filter, Host, Options, host::read_attribute_number};

/// The columns as the kernel orders them (`net/core/net-procfs.c`).
const RECEIVE: [&str; 8] = ["bytes", "packets", "errs", "drop", "fifo", "frame", "compressed", "multicast"];
const TRANSMIT: [&str; 8] = ["bytes", "packets", "errs", "drop", "fifo", "colls", "carrier", "compressed"];

/// Network devices' traffic.
pub(super) struct Netdev {
    devices: Filter,
}

impl Netdev {
    pub(super) fn new(options: &Options) -> Self {
        Self { devices: options.network_devices.clone() }
    }
}

impl Collector for Netdev {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let path = host.proc_path("net/dev");
        let text = crate::host::read(&path)?;
        for line in text.lines().skip(2) {
            // A name may hold colons (`eth0:1`), a number cannot.
            let Some((device, columns)) = line.rsplit_once(':') else { continue };
            let device = device.trim();
            if !self.devices.allows(device) {
                continue;
            }
            let values: Vec<f64> = columns.split_ascii_whitespace().filter_map(|c| c.parse().ok()).collect();
            if values.len() < RECEIVE.len() + TRANSMIT.len() {
                let message = format!("{device} has {} numbers where 16 should be", values.len());
                return Err(Failure::Layout { path, message });
            }
            let (receive, transmit) = values.split_at(RECEIVE.len());
            for (direction, names, values) in
                [("receive", RECEIVE, receive), ("transmit", TRANSMIT, transmit)]
            {
                for (name, value) in names.iter().zip(values) {
                    show(out, direction, name, device, *value);
                }
            }
            // Packets for which no protocol was registered are counted in /sys alone.
            let statistics = host.sys_path("class/net").join(device).join("statistics/rx_nohandler");
            if let Some(value) = read_attribute_number(&statistics) {
                show(out, "receive", "nohandler", device, value);
            }
        }
        Ok(())
    }
}

fn show(out: &mut Families, direction: &str, name: &str, device: &str, value: f64) {
    let help = format!("{direction} {name} of the network device.");
    out.counter(&format!("node_network_{direction}_{name}_total"), &help, &[("device", device)], value);
}

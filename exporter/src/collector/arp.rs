//! `node_arp_entries{device}` from `/proc/net/arp`.

use std::collections::BTreeMap;

use super::Collector;
use crate::{Failure, Families, Filter, Host, Options};

/// Neighbours that the kernel knows, incomplete entries among them.
pub(super) struct Arp {
    devices: Filter,
}

impl Arp {
    pub(super) fn new(options: &Options) -> Self {
        Self { devices: options.arp_devices.clone() }
    }
}

impl Collector for Arp {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let text = host.read_proc("net/arp")?;
        let mut entries: BTreeMap<&str, u32> = BTreeMap::new();
        for device in text.lines().skip(1).filter_map(|line| line.split_whitespace().nth(5)) {
            *entries.entry(device).or_default() += 1;
        }
        for (device, n) in entries.into_iter().filter(|(device, _)| self.devices.allows(device)) {
            out.gauge("node_arp_entries", "Neighbours in the ARP table.", &[("device", device)], n.into());
        }
        Ok(())
    }
}

//! `node_arp_entries{device}` from `/proc/net/arp`.

use std::collections::BTreeMap;

use super::{Collector, Entry};
use crate::{
    Failure, Families, Filter, Host, Settings,
    settings::{Flag, Kind},
};

pub(super) const ENTRY: Entry =
    Entry::on("arp", "ARP entries by device", |s| Box::new(Arp::new(s))).flags(&[
        Flag::new(
            "collector.arp.device-include",
            Kind::Pattern(""),
            "The only devices whose neighbours to show",
        ),
        Flag::new("collector.arp.device-exclude", Kind::Pattern(""), "Devices whose neighbours to leave out"),
        Flag::new(
            "collector.arp.netlink",
            Kind::Switch(true),
            "Accepted; /proc/net/arp has the same entries and is always read",
        ),
    ]);

/// Neighbours that the kernel knows, incomplete entries among them.
struct Arp {
    devices: Filter,
}

impl Arp {
    fn new(settings: &Settings) -> Self {
        Self { devices: settings.filter("collector.arp.device") }
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

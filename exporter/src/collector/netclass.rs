//! `node_network_*` properties from `/sys/class/net`.

use std::path::Path;

use assay_model::MetricType::{self, Counter, Gauge};

use super::{Collector, Entry};
use crate::{
    Failure, Families, Filter, Host, Settings,
    host::{list, read_attribute, read_attribute_number},
    settings::{Flag, Kind},
};

/// File below `/sys/class/net/DEVICE`, metric, type and help. A device refuses what it does not have (the
/// carrier of an interface that is down); such a metric is left out.
#[rustfmt::skip]
const PROPERTIES: [(&str, &str, MetricType, &str); 16] = [
    ("addr_assign_type", "address_assign_type", Gauge, "How the address was assigned."),
    ("carrier", "carrier", Gauge, "1 where the link has a carrier."),
    ("carrier_changes", "carrier_changes_total", Counter, "Times that the carrier came or went."),
    ("carrier_up_count", "carrier_up_changes_total", Counter, "Times that the carrier came."),
    ("carrier_down_count", "carrier_down_changes_total", Counter, "Times that the carrier went."),
    ("dev_id", "device_id", Gauge, "Distinguishes devices that share an address."),
    ("dormant", "dormant", Gauge, "1 where the device waits for an event, such as authentication."),
    ("flags", "flags", Gauge, "The device's flags."),
    ("ifindex", "iface_id", Gauge, "The device's number."),
    ("iflink", "iface_link", Gauge, "The number of the device that it is linked to."),
    ("link_mode", "iface_link_mode", Gauge, "The link's mode."),
    ("mtu", "mtu_bytes", Gauge, "The largest packet."),
    ("name_assign_type", "name_assign_type", Gauge, "How the name was assigned."),
    ("netdev_group", "net_dev_group", Gauge, "The device's group."),
    ("tx_queue_len", "transmit_queue_length", Gauge, "Packets that the transmit queue can hold."),
    ("type", "protocol_type", Gauge, "The link's protocol (ARPHRD number)."),
];

const BYTES_PER_S_OF_MBIT: f64 = 1_000_000.0 / 8.0;
const FLAG_UP: u64 = 1;

pub(super) const ENTRY: Entry = Entry::on("netclass", "Network devices' properties", |s| Box::new(Netclass::new(s))).flags(&[
    Flag::new("collector.netclass.ignored-devices", Kind::Pattern("^$"), "Devices whose properties to leave out"),
    Flag::new(
        "collector.netclass.ignore-invalid-speed",
        Kind::Switch(false),
        "Leave out the speed of links whose speed is unknown",
    ),
    Flag::new("collector.netclass.netlink", Kind::Switch(false), "Accepted; /sys/class/net is always read"),
    Flag::new("collector.netclass_rtnl.with-stats", Kind::Switch(false), "Accepted; traffic is shown by netdev"),
]);

/// Properties of network devices.
pub(super) struct Netclass {
    devices: Filter,
    ignore_invalid_speed: bool,
}

impl Netclass {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { devices: Filter { include: None, exclude: settings.pattern("collector.netclass.ignored-devices") },
            ignore_invalid_speed: settings.switch("collector.netclass.ignore-invalid-speed"), }
    }

    fn show(&self, out: &mut Families, device: &str, directory: &Path) {
        let labels = [("device", device)];
        for (file, name, metric_type, help) in PROPERTIES {
            if let Some(value) = read_attribute_number(&directory.join(file)) {
                out.add(metric_type, &format!("node_network_{name}"), help, &labels, value);
            }
        }
        let speed = read_attribute_number(&directory.join("speed"));
        if let Some(mbit) = speed.filter(|s| *s >= 0.0 || !self.ignore_invalid_speed) {
            let help = "The link's speed in bytes per second; negative where it is unknown.";
            out.gauge("node_network_speed_bytes", help, &labels, mbit * BYTES_PER_S_OF_MBIT);
        }
        let text = |file: &str| read_attribute(&directory.join(file)).unwrap_or_default();
        let state = text("operstate");
        let up = f64::from(u8::from(state == "up"));
        out.gauge("node_network_up", "1 where operstate is up.", &labels, up);
        let admin_state = match read_attribute_number(&directory.join("flags")) {
            Some(flags) if flags as u64 & FLAG_UP != 0 => "up",
            Some(_) => "down",
            None => "unknown",
        };
        let labels = [
            ("device", device),
            ("address", &text("address")),
            ("broadcast", &text("broadcast")),
            ("duplex", &text("duplex")),
            ("operstate", &state),
            ("adminstate", admin_state),
            ("ifalias", &text("ifalias")),
        ];
        out.gauge("node_network_info", "What is known of the device; always 1.", &labels, 1.0);
    }
}

impl Collector for Netclass {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let class = host.sys_path("class/net");
        for device in list(&class)? {
            let directory = class.join(&device);
            // `bonding_masters` is a file among the devices.
            if self.devices.allows(&device) && directory.is_dir() {
                self.show(out, &device, &directory);
            }
        }
        Ok(())
    }
}

//! `node_network_*` properties from `/sys/class/net`.

use assay_model::MetricType::{self, Counter, Gauge};

use super::{Collector, Entry};
use crate::{
    Failure, Families, Filter, Host, Settings,
    host::class::{Class, Device},
    settings::{Flag, Kind},
};

/// File below `/sys/class/net/DEVICE`, metric, type and help. A device refuses what it does not have (the
/// carrier of an interface that is down); such a metric is left out.
#[rustfmt::skip]
const PROPERTIES: [(&str, &str, MetricType, &str); 16] = [
    ("addr_assign_type", "node_network_address_assign_type", Gauge, "How the address was assigned."),
    ("carrier", "node_network_carrier", Gauge, "1 where the link has a carrier."),
    ("carrier_changes", "node_network_carrier_changes_total", Counter, "Times that the carrier came or went."),
    ("carrier_up_count", "node_network_carrier_up_changes_total", Counter, "Times that the carrier came."),
    ("carrier_down_count", "node_network_carrier_down_changes_total", Counter, "Times that the carrier went."),
    ("dev_id", "node_network_device_id", Gauge, "Distinguishes devices that share an address."),
    ("dormant", "node_network_dormant", Gauge, "1 where the device waits for an event, such as authentication."),
    ("flags", "node_network_flags", Gauge, "The device's flags."),
    ("ifindex", "node_network_iface_id", Gauge, "The device's number."),
    ("iflink", "node_network_iface_link", Gauge, "The number of the device that it is linked to."),
    ("link_mode", "node_network_iface_link_mode", Gauge, "The link's mode."),
    ("mtu", "node_network_mtu_bytes", Gauge, "The largest packet."),
    ("name_assign_type", "node_network_name_assign_type", Gauge, "How the name was assigned."),
    ("netdev_group", "node_network_net_dev_group", Gauge, "The device's group."),
    ("tx_queue_len", "node_network_transmit_queue_length", Gauge, "Packets that the transmit queue can hold."),
    ("type", "node_network_protocol_type", Gauge, "The link's protocol (ARPHRD number)."),
];

const BYTES_PER_S_OF_MBIT: f64 = 1_000_000.0 / 8.0;
const FLAG_UP: u64 = 1;

pub(super) const ENTRY: Entry =
    Entry::on("netclass", "Network devices' properties", |s| Box::new(Netclass::new(s))).flags(&[
        Flag::new(
            "collector.netclass.ignored-devices",
            Kind::Pattern("^$"),
            "Devices whose properties to leave out",
        ),
        Flag::new(
            "collector.netclass.ignore-invalid-speed",
            Kind::Switch(false),
            "Leave out the speed of links whose speed is unknown",
        ),
        Flag::new(
            "collector.netclass.netlink",
            Kind::Switch(false),
            "Accepted; /sys/class/net is always read",
        ),
        Flag::new(
            "collector.netclass_rtnl.with-stats",
            Kind::Switch(false),
            "Accepted; traffic is shown by netdev",
        ),
    ]);

/// Properties of network devices.
pub(super) struct Netclass {
    devices: Filter,
    ignore_invalid_speed: bool,
    class: Class,
}

impl Netclass {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            devices: Filter {
                include: None,
                exclude: settings.pattern("collector.netclass.ignored-devices"),
            },
            ignore_invalid_speed: settings.switch("collector.netclass.ignore-invalid-speed"),
            class: Class::default(),
        }
    }

    fn show(&self, out: &mut Families, device: &str, attributes: &mut Device<'_>) {
        let labels = [("device", device)];
        let mut flags = None;
        for (file, name, metric_type, help) in PROPERTIES {
            if let Some(value) = attributes.number(file) {
                out.add(metric_type, name, help, &labels, value);
                if file == "flags" {
                    flags = Some(value);
                }
            }
        }
        let speed = attributes.number("speed");
        if let Some(mbit) = speed.filter(|s| *s >= 0.0 || !self.ignore_invalid_speed) {
            let help = "The link's speed in bytes per second; negative where it is unknown.";
            out.gauge("node_network_speed_bytes", help, &labels, mbit * BYTES_PER_S_OF_MBIT);
        }
        let mut text = |file| attributes.text(file).unwrap_or_default();
        let state = text("operstate");
        let up = f64::from(u8::from(state == "up"));
        out.gauge("node_network_up", "1 where operstate is up.", &labels, up);
        let admin_state = match flags {
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
        self.class.each(host, "class/net", |device, attributes| {
            if self.devices.allows(device) {
                self.show(out, device, attributes);
            }
        })
    }
}

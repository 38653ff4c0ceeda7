//! `node_network_{receive,transmit}_*_total` from `/proc/net/dev`.
//!
//! The kernel's table has the sums that node_exporter's legacy names show (`drop` is dropped and missed); the switch for
//! netlink changes nothing here. The detailed names come from `/sys/class/net/DEVICE/statistics`.

use super::{Collector, Entry};
use crate::{
    Failure, Families, Filter, Host, Settings,
    host::{
        class::{Class, Device},
        read_attribute_number,
    },
    settings::{Flag, Kind},
};

pub(super) const ENTRY: Entry = Entry::on("netdev", "Network devices' traffic", |s| Box::new(Netdev::new(s)))
    .flags(&[
        Flag::new(
            "collector.netdev.device-include",
            Kind::Pattern(""),
            "The only devices whose traffic to show",
        ),
        Flag::new("collector.netdev.device-exclude", Kind::Pattern(""), "Devices whose traffic to leave out"),
        Flag::new("collector.netdev.address-info", Kind::Switch(false), "Show the addresses of each device"),
        Flag::new(
            "collector.netdev.enable-detailed-metrics",
            Kind::Switch(false),
            "Use other metric names, which distinguish more kinds of errors",
        ),
        Flag::new("collector.netdev.label-ifalias", Kind::Switch(false), "Add the label ifalias"),
        Flag::new(
            "collector.netdev.netlink",
            Kind::Switch(true),
            "Accepted; /proc/net/dev has the same values and is always read",
        ),
        Flag::new("collector.netdev.device-whitelist", Kind::AliasOf("collector.netdev.device-include"), ""),
        Flag::new("collector.netdev.device-blacklist", Kind::AliasOf("collector.netdev.device-exclude"), ""),
    ]);

/// The columns as the kernel orders them (`net/core/net-procfs.c`), with the metric of each.
#[rustfmt::skip]
const COLUMNS: [(&str, &str); 16] = [
    ("node_network_receive_bytes_total", "Bytes received."),
    ("node_network_receive_packets_total", "Packets received."),
    ("node_network_receive_errs_total", "Receive errors."),
    ("node_network_receive_drop_total", "Received packets that were dropped or missed."),
    ("node_network_receive_fifo_total", "Receive FIFO errors."),
    ("node_network_receive_frame_total", "Received frames with errors."),
    ("node_network_receive_compressed_total", "Compressed packets received."),
    ("node_network_receive_multicast_total", "Multicast frames received."),
    ("node_network_transmit_bytes_total", "Bytes transmitted."),
    ("node_network_transmit_packets_total", "Packets transmitted."),
    ("node_network_transmit_errs_total", "Transmit errors."),
    ("node_network_transmit_drop_total", "Packets dropped before they were transmitted."),
    ("node_network_transmit_fifo_total", "Transmit FIFO errors."),
    ("node_network_transmit_colls_total", "Collisions."),
    ("node_network_transmit_carrier_total", "Carrier losses."),
    ("node_network_transmit_compressed_total", "Compressed packets transmitted."),
];

/// With the detailed names: the file below `statistics`, and the metric.
const DETAILED: [(&str, &str); 24] = [
    ("rx_bytes", "receive_bytes"),
    ("rx_packets", "receive_packets"),
    ("rx_errors", "receive_errors"),
    ("rx_dropped", "receive_dropped"),
    ("rx_length_errors", "receive_length_errors"),
    ("rx_over_errors", "receive_over_errors"),
    ("rx_crc_errors", "receive_crc_errors"),
    ("rx_frame_errors", "receive_frame_errors"),
    ("rx_fifo_errors", "receive_fifo_errors"),
    ("rx_missed_errors", "receive_missed_errors"),
    ("rx_compressed", "receive_compressed"),
    ("rx_nohandler", "receive_nohandler"),
    ("tx_bytes", "transmit_bytes"),
    ("tx_packets", "transmit_packets"),
    ("tx_errors", "transmit_errors"),
    ("tx_dropped", "transmit_dropped"),
    ("tx_aborted_errors", "transmit_aborted_errors"),
    ("tx_carrier_errors", "transmit_carrier_errors"),
    ("tx_fifo_errors", "transmit_fifo_errors"),
    ("tx_heartbeat_errors", "transmit_heartbeat_errors"),
    ("tx_window_errors", "transmit_window_errors"),
    ("tx_compressed", "transmit_compressed"),
    ("multicast", "multicast"),
    ("collisions", "collisions"),
];

/// Network devices' traffic.
struct Netdev {
    devices: Filter,
    is_detailed: bool,
    has_alias: bool,
    has_addresses: bool,
    class: Class,
}

impl Netdev {
    fn new(settings: &Settings) -> Self {
        Self {
            devices: settings.filter("collector.netdev.device"),
            is_detailed: settings.switch("collector.netdev.enable-detailed-metrics"),
            has_alias: settings.switch("collector.netdev.label-ifalias"),
            has_addresses: settings.switch("collector.netdev.address-info"),
            class: Class::default(),
        }
    }

    fn show(
        &self,
        host: &Host,
        out: &mut Families,
        device: &str,
        columns: &str,
        mut attributes: Option<Device<'_>>,
    ) -> Result<(), Failure> {
        let alias = attributes.as_mut().filter(|_| self.has_alias).and_then(|device| device.text("ifalias"));
        // An empty label is none.
        let labels = [("device", device), ("ifalias", alias.as_deref().unwrap_or_default())];
        if self.is_detailed {
            let statistics = host.sys_path("class/net").join(device).join("statistics");
            for (file, name) in DETAILED {
                if let Some(value) = read_attribute_number(&statistics.join(file)) {
                    let help = format!("{file} of the network device.");
                    out.counter(&format!("node_network_{name}_total"), &help, &labels, value);
                }
            }
            return Ok(());
        }
        let mut n = 0;
        for ((name, help), value) in COLUMNS.iter().zip(columns.split_ascii_whitespace()) {
            let Ok(value) = value.parse() else { break };
            out.counter(name, help, &labels, value);
            n += 1;
        }
        if n < COLUMNS.len() {
            let message = format!("{device} has {n} numbers where {} should be", COLUMNS.len());
            return Err(Failure::Layout { path: host.proc_path("net/dev"), message });
        }
        // Packets for which no protocol was registered are counted in /sys alone.
        if let Some(value) = attributes.and_then(|mut device| device.number("statistics/rx_nohandler")) {
            let help = "Received packets for which there was no protocol handler.";
            out.counter("node_network_receive_nohandler_total", help, &labels, value);
        }
        Ok(())
    }
}

impl Collector for Netdev {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let text = host.read_proc("net/dev")?;
        // Without it there is what the table has.
        let mut class = self.class.open(host, "class/net").ok();
        for line in text.lines().skip(2) {
            // A name may hold colons (`eth0:1`), a number cannot.
            let Some((device, columns)) = line.rsplit_once(':') else { continue };
            let device = device.trim();
            if self.devices.allows(device) {
                let attributes = class.as_mut().and_then(|class| class.device(device));
                self.show(host, out, device, columns, attributes)?;
            }
        }
        if self.has_addresses { addresses(&self.devices, out) } else { Ok(()) }
    }
}

fn addresses(devices: &Filter, out: &mut Families) -> Result<(), Failure> {
    let interfaces =
        nix::ifaddrs::getifaddrs().map_err(|cause| Failure::Other(format!("getifaddrs: {cause}")))?;
    for interface in interfaces.filter(|i| devices.allows(&i.interface_name)) {
        let (Some(address), Some(mask)) = (interface.address, interface.netmask) else { continue };
        let (address, prefix) = match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
            (Some(v4), _) => {
                let bits = mask.as_sockaddr_in().map_or(0, |m| m.ip().to_bits().count_ones());
                (std::net::IpAddr::V4(v4.ip()), bits)
            }
            (_, Some(v6)) => {
                let bits = mask.as_sockaddr_in6().map_or(0, |m| m.ip().to_bits().count_ones());
                (std::net::IpAddr::V6(v6.ip()), bits)
            }
            _ => continue,
        };
        let labels = [
            ("device", interface.interface_name.as_str()),
            ("address", &address.to_string()),
            ("netmask", &prefix.to_string()),
            ("scope", scope(address)),
        ];
        out.gauge("node_network_address_info", "An address of the device; always 1.", &labels, 1.0);
    }
    Ok(())
}

fn scope(address: std::net::IpAddr) -> &'static str {
    use std::net::IpAddr::{V4, V6};
    match address {
        V4(a) if a.is_loopback() => "interface-local",
        V6(a) if a.is_loopback() => "interface-local",
        V4(a) if a.is_link_local() => "link-local",
        V6(a) if a.is_unicast_link_local() => "link-local",
        _ => "global",
    }
}

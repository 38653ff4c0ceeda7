//! `node_ethtool_*` and what links can do, by `SIOCETHTOOL`.
//!
//! Invariant: of statistics whose names become equal none is shown, because nobody could tell which it is.

mod device;

use std::{collections::BTreeMap, fs};

use self::device::{Driver, Link};
use super::{Collector, Entry, Runs};
use crate::{
    Failure, Families, Filter, Host, Settings,
    host::list,
    settings::{Flag, Kind},
    sys::ethtool::Ethtool as Socket,
};

pub(super) const ENTRY: Entry =
    Entry::off("ethtool", "Network drivers' own statistics", |s| Box::new(Ethtool::new(s)))
        .runs(Runs::Aside)
        .flags(&[
            Flag::new("collector.ethtool.device-include", Kind::Pattern(""), "The only devices to ask"),
            Flag::new("collector.ethtool.device-exclude", Kind::Pattern(""), "Devices not to ask"),
            Flag::new(
                "collector.ethtool.metrics-include",
                Kind::Pattern(".*"),
                "The only statistics to show",
            ),
        ]);

/// Drivers' statistics and links' settings. A driver may take its time, or hang with its device.
struct Ethtool {
    devices: Filter,
    metrics: Filter,
}

/// Names that end in `_total`, though all are untyped.
const TOTALS: [&str; 7] = [
    "received_bytes",
    "received_dropped",
    "received_errors",
    "received_packets",
    "transmitted_bytes",
    "transmitted_errors",
    "transmitted_packets",
];

/// Bit of a link's modes, Mbit/s, duplex and name (`ETHTOOL_LINK_MODE_*`).
#[rustfmt::skip]
const MODES: [(u32, f64, &str, &str); 21] = [
    (0, 10.0, "half", "10baseT"), (1, 10.0, "full", "10baseT"),
    (2, 100.0, "half", "100baseT"), (3, 100.0, "full", "100baseT"),
    (4, 1_000.0, "half", "1000baseT"), (5, 1_000.0, "full", "1000baseT"),
    (12, 10_000.0, "full", "10000baseT"), (15, 2_500.0, "full", "2500baseX"),
    (17, 1_000.0, "full", "1000baseKX"), (18, 10_000.0, "full", "10000baseKX4"),
    (19, 10_000.0, "full", "10000baseKR"), (20, 10_000.0, "full", "10000baseR_FEC"),
    (21, 20_000.0, "full", "20000baseMLD2"), (22, 20_000.0, "full", "20000baseKR2"),
    (23, 40_000.0, "full", "40000baseKR4"), (24, 40_000.0, "full", "40000baseCR4"),
    (25, 40_000.0, "full", "40000baseSR4"), (26, 40_000.0, "full", "40000baseLR4"),
    (27, 56_000.0, "full", "56000baseKR4"), (28, 56_000.0, "full", "56000baseCR4"),
    (29, 56_000.0, "full", "56000baseSR4"),
];

const PORTS: [(u32, &str); 6] =
    [(7, "TP"), (8, "AUI"), (9, "MII"), (10, "FIBRE"), (11, "BNC"), (16, "Backplane")];

const ABILITIES: [(u32, &str); 3] = [(6, "autonegotiate"), (13, "pause"), (14, "asymmetricpause")];

const BYTES_PER_S_OF_MBIT: f64 = 1e6 / 8.0;

impl Ethtool {
    fn new(settings: &Settings) -> Self {
        Self {
            devices: settings.filter("collector.ethtool.device"),
            metrics: Filter { include: settings.pattern("collector.ethtool.metrics-include"), exclude: None },
        }
    }
}

impl Collector for Ethtool {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let socket =
            Socket::open().map_err(|cause| Failure::Other(format!("a socket for ethtool: {cause}")))?;
        let class = host.sys_path("class/net");
        for name in list(&class)? {
            // A file among the devices is none.
            if !self.devices.allows(&name) || !fs::metadata(class.join(&name)).is_ok_and(|m| m.is_dir()) {
                continue;
            }
            // What a device does not answer is left out: most of them lack something.
            if let Ok(link) = device::link(&socket, &name) {
                show_link(out, &name, link);
            }
            if let Ok(driver) = device::driver(&socket, &name) {
                show_driver(out, &name, &driver);
                let statistics = device::statistics(&socket, &name, &driver).unwrap_or_default();
                self.show_statistics(out, &name, &statistics);
            }
        }
        Ok(())
    }
}

impl Ethtool {
    fn show_statistics(&self, out: &mut Families, device: &str, statistics: &[(String, u64)]) {
        let mut by_name: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for (name, value) in statistics.iter().filter(|(name, _)| self.metrics.allows(name)) {
            by_name.entry(metric(name)).or_default().push(*value);
        }
        for (name, values) in by_name {
            if let [value] = values.as_slice() {
                let help = "A statistic of the network driver.";
                out.untyped(&format!("node_ethtool_{name}"), help, &[("device", device)], *value as f64);
            }
        }
    }
}

fn show_driver(out: &mut Families, device: &str, driver: &Driver) {
    let labels = [
        ("bus_info", driver.bus.as_str()),
        ("device", device),
        ("driver", &driver.driver),
        ("expansion_rom_version", &driver.rom),
        ("firmware_version", &driver.firmware),
        ("version", &driver.version),
    ];
    out.gauge("node_ethtool_info", "The device's driver; always 1.", &labels, 1.0);
}

fn show_link(out: &mut Families, device: &str, link: Link) {
    for (bit, port) in PORTS {
        if link.supported & (1 << bit) != 0 {
            let labels = [("device", device), ("type", port)];
            out.gauge("node_network_supported_port_info", "A port of the device; always 1.", &labels, 1.0);
        }
    }
    for (bits, word) in [(link.supported, "supported"), (link.advertised, "advertised")] {
        for (bit, mbit, duplex, mode) in MODES {
            if bits & (1 << bit) != 0 {
                let labels = [("device", device), ("duplex", duplex), ("mode", mode)];
                let name = format!("node_network_{word}_speed_bytes");
                out.gauge(&name, &format!("A speed that is {word}."), &labels, mbit * BYTES_PER_S_OF_MBIT);
            }
        }
        for (bit, ability) in ABILITIES {
            let has = f64::from(u8::from(bits & (1 << bit) != 0));
            let name = format!("node_network_{ability}_{word}");
            out.gauge(&name, &format!("1 where {ability} is {word}."), &[("device", device)], has);
        }
    }
    let is_on = f64::from(u8::from(link.is_autonegotiating));
    out.gauge("node_network_autonegotiate", "1 where autonegotiation is on.", &[("device", device)], is_on);
}

/// A driver's name of a statistic as a metric's: words `rx` and `tx` are written out.
fn metric(name: &str) -> String {
    let clean: String = name
        .trim()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .collect();
    let clean = clean.trim_start_matches('_');
    let mut name = written_out(&written_out(clean, "rx", "received"), "tx", "transmitted");
    if TOTALS.contains(&name.as_str()) {
        name.push_str("_total");
    }
    name
}

/// Words `short` as `long`; of two in a row the first, because node_exporter's pattern takes the blank between them.
fn written_out(name: &str, short: &str, long: &str) -> String {
    let mut was_replaced = false;
    let words = name.split('_').map(|word| {
        was_replaced = word == short && !was_replaced;
        if was_replaced { long } else { word }
    });
    words.collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use assay_model::expo::write_text;

    use super::*;

    #[test]
    fn statistics_are_chosen_by_their_drivers_names() {
        let shown = |pattern: &str| {
            let settings = Settings::default().with("collector.ethtool.metrics-include", pattern).unwrap();
            let mut out = Families::new();
            let statistics = [("rx_errors".to_owned(), 1), ("tx_packets".to_owned(), 2)];
            Ethtool::new(&settings).show_statistics(&mut out, "eth0", &statistics);
            out.finish().into_iter().map(|family| family.name).collect::<Vec<_>>()
        };
        let (errors, packets) =
            ("node_ethtool_received_errors_total", "node_ethtool_transmitted_packets_total");
        assert_eq!(shown(".*"), [errors, packets]);
        assert_eq!(shown("^rx_"), [errors]);
        assert_eq!(shown("^(tx_packets|rx_bytes)$"), [packets]);
    }

    #[test]
    fn devices_are_chosen_by_their_names() {
        let asked = |switch: &str| {
            let settings = Settings::default().with(switch, "^eth").unwrap();
            ["eth0", "lo"].map(|device| Ethtool::new(&settings).devices.allows(device))
        };
        assert_eq!(asked("collector.ethtool.device-include"), [true, false]);
        assert_eq!(asked("collector.ethtool.device-exclude"), [false, true]);
    }

    #[test]
    fn statistics_are_named_as_node_exporter_does() {
        let ethtool = Ethtool::new(&Settings::default());
        let mut out = Families::new();
        let statistics = [
            ("tx_packets", 961_500),
            ("rx_packets", 1_260_062),
            ("rx_errors", 0),
            ("port.rx_dropped", 12_028),
            ("rx_missed", 401),
            ("tx_tx_timeouts", 5),
            ("duplicate metric", 1),
            ("duplicate_metric", 2),
        ]
        .map(|(name, value)| (name.to_owned(), value));
        ethtool.show_statistics(&mut out, "eth0", &statistics);
        // Autonegotiation, TP, MII, 10 to 1000 Mbit/s; advertised without half duplex.
        show_link(&mut out, "eth0", Link { supported: 0x22ef, advertised: 0x202a, is_autonegotiating: true });
        let mut text = String::new();
        write_text(&mut text, &out.finish());
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            lines,
            [
                "node_ethtool_port_received_dropped{device=\"eth0\"} 12028",
                "node_ethtool_received_errors_total{device=\"eth0\"} 0",
                "node_ethtool_received_missed{device=\"eth0\"} 401",
                "node_ethtool_received_packets_total{device=\"eth0\"} 1.260062e+06",
                "node_ethtool_transmitted_packets_total{device=\"eth0\"} 961500",
                "node_ethtool_transmitted_tx_timeouts{device=\"eth0\"} 5",
                "node_network_advertised_speed_bytes{device=\"eth0\",duplex=\"full\",mode=\"1000baseT\"} 1.25e+08",
                "node_network_advertised_speed_bytes{device=\"eth0\",duplex=\"full\",mode=\"100baseT\"} 1.25e+07",
                "node_network_advertised_speed_bytes{device=\"eth0\",duplex=\"full\",mode=\"10baseT\"} 1.25e+06",
                "node_network_asymmetricpause_advertised{device=\"eth0\"} 0",
                "node_network_asymmetricpause_supported{device=\"eth0\"} 0",
                "node_network_autonegotiate{device=\"eth0\"} 1",
                "node_network_autonegotiate_advertised{device=\"eth0\"} 0",
                "node_network_autonegotiate_supported{device=\"eth0\"} 1",
                "node_network_pause_advertised{device=\"eth0\"} 1",
                "node_network_pause_supported{device=\"eth0\"} 1",
                "node_network_supported_port_info{device=\"eth0\",type=\"MII\"} 1",
                "node_network_supported_port_info{device=\"eth0\",type=\"TP\"} 1",
                "node_network_supported_speed_bytes{device=\"eth0\",duplex=\"full\",mode=\"1000baseT\"} 1.25e+08",
                "node_network_supported_speed_bytes{device=\"eth0\",duplex=\"full\",mode=\"100baseT\"} 1.25e+07",
                "node_network_supported_speed_bytes{device=\"eth0\",duplex=\"full\",mode=\"10baseT\"} 1.25e+06",
                "node_network_supported_speed_bytes{device=\"eth0\",duplex=\"half\",mode=\"100baseT\"} 1.25e+07",
                "node_network_supported_speed_bytes{device=\"eth0\",duplex=\"half\",mode=\"10baseT\"} 1.25e+06",
            ]
        );
    }
}

//! `node_ipvs_*` from `/proc/net/ip_vs` and `ip_vs_stats`.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
};

use super::{Collector, Entry};
use crate::{
    Failure, Families, Host, Settings,
    settings::{Flag, Kind},
};

pub(super) const ENTRY: Entry = Entry::on("ipvs", "The kernel's load balancer", |s| Box::new(Ipvs::new(s)))
    .flags(&[Flag::new(
        "collector.ipvs.backend-labels",
        Kind::Text("local_address,local_port,remote_address,remote_port,proto,local_mark"),
        "Labels of backends, separated by commas; backends that do not differ in them are added up",
    )]);

/// Virtual servers and their backends.
struct Ipvs {
    labels: Vec<usize>,
}

const LABELS: [&str; 6] =
    ["local_address", "local_port", "remote_address", "remote_port", "proto", "local_mark"];

const TOTALS: [&str; 5] = [
    "node_ipvs_connections_total",
    "node_ipvs_incoming_packets_total",
    "node_ipvs_outgoing_packets_total",
    "node_ipvs_incoming_bytes_total",
    "node_ipvs_outgoing_bytes_total",
];

impl Ipvs {
    fn new(settings: &Settings) -> Self {
        let asked = settings.text("collector.ipvs.backend-labels");
        let asked: Vec<&str> = asked.split(',').map(str::trim).collect();
        Self { labels: (0..LABELS.len()).filter(|at| asked.contains(&LABELS[*at])).collect() }
    }
}

impl Collector for Ipvs {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let stats = host.read_proc("net/ip_vs_stats")?;
        // Two lines of titles come first; numbers are hexadecimal.
        for (name, value) in TOTALS.iter().zip(stats.lines().nth(2).unwrap_or_default().split_whitespace()) {
            if let Ok(value) = u64::from_str_radix(value, 16) {
                out.counter(name, "What the load balancer did.", &[], value as f64);
            }
        }
        let mut sums: BTreeMap<Vec<String>, [f64; 3]> = BTreeMap::new();
        for backend in backends(&host.read_proc_long("net/ip_vs")?) {
            let key = self.labels.iter().map(|at| backend.labels[*at].clone()).collect();
            for (sum, value) in sums.entry(key).or_default().iter_mut().zip(backend.values) {
                *sum += value;
            }
        }
        for (key, values) in sums {
            let labels: Vec<(&str, &str)> =
                self.labels.iter().map(|at| LABELS[*at]).zip(key.iter().map(String::as_str)).collect();
            for (name, value) in ["weight", "connections_active", "connections_inactive"].iter().zip(values) {
                out.gauge(&format!("node_ipvs_backend_{name}"), "Of the backend.", &labels, value);
            }
        }
        Ok(())
    }
}

struct Backend {
    /// As [`LABELS`].
    labels: [String; 6],
    /// Weight, active and inactive connections.
    values: [f64; 3],
}

fn backends(text: &str) -> Vec<Backend> {
    let (mut found, mut local) = (Vec::new(), None);
    for line in text.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words.as_slice() {
            ["TCP" | "UDP" | "SCTP", address, ..] => {
                local = split(address).map(|(address, port)| (words[0], address, port, String::new()));
            }
            ["FWM", mark, ..] => {
                local = Some(("FWM", String::new(), "0".to_owned(), (*mark).to_owned()));
            }
            ["->", remote, _forward, numbers @ ..] if numbers.len() >= 3 => {
                let (Some((proto, address, port, mark)), Some((remote, remote_port))) =
                    (&local, split(remote))
                else {
                    continue;
                };
                let values = [0, 1, 2].map(|at| numbers[at].parse().unwrap_or(0.0));
                let labels =
                    [address, port, &remote, &remote_port, &(*proto).to_owned(), mark].map(String::clone);
                found.push(Backend { labels, values });
            }
            _ => {}
        }
    }
    found
}

/// `C0A80016:0CEA`, or `[fe80:…]:0CEA`.
fn split(text: &str) -> Option<(String, String)> {
    let (address, port) = text.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let address = match address.strip_prefix('[').and_then(|a| a.strip_suffix(']')) {
        Some(v6) => v6.parse::<Ipv6Addr>().ok()?.to_string(),
        None => Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?).to_string(),
    };
    Some((address, port.to_string()))
}

//! `container_*`: cgroups under cAdvisor's names.
//!
//! Invariant: a cgroup that vanishes while it is read is no error; what a kernel or a version of cgroups does not tell is
//! left out. Samples carry no time of their own, so that a container that ends is stale at the next scrape.

mod identity;
mod stats;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use self::{
    identity::{Identities, Identity},
    stats::Reader,
};
use super::{Collector, Entry, Runs};
use crate::{
    Failure, Families, Filter, Host, Settings,
    host::{list, read, read_attribute},
    settings::{Flag, Kind},
};

pub(super) const ENTRY: Entry =
    Entry::off("containers", "Containers and other cgroups, under cAdvisor's names", |s| {
        Box::new(Containers::new(s))
    })
    .runs(Runs::Aside)
    .flags(&[
        Flag::new(
            "collector.containers.id-include",
            Kind::Pattern(""),
            "The only cgroups to show, by their paths",
        ),
        Flag::new(
            "collector.containers.id-exclude",
            Kind::Pattern(""),
            "cgroups to leave out, by their paths",
        ),
    ]);

/// Containers and other cgroups.
struct Containers {
    ids: Filter,
    identities: Mutex<Identities>,
}

/// cgroups at most, and levels below the root.
const MOST: usize = 10_000;
const DEEPEST: usize = 16;

impl Containers {
    fn new(settings: &Settings) -> Self {
        Self { ids: settings.filter("collector.containers.id"), identities: Mutex::default() }
    }
}

impl Collector for Containers {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let reader = Reader::find(host)?;
        let mut ids = Vec::new();
        walk(&reader.tree(), Path::new("/"), 0, &mut ids)?;
        let mut identities = self.identities.lock().unwrap_or_else(PoisonError::into_inner);
        let mut devices = HashMap::new();
        for id in ids.iter().filter(|id| self.ids.allows(id)) {
            let identity = identities.of(host, id);
            show(host, out, &reader, id, &identity, &mut devices);
        }
        identities.forget_all_but(&ids);
        Ok(())
    }
}

/// The paths of all cgroups below `directory`, as `/a/b`.
fn walk(directory: &Path, id: &Path, depth: usize, ids: &mut Vec<String>) -> Result<(), Failure> {
    let names = match list(directory) {
        Err(_) if depth > 0 => return Ok(()),
        names => names?,
    };
    ids.push(id.to_string_lossy().into_owned());
    for name in names {
        let below = directory.join(&name);
        // Files of a cgroup have points in their names; directories may too.
        let is_cgroup = ids.len() < MOST && depth < DEEPEST && below.join("cgroup.procs").exists();
        if is_cgroup {
            walk(&below, &id.join(&name), depth + 1, ids)?;
        }
    }
    Ok(())
}

fn show(
    host: &Host,
    out: &mut Families,
    reader: &Reader,
    id: &str,
    identity: &Identity,
    devices: &mut HashMap<String, String>,
) {
    let labels: [(&str, &str); 6] = [
        ("id", id),
        ("name", &identity.name),
        ("image", &identity.image),
        ("namespace", &identity.namespace),
        ("pod", &identity.pod),
        ("container", &identity.container),
    ];
    let stats = reader.read(id);
    for (name, more, value) in &stats.values {
        let mut all = labels.to_vec();
        all.extend(more.iter().copied());
        let name = format!("container_{name}");
        if name.ends_with("_total") {
            out.counter(&name, "Of the cgroup, as cAdvisor has it.", &all, *value);
        } else {
            out.gauge(&name, "Of the cgroup, as cAdvisor has it.", &all, *value);
        }
    }
    for (numbers, counts) in &stats.io {
        let device = devices.entry(numbers.clone()).or_insert_with(|| device_name(host, numbers));
        for (name, value) in counts {
            let mut all = labels.to_vec();
            all.push(("device", device));
            out.counter(&format!("container_fs_{name}_total"), "I/O of the cgroup by device.", &all, *value);
        }
    }
    if identity.has_network
        && let Some(pid) = stats.first_pid
    {
        network(host, out, pid, &labels);
    }
}

/// `/dev/sda` of `8:0`.
fn device_name(host: &Host, numbers: &str) -> String {
    let uevent = read_attribute(&host.sys_path("dev/block").join(numbers).join("uevent")).unwrap_or_default();
    let name = uevent.lines().find_map(|line| line.strip_prefix("DEVNAME="));
    name.map_or_else(|| numbers.to_owned(), |name| format!("/dev/{name}"))
}

/// The columns of `/proc/PID/net/dev` that cAdvisor shows.
const NETWORK: [(usize, &str); 8] = [
    (0, "receive_bytes"),
    (1, "receive_packets"),
    (2, "receive_errors"),
    (3, "receive_packets_dropped"),
    (8, "transmit_bytes"),
    (9, "transmit_packets"),
    (10, "transmit_errors"),
    (11, "transmit_packets_dropped"),
];

fn network(host: &Host, out: &mut Families, pid: u32, labels: &[(&str, &str)]) {
    let path: PathBuf = host.paths.procfs.join(pid.to_string()).join("net/dev");
    for line in read(&path).unwrap_or_default().lines().skip(2) {
        let Some((interface, columns)) = line.rsplit_once(':') else { continue };
        let interface = interface.trim();
        if ["lo", "veth", "docker", "nerdctl"].iter().any(|prefix| interface.starts_with(prefix)) {
            continue;
        }
        let values: Vec<f64> = columns.split_ascii_whitespace().filter_map(|c| c.parse().ok()).collect();
        for (at, name) in NETWORK {
            if let Some(value) = values.get(at) {
                let mut all = labels.to_vec();
                all.push(("interface", interface));
                let help = "Traffic of the container's network namespace.";
                out.counter(&format!("container_network_{name}_total"), help, &all, *value);
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! The machine as `/proc`, `/sys`, `/etc/os-release` and the NVIDIA driver have it.
//!
//! Invariant: nothing here fails.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Disk, Host, Network};

pub(super) fn detect() -> Host {
    let proc = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let kernel =
        format!("{} {}", proc("/proc/sys/kernel/ostype").trim(), proc("/proc/sys/kernel/osrelease").trim());
    Host {
        name: proc("/proc/sys/kernel/hostname").trim().to_owned(),
        cpu_model: field(&proc("/proc/cpuinfo"), "model name", ':').unwrap_or_default(),
        cpus: std::thread::available_parallelism().map_or(0, usize::from),
        memory_bytes: memory_bytes(&proc("/proc/meminfo")),
        kernel: kernel.trim().to_owned(),
        os: field(&proc("/etc/os-release"), "PRETTY_NAME", '=').unwrap_or_default(),
        arch: std::env::consts::ARCH.to_owned(),
        gpus: gpus(Path::new("/proc/driver/nvidia/gpus")),
        disks: disks(Path::new("/sys/block")),
        networks: networks(Path::new("/sys/class/net")),
    }
}

/// The value of the first line `key<separator>value`, blanks and quotes taken off.
fn field(text: &str, key: &str, separator: char) -> Option<String> {
    text.lines()
        .filter_map(|line| line.split_once(separator))
        .find(|(k, _)| k.trim() == key)
        .map(|(_, value)| value.trim().trim_matches('"').to_owned())
}

fn memory_bytes(meminfo: &str) -> u64 {
    let total = field(meminfo, "MemTotal", ':').unwrap_or_default();
    total.trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0) * 1024
}

/// The machine's memory or, where that is less, its container's.
pub(super) fn usable_memory_bytes() -> Option<u64> {
    let read = |path: &str| fs::read_to_string(path).ok();
    let of_machine = read("/proc/meminfo").map(|text| memory_bytes(&text)).filter(|b| *b > 0);
    // Version 2 of control groups, then version 1; without a limit the file holds "max" or a huge number.
    let files = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let of_container = files.into_iter().find_map(|path| read(path)?.trim().parse::<u64>().ok());
    [of_machine, of_container].into_iter().flatten().min()
}

/// The models that the NVIDIA driver lists, by bus address.
fn gpus(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut found: Vec<_> = entries
        .filter_map(|e| Some(e.ok()?.path()))
        .filter_map(|p| {
            let text = fs::read_to_string(p.join("information")).ok()?;
            Some((p, field(&text, "Model", ':')?))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, model)| model).collect()
}

/// The subdirectories of a directory, by name.
fn entries(dir: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut all: Vec<_> = entries.map(|e| (e.file_name().to_string_lossy().into_owned(), e.path())).collect();
    all.sort();
    all
}

fn first_line(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// What has a size and is not made of other devices or of memory.
fn disks(dir: &Path) -> Vec<Disk> {
    let is_made =
        |name: &str| ["loop", "ram", "zram", "dm-", "md", "sr", "nbd"].iter().any(|p| name.starts_with(p));
    let disk = |(name, path): (String, PathBuf)| {
        let sectors: u64 = first_line(&path.join("size"))?.parse().ok().filter(|n| *n > 0)?;
        let model = first_line(&path.join("device/model")).unwrap_or_default();
        // The kernel counts sectors of 512 bytes, whatever the disk's are.
        Some(Disk { name, model, bytes: sectors * 512 })
    };
    entries(dir).into_iter().filter(|(name, _)| !is_made(name)).filter_map(disk).collect()
}

fn networks(dir: &Path) -> Vec<Network> {
    let network = |(name, path): (String, PathBuf)| {
        first_line(&path.join("operstate")).filter(|state| state != "down")?;
        // Of virtual interfaces it is unknown, or said to be -1.
        let megabits = first_line(&path.join("speed")).and_then(|text| text.parse::<u64>().ok());
        Some(Network { name, bits_per_second: megabits.map(|m| m * 1_000_000) })
    };
    entries(dir).into_iter().filter(|(name, _)| name != "lo").filter_map(network).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_and_networks_are_what_the_kernel_lists() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().expect("has one")).expect("made");
            fs::write(path, text).expect("written");
        };
        write("block/nvme0n1/size", "2000\n");
        write("block/nvme0n1/device/model", "Fast Disk \n");
        write("block/loop0/size", "8\n");
        write("block/sda/size", "0\n");
        write("net/eth0/operstate", "up\n");
        write("net/eth0/speed", "10000\n");
        write("net/veth1/operstate", "unknown\n");
        write("net/veth1/speed", "-1\n");
        write("net/eth1/operstate", "down\n");
        write("net/lo/operstate", "unknown\n");
        let found = disks(&dir.path().join("block"));
        assert_eq!(found, [Disk { name: "nvme0n1".into(), model: "Fast Disk".into(), bytes: 1_024_000 }]);
        let found = networks(&dir.path().join("net"));
        let eth0 = Network { name: "eth0".into(), bits_per_second: Some(10_000_000_000) };
        assert_eq!(found, [eth0, Network { name: "veth1".into(), bits_per_second: None }]);
        assert!(disks(Path::new("/nowhere")).is_empty());
    }

    #[test]
    fn fields_are_read_from_what_the_kernel_writes() {
        let cpuinfo = "processor\t: 0\nmodel name\t: AMD EPYC 9354P 32-Core Processor\nmodel name\t: other\n";
        assert_eq!(field(cpuinfo, "model name", ':').as_deref(), Some("AMD EPYC 9354P 32-Core Processor"));
        assert_eq!(
            field("NAME=x\nPRETTY_NAME=\"Debian 13\"\n", "PRETTY_NAME", '=').as_deref(),
            Some("Debian 13")
        );
        assert_eq!(memory_bytes("MemTotal:       16384256 kB\nMemFree: 1 kB\n"), 16_384_256 * 1024);
        assert_eq!(memory_bytes(""), 0);
    }
}

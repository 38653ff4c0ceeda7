//! What the collectors' patterns and switches show and hide, of a made-up host.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use std::{fs, path::Path};

use assay_model::expo::write_text;
use exporter::{Exporter, Kind, Options, collector};

/// A switch with a value, what is shown with it, and what is hidden by it.
#[rustfmt::skip]
const CASES: [(&str, &str, &str, &str); 31] = [
    ("arp.device-include", "eth1", "arp_entries{device=\"eth1\"}", "arp_entries{device=\"eth0\"}"),
    ("arp.device-exclude", "eth1", "arp_entries{device=\"eth0\"}", "arp_entries{device=\"eth1\"}"),
    ("containers.id-include", "^/a", "id=\"/a\"", "id=\"/b\""),
    ("containers.id-exclude", "^/a", "id=\"/b\"", "id=\"/a\""),
    ("cpu.guest", "false", "cpu_seconds_total", "cpu_guest_seconds_total"),
    ("diskstats.device-include", "^sda", "disk_io_now{device=\"sda\"}", "disk_io_now{device=\"dm-0\"}"),
    ("diskstats.device-exclude", "^sda", "disk_io_now{device=\"dm-0\"}", "disk_io_now{device=\"sda\"}"),
    ("filesystem.fs-types-include", "^xfs$", "mountpoint=\"/x\"", "mountpoint=\"/e\""),
    ("filesystem.fs-types-exclude", "^xfs$", "mountpoint=\"/e\"", "mountpoint=\"/x\""),
    ("filesystem.mount-points-include", "^/x", "mountpoint=\"/x\"", "mountpoint=\"/e\""),
    ("filesystem.mount-points-exclude", "^/x", "mountpoint=\"/e\"", "mountpoint=\"/x\""),
    ("hwmon.chip-include", "^core", "temp_celsius{chip=\"coretemp\"", "chip=\"nct6779\""),
    ("hwmon.chip-exclude", "^core", "fan_rpm{chip=\"nct6779\"", "chip=\"coretemp\""),
    ("hwmon.sensor-include", "^nct6779;(fan|in)", "fan_rpm{chip=\"nct6779\"", "sensor=\"power1\""),
    ("hwmon.sensor-include", "^coretemp;", "temp_celsius{chip=\"coretemp\"", "sensor=\"fan2\""),
    ("hwmon.sensor-exclude", ";fan2$", "in_volts{chip=\"nct6779\"", "sensor=\"fan2\""),
    ("interrupts.name-include", "^NMI;", "type=\"NMI\"", "type=\"40\""),
    ("interrupts.name-include", "ahci", "type=\"40\"", "type=\"NMI\""),
    ("interrupts.name-exclude", "^40;PCI-MSI;", "type=\"NMI\"", "type=\"40\""),
    ("interrupts.name-exclude", "Non-maskable", "type=\"40\"", "type=\"NMI\""),
    ("interrupts.include-zeros", "false", "cpu=\"0\",devices=\"2-edge timer\"", "cpu=\"1\",devices=\"2-edge timer\""),
    ("netclass.ignored-devices", "^eth0$", "network_up{device=\"eth1\"}", "network_up{device=\"eth0\"}"),
    ("netdev.device-include", "^lo$", "bytes_total{device=\"lo\"}", "bytes_total{device=\"eth0\"}"),
    ("netdev.device-exclude", "^lo$", "bytes_total{device=\"eth0\"}", "bytes_total{device=\"lo\"}"),
    ("netstat.fields", "^Tcp_", "netstat_Tcp_CurrEstab", "netstat_Icmp_InMsgs"),
    ("powersupply.ignored-supplies", "^AC$", "power_supply=\"BAT0\"", "power_supply=\"AC\""),
    ("slabinfo.slabs-include", "^dentry$", "slab=\"dentry\"", "slab=\"inode_cache\""),
    ("slabinfo.slabs-exclude", "^dentry$", "slab=\"inode_cache\"", "slab=\"dentry\""),
    ("tapestats.ignored-devices", "^st1$", "device=\"st0\"", "device=\"st1\""),
    ("vmstat.fields", "^oom", "vmstat_oom_kill", "vmstat_pgfault"),
    ("stat.softirq", "false", "context_switches_total", "softirqs_total"),
];

/// Patterns that need something else than files, with the tests that have it.
const ELSEWHERE: [(&str, &str); 4] = [
    ("cpu.info.", "tests/upstream.rs"),
    ("ethtool.", "collector/ethtool.rs"),
    ("systemd.", "collector/systemd/tests.rs"),
    ("qdis", "there is no such collector; node_exporter's switches are accepted"),
];

/// The made-up host, with what the cases need beyond it.
fn host(directory: &Path) -> Options {
    let options = common::made_up_host(directory);
    for (path, text) in [
        ("proc/1/mountinfo", "1 0 8:1 / /e rw - ext4 /dev/sda1 rw\n2 0 8:2 / /x rw - xfs /dev/sda2 rw\n"),
        (
            "proc/net/arp",
            "IP address       HW type     Flags       HW address            Mask     Device\n\
             10.0.0.1         0x1         0x2         00:00:00:00:00:01     *        eth0\n\
             10.0.1.1         0x1         0x2         00:00:00:00:00:02     *        eth1\n",
        ),
        (
            "proc/slabinfo",
            "slabinfo - version: 2.1\n# name <active_objs> <num_objs>\n\
             dentry 10 20 192 21 1 : tunables 0 0 0\ninode_cache 1 2 600 13 2 : tunables 0 0 0\n",
        ),
        ("sys/class/scsi_tape/st0/stats/read_cnt", "1\n"),
        ("sys/class/scsi_tape/st1/stats/read_cnt", "2\n"),
        ("sys/class/net/eth1/operstate", "up\n"),
        ("sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n"),
        ("sys/fs/cgroup/a/cgroup.procs", ""),
        ("sys/fs/cgroup/a/pids.current", "1\n"),
        ("sys/fs/cgroup/b/cgroup.procs", ""),
        ("sys/fs/cgroup/b/pids.current", "2\n"),
    ] {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    options
}

/// The lines of one collector.
fn shown(mut options: Options, name: &'static str) -> Vec<String> {
    options.collectors = [name].into();
    let mut text = String::new();
    write_text(&mut text, &Exporter::new(options).gather());
    let is_series = |line: &&str| !line.starts_with('#') && !line.starts_with("node_scrape_collector_");
    text.lines().filter(is_series).map(str::to_owned).collect()
}

#[test]
fn patterns_and_switches_show_and_hide() {
    let directory = tempfile::tempdir().unwrap();
    let options = host(directory.path());
    for (switch, value, stays, goes) in CASES {
        let prefix = switch.split('.').next().unwrap();
        // The one switch that is not named as its collector.
        let name = if prefix == "powersupply" { "powersupplyclass" } else { prefix };
        let entry = collector::entry(name).unwrap();
        let switch = format!("collector.{switch}");
        let (mut before, mut with) = (options.clone(), options.clone());
        // What is off by default is turned on, so that it shows when it is off.
        if switch == "collector.stat.softirq" {
            before.settings.set(&switch, &["true"]).unwrap();
        }
        with.settings.set(&switch, &[value]).unwrap();
        let (before, with) = (shown(before, entry.name), shown(with, entry.name));
        let has = |lines: &[String], part: &str| lines.iter().any(|line| line.contains(part));
        assert!(has(&before, goes) && has(&before, stays), "{switch}: {stays}, {goes}: {before:#?}");
        assert!(has(&with, stays), "{switch}={value} hides {stays}: {with:#?}");
        assert!(!has(&with, goes), "{switch}={value} shows {goes}: {with:#?}");
    }
}

#[test]
fn every_pattern_has_a_case() {
    let patterns = collector::flags().filter(|flag| matches!(flag.kind, Kind::Pattern(_)));
    let missing: Vec<_> = patterns
        .map(|flag| flag.name.trim_start_matches("collector."))
        .filter(|name| !CASES.iter().any(|case| case.0 == *name))
        .filter(|name| !ELSEWHERE.iter().any(|(prefix, _)| name.starts_with(prefix)))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Chips of one parent have names of their own, and so have those whose drivers have one name.
#[test]
fn chips_of_one_parent_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let options = common::made_up_host(directory.path());
    let class = directory.path().join("sys/class/hwmon");
    let device = directory.path().join("sys/devices/pci0/0000:01");
    fs::create_dir_all(&device).unwrap();
    for (number, name) in [(2, "amdgpu"), (3, "board"), (4, "board")] {
        let chip = class.join(format!("hwmon{number}"));
        fs::create_dir_all(&chip).unwrap();
        std::os::unix::fs::symlink(&device, chip.join("device")).unwrap();
        fs::write(chip.join("name"), name).unwrap();
        fs::write(chip.join("temp1_input"), format!("{number}000\n")).unwrap();
    }
    let lines = shown(options, "hwmon");
    let of_parent = |line: &&String| line.contains("_temp_celsius{chip=\"pci0");
    assert_eq!(
        lines.iter().filter(of_parent).collect::<Vec<_>>(),
        [
            "node_hwmon_temp_celsius{chip=\"pci0_0000:01_amdgpu\",sensor=\"temp1\"} 2",
            "node_hwmon_temp_celsius{chip=\"pci0_0000:01_hwmon3\",sensor=\"temp1\"} 3",
            "node_hwmon_temp_celsius{chip=\"pci0_0000:01_hwmon4\",sensor=\"temp1\"} 4",
        ]
    );
}

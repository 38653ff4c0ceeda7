//! What a host may hold that nobody would write: bytes that are no text, and limits that are reached.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use std::{ffi::OsStr, fs, net::TcpStream, os::unix::ffi::OsStrExt as _, process::Command};

use assay_model::expo::{Format, read_scrape};
use assay_testkit::{Program, http, wait_for};
use exporter::Exporter;

#[test]
fn names_that_are_not_utf_8_are_shown_and_hide_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = common::made_up_host(directory.path());
    let proc = &options.paths.procfs;
    // A mount point, a process, a disk and a file of metrics.
    fs::write(proc.join("1/mountinfo"), b"1 0 8:1 / /mnt/\xff rw - ext4 /dev/\xfe rw\n").unwrap();
    let process = proc.join("77");
    fs::create_dir_all(process.join("fd")).unwrap();
    fs::write(
        process.join("stat"),
        b"77 (a\xffb) S 1 1 1 0 -1 0 10 0 2 0 100 50 0 0 20 0 3 0 1000 4096 25 0\n",
    )
    .unwrap();
    fs::write(process.join("cmdline"), b"/usr/bin/a\xffb\0").unwrap();
    let mut disks = fs::read(proc.join("diskstats")).unwrap();
    disks.extend(b"   8       9 sd\xff 1 2 3 4 5 6 7 8 9 10 11\n");
    fs::write(proc.join("diskstats"), disks).unwrap();
    let texts = directory.path().join("texts");
    fs::create_dir(&texts).unwrap();
    fs::write(texts.join(OsStr::from_bytes(b"\xff.prom")), "unseen 1\n").unwrap();
    fs::write(texts.join("bytes.prom"), b"text{from=\"\xff\"} 1\n").unwrap();
    options.settings.set("collector.textfile.directory", &[texts.to_str().unwrap()]).unwrap();
    options.collectors.insert("groups");
    let families = Exporter::new(options).gather();
    let mut shown = Vec::new();
    for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
        let scrape = read_scrape(format, &format.encode(&families)).unwrap();
        let mut all: Vec<String> = scrape.samples.iter().map(|sample| sample.labels.to_string()).collect();
        all.sort();
        shown.push(all);
    }
    assert_eq!(shown[0], shown[1]);
    assert_eq!(shown[0], shown[2]);
    for part in [
        "node_filesystem_readonly{device=\"/dev/\u{fffd}\", device_error=\"",
        "node_disk_io_now{device=\"sd\u{fffd}\"}",
        "namedprocess_namegroup_num_procs{groupname=\"a\u{fffd}b\"}",
        "text{from=\"\u{fffd}\"}",
        "node_load1",
    ] {
        assert!(shown[0].iter().any(|series| series.starts_with(part)), "{part} is not in {:#?}", shown[0]);
    }
}

/// Clients that say nothing take all descriptors; when they are gone, a scrape is whole again.
#[test]
fn descriptors_may_run_out() {
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "ulimit -n 40 && exec \"$0\" --web.listen-address=127.0.0.1:0",
        env!("CARGO_BIN_EXE_exporter"),
    ]);
    let exporter = Program::listening(&mut command, "listening");
    let is_whole = || {
        http::get(&exporter.address, "/metrics").is_ok_and(|response| {
            let text = response.text();
            ["cpu", "filesystem", "netclass", "netdev", "stat"].iter().all(|name| {
                text.contains(&format!("node_scrape_collector_success{{collector=\"{name}\"}} 1\n"))
            })
        })
    };
    wait_for("a scrape with few descriptors", is_whole);
    let held: Vec<TcpStream> = (0..60).map(|_| TcpStream::connect(&exporter.address).unwrap()).collect();
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", exporter.id())).map_or(0, Iterator::count);
    wait_for("all descriptors to be taken", || descriptors() >= 40);
    drop(held);
    wait_for("a scrape after them", is_whole);
}

/// SIGXFSZ, which the system sends at a write beyond the limit on the size of files, would end it.
#[test]
fn a_log_that_may_not_grow_stops_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let exporter = Program::at_free_port(
        |address| {
            let mut command = Command::new("sh");
            command.args([
                "-c",
                "ulimit -f 0; exec \"$@\" 2> \"$LOG\"",
                "sh",
                env!("CARGO_BIN_EXE_exporter"),
            ]);
            command.arg(format!("--web.listen-address={address}")).env("LOG", &log);
            command
        },
        "/metrics",
    );
    assert_eq!(http::get(&exporter.address, "/metrics").unwrap().status, 200);
    assert_eq!(std::fs::metadata(&log).unwrap().len(), 0, "the limit held");
}

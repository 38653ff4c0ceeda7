//! What a host may hold that nobody would write: bytes that are no text, files that are broken, and many of everything.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::symlink},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use assay_model::expo::{Format, Metric, MetricValue, read_scrape, write_text};
use exporter::{Exporter, collector};

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

/// The success of each collector.
fn successes(exporter: &Exporter) -> BTreeMap<String, f64> {
    let families = exporter.gather();
    let family = families.iter().find(|family| family.name == "node_scrape_collector_success").unwrap();
    let success = |metric: &Metric| match metric.value {
        MetricValue::Float(value) => (metric.labels.get("collector").unwrap().to_owned(), value),
        ref other => panic!("{other:?}"),
    };
    family.metrics.iter().map(success).collect()
}

fn files(directory: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path(), out);
        } else {
            out.push(entry.path());
        }
    }
}

/// Every file of the host in turn is gone, empty, cut off, or holds what no kernel writes. Collectors that do not read it
/// show what they did before, no collector panics, and all is well when the file is.
#[test]
fn a_file_may_vanish_shrink_or_hold_nonsense() {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        hook(panic);
    }));
    let directory = tempfile::tempdir().unwrap();
    let mut options = common::made_up_host(directory.path());
    // These read this machine, whatever the paths are.
    let elsewhere = ["ethtool", "systemd"];
    options.collectors =
        collector::REGISTRY.iter().map(|e| e.name).filter(|name| !elsewhere.contains(name)).collect();
    let exporter = Exporter::new(options);
    let before = successes(&exporter);
    assert!(before.values().filter(|success| **success == 1.0).count() > 30, "{before:?}");
    let mut all = Vec::new();
    files(directory.path(), &mut all);
    assert!(all.len() > 100, "{all:#?}");
    let long = "9".repeat(100_000);
    for file in all {
        let text = fs::read(&file).unwrap();
        let broken: [&[u8]; 4] = [
            &text[..text.len() / 2],
            b"\xff\xfe: = ; ( ) [ ] - \0\n\n:\n=\n()\n - \n[]\n",
            b"-1 -1 cpu 18446744073709551616 1e999 nan inf 0x 0xfffffffffffffffff . , 1:2:3 4/5/6\n",
            long.as_bytes(),
        ];
        fs::remove_file(&file).unwrap();
        let check = |what: &dyn std::fmt::Debug| {
            let now = successes(&exporter);
            let changed: Vec<_> = before.iter().filter(|(name, v)| now.get(*name) != Some(v)).collect();
            assert!(
                now.len() == before.len() && changed.len() <= 3,
                "{}, {what:?}: {changed:?}",
                file.display()
            );
        };
        check(&"gone");
        for bytes in broken {
            fs::write(&file, bytes).unwrap();
            check(&String::from_utf8_lossy(&bytes[..bytes.len().min(20)]));
        }
        fs::write(&file, text).unwrap();
    }
    assert_eq!(PANICS.load(Ordering::SeqCst), 0);
    assert_eq!(successes(&exporter), before);
}

/// Ten thousand processes are counted and grouped.
#[test]
fn processes_may_be_many() {
    const PROCESSES: usize = 10_000;
    const NAMES: [&str; 4] = ["web", "worker", "shell", "idle"];
    let directory = tempfile::tempdir().unwrap();
    let mut options = common::made_up_host(directory.path());
    // One directory for all of a name, so that there is not much to write.
    for name in NAMES {
        let process = directory.path().join(name);
        fs::create_dir(&process).unwrap();
        let stat = format!("7 ({name}) S 1 1 1 0 -1 0 10 0 2 0 100 50 0 0 20 0 3 0 1000 4096 25 0\n");
        fs::write(process.join("stat"), stat).unwrap();
        fs::write(process.join("cmdline"), format!("/usr/bin/{name}\0")).unwrap();
    }
    for pid in 1_000..1_000 + PROCESSES {
        let process = options.paths.procfs.join(pid.to_string());
        symlink(directory.path().join(NAMES[pid % NAMES.len()]), process).unwrap();
    }
    options.collectors = ["groups"].into();
    let exporter = Exporter::new(options);
    for _ in 0..2 {
        let mut text = String::new();
        write_text(&mut text, &exporter.gather());
        for name in NAMES {
            for (metric, value) in [("num_procs", 2_500), ("num_threads", 7_500)] {
                let line = format!("namedprocess_namegroup_{metric}{{groupname=\"{name}\"}} {value}\n");
                assert!(text.contains(&line), "{line} is not in {text}");
            }
        }
        assert!(text.contains("node_scrape_collector_success{collector=\"groups\"} 1\n"), "{text}");
    }
}

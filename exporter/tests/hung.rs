//! What never answers: three FUSE mounts whose server reads no request, NVML, network drivers, and a pipe among text
//! files.
//!
//! The mounts need root, `/dev/fuse` and `unshare`; elsewhere they are left out. They are in a mount namespace and a
//! process namespace of their own, which no other program sees.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

#[path = "common/library.rs"]
mod library;

use std::{
    collections::BTreeSet,
    ffi::CString,
    fs::{self, File, OpenOptions},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Instant,
};

use assay_testkit::{Program, http, wait_for};
use rustix::mount::{MountFlags, mount};

const DIRECTORY: &str = "EXPORTER_TEST_HUNG_MOUNTS";
const MOUNTS: [&str; 3] = ["one", "two", "three"];

/// Mounts a file system, answers that it is there, and no request after that for as long as the file is open.
fn hung_mount(at: &Path) -> File {
    fs::create_dir_all(at).unwrap();
    let mut device = OpenOptions::new().read(true).write(true).open("/dev/fuse").unwrap();
    let options = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", device.as_raw_fd());
    mount("hung", at, "fuse", MountFlags::empty(), Some(CString::new(options).unwrap().as_c_str())).unwrap();
    let mut request = [0u8; 1 << 17];
    let n = device.read(&mut request).unwrap();
    assert!(n >= 56, "an initial request");
    let unique = &request[8..16];
    let mut body = Vec::new();
    // Version 7.31, no read-ahead, no flags, as little of everything as there can be.
    for number in [7u32, 31, 0, 0] {
        body.extend(number.to_ne_bytes());
    }
    body.extend([16u16, 12].map(u16::to_ne_bytes).concat());
    for number in [1u32 << 16, 1] {
        body.extend(number.to_ne_bytes());
    }
    body.resize(64, 0);
    let mut answer = (16 + body.len() as u32).to_ne_bytes().to_vec();
    answer.extend(0i32.to_ne_bytes());
    answer.extend(unique);
    answer.extend(body);
    assert_eq!(device.write(&answer).unwrap(), answer.len());
    device
}

/// The exporter with NVML, network drivers and a text file that do not answer; the first two do when `hang` is gone.
fn beside_what_hangs(directory: &Path) -> Command {
    let library = |name: &str| directory.join(name);
    library::compile("fake_nvml.c", &library("libnvidia-ml.so.1"));
    library::compile("hung_ioctl.c", &library("hung_ioctl.so"));
    fs::write(directory.join("hang"), "").unwrap();
    let texts = directory.join("texts");
    fs::create_dir(&texts).unwrap();
    assert!(Command::new("mkfifo").arg(texts.join("pipe.prom")).status().unwrap().success());
    let mut exporter = Command::new(env!("CARGO_BIN_EXE_exporter"));
    exporter
        .args(["--web.listen-address=127.0.0.1:0", "--collector.ethtool"])
        .arg(format!("--collector.gpu.nvml-library={}", library("libnvidia-ml.so.1").display()))
        .arg(format!("--collector.textfile.directory={}", texts.display()))
        .env("LD_PRELOAD", library("hung_ioctl.so"))
        .env("HANG_WHILE", directory.join("hang"));
    exporter
}

/// Run by the test below in namespaces of its own: mounts, and then the exporter until it is killed.
#[test]
#[ignore = "the inner half of the test below"]
fn the_exporter_beside_hung_mounts() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let _held: Vec<File> = MOUNTS.map(|name| hung_mount(&directory.join(name))).into();
    let mut exporter = beside_what_hangs(&directory);
    exporter.arg("--collector.filesystem.mount-timeout=500ms");
    let status = exporter.stderr(Stdio::inherit()).status().unwrap();
    panic!("the exporter ended: {status}");
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The names of a process' threads.
fn threads(pid: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let name = |path: PathBuf| fs::read_to_string(path.join("comm")).unwrap_or_default().trim().to_owned();
    tasks.map(|task| name(task.unwrap().path())).collect()
}

/// The collectors' successes, as the lines have them.
fn successes(text: &str) -> BTreeSet<&str> {
    text.lines().filter(|line| line.starts_with("node_scrape_collector_success{")).collect()
}

const HANGING: [&str; 2] = ["ethtool", "gpu"];

/// All collectors but those that hang go on as ever, and the pipe is an error.
fn assert_is_whole_but_for_what_hangs(text: &str, first: &str) {
    for name in HANGING {
        assert!(
            text.contains(&format!("node_scrape_collector_success{{collector=\"{name}\"}} 0\n")),
            "{text}"
        );
    }
    assert_eq!(successes(text), successes(first));
    for name in ["cpu", "diskstats", "filesystem", "meminfo", "netdev", "stat", "textfile", "vmstat"] {
        assert!(
            text.contains(&format!("node_scrape_collector_success{{collector=\"{name}\"}} 1\n")),
            "{text}"
        );
    }
    assert!(text.contains("node_textfile_scrape_error 1\n"), "{text}");
}

/// Without rights: all that hangs but mounts.
#[test]
fn what_hangs_has_one_thread_and_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let exporter = Program::listening(&mut beside_what_hangs(directory.path()), "listening");
    let headers = "X-Prometheus-Scrape-Timeout-Seconds: 5\r\n";
    let scrape = || http::request(&exporter.address, "GET", "/metrics", headers, b"").unwrap().text();
    let first = scrape();
    for _ in 0..20 {
        assert_is_whole_but_for_what_hangs(&scrape(), &first);
    }
    let threads = threads(&exporter.id().to_string());
    for name in HANGING {
        assert_eq!(threads.iter().filter(|thread| *thread == name).count(), 1, "{name}: {threads:?}");
    }
    fs::remove_file(directory.path().join("hang")).unwrap();
    wait_for("what hung to be back", || {
        let text = scrape();
        HANGING
            .iter()
            .all(|name| text.contains(&format!("node_scrape_collector_success{{collector=\"{name}\"}} 1\n")))
    });
}

#[test]
fn hung_mounts_and_all_the_rest_cost_a_thread_each_and_hold_up_nothing() {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root || !Path::new("/dev/fuse").exists() {
        eprintln!("left out: this needs root and /dev/fuse");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(std::env::current_exe().unwrap())
        .args(["the_exporter_beside_hung_mounts", "--exact", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let Ok(child) = command.spawn() else {
        eprintln!("left out: there is no unshare");
        return;
    };
    let mut running = Running(child);
    let mut log = BufReader::new(running.0.stderr.take().unwrap());
    let mut line = String::new();
    let mut before = String::new();
    while !line.contains("msg=\"listening\"") {
        before.push_str(&line);
        line.clear();
        if log.read_line(&mut line).unwrap() == 0 {
            assert!(before.contains("not permitted") || before.contains("denied"), "it ended: {before}");
            eprintln!("left out: mounts are not permitted here");
            return;
        }
    }
    let address = line.split("address=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    let headers = "X-Prometheus-Scrape-Timeout-Seconds: 10\r\n";
    let (mut times, mut first) = (Vec::new(), String::new());
    for scrape in 0..100 {
        let start = Instant::now();
        let text = http::request(&address, "GET", "/metrics", headers, b"").unwrap().text();
        times.push(start.elapsed());
        let hung = |line: &&str| line.starts_with("node_filesystem_device_error{") && line.ends_with(" 1");
        let dead: Vec<_> = text.lines().filter(hung).collect();
        assert_eq!(dead.len(), MOUNTS.len(), "scrape {scrape}: {dead:#?}");
        assert!(dead.iter().all(|line| line.contains("device_error=\"mountpoint timeout\"")), "{dead:#?}");
        assert!(text.contains("\nnode_filesystem_size_bytes{"), "healthy mounts are there: {text}");
        if scrape == 0 {
            first.clone_from(&text);
        }
        assert_is_whole_but_for_what_hangs(&text, &first);
    }
    // The first waits as long as NVML and ethtool are waited for, the others for nothing.
    let waited = times[0];
    times.sort();
    assert!(times[50] < waited / 2, "the first took {waited:?}, all of them {times:?}");
    let threads = threads(&pid_of(&address));
    let count = |name: &str| threads.iter().filter(|thread| *thread == name).count();
    assert!((MOUNTS.len()..=MOUNTS.len() + 2).contains(&count("statfs")), "{threads:?}");
    assert!(HANGING.iter().all(|name| count(name) == 1), "{threads:?}");
    assert!(threads.len() <= 20, "{threads:?}");
}

/// The process that listens on an address, found by its arguments and parent: there is one with that directory.
fn pid_of(address: &str) -> String {
    let port: u16 = address.rsplit(':').next().unwrap().parse().unwrap();
    let inode = fs::read_to_string("/proc/net/tcp").unwrap();
    let wanted = format!(":{port:04X} ");
    let inode = inode
        .lines()
        .find(|line| line.contains(&wanted) && line.split_whitespace().nth(3) == Some("0A"))
        .unwrap();
    let socket = format!("socket:[{}]", inode.split_whitespace().nth(9).unwrap());
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let descriptors = fs::read_dir(process.path().join("fd"));
        let has_it = descriptors.is_ok_and(|mut all| {
            all.any(|fd| fs::read_link(fd.unwrap().path()).is_ok_and(|link| link.to_string_lossy() == socket))
        });
        if has_it {
            return process.file_name().to_string_lossy().into_owned();
        }
    }
    panic!("nobody listens on {address}");
}

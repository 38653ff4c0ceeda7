//! File systems that never answer: three FUSE mounts whose server reads no request.
//!
//! Needs root, `/dev/fuse` and `unshare`; elsewhere it is left out. The mounts are in a mount namespace and a process
//! namespace of their own, which no other program sees.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::{
    ffi::CString,
    fs::{self, File, OpenOptions},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::fd::AsRawFd as _,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

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

/// Run by the test below in namespaces of its own: mounts, and then the exporter until it is killed.
#[test]
#[ignore = "the inner half of the test below"]
fn the_exporter_beside_hung_mounts() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let _held: Vec<File> = MOUNTS.map(|name| hung_mount(&Path::new(&directory).join(name))).into();
    let mut exporter = Command::new(env!("CARGO_BIN_EXE_exporter"));
    exporter.args(["--web.listen-address=127.0.0.1:0", "--collector.filesystem.mount-timeout=500ms"]);
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

fn threads_waiting(pid: &str) -> usize {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let is_prober = |comm: String| comm.trim() == "statfs";
    tasks
        .filter(|t| {
            is_prober(fs::read_to_string(t.as_ref().unwrap().path().join("comm")).unwrap_or_default())
        })
        .count()
}

#[test]
fn hung_mounts_cost_a_thread_each_and_hold_up_nothing() {
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
    let mut slowest = Duration::ZERO;
    for scrape in 0..100 {
        let start = Instant::now();
        let text = assay_testkit::http::request(&address, "GET", "/metrics", headers, b"").unwrap().text();
        slowest = slowest.max(start.elapsed());
        let hung = |line: &&str| line.starts_with("node_filesystem_device_error{") && line.ends_with(" 1");
        let dead: Vec<_> = text.lines().filter(hung).collect();
        assert_eq!(dead.len(), MOUNTS.len(), "scrape {scrape}: {dead:#?}");
        assert!(dead.iter().all(|line| line.contains("device_error=\"mountpoint timeout\"")), "{dead:#?}");
        for collector in ["cpu", "filesystem", "meminfo", "netdev", "stat"] {
            let success = format!("node_scrape_collector_success{{collector=\"{collector}\"}} 1");
            assert!(text.contains(&success), "scrape {scrape}: {collector}");
        }
        assert!(
            text.lines().any(|line| line.starts_with("node_filesystem_size_bytes{")),
            "healthy mounts are there"
        );
    }
    // The first waits for the mounts, once; 10 s is when the scraper would give up.
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
    let pid = pid_of(&address);
    let waiting = threads_waiting(&pid);
    assert!(
        (MOUNTS.len()..=MOUNTS.len() + 2).contains(&waiting),
        "{waiting} threads for {} hung mounts",
        MOUNTS.len()
    );
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

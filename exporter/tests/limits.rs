//! Limits that are reached: descriptors, threads, the size of files, and clients that do not read.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::Write as _,
    net::TcpStream,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::Command,
    thread,
};

use assay_testkit::{Program, http, wait_for};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn has_success(text: &str, collector: &str, value: u8) -> bool {
    text.contains(&format!("node_scrape_collector_success{{collector=\"{collector}\"}} {value}\n"))
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
            ["cpu", "filesystem", "netclass", "netdev", "stat"].iter().all(|name| has_success(&text, name, 1))
        })
    };
    wait_for("a scrape with few descriptors", is_whole);
    let held: Vec<TcpStream> = (0..60).map(|_| TcpStream::connect(&exporter.address).unwrap()).collect();
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", exporter.id())).map_or(0, Iterator::count);
    wait_for("all descriptors to be taken", || descriptors() >= 40);
    drop(held);
    wait_for("a scrape after them", is_whole);
}

/// A user that no process is of.
const NOBODY: u32 = 61_234;

/// The kernel limits the threads of all users but root.
fn as_nobody(command: &mut Command) -> bool {
    if !rustix::process::geteuid().is_root() {
        return true;
    }
    let mut attempt = Command::new(env!("CARGO_BIN_EXE_exporter"));
    attempt.arg("--version").uid(NOBODY).gid(NOBODY);
    command.uid(NOBODY).gid(NOBODY);
    attempt.output().is_ok_and(|output| output.status.success())
}

/// Without threads a scrape shows what needs none, says what it leaves out, and marks no mount as one that hangs; it is
/// whole again when there are threads.
#[test]
fn threads_may_run_out() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(directory.path().join("own.prom"), "own 1\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_exporter"));
    command.arg("--web.listen-address=127.0.0.1:0");
    command.arg(format!("--collector.textfile.directory={}", directory.path().display()));
    if !as_nobody(&mut command) {
        eprintln!("left out: another user than root cannot run the program where it is");
        return;
    }
    let exporter = Program::listening(&mut command, "listening");
    let limit = |most: &str| {
        let mut command = Command::new("prlimit");
        command.args(["--pid", &exporter.id().to_string(), &format!("--nproc={most}:")]);
        // It may be set by the process' own user, with whatever rights root has here.
        let _ = as_nobody(&mut command);
        command.status().is_ok_and(|status| status.success())
    };
    let usual = getrlimit(Resource::Nproc).current.map_or("unlimited".to_owned(), |most| most.to_string());
    if !limit("1") {
        eprintln!("left out: there is no prlimit");
        return;
    }
    let scrape = || http::get(&exporter.address, "/metrics").unwrap();
    for _ in 0..20 {
        let response = scrape();
        let text = response.text();
        assert_eq!(response.status, 200, "{text}");
        for name in ["cpu", "diskstats", "loadavg", "meminfo", "netdev", "stat"] {
            assert!(has_success(&text, name, 1), "{name}: {text}");
        }
        assert!(has_success(&text, "textfile", 0) && !text.contains("\nown 1\n"), "{text}");
        assert!(has_success(&text, "filesystem", 0), "{text}");
        let errors = text.lines().filter(|line| line.starts_with("node_filesystem_device_error{"));
        let errors: Vec<_> = errors.collect();
        let is_unasked = |line: &&str| line.contains("device_error=\"not asked: no free thread\"");
        assert!(!errors.is_empty() && errors.iter().all(is_unasked), "{errors:#?}");
    }
    assert!(scrape().text().contains("exporter_collector_late_total{collector=\"textfile\"}"));
    for part in ["collector is late: the system gives no more threads", "mounts not asked: "] {
        assert!(exporter.log().contains(part), "{part} is not in {}", exporter.log());
    }
    // Many at once have the one thread that is there, in turn.
    thread::scope(|scope| {
        for scraping in (0..20).map(|_| scope.spawn(scrape)).collect::<Vec<_>>() {
            assert_eq!(scraping.join().unwrap().status, 200);
        }
    });
    assert!(limit(&usual));
    let text = scrape().text();
    assert!(has_success(&text, "textfile", 1) && text.contains("\nown 1\n"), "{text}");
    assert!(has_success(&text, "filesystem", 1) && !text.contains("not asked"), "{text}");
}

/// A thousand clients that ask and do not read hold up nobody, and cost little.
#[test]
fn a_thousand_clients_may_not_read() {
    const CLIENTS: usize = 1_000;
    let most = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most });
    if most.is_some_and(|most| most < 2 * CLIENTS as u64) {
        eprintln!("left out: {most:?} descriptors are too few");
        return;
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_exporter"));
    // All of them are answered, in whatever time.
    command.args(["--web.listen-address=127.0.0.1:0", "--web.max-requests=0"]);
    let exporter = Program::listening(&mut command, "listening");
    let held: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let mut stream = TcpStream::connect(&exporter.address).unwrap();
            write!(stream, "GET /metrics?collect[]=loadavg HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            stream
        })
        .collect();
    let resident_mib = || {
        let status = fs::read_to_string(format!("/proc/{}/status", exporter.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
    };
    for _ in 0..3 {
        let text = http::get(&exporter.address, "/metrics").unwrap().text();
        assert!(has_success(&text, "cpu", 1) && has_success(&text, "filesystem", 1), "{text}");
    }
    // A build without optimisation takes 30 MiB alone.
    assert!(resident_mib() < 128.0, "{} MiB", resident_mib());
    drop(held);
    assert_eq!(http::get(&exporter.address, "/metrics").unwrap().status, 200);
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
    assert_eq!(fs::metadata(&log).unwrap().len(), 0, "the limit held");
}

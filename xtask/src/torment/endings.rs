//! What ends and when, of all three servers: at a second signal, when an answer is not read; and a right password while
//! others try wrong ones.
//!
//! Invariant: the end of a connection is seen in the kernel's table of connections, and not by what its client notices.

use std::{
    fs,
    io::Write as _,
    net::TcpStream,
    process::Command,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use assay_testkit::{Program, http};
use rustix::process::{Pid, Signal, kill_process};

use super::{
    Table,
    quiet::around,
    rig::{Rig, write},
};

/// What a second signal may take on a quiet machine, and a right login more while wrong ones come.
const SECOND_MS: f64 = 100.0;
const DELAY_MS: f64 = 100.0;
/// How long an answer stays unread, and how long after that its connection is still looked for.
const UNREAD: Duration = Duration::from_secs(30);
const AFTER: Duration = Duration::from_secs(15);
/// Answers that are asked for and not read: more than the kernel's buffers take.
const ANSWERS: usize = 500;
/// Who tries wrong passwords, and how often a right one is tried meanwhile.
const GUESSERS: usize = 32;
const LOGINS: usize = 30;

/// A server, and a page of it that is not small.
struct Served {
    name: &'static str,
    program: Program,
    page: String,
}

fn servers(rig: &Rig) -> Vec<Served> {
    let exporter = || {
        let mut command = Command::new(&rig.exporter);
        command.arg("--web.listen-address=127.0.0.1:0");
        Program::listening(&mut command, "listening")
    };
    let demo = || {
        let mut command = Command::new(&rig.demo);
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        Program::listening(&mut command, "listening")
    };
    let metrics = || "/metrics".to_owned();
    let all = format!("/api/v1/query?query={}", http::encode("{__name__!=\"\"}"));
    vec![
        Served { name: "`ruleseval serve`", program: rig.serve(&rig.run, &[]), page: all },
        Served { name: "`exporter`", program: exporter(), page: metrics() },
        Served { name: "`demo serve`", program: demo(), page: metrics() },
    ]
}

pub(super) fn run(rig: &Rig, table: &mut Table) -> Result<()> {
    for mut served in servers(rig) {
        let (outcome, allowed) = around(SECOND_MS, || second_signal(&mut served))?;
        let outcome = outcome.map(|ms| (format!("{ms:.0} ms"), ms < allowed.ms));
        let case =
            format!("a second SIGTERM for {}, which waits for a client that does not read", served.name);
        table.add(&case, &allowed.text, outcome);
    }
    let ended = thread::scope(|scope| {
        let wait = |served: Served| scope.spawn(move || (served.name, unread(&served)));
        let waiting: Vec<_> = servers(rig).into_iter().map(wait).collect();
        waiting.into_iter().map(thread::ScopedJoinHandle::join).collect::<Vec<_>>()
    });
    for outcome in ended {
        let (name, outcome) = outcome.map_err(|_| anyhow::anyhow!("a thread panicked"))?;
        let limit =
            format!("the connection is gone {} to {} s later", UNREAD.as_secs(), (UNREAD + AFTER).as_secs());
        let outcome = outcome.map(|after| {
            (format!("{:.0} s", after.as_secs_f64()), after >= UNREAD / 2 && after < UNREAD + AFTER)
        });
        table.add(&format!("a client of {name} does not read"), &limit, outcome);
    }
    let (outcome, allowed) = around(DELAY_MS, || guessing(rig))?;
    let outcome = outcome.map(|found| (found.text(), found.delay_ms() < allowed.ms));
    let case = format!("a right password for `demo serve` while {GUESSERS} clients try wrong ones");
    table.add(&case, &format!("at most {} later than without", allowed.text), outcome);
    Ok(())
}

/// A connection on which many answers are asked for and none is read.
fn ask_and_not_read(served: &Served) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(&served.program.address)?;
    let request = format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", served.page);
    stream.set_write_timeout(Some(Duration::from_secs(2)))?;
    for _ in 0..ANSWERS {
        // The server stops reading when it cannot write.
        if stream.write_all(request.as_bytes()).is_err() {
            break;
        }
    }
    Ok(stream)
}

/// How long a server takes to end after a second signal.
fn second_signal(served: &mut Served) -> Result<f64> {
    let _unread = ask_and_not_read(served)?;
    let pid = Pid::from_raw(served.program.id().try_into()?).context("a process")?;
    ensure!(http::get(&served.program.address, "/").is_ok(), "it does not answer");
    kill_process(pid, Signal::TERM)?;
    // It has heard of it when it listens no longer.
    while TcpStream::connect(&served.program.address).is_ok() {
        thread::sleep(Duration::from_millis(1));
    }
    let again = Instant::now();
    served.program.terminate();
    Ok(again.elapsed().as_secs_f64() * 1e3)
}

/// How long a connection lasts whose client reads nothing.
fn unread(served: &Served) -> Result<Duration> {
    let stream = ask_and_not_read(served)?;
    let begun = Instant::now();
    let (server, client) = (stream.peer_addr()?.port(), stream.local_addr()?.port());
    ensure!(is_connected(server, client)?, "there is no connection");
    while is_connected(server, client)? {
        ensure!(begun.elapsed() < UNREAD + AFTER, "it is still there");
        thread::sleep(Duration::from_millis(100));
    }
    Ok(begun.elapsed())
}

/// Whether the kernel has a connection from a server's port to a client's.
fn is_connected(server: u16, client: u16) -> Result<bool> {
    let table = fs::read_to_string("/proc/net/tcp")?;
    let (local, remote) = (format!(":{server:04X}"), format!(":{client:04X}"));
    Ok(table.lines().any(|line| {
        let mut columns = line.split_whitespace().skip(1);
        let of = |column: Option<&str>, port: &str| column.is_some_and(|c| c.ends_with(port));
        of(columns.next(), &local) && of(columns.next(), &remote)
    }))
}

/// The milliseconds of right logins, in ascending order.
struct Logins {
    alone_ms: Vec<f64>,
    among_wrong_ms: Vec<f64>,
    wrong: u64,
}

impl Logins {
    fn delay_ms(&self) -> f64 {
        self.among_wrong_ms[LOGINS - 1] - self.alone_ms[LOGINS / 2]
    }

    fn text(&self) -> String {
        let (alone, among) = (self.alone_ms[LOGINS / 2], &self.among_wrong_ms);
        let (median, longest) = (among[LOGINS / 2], among[LOGINS - 1]);
        format!(
            "{median:.0} ms, at most {longest:.0} ms, of {LOGINS}; {alone:.0} ms alone; {} wrong ones",
            self.wrong
        )
    }
}

fn guessing(rig: &Rig) -> Result<Logins> {
    let (mut command, profile) = (Command::new(&rig.demo), rig.dir.join("undelayed.yml"));
    write(&profile, b"profile: undelayed\n")?;
    command.args(["serve", "--listen", "127.0.0.1:0", "--password", "right", "--profile"]).arg(profile);
    let server = Program::listening(&mut command, "listening");
    let log_in = |password: &str| {
        let body = format!("{{\"username\":\"nurse\",\"password\":\"{password}\"}}");
        let headers = "Content-Type: application/json\r\n";
        http::request(&server.address, "POST", "/login", headers, body.as_bytes()).map(|r| r.status)
    };
    let right = || -> Result<Vec<f64>> {
        let mut times = Vec::new();
        for _ in 0..LOGINS {
            let begun = Instant::now();
            let status = log_in("right")?;
            ensure!(status == 200, "a right password got {status}");
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        Ok(times)
    };
    let alone_ms = right()?;
    let (stop, wrong) = (AtomicBool::new(false), AtomicU64::new(0));
    let among_wrong_ms = thread::scope(|scope| {
        for n in 0..GUESSERS {
            let (stop, wrong, log_in) = (&stop, &wrong, &log_in);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    if log_in(&format!("wrong{n}")).is_ok_and(|status| status == 401 || status == 429) {
                        wrong.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        while wrong.load(Ordering::Relaxed) < 2 * GUESSERS as u64 {
            thread::sleep(Duration::from_millis(1));
        }
        let times = right();
        stop.store(true, Ordering::Relaxed);
        times
    })?;
    Ok(Logins { alone_ms, among_wrong_ms, wrong: wrong.into_inner() })
}

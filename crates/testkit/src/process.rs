//! A program that a test starts. Invariant: it is killed and reaped when its handle is dropped, and its log is read to
//! the end, so that it never waits for a reader.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Instant,
};

use crate::{http, interrupt, wait::PATIENCE};

/// A running program and what it wrote to stderr.
#[derive(Debug)]
pub struct Program {
    child: Child,
    log: Arc<Mutex<String>>,
    /// `HOST:PORT` that it listens at; empty until that is known.
    pub address: String,
}

impl Program {
    /// Starts a program that chooses its own port, and waits for the line of its log that contains `marker`, in
    /// whatever case, and an address of 127.0.0.1.
    ///
    /// # Panics
    /// If it ends before.
    pub fn listening(command: &mut Command, marker: &str) -> Self {
        let mut child = spawn(command);
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut log = String::new();
        let address = loop {
            let Some(Ok(line)) = lines.next() else {
                let _ = child.wait();
                panic!("{command:?} ended before it listened:\n{log}");
            };
            log.push_str(&line);
            log.push('\n');
            let port = line.split_once("127.0.0.1:").map(|(_, rest)| rest);
            let port = port.map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or(""));
            if let Some(port) = port.filter(|_| line.to_lowercase().contains(&marker.to_lowercase())) {
                break format!("127.0.0.1:{port}");
            }
        };
        let log = Arc::new(Mutex::new(log));
        let shared = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut log = shared.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self { child, log, address }
    }

    /// Starts a program that must be given its port, and waits until `ready` is answered with 200. If the program
    /// ends before, because another took the port meanwhile, it is started again with another.
    ///
    /// # Panics
    /// If it does not get ready.
    pub fn at_free_port(command: impl Fn(&str) -> Command, ready: &str) -> Self {
        let start = Instant::now();
        loop {
            let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).unwrap();
            let address = free.to_string();
            let mut command = command(&address);
            let mut child =
                interrupt::prepare(&mut command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            loop {
                assert!(start.elapsed() < PATIENCE, "{command:?} is not ready in time");
                if child.try_wait().unwrap().is_some() {
                    break;
                }
                if http::get(&address, ready).is_ok_and(|r| r.status == 200) {
                    return Self { child, log: Arc::default(), address };
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        }
    }

    /// What it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, as an operator would, and waits for the end: SIGTERM; on Windows Ctrl-C, whose demands on the test see
    /// [`interrupt::interrupt`].
    pub fn terminate(&mut self) -> ExitStatus {
        #[cfg(unix)]
        rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.child),
            rustix::process::Signal::TERM,
        )
        .unwrap();
        #[cfg(windows)]
        interrupt::interrupt(self.id());
        self.child.wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(command: &mut Command) -> Child {
    let spawned = interrupt::prepare(command).stderr(Stdio::piped()).stdout(Stdio::null()).spawn();
    spawned.unwrap_or_else(|e| panic!("{command:?}: {e}"))
}

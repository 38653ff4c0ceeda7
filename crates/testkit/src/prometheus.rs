//! A real Prometheus on a data directory. Invariant: it chooses its own port and keeps whatever age of samples.

use std::{io, path::Path, process::Command};

use crate::{
    http::{self, Response},
    peers::peer,
    process::Program,
    wait::wait_for,
};

/// A running Prometheus; it ends with the test.
#[derive(Debug)]
pub struct Prometheus {
    program: Program,
}

impl Prometheus {
    /// Starts one on `data` with this configuration and these flags, and waits until it is ready; `None` without
    /// peers. The configuration is written next to `data`.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(data: &Path, config: &str, flags: &[&str]) -> Option<Self> {
        let program = peer("prometheus")?;
        let file = data.with_file_name("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .args(["--web.listen-address=127.0.0.1:0", "--storage.tsdb.retention.time=100y"])
            .args(["--web.enable-remote-write-receiver", "--web.enable-admin-api", "--web.enable-lifecycle"])
            .arg("--enable-feature=native-histograms")
            .args(flags);
        let program = Program::listening(&mut command, "listening on");
        let server = Self { program };
        server.wait("Prometheus is ready", |s| s.get("/-/ready").is_ok_and(|r| r.status == 200));
        Some(server)
    }

    /// `HOST:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.program.address
    }

    /// What it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.program.log()
    }

    /// Asks until the answer is yes.
    ///
    /// # Panics
    /// As [`wait_for`].
    pub fn wait(&self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        wait_for(what, || condition(self));
    }

    /// Asks for a path.
    ///
    /// # Errors
    /// As [`http::request`].
    pub fn get(&self, path: &str) -> io::Result<Response> {
        http::get(self.address(), path)
    }

    /// Asks for an instant query's answer, at a time in milliseconds or now.
    ///
    /// # Panics
    /// If the server does not answer.
    #[must_use]
    pub fn query(&self, expression: &str, at_ms: Option<i64>) -> serde_json::Value {
        let time = at_ms.map(|t| format!("&time={}.{:03}", t / 1000, t % 1000)).unwrap_or_default();
        let path = format!("/api/v1/query?query={}{time}", http::encode(expression));
        self.get(&path).unwrap().json()
    }

    /// Sends SIGTERM and waits for an orderly end.
    ///
    /// # Panics
    /// If it ends with a failure.
    pub fn stop(mut self) {
        assert!(self.program.terminate().success(), "{}", self.log());
    }
}

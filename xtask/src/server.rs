//! A Prometheus-compatible server on this machine, asked over HTTP.

use std::{
    fs::File,
    io::{self, Read},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use assay_prom_api::{Blocking, ClientOptions, Request, json::time_text};
use serde_json::Value;

use crate::process::Process;

/// A server's address.
pub(crate) struct Server {
    base: String,
}

impl Server {
    /// The server on a port of 127.0.0.1.
    pub(crate) fn new(port: u16) -> Self {
        Self { base: format!("http://127.0.0.1:{port}") }
    }

    /// The address, without a slash at its end.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Waits until `path` answers with success; fails at once where the process ends.
    pub(crate) fn wait_for(&self, path: &str, process: &mut Process) -> Result<()> {
        let start = Instant::now();
        while ureq::get(format!("{}{path}", self.base)).call().is_err() {
            if process.ended()? || start.elapsed() > Duration::from_secs(120) {
                bail!(process.post_mortem());
            }
            sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// The `data` of an answer of the API.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        self.data(&Request::new(path))
    }

    /// The `data` of an instant query's answer; now, or at a time in milliseconds.
    pub(crate) fn query(&self, expr: &str, at_ms: Option<i64>) -> Result<Value> {
        let request = Request::new("query").with("query", expr);
        self.data(&match at_ms {
            Some(t_ms) => request.with("time", time_text(t_ms)),
            None => request,
        })
    }

    fn data(&self, request: &Request) -> Result<Value> {
        let options = ClientOptions { attempts: 1, ..ClientOptions::new(&self.base) };
        let mut answer: Value = serde_json::from_slice(&Blocking::new(options)?.call(request)?)?;
        Ok(answer["data"].take())
    }

    /// How many seconds a range query takes, from the request to the last byte of a successful answer. Asked by the
    /// thinnest client there is, so that what is measured is the server.
    pub(crate) fn range_query_s(&self, expr: &str, start_s: i64, end_s: i64, step_s: i64) -> Result<f64> {
        let begin = Instant::now();
        let response = ureq::get(format!("{}/api/v1/query_range", self.base))
            .query("query", expr)
            .query("start", start_s.to_string())
            .query("end", end_s.to_string())
            .query("step", step_s.to_string())
            .query("nocache", "1")
            .call()
            .with_context(|| expr.to_owned())?;
        let bytes = io::copy(&mut response.into_body().into_reader(), &mut io::sink())?;
        ensure!(bytes > 100, "an answer of {bytes} bytes to {expr}");
        Ok(begin.elapsed().as_secs_f64())
    }

    /// Sends OpenMetrics text to VictoriaMetrics.
    pub(crate) fn import_openmetrics(&self, mut text: File) -> Result<()> {
        let reader: &mut dyn Read = &mut text;
        ureq::post(format!("{}/api/v1/import/prometheus", self.base))
            .send(ureq::SendBody::from_reader(&mut { reader }))
            .context("VictoriaMetrics refuses the text")?;
        ureq::get(format!("{}/internal/force_flush", self.base)).call()?;
        Ok(())
    }

    /// How many samples the server holds in the hour (or so) from `start_s` on.
    pub(crate) fn count_samples(&self, start_s: i64, samples: u32) -> Result<u64> {
        let end = start_s + i64::from(samples);
        let expr = "sum(count_over_time({__name__!=\"\"}[10y]))";
        let data = self.query(expr, Some(end * 1000))?;
        let text = data["result"][0]["value"][1].as_str().context("no count")?.to_owned();
        Ok(text.parse::<f64>()? as u64)
    }
}

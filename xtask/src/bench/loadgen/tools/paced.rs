//! The tools that keep to a rate: how they are started, and the percentiles that they report. Invariant: a
//! percentile that a tool does not give is NaN, none is made up.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    super::distribution::{Percentiles, percentiles},
    Tool,
};

impl Tool {
    /// The highest rate at which the tool is asked to run; beyond, it measures itself.
    pub(in super::super) fn most_per_s(self) -> f64 {
        match self {
            Self::Wrk | Self::Oha => f64::INFINITY,
            Self::Hey => 16_000.0,
            Self::Locust => 400.0,
        }
    }

    /// The arguments of a run at a rate.
    pub(in super::super) fn paced(
        self,
        dir: &Path,
        users: u32,
        rate: f64,
        seconds: u64,
        url: &str,
    ) -> Result<Vec<String>> {
        let (c, s, q) = (users.to_string(), format!("{seconds}s"), format!("{rate:.0}"));
        let each = format!("{}", rate / f64::from(users));
        let (file, csv) = (dir.join("locustfile.py"), dir.join("locust").display().to_string());
        if self == Self::Locust {
            fs::write(&file, locust_file(rate / f64::from(users.min(100))))?;
        }
        let host = url.trim_end_matches('/');
        let (file, u) = (file.display().to_string(), users.min(100).to_string());
        let words: &[&str] = match self {
            Self::Oha => &[
                "-z",
                &s,
                "-c",
                &c,
                "-q",
                &q,
                "--latency-correction",
                "--no-tui",
                "--output-format",
                "json",
                url,
            ],
            Self::Hey => &["-z", &s, "-c", &c, "-q", &each, "-o", "csv", url],
            Self::Locust => &[
                "-f",
                &file,
                "--headless",
                "-u",
                &u,
                "-r",
                &u,
                "-t",
                &s,
                "-H",
                host,
                "--csv",
                &csv,
                "--only-summary",
            ],
            Self::Wrk => bail!("wrk keeps to no rate"),
        };
        Ok(words.iter().map(|w| (*w).to_owned()).collect())
    }

    /// What the tool reports after such a run.
    pub(in super::super) fn percentiles(self, dir: &Path, stdout: &str) -> Result<Percentiles> {
        match self {
            Self::Oha => {
                let value: Value = serde_json::from_str(stdout)?;
                let p = &value["latencyPercentiles"];
                Ok(["p50", "p90", "p95", "p99", "p99.9"].map(|n| p[n].as_f64().unwrap_or(f64::NAN)))
            }
            Self::Hey => {
                let times = stdout.lines().skip(1).filter_map(|l| l.split(',').next()?.parse::<f64>().ok());
                Ok(percentiles(&mut times.collect::<Vec<_>>()))
            }
            Self::Locust => locust_percentiles(&fs::read_to_string(dir.join("locust_stats.csv"))?),
            Self::Wrk => bail!("wrk keeps to no rate"),
        }
    }
}

/// Users that each keep to a rate.
fn locust_file(each_per_s: f64) -> String {
    format!(
        "from locust import FastHttpUser, constant_throughput, task\n\n\n\
         class User(FastHttpUser):\n    wait_time = constant_throughput({each_per_s})\n\n    @task\n    \
         def get(self):\n        self.client.get(\"/\")\n"
    )
}

/// The row of all requests; locust counts in milliseconds.
fn locust_percentiles(csv: &str) -> Result<Percentiles> {
    let mut lines = csv.lines();
    let names: Vec<&str> = lines.next().context("an empty table")?.split(',').collect();
    let row = lines.find(|l| l.contains(",Aggregated,")).context("no row of all requests")?;
    let values: Vec<&str> = row.split(',').collect();
    Ok(["50%", "90%", "95%", "99%", "99.9%"].map(|name| {
        let at = names.iter().position(|n| *n == name);
        let value = at.and_then(|at| values.get(at)?.parse::<f64>().ok());
        value.map_or(f64::NAN, |ms| ms / 1e3)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_the_tools_are_read() -> Result<()> {
        let csv = "Type,Name,50%,90%,95%,99%,99.9%\nGET,/,1,2,3,4,5\n,Aggregated,10,20,30,40,50\n";
        assert_eq!(locust_percentiles(csv)?, [0.01, 0.02, 0.03, 0.04, 0.05]);
        let csv = "response-time,offset\n0.5,0\n0.25,1\n";
        assert_eq!(Tool::Hey.percentiles(Path::new("."), csv)?, [0.25, 0.5, 0.5, 0.5, 0.5]);
        let json = r#"{"latencyPercentiles":{"p50":1.0,"p99":2.0}}"#;
        let read = Tool::Oha.percentiles(Path::new("."), json)?;
        assert!(read[0] == 1.0 && read[1].is_nan() && read[3] == 2.0);
        Ok(())
    }
}

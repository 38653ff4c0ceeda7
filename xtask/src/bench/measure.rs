//! Times a command as a whole process. Invariant: each measurement runs in a process of its own, since the
//! kernel keeps the peak memory of children only as the maximum over all that were waited for.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::json;

use crate::shell;

/// What one process took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Seconds from start to exit.
    pub(crate) wall_s: f64,
    /// Seconds of processor time, in user and kernel mode.
    pub(crate) cpu_s: f64,
    /// The largest resident set, in MiB.
    pub(crate) peak_mib: f64,
}

/// The hidden chore that does the measuring: runs a command, its output thrown away, and prints what it took.
#[derive(Debug, clap::Args)]
pub(crate) struct Measure {
    /// Print what it took however it ended, with its exit code; null after a signal
    #[arg(long)]
    any_status: bool,
    #[arg(trailing_var_arg = true, required = true)]
    command: Vec<String>,
}

/// Runs the command of [`Measure`] and prints its usage as JSON.
pub(crate) fn measure(options: &Measure) -> Result<()> {
    let (program, arguments) = options.command.split_first().context("a command")?;
    let start = Instant::now();
    let status = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    let wall_s = start.elapsed().as_secs_f64();
    ensure!(options.any_status || status.success(), "{}: {status}", options.command.join(" "));
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6;
    let cpu_s = seconds(usage.user_time()) + seconds(usage.system_time());
    let peak_mib = usage.max_rss() as f64 / 1024.0;
    let code = status.code();
    println!("{}", json!({"code": code, "wall_s": wall_s, "cpu_s": cpu_s, "peak_mib": peak_mib}));
    Ok(())
}

/// Measures a command once.
pub(super) fn usage(program: &Path, arguments: &[&str]) -> Result<Usage> {
    measured(&["measure", "--"], program, arguments)
}

/// The same of one that ends with a verdict, whatever that is.
pub(super) fn usage_of_judging(program: &Path, arguments: &[&str]) -> Result<Usage> {
    measured(&["measure", "--any-status", "--"], program, arguments)
}

fn measured(how: &[&str], program: &Path, arguments: &[&str]) -> Result<Usage> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(how).arg(program).args(arguments);
    let value: serde_json::Value = serde_json::from_str(&shell::output(&mut command)?)?;
    let is_verdict = value["code"].as_i64().is_some_and(|code| [0, 1, 3].contains(&code));
    ensure!(is_verdict, "{} ends with {}", program.display(), value["code"]);
    let field = |name: &str| value[name].as_f64().with_context(|| name.to_owned());
    Ok(Usage { wall_s: field("wall_s")?, cpu_s: field("cpu_s")?, peak_mib: field("peak_mib")? })
}

/// The median of at least six values between the ends of its interval of 95 %, by the order statistics of the
/// binomial distribution (no assumption on theirs).
pub(super) fn median_interval(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    // The largest number k of values at each end that the interval leaves out: P(at most k of n below) <= 2.5 %.
    let (mut probability, mut sum, mut left_out) = (0.5f64.powi(n as i32), 0.0, 0);
    for k in 0..n / 2 {
        sum += probability;
        if sum > 0.025 {
            break;
        }
        left_out = k;
        probability *= (n - k) as f64 / (k + 1) as f64;
    }
    [values[left_out], values[n / 2], values[n - 1 - left_out]]
}

#[cfg(test)]
mod tests {
    use super::median_interval;

    #[test]
    fn intervals_of_the_median_are_those_of_the_tables() {
        // Ranks of the distribution-free interval of 95 %: n = 6: 1 and 6; 10: 2 and 9; 20: 6 and 15; 25: 8 and 18.
        for (n, low, high) in [(6, 1.0, 6.0), (10, 2.0, 9.0), (20, 6.0, 15.0), (25, 8.0, 18.0)] {
            let [l, _, h] = median_interval((1..=n).rev().map(f64::from).collect());
            assert_eq!([l, h], [low, high], "{n} values");
        }
    }
}

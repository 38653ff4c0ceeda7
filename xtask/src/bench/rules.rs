//! Rules: a backtest against `vmalert -replay`, and unit tests against promtool.

use std::{fmt::Write as _, fs, path::Path, process::Command};

use anyhow::{Result, ensure};

use super::{Bed, Size, data, measure::usage, median, promql};
use crate::{process::free_port, shell};

/// Groups of generated rules, ten rules each.
const GROUPS: usize = 20;
/// Tests of the generated test file.
const TESTS: usize = 200;

/// Expressions of recording rules and of alerts' conditions.
const EXPRESSIONS: [&str; 10] = [
    "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[1m])))",
    "histogram_quantile(0.95, sum by (le, route) (rate(http_request_duration_seconds_bucket[1m])))",
    "sum(rate(http_requests_total{code=~\"5..\"}[1m])) / sum(rate(http_requests_total[1m]))",
    "sum by (route) (rate(http_requests_total[1m]))",
    "1 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[1m]))",
    "max_over_time(queue_depth[5m])",
    "avg_over_time(queue_depth[2m])",
    "quantile_over_time(0.9, queue_depth[5m])",
    "sum by (instance) (rate(http_requests_total[2m]))",
    "sum by (code) (increase(http_requests_total[5m]))",
];

pub(super) fn run(size: &Size) -> Result<()> {
    let bed = Bed::make("rules")?;
    println!("{} runs, medians, in milliseconds of wall time\n", size.runs);
    backtest(&bed, size)?;
    unit_tests(&bed, size)
}

/// `ruleseval backtest` over blocks against `vmalert -replay` over a warm VictoriaMetrics.
fn backtest(bed: &Bed, size: &Size) -> Result<()> {
    let text = bed.dir.join("series.om").display().to_string();
    let samples = data::write_openmetrics(Path::new(&text), size)?;
    let blocks = bed.dir.join("blocks").display().to_string();
    let made = ["tsdb", "create-blocks-from", "openmetrics", &text, &blocks];
    shell::output(Command::new(bed.peers.join("promtool")).args(made))?;
    let rules = bed.dir.join("rules.yml").display().to_string();
    fs::write(&rules, generated_rules())?;
    let (server, _process) = promql::victoria(bed, &text, size, samples)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let json = bed.dir.join("alerts.json").display().to_string();
    for run in 0..=size.runs {
        let o = usage(&bed.ruleseval, &["backtest", &blocks, "--rules", &rules, "--json", &json])?;
        let arguments = vmalert(server.base(), &rules, size)?;
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let v = usage(&bed.peers.join("vmalert"), &arguments)?;
        // The first round warms the server and the page cache.
        if run > 0 {
            ours.push(o.wall_s * 1e3);
            theirs.push(v.wall_s * 1e3);
        }
    }
    let (o, v) = (median(&mut ours), median(&mut theirs));
    println!("backtest of {} rules over {samples} samples, every 15 s:", GROUPS * 10);
    println!("ruleseval (process) {o:.0}, vmalert -replay (warm server, no delays) {v:.0}; 1/{:.1}\n", v / o);
    Ok(())
}

/// vmalert's arguments: no delay between rules, which flatters it, since chained rules then miss samples.
fn vmalert(server: &str, rules: &str, size: &Size) -> Result<Vec<String>> {
    ensure!(size.samples <= 86_400, "the data of this benchmark must fit into a day");
    // The data begins at a midnight.
    let time = |s: u32| format!("2026-01-01T{:02}:{:02}:{:02}Z", s / 3600, s / 60 % 60, s % 60);
    Ok(vec![
        format!("-rule={rules}"),
        format!("-datasource.url={server}"),
        format!("-remoteWrite.url={server}"),
        format!("-replay.timeFrom={}", time(0)),
        format!("-replay.timeTo={}", time(size.samples - 1)),
        "-replay.rulesDelay=0s".to_owned(),
        "-replay.disableProgressBar".to_owned(),
        "-replay.maxDatapointsPerQuery=100000".to_owned(),
        "-evaluationInterval=15s".to_owned(),
        "-loggerLevel=ERROR".to_owned(),
        format!("-httpListenAddr=127.0.0.1:{}", free_port()?),
    ])
}

pub(super) fn generated_rules() -> String {
    let mut out = "groups:\n".to_owned();
    for g in 0..GROUPS {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "- name: g{g}\n  interval: 15s\n  rules:");
        for k in 0..10 {
            let expr = EXPRESSIONS[(g + k) % 10];
            let limit = ["0.5", "1", "20", "40"][g % 4];
            let hold = ["0s", "1m", "2m", "5m"][g % 4];
            let _ = match k {
                0..6 => {
                    writeln!(out, "  - record: 'r{g}:{k}'\n    expr: '{expr}'\n    labels: {{of: 'g{g}'}}")
                }
                6 | 7 => writeln!(
                    out,
                    "  - alert: A{g}x{k}\n    expr: '({expr}) > {limit}'\n    for: {hold}\n    \
                     annotations: {{summary: '{{{{ $labels.route }}}} {{{{ $value | humanize }}}}'}}"
                ),
                _ => {
                    writeln!(out, "  - record: 'c{g}:{k}'\n    expr: 'avg_over_time(r{g}:{}[1m]) * 2'", k - 8)
                }
            };
        }
    }
    out
}

/// `ruleseval test` against `promtool test rules`.
fn unit_tests(bed: &Bed, size: &Size) -> Result<()> {
    let rules = "groups:\n- name: g\n  rules:\n  - {record: 'job:up:sum', expr: sum by (job) (up)}\n  \
                 - {alert: Down, expr: up == 0, for: 5m, labels: {severity: page}, annotations: {summary: '{{ $labels.instance }}'}}\n  \
                 - {alert: Few, expr: 'job:up:sum < 2', for: 2m}\n";
    fs::write(bed.dir.join("unit-rules.yml"), rules)?;
    let mut tests = "rule_files: [unit-rules.yml]\ntests:\n".to_owned();
    for i in 0..TESTS {
        let down_at = 5 + i % 20;
        let _ = write!(
            tests,
            "- name: t{i}\n  interval: 1m\n  input_series:\n  - {{series: 'up{{job=\"a\",instance=\"1\"}}', values: '1x{down_at} 0x60'}}\n  \
             - {{series: 'up{{job=\"a\",instance=\"2\"}}', values: '1x90'}}\n  alert_rule_test:\n  \
             - {{eval_time: {}m, alertname: Down}}\n  - eval_time: {}m\n    alertname: Down\n    exp_alerts: \
             [{{exp_labels: {{severity: page, job: a, instance: '1'}}, exp_annotations: {{summary: '1'}}}}]\n  \
             promql_expr_test:\n  - {{expr: 'job:up:sum', eval_time: 60m, exp_samples: [{{labels: 'job:up:sum{{job=\"a\"}}', value: 1}}]}}\n",
            down_at + 5,
            down_at + 6,
        );
    }
    let file = bed.dir.join("unit-tests.yml").display().to_string();
    fs::write(&file, tests)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..size.runs {
        ours.push(usage(&bed.ruleseval, &["test", &file])?.wall_s * 1e3);
        theirs.push(usage(&bed.peers.join("promtool"), &["test", "rules", &file])?.wall_s * 1e3);
    }
    let (o, p) = (median(&mut ours), median(&mut theirs));
    println!("{TESTS} unit tests: ruleseval test {o:.0}, promtool test rules {p:.0}; 1/{:.1}", p / o);
    Ok(())
}

//! `status/…`, and what else Prometheus reports of itself. Invariant: nothing is invented: what a run does not have, such as
//! targets, is an empty list.

use std::collections::{BTreeMap, HashMap};

use assay_model::{METRIC_NAME, Queryable as _};
use serde_json::{Value, json};

use super::{
    Served,
    answer::{Answer, Failure},
    parameters::Parameters,
};
use assay_verdict::units;

/// The most entries that each list of `status/tsdb` may have.
const MOST: usize = 10_000;

/// What clients read to tell which functions a server has: those of Prometheus 3.13 are here.
pub(super) fn build_info(_served: &Served, _parameters: &Parameters) -> Result<Answer, Failure> {
    Ok(json!({
        "version": "3.13.0",
        "revision": concat!("ruleseval ", env!("CARGO_PKG_VERSION")),
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    })
    .into())
}

/// The configuration that a Prometheus with these rules would have.
pub(super) fn config(served: &Served, _parameters: &Parameters) -> Result<Answer, Failure> {
    let mut files: Vec<&str> = served.settings.files.groups.iter().map(|g| &*g.file).collect();
    files.dedup();
    let mut yaml = "global:\n  evaluation_interval: 15s\n".to_owned();
    if !files.is_empty() {
        yaml += "rule_files:\n";
        yaml.extend(files.iter().map(|f| format!("- {}\n", json!(f))));
    }
    Ok(json!({"yaml": yaml}).into())
}

pub(super) fn flags(served: &Served, _parameters: &Parameters) -> Result<Answer, Failure> {
    let limits = &served.settings.limits;
    let duration = |ms: i64| assay_model::duration::format_ms(ms);
    Ok(json!({
        "query.lookback-delta": duration(limits.lookback_ms),
        "query.max-concurrency": limits.max_concurrency.to_string(),
        "query.max-samples": limits.max_samples.to_string(),
        "query.timeout": duration(limits.timeout.as_millis().try_into().unwrap_or(i64::MAX)),
        "web.cors.origin": served.settings.cors.as_ref().map(|o| o.as_str().to_owned()).unwrap_or_default(),
    })
    .into())
}

pub(super) fn runtime_info(served: &Served, _parameters: &Parameters) -> Result<Answer, Failure> {
    let started = units::timestamp(served.settings.started_ms);
    Ok(json!({
        "startTime": started,
        "CWD": "",
        "hostname": "",
        "serverTime": units::timestamp(super::now_ms()),
        "reloadConfigSuccess": true,
        "lastConfigTime": started,
        "corruptionCount": served.run.database.warnings().len(),
        "goroutineCount": 0,
        "GOMAXPROCS": std::thread::available_parallelism().map_or(1, usize::from),
        "GOMEMLIMIT": 0,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": "",
    })
    .into())
}

/// Of all series of the run; Prometheus counts those in memory.
pub(super) fn tsdb(served: &Served, parameters: &Parameters) -> Result<Answer, Failure> {
    let limit = match parameters.get("limit").map(str::parse::<usize>) {
        None => 10,
        Some(Ok(n)) if n > MOST => return Err(Failure::bad_data(format!("limit must not exceed {MOST}"))),
        Some(Ok(n)) if n > 0 => n,
        Some(_) => return Err(Failure::bad_data("limit must be a positive number")),
    };
    let view = served.view();
    let (mut metrics, mut pairs) = (HashMap::<String, u64>::new(), HashMap::<(String, String), u64>::new());
    let series = view.select(&[], i64::MIN, i64::MAX).map_err(Failure::execution)?;
    for labels in series.iter().map(|s| s.labels()) {
        for (name, value) in labels {
            if name == METRIC_NAME {
                *metrics.entry(value.to_owned()).or_default() += 1;
            }
            *pairs.entry((name.to_owned(), value.to_owned())).or_default() += 1;
        }
    }
    let (mut values, mut bytes) = (BTreeMap::<&str, u64>::new(), BTreeMap::<&str, u64>::new());
    for (name, value) in pairs.keys() {
        *values.entry(name).or_default() += 1;
        *bytes.entry(name).or_default() += value.len() as u64;
    }
    let (first, last) = view.time_range().unwrap_or_default();
    Ok(json!({
        "headStats": {
            "numSeries": series.len(),
            "numLabelPairs": pairs.len(),
            "chunkCount": served.run.database.block_stats().num_chunks,
            "minTime": first,
            "maxTime": last,
        },
        "seriesCountByMetricName": most(metrics, limit),
        "labelValueCountByLabelName": most(values, limit),
        "memoryInBytesByLabelName": most(bytes, limit),
        "seriesCountByLabelValuePair": most(pairs.iter().map(|((n, v), c)| (format!("{n}={v}"), *c)), limit),
    })
    .into())
}

/// The entries with the highest counts.
fn most<N: Into<String>>(counts: impl IntoIterator<Item = (N, u64)>, limit: usize) -> Vec<Value> {
    let mut list: Vec<(String, u64)> = counts.into_iter().map(|(n, c)| (n.into(), c)).collect();
    list.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    list.into_iter().take(limit).map(|(name, value)| json!({"name": name, "value": value})).collect()
}

pub(super) fn wal_replay(_served: &Served, _parameters: &Parameters) -> Result<Answer, Failure> {
    Ok(json!({"min": 0, "max": 0, "current": 0}).into())
}

/// A run is scraped no more.
pub(super) fn targets(_served: &Served, _parameters: &Parameters) -> Result<Answer, Failure> {
    Ok(json!({"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {}}).into())
}

pub(super) fn alertmanagers(_served: &Served, _parameters: &Parameters) -> Result<Answer, Failure> {
    Ok(json!({"activeAlertmanagers": [], "droppedAlertmanagers": []}).into())
}

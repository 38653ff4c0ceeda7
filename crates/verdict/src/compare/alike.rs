//! Whether two runs are runs of the same. Invariant: what makes a comparison meaningless is refused, what may explain a change is a
//! warning, and the host's name, the seed and the time are neither.

use serde_json::Value;

use crate::{units, verdict::RunInfo};

/// How far planned lengths may be apart.
const PLANNED: f64 = 0.02;

/// Refuses runs of different scenarios, modes or plans: why they cannot be held against each other.
pub(crate) fn check(base: &RunInfo, new: &RunInfo) -> Result<(), String> {
    let refuse = Err;
    if let (Some(b), Some(n)) = (&base.scenario, &new.scenario)
        && b != n
    {
        return refuse(format!("the runs are of different scenarios, {b} and {n}"));
    }
    if let (Some(b), Some(n)) = (text(base, "mode"), text(new, "mode"))
        && b != n
    {
        return refuse(format!("the runs are of different modes, {b} and {n}"));
    }
    for phase in &new.phases {
        let Some(other) = base.phases.iter().find(|p| p.name == phase.name) else { continue };
        let (Some(b), Some(n)) = (other.planned_ms, phase.planned_ms) else { continue };
        if (b - n).abs() as f64 > PLANNED * b.max(n) as f64 {
            let (b, n) = (units::length(b), units::length(n));
            return refuse(format!(
                "phase {} was planned to take {b} in the baseline and {n} in the new run",
                phase.name
            ));
        }
    }
    let has_none = !base.phases.is_empty()
        && !new.phases.is_empty()
        && !new.phases.iter().any(|p| base.phases.iter().any(|o| o.name == p.name));
    if has_none {
        return refuse("the runs have no phase in common".to_owned());
    }
    Ok(())
}

/// In what the runs differ that may explain a change.
pub(crate) fn warnings(base: &RunInfo, new: &RunInfo) -> Vec<String> {
    let mut out = Vec::new();
    for (path, what) in [
        ("target", "targets"),
        ("host.cpu_model", "processors"),
        ("host.cpus", "numbers of processors"),
        ("host.gpus", "GPUs"),
        ("host.arch", "architectures"),
    ] {
        if let (Some(b), Some(n)) = (text(base, path), text(new, path))
            && !is_same(path, &b, &n)
        {
            out.push(format!("the runs are of different {what}, {b} and {n}"));
        }
    }
    let memory = |run: &RunInfo| run.manifest.pointer("/host/memory_bytes").and_then(Value::as_f64);
    if let (Some(b), Some(n)) = (memory(base), memory(new))
        && (b / n).ln().abs() > 0.1
    {
        let size = |v| units::quantity(v, "bytes");
        out.push(format!("the runs are of machines with different memory, {} and {}", size(b), size(n)));
    }
    out
}

/// A target on this machine is the same one on whatever port it happens to listen.
fn is_same(path: &str, base: &str, new: &str) -> bool {
    let place = |url: &str| {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest).to_owned();
        let host = rest.split(['/', ':']).next().unwrap_or_default().to_owned();
        if ["127.0.0.1", "localhost", "[::1]"].contains(&host.as_str()) { host } else { rest }
    };
    if path == "target" { place(base) == place(new) } else { base == new }
}

/// What a manifest has at a dotted path, as a text.
fn text(run: &RunInfo, path: &str) -> Option<String> {
    let found = run.manifest.pointer(&format!("/{}", path.replace('.', "/")))?;
    match found {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{testing, verdict::Status};
    use serde_json::json;

    fn run(manifest: Value) -> RunInfo {
        RunInfo { manifest, ..testing::verdict(Status::Pass).run }
    }

    #[test]
    fn other_scenarios_modes_and_plans_are_refused() {
        let base = run(json!({"mode": "all"}));
        assert!(check(&base, &base.clone()).is_ok());
        let other = RunInfo { scenario: Some("x".to_owned()), ..base.clone() };
        assert!(check(&base, &other).is_err_and(|e| e.contains("different scenarios")));
        assert!(
            check(&base, &run(json!({"mode": "demo"}))).is_err_and(|e| e.contains("modes, all and demo"))
        );
        let planned = |ms| {
            let mut run = base.clone();
            run.phases[1].planned_ms = Some(ms);
            run
        };
        assert!(check(&planned(60_000), &planned(60_500)).is_ok());
        assert!(
            check(&planned(60_000), &planned(90_000))
                .is_err_and(|e| e.contains("1m in the baseline and 1m30s"))
        );
        let mut named = base.clone();
        named.phases.iter_mut().for_each(|p| p.name.push('x'));
        assert!(check(&base, &named).is_err_and(|e| e.contains("no phase in common")));
    }

    #[test]
    fn another_machine_or_target_is_a_warning_and_another_port_is_none() {
        let base = run(
            json!({"target": "http://127.0.0.1:8000", "seed": 1, "host": {"cpus": 2, "name": "a", "memory_bytes": 1e9}}),
        );
        let new = run(
            json!({"target": "http://127.0.0.1:9000", "seed": 2, "host": {"cpus": 4, "name": "b", "memory_bytes": 2e9}}),
        );
        let found = warnings(&base, &new);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("processors, 2 and 4") && found[1].contains("memory"), "{found:?}");
        let away = run(json!({"target": "http://service:8000"}));
        assert!(warnings(&base, &away)[0].contains("targets"));
    }
}

//! `--abort-on`: the rules that may end the run, read before it.

use std::collections::BTreeSet;

use assay_rules::RuleFiles;
use loadgen::recorded::AbortRules;

use super::RunArguments;

/// The rules that may end the run, where it is to end by any.
///
/// # Errors
/// All that is wrong with the files, and where no alert has such a severity: it could never end the run.
pub(super) fn rules(arguments: &RunArguments) -> Result<Option<AbortRules>, String> {
    if arguments.abort_on.is_empty() {
        return Ok(None);
    }
    let files = RuleFiles::load(&arguments.rules).map_err(|e| e.to_string())?;
    for warning in &files.warnings {
        tracing::warn!("{warning}");
    }
    let known = severities(&files);
    // A template may come to any severity.
    let has = |wanted: &String| known.iter().any(|s| s == wanted || s.contains("{{"));
    if let Some(severity) = arguments.abort_on.iter().find(|s| !has(s)) {
        let there = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(format!(
            "--abort-on {severity}: no alert of the rules has severity {severity:?}; there are: {there}"
        ));
    }
    let (severities, interval_ms) = (arguments.abort_on.clone(), arguments.rules_interval);
    Ok(Some(AbortRules { files, severities, interval_ms }))
}

/// The severities of all alerts, sorted.
fn severities(files: &RuleFiles) -> Vec<&str> {
    let alerts = files.rules().filter(|(_, rule)| rule.alerting().is_some());
    let labels = alerts.flat_map(|(_, rule)| &rule.labels).filter(|(name, _)| name == "severity");
    let known: BTreeSet<&str> = labels.map(|(_, severity)| severity.as_str()).collect();
    known.into_iter().collect()
}

//! Keys that other programs read in rule files, and this one does not.
//!
//! Sources: Mimir's `rulefmt` and `mimirtool`, Thanos' `pkg/rules`, the Prometheus operator's `RuleGroup`, and vmalert's
//! `config.Group` and `config.Rule`. Invariant: a key is listed with the programs that read it and what is missed without
//! it; what is not listed is unknown.

use assay_yaml::{Cx, MapReader, Position};

/// A key of a rule file that has no effect here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredKey {
    /// The key.
    pub name: &'static str,
    /// The programs that read it.
    pub read_by: &'static str,
    /// What it does there.
    pub effect: &'static str,
    /// Where it is.
    pub position: Position,
}

impl std::fmt::Display for IgnoredKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is a key of {} and is ignored: {}", self.name, self.read_by, self.effect)
    }
}

/// A key, who reads it, and what it does.
type Known = (&'static str, &'static str, &'static str);

/// Keys of a file.
pub(super) const FILE: &[Known] = &[("namespace", "mimirtool", "the namespace that groups are stored in")];

/// Keys of a group.
pub(super) const GROUP: &[Known] = &[
    ("align_evaluation_time_on_interval", "Mimir and Loki", "evaluations at multiples of the interval"),
    ("remote_write", "Loki and cortextool", "where recorded series are sent"),
    ("source_tenants", "Mimir", "the tenants whose series are read; here all series of the run are"),
    ("partial_response_strategy", "Thanos", "what happens if a store does not answer"),
    ("concurrency", "vmalert", "how many rules are evaluated at a time; here they are evaluated in order"),
    ("debug", "vmalert", "logging"),
    ("eval_alignment", "vmalert", "evaluations at multiples of the interval"),
    ("eval_delay", "vmalert", "how long before now queries look; Prometheus' key is query_offset"),
    ("eval_offset", "vmalert", "when within the interval the group is evaluated"),
    ("extra_filter_labels", "vmalert", "labels that limit what is read; here all series of the run are"),
    ("headers", "vmalert", "HTTP headers of queries"),
    ("notifier_headers", "vmalert", "HTTP headers of notifications"),
    (
        "params",
        "vmalert",
        "parameters of queries, which may limit what is read; here all series of the run are",
    ),
    ("tenant", "vmalert", "the tenant whose series are read; here all series of the run are"),
];

/// Keys of a rule.
pub(super) const RULE: &[Known] = &[
    ("debug", "vmalert", "logging"),
    ("update_entries_limit", "vmalert", "how many states are kept for its page"),
];

/// Those of the keys that a map has.
pub(super) fn ignored(map: &mut MapReader<'_>, known: &[Known]) -> Vec<IgnoredKey> {
    let mut out = Vec::new();
    for &(name, read_by, effect) in known {
        map.get(name);
        let pairs = map.node().as_map().unwrap_or_default();
        if let Some((key, _)) = pairs.iter().find(|(k, _)| k.as_str() == Some(name)) {
            out.push(IgnoredKey { name, read_by, effect, position: key.position });
        }
    }
    out
}

/// Refuses groups in another language: vmalert's `type`.
pub(super) fn language(cx: &mut Cx<'_>, map: &mut MapReader<'_>, prefix: &str) {
    if let Some(node) = map.get("type")
        && node.as_str() != Some("prometheus")
    {
        let found = node.describe();
        cx.error(
            node,
            format!("{prefix}: type {found} is not PromQL; this reads groups of type \"prometheus\""),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::RuleFiles;

    #[test]
    fn keys_of_other_programs_are_known() {
        let text = "
namespace: team
groups:
  - name: mimir
    evaluation_delay: 1m
    source_tenants: [a, b]
    align_evaluation_time_on_interval: true
    rules: []
  - name: thanos
    partial_response_strategy: warn
    query_offset: 5s
    rules: []
  - name: vm
    type: prometheus
    concurrency: 2
    eval_offset: 5s
    eval_delay: 30s
    eval_alignment: false
    headers: ['X: y']
    notifier_headers: ['X: y']
    params: {nocache: ['1']}
    tenant: '0:0'
    debug: true
    rules: [{record: a, expr: up, debug: true, update_entries_limit: 5}]
";
        let files = RuleFiles::parse("r.yml", text).expect("reads");
        assert_eq!(files.groups[0].query_offset_ms, Some(60_000));
        let of = |g: usize| files.groups[g].ignored.iter().map(|k| k.name).collect::<Vec<_>>().join(" ");
        assert_eq!(of(0), "align_evaluation_time_on_interval source_tenants");
        assert_eq!(of(1), "partial_response_strategy");
        assert_eq!(
            of(2),
            "concurrency debug eval_alignment eval_delay eval_offset headers notifier_headers params tenant"
        );
        let rule = &files.groups[2].rules[0];
        assert_eq!(
            rule.ignored.iter().map(|k| k.name).collect::<Vec<_>>(),
            ["debug", "update_entries_limit"]
        );
        let notes = files.ignored_keys();
        assert_eq!(notes.len(), 15);
        assert_eq!(
            notes[2],
            "r.yml:6:5: group \"mimir\": source_tenants is a key of Mimir and is ignored: the tenants whose series are \
             read; here all series of the run are"
        );
        let text = "groups:\n- {name: g, type: graphite, rules: []}\n- {name: h, concurency: 1, rules: []}\n";
        let problems = RuleFiles::parse("r.yml", text).expect_err("problems").to_string();
        assert!(
            problems.contains("r.yml:2:19: group \"g\": type \"graphite\" is not PromQL")
                && problems.contains("did you mean \"concurrency\"?"),
            "{problems}"
        );
    }
}

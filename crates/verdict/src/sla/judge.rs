//! What of a run is judged. Invariant: an alert that an SLA does not name, by severity or by name, fails no run.

use assay_yaml::{Cx, Node, Position, nearest};

use super::shape;

/// What of a run is judged.
#[derive(Clone, Debug)]
pub struct Judge {
    /// The phases, each on its own; empty for the whole run without its warm-up.
    pub phases: Vec<String>,
    /// Where the phases are listed.
    pub phases_at: Option<Position>,
    /// The alerts that fail a run when they fire in a judged phase.
    pub fail_on_alerts: FailOnAlerts,
    /// The alerts whose series must be there: without them the verdict is inconclusive.
    pub require_alerts: Vec<String>,
    /// Where they are listed.
    pub require_alerts_at: Option<Position>,
}

impl Default for Judge {
    fn default() -> Self {
        let critical = AlertSet::of_severities(vec!["critical".to_owned()]);
        Self {
            phases: Vec::new(),
            phases_at: None,
            fail_on_alerts: FailOnAlerts::Everywhere(critical),
            require_alerts: Vec::new(),
            require_alerts_at: None,
        }
    }
}

impl Judge {
    /// The alerts that are named, and not only meant by their severity, each once, with where it is named first.
    #[must_use]
    pub fn named_alerts(&self) -> Vec<(&str, Option<Position>)> {
        let sets: Vec<&AlertSet> = match &self.fail_on_alerts {
            FailOnAlerts::Everywhere(set) => vec![set],
            FailOnAlerts::ByPhase(sets) => sets.iter().map(|(_, set)| set).collect(),
        };
        let failing = sets.into_iter().flat_map(|set| set.names.iter().map(|name| (name, set.names_at)));
        let mut named: Vec<(&str, Option<Position>)> = Vec::new();
        for (name, at) in failing.chain(self.require_alerts.iter().map(|name| (name, self.require_alerts_at)))
        {
            if named.iter().all(|(known, _)| known != name) {
                named.push((name, at));
            }
        }
        named
    }
}

/// The alerts that fail a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailOnAlerts {
    /// The same in all judged phases.
    Everywhere(AlertSet),
    /// By phase; in a phase that is not listed, none.
    ByPhase(Vec<(String, AlertSet)>),
}

/// Alerts by severity or by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertSet {
    /// Values of the label `severity`.
    pub severities: Vec<String>,
    /// Names of alerts, whatever their severity.
    pub names: Vec<String>,
    /// Where the names are listed.
    pub names_at: Option<Position>,
}

impl AlertSet {
    fn of_severities(severities: Vec<String>) -> Self {
        Self { severities, ..Self::default() }
    }

    /// Whether an alert is one of them.
    #[must_use]
    pub fn has(&self, name: &str, severity: &str) -> bool {
        self.names.iter().any(|n| n == name) || self.severities.iter().any(|s| s == severity)
    }

    fn words(&self) -> Vec<String> {
        self.severities.iter().chain(&self.names).cloned().collect()
    }
}

impl FailOnAlerts {
    /// Whether an alert fails the run when it fires in this phase.
    #[must_use]
    pub fn fails(&self, phase: &str, name: &str, severity: &str) -> bool {
        match self {
            Self::Everywhere(set) => set.has(name, severity),
            Self::ByPhase(sets) => sets.iter().any(|(p, set)| p == phase && set.has(name, severity)),
        }
    }

    /// Whether it does in any phase.
    #[must_use]
    pub fn fails_anywhere(&self, name: &str, severity: &str) -> bool {
        match self {
            Self::Everywhere(set) => set.has(name, severity),
            Self::ByPhase(sets) => sets.iter().any(|(_, set)| set.has(name, severity)),
        }
    }

    /// All of them in words, such as `critical` or `peak: TargetDown`.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        match self {
            Self::Everywhere(set) => set.words(),
            Self::ByPhase(sets) => sets
                .iter()
                .flat_map(|(phase, set)| set.words().into_iter().map(move |w| format!("{phase}: {w}")))
                .collect(),
        }
    }
}

/// Reads the key `judge`.
pub(super) fn read(cx: &mut Cx<'_>, node: &Node) -> Option<Judge> {
    let mut map = cx.read(node, &shape::JUDGE)?;
    let mut judge = Judge::default();
    if let Some(n) = map.get("phases") {
        judge.phases = cx.strings(n)?;
        judge.phases_at = Some(n.position);
    }
    if let Some(n) = map.get("fail_on_alerts") {
        judge.fail_on_alerts = fail_on_alerts(cx, n, &judge.phases)?;
    }
    if let Some(n) = map.get("require_alerts") {
        judge.require_alerts = cx.strings(n)?;
        judge.require_alerts_at = Some(n.position);
    }
    map.finish(cx);
    Some(judge)
}

fn fail_on_alerts(cx: &mut Cx<'_>, node: &Node, phases: &[String]) -> Option<FailOnAlerts> {
    let Some(pairs) = node.as_map() else {
        return cx.strings(node).map(|list| FailOnAlerts::Everywhere(AlertSet::of_severities(list)));
    };
    if pairs.iter().any(|(key, _)| matches!(key.as_str(), Some("names" | "severities"))) {
        return alert_set(cx, node).map(FailOnAlerts::Everywhere);
    }
    let mut sets = Vec::new();
    for (key, value) in pairs {
        let phase = cx.string(key)?;
        check_phase(cx, key, &phase, phases);
        sets.push((phase, alert_set(cx, value)?));
    }
    Some(FailOnAlerts::ByPhase(sets))
}

/// A list of severities, or severities and names.
fn alert_set(cx: &mut Cx<'_>, node: &Node) -> Option<AlertSet> {
    if node.as_map().is_none() {
        return cx.strings(node).map(AlertSet::of_severities);
    }
    let mut map = cx.read(node, &shape::ALERT_SET)?;
    let severities = map.get("severities").map_or(Some(Vec::new()), |n| cx.strings(n));
    let names = map.get("names");
    let names_at = names.map(|n| n.position);
    let names = names.map_or(Some(Vec::new()), |n| cx.strings(n));
    map.finish(cx);
    Some(AlertSet { severities: severities?, names: names?, names_at })
}

/// A phase that is a key must be one that is judged, if those are listed.
fn check_phase(cx: &mut Cx<'_>, node: &Node, phase: &str, phases: &[String]) {
    if phases.is_empty() || phases.iter().any(|p| p == phase) {
        return;
    }
    let hint = match nearest(phase, phases.iter().map(String::as_str)) {
        Some(known) => format!("did you mean {known:?}?"),
        None => format!("judged are {}", phases.join(", ")),
    };
    cx.error(node, format!("phase {phase:?} is not judged here; {hint}"));
}

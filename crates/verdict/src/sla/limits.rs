//! Limits by phase, and against a baseline.

use assay_yaml::{Cx, Node, Position, nearest};

use super::{Objective, shape};

/// The right side of an objective's comparison in one phase.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// The phase.
    pub phase: String,
    /// The limit in the objective's unit; `None` if the value is only reported.
    pub value: Option<f64>,
    /// Where it is written.
    pub position: Position,
}

/// How far a measured value may be from a baseline's, as a part of the baseline's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Relative {
    /// The most that it may be above, such as 0.1; `None` for any amount.
    pub max: Option<f64>,
    /// The least that it may be, such as -0.1; `None` for any amount.
    pub min: Option<f64>,
}

/// Reads the key `limits`.
pub(super) fn read(cx: &mut Cx<'_>, node: &Node) -> Option<Vec<Limit>> {
    let Some(pairs) = node.as_map() else {
        cx.error(node, "expected limits by phase, such as {peak: 7, stress: none}");
        return None;
    };
    let mut out = Vec::new();
    for (key, value) in pairs {
        let phase = cx.string(key)?;
        let limit = if value.as_str() == Some("none") { None } else { Some(cx.number(value)?) };
        out.push(Limit { phase, value: limit, position: key.position });
    }
    Some(out)
}

/// Whether all phases with limits are judged.
pub(super) fn check(cx: &mut Cx<'_>, objective: &Objective, phases: &[String]) {
    for limit in &objective.limits {
        if phases.is_empty() || phases.contains(&limit.phase) {
            continue;
        }
        let hint = match nearest(&limit.phase, phases.iter().map(String::as_str)) {
            Some(known) => format!("did you mean {known:?}?"),
            None => format!("it is judged in {}", phases.join(", ")),
        };
        cx.error_at(
            limit.position,
            format!("the objective is not judged in phase {:?}; {hint}", limit.phase),
        );
    }
}

/// Reads the key `relative`.
pub(super) fn read_relative(cx: &mut Cx<'_>, node: &Node) -> Option<Relative> {
    let mut map = cx.read(node, &shape::RELATIVE)?;
    let max = map.get("max").map(|n| percent(cx, n));
    let min = map.get("min").map(|n| percent(cx, n));
    map.finish(cx);
    if max.is_none() && min.is_none() {
        cx.error(node, "relative needs max, such as +10%, or min, such as -10%");
        return None;
    }
    let read = |value: Option<Option<f64>>| match value {
        Some(read) => read.map(Some),
        None => Some(None),
    };
    Some(Relative { max: read(max)?, min: read(min)? })
}

/// `+10%` as 0.1.
fn percent(cx: &mut Cx<'_>, node: &Node) -> Option<f64> {
    let text = cx.string(node)?;
    let number = text.strip_suffix('%').and_then(|n| n.trim().parse::<f64>().ok());
    if number.is_none() {
        cx.error(node, format!("expected a percentage such as +10%, found {text:?}"));
    }
    number.map(|n| n / 100.0)
}

#[cfg(test)]
mod tests {
    use crate::sla::{Relative, parse};

    fn check(text: &str, want: &[&str]) {
        let problems = parse("a.yml", text).expect_err("must not be accepted").to_string();
        assert_eq!(problems.lines().collect::<Vec<_>>(), want, "{text}");
    }

    #[test]
    fn limits_by_phase_and_against_a_baseline() {
        let text = "sla: a\njudge: {phases: [steady, peak], fail_on_alerts: {steady: [critical], peak: {names: [Down]}}, \
                    require_alerts: [Down]}\nobjectives:\n- {name: x, require: a < 1, limits: {peak: 7}, relative: {max: +10%}}\n";
        let sla = parse("a.yml", text).expect("is right");
        let objective = &sla.objectives[0];
        assert_eq!((objective.limits[0].phase.as_str(), objective.limits[0].value), ("peak", Some(7.0)));
        assert_eq!(objective.relative, Some(Relative { max: Some(0.1), min: None }));
        let alerts = &sla.judge.fail_on_alerts;
        assert!(alerts.fails("steady", "Any", "critical") && alerts.fails("peak", "Down", "warning"));
        assert!(!alerts.fails("peak", "Any", "critical") && !alerts.fails("other", "Down", "critical"));
        assert_eq!(alerts.words(), ["steady: critical", "peak: Down"]);
    }

    #[test]
    fn phases_that_are_not_judged_and_numbers_that_are_none() {
        check(
            "sla: a\njudge: {phases: [steady, peak], fail_on_alerts: {steddy: [critical]}}\nobjectives:\n\
             - {name: x, require: a < 1, limits: {pek: 7}, relative: {max: ten}}\n",
            &[
                "a.yml:2:50: phase \"steddy\" is not judged here; did you mean \"steady\"?",
                "a.yml:4:63: expected a percentage such as +10%, found \"ten\"",
            ],
        );
        check(
            "sla: a\njudge: {phases: [steady]}\nobjectives:\n- {name: x, require: a < 1, limits: {peak: 7}}\n",
            &["a.yml:4:38: the objective is not judged in phase \"peak\"; it is judged in steady"],
        );
    }
}

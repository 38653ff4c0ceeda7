//! SLA files: objectives, each one PromQL comparison. Invariant: every expression of an [`Sla`] that was read
//! parses and is a comparison, so judging can only fail for want of data.
//!
//! ```yaml
//! sla: clinical-rag
//! judge: {phases: [steady], fail_on_alerts: [critical]}
//! objectives:
//!   - name: Query latency p99
//!     category: latency
//!     unit: s
//!     require: histogram_quantile(0.99, sum(increase(http_client_request_duration_seconds[$__range]))) < 5
//!     on_missing: skip             # or fail; without it a missing series makes the verdict inconclusive
//!     phases: [peak]               # other phases than judge.phases
//!     error_budget: true           # the limit is a budget of bad events, in the objective's unit
//!     description: What is measured.
//!     advice: What to do when it is missed.
//!     limits: {peak: 7, stress: none}   # the right side in these phases; none only reports
//!     relative: {max: +10%}        # against the run of --baseline
//! ```
//!
//! `judge.fail_on_alerts` is a list of severities, or a map from phases to lists of severities or
//! `{severities: […], names: […]}`; `judge.require_alerts` names alerts whose series must be there.

use std::path::Path;

use assay_promql::ast::BinaryOp;
use assay_yaml::{Cx, Diagnostics, Document, Node, Position, nearest};

mod comparison;
mod judge;
mod limits;
mod openslo;
mod shape;

pub use comparison::{Comparison, holds};
pub(crate) use comparison::{check_measure, fill};
pub use judge::{AlertSet, FailOnAlerts, Judge};
pub use limits::{Limit, Relative};
pub use shape::{reference, schema};

/// A file of objectives.
#[derive(Clone, Debug)]
pub struct Sla {
    /// Its name.
    pub name: String,
    /// The file as it was given.
    pub file: String,
    /// What is judged.
    pub judge: Judge,
    /// At least one.
    pub objectives: Vec<Objective>,
}

/// What happens where an objective's series are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnMissing {
    /// The verdict is inconclusive.
    #[default]
    Inconclusive,
    /// The objective is missed.
    Fail,
    /// The objective is left out.
    Skip,
}

/// One objective.
#[derive(Clone, Debug)]
pub struct Objective {
    /// Its name, unique in the file.
    pub name: String,
    /// The group it is shown in, or empty.
    pub category: String,
    /// The unit of both sides, or empty.
    pub unit: String,
    /// The phases it is judged in, where they differ from the file's.
    pub phases: Option<Vec<String>>,
    /// The comparison that must hold.
    pub require: Comparison,
    /// What its right side is in some phases.
    pub limits: Vec<Limit>,
    /// How far its left side may be from that of a baseline.
    pub relative: Option<Relative>,
    /// What happens without data.
    pub on_missing: OnMissing,
    /// Whether the limit is an error budget.
    pub error_budget: bool,
    /// What is measured.
    pub description: String,
    /// What to do when it is missed.
    pub advice: String,
    /// Where it stands.
    pub position: Position,
}

/// Reads SLA files: our format or OpenSLO v1, told apart by the key `apiVersion`.
///
/// # Errors
/// All problems of all files, each with its position.
pub fn read_files<P: AsRef<Path>>(paths: &[P]) -> Result<Vec<Sla>, Diagnostics> {
    let (mut slas, mut problems) = (Vec::new(), Diagnostics::default());
    for path in paths {
        let path = path.as_ref();
        let name = path.display().to_string();
        let read = std::fs::read_to_string(path)
            .map_err(|e| Diagnostics::file(&name, format!("cannot be read: {e}")))
            .and_then(|text| parse(&name, &text));
        match read {
            Ok(sla) => slas.push(sla),
            Err(e) => problems.extend(e),
        }
    }
    if problems.is_empty() { Ok(slas) } else { Err(problems) }
}

/// Reads an SLA from text; `file` is the name that messages show.
///
/// # Errors
/// All problems, each with its position.
pub fn parse(file: &str, text: &str) -> Result<Sla, Diagnostics> {
    if openslo::is_openslo(text) {
        return openslo::parse(file, text);
    }
    let document = Document::parse(file, text)?;
    let mut cx = Cx::new(&document);
    let sla = read(&mut cx, document.root());
    cx.finish()?;
    sla.ok_or_else(|| Diagnostics::file(file, "is empty; an SLA has the keys sla, judge and objectives"))
}

fn read(cx: &mut Cx<'_>, root: &Node) -> Option<Sla> {
    let mut map = cx.read(root, &shape::SLA)?;
    let name = map.require(cx, "sla").and_then(|n| cx.string(n));
    let judge = map.get("judge").map_or_else(|| Some(Judge::default()), |n| judge::read(cx, n));
    let objectives = map.require(cx, "objectives").and_then(|n| read_objectives(cx, n));
    map.finish(cx);
    let file = cx.document().file().to_owned();
    let sla = Sla { name: name?, file, judge: judge?, objectives: objectives? };
    for objective in &sla.objectives {
        limits::check(cx, objective, objective.phases.as_ref().unwrap_or(&sla.judge.phases));
    }
    Some(sla)
}

fn read_objectives(cx: &mut Cx<'_>, node: &Node) -> Option<Vec<Objective>> {
    let items = cx.seq(node, "objectives")?;
    if items.is_empty() {
        cx.error(node, "an SLA needs at least one objective");
    }
    // Every objective is read, so that all problems are reported at once.
    let read: Vec<_> = items.iter().map(|n| read_objective(cx, n)).collect();
    let objectives: Vec<Objective> = read.into_iter().collect::<Option<_>>()?;
    for (i, o) in objectives.iter().enumerate() {
        if let Some(first) = objectives[..i].iter().find(|p| p.name == o.name) {
            let line = first.position.line;
            cx.error_at(o.position, format!("duplicate name {:?} (first used on line {line})", o.name));
        }
    }
    Some(objectives)
}

fn read_objective(cx: &mut Cx<'_>, node: &Node) -> Option<Objective> {
    let mut map = cx.read(node, &shape::OBJECTIVE)?;
    let name = map.require(cx, "name").and_then(|n| cx.string(n));
    let require = map.require(cx, "require").and_then(|n| Comparison::read(cx, n));
    let mut text = |cx: &mut Cx<'_>, key| map.get(key).map_or(Some(String::new()), |n| cx.string(n));
    let category = text(cx, "category");
    let unit = text(cx, "unit");
    let description = text(cx, "description");
    let advice = text(cx, "advice");
    let phases = map.get("phases").map(|n| cx.strings(n));
    let limits = map.get("limits").map_or(Some(Vec::new()), |n| limits::read(cx, n));
    let relative = map.get("relative").map(|n| limits::read_relative(cx, n));
    let on_missing = map.get("on_missing").map_or(Some(OnMissing::default()), |n| read_on_missing(cx, n));
    let error_budget = map.get("error_budget").map_or(Some(false), |n| cx.boolean(n));
    map.finish(cx);
    let objective = Objective {
        name: name?,
        category: category?,
        unit: unit?,
        phases: match phases {
            Some(read) => Some(read?),
            None => None,
        },
        require: require?,
        limits: limits?,
        relative: match relative {
            Some(read) => Some(read?),
            None => None,
        },
        on_missing: on_missing?,
        error_budget: error_budget?,
        description: description?.trim_end().to_owned(),
        advice: advice?.trim_end().to_owned(),
        position: node.position,
    };
    if objective.error_budget && !objective.budget_is_clear() {
        cx.error(
            node,
            "error_budget needs the unit percent or ratio, and <, <= (bad events) or >, >= (good events)",
        );
        return None;
    }
    Some(objective)
}

impl Objective {
    /// Whether unit and comparison say what part of events the limit allows to be bad.
    fn budget_is_clear(&self) -> bool {
        let unit = matches!(self.unit.as_str(), "percent" | "%" | "ratio" | "percentunit");
        unit && !matches!(self.require.op, BinaryOp::Eql | BinaryOp::Neq)
    }
}

fn read_on_missing(cx: &mut Cx<'_>, node: &Node) -> Option<OnMissing> {
    const WORDS: [(&str, OnMissing); 3] =
        [("inconclusive", OnMissing::Inconclusive), ("fail", OnMissing::Fail), ("skip", OnMissing::Skip)];
    let word = cx.string(node)?;
    let found = WORDS.iter().find(|(w, _)| *w == word).map(|(_, v)| *v);
    if found.is_none() {
        let hint = nearest(&word, WORDS.map(|(w, _)| w)).map_or_else(
            || "write fail, skip or inconclusive".to_owned(),
            |w| format!("did you mean {w:?}?"),
        );
        cx.error(node, format!("unknown value {word:?} of on_missing; {hint}"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: &[&str]) {
        let problems = parse("a.yml", text).expect_err("must not be accepted").to_string();
        assert_eq!(problems.lines().collect::<Vec<_>>(), want, "{text}");
    }

    #[test]
    fn reads_every_key() {
        let sla = parse(
            "a.yml",
            "sla: a\njudge: {phases: [steady, peak], fail_on_alerts: [critical, warning]}\nobjectives:\n\
             - name: One\n  category: errors\n  unit: percent\n  phases: [peak]\n  on_missing: skip\n  \
             error_budget: true\n  description: d\n  advice: do\n  require: rate(a[$__range]) * 100 <= 1\n",
        )
        .expect("is right");
        assert_eq!(sla.judge.phases, ["steady", "peak"]);
        assert!(sla.judge.fail_on_alerts.fails("peak", "Any", "warning"));
        let o = &sla.objectives[0];
        assert_eq!((o.name.as_str(), o.unit.as_str(), o.position.line), ("One", "percent", 4));
        assert_eq!(
            (o.on_missing, o.error_budget, o.phases.as_deref()),
            (OnMissing::Skip, true, Some(&["peak".to_owned()][..]))
        );
        assert_eq!(o.require.measure(90_500), "rate(a[1m30s500ms]) * 100");
        assert_eq!((o.require.op.as_str(), o.require.limit(1).as_str()), ("<=", "1"));
    }

    #[test]
    fn all_problems_come_at_once_with_their_positions() {
        check(
            "sla: a\njudge: {phase: [x]}\nobjectives:\n  - name: One\n    requires: a < 1\n  - name: Two\n    \
             require: a + 1\n    on_missing: skipp\n",
            &[
                "a.yml:2:9: unknown key \"phase\" in judge; did you mean \"phases\"? Without it: the whole run but its warm-up",
                "a.yml:4:5: an objective lacks the key \"require\"",
                "a.yml:5:5: unknown key \"requires\" in an objective; did you mean \"require\"?",
                "a.yml:7:14: the top of the expression must be a comparison such as `a + 1 < 5`",
                "a.yml:8:17: unknown value \"skipp\" of on_missing; did you mean \"skip\"?",
            ],
        );
    }

    #[test]
    fn names_are_unique_and_budgets_have_units() {
        check(
            "sla: a\nobjectives:\n- {name: x, require: a < 1}\n- {name: x, require: b < 1}\n",
            &["a.yml:4:3: duplicate name \"x\" (first used on line 3)"],
        );
        check(
            "sla: a\nobjectives:\n- {name: x, unit: s, error_budget: true, require: a < 1}\n",
            &[
                "a.yml:3:3: error_budget needs the unit percent or ratio, and <, <= (bad events) or >, >= (good events)",
            ],
        );
    }
}

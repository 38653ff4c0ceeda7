//! Objectives against their limits, and what the run had to keep. Invariant: no row that was missed or not decided is left out.

use assay_verdict::{
    charts::Charts,
    units,
    verdict::{ObjectiveRow, Status, Verdict},
};
use minijinja::Value;
use serde::Serialize;

use super::{
    plot::Frame,
    strip,
    tables::{Cell, Table},
};

/// How many rows of one objective that were met are shown.
const MOST: usize = 24;

#[derive(Serialize)]
pub(super) struct Group {
    name: String,
    rows: Vec<Row>,
    more: Option<String>,
}

#[derive(Serialize)]
struct Row {
    status: &'static str,
    mark: &'static str,
    title: String,
    phase: String,
    measured: String,
    required: String,
    reason: String,
    budget: Option<String>,
    notes: Vec<String>,
    description: String,
    expression: String,
    bar: Value,
    trend: Value,
}

/// The rows by category, in the order in which categories first appear.
pub(super) fn groups(verdict: &Verdict, charts: &Charts, frame: &Frame<'_>) -> Vec<Group> {
    let mut names: Vec<&str> = Vec::new();
    for row in &verdict.objectives {
        if !names.contains(&row.category.as_str()) {
            names.push(&row.category);
        }
    }
    names
        .into_iter()
        .map(|name| {
            let (mut rows, mut left_out) = (Vec::new(), 0);
            let mut met: Vec<(&str, usize)> = Vec::new();
            for row in verdict.objectives.iter().filter(|r| r.category == name) {
                if matches!(row.status, Status::Pass | Status::Skipped) && !is_shown(&mut met, &row.name) {
                    left_out += 1;
                } else {
                    rows.push(row_of(row, charts, frame));
                }
            }
            let name = if name.is_empty() { "objectives" } else { name };
            let more =
                format!("{left_out} more rows like these were met or left out; the JSON has them all.");
            Group { name: name.to_owned(), rows, more: (left_out > 0).then_some(more) }
        })
        .collect()
}

fn is_shown<'a>(met: &mut Vec<(&'a str, usize)>, name: &'a str) -> bool {
    let at = met.iter().position(|(n, _)| *n == name).unwrap_or_else(|| {
        met.push((name, 0));
        met.len() - 1
    });
    met[at].1 += 1;
    met[at].1 <= MOST
}

fn row_of(row: &ObjectiveRow, charts: &Charts, frame: &Frame<'_>) -> Row {
    let points = charts.trend_of(row).filter(|_| row.value.is_some());
    let trend = points.map_or_else(String::new, |points| strip::trend(points, row.limit, frame));
    Row {
        status: row.status.as_str(),
        mark: crate::mark(row.status),
        title: row.title(),
        phase: crate::phase(row).to_owned(),
        measured: crate::measured(row),
        required: crate::required(row),
        reason: if row.status == Status::Pass { String::new() } else { row.reason.clone() },
        budget: crate::budget_text(row),
        notes: crate::row_notes(row),
        description: row.description.clone(),
        expression: row.expression.clone(),
        bar: Value::from_safe_string(strip::bar(row)),
        trend: Value::from_safe_string(trend),
    }
}

/// The end of a path. What is after the last slash of a URL may be a secret of it that nothing shows to be one.
fn file_name(path: &str) -> &str {
    if path.contains("://") { path } else { path.rsplit('/').next().unwrap_or_default() }
}

/// What was left out says less than what was kept.
fn graver(status: &Status) -> (bool, Status) {
    (*status != Status::Skipped, *status)
}

/// What the run had to keep: each objective once, with its limits and where it is written.
pub(super) fn criteria(verdict: &Verdict) -> Table {
    let mut rows: Vec<(&ObjectiveRow, Vec<String>, Status)> = Vec::new();
    for row in &verdict.objectives {
        let limit = match row.limit {
            Some(_) => format!("{} in {}", crate::required(row), crate::phase(row)),
            None => format!("no limit in {}", crate::phase(row)),
        };
        match rows.iter_mut().find(|(r, ..)| r.name == row.name && r.sla == row.sla) {
            Some((_, limits, worst)) => {
                if !limits.contains(&limit) {
                    limits.push(limit);
                }
                *worst = std::cmp::max_by_key(row.status, *worst, graver);
            }
            None => rows.push((row, vec![limit], row.status)),
        }
    }
    let cells = |(row, limits, status): &(&ObjectiveRow, Vec<String>, Status)| {
        vec![
            Cell::text(&row.name),
            Cell::text(&limits.join(", ")),
            Cell::text(status.as_str()).warn(*status == Status::Fail),
            Cell::text(file_name(&row.defined_at)),
        ]
    };
    Table {
        title: "",
        label: "Success criteria",
        note: "All of them are to be kept in every judged phase, and no alert that counts may fire.",
        head: vec!["objective", "limit", "outcome", "written in"],
        rows: rows.iter().map(cells).collect(),
    }
}

/// The values against those of the baseline, if there is one.
pub(super) fn baseline(verdict: &Verdict) -> Option<Table> {
    verdict.baseline.as_ref()?;
    let rows = verdict.objectives.iter().filter_map(|row| {
        let (now, base) = (row.value?, row.base?);
        let change = (base != 0.0).then(|| now / base - 1.0).filter(|c| c.is_finite());
        let sign = if change.is_some_and(|c| c > 0.0) { "+" } else { "" };
        Some(vec![
            Cell::text(&row.title()),
            Cell::text(crate::phase(row)),
            Cell::number(base, &row.unit),
            Cell::number(now, &row.unit),
            Cell::maybe(change, |c| Cell::numbered(format!("{sign}{}", units::quantity(c, "ratio")), c)),
        ])
    });
    let rows: Vec<_> = rows.collect();
    (!rows.is_empty()).then_some(Table {
        title: "",
        label: "Against the baseline",
        note: "The values as they are; whether a difference is more than chance, ruleseval compare says.",
        head: vec!["objective", "phase", "baseline", "now", "change"],
        rows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_verdict::testing;

    #[test]
    fn of_very_many_rows_those_that_were_missed_are_shown() {
        let mut verdict = testing::verdict(Status::Fail);
        let row = verdict.objectives[1].clone();
        verdict.objectives = vec![row; 5_000];
        verdict.objectives[4_000].status = Status::Fail;
        let frame = Frame { start_ms: 0, end_ms: 1, phases: &[] };
        let groups = groups(&verdict, &Charts::default(), &frame);
        assert_eq!((groups.len(), groups[0].rows.len()), (1, MOST + 1));
        assert!(groups[0].rows.iter().any(|r| r.status == "fail"));
        assert!(groups[0].more.as_ref().is_some_and(|m| m.starts_with("4975 more")), "{:?}", groups[0].more);
        assert_eq!(criteria(&verdict).rows.len(), 1);
    }
}

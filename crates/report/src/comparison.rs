//! A comparison for a terminal, a pull request, and what collects JUnit XML. Invariant: every row shows how sure it is, and only
//! what decides is a test case.

use assay_text::{Clean, Page};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use assay_verdict::{
    compare::{Change, CompareRow, Comparison},
    measure::Part,
    units,
    verdict::Status,
};

use crate::junit::{self, Case};

/// A table of what decides, with both values, the change with its confidence interval, and the outcome last; then what changed of
/// steps and stages.
#[must_use]
pub fn render(comparison: &Comparison, width: u16) -> String {
    let mut out = Page::new();
    for warning in &comparison.warnings {
        out.line(format_args!("warning: {warning}"));
    }
    for section in sections(comparison) {
        if !section.title.is_empty() {
            out.line(&section.title);
        }
        if !section.rows.is_empty() {
            out.lines(table(comparison, &section.rows, width));
        }
    }
    for line in reasons(comparison) {
        out.line(line);
    }
    out.line(summary(comparison));
    out.into_text()
}

fn table(comparison: &Comparison, rows: &[&CompareRow], width: u16) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width);
    table.set_header(heads(comparison, rows));
    for row in rows {
        let [name, phase, rest @ .., outcome] = cells(row);
        let mut cells = vec![Cell::new(Clean(name)), Cell::new(Clean(phase))];
        cells.extend(rest.map(|text| Cell::new(Clean(text)).set_alignment(CellAlignment::Right)));
        cells.push(Cell::new(outcome));
        table.add_row(cells);
    }
    table
}

/// The same for a pull request.
#[must_use]
pub fn markdown(comparison: &Comparison) -> String {
    use assay_text::markdown;
    let line = |cells: &[String]| {
        format!("| {} |\n", cells.iter().map(|c| markdown(c)).collect::<Vec<_>>().join(" | "))
    };
    let mut out = format!("**{}**\n\n", markdown(&summary(comparison)));
    for warning in &comparison.warnings {
        out.push_str(&format!("- warning: {}\n", markdown(warning)));
    }
    for section in sections(comparison) {
        if !section.title.is_empty() {
            out.push_str(&format!("\n{}\n", markdown(&section.title)));
        }
        if section.rows.is_empty() {
            continue;
        }
        let heads = heads(comparison, &section.rows);
        out.push_str(&format!("\n{}{}", line(&heads), "|---|---|---:|---:|---:|---:|---:|---|\n"));
        for row in section.rows {
            out.push_str(&line(&cells(row)));
        }
    }
    out.push('\n');
    for reason in reasons(comparison) {
        out.push_str(&format!("- {}\n", markdown(&reason)));
    }
    out
}

/// A case for each row that decides: a regression is a failure, what cannot be decided an error.
///
/// # Errors
/// Never in practice: writing to memory does not fail.
pub fn junit(comparison: &Comparison) -> std::io::Result<String> {
    let decides = comparison.of(comparison.decided_by);
    let cases: Vec<Case> = decides.map(|row| case(comparison, row)).collect();
    junit::document(&cases)
}

fn case(comparison: &Comparison, row: &CompareRow) -> Case {
    let [_, phase, base, new, change, interval, matters, outcome] = cells(row);
    let status = match row.change {
        Change::Regression => Status::Fail,
        Change::Improvement | Change::Same => Status::Pass,
        Change::Inconclusive => Status::Inconclusive,
        Change::Skipped => Status::Skipped,
    };
    let message = if row.reason.is_empty() {
        format!("{outcome}: {base} to {new} ({change})")
    } else {
        row.reason.clone()
    };
    let detail = [
        format!("{base} to {new}: {change}, {interval}; {matters} matters"),
        format!("{} against {}", comparison.new.join(", "), comparison.base.join(", ")),
    ];
    Case {
        suite: "comparison".to_owned(),
        name: format!("{} [{phase}]", row.title()),
        class: format!("comparison.{}", row.part.as_str()),
        status,
        message,
        detail: junit::clean_lines(&detail),
        run: None,
    }
}

/// Rows under a title; what decides has none.
struct Section<'a> {
    title: String,
    rows: Vec<&'a CompareRow>,
}

/// What decides, with all its rows, and of the others what changed.
fn sections(comparison: &Comparison) -> Vec<Section<'_>> {
    let others = Part::ALL.into_iter().filter(|p| *p != comparison.decided_by);
    let decides = compared(comparison, comparison.decided_by).collect();
    let mut all = vec![Section { title: String::new(), rows: decides }];
    for part in others {
        let rows: Vec<&CompareRow> = compared(comparison, part).collect();
        let is_changed = |r: &&&CompareRow| matches!(r.change, Change::Regression | Change::Improvement);
        let changed: Vec<&CompareRow> = rows.iter().filter(is_changed).copied().collect();
        if rows.is_empty() {
            continue;
        }
        let title = format!("{}s: {} of {} figures changed", part.as_str(), changed.len(), rows.len());
        all.push(Section { title, rows: changed });
    }
    all
}

pub(crate) fn compared(comparison: &Comparison, part: Part) -> impl Iterator<Item = &CompareRow> {
    comparison.of(part).filter(|r| r.change != Change::Skipped)
}

pub(crate) fn heads(comparison: &Comparison, rows: &[&CompareRow]) -> [String; 8] {
    let interval = format!("{} interval", units::quantity(comparison.confidence, "ratio"));
    let about = rows.first().map_or("objective", |r| r.part.as_str());
    [about, "phase", "base", "new", "change", &interval, "matters", ""].map(str::to_owned)
}

pub(crate) fn cells(row: &CompareRow) -> [String; 8] {
    let value = |v: Option<f64>| v.map_or_else(|| "—".to_owned(), |v| units::quantity(v, &row.unit));
    let change = row.base.zip(row.new).map_or_else(String::new, |(b, n)| relative(n - b, row));
    let interval = row
        .interval
        .map_or_else(String::new, |(low, high)| format!("{} … {}", relative(low, row), relative(high, row)));
    let matters = row.matters.map_or_else(String::new, |m| relative(m, row));
    [
        row.title(),
        row.phase.as_deref().unwrap_or("whole run").to_owned(),
        value(row.base),
        value(row.new),
        change,
        interval,
        matters.trim_start_matches('+').to_owned(),
        row.change.as_str().to_owned(),
    ]
}

/// Every reason once, with the rows of what decides that it is of; those without data, which no table has, too.
pub(crate) fn reasons(comparison: &Comparison) -> impl Iterator<Item = String> {
    let mut by_reason: Vec<(&str, Vec<String>)> = Vec::new();
    for row in comparison.of(comparison.decided_by).filter(|r| !r.reason.is_empty()) {
        let phase = row.phase.as_ref().map_or_else(String::new, |p| format!(" in {p}"));
        let name = format!("{}{phase}", row.title());
        match by_reason.iter_mut().find(|(reason, _)| *reason == row.reason) {
            Some((_, rows)) => rows.push(name),
            None => by_reason.push((&row.reason, vec![name])),
        }
    }
    let is_empty = comparison.of(comparison.decided_by).next().is_none();
    let nothing = is_empty
        .then(|| "nothing to compare: no objective, and no step in a phase that both sides have".to_owned());
    by_reason.into_iter().map(|(reason, rows)| format!("{}: {reason}", rows.join(", "))).chain(nothing)
}

pub(crate) fn summary(comparison: &Comparison) -> String {
    format!("{}  {}", comparison.status.as_str().to_uppercase(), counts(comparison))
}

/// How many rows came out how, and of how many runs.
pub(crate) fn counts(comparison: &Comparison) -> String {
    let count = |change| comparison.of(comparison.decided_by).filter(|r| r.change == change).count();
    let many = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let runs = match (comparison.base.len(), comparison.new.len()) {
        (1, 1) => String::new(),
        (base, new) => format!(" ({} against {})", many(new, "run"), many(base, "run")),
    };
    format!(
        "{}, {}, {} the same, {} inconclusive{runs}",
        many(count(Change::Regression), "regression"),
        many(count(Change::Improvement), "improvement"),
        count(Change::Same),
        count(Change::Inconclusive)
    )
}

/// A shift in per cent of the baseline; of a percentage in its points, and as it is where the baseline is nothing.
fn relative(shift: f64, row: &CompareRow) -> String {
    match row.base {
        _ if matches!(row.unit.as_str(), "percent" | "%") => format!("{shift:+.2} points"),
        Some(base) if base != 0.0 => format!("{:+.1} %", 100.0 * shift / base.abs()),
        _ => format!("{}{}", if shift > 0.0 { "+" } else { "" }, units::quantity(shift, &row.unit)),
    }
}

//! A comparison for a terminal. Invariant: every row shows how sure it is.

use assay_text::{Clean, Page};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use assay_verdict::{
    compare::{Change, CompareRow, Comparison},
    units,
    verdict::titled,
};

/// A table with both values, the change with its confidence interval, and the outcome last.
#[must_use]
pub fn render(comparison: &Comparison, width: u16) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width);
    table.set_header(heads(comparison));
    for row in compared(comparison) {
        let [name, phase, rest @ .., outcome] = cells(row);
        let mut cells = vec![Cell::new(Clean(name)), Cell::new(Clean(phase))];
        cells.extend(rest.map(|text| Cell::new(Clean(text)).set_alignment(CellAlignment::Right)));
        cells.push(Cell::new(outcome));
        table.add_row(cells);
    }
    let mut out = Page::new();
    for warning in &comparison.warnings {
        out.line(format_args!("warning: {warning}"));
    }
    out.lines(table);
    for line in reasons(comparison) {
        out.line(line);
    }
    out.line(summary(comparison));
    out.into_text()
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
    out.push_str(&format!("\n{}{}", line(&heads(comparison)), "|---|---|---:|---:|---:|---:|---:|---|\n"));
    for row in compared(comparison) {
        out.push_str(&line(&cells(row)));
    }
    out.push('\n');
    for reason in reasons(comparison) {
        out.push_str(&format!("- {}\n", markdown(&reason)));
    }
    out
}

pub(crate) fn compared(comparison: &Comparison) -> impl Iterator<Item = &CompareRow> {
    comparison.rows.iter().filter(|r| r.change != Change::Skipped)
}

pub(crate) fn heads(comparison: &Comparison) -> [String; 8] {
    let interval = format!("{} interval", units::quantity(comparison.confidence, "ratio"));
    ["objective", "phase", "base", "new", "change", &interval, "matters", ""].map(str::to_owned)
}

pub(crate) fn cells(row: &CompareRow) -> [String; 8] {
    let value = |v: Option<f64>| v.map_or_else(|| "—".to_owned(), |v| units::quantity(v, &row.unit));
    let change = row.base.zip(row.new).map_or_else(String::new, |(b, n)| relative(n - b, row));
    let interval = row
        .interval
        .map_or_else(String::new, |(low, high)| format!("{} … {}", relative(low, row), relative(high, row)));
    let matters = row.matters.map_or_else(String::new, |m| relative(m, row));
    [
        titled(&row.name, &row.labels),
        row.phase.as_deref().unwrap_or("whole run").to_owned(),
        value(row.base),
        value(row.new),
        change,
        interval,
        matters.trim_start_matches('+').to_owned(),
        row.change.as_str().to_owned(),
    ]
}

/// Every reason once, with the rows that it is of.
pub(crate) fn reasons(comparison: &Comparison) -> impl Iterator<Item = String> {
    let mut by_reason: Vec<(&str, Vec<String>)> = Vec::new();
    for row in compared(comparison).filter(|r| !r.reason.is_empty()) {
        let phase = row.phase.as_ref().map_or_else(String::new, |p| format!(" in {p}"));
        let name = format!("{}{phase}", titled(&row.name, &row.labels));
        match by_reason.iter_mut().find(|(reason, _)| *reason == row.reason) {
            Some((_, rows)) => rows.push(name),
            None => by_reason.push((&row.reason, vec![name])),
        }
    }
    by_reason.into_iter().map(|(reason, rows)| format!("{}: {reason}", rows.join(", ")))
}

pub(crate) fn summary(comparison: &Comparison) -> String {
    let count = |change| comparison.rows.iter().filter(|r| r.change == change).count();
    format!(
        "{}  {} regressions, {} improvements, {} the same, {} inconclusive",
        comparison.status().as_str().to_uppercase(),
        count(Change::Regression),
        count(Change::Improvement),
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

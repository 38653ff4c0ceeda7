//! A comparison for a terminal. Invariant: every row shows how sure it is.

use assay_text::{Clean, Page};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use assay_verdict::{
    compare::{Change, CompareRow, Comparison},
    units,
};

/// A table with medians, the change with its confidence interval, and the outcome last.
#[must_use]
pub fn render(comparison: &Comparison, width: u16) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width);
    let interval = format!("{} of it", units::quantity(comparison.confidence, "ratio"));
    table.set_header(["objective", "phase", "base", "new", "change", interval.as_str(), "p", ""]);
    for row in comparison.rows.iter().filter(|r| r.change != Change::Skipped) {
        let right = |text: String| Cell::new(Clean(text)).set_alignment(CellAlignment::Right);
        let value =
            |v: Option<f64>| right(v.map_or_else(|| "—".to_owned(), |v| units::quantity(v, &row.unit)));
        table.add_row(vec![
            Cell::new(Clean(title(row))),
            Cell::new(Clean(row.phase.as_deref().unwrap_or("whole run"))),
            value(row.base_median),
            value(row.new_median),
            right(row.shift.map_or_else(String::new, |s| relative(s.0, row.base_median))),
            right(row.shift.map_or_else(String::new, |s| {
                format!("{} … {}", relative(s.1, row.base_median), relative(s.2, row.base_median))
            })),
            right(row.p.map_or_else(String::new, |p| {
                if p < 0.001 { "<0.001".to_owned() } else { format!("{p:.3}") }
            })),
            Cell::new(row.change.as_str()),
        ]);
    }
    let mut out = Page::new();
    out.lines(table);
    for row in comparison.rows.iter().filter(|r| !r.reason.is_empty() && r.change != Change::Skipped) {
        out.line(format_args!("{}: {}", title(row), row.reason));
    }
    let count = |change| comparison.rows.iter().filter(|r| r.change == change).count();
    out.line(format_args!(
        "{}  {} regressions, {} improvements, {} the same, {} inconclusive",
        comparison.status().as_str().to_uppercase(),
        count(Change::Regression),
        count(Change::Improvement),
        count(Change::Same),
        count(Change::Inconclusive)
    ));
    out.into_text()
}

fn title(row: &CompareRow) -> String {
    if row.labels.is_empty() {
        return row.name.clone();
    }
    let pairs: Vec<_> = row.labels.iter().map(|(n, v)| format!("{n}={v}")).collect();
    format!("{} ({})", row.name, pairs.join(", "))
}

/// A shift in per cent of the baseline, or as it is where the baseline is nothing.
fn relative(shift: f64, base: Option<f64>) -> String {
    match base {
        Some(base) if base != 0.0 => format!("{:+.1} %", 100.0 * shift / base.abs()),
        _ => format!("{shift:+.3}"),
    }
}

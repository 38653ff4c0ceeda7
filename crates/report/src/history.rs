//! A history for a terminal. Invariant: it names, for each objective, the level now and the latest change with the run that it came
//! with.

use assay_text::{Clean, Page};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use assay_verdict::{
    history::{ChangePoint, Group, History, Series},
    units,
    verdict::titled,
};

/// A table for each group of runs, and what was left out.
#[must_use]
pub fn render(history: &History, width: u16) -> String {
    let mut out = Page::new();
    for group in &history.groups {
        out.line(title(group));
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(width);
        table.set_header(HEADS);
        for series in &group.series {
            let [name, phase, runs, level, change] = cells(group, series);
            let number = |text: String| Cell::new(Clean(text)).set_alignment(CellAlignment::Right);
            table.add_row(vec![
                Cell::new(Clean(name)),
                Cell::new(Clean(phase)),
                number(runs),
                number(level),
                Cell::new(Clean(change)),
            ]);
        }
        out.lines(table);
    }
    for note in &history.notes {
        out.line(format_args!("note: {note}"));
    }
    out.line(summary(history));
    out.into_text()
}

pub(crate) const HEADS: [&str; 5] = ["objective", "phase", "runs", "level now", "latest change"];

pub(crate) fn title(group: &Group) -> String {
    let mode = if group.mode.is_empty() { String::new() } else { format!(" ({})", group.mode) };
    let count = group.runs.len();
    let day = |at: usize| group.runs.get(at).map_or_else(String::new, |r| day(r.start_ms));
    let plural = if count == 1 { "" } else { "s" };
    let (first, last) = (day(0), day(count.saturating_sub(1)));
    let days = if first == last { first } else { format!("{first} to {last}") };
    format!("{}{mode}: {count} run{plural}, {days}", group.scenario)
}

/// The date of a time, in UTC.
pub(crate) fn day(t_ms: i64) -> String {
    units::timestamp(t_ms).split('T').next().unwrap_or_default().to_owned()
}

pub(crate) fn cells(group: &Group, series: &Series) -> [String; 5] {
    let level = series.level().map_or_else(String::new, |v| units::quantity(v, &series.unit));
    let change = match series.changes.last() {
        Some(change) => change_text(group, series, change),
        None if series.note.is_empty() => "none".to_owned(),
        None => series.note.clone(),
    };
    [
        titled(&series.name, &series.labels),
        series.phase.as_deref().unwrap_or("whole run").to_owned(),
        series.points.len().to_string(),
        level,
        change,
    ]
}

/// A change with its run, and what else changed with that run.
pub(crate) fn change_text(group: &Group, series: &Series, change: &ChangePoint) -> String {
    let value = |v| units::quantity(v, &series.unit);
    let run = group.runs.get(change.run);
    let name = run.map_or_else(String::new, |r| format!(" from {} on ({})", r.name, day(r.start_ms)));
    let with = match run.map(|r| r.differs.as_slice()) {
        Some([]) | None => String::new(),
        Some(differs) => format!("; with it, {}", differs.join(", ")),
    };
    format!(
        "{} by {}{name}: {} to {}, p {}{with}",
        change.direction.as_str(),
        amount(series, change),
        value(change.before),
        value(change.after),
        units::digits(change.p)
    )
}

/// How much a level changed: in per cent, of a percentage in points.
pub(crate) fn amount(series: &Series, change: &ChangePoint) -> String {
    let shift = change.after - change.before;
    match series.unit.as_str() {
        "percent" | "%" => format!("{shift:+.2} points"),
        _ if change.before != 0.0 => format!("{:+.1} %", 100.0 * shift / change.before.abs()),
        unit => units::quantity(shift, unit),
    }
}

/// How many objectives are worse than before their latest change.
#[must_use]
pub fn summary(history: &History) -> String {
    let series: usize = history.groups.iter().map(|g| g.series.len()).sum();
    let worse = history.worsenings(None).count();
    match (series, worse) {
        (0, _) => "there is nothing to look at: no run has a value".to_owned(),
        (_, 0) => format!("no worsening: the latest change of none of {series} series is for the worse"),
        (_, worse) => format!("worse: the latest change of {worse} of {series} series is for the worse"),
    }
}

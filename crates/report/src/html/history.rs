//! A history as a page: each objective over runs, with the levels between its changes. Invariant: one file that loads nothing; what
//! a drawing shows, a table says.

use std::fmt::Write as _;

use assay_text::document;
use assay_verdict::{
    history::{ChangePoint, Group, History, Series},
    units,
    verdict::titled,
};
use minijinja::{Value, context};

use super::{HtmlError, page_environment, plot::escape};
use crate::history::{HEADS, amount, cells, change_text, day, summary, title};

const TEMPLATE: &str = include_str!("history.html");

/// The page; `index` is that of all runs, if there is one.
///
/// # Errors
/// If the template is broken, which a test rules out.
pub fn render(history: &History, index: Option<&str>) -> Result<String, HtmlError> {
    let env = page_environment("history", TEMPLATE)?;
    let page = env.get_template("history")?.render(context! {
        source => &*history.source,
        is_worse => history.worsenings(None).next().is_some(),
        summary => summary(history),
        index,
        heads => HEADS.to_vec(),
        groups => history.groups.iter().map(group).collect::<Vec<_>>(),
        notes => history.notes.clone(),
    })?;
    Ok(document(page))
}

/// How many series a page shows of a group.
const MOST: usize = 60;

fn group(group: &Group) -> Value {
    // Of very many those that changed, in their order.
    let is_few = group.series.len() <= MOST;
    let changed = group.series.iter().filter(|s| is_few || !s.changes.is_empty());
    let same = group.series.iter().filter(|s| !is_few && s.changes.is_empty());
    let series: Vec<Value> = changed.chain(same).take(MOST).map(|s| series(group, s)).collect();
    let more = group.series.len() - series.len();
    let more =
        (more > 0).then(|| format!("{more} more series are not shown; ruleseval history --json has them."));
    let runs: Vec<Value> = group
        .runs
        .iter()
        .rev()
        .map(|run| {
            context! {
                name => &*run.name,
                started => format!("{} UTC", units::date_and_time(run.start_ms)),
                verdict => run.status.map_or("", |s| s.as_str()),
                revision => run.revision.clone().unwrap_or_default(),
                remarks => run.file.iter().map(|f| format!("from {f}")).chain(run.differs.iter().cloned())
                    .collect::<Vec<_>>().join("; "),
            }
        })
        .collect();
    context! { title => title(group), series, runs, more }
}

fn series(group: &Group, series: &Series) -> Value {
    context! {
        cells => cells(group, series).to_vec(),
        direction => series.changes.last().map_or("", |c| c.direction.as_str()),
        title => titled(&series.name, &series.labels),
        phase => series.phase.as_deref().unwrap_or("whole run"),
        svg => Value::from_safe_string(draw(group, series)),
        changes => series.changes.iter().map(|c| change_text(group, series, c)).collect::<Vec<_>>(),
    }
}

/// The drawing area in user units: small enough that its text is readable on a phone.
const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 150.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 18.0;
const BOTTOM: f64 = 20.0;

/// Where runs and values are in a drawing.
struct Frame {
    /// The first and the last run.
    runs: (usize, usize),
    low: f64,
    high: f64,
}

impl Frame {
    /// From nothing, unless that would leave half of the drawing empty.
    fn of(series: &Series) -> Option<Self> {
        let runs = (series.points.first()?.run, series.points.last()?.run);
        let values = || series.points.iter().map(|p| p.value);
        let (low, high) =
            (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        if low >= 0.0 && high <= 0.0 {
            return Some(Self { runs, low: 0.0, high: 1.0 });
        }
        let room = ((high - low) * 0.15).max(high.abs() * 0.02);
        let low = if low >= 0.0 && low < high / 2.0 { 0.0 } else { low - room };
        Some(Self { runs, low, high: high + room })
    }

    /// Where a run is, from 0 to 1; between two runs for halves.
    fn part(&self, run: f64) -> f64 {
        let (first, last) = self.runs;
        if first == last { 0.5 } else { (run - first as f64) / (last - first) as f64 }
    }

    fn x(&self, run: f64) -> f64 {
        LEFT + self.part(run).clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn height(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.height(value) * (HEIGHT - BOTTOM - TOP)
    }
}

fn draw(group: &Group, series: &Series) -> String {
    let Some(frame) = Frame::of(series) else { return String::new() };
    let mut svg = String::new();
    let label = format!("{}, {}", titled(&series.name, &series.labels), describe(group, series));
    let _ = write!(
        svg,
        "<svg class=\"history\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
        escape(&label)
    );
    for part in [0.0, 0.5, 1.0] {
        let value = frame.low + part * (frame.high - frame.low);
        let y = frame.y(value);
        let text = units::quantity(value, &series.unit);
        // A unit that has no short form is in the text below.
        let text = if text.chars().count() > 8 { units::digits(value) } else { text };
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 5.0,
            y + 4.0,
            escape(&text)
        );
    }
    for (run, anchor) in [(frame.runs.0, "start"), (frame.runs.1, "end")] {
        let Some(started) = group.runs.get(run).map(|r| day(r.start_ms)) else { continue };
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{started}</text>",
            frame.x(run as f64),
            HEIGHT - 5.0
        );
    }
    if let Some(limit) = series.limit.filter(|l| *l >= frame.low && *l <= frame.high) {
        let y = frame.y(limit);
        let _ = write!(
            svg,
            "<line class=\"limit\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"><title>limit {}</title></line>",
            WIDTH - RIGHT,
            escape(&units::quantity(limit, &series.unit))
        );
    }
    levels(&mut svg, series, &frame);
    for point in &series.points {
        let run = group.runs.get(point.run);
        let name = run.map_or_else(String::new, |r| format!("{}, {}: ", r.name, day(r.start_ms)));
        let _ = write!(
            svg,
            "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.5\"><title>{}</title></circle>",
            frame.x(point.run as f64),
            frame.y(point.value),
            escape(&format!("{name}{}", units::quantity(point.value, &series.unit)))
        );
    }
    svg.push_str("</svg>");
    svg
}

/// The mean between changes, and each change with its amount.
fn levels(svg: &mut String, series: &Series, frame: &Frame) {
    let first = series.changes.first().map_or_else(|| series.level(), |c| Some(c.before));
    let mut from = frame.x(frame.runs.0 as f64);
    let mut level = first.unwrap_or(frame.low);
    let line = |svg: &mut String, from: f64, to: f64, level: f64| {
        let y = frame.y(level);
        let _ = write!(
            svg,
            "<line class=\"level\" x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
        );
    };
    for change in &series.changes {
        let x = frame.x(change.run as f64 - 0.5);
        line(svg, from, x, level);
        // Text near an edge stays within the drawing.
        let anchor = if x > WIDTH - 60.0 { "end" } else { "middle" };
        let _ = write!(
            svg,
            "<line class=\"mark {}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{}\"/>\
             <text x=\"{x:.1}\" y=\"12\" text-anchor=\"{anchor}\">{}</text>",
            change.direction.as_str(),
            HEIGHT - BOTTOM,
            escape(&amount(series, change))
        );
        (from, level) = (x, change.after);
    }
    line(svg, from, frame.x(frame.runs.1 as f64), level);
}

fn describe(group: &Group, series: &Series) -> String {
    let change = series.changes.last().map(|c: &ChangePoint| change_text(group, series, c));
    let level = series.level().map_or_else(String::new, |v| units::quantity(v, &series.unit));
    format!(
        "{} runs, now at {level}; latest change: {}",
        series.points.len(),
        change.unwrap_or_else(|| "none".to_owned())
    )
}

/// A series as a small line, for a list; what it shows must be said next to it.
#[must_use]
pub(super) fn spark(series: &Series) -> String {
    let Some(frame) = Frame::of(series) else { return String::new() };
    let points: Vec<String> = series
        .points
        .iter()
        .map(|p| {
            format!("{:.1},{:.1}", frame.part(p.run as f64) * 150.0, 28.0 - frame.height(p.value) * 26.0)
        })
        .collect();
    format!(
        "<svg class=\"spark\" viewBox=\"0 0 150 30\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <polyline class=\"trail\" points=\"{}\"/></svg>",
        points.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_verdict::testing;

    #[test]
    fn a_page_shows_levels_and_changes_and_loads_nothing() {
        let history = testing::history();
        let page = render(&history, None).expect("renders");
        for part in [
            "worse by +10.0 %",
            "class=\"mark worse\"",
            "<h2",
            "run-30",
            "other processors",
            "a note",
            "&lt;b&gt;p99",
        ] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
        for outside in ["http://", "https://", "src=", "@import", "url(", "<b>p99", "NaN", "inf"] {
            assert!(!page.contains(outside), "{outside} is in {page}");
        }
        assert!(render(&history, Some("./")).expect("renders").contains("all runs"));
        let text = crate::history::render(&history, 140);
        assert!(text.contains("worse by +10.0 % from run-30") && text.contains("note: a note"), "{text}");
    }

    #[test]
    fn of_very_many_series_those_that_changed_are_shown() {
        let mut history = testing::history();
        let changed = history.groups[0].series[0].clone();
        assert!(!changed.changes.is_empty());
        let same = Series { changes: Vec::new(), name: "same".to_owned(), ..changed.clone() };
        history.groups[0].series = vec![same; 5_000];
        history.groups[0].series.push(changed);
        let page = render(&history, None).expect("renders");
        assert!(page.len() < 1_000_000, "{}", page.len());
        assert!(page.contains("&lt;b&gt;p99") && page.contains("4941 more series are not shown"), "{page}");
    }

    #[test]
    fn one_run_and_equal_values_can_be_drawn() {
        let mut history = testing::history();
        history.groups[0].series[0].points.iter_mut().for_each(|p| p.value = 0.0);
        history.groups[0].series[0].changes.clear();
        let flat = render(&history, None).expect("renders");
        history.groups[0].series[0].points.truncate(1);
        let one = render(&history, None).expect("renders");
        for page in [flat, one] {
            assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
        }
        let empty = render(&History::default(), None).expect("renders");
        assert!(empty.contains("nothing to look at"), "{empty}");
    }
}

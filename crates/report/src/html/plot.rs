//! Line charts as SVG. Invariant: all numbers in the output are finite, and every text from outside is escaped.

use std::fmt::Write as _;

use assay_verdict::{
    charts::{Chart, Line},
    units,
    verdict::PhaseInfo,
};

/// How many line colours the page's style sheet has.
pub(super) const COLOURS: usize = 6;

/// The drawing area in user units: small enough that its text is readable on a phone.
pub(super) const WIDTH: f64 = 440.0;
pub(super) const HEIGHT: f64 = 190.0;
pub(super) const LEFT: f64 = 52.0;
pub(super) const RIGHT: f64 = 8.0;
pub(super) const TOP: f64 = 16.0;
pub(super) const BOTTOM: f64 = 20.0;

/// The run's time, which all drawings share.
pub(super) struct Frame<'a> {
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    pub(super) phases: &'a [PhaseInfo],
}

impl Frame<'_> {
    /// Where a time lies in the run, from 0 to 1.
    pub(super) fn part(&self, t_ms: i64) -> f64 {
        let length = (self.end_ms - self.start_ms).max(1) as f64;
        (((t_ms - self.start_ms) as f64) / length).clamp(0.0, 1.0)
    }

    /// The time of day, with the date where the run is not all on one.
    pub(super) fn clock(&self, t_ms: i64) -> String {
        units::clock_within(t_ms, (self.start_ms, self.end_ms))
    }
}

/// A chart with phases shaded, a grid, limits and lines.
pub(super) fn draw(chart: &Chart, frame: &Frame<'_>) -> String {
    let scale = Scale::of(chart);
    let x = |t_ms: i64| x(frame, t_ms);
    let label = format!("{}, {}", chart.title, describe(chart));
    let mut svg = open_timed(&label, Some(&chart.id));
    grid(&mut svg, chart, &scale);
    open_view(&mut svg);
    shade(&mut svg, frame);
    for (i, line) in chart.lines.iter().enumerate() {
        let _ = write!(
            svg,
            "<path class=\"line c{}\" d=\"{}\"><title>{}</title></path>",
            i % COLOURS,
            path(line, &x, |v| scale.y(v), gap_ms(line)),
            escape(&line.name)
        );
    }
    svg.push_str("</svg>");
    let mut named: Vec<f64> = Vec::new();
    for (value, name) in chart.limits.iter().filter(|(v, _)| *v <= scale.top) {
        let y = scale.y(*value);
        // Where two limits are near each other there is room for one name; the legend has both.
        let has_room = named.iter().all(|other| (other - y).abs() > 10.0);
        let name = format!("{name}: {}", units::quantity(*value, &chart.unit));
        limit(&mut svg, y, if has_room { &name } else { "" });
        named.push(y);
    }
    close_timed(&mut svg, frame);
    svg
}

/// Where a time is drawn.
pub(super) fn x(frame: &Frame<'_>, t_ms: i64) -> f64 {
    LEFT + frame.part(t_ms) * (WIDTH - LEFT - RIGHT)
}

/// Begins a drawing over the run's time, which scripts find by its class; `chart` is the chart whose values they show.
pub(super) fn open_timed(label: &str, chart: Option<&str>) -> String {
    let chart = chart.map_or_else(String::new, |id| format!(" data-chart=\"{}\"", escape(id)));
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\" class=\"timed\"{chart} data-area=\"{LEFT} {TOP} {} {}\">",
        escape(label),
        WIDTH - RIGHT,
        HEIGHT - BOTTOM
    )
}

/// Begins what is drawn to the scale of time: scripts show a part of it by its `viewBox`.
pub(super) fn open_view(svg: &mut String) {
    let (width, height) = (WIDTH - LEFT - RIGHT, HEIGHT - BOTTOM - TOP);
    let _ = write!(
        svg,
        "<svg class=\"view\" x=\"{LEFT}\" y=\"{TOP}\" width=\"{width}\" height=\"{height}\" viewBox=\"{LEFT} {TOP} {width} {height}\" \
         preserveAspectRatio=\"none\">"
    );
}

/// Ends a drawing over the run's time: the names of the phases, the axis and the crosshair.
pub(super) fn close_timed(svg: &mut String, frame: &Frame<'_>) {
    for phase in frame.phases {
        let (from, to) = (x(frame, phase.start_ms), x(frame, phase.end_ms));
        // A name needs about six units a letter.
        let hidden =
            if to - from > 6.0 * phase.name.chars().count() as f64 { "" } else { " visibility=\"hidden\"" };
        let _ = write!(
            svg,
            "<text class=\"tick\" x=\"{:.1}\" y=\"11\" data-from=\"{}\" data-to=\"{}\"{hidden}>{}</text>",
            from + 2.0,
            phase.start_ms,
            phase.end_ms,
            escape(&phase.name)
        );
    }
    svg.push_str("<g class=\"times\">");
    time_axis(svg, frame);
    svg.push_str("</g><line class=\"cursor\" x1=\"0\" x2=\"0\" y1=\"0\" y2=\"0\"/></svg>");
}

/// A limit with its name, if there is room for one, at the right end and above it.
pub(super) fn limit(svg: &mut String, y: f64, name: &str) {
    let right = WIDTH - RIGHT;
    let _ = write!(svg, "<line class=\"limit\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
    if name.is_empty() {
        return;
    }
    let _ = write!(
        svg,
        "<text class=\"tick limit-name\" text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        right - 3.0,
        (y - 3.0).max(TOP + 8.0),
        escape(name)
    );
}

/// The value axis: from zero (or below, where values are negative) to a round number above all.
pub(super) struct Scale {
    bottom: f64,
    top: f64,
    step: f64,
}

impl Scale {
    fn of(chart: &Chart) -> Self {
        let values = chart.lines.iter().flat_map(|l| l.points.iter().map(|p| p.1));
        Self::over(values, &chart.limits, &chart.unit)
    }

    /// A scale that has room for values, and for limits that are near.
    pub(super) fn over(
        values: impl Iterator<Item = f64> + Clone,
        limits: &[(f64, String)],
        unit: &str,
    ) -> Self {
        let mut high = values.clone().fold(0.0, f64::max);
        let low = values.fold(0.0, f64::min);
        // A limit that is near is drawn; one far above would flatten the lines.
        let near = limits.iter().map(|(v, _)| *v).filter(|v| *v <= 2.5 * high);
        high = near.fold(high, f64::max);
        if high - low < f64::MIN_POSITIVE {
            high = low + 1.0;
        }
        let rough = (high - low) / 4.0;
        let step = if unit == "bytes" { round_bytes(rough) } else { round_step(rough) };
        Self { bottom: (low / step).floor() * step, top: (high * 1.02 / step).ceil() * step, step }
    }

    /// The values that the grid has lines for.
    pub(super) fn marks(&self) -> impl Iterator<Item = f64> {
        let steps = ((self.top - self.bottom) / self.step).round() as usize;
        (0..=steps.min(12)).map(|i| self.bottom + i as f64 * self.step)
    }

    /// The height of a value.
    pub(super) fn y(&self, value: f64) -> f64 {
        let part = (value - self.bottom) / (self.top - self.bottom);
        HEIGHT - BOTTOM - part.clamp(0.0, 1.0) * (HEIGHT - BOTTOM - TOP)
    }
}

/// The next of 1, 2, 2.5, 5 and 10 times a power of ten.
fn round_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|m| m * power)
        .find(|s| *s >= rough * 0.999)
        .unwrap_or(10.0 * power)
}

/// The same in the binary unit that the axis shows.
fn round_bytes(rough: f64) -> f64 {
    let unit = 1024f64.powf(rough.max(1.0).log(1024.0).floor());
    round_step(rough / unit) * unit
}

/// Shades the phases.
pub(super) fn shade(svg: &mut String, frame: &Frame<'_>) {
    for (i, phase) in frame.phases.iter().enumerate() {
        let (from, to) = (x(frame, phase.start_ms), x(frame, phase.end_ms));
        let class = if phase.warmup { "phase warmup" } else { ["phase even", "phase odd"][i % 2] };
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            (to - from).max(0.0),
            HEIGHT - BOTTOM - TOP
        );
    }
}

fn grid(svg: &mut String, chart: &Chart, scale: &Scale) {
    for value in scale.marks() {
        rule(svg, scale.y(value), &units::quantity(value, &chart.unit));
    }
}

/// A line of the grid at a height, with what it stands for.
pub(super) fn rule(svg: &mut String, y: f64, label: &str) {
    let _ = write!(
        svg,
        "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
        WIDTH - RIGHT
    );
    tick_left(svg, y, label);
}

/// What a height stands for, left of the drawing.
pub(super) fn tick_left(svg: &mut String, y: f64, label: &str) {
    tick(svg, "end", LEFT - 4.0, y + 3.5, label);
}

/// What a place on the axis below stands for.
pub(super) fn tick_below(svg: &mut String, x: f64, label: &str) {
    tick(svg, "middle", x, HEIGHT - 6.0, label);
}

fn tick(svg: &mut String, anchor: &str, x: f64, y: f64, label: &str) {
    let _ = write!(
        svg,
        "<text class=\"tick\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>",
        escape(label)
    );
}

fn time_axis(svg: &mut String, frame: &Frame<'_>) {
    let length_ms = frame.end_ms - frame.start_ms;
    let step_ms = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400]
        .into_iter()
        .map(|s| s * 1000)
        .find(|s| length_ms / s <= 6)
        .unwrap_or(length_ms.max(1) / 6 + 1);
    let mut at_ms = 0;
    while at_ms <= length_ms {
        tick_below(svg, x(frame, frame.start_ms + at_ms), &elapsed(at_ms / 1000));
        at_ms += step_ms;
    }
}

/// Time since the start of the run: `0:30`, `1:02:00`.
fn elapsed(s: i64) -> String {
    if s < 3600 {
        format!("{}:{:02}", s / 60, s % 60)
    } else {
        format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
    }
}

/// Points further apart than this are not joined: nothing was measured between them.
fn gap_ms(line: &Line) -> i64 {
    let least = line.points.windows(2).map(|w| w[1].0 - w[0].0).min().unwrap_or(1000);
    least.max(1) * 3
}

/// An SVG path through the points, broken at gaps.
pub(super) fn path(line: &Line, x: &dyn Fn(i64) -> f64, y: impl Fn(f64) -> f64, gap_ms: i64) -> String {
    let mut d = String::new();
    let mut previous: Option<i64> = None;
    for (t_ms, value) in &line.points {
        let joined = previous.is_some_and(|p| t_ms - p <= gap_ms);
        let _ = write!(d, "{}{:.1} {:.1}", if joined { "L" } else { "M" }, x(*t_ms), y(*value));
        // A point on its own would be invisible: a stroke of no length with round caps is a dot.
        if !joined {
            d.push_str("h0");
        }
        previous = Some(*t_ms);
    }
    d
}

fn describe(chart: &Chart) -> String {
    let parts: Vec<_> = chart
        .lines
        .iter()
        .map(|l| {
            let high = l.points.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
            format!("{} at most {}", l.name, units::quantity(high, &chart.unit))
        })
        .collect();
    parts.join(", ")
}

/// Text for SVG and HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        for (rough, want) in
            [(0.3, 0.5), (1.0, 1.0), (1.2, 2.0), (2.2, 2.5), (7.0, 10.0), (0.000_41, 0.000_5)]
        {
            assert!((round_step(rough) - want).abs() < want * 1e-9, "{rough}: {}", round_step(rough));
        }
    }

    #[test]
    fn paths_break_at_gaps() {
        let line = Line { name: String::new(), points: vec![(0, 1.0), (1, 2.0), (9, 3.0)] };
        assert_eq!(path(&line, &|t| t as f64, |v| v, 3), "M0.0 1.0h0L1.0 2.0M9.0 3.0h0");
    }

    #[test]
    fn flat_and_negative_values_have_a_scale() {
        for values in [vec![0.0], vec![-3.0, 2.0], vec![1e-9], vec![1e12, 5.0]] {
            let chart = Chart {
                id: "x".into(),
                title: "<x>".into(),
                unit: "s".into(),
                note: String::new(),
                lines: vec![Line { name: "a\"".into(), points: values.iter().map(|v| (5, *v)).collect() }],
                limits: vec![(1.0, "l".into())],
            };
            let svg = draw(&chart, &Frame { start_ms: 0, end_ms: 10, phases: &[] });
            assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains("<x>"), "{svg}");
        }
    }
}

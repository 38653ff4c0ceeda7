//! The picture of a run. Invariant: drawing depends on the progress alone, so that a test can look at it.

use assay_text::Clean;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    symbols::Marker,
    text::{Line, Span},
    widgets::{Axis, Block, Chart, Dataset, Gauge, GraphType, Paragraph},
};

use crate::{
    measure::percentiles::seconds,
    progress::{PhaseState, Progress},
};

const GOOD: Color = Color::Green;
const BAD: Color = Color::Red;
const DIM: Color = Color::DarkGray;

/// Rows that the steps take at the most.
const MOST_STEPS: usize = 6;
/// Charts are of no use below.
const LEAST_CHART: u16 = 6;

/// Draws a run.
pub(crate) fn draw(frame: &mut Frame<'_>, p: &Progress) {
    let phases = u16::try_from(p.phases.len()).unwrap_or(8).min(8);
    let around = 1 + (phases + 2) + 7 + 1;
    let steps = match u16::try_from(p.steps.len().min(MOST_STEPS)).unwrap_or(0) {
        0 => 0,
        n => (n + 2).min(frame.area().height.saturating_sub(around + LEAST_CHART)),
    };
    let [title, bars, numbers, table, charts, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(phases + 2),
        Constraint::Length(7),
        // A border alone says nothing.
        Constraint::Length(if steps < 3 { 0 } else { steps }),
        Constraint::Min(LEAST_CHART),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    draw_title(frame, title, p);
    draw_phases(frame, bars, p);
    let [left, middle, right] =
        Layout::horizontal([Constraint::Ratio(1, 3), Constraint::Ratio(1, 3), Constraint::Ratio(1, 3)])
            .areas(numbers);
    draw_load(frame, left, p);
    draw_latency(frame, middle, p);
    draw_errors(frame, right, p);
    draw_steps(frame, table, p);
    let [rate, latency] =
        Layout::horizontal([Constraint::Ratio(1, 2), Constraint::Ratio(1, 2)]).areas(charts);
    draw_rate_chart(frame, rate, p);
    draw_latency_chart(frame, latency, p);
    let help = " p pause or resume   e end this phase   q end the run ";
    frame.render_widget(Paragraph::new(help).style(Style::new().fg(DIM)), keys);
}

fn draw_title(frame: &mut Frame<'_>, area: Rect, p: &Progress) {
    let mut time = format!(" {}, {} left ", clock(p.elapsed.as_secs()), clock(p.time_left().as_secs()));
    if p.is_paused {
        time = format!(" paused  {time}");
    }
    let room = Constraint::Length(u16::try_from(time.chars().count()).unwrap_or(20));
    let [left, right] = Layout::horizontal([Constraint::Min(0), room]).areas(area);
    let line = vec![
        Span::styled(format!(" {} ", Clean(&p.scenario)), Style::new().add_modifier(Modifier::BOLD)),
        Span::raw(format!("→ {}", Clean(&p.target))),
    ];
    frame.render_widget(Line::from(line), left);
    let style = if p.is_paused { Style::new().fg(Color::Yellow) } else { Style::new() };
    frame.render_widget(Line::styled(time, style), right);
}

fn draw_phases(frame: &mut Frame<'_>, area: Rect, p: &Progress) {
    let block = Block::bordered().title(" phases ");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let width = p.phases.iter().map(|s| s.name.chars().count()).max().unwrap_or(0);
    // Where there are more phases than rows, those around the current one.
    let first = (p.current + 1).saturating_sub(usize::from(inner.height));
    for (row, phase) in inner.rows().zip(p.phases.iter().skip(first)) {
        draw_phase(frame, row, phase, width);
    }
}

fn draw_phase(frame: &mut Frame<'_>, area: Rect, phase: &PhaseState, width: usize) {
    let column = u16::try_from(width + 1).unwrap_or(20);
    let [name, bar] = Layout::horizontal([Constraint::Length(column), Constraint::Min(10)]).areas(area);
    frame.render_widget(Paragraph::new(Clean(&phase.name).to_string()), name);
    let length = phase.length.as_secs_f64();
    let elapsed = phase.elapsed.unwrap_or_default().as_secs_f64();
    let ratio = match (phase.is_over, length > 0.0) {
        (true, _) => 1.0,
        (false, true) => (elapsed / length).clamp(0.0, 1.0),
        (false, false) => 0.0,
    };
    let state = match (phase.elapsed, phase.is_over) {
        (None, _) => clock(phase.length.as_secs()),
        (Some(_), true) => "done".to_owned(),
        (Some(e), false) if e > phase.length => "waiting for the last responses".to_owned(),
        (Some(e), false) => format!("{} of {}", clock(e.as_secs()), clock(phase.length.as_secs())),
    };
    let color = if phase.warmup { Color::Yellow } else { GOOD };
    let gauge = Gauge::default()
        .ratio(ratio)
        .label(format!("{} · {state}", phase.executor))
        .gauge_style(Style::new().fg(color).bg(Color::Black));
    frame.render_widget(gauge, bar);
}

/// A box with rows of a name and a value each; where it is narrow, names are cut and values are not.
fn draw_rows(frame: &mut Frame<'_>, area: Rect, title: &'static str, rows: Vec<(String, String, Style)>) {
    let block = Block::bordered().title(title);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    for (row, (name, value, style)) in inner.rows().zip(rows) {
        let room = usize::from(row.width).saturating_sub(value.chars().count() + 1);
        let name: String = Clean(&name).to_string().chars().take(room).collect();
        let line = Line::from(vec![
            Span::styled(format!("{name:room$} "), Style::new().fg(DIM)),
            Span::styled(value, style.add_modifier(Modifier::BOLD)),
        ]);
        frame.render_widget(line, row);
    }
}

fn row(name: &str, value: String) -> (String, String, Style) {
    (name.to_owned(), value, Style::new())
}

fn draw_load(frame: &mut Frame<'_>, area: Rect, p: &Progress) {
    let users = match p.users_target {
        Some(wanted) => format!("{} of {wanted}", p.users),
        None => p.users.to_string(),
    };
    let rate = match (p.history.is_empty(), p.rate_target) {
        (true, _) => "–".to_owned(),
        (false, Some(wanted)) => format!("{:.1} of {wanted:.1}/s", p.rate_per_s()),
        (false, None) => format!("{:.1}/s", p.rate_per_s()),
    };
    let lag = match p.lag.count() {
        0 => "–".to_owned(),
        _ => seconds(p.lag.quantile(0.99)),
    };
    let mut rows = vec![row("users", users), row("rate", rate), row("requests", p.requests.to_string())];
    rows.push(row("starts late p99", lag));
    if p.dropped > 0 {
        rows.push(("dropped".to_owned(), p.dropped.to_string(), Style::new().fg(BAD)));
    } else if p.first_chunk.is_some() {
        rows.push(row("chunks", format!("{:.0}/s", p.chunks_per_s())));
    }
    draw_rows(frame, area, " load ", rows);
}

fn draw_latency(frame: &mut Frame<'_>, area: Rect, p: &Progress) {
    let q = |q: f64| match p.now.count() {
        0 => "–".to_owned(),
        _ => seconds(p.now.quantile(q)),
    };
    let mut rows = vec![row("p50", q(0.5)), row("p95", q(0.95)), row("p99", q(0.99))];
    match p.first_chunk.as_ref().filter(|f| f.count() > 0) {
        Some(first) => {
            rows.push(row("first chunk p50", seconds(first.quantile(0.5))));
            rows.push(row("first chunk p99", seconds(first.quantile(0.99))));
        }
        None => rows.push(row("slowest", q(1.0))),
    }
    draw_rows(frame, area, " response time, 5 s ", rows);
}

fn draw_errors(frame: &mut Frame<'_>, area: Rect, p: &Progress) {
    let share = if p.requests == 0 { 0.0 } else { p.errors as f64 / p.requests as f64 * 100.0 };
    let color = if p.errors == 0 { GOOD } else { BAD };
    let failed = format!("{} ({share:.2} %)", p.errors);
    let mut rows = vec![("failed".to_owned(), failed, Style::new().fg(color))];
    let classes = p.error_classes.iter().take(2).map(|(class, n)| row(class, n.to_string()));
    rows.extend(classes);
    rows.extend(p.statuses.iter().map(|(status, n)| row(&format!("status {status}"), n.to_string())));
    draw_rows(frame, area, " status and errors ", rows);
}

fn draw_steps(frame: &mut Frame<'_>, area: Rect, p: &Progress) {
    let rows = p.steps.iter().map(|s| {
        let failed = if s.errors > 0 { format!("{} failed   ", s.errors) } else { String::new() };
        let [p50, p99] = [0.5, 0.99].map(|q| seconds(s.duration.quantile(q)));
        let value = format!("{failed}{} requests   p50 {p50:>8}   p99 {p99:>8}", s.duration.count());
        let style = if s.errors > 0 { Style::new().fg(BAD) } else { Style::new() };
        (s.name.clone(), value, style)
    });
    draw_rows(frame, area, " steps of this phase ", rows.collect());
}

fn draw_rate_chart(frame: &mut Frame<'_>, area: Rect, p: &Progress) {
    let points = |value: fn(&crate::progress::Second) -> f64| -> Vec<(f64, f64)> {
        p.history.iter().map(|s| (s.at.as_secs_f64(), value(s))).collect()
    };
    let (all, errors) = (points(|s| s.requests), points(|s| s.errors));
    let most = all.iter().map(|x| x.1).fold(1.0, f64::max);
    let sets = vec![
        Dataset::default()
            .name("requests/s")
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(GOOD)
            .data(&all),
        Dataset::default()
            .name("failed/s")
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(BAD)
            .data(&errors),
    ];
    chart(frame, area, p, " throughput ", sets, most, format!("{most:.0}/s"));
}

fn draw_latency_chart(frame: &mut Frame<'_>, area: Rect, p: &Progress) {
    let points = |q: f64| -> Vec<(f64, f64)> {
        let seconds = p.history.iter().filter(|s| s.duration.count() > 0);
        seconds.map(|s| (s.at.as_secs_f64(), s.duration.quantile(q))).collect()
    };
    let (median, tail) = (points(0.5), points(0.99));
    let most = tail.iter().map(|x| x.1).fold(0.001, f64::max);
    let sets = vec![
        Dataset::default()
            .name("p99")
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(Color::Magenta)
            .data(&tail),
        Dataset::default()
            .name("p50")
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(Color::Cyan)
            .data(&median),
    ];
    chart(frame, area, p, " response time ", sets, most, seconds(most));
}

fn chart(
    frame: &mut Frame<'_>,
    area: Rect,
    p: &Progress,
    title: &'static str,
    sets: Vec<Dataset<'_>>,
    most: f64,
    most_label: String,
) {
    let from = p.history.front().map_or(0.0, |s| s.at.as_secs_f64());
    let to = p.history.back().map_or(1.0, |s| s.at.as_secs_f64()).max(from + 1.0);
    let x = Axis::default()
        .bounds([from, to])
        .labels([clock(from as u64), clock(to as u64)])
        .style(Style::new().fg(DIM));
    let y = Axis::default()
        .bounds([0.0, most * 1.05])
        .labels(["0".to_owned(), most_label])
        .style(Style::new().fg(DIM));
    frame.render_widget(Chart::new(sets).block(Block::bordered().title(title)).x_axis(x).y_axis(y), area);
}

fn clock(total: u64) -> String {
    let (hours, minutes, seconds) = (total / 3600, total / 60 % 60, total % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, time::Duration};

    use ratatui::{Terminal, backend::TestBackend};

    use super::*;
    use crate::{
        measure::tally::histogram,
        progress::{Second, StepState},
    };

    fn progress() -> Progress {
        let mut now = histogram();
        (1..=100).for_each(|ms| now.record(f64::from(ms) / 1e3));
        let second = |at| Second {
            at: Duration::from_secs(at),
            users: 5,
            requests: 100.0 + at as f64,
            errors: 1.0,
            chunks: 20.0,
            tokens: 50.0,
            duration: now.clone(),
        };
        let phase = |name: &str, elapsed: Option<u64>, is_over| PhaseState {
            name: name.to_owned(),
            executor: "constant-vus",
            warmup: name == "warmup",
            length: Duration::from_secs(300),
            elapsed: elapsed.map(Duration::from_secs),
            is_over,
        };
        Progress {
            scenario: "clinical-rag".to_owned(),
            target: "http://127.0.0.1:8000".to_owned(),
            phases: vec![
                phase("warmup", Some(300), true),
                phase("steady", Some(75), false),
                phase("peak", None, false),
            ],
            current: 1,
            elapsed: Duration::from_secs(375),
            is_paused: false,
            users: 5,
            requests: 4321,
            errors: 7,
            error_classes: vec![("timeout".to_owned(), 4), ("503".to_owned(), 3)],
            statuses: vec![(200, 4314), (503, 3)],
            dropped: 2,
            rate_target: Some(120.0),
            users_target: Some(8),
            steps: vec![StepState { name: "query".to_owned(), duration: now.clone(), errors: 7 }],
            now: now.clone(),
            first_chunk: Some(now.clone()),
            lag: histogram(),
            history: (0..60).map(second).collect::<VecDeque<_>>(),
        }
    }

    fn screen(width: u16, height: u16, p: &Progress) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a screen");
        terminal.draw(|frame| draw(frame, p)).expect("drawn");
        terminal.backend().to_string()
    }

    #[test]
    fn everything_that_matters_is_on_the_screen() {
        let text = screen(110, 32, &progress());
        for want in [
            "clinical-rag",
            "http://127.0.0.1:8000",
            "6:15",
            "1:15 of 5:00",
            "done",
            "steady",
            "4321",
            "7 (0.16 %)",
            "timeout",
            "status 200",
            "4314",
            "of 120.0/s",
            "5 of 8",
            "dropped",
            "first chunk p50",
            "8:45 left",
            "query",
            "100 requests   p50",
            "throughput",
            "p pause",
        ] {
            assert!(text.contains(want), "{want:?} is not in\n{text}");
        }
    }

    #[test]
    fn eighty_columns_are_enough_for_every_value() {
        let mut p = progress();
        p.scenario = "a-scenario-with-a-long-name".to_owned();
        p.target = "http://a-host-with-a-long-name.example.org:18080".to_owned();
        (p.requests, p.errors, p.users, p.users_target) = (123_456_789, 23_456_789, 12_345, Some(12_345));
        p.rate_target = None;
        p.steps[0].name =
            "a step with a name that is longer than there is room for it on this screen".to_owned();
        let text = screen(80, 32, &p);
        for want in [
            "12345 of 12345",
            "123456789",
            "23456789 (19.00 %)",
            "/s",
            "8:45 left",
            "99.0 ms",
            "starts late p99",
            "p99  99.0 ms",
        ] {
            assert!(text.contains(want), "{want:?} is not in\n{text}");
        }
        // What nothing is known of is not zero.
        let mut fresh = progress();
        (fresh.history, fresh.now, fresh.rate_target) = (VecDeque::new(), histogram(), None);
        fresh.steps.clear();
        let text = screen(80, 24, &fresh);
        assert!(text.contains('–') && !text.contains("0.0/s"), "{text}");
    }

    #[test]
    fn hostile_names_do_not_steer_the_terminal() {
        let mut p = progress();
        let hostile = "\u{1b}]0;x\u{7}\u{202e}\u{9b}\r\n::error::x";
        p.scenario.push_str(hostile);
        p.target.push_str(hostile);
        p.phases[1].name.push_str(hostile);
        p.error_classes[0].0.insert_str(0, hostile);
        let text = screen(200, 32, &p);
        assert!(!text.contains(|c: char| c != '\n' && assay_text::is_hidden(c)), "{text:?}");
        assert!(text.contains("\\u001b]0;x\\u0007\\u202e") && text.contains("steady\\u001b"), "{text}");
    }

    #[test]
    fn a_tiny_or_empty_screen_is_no_reason_to_fall_over() {
        for (width, height) in [(1, 1), (10, 3), (200, 5), (30, 60)] {
            screen(width, height, &progress());
        }
        let mut fresh = progress();
        (fresh.history, fresh.now) = (VecDeque::new(), histogram());
        screen(80, 24, &fresh);
    }
}

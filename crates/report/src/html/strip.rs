//! Small drawings without text: bars, trends, alert strips. Invariant: they stretch to whatever width they get,
//! so they hold nothing that stretching would spoil.

use std::fmt::Write as _;

use minijinja::{Value, context};

use super::plot::{Frame, path};
use assay_verdict::{
    charts::Line,
    verdict::{AlertInstance, ObjectiveRow},
};

/// The measured value as a bar against its limit, which stands at two thirds.
pub(super) fn bar(row: &ObjectiveRow) -> String {
    let (Some(value), Some(limit)) = (row.value, row.limit) else { return String::new() };
    if limit <= 0.0 || value < 0.0 || !limit.is_finite() {
        return String::new();
    }
    let end = if value.is_finite() { (value / limit * 200.0).min(300.0) } else { 300.0 };
    format!(
        "<svg class=\"bar\" viewBox=\"0 0 300 12\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect class=\"rail\" width=\"300\" height=\"12\"/>\
         <rect class=\"fill {}\" width=\"{end:.1}\" height=\"12\"/>\
         <rect class=\"mark\" x=\"199\" width=\"2\" height=\"12\"/></svg>",
        row.status.as_str()
    )
}

/// How a measured value went over the run, with its limit.
pub(super) fn trend(points: &[(i64, f64)], limit: Option<f64>, frame: &Frame<'_>) -> String {
    let high = points.iter().map(|p| p.1).fold(0.0, f64::max);
    let near = limit.filter(|l| *l <= 2.5 * high && l.is_finite());
    let top = near.map_or(high, |l| high.max(l)) * 1.1;
    if top <= 0.0 {
        return String::new();
    }
    let y = |v: f64| 28.0 - (v / top).clamp(0.0, 1.0) * 27.0;
    let line = Line { name: String::new(), points: points.to_vec() };
    let gap_ms = (frame.end_ms - frame.start_ms) / 10;
    let mut svg = String::from(
        "<svg class=\"trend\" viewBox=\"0 0 150 30\" preserveAspectRatio=\"none\" aria-hidden=\"true\">",
    );
    for phase in frame.phases.iter().filter(|p| !p.warmup) {
        let (from, to) = (frame.part(phase.start_ms) * 150.0, frame.part(phase.end_ms) * 150.0);
        let _ = write!(
            svg,
            "<rect class=\"phase odd\" x=\"{from:.1}\" width=\"{:.1}\" height=\"30\"/>",
            (to - from - 0.6).max(0.0)
        );
    }
    if let Some(limit) = near {
        let _ =
            write!(svg, "<line class=\"limit\" x1=\"0\" x2=\"150\" y1=\"{0:.1}\" y2=\"{0:.1}\"/>", y(limit));
    }
    let _ = write!(
        svg,
        "<path class=\"line\" d=\"{}\"/></svg>",
        path(&line, &|t| frame.part(t) * 150.0, y, gap_ms)
    );
    svg
}

/// When an alert was pending and firing over the run.
pub(super) fn alert(instances: &[&AlertInstance], severity: &str, frame: &Frame<'_>) -> String {
    let mut svg = String::from(
        "<svg class=\"strip timed\" viewBox=\"0 0 1000 14\" preserveAspectRatio=\"none\" data-area=\"0 0 1000 14\" aria-hidden=\"true\">",
    );
    for (i, phase) in frame.phases.iter().enumerate() {
        let class = if phase.warmup { "phase warmup" } else { ["phase even", "phase odd"][i % 2] };
        rect(&mut svg, class, frame.part(phase.start_ms), frame.part(phase.end_ms), "");
    }
    for instance in instances {
        stretch(&mut svg, instance, severity, frame);
    }
    svg.push_str("<line class=\"cursor\" x1=\"0\" x2=\"0\" y1=\"0\" y2=\"0\"/></svg>");
    svg
}

fn stretch(svg: &mut String, instance: &AlertInstance, severity: &str, frame: &Frame<'_>) {
    let end = instance.ended_at_ms.unwrap_or(frame.end_ms);
    let fired = instance.fired_at_ms.unwrap_or(end);
    let active = instance.active_at_ms;
    rect(
        svg,
        "pending",
        frame.part(active),
        frame.part(fired),
        &format!("pending {} to {}", frame.clock(active), frame.clock(fired)),
    );
    if instance.fired_at_ms.is_some() {
        let class = match severity {
            "critical" => "firing critical",
            "warning" => "firing warning",
            _ => "firing",
        };
        let title = format!("firing {} to {}", frame.clock(fired), frame.clock(end));
        rect(svg, class, frame.part(fired), frame.part(end), &title);
    }
}

fn rect(svg: &mut String, class: &str, from: f64, to: f64, title: &str) {
    let width = ((to - from) * 1000.0).max(if title.is_empty() || to <= from { 0.0 } else { 3.0 });
    let _ = write!(
        svg,
        "<rect class=\"{class}\" x=\"{:.1}\" width=\"{width:.1}\" height=\"14\"><title>{title}</title></rect>",
        from * 1000.0
    );
}

/// The phases' names, with the place of each in per cent of the run.
pub(super) fn phase_marks(frame: &Frame<'_>) -> Vec<Value> {
    frame
        .phases
        .iter()
        .map(|p| {
            let (from, to) = (frame.part(p.start_ms) * 100.0, frame.part(p.end_ms) * 100.0);
            context! {
                name => &*p.name,
                left => format!("{from:.2}"),
                width => format!("{:.2}", to - from),
                from => p.start_ms,
                to => p.end_ms,
            }
        })
        .collect()
}

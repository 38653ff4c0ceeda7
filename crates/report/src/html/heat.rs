//! How long requests took, as a heat map over time and as one outline for each phase. Invariant: rows and columns are those of the
//! data, and the strongest cell is the one with most requests.

use std::fmt::Write as _;

use assay_verdict::{charts::Heat, units};
use minijinja::{Value, context};

use super::plot::{
    BOTTOM, COLOURS, Frame, HEIGHT, LEFT, RIGHT, TOP, WIDTH, close_timed, escape, open_timed, open_view,
    rule, shade, tick_below, tick_left, x,
};

/// How many shades there are.
const SHADES: usize = 8;

/// Both drawings, with the names of the phases.
pub(super) fn drawn(heat: &Heat, frame: &Frame<'_>) -> Value {
    let legend: Vec<_> = heat
        .phases
        .iter()
        .enumerate()
        .map(|(i, (name, _))| context! { colour => i % COLOURS, name => &**name })
        .collect();
    context! {
        step => &*heat.step,
        width => units::length(heat.width_ms),
        map => Value::from_safe_string(map(heat, frame)),
        outlines => Value::from_safe_string(outlines(heat)),
        legend => legend,
    }
}

/// Where a row's lower bound is, from 0 to 1.
fn part(heat: &Heat, bound: f64) -> f64 {
    let (low, high) = (heat.bounds[0].ln(), heat.bounds[heat.bounds.len() - 1].ln());
    ((bound.ln() - low) / (high - low)).clamp(0.0, 1.0)
}

fn map(heat: &Heat, frame: &Frame<'_>) -> String {
    let y = |bound: f64| HEIGHT - BOTTOM - part(heat, bound) * (HEIGHT - BOTTOM - TOP);
    let most = heat.columns.iter().flat_map(|(_, rows)| rows).copied().fold(0.0, f64::max);
    let mut shades = vec![String::new(); SHADES];
    for (end_ms, rows) in &heat.columns {
        let (from, to) = (x(frame, end_ms - heat.width_ms), x(frame, *end_ms));
        for (i, count) in rows.iter().enumerate() {
            // A part of a request is where a bucket lies across two rows.
            if *count < 0.05 || most <= 0.0 {
                continue;
            }
            let shade = ((count / most).sqrt() * SHADES as f64).ceil() as usize;
            let (top, bottom) = (y(heat.bounds[i + 1]), y(heat.bounds[i]));
            let _ = write!(
                shades[shade.clamp(1, SHADES) - 1],
                "M{from:.1} {top:.1}h{:.1}v{:.1}h-{:.1}z",
                to - from,
                bottom - top,
                to - from
            );
        }
    }
    let label = format!(
        "How long {} took over time; the strongest cell has {} requests",
        heat.step,
        units::digits(most)
    );
    let mut svg = open_timed(&label, None);
    open_view(&mut svg);
    shade(&mut svg, frame);
    for (i, path) in shades.iter().enumerate().filter(|(_, p)| !p.is_empty()) {
        let opacity = (i + 1) as f64 / SHADES as f64;
        let _ = write!(svg, "<path class=\"heat\" fill-opacity=\"{opacity:.2}\" d=\"{path}\"/>");
    }
    svg.push_str("</svg>");
    for value in ticks(heat) {
        tick_left(&mut svg, y(value), &units::quantity(value, "s"));
    }
    close_timed(&mut svg, frame);
    svg
}

/// The share of each phase's requests in every row, as a stepped line.
fn outlines(heat: &Heat) -> String {
    let x = |bound: f64| LEFT + part(heat, bound) * (WIDTH - LEFT - RIGHT);
    let shares: Vec<Vec<f64>> = heat
        .phases
        .iter()
        .map(|(_, rows)| {
            let all = rows.iter().sum::<f64>().max(f64::MIN_POSITIVE);
            rows.iter().map(|n| n / all).collect()
        })
        .collect();
    let most = shares.iter().flatten().copied().fold(0.0, f64::max).max(0.01);
    let y = |share: f64| HEIGHT - BOTTOM - share / most * (HEIGHT - BOTTOM - TOP);
    let mut svg = open(&format!(
        "Which part of {} took how long, by phase; at most {}",
        heat.step,
        units::quantity(most, "ratio")
    ));
    for share in [0.0, most / 2.0, most] {
        rule(&mut svg, y(share), &units::quantity(share, "ratio"));
    }
    for (i, rows) in shares.iter().enumerate() {
        let mut d = format!("M{:.1} {:.1}", x(heat.bounds[0]), y(0.0));
        for (row, share) in rows.iter().enumerate() {
            let _ = write!(d, "V{:.1}H{:.1}", y(*share), x(heat.bounds[row + 1]));
        }
        let _ = write!(d, "V{:.1}", y(0.0));
        let name = escape(&heat.phases[i].0);
        let _ = write!(svg, "<path class=\"line c{}\" d=\"{d}\"><title>{name}</title></path>", i % COLOURS);
    }
    for value in ticks(heat) {
        tick_below(&mut svg, x(value), &units::quantity(value, "s"));
    }
    svg.push_str("</svg>");
    svg
}

fn open(label: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">", escape(label))
}

/// Round times within the bounds, as many as there is room for.
fn ticks(heat: &Heat) -> Vec<f64> {
    let (low, high) = (heat.bounds[0], heat.bounds[heat.bounds.len() - 1]);
    let within = |steps: &[f64]| -> Vec<f64> {
        (-7..=7)
            .flat_map(|power| steps.iter().map(move |m| m * 10f64.powi(power)))
            .filter(|v| *v >= low * 0.999 && *v <= high * 1.001)
            .collect()
    };
    [
        &[1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0][..],
        &[1.0, 2.0, 3.0, 5.0, 7.0],
        &[1.0, 2.0, 5.0],
        &[1.0],
    ]
    .into_iter()
    .map(within)
    .find(|list| list.len() <= 6)
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heat() -> Heat {
        Heat {
            step: "<q>".to_owned(),
            bounds: vec![0.1, 1.0, 10.0],
            width_ms: 10,
            columns: vec![(10, vec![1.0, 0.0]), (20, vec![4.0, 4.0])],
            phases: vec![("a&b".to_owned(), vec![5.0, 4.0]), ("none".to_owned(), vec![0.0, 0.0])],
        }
    }

    #[test]
    fn cells_are_as_strong_as_they_are_full() {
        let svg = map(&heat(), &Frame { start_ms: 0, end_ms: 20, phases: &[] });
        assert!(svg.contains("fill-opacity=\"0.50\"") && svg.contains("fill-opacity=\"1.00\""), "{svg}");
        assert_eq!(svg.matches("v77").count(), 3, "{svg}");
        assert!(svg.contains(">1 s<") && !svg.contains("<q>") && !svg.contains("NaN"), "{svg}");
    }

    #[test]
    fn a_phase_without_requests_is_a_flat_line() {
        let svg = outlines(&heat());
        assert!(svg.contains("a&amp;b") && !svg.contains("NaN"), "{svg}");
        assert_eq!(svg.matches("class=\"line").count(), 2);
        assert_eq!(ticks(&heat()), [0.1, 1.0, 10.0].to_vec());
    }
}

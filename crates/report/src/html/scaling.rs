//! How the service does under more and less load: latency and throughput against load, with the knee and the limits. Invariant: what is
//! drawn are levels that ran; an estimate is drawn as a band and said to be one.

use std::fmt::Write as _;

use assay_verdict::{
    scaling::{Level, Scaling, different_loads},
    units,
};
use minijinja::{Value, context, value::Serde};

use super::{
    plot::{BOTTOM, COLOURS, HEIGHT, LEFT, RIGHT, Scale, TOP, WIDTH, escape, rule, tick_below},
    tables::{Cell, Table},
};

/// The section; nothing where no level is known.
pub(super) fn drawn(scaling: &Scaling) -> Value {
    if scaling.levels.is_empty() {
        return Value::from(());
    }
    let charts = if different_loads(scaling.levels.iter().map(|l| l.load)).len() > 1 {
        charts(scaling)
    } else {
        Vec::new()
    };
    context! {
        lines => crate::scaling_lines(scaling),
        charts => charts,
        table => Serde(table(scaling)),
    }
}

type Line<'a> = (&'a str, Box<dyn Fn(&Level) -> Option<f64>>);

fn charts(scaling: &Scaling) -> Vec<Value> {
    let latency: Vec<Line<'_>> = vec![
        ("mean", Box::new(|l| Some(l.mean_s))),
        ("p50", Box::new(|l| Some(l.p50_s))),
        ("p99", Box::new(|l| Some(l.p99_s))),
    ];
    let throughput: Vec<Line<'_>> = vec![
        ("requests", Box::new(|l| Some(l.requests_per_s))),
        ("good requests", Box::new(|l| l.good_per_s)),
    ];
    let knee = if scaling.knee.is_some() { " The band is where the knee lies." } else { "" };
    [("Latency by load", "s", latency), ("Throughput and goodput by load", "/s", throughput)]
        .into_iter()
        .map(|(title, unit, lines)| {
            let has = |(_, of): &&Line<'_>| scaling.levels.iter().any(|l| of(l).is_some());
            let lines: Vec<&Line<'_>> = lines.iter().filter(has).collect();
            let legend: Vec<_> = lines
                .iter()
                .enumerate()
                .map(|(i, (name, _))| context! { colour => i % COLOURS, name => *name })
                .collect();
            context! {
                title,
                legend,
                note => format!("Load in {}.{knee}", scaling.axis.unit()),
                svg => Value::from_safe_string(plot(title, unit, scaling, &lines)),
            }
        })
        .collect()
}

fn plot(title: &str, unit: &str, scaling: &Scaling, lines: &[&Line<'_>]) -> String {
    let levels = &scaling.levels;
    let value = |line: &Line<'_>, level: &Level| line.1(level).filter(|v| v.is_finite());
    let most = levels.iter().map(|l| l.load).fold(0.0, f64::max);
    let across = Scale::over([most].into_iter(), &[], "");
    let highest = across.marks().last().unwrap_or(most).max(f64::MIN_POSITIVE);
    let x = |load: f64| LEFT + (load / highest).clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT);
    let values: Vec<f64> =
        levels.iter().flat_map(|l| lines.iter().filter_map(move |line| value(line, l))).collect();
    let scale = Scale::over(values.iter().copied(), &[], unit);
    let label = format!(
        "{title}, from {} to {} {}",
        units::digits(levels[0].load),
        units::digits(most),
        scaling.axis.unit()
    );
    let mut svg =
        format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">", escape(&label));
    for value in scale.marks() {
        rule(&mut svg, scale.y(value), &units::quantity(value, unit));
    }
    for value in across.marks() {
        tick_below(&mut svg, x(value), &units::digits(value));
    }
    if let Some(knee) = scaling.knee {
        // A band as wide as a line where no level moves it.
        let (low, high) = (x(knee.interval.0), x(knee.interval.1));
        let _ = write!(
            svg,
            "<rect class=\"knee\" x=\"{low:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            (high - low).max(2.0),
            HEIGHT - BOTTOM - TOP
        );
    }
    for (i, line) in lines.iter().enumerate() {
        let points: Vec<(f64, f64)> =
            levels.iter().filter_map(|l| Some((x(l.load), scale.y(value(line, l)?)))).collect();
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        let _ = write!(
            svg,
            "<path class=\"line c{0}\" d=\"M{1}\"><title>{2}</title></path>",
            i % COLOURS,
            path.join("L"),
            escape(line.0)
        );
        for (x, y) in points {
            let _ =
                write!(svg, "<circle class=\"dot c{}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.6\"/>", i % COLOURS);
        }
    }
    svg.push_str("</svg>");
    svg
}

fn table(scaling: &Scaling) -> Table {
    let row = |l: &Level| {
        let held = match l.held {
            Some(true) => "kept",
            Some(false) => "missed",
            None => "not decided",
        };
        vec![
            Cell::text(&if l.is_part { format!("part of {}", l.phase) } else { l.phase.clone() }),
            Cell::number(l.load, ""),
            Cell::number(l.requests_per_s, ""),
            Cell::maybe(l.good_per_s, |v| Cell::number(v, "")),
            Cell::number(l.failed_ratio, "ratio").warn(l.failed_ratio > 0.01),
            Cell::number(l.mean_s, "s"),
            Cell::number(l.p50_s, "s"),
            Cell::number(l.p99_s, "s"),
            Cell::text(held).warn(l.held == Some(false)),
            Cell::maybe(l.strain, |v| Cell::number(v, "ratio").warn(v > 1.0)),
            Cell::text(&l.strained_by),
        ]
    };
    let load = match scaling.axis {
        assay_verdict::scaling::Axis::Users => "users",
        assay_verdict::scaling::Axis::Rate => "offered/s",
    };
    Table {
        title: "",
        label: "Levels of load",
        note: "Of its limit: how much the objective that is nearest to its limit takes of what it may.",
        head: vec![
            "phase",
            load,
            "requests/s",
            "good/s",
            "failed",
            "mean",
            "p50",
            "p99",
            "objectives",
            "of its limit",
            "nearest objective",
        ],
        rows: scaling.levels.iter().map(row).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_verdict::{testing, verdict::Status};

    #[test]
    fn levels_are_drawn_with_their_knee() {
        let scaling = testing::verdict(Status::Fail).scaling;
        let all = charts(&scaling);
        assert_eq!(all.len(), 2);
        let svg = all[0].get_attr("svg").expect("is drawn").to_string();
        assert_eq!((svg.matches("<circle").count(), svg.matches("class=\"knee\"").count()), (12, 1), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert_eq!(table(&scaling).rows.len(), 4);
        let mut odd = scaling.clone();
        odd.levels[1].mean_s = f64::NAN;
        odd.levels[2].p99_s = f64::INFINITY;
        let svg = charts(&odd)[0].get_attr("svg").expect("is drawn").to_string();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        let one = Scaling { levels: scaling.levels[..1].to_vec(), ..Scaling::default() };
        assert_eq!(different_loads(one.levels.iter().map(|l| l.load)).len(), 1);
        assert!(drawn(&Scaling::default()).is_none());
    }
}

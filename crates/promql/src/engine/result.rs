//! From columns to what the caller gets. Invariant: names that were dropped are gone, no label set comes
//! twice, and the series of a matrix are sorted.

use std::{ops::Range, sync::Arc};

use assay_model::{Column, Value};

use super::{
    EvalError,
    eval::Evaluator,
    grid::Grid,
    limits::Size,
    notes::Notes,
    plan::{Node, Op, Window},
    points::{Point, Points},
    range,
    vector::{Output, Vector},
};
use crate::value::{Annotation, InstantSample, QueryResult, QueryValue, RangeSeries};

/// The result of an instant query.
pub(crate) fn instant<'e>(ev: &Evaluator<'e>, node: &'e Node, t_ms: i64) -> Result<QueryResult, EvalError> {
    let mut notes = Notes::default();
    let value = if let Op::Raw(window) = &node.op {
        QueryValue::Matrix(raw(ev, node, window, &mut notes)?)
    } else {
        match ev.eval(node, &mut notes)? {
            Output::Scalar(s) => QueryValue::Scalar(t_ms, s.at(0)),
            Output::Text(t) => QueryValue::String(t_ms, t),
            Output::Vector(v) => {
                let v = v.clean_names(ev.ctx, node.site, &mut notes)?;
                let columns = v.columns(ev.ctx, &mut notes)?;
                let mut samples: Vec<InstantSample> = Vec::with_capacity(columns.len());
                for (meta, points) in v.series.iter().zip(columns.iter()) {
                    let value = match points.at(0) {
                        None => continue,
                        Some(Point::Float(f)) => Value::Float(f),
                        Some(Point::Histogram(h)) => Value::Histogram(h.clone()),
                    };
                    samples.push(InstantSample { labels: meta.labels.clone(), t_ms, value });
                }
                QueryValue::Vector(samples)
            }
        }
    };
    Ok(QueryResult { value, annotations: annotations(ev.ctx.spans(), notes) })
}

/// The result of a range query.
pub(crate) fn range<'e>(ev: &Evaluator<'e>, node: &'e Node) -> Result<QueryResult, EvalError> {
    let mut notes = Notes::default();
    let series = series(ev, node, &mut notes)?;
    Ok(QueryResult { value: QueryValue::Matrix(series), annotations: annotations(ev.ctx.spans(), notes) })
}

/// The series of a range query's result, sorted by labels.
pub(crate) fn series<'e>(
    ev: &Evaluator<'e>,
    node: &'e Node,
    notes: &mut Notes,
) -> Result<Vec<RangeSeries>, EvalError> {
    Ok(match ev.eval(node, notes)? {
        Output::Scalar(s) => {
            let points = s.to_points(ev.ctx, node.grid.steps)?;
            let samples = column(&points, node.grid);
            if samples.is_empty() {
                Vec::new()
            } else {
                vec![RangeSeries { labels: Default::default(), samples }]
            }
        }
        Output::Text(_) => Vec::new(),
        Output::Vector(v) => matrix(ev, node, v, notes)?,
    })
}

fn matrix(
    ev: &Evaluator<'_>,
    node: &Node,
    v: Vector<'_>,
    notes: &mut Notes,
) -> Result<Vec<RangeSeries>, EvalError> {
    let v = v.clean_names(ev.ctx, node.site, notes)?;
    let held = ev.ctx.hold(Size::default())?;
    let mut series: Vec<RangeSeries> = ev
        .ctx
        .parallel(v.series.len(), notes, |i, worker| {
            let samples = column(v.column(i, worker)?.as_ref(), node.grid);
            held.grow(Size::samples(samples.times.len(), &samples.histograms))?;
            Ok(RangeSeries { labels: v.series[i].labels.clone(), samples })
        })?
        .into_iter()
        .filter(|s| !s.samples.is_empty())
        .collect();
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(series)
}

/// The samples of a column, with their times.
pub(crate) fn column(points: &Points, grid: Grid) -> Column {
    let mut out = Column::default();
    for (step, v) in points.values.iter().enumerate() {
        if !super::points::is_absent(*v) {
            out.times.push(grid.time(step));
            out.values.push(*v);
        }
    }
    for (step, h) in &points.histograms {
        out.histogram_times.push(grid.time(*step as usize));
        out.histograms.push(Arc::clone(h));
    }
    out
}

/// The samples of a bare range vector, as they are stored.
fn raw<'e>(
    ev: &Evaluator<'e>,
    node: &'e Node,
    window: &'e Window,
    notes: &mut Notes,
) -> Result<Vec<RangeSeries>, EvalError> {
    let mut series = range::raw(ev, node, window, notes)?;
    series.retain(|s| !s.samples.is_empty());
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(series)
}

/// The annotations that notes become, given the bytes of each site.
pub(crate) fn annotations(spans: &[Range<usize>], notes: Notes) -> Vec<Annotation> {
    let span = |site: usize| spans.get(site).cloned().unwrap_or_default();
    notes
        .into_list()
        .into_iter()
        .map(|n| (span(n.site), n))
        .map(|(span, n)| n.into_annotation(span))
        .collect()
}

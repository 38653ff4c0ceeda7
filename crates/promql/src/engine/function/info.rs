//! `info`: labels of info metrics joined onto the series of the same instance and job. Invariant: a label that
//! a series has is never overwritten.
//!
//! Source: Prometheus `promql/info.go` v3.13.

use std::sync::Arc;

use assay_model::{Column, Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher};
use hashbrown::{HashMap, HashSet};

use crate::engine::{
    EvalError,
    eval::Evaluator,
    limits::Size,
    notes::Notes,
    plan::{InfoCall, Node, Shift},
    points::{ABSENT, Points, is_absent},
    select::each_found,
    vector::{Meta, Vector},
};

/// The labels that say which target a series is of.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// An info series: its labels, and for each step the time of its latest sample.
struct InfoSeries {
    labels: Labels,
    seen_ms: Vec<f64>,
}

pub(crate) fn info<'e>(
    ev: &Evaluator<'e>,
    node: &'e Node,
    call: &'e InfoCall,
    notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    let v = ev.vector(&call.vector, notes)?;
    let matchers = call.matchers.clone().unwrap_or_else(|| vec![Matcher::equal(METRIC_NAME, "target_info")]);
    let (names, data): (Vec<Matcher>, Vec<Matcher>) =
        matchers.into_iter().partition(|m| m.name == METRIC_NAME);
    let names = effective_names(names)?;
    // Info series themselves pass through as they are.
    let is_info = |m: &Meta| names.iter().all(|n| n.matches(m.labels.metric_name()));
    let passes: Vec<bool> = v.series.iter().map(is_info).collect();
    let wanted = v.series.iter().zip(&passes).filter(|(_, p)| !**p).map(|(m, _)| &m.labels);
    let infos = fetch(ev, node, call.shift, wanted, &names, &data)?;
    let columns = v.columns(ev.ctx, notes)?;
    let join = Join { ev, node, infos: &infos, by_target: by_target(&infos), data: &data };
    let (mut series, mut out) = (Vec::new(), Vec::new());
    for ((meta, points), passes) in v.series.iter().zip(columns.iter()).zip(&passes) {
        if *passes {
            series.push(meta.clone());
            out.push(points.clone());
        } else {
            for (labels, points) in join.enrich(&meta.labels, points)? {
                series.push(Meta { labels, drop_name: meta.drop_name });
                out.push(points);
            }
        }
    }
    Vector::ready(ev.ctx, series, out)?.merge_duplicates(ev.ctx, node.site, notes)
}

/// Matchers that only rule names out are meant for names that end in `_info`.
fn effective_names(names: Vec<Matcher>) -> Result<Vec<Matcher>, EvalError> {
    if names.iter().any(|m| matches!(m.op, MatchOp::Equal | MatchOp::Regex)) {
        return Ok(names);
    }
    if names.is_empty() {
        return Ok(vec![Matcher::equal(METRIC_NAME, "target_info")]);
    }
    let any = Matcher::new(MatchOp::Regex, METRIC_NAME, ".+_info")
        .map_err(|e| assay_model::QueryError::new(e.to_string()))?;
    Ok([vec![any], names].concat())
}

/// The info series of the targets that the vector's series are of.
fn fetch<'a>(
    ev: &Evaluator<'_>,
    node: &Node,
    shift: Shift,
    wanted: impl Iterator<Item = &'a Labels>,
    names: &[Matcher],
    data: &[Matcher],
) -> Result<Vec<InfoSeries>, EvalError> {
    let mut values: HashMap<&str, HashSet<String>> = HashMap::new();
    for labels in wanted {
        for name in IDENTIFYING {
            if let Some(value) = labels.get(name) {
                values.entry(name).or_default().insert(value.to_owned());
            }
        }
    }
    if values.is_empty() || node.grid.steps == 0 {
        return Ok(Vec::new());
    }
    let mut matchers = [names, data].concat();
    for name in IDENTIFYING {
        let Some(values) = values.get(name) else { continue };
        let mut values: Vec<String> = values.iter().map(|v| regex::escape(v)).collect();
        values.sort();
        let matcher = Matcher::new(MatchOp::Regex, name, &values.join("|"))
            .map_err(|e| assay_model::QueryError::new(e.to_string()))?;
        matchers.push(matcher);
    }
    let lookback_ms = ev.ctx.options.lookback_ms;
    let start_ms = shift.apply(node.grid.start_ms).saturating_sub(lookback_ms).saturating_add(1);
    let end_ms = shift.apply(node.grid.last_ms());
    let found = ev.ctx.queryable.select(&matchers, start_ms, end_ms)?;
    let held = ev.ctx.hold(Size::default())?;
    let mut out = Vec::with_capacity(found.len());
    for series in found {
        ev.ctx.check()?;
        let mut column = Column::default();
        series.read(start_ms, end_ms, &mut column)?;
        ev.ctx.hold(Size::samples(column.times.len(), &column.histograms))?;
        held.grow(Size::columns(1, node.grid.steps))?;
        let mut seen_ms = vec![ABSENT; node.grid.steps];
        let mut histogram = false;
        each_found(ev.ctx, &column, node.grid, shift, |step, found| {
            histogram |= found.histogram.is_some();
            seen_ms[step] = found.t_ms as f64;
        })?;
        if histogram {
            let labels = series.labels();
            let message = format!("this should be an info metric, with float samples: {labels}");
            return Err(ev.ctx.fail(node.site, message));
        }
        out.push(InfoSeries { labels: series.labels().clone(), seen_ms });
    }
    Ok(out)
}

/// The labels by which series find their info series: the target's, and the info metric's name.
fn target(labels: &Labels, info_name: &str) -> Labels {
    let mut b = LabelsBuilder::new();
    for name in IDENTIFYING {
        b.set(name, labels.get(name).unwrap_or(""));
    }
    b.set(METRIC_NAME, info_name);
    b.build()
}

fn by_target(infos: &[InfoSeries]) -> HashMap<Labels, Vec<usize>> {
    let mut out: HashMap<Labels, Vec<usize>> = HashMap::new();
    for (i, info) in infos.iter().enumerate() {
        out.entry(target(&info.labels, info.labels.metric_name())).or_default().push(i);
    }
    out
}

struct Join<'j, 'e> {
    ev: &'j Evaluator<'e>,
    node: &'j Node,
    infos: &'j [InfoSeries],
    by_target: HashMap<Labels, Vec<usize>>,
    data: &'j [Matcher],
}

impl Join<'_, '_> {
    /// A series with the labels of its info series. Where those change over the steps there are several.
    fn enrich(&self, base: &Labels, points: &Points) -> Result<Vec<(Labels, Points)>, EvalError> {
        let mut names: Vec<&str> = self.infos.iter().map(|i| i.labels.metric_name()).collect();
        names.sort_unstable();
        names.dedup();
        let candidates: Vec<&Vec<usize>> =
            names.iter().filter_map(|n| self.by_target.get(&target(base, n))).collect();
        let steps = points.values.len();
        let mut labels: HashMap<Vec<usize>, Option<Labels>> = HashMap::new();
        let mut out: Vec<(Labels, Points)> = Vec::new();
        for step in (0..steps).filter(|s| points.has(*s)) {
            let mut chosen = Vec::with_capacity(candidates.len());
            for list in &candidates {
                chosen.extend(self.latest(list, step)?);
            }
            if !labels.contains_key(&chosen) {
                let joined = self.joined(base, &chosen)?;
                labels.insert(chosen.clone(), joined);
            }
            let Some(Some(joined)) = labels.get(&chosen) else { continue };
            let at = match out.iter().position(|(l, _)| l == joined) {
                Some(at) => at,
                None => {
                    out.push((joined.clone(), Points::absent(steps)));
                    out.len() - 1
                }
            };
            match points.histogram(step) {
                Some(h) => out[at].1.push_histogram(step, Arc::clone(h)),
                None => out[at].1.values[step] = points.values[step],
            }
        }
        Ok(out)
    }

    /// Of the info series of one target and name, the one with the latest sample.
    fn latest(&self, list: &[usize], step: usize) -> Result<Option<usize>, EvalError> {
        let mut best: Option<usize> = None;
        for &i in list.iter().filter(|i| !is_absent(self.infos[**i].seen_ms[step])) {
            let seen = self.infos[i].seen_ms[step];
            match best {
                Some(b) if self.infos[b].seen_ms[step] > seen => {}
                Some(b) if self.infos[b].seen_ms[step] == seen => {
                    let message = format!(
                        "found duplicate series for info metric: existing {} @ {seen}, new {} @ {seen}",
                        self.infos[b].labels, self.infos[i].labels
                    );
                    return Err(self.ev.ctx.fail(self.node.site, message));
                }
                _ => best = Some(i),
            }
        }
        Ok(best)
    }

    /// `base` with the data labels of these info series; `None` where it has none and a matcher asks for one.
    fn joined(&self, base: &Labels, chosen: &[usize]) -> Result<Option<Labels>, EvalError> {
        if chosen.is_empty() && !self.data.iter().all(|m| m.matches("")) {
            return Ok(None);
        }
        let mut added = LabelsBuilder::new();
        for &i in chosen {
            for (name, value) in self.infos[i].labels.iter().filter(|(n, _)| *n != METRIC_NAME) {
                if !self.data.is_empty() && !self.data.iter().any(|m| m.name == name) {
                    continue;
                }
                let before = added.get(name);
                if !before.is_empty() && before != value {
                    return Err(self.ev.ctx.fail(self.node.site, format!("conflicting label: {name}")));
                }
                if base.get(name).is_none() {
                    added.set(name, value);
                }
            }
        }
        let mut labels = base.to_builder();
        for (name, value) in &added.build() {
            labels.set(name, value);
        }
        Ok(Some(labels.build()))
    }
}

//! Why an objective has no value. Invariant: a reason is checked against the run before it is given.

use assay_model::{Column, METRIC_NAME, MatchOp, Matcher, QueryError};
use assay_promql::{Expr, ast::VectorSelector};
use assay_yaml::nearest;

use crate::{
    data::{RunData, TargetKey},
    sla::Objective,
    source::{Source, SourceError},
    units,
    verdict::Window,
};

/// How many label values or metrics a reason names.
const NAMED: usize = 8;

/// Why the measured value of an objective has no series in a window.
pub(super) fn why(objective: &Objective, window: &Window, data: &RunData<'_>) -> Result<String, SourceError> {
    let Ok(expr) = assay_promql::parse(&objective.require.measure(window.len_ms())) else {
        return Ok(String::new());
    };
    let run = Run { data, window };
    let mut reasons = Vec::new();
    let selectors = expr.selectors();
    let names: Vec<&str> = selectors.iter().map(|s| s.name.as_str()).collect();
    for selector in selectors {
        if run.is_the_other_form(&selector.name, &names).map_err(SourceError::new)? {
            continue;
        }
        let reason = run.of_selector(selector).map_err(SourceError::new)?;
        reasons.extend(reason.filter(|r| !reasons.contains(r)));
    }
    if reasons.is_empty() {
        reasons.extend(run.of_kind(&expr).map_err(SourceError::new)?);
        reasons.extend(run.of_ranges(&expr).map_err(SourceError::new)?);
    }
    if reasons.is_empty() {
        return Ok("its series have samples, and its filters and operators leave none of them".to_owned());
    }
    Ok(reasons.join("; "))
}

/// The same on a server, which is asked for no more than whether the metrics are there.
pub(super) fn why_on_server(objective: &Objective, source: &dyn Source) -> Result<String, SourceError> {
    let mut absent = Vec::new();
    for name in objective.require.metrics() {
        if !source.has_metric(name)? {
            absent.push(name.as_str());
        }
    }
    Ok(match absent.as_slice() {
        [] => "no sample of its series is in the judged window".to_owned(),
        names => format!("the server has no series of {}", names.join(", ")),
    })
}

/// Why none of the metrics of these names exists, if a metric with nearly such a name does.
pub(crate) fn near_name(data: &RunData<'_>, name: &str) -> Result<Option<String>, QueryError> {
    let names = data.source().label_values(METRIC_NAME, &[])?;
    Ok(close(name, &names).map(str::to_owned))
}

/// The name among many that another was most likely meant to be: one that differs by a slip.
fn close<'n>(name: &str, names: &'n [String]) -> Option<&'n str> {
    let near = nearest(name, names.iter().map(String::as_str))?;
    (strsim::damerau_levenshtein(name, near) <= 2).then_some(near)
}

/// The histogram that a series of a classic one belongs to.
fn base(name: &str) -> &str {
    ["_bucket", "_count", "_sum"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

struct Run<'a> {
    data: &'a RunData<'a>,
    window: &'a Window,
}

impl Run<'_> {
    /// The samples that a selector finds in the window, by series.
    fn columns(&self, matchers: &[Matcher]) -> Result<Vec<Column>, QueryError> {
        let (from_ms, to_ms) = (self.window.start_ms + 1, self.window.end_ms);
        let mut out = Vec::new();
        for series in self.data.source().select(matchers, from_ms, to_ms)? {
            let mut column = Column::default();
            series.read(from_ms, to_ms, &mut column)?;
            if !column.is_empty() {
                out.push(column);
            }
        }
        Ok(out)
    }

    fn of_selector(&self, selector: &VectorSelector) -> Result<Option<String>, QueryError> {
        if selector.offset.is_some() || selector.at.is_some() || !self.columns(&selector.matchers)?.is_empty()
        {
            return Ok(None);
        }
        let source = self.data.source();
        let mut last_ms = None;
        for series in source.select(&selector.matchers, i64::MIN, i64::MAX)? {
            let mut column = Column::default();
            series.read(i64::MIN, i64::MAX, &mut column)?;
            last_ms = last_ms.max(column.times.last().copied()).max(column.histogram_times.last().copied());
        }
        let name = selector.name.as_str();
        let shown = if name.is_empty() { "the selector" } else { name };
        if let Some(last_ms) = last_ms {
            let last = units::clock(last_ms);
            return Ok(Some(format!("{shown} has no sample in the judged window; its last is of {last}")));
        }
        if name.is_empty() {
            return Ok(Some("no series of the run matches the selector".to_owned()));
        }
        if !self.has(name)? {
            return self.no_metric(name).map(Some);
        }
        self.no_match(selector).map(Some)
    }

    /// Whether a metric is absent and stands for a histogram that the expression also reads in the form that it has, or
    /// would be read by its plain name if it were there at all.
    fn is_the_other_form(&self, name: &str, read: &[&str]) -> Result<bool, QueryError> {
        let base = base(name);
        let forms: Vec<&str> = read.iter().copied().filter(|n| self::base(n) == base).collect();
        if name.is_empty() || forms.iter().all(|n| *n == name) || self.has(name)? {
            return Ok(false);
        }
        for form in forms {
            if self.has(form)? {
                return Ok(true);
            }
        }
        Ok(name != base && read.contains(&base))
    }

    fn has(&self, name: &str) -> Result<bool, QueryError> {
        let own = [Matcher::equal(METRIC_NAME, name)];
        Ok(!self.data.source().select(&own, i64::MIN, i64::MAX)?.is_empty())
    }

    fn no_metric(&self, name: &str) -> Result<String, QueryError> {
        let names = self.data.source().label_values(METRIC_NAME, &[])?;
        let has = |name: &str| names.iter().any(|n| n == name);
        let base = base(name);
        if base != name && has(base) {
            return Ok(format!(
                "the run has no series of {name}: {base} is a native histogram here, which is read as {base} itself, \
                 as in histogram_quantile(0.99, sum(increase({base}[$__range])))"
            ));
        }
        let bucket = format!("{name}_bucket");
        if has(&bucket) {
            return Ok(format!(
                "the run has no series of {name}: it is a classic histogram here; read {bucket} by le, or record and \
                 import with --convert-classic-histograms-to-nhcb"
            ));
        }
        Ok(match close(name, &names) {
            Some(near) => format!("the run has no series of {name}; did you mean {near}?"),
            None => format!("the run has no series of {name}"),
        })
    }

    /// Which matchers leave no series of a metric that is there.
    fn no_match(&self, selector: &VectorSelector) -> Result<String, QueryError> {
        let source = self.data.source();
        let name = &selector.name;
        let own = Matcher::equal(METRIC_NAME, name);
        let mut reasons = Vec::new();
        for matcher in selector.matchers.iter().filter(|m| m.name != METRIC_NAME) {
            if !source.select(&[own.clone(), matcher.clone()], i64::MIN, i64::MAX)?.is_empty() {
                continue;
            }
            let values = source.label_values(&matcher.name, std::slice::from_ref(&own))?;
            if values.is_empty() {
                let labels = source.label_names(std::slice::from_ref(&own))?;
                let labels: Vec<_> = labels.into_iter().filter(|l| l != METRIC_NAME).collect();
                reasons.push(format!(
                    "no series of {name} has the label {}; there are {}",
                    matcher.name,
                    listed(&labels)
                ));
                continue;
            }
            let values: Vec<_> = values.iter().map(|v| format!("{v:?}")).collect();
            let bound =
                matcher.name == "le" && matcher.op == MatchOp::Equal && matcher.value.parse::<f64>().is_err();
            let hint = if bound { " (the bound of a bucket is a number)" } else { "" };
            reasons.push(format!("no series of {name} has {matcher}{hint}; there are {}", listed(&values)));
        }
        if reasons.is_empty() {
            let matchers: Vec<_> =
                selector.matchers.iter().filter(|m| m.name != METRIC_NAME).map(ToString::to_string).collect();
            reasons.push(format!("no series of {name} has {} at once", matchers.join(" and ")));
        }
        Ok(reasons.join("; "))
    }

    /// Whether histograms are asked for where there are floats.
    fn of_kind(&self, expr: &Expr) -> Result<Option<String>, QueryError> {
        let mut found = None;
        let mut failure = None;
        expr.walk(&mut |e| {
            let Expr::Call(call) = e else { return };
            if !call.func.name.starts_with("histogram_") {
                return;
            }
            for selector in call.args.iter().flat_map(Expr::selectors) {
                match self.columns(&selector.matchers) {
                    Ok(columns) => {
                        let floats = columns.iter().all(|c| c.histograms.is_empty()) && !columns.is_empty();
                        let classic = selector.name.ends_with("_bucket");
                        if floats && !classic {
                            found = Some(format!(
                                "{} holds floats, and {}(…) asks for a native histogram",
                                selector.name, call.func.name
                            ));
                        }
                    }
                    Err(e) => failure = Some(e),
                }
            }
        });
        failure.map_or(Ok(found), Err)
    }

    /// Whether ranges have too few samples.
    fn of_ranges(&self, expr: &Expr) -> Result<Option<String>, QueryError> {
        let mut ranged = Vec::new();
        expr.walk(&mut |e| {
            if let Expr::Matrix(m) = e {
                ranged.push(&m.selector);
            }
        });
        for selector in ranged {
            let columns = self.columns(&selector.matchers)?;
            if columns.is_empty() || columns.iter().any(|c| c.len() > 1) {
                continue;
            }
            let (from_ms, to_ms) = (self.window.start_ms + 1, self.window.end_ms);
            let series = self.data.source().select(&selector.matchers, from_ms, to_ms)?;
            let interval_ms = match series.first() {
                Some(series) => self.data.target(&TargetKey::of(series.labels()))?.interval_ms,
                None => 0,
            };
            return Ok(Some(format!(
                "{} has one sample in the {} of the window, and it takes two: it is scraped every {}",
                selector.name,
                units::length(self.window.len_ms()),
                units::length(interval_ms)
            )));
        }
        Ok(None)
    }
}

fn listed(values: &[String]) -> String {
    match values.len() {
        0 => "none".to_owned(),
        n if n <= NAMED => values.join(", "),
        n => format!("{} and {} more", values[..NAMED].join(", "), n - NAMED),
    }
}

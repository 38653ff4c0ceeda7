//! One rule of a replay: its state, and what each evaluation makes of it.
//!
//! Invariant: a failed evaluation writes nothing and changes nothing but the alerts that a limit wipes.

use std::collections::HashSet;

use hashbrown::HashMap;

use assay_model::{Labels, METRIC_NAME, Queryable, Value, stale_nan};
use assay_promql::{
    Annotation, Engine, Expr, InstantSample, QueryValue,
    ast::{BinaryOp, ValueType},
};

use super::{ReplayOptions, RuleAnnotation, RuleError, RuleSummary};
use crate::{
    alert::{Alerts, Element, Terms, Written},
    file::{Group, Rule, RuleId, RuleKind},
    overlay::Overlay,
    template,
};

/// What templates may ask for.
pub(crate) struct Environment<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) view: &'a dyn Queryable,
    pub(crate) external_labels: &'a Labels,
    /// What `$externalURL` holds.
    pub(crate) external_url: &'a str,
    /// What `externalURL` returns; none in unit tests.
    pub(crate) server_url: Option<&'a str>,
    pub(crate) annotate_always: bool,
}

impl<'a> Environment<'a> {
    /// The environment of a replay.
    pub(crate) fn of(engine: &'a Engine, view: &'a dyn Queryable, options: &'a ReplayOptions) -> Self {
        Self {
            engine,
            view,
            external_labels: &options.external_labels,
            external_url: &options.external_url,
            server_url: Some(&options.external_url),
            annotate_always: false,
        }
    }
}

/// A rule and what it has come to so far.
pub(crate) struct RuleRun<'a> {
    /// The rule's number among all rules.
    pub(crate) number: usize,
    pub(crate) rule: &'a Rule,
    pub(crate) offset_ms: i64,
    limit: i64,
    pub(crate) alerts: Alerts,
    /// The series of the last successful evaluation.
    previous: HashSet<Labels>,
    pub(crate) summary: RuleSummary,
    pub(crate) errors: Vec<RuleError>,
    pub(crate) annotations: Vec<RuleAnnotation>,
    /// The labels that a result's labels become, where they depend on nothing else.
    renamed: HashMap<Labels, Labels>,
    /// Why the last evaluation failed, if it did.
    pub(crate) last_error: Option<String>,
}

impl<'a> RuleRun<'a> {
    pub(crate) fn new(id: RuleId, group: &Group, rule: &'a Rule, offset_ms: i64) -> Self {
        Self {
            number: 0,
            rule,
            offset_ms,
            limit: group.limit,
            alerts: Alerts::default(),
            previous: HashSet::new(),
            summary: RuleSummary { id, ..RuleSummary::default() },
            errors: Vec::new(),
            annotations: Vec::new(),
            renamed: HashMap::new(),
            last_error: None,
        }
    }

    /// Evaluates the expression at a slot and writes what comes of it.
    pub(crate) fn step(&mut self, t_ms: i64, env: &Environment<'_>) -> Vec<Written> {
        let result = instant(env, &self.rule.expr, t_ms - self.offset_ms);
        let result = result.map(|(vector, annotations)| {
            self.note(annotations);
            vector
        });
        self.evaluate(t_ms, result, env)
    }

    /// Takes the engine's remarks in, each once.
    pub(crate) fn note(&mut self, annotations: Vec<Annotation>) {
        for annotation in annotations {
            if !self.annotations.iter().any(|a| a.annotation == annotation) {
                self.annotations.push(RuleAnnotation { id: self.summary.id, annotation });
            }
        }
    }

    /// What the rule writes, given the value of its expression.
    pub(crate) fn evaluate(
        &mut self,
        t_ms: i64,
        result: Result<Vec<InstantSample>, String>,
        env: &Environment<'_>,
    ) -> Vec<Written> {
        self.summary.evaluations += 1;
        self.last_error = None;
        let written = result.and_then(|vector| {
            self.summary.with_result += usize::from(!vector.is_empty());
            match &self.rule.kind {
                RuleKind::Recording => self.record(t_ms, vector),
                RuleKind::Alerting(_) => self.alert(t_ms, &vector, env),
            }
        });
        written.unwrap_or_else(|cause| {
            self.fail(t_ms, cause);
            Vec::new()
        })
    }

    /// Writes an evaluation's samples, then stale markers for the series that it no longer has.
    pub(crate) fn commit(&mut self, t_ms: i64, written: Vec<Written>, overlay: &mut Overlay) {
        if self.last_error.is_some() {
            return;
        }
        let mut returned = HashSet::new();
        for (labels, at_ms, value) in written {
            match overlay.append_by(self.number, &labels, at_ms, &value) {
                Ok(()) => {
                    self.summary.samples += 1;
                    returned.insert(labels);
                }
                Err(cause) => self.fail(t_ms, format!("{cause}: {labels}")),
            }
        }
        for gone in self.previous.difference(&returned) {
            // Another rule may write the series by now; then no marker is due.
            let _ = overlay.append_by(self.number, gone, t_ms - self.offset_ms, &Value::Float(stale_nan()));
        }
        self.previous = returned;
    }

    /// Counts a failed evaluation.
    pub(crate) fn fail(&mut self, t_ms: i64, message: String) {
        if self.last_error.is_none() {
            self.summary.failures += 1;
        }
        self.note_error(t_ms, t_ms, 1, message);
    }

    /// Counts evaluations that could not be: `count` of them, from the first to the last.
    pub(crate) fn fail_at(&mut self, first_ms: i64, last_ms: i64, count: usize, message: String) {
        self.summary.evaluations += count;
        self.summary.failures += count;
        self.note_error(first_ms, last_ms, count, message);
    }

    fn note_error(&mut self, first_ms: i64, last_ms: i64, count: usize, message: String) {
        self.last_error = Some(message.clone());
        match self.errors.last_mut() {
            Some(last) if last.message == message => {
                last.last_ms = last_ms;
                last.count += count;
            }
            _ => {
                let id = self.summary.id;
                self.errors.push(RuleError { id, first_ms, last_ms, count, message });
            }
        }
    }

    /// The labels under which a recording rule writes an element.
    pub(crate) fn recorded_labels(&mut self, labels: &Labels) -> Labels {
        if let Some(done) = self.renamed.get(labels) {
            return done.clone();
        }
        let mut builder = labels.to_builder();
        builder.set(METRIC_NAME, &self.rule.name);
        for (name, value) in &self.rule.labels {
            builder.set(name, value);
        }
        let done = builder.build();
        self.renamed.insert(labels.clone(), done.clone());
        done
    }

    fn record(&mut self, t_ms: i64, vector: Vec<InstantSample>) -> Result<Vec<Written>, String> {
        let at_ms = t_ms - self.offset_ms;
        let count = vector.len();
        let mut written = Vec::with_capacity(count);
        for sample in vector {
            written.push((self.recorded_labels(&sample.labels), at_ms, sample.value));
        }
        let mut labels: Vec<_> = written.iter().map(|w| &w.0).collect();
        labels.sort_unstable();
        if labels.windows(2).any(|w| w[0] == w[1]) {
            return Err(DUPLICATE_SERIES.to_owned());
        }
        self.check_limit(count)?;
        Ok(written)
    }

    /// Whether a recording rule may write as many series.
    pub(crate) fn check_limit(&self, count: usize) -> Result<(), String> {
        if self.limit > 0 && count as i64 > self.limit {
            return Err(format!("exceeded limit of {} with {count} series", self.limit));
        }
        Ok(())
    }

    /// Whether nothing is active and nothing is due, so that an empty result changes nothing.
    pub(crate) fn is_idle(&self) -> bool {
        self.alerts.active.is_empty() && self.previous.is_empty()
    }

    fn alert(
        &mut self,
        t_ms: i64,
        vector: &[InstantSample],
        env: &Environment<'_>,
    ) -> Result<Vec<Written>, String> {
        let RuleKind::Alerting(alerting) = &self.rule.kind else { return Ok(Vec::new()) };
        let constant = alerting.label_templates.iter().all(template::Template::is_literal);
        let mut elements = Vec::with_capacity(vector.len());
        for (index, sample) in vector.iter().enumerate() {
            let labels = match self.renamed.get(&sample.labels).filter(|_| constant) {
                Some(done) => done.clone(),
                None => {
                    let done = self.alert_labels(t_ms, sample, env);
                    if constant {
                        self.renamed.insert(sample.labels.clone(), done.clone());
                    }
                    done
                }
            };
            elements.push(Element { labels, value: float(&sample.value), index });
        }
        let terms = Terms {
            id: self.summary.id,
            name: &self.rule.name,
            labels: &self.rule.labels,
            for_ms: alerting.for_ms,
            keep_firing_for_ms: alerting.keep_firing_for_ms,
            limit: self.limit,
            annotate_always: env.annotate_always,
            less_is_worse: less_is_worse(&self.rule.expr),
        };
        let mut annotate = |index: usize| {
            let sample = &vector[index];
            let names = alerting.annotations.iter().map(|(n, _)| n.clone());
            let texts = alerting.annotation_templates.iter().map(|t| expand(t, t_ms, sample, env));
            // An annotation that expands to nothing is there all the same.
            names.zip(texts).collect()
        };
        self.alerts.evaluate(terms, t_ms, t_ms - self.offset_ms, elements, &mut annotate)
    }

    /// The labels of an element's alert.
    fn alert_labels(&self, t_ms: i64, sample: &InstantSample, env: &Environment<'_>) -> Labels {
        let mut builder = sample.labels.to_builder();
        builder.del(METRIC_NAME);
        if let RuleKind::Alerting(alerting) = &self.rule.kind {
            for ((name, _), template) in self.rule.labels.iter().zip(&alerting.label_templates) {
                builder.set(name, &expand(template, t_ms, sample, env));
            }
        }
        builder.set("alertname", &self.rule.name);
        builder.build()
    }
}

/// Whether an expression asks for values below a threshold, of which the smallest is the worst.
fn less_is_worse(expr: &Expr) -> bool {
    let Expr::Binary(binary) = expr.unparen() else { return false };
    let is_flipped = binary.lhs.value_type() == ValueType::Scalar;
    match binary.op {
        BinaryOp::Lss | BinaryOp::Lte => !is_flipped,
        BinaryOp::Gtr | BinaryOp::Gte => is_flipped,
        // Of `a < 1 and b > 2` the left side has the values.
        BinaryOp::And | BinaryOp::Or | BinaryOp::Unless => less_is_worse(&binary.lhs),
        _ => false,
    }
}

/// What Prometheus says where a recording rule writes a series twice.
pub(crate) const DUPLICATE_SERIES: &str =
    "vector contains metrics with the same labelset after applying rule labels";

/// The value that an alert shows; that of a histogram is 0, as in Prometheus.
fn float(value: &Value) -> f64 {
    match value {
        Value::Float(f) => *f,
        Value::Histogram(_) => 0.0,
    }
}

fn template_value(value: &Value) -> template::Value {
    match value {
        Value::Float(f) => template::Value::Float(*f),
        Value::Histogram(h) => template::Value::Histogram(h.clone()),
    }
}

fn expand(template: &template::Template, t_ms: i64, sample: &InstantSample, env: &Environment<'_>) -> String {
    let query = |text: &str| {
        let expr = assay_promql::parse(text).map_err(|e| e.to_string())?;
        let (vector, _) = instant(env, &expr, t_ms)?;
        Ok(vector.into_iter().map(|s| (s.labels, template_value(&s.value))).collect())
    };
    let context = template::Context { t_ms, external_url: env.server_url, query: &query };
    let data = template::Data {
        labels: &sample.labels,
        external_labels: env.external_labels,
        external_url: env.external_url,
        value: template_value(&sample.value),
    };
    template.expand(&data, &context)
}

/// An expression's value at a time, as a vector: a scalar is one sample without labels.
pub(crate) fn instant(
    env: &Environment<'_>,
    expr: &assay_promql::Expr,
    t_ms: i64,
) -> Result<(Vec<InstantSample>, Vec<Annotation>), String> {
    let result = env.engine.instant(env.view, expr, t_ms).map_err(|e| e.to_string())?;
    let vector = match result.value {
        QueryValue::Vector(vector) => vector,
        QueryValue::Scalar(t_ms, v) => {
            vec![InstantSample { labels: Labels::empty(), t_ms, value: Value::Float(v) }]
        }
        QueryValue::String(..) | QueryValue::Matrix(_) => {
            return Err("rule result is not a vector or scalar".to_owned());
        }
    };
    Ok((vector, result.annotations))
}

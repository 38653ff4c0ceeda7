//! What to do about a missed objective, from the run itself. Invariant: every sentence states a measured
//! figure of the judged window; where nothing is found, nothing is said.

use assay_model::{Value, duration};

use crate::{
    source::{Source, SourceError, one_number, samples},
    units,
    verdict::{ObjectiveRow, Window},
};

/// Sentences on a row that failed, most likely cause first.
pub(super) fn advise(
    row: &ObjectiveRow,
    window: &Window,
    source: &dyn Source,
) -> Result<Vec<String>, SourceError> {
    if row.value.is_none() {
        return Ok(Vec::new());
    }
    let seen = Evidence { window, source, range: duration::format_ms(window.len_ms()) };
    let finders: &[Finder] = match topic(row) {
        // A stage's own latency is not explained by which stage is the slowest.
        Topic::Time if row.category == "stages" => &[model_queue, busy_cpu, late_generator],
        Topic::Time => &[dominant_stage, model_queue, queueing, busy_cpu, late_generator, error_classes],
        Topic::Errors => &[error_classes, failed_checks, busy_cpu],
        Topic::Throughput => &[dropped, late_generator, dominant_stage, model_queue, busy_cpu, error_classes],
        Topic::Resources if row.measure.contains("cpu") => &[busy_processes],
        Topic::Resources => &[large_processes],
    };
    let mut found = Vec::new();
    for finder in finders {
        found.extend(finder(&seen)?);
    }
    Ok(found)
}

/// Looks for one cause and says it in a sentence.
type Finder = fn(&Evidence<'_>) -> Result<Option<String>, SourceError>;

enum Topic {
    Time,
    Errors,
    Throughput,
    Resources,
}

/// What an objective is about: its category where it is one of ours, else its unit.
fn topic(row: &ObjectiveRow) -> Topic {
    match row.category.as_str() {
        "latency" | "stages" => Topic::Time,
        "errors" | "availability" => Topic::Errors,
        "throughput" => Topic::Throughput,
        "resources" | "cpu" | "memory" | "gpu" => Topic::Resources,
        _ => match row.unit.as_str() {
            "s" | "ms" => Topic::Time,
            "percent" | "ratio" => Topic::Errors,
            _ => Topic::Throughput,
        },
    }
}

struct Evidence<'a> {
    window: &'a Window,
    source: &'a dyn Source,
    range: String,
}

impl Evidence<'_> {
    /// Label values and numbers of an expression at the window's end, largest first; `[RANGE]` is its length.
    fn ranked(&self, expression: &str) -> Result<Vec<(Vec<String>, f64)>, SourceError> {
        let expression = expression.replace("RANGE", &self.range);
        let mut list: Vec<_> = samples(self.source.instant(&expression, self.window.end_ms)?)
            .into_iter()
            .filter_map(|s| match s.value {
                Value::Float(v) if v.is_finite() => {
                    Some((s.labels.iter().map(|(_, v)| v.to_owned()).collect(), v))
                }
                _ => None,
            })
            .collect();
        list.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok(list)
    }

    fn number(&self, expression: &str) -> Result<Option<f64>, SourceError> {
        one_number(self.source, &expression.replace("RANGE", &self.range), self.window.end_ms)
    }
}

fn dominant_stage(seen: &Evidence<'_>) -> Result<Option<String>, SourceError> {
    let stages =
        seen.ranked("sum by (stage) (histogram_sum(increase(rag_stage_duration_seconds[RANGE]))) > 0")?;
    let total: f64 = stages.iter().map(|(_, v)| v).sum();
    let Some((labels, spent)) = stages.first() else { return Ok(None) };
    let stage = labels.first().map_or("", String::as_str);
    let p95 = seen.number(&format!(
        "histogram_quantile(0.95, sum(increase(rag_stage_duration_seconds{{stage=\"{stage}\"}}[RANGE])))"
    ))?;
    let p95 = p95.map_or_else(String::new, |v| format!(" (p95 {})", units::quantity(v, "s")));
    Ok(Some(format!(
        "The stage {stage:?} takes {} of the service's time{p95}: start there.",
        units::quantity(spent / total, "ratio")
    )))
}

fn model_queue(seen: &Evidence<'_>) -> Result<Option<String>, SourceError> {
    let waiting = seen.number(
        "sum(avg_over_time(rag_llm_queued[RANGE])) > 0.5 or sum(avg_over_time(vllm:num_requests_waiting[RANGE])) > 0.5",
    )?;
    let slots = seen.number("sum(max_over_time(rag_llm_slots[RANGE]))")?;
    Ok(waiting.map(|n| {
        let of =
            slots.map_or_else(|| "a slot".to_owned(), |s| format!("one of the {} slots", units::digits(s)));
        format!("On average {} requests wait for {of} of the model: it is the bottleneck.", units::digits(n))
    }))
}

fn queueing(seen: &Evidence<'_>) -> Result<Option<String>, SourceError> {
    let p99 = |metric: &str| format!("histogram_quantile(0.99, sum(increase({metric}[RANGE])))");
    let planned = seen.number(&p99("load_request_latency_seconds"))?;
    let sent = seen.number(&p99("http_client_request_duration_seconds"))?;
    Ok(match (planned, sent) {
        (Some(planned), Some(sent)) if planned > 1.5 * sent => Some(format!(
            "Counted from the scheduled instant, p99 is {}, against {} from the send: requests wait for a free \
             user before they are sent.",
            units::quantity(planned, "s"),
            units::quantity(sent, "s")
        )),
        _ => None,
    })
}

fn busy_cpu(seen: &Evidence<'_>) -> Result<Option<String>, SourceError> {
    let hosts = seen.ranked(
        "1 - sum by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[RANGE])) \
         / sum by (instance) (rate(node_cpu_seconds_total[RANGE])) > 0.7",
    )?;
    Ok(hosts.first().map(|(labels, busy)| {
        let host = labels.first().map_or("the host", String::as_str);
        format!(
            "The processors of {host} are {} busy: latency contains time spent waiting for one.",
            units::quantity(*busy, "ratio")
        )
    }))
}

fn late_generator(seen: &Evidence<'_>) -> Result<Option<String>, SourceError> {
    let lag =
        seen.number("histogram_quantile(0.99, sum(increase(load_schedule_lag_seconds[RANGE]))) > 0.05")?;
    Ok(lag.map(|v| {
        format!(
            "The generator itself started requests up to {} late (p99): give it more workers or a host of its own.",
            units::quantity(v, "s")
        )
    }))
}

fn dropped(seen: &Evidence<'_>) -> Result<Option<String>, SourceError> {
    let count = seen.number("sum(increase(load_iterations_dropped_total[RANGE])) > 0")?;
    Ok(count.map(|v| {
        format!(
            "{} iterations were dropped because no user was free: raise the number of users.",
            units::digits(v.round())
        )
    }))
}

fn error_classes(seen: &Evidence<'_>) -> Result<Option<String>, SourceError> {
    let classes = seen.ranked(
        "sum by (error_type) (histogram_count(increase(\
         http_client_request_duration_seconds{error_type!=\"\"}[RANGE]))) > 0",
    )?;
    let total: f64 = classes.iter().map(|(_, v)| v).sum();
    if classes.is_empty() {
        return Ok(None);
    }
    let parts: Vec<_> = classes
        .iter()
        .take(4)
        .map(|(labels, v)| {
            format!("{} {}", labels.first().map_or("?", String::as_str), units::quantity(v / total, "ratio"))
        })
        .collect();
    let steps = seen.ranked(
        "sum by (load_step) (histogram_count(increase(\
         http_client_request_duration_seconds{error_type!=\"\"}[RANGE]))) > 0",
    )?;
    let place = steps
        .first()
        .and_then(|(labels, _)| labels.first())
        .map_or_else(String::new, |s| format!(", most of them in step {s:?}"));
    Ok(Some(format!(
        "About {} requests failed{place}: {}.",
        units::digits(total.round().max(1.0)),
        parts.join(", ")
    )))
}

fn failed_checks(seen: &Evidence<'_>) -> Result<Option<String>, SourceError> {
    let checks = seen.ranked("sum by (check) (increase(load_checks_total{result=\"fail\"}[RANGE])) > 0")?;
    Ok(checks.first().map(|(labels, v)| {
        format!(
            "The check {:?} failed {} times: compare one response with it.",
            labels.first().map_or("?", String::as_str),
            units::digits(v.round().max(1.0))
        )
    }))
}

fn busy_processes(seen: &Evidence<'_>) -> Result<Option<String>, SourceError> {
    let busy = seen.number("sum(rate(node_cpu_seconds_total{mode!=\"idle\"}[RANGE]))")?;
    let all = seen.number("count(node_cpu_seconds_total{mode=\"idle\"})")?;
    let (Some(busy), Some(all)) = (busy, all) else { return Ok(None) };
    let jobs = seen.ranked("sum by (job) (rate(process_cpu_seconds_total[RANGE])) > 0.005")?;
    let parts = list(&jobs, &units::digits);
    let known: f64 = jobs.iter().map(|(_, v)| v).sum();
    let rest = if known < 0.7 * busy { "; the rest is other programs on the host" } else { "" };
    let parts = if parts.is_empty() { "no scraped process uses them".to_owned() } else { parts };
    Ok(Some(format!("{} of {} processors are busy: {parts}{rest}.", units::digits(busy), units::digits(all))))
}

fn large_processes(seen: &Evidence<'_>) -> Result<Option<String>, SourceError> {
    let jobs = seen.ranked("sum by (job) (max_over_time(process_resident_memory_bytes[RANGE]))")?;
    let parts = list(&jobs, &|v| units::quantity(v, "bytes"));
    Ok((!parts.is_empty()).then(|| format!("The largest processes: {parts}.")))
}

/// The first three, as `name figure, …`.
fn list(ranked: &[(Vec<String>, f64)], figure: &dyn Fn(f64) -> String) -> String {
    let parts: Vec<_> = ranked
        .iter()
        .take(3)
        .map(|(labels, v)| format!("{} {}", labels.first().map_or("?", String::as_str), figure(*v)))
        .collect();
    parts.join(", ")
}

//! The series that the HTML report draws. Invariant: a chart without data is left out, so that a report of any
//! Prometheus data shows what there is.

use std::collections::BTreeMap;

use assay_model::{Matcher, duration};
use serde::Serialize;

use crate::{
    histogram::{Histogram, REQUESTS},
    parallel,
    sla::Sla,
    source::{Source, SourceError, numbers, one_number, samples, series},
    verdict::{ObjectiveRow, RunInfo},
};

/// How many lines a chart has at most.
const MOST_LINES: usize = 12;

mod catalogue;
mod growing;
mod heat;

use catalogue::{PLOTS, Plot};
pub use growing::Growing;
pub use heat::Heat;

/// All that is drawn.
#[derive(Clone, Debug, Default)]
pub struct Charts {
    /// In the order shown.
    pub plots: Vec<Chart>,
    /// How each objective's measured value went over time.
    pub trends: Vec<Trend>,
    /// How often the step that was asked most took how long.
    pub heat: Option<Heat>,
}

/// One chart.
#[derive(Clone, Debug, Serialize)]
pub struct Chart {
    /// A name for the page.
    pub id: String,
    /// The heading.
    pub title: String,
    /// The unit of all values.
    pub unit: String,
    /// A remark below, or empty.
    pub note: String,
    /// At least one.
    pub lines: Vec<Line>,
    /// Limits from the SLA, with the objective's name.
    pub limits: Vec<(f64, String)>,
}

/// One line of a chart.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The legend.
    pub name: String,
    /// Milliseconds since the Unix epoch and value, ascending; only numbers.
    pub points: Vec<(i64, f64)>,
}

/// An objective's measured value over sliding windows.
#[derive(Clone, Debug)]
pub struct Trend {
    sla: String,
    objective: String,
    labels: Vec<(String, String)>,
    points: Vec<(i64, f64)>,
}

impl Charts {
    /// The trend of a row's series.
    #[must_use]
    pub fn trend_of(&self, row: &ObjectiveRow) -> Option<&[(i64, f64)]> {
        self.trends
            .iter()
            .find(|t| t.sla == row.sla && t.objective == row.name && t.labels == row.labels)
            .map(|t| t.points.as_slice())
    }
}

/// How the run is sampled for drawing.
#[derive(Clone, Copy, Debug)]
struct Sampling {
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
    /// The length of rate windows.
    window_ms: i64,
    /// How far samples are apart, about.
    interval_ms: i64,
}

/// Queries everything that is drawn for a run.
///
/// # Errors
/// Where the source cannot be read.
pub fn query(run: &RunInfo, slas: &[Sla], source: &dyn Source) -> Result<Charts, SourceError> {
    let Some(sampling) = sampling(run, source)? else { return Ok(Charts::default()) };
    let mut charts = around_plots(run, sampling, slas, source)?;
    let starts = starts(source, sampling.end_ms)?;
    let plots = parallel::each(PLOTS, |plot| chart(plot, sampling, &starts, slas, source))?;
    charts.plots = plots.into_iter().flatten().collect();
    Ok(charts)
}

/// What is drawn in addition to the plots: trends, and how long requests took.
///
/// # Errors
/// Where the source cannot be read.
pub fn around(run: &RunInfo, slas: &[Sla], source: &dyn Source) -> Result<Charts, SourceError> {
    match sampling(run, source)? {
        Some(sampling) => around_plots(run, sampling, slas, source),
        None => Ok(Charts::default()),
    }
}

fn around_plots(
    run: &RunInfo,
    sampling: Sampling,
    slas: &[Sla],
    source: &dyn Source,
) -> Result<Charts, SourceError> {
    let mut charts = Charts::default();
    if let Some((step, matcher)) = subject(run.start_ms, run.end_ms, source)? {
        charts.heat = heat::query(run, &step, &matcher, sampling, source)?;
    }
    let objectives: Vec<_> =
        slas.iter().flat_map(|sla| sla.objectives.iter().map(move |o| (sla, o))).collect();
    let found = parallel::each(&objectives, |(sla, objective)| trends(sla, objective, sampling, source))?;
    charts.trends = found.into_iter().flatten().collect();
    Ok(charts)
}

/// About 240 points, and rate windows of at least four samples; `None` for a run without length.
fn sampling(run: &RunInfo, source: &dyn Source) -> Result<Option<Sampling>, SourceError> {
    let length_ms = run.end_ms - run.start_ms;
    if length_ms <= 0 {
        return Ok(None);
    }
    let step_ms = (length_ms / 240 / 1000 * 1000).max(1000);
    let range = duration::format_ms(length_ms);
    let mut interval_ms = 15_000;
    for metric in ["up", "load_users"] {
        let count = one_number(source, &format!("max(count_over_time({metric}[{range}]))"), run.end_ms)?;
        if let Some(count) = count.filter(|c| *c > 1.0) {
            interval_ms = (length_ms as f64 / (count - 1.0)).round() as i64;
            break;
        }
    }
    let window_ms = (length_ms / 20).clamp(5_000, 300_000).max(4 * interval_ms).max(step_ms);
    Ok(Some(Sampling {
        start_ms: run.start_ms,
        end_ms: run.end_ms,
        step_ms,
        window_ms: (window_ms + 999) / 1000 * 1000,
        interval_ms,
    }))
}

fn chart(
    plot: &Plot,
    sampling: Sampling,
    starts: &Starts,
    slas: &[Sla],
    source: &dyn Source,
) -> Result<Option<Chart>, SourceError> {
    let window = duration::format_ms(sampling.window_ms);
    let (subject, only) = match plot.has_subject {
        true => match subject(sampling.start_ms, sampling.end_ms, source)? {
            Some(found) => found,
            None => return Ok(None),
        },
        false => Default::default(),
    };
    let mut lines = Vec::new();
    for (legend, query) in plot.lines {
        let expression = query.expression(sampling.window_ms, &only);
        let result = source.range(&expression, sampling.start_ms, sampling.end_ms, sampling.step_ms)?;
        for one in series(result) {
            let points = points(&one.samples.times, &one.samples.values);
            if !is_idle(legend, &points) {
                lines.push(Line { name: fill_legend(legend, &one.labels), points });
            }
        }
    }
    if plot.by_process {
        lines = one_line_a_process(lines, starts);
    }
    Ok(finished(plot, &subject, &window, slas, lines))
}

/// When the process of each job started, in seconds since the Unix epoch, of jobs with one process.
type Starts = BTreeMap<String, f64>;

fn starts(source: &dyn Source, t_ms: i64) -> Result<Starts, SourceError> {
    let expression = "max by (job) (last_over_time(process_start_time_seconds[5m])) and count by (job) (last_over_time(process_start_time_seconds[5m])) == 1";
    let found = numbers(source.instant(expression, t_ms)?);
    Ok(found.map(|(labels, v)| (labels.get("job").unwrap_or_default().to_owned(), v)).collect())
}

/// Jobs that are parts of one process, which started at one instant and have the same figures, as one line.
fn one_line_a_process(lines: Vec<Line>, starts: &Starts) -> Vec<Line> {
    let last = |line: &Line| line.points.last().map(|p| p.1);
    let mut out: Vec<(Line, Option<f64>)> = Vec::new();
    for line in lines {
        let start = starts.get(&line.name).copied();
        let same = |(other, other_start): &&mut (Line, Option<f64>)| {
            let near = |a: f64, b: f64| (a - b).abs() <= 0.05 * a.abs().max(b.abs()) + 1e-3;
            start.is_some()
                && start == *other_start
                && last(&line).zip(last(other)).is_some_and(|(a, b)| near(a, b))
        };
        match out.iter_mut().find(same) {
            Some((known, _)) => known.name = format!("{}, {}", known.name, line.name),
            None => out.push((line, start)),
        }
    }
    out.into_iter().map(|(line, _)| line).collect()
}

/// What could be and never was, such as a class of errors, is no line.
fn is_idle(legend: &str, points: &[(i64, f64)]) -> bool {
    legend.starts_with('{') && points.iter().all(|p| p.1 == 0.0)
}

/// The chart of these lines, if there is anything to see.
fn finished(plot: &Plot, subject: &str, window: &str, slas: &[Sla], lines: Vec<Line>) -> Option<Chart> {
    let (lines, left_out) = highest(lines);
    let has_data = lines.iter().any(|l| plot.keep_zero || l.points.iter().any(|p| p.1 != 0.0));
    has_data.then(|| Chart {
        id: plot.id.to_owned(),
        title: plot.title.replace("SUBJECT", subject),
        unit: plot.unit.to_owned(),
        note: plot.note.replace("WINDOW", window) + &left_out,
        limits: limits(plot, subject, slas),
        lines,
    })
}

/// The lines that a chart has room for, and what is to be said of the others.
fn highest(mut lines: Vec<Line>) -> (Vec<Line>, String) {
    let count = lines.len();
    if count <= MOST_LINES {
        return (lines, String::new());
    }
    let top = |line: &Line| line.points.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
    lines.sort_by(|a, b| top(b).total_cmp(&top(a)));
    lines.truncate(MOST_LINES);
    (lines, format!(" The {MOST_LINES} highest of {count} are drawn."))
}

/// The step that is asked most, and the matcher that selects it.
fn subject(start_ms: i64, end_ms: i64, source: &dyn Source) -> Result<Option<(String, String)>, SourceError> {
    let range = duration::format_ms(end_ms - start_ms);
    let expression = format!("topk(1, {})", Histogram { by: "load_step", ..REQUESTS }.count());
    let found = samples(source.instant(&expression.replace("RANGE", &range), end_ms)?);
    let label = found.first().and_then(|s| s.labels.iter().next());
    Ok(label.map(|(name, value)| (value.to_owned(), Matcher::equal(name, value).to_string())))
}

/// The limits of objectives on the same metric and in the same unit.
fn limits(plot: &Plot, subject: &str, slas: &[Sla]) -> Vec<(f64, String)> {
    let Some(metric) = plot.limits_of else { return Vec::new() };
    let mut found = Vec::new();
    for objective in slas.iter().flat_map(|s| &s.objectives) {
        let about = objective.unit == plot.unit
            && objective.require.metrics().first().is_some_and(|m| m == metric)
            && (subject.is_empty() || objective.require.text.contains(&format!("\"{subject}\"")));
        if let (true, Ok(limit)) = (about, objective.require.limit(1).parse::<f64>()) {
            found.push((limit, objective.name.clone()));
        }
    }
    found
}

fn trends(
    sla: &Sla,
    objective: &crate::sla::Objective,
    sampling: Sampling,
    source: &dyn Source,
) -> Result<Vec<Trend>, SourceError> {
    let measure = objective.require.measure(sampling.window_ms);
    // A trend is an inch wide: sixty points are enough.
    let step_ms = ((sampling.end_ms - sampling.start_ms) / 60).max(sampling.step_ms);
    let result = source.range(&measure, sampling.start_ms, sampling.end_ms, step_ms)?;
    Ok(series(result)
        .into_iter()
        .map(|one| Trend {
            sla: sla.name.clone(),
            objective: objective.name.clone(),
            labels: one.labels.to_pairs(),
            points: points(&one.samples.times, &one.samples.values),
        })
        .filter(|t| !t.points.is_empty())
        .collect())
}

fn points(times: &[i64], values: &[f64]) -> Vec<(i64, f64)> {
    times.iter().copied().zip(values.iter().copied()).filter(|(_, v)| v.is_finite()).collect()
}

fn fill_legend(legend: &str, labels: &assay_model::Labels) -> String {
    let filled = labels
        .iter()
        .fold(legend.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value));
    // A label that the series lacks leaves its placeholder: without it the legend reads better.
    match filled.find('{') {
        Some(_) if labels.is_empty() => "all".to_owned(),
        _ => filled,
    }
}

#[cfg(any(test, feature = "testing"))]
impl Trend {
    /// A trend for the tests of what draws it.
    pub(crate) fn new(row: &ObjectiveRow, points: Vec<(i64, f64)>) -> Self {
        Self { sla: row.sla.clone(), objective: row.name.clone(), labels: row.labels.clone(), points }
    }
}

#[cfg(test)]
mod tests {
    use assay_model::Labels;
    use assay_run::Run;
    use assay_tsdb::{Head, HeadOptions};

    use super::*;
    use crate::source::RecordedSource;

    fn line(name: &str, values: &[f64]) -> Line {
        Line {
            name: name.to_owned(),
            points: values.iter().enumerate().map(|(i, v)| (i as i64, *v)).collect(),
        }
    }

    #[test]
    fn of_very_many_lines_the_highest_are_drawn() {
        let (lines, note) = highest((0..5_000).map(|i| line(&i.to_string(), &[f64::from(i), 0.0])).collect());
        assert_eq!((lines.len(), lines[0].name.as_str()), (MOST_LINES, "4999"));
        assert!(note.contains("12 highest of 5000"), "{note}");
        let (few, note) = highest(vec![line("a", &[1.0]), line("b", &[2.0])]);
        assert_eq!((few[0].name.as_str(), note.as_str()), ("a", ""));
    }

    #[test]
    fn parts_of_one_process_are_one_line() {
        let starts: Starts = [("demo", 5.0), ("exporter", 5.0), ("other", 5.0), ("late", 9.0)]
            .map(|(job, start)| (job.to_owned(), start))
            .into();
        let names = |lines: Vec<Line>| -> Vec<String> {
            one_line_a_process(lines, &starts).into_iter().map(|l| l.name).collect()
        };
        let lines = vec![
            line("demo", &[1.0, 2.0]),
            line("exporter", &[1.0, 2.01]),
            line("other", &[9.0, 9.0]),
            line("late", &[1.0, 2.0]),
            line("unknown", &[1.0, 2.0]),
        ];
        assert_eq!(names(lines), ["demo, exporter", "other", "late", "unknown"]);
    }

    /// A minute of a generator whose histograms came by classic buckets.
    #[test]
    fn classic_histograms_are_drawn_as_native_ones_are() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut head = Head::create(&dir.path().join("data"), HeadOptions::default()).expect("begins");
        let (start_ms, end_ms) = (1_700_000_000_000, 1_700_000_060_000);
        let labels = |name: &str, le: Option<&str>| {
            let own = [("__name__", name), ("job", "loadgen"), ("load_step", "query")];
            Labels::from_pairs(own.into_iter().chain(le.map(|le| ("le", le))))
        };
        for second in 0..=60 {
            let (t_ms, count) = (start_ms + second * 1000, second as f64 * 10.0);
            let mut put = |name: &str, le: Option<&str>, v: f64| {
                head.append(&labels(&format!("http_client_request_duration_seconds{name}"), le), t_ms, v)
                    .expect("appends");
            };
            put("_count", None, count);
            put("_sum", None, count * 0.2);
            for (le, share) in [("0.1", 0.2), ("0.25", 0.9), ("0.5", 1.0), ("+Inf", 1.0)] {
                put("_bucket", Some(le), count * share);
            }
            head.append(&labels("load_users", None), t_ms, 5.0).expect("appends");
        }
        head.finish().expect("finishes");
        let run = Run::open(dir.path()).expect("opens");
        let info = RunInfo { start_ms, end_ms, ..RunInfo::default() };
        let found = query(&info, &[], &RecordedSource::new(&run.database)).expect("draws");
        let line = |id: &str, name: &str| {
            let chart = found.plots.iter().find(|p| p.id == id).unwrap_or_else(|| panic!("no chart {id}"));
            let line =
                chart.lines.iter().find(|l| l.name == name).unwrap_or_else(|| panic!("no line {name}"));
            line.points.last().expect("has points").1
        };
        assert!((line("throughput", "requests") - 10.0).abs() < 1.0);
        assert!((line("users", "in flight") - 2.0).abs() < 0.2);
        assert!((0.1..0.25).contains(&line("latency", "p50")));
        let heat = found.heat.expect("is drawn");
        let last = &heat.columns.last().expect("has columns").1;
        assert!(heat.step == "query" && last.iter().sum::<f64>() > 1.0, "{heat:?}");
    }
}

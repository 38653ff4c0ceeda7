//! The verdict as one HTML file. Invariant: the file needs nothing from the network and holds the verdict's
//! JSON, so that it can be archived alone.

use assay_text::document;
use minijinja::{AutoEscape, Environment, Value, context, escape_formatter, value::Serde};
use serde::Serialize;

use assay_verdict::{
    charts::{Chart, Charts},
    findings::Confidence,
    units,
    verdict::{AlertInstance, AlertRow, ObjectiveRow, PhaseInfo, Status, Verdict},
};

pub mod compare;
mod heat;
pub mod history;
mod plot;
pub mod runs;
mod strip;
mod tables;

use plot::Frame;

const TEMPLATE: &str = include_str!("html/report.html");

/// The style of the pages over a folder of runs, which their templates name `style`.
const STYLE: &str = include_str!("html/pages.css");

/// Why the report could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTML template does not render: {0}")]
pub struct HtmlError(#[from] minijinja::Error);

/// The report as a whole document.
///
/// # Errors
/// Where the template is broken, which a test rules out.
pub fn render(verdict: &Verdict, charts: &Charts) -> Result<String, HtmlError> {
    page(verdict, charts, false)
}

/// The page of a run in progress, which asks `events` next to it for what changes (see [`parts`]).
///
/// # Errors
/// As [`render`].
pub fn render_in_progress(verdict: &Verdict, charts: &Charts) -> Result<String, HtmlError> {
    page(verdict, charts, true)
}

/// The parts of a page that change while a run is in progress: their names and what is in them.
pub fn parts(page: &str) -> impl Iterator<Item = (&str, &str)> {
    page.split("<div data-part=\"").skip(1).filter_map(|rest| {
        let (name, rest) = rest.split_once("\"><!--part-->")?;
        Some((name, rest.split_once("<!--/part-->")?.0))
    })
}

fn page(verdict: &Verdict, charts: &Charts, live: bool) -> Result<String, HtmlError> {
    let env = environment("report", TEMPLATE)?;
    let frame =
        Frame { start_ms: verdict.run.start_ms, end_ms: verdict.run.end_ms, phases: &verdict.run.phases };
    // What a page in progress has of it is in its parts.
    let embedded = if live { None } else { Some(verdict) };
    let json = serde_json::to_string(&embedded).unwrap_or_default();
    let drawn: Vec<_> = charts.plots.iter().map(|c| drawn(c, &frame)).collect();
    let page = env.get_template("report")?.render(context! {
        status => verdict.status.as_str(),
        headline => headline(verdict, live),
        live => live,
        summary => &*verdict.summary,
        name => verdict.run.scenario.as_deref().unwrap_or(&verdict.run.source),
        started => units::timestamp(verdict.run.start_ms).replace('T', " ").replace('Z', " UTC"),
        length => units::length(verdict.run.end_ms - verdict.run.start_ms),
        cut_short => super::cut_short(verdict),
        problems => Serde(&verdict.problems),
        findings => Serde(findings(verdict)),
        notes => Serde(&verdict.notes),
        groups => Serde(groups(verdict, charts, &frame)),
        phases => phases(&verdict.run.phases),
        phase_marks => strip::phase_marks(&frame),
        alerts => Serde(timeline(verdict, &frame)),
        quiet => quiet(verdict),
        charts => drawn,
        heat => charts.heat.as_ref().map(|h| heat::drawn(h, &frame)),
        tables => Serde(tables::of(&verdict.tables)),
        data => raw(&serde_json::to_string(&charts.plots).unwrap_or_default()),
        facts => Serde(facts(&verdict.run.manifest)),
        slas => Serde(&verdict.slas),
        tool => Serde(&verdict.tool),
        source => &*verdict.run.source,
        json => raw(&json),
    })?;
    Ok(document(page))
}

/// The outcome in a word or two; a run in which nothing was decided yet is running.
fn headline(verdict: &Verdict, live: bool) -> String {
    let is_decided = match verdict.status {
        Status::Pass => verdict.objective_counts().pass > 0,
        Status::Fail => true,
        Status::Inconclusive | Status::Skipped => false,
    };
    match (live, is_decided) {
        (false, _) => super::headline(verdict),
        (true, true) => format!("{} so far", super::headline(verdict)),
        (true, false) => "RUNNING".to_owned(),
    }
}

/// Templates whose values are escaped: for people first, then for HTML, whose escapes would hide a URL.
fn environment<'a>(name: &'a str, template: &'a str) -> Result<Environment<'a>, HtmlError> {
    let mut env = Environment::new();
    env.set_auto_escape_callback(|_| AutoEscape::Html);
    env.set_formatter(|out, state, value| match value.as_str().filter(|_| !value.is_safe()) {
        Some(text) => escape_formatter(out, state, &Value::from(document(text))),
        None => escape_formatter(out, state, value),
    });
    env.add_global("style", Value::from_safe_string(STYLE.to_owned()));
    env.add_template(name, template)?;
    Ok(env)
}

/// JSON that may stand inside a script element: nothing in it can end the element.
fn raw(json: &str) -> Value {
    Value::from_safe_string(json.replace('<', "\\u003c"))
}

#[derive(Serialize)]
struct Found<'a> {
    id: &'a str,
    name: &'a str,
    severity: &'static str,
    confidence: Confidence,
    title: &'a str,
    place: String,
    figures: Vec<Figure<'a>>,
    action: Option<String>,
    against: &'a str,
}

#[derive(Serialize)]
struct Figure<'a> {
    text: String,
    expression: &'a str,
}

/// Every finding, with those that are only worth knowing at the end.
fn findings(verdict: &Verdict) -> Vec<Found<'_>> {
    let found = verdict.findings.iter().map(|f| Found {
        id: &f.id,
        name: &f.name,
        severity: f.severity.as_str(),
        confidence: f.confidence,
        title: &f.title,
        place: match f.span_ms {
            Some((from, to)) => {
                format!("{}, {} to {} UTC", f.window.title(), units::clock(from), units::clock(to))
            }
            None => f.window.title().to_owned(),
        },
        figures: f
            .evidence
            .iter()
            .map(|e| Figure { text: super::figure(e), expression: &e.expression })
            .collect(),
        action: super::finding_action(f),
        against: &f.against,
    });
    found.collect()
}

#[derive(Serialize)]
struct Group {
    name: String,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    status: &'static str,
    mark: &'static str,
    title: String,
    phase: String,
    measured: String,
    required: String,
    reason: String,
    advice: Vec<String>,
    budget: Option<String>,
    notes: Vec<String>,
    description: String,
    expression: String,
    bar: Value,
    trend: Value,
}

/// The rows by category, in the order in which categories first appear.
fn groups(verdict: &Verdict, charts: &Charts, frame: &Frame<'_>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for row in &verdict.objectives {
        let name = if row.category.is_empty() { "objectives" } else { &row.category };
        let item = row_of(row, charts, frame);
        match groups.iter_mut().find(|g| g.name == name) {
            Some(group) => group.rows.push(item),
            None => groups.push(Group { name: name.to_owned(), rows: vec![item] }),
        }
    }
    groups
}

fn row_of(row: &ObjectiveRow, charts: &Charts, frame: &Frame<'_>) -> Row {
    let trend =
        charts.trend_of(row).map_or_else(String::new, |points| strip::trend(points, row.limit, frame));
    Row {
        status: row.status.as_str(),
        mark: super::mark(row.status),
        title: row.title(),
        phase: super::phase(row).to_owned(),
        measured: super::measured(row),
        required: super::required(row),
        reason: if row.status == Status::Pass { String::new() } else { row.reason.clone() },
        advice: row.advice.clone(),
        budget: super::budget_text(row),
        notes: super::row_notes(row),
        description: row.description.clone(),
        expression: row.expression.clone(),
        bar: Value::from_safe_string(strip::bar(row)),
        trend: Value::from_safe_string(trend),
    }
}

#[derive(Serialize)]
struct TimelineRow {
    name: String,
    severity: String,
    status: &'static str,
    when: String,
    summary: String,
    description: String,
    labels: String,
    bar: Value,
}

/// Every stretch in which an alert was pending or firing: what failed the run first, then by severity, then
/// what fired before what was only pending, then by time.
fn timeline(verdict: &Verdict, frame: &Frame<'_>) -> Vec<TimelineRow> {
    let mut all: Vec<(&AlertRow, &AlertInstance)> =
        verdict.alerts.iter().flat_map(|a| a.instances.iter().map(move |i| (a, i))).collect();
    let rank = |severity: &str| ["critical", "warning"].iter().position(|s| *s == severity).unwrap_or(2);
    all.sort_by_key(|(a, i)| {
        let harmless = a.status != Status::Fail || i.phases.is_empty();
        (harmless, rank(&a.severity), i.fired_at_ms.is_none(), i.active_at_ms)
    });
    all.into_iter().map(|(alert, instance)| timeline_row(alert, instance, frame)).collect()
}

fn timeline_row(alert: &AlertRow, instance: &AlertInstance, frame: &Frame<'_>) -> TimelineRow {
    let annotation = |name: &str| {
        instance.annotations.iter().find(|(n, _)| n == name).map_or_else(String::new, |(_, v)| v.clone())
    };
    let labels: Vec<_> = instance
        .labels
        .iter()
        .filter(|(n, _)| n != "alertname" && n != "severity")
        .map(|(n, v)| format!("{n}={v}"))
        .collect();
    let end = instance.ended_at_ms.map_or_else(|| "the end".to_owned(), units::clock);
    let when = match instance.fired_at_ms {
        Some(t) => format!("fired {} to {end}", units::clock(t)),
        None => format!("pending {} to {end}", units::clock(instance.active_at_ms)),
    };
    let failed = alert.status == Status::Fail && !instance.phases.is_empty();
    TimelineRow {
        name: alert.name.clone(),
        severity: alert.severity.clone(),
        status: if failed { "fail" } else { "skipped" },
        when,
        summary: annotation("summary"),
        description: annotation("description"),
        labels: labels.join(" "),
        bar: Value::from_safe_string(strip::alert(instance, &alert.severity, frame)),
    }
}

/// Rules that stayed silent: how many were calm, and the names of those without data.
fn quiet(verdict: &Verdict) -> Value {
    let is_blind = |a: &&AlertRow| matches!(a.status, Status::Inconclusive | Status::Skipped);
    let calm = verdict.alerts.iter().filter(|a| a.instances.is_empty() && !is_blind(a));
    let blind = verdict.alerts.iter().filter(is_blind);
    let name = |a: &AlertRow| context! { name => &*a.name, severity => &*a.severity, reason => &*a.reason };
    context! {
        total => verdict.alerts.len(),
        calm => calm.map(name).collect::<Vec<_>>(),
        blind => blind.map(name).collect::<Vec<_>>(),
    }
}

fn phases(phases: &[PhaseInfo]) -> Vec<Value> {
    phases
        .iter()
        .map(|p| {
            context! {
                name => &*p.name,
                warmup => p.warmup,
                start => units::clock(p.start_ms),
                end => units::clock(p.end_ms),
                length => units::length(p.end_ms - p.start_ms),
            }
        })
        .collect()
}

fn drawn(chart: &Chart, frame: &Frame<'_>) -> Value {
    let legend: Vec<_> = chart
        .lines
        .iter()
        .enumerate()
        .map(|(i, line)| {
            let highest = line.points.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
            context! { colour => i % plot::COLOURS, name => &*line.name, highest => units::quantity(highest, &chart.unit) }
        })
        .collect();
    context! {
        id => &*chart.id,
        title => &*chart.title,
        note => &*chart.note,
        legend => legend,
        svg => Value::from_safe_string(plot::draw(chart, frame)),
    }
}

/// The manifest as pairs of a dotted path and a text; phases have a table of their own.
fn facts(manifest: &serde_json::Value) -> Vec<(String, String)> {
    let mut out = Vec::new();
    flatten("", manifest, &mut out);
    out.retain(|(name, _)| !name.starts_with("phases"));
    out
}

fn flatten(path: &str, value: &serde_json::Value, out: &mut Vec<(String, String)>) {
    use serde_json::Value as Json;
    match value {
        Json::Null => {}
        Json::Object(map) => {
            for (key, inner) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, inner, out);
            }
        }
        Json::Array(items) if items.iter().all(|i| !i.is_object() && !i.is_array()) => {
            let texts: Vec<_> = items.iter().map(scalar).collect();
            out.push((path.to_owned(), texts.join(", ")));
        }
        Json::Array(items) => {
            for (i, inner) in items.iter().enumerate() {
                flatten(&format!("{path}.{i}"), inner, out);
            }
        }
        Json::Number(n) if path.ends_with("_bytes") => {
            let bytes = units::quantity(n.as_f64().unwrap_or_default(), "bytes");
            out.push((path.trim_end_matches("_bytes").to_owned(), bytes));
        }
        Json::Number(n) if path.ends_with("_ms") && n.as_i64().is_some_and(|t| t > 1_000_000_000_000) => {
            out.push((
                path.trim_end_matches("_ms").to_owned(),
                units::timestamp(n.as_i64().unwrap_or_default()),
            ));
        }
        other => out.push((path.to_owned(), scalar(other))),
    }
}

fn scalar(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_verdict::testing;

    #[test]
    fn one_file_without_the_network() {
        let mut verdict = testing::verdict(Status::Fail);
        verdict.objectives[0].name = "</script><b>".to_owned();
        let html = render(&verdict, &testing::charts()).expect("renders");
        assert!(html.contains("FAIL") && html.contains("&lt;&#x2f;script&gt;&lt;b&gt;"), "{html}");
        assert!(!html.contains("</script><b>"), "text from a file must not become markup");
        for outside in ["http://", "https://", "src=", "@import", "url("] {
            let rest = html.replace("http://www.w3.org/2000/svg", "");
            assert!(!rest.contains(outside), "{outside} would reach for the network");
        }
        if let Ok(path) = std::env::var("ASSAY_KEEP_HTML") {
            std::fs::write(path, html).expect("writes");
        }
    }

    #[test]
    fn the_embedded_json_is_the_verdict() {
        let verdict = testing::verdict(Status::Fail);
        let html = render(&verdict, &testing::charts()).expect("renders");
        let start = html.find(r#"id="verdict">"#).expect("is there") + r#"id="verdict">"#.len();
        let end = start + html[start..].find("</script>").expect("ends");
        let back: Verdict = serde_json::from_str(&html[start..end]).expect("is JSON");
        assert_eq!(back, verdict);
    }

    #[test]
    fn a_page_in_progress_is_the_report_in_parts() {
        let (verdict, charts) = (testing::verdict(Status::Fail), testing::charts());
        let report = render(&verdict, &charts).expect("renders");
        let page = render_in_progress(&verdict, &charts).expect("renders");
        let names: Vec<_> = parts(&page).map(|(name, _)| name).collect();
        let want = ["top", "objectives", "findings", "alerts", "charts", "heat", "tables", "run", "series"];
        assert_eq!(names, want);
        assert!(page.contains("FAIL so far") && page.contains("EventSource"), "{page}");
        assert!(!report.contains("so far") && !report.contains("EventSource"), "{report}");
        // Every part but those with the outcome's words is the report's.
        for ((name, now), (_, then)) in parts(&page).zip(parts(&report)) {
            assert!(now == then || ["top", "run"].contains(&name), "{name}");
        }
        let mut early = verdict;
        early.status = Status::Inconclusive;
        assert!(render_in_progress(&early, &charts).expect("renders").contains("RUNNING"));
    }

    #[test]
    fn a_manifest_becomes_pairs() {
        let manifest = serde_json::json!({
            "seed": 7, "host": {"cpus": 2, "os": "Linux"}, "args": ["a", "b"], "phases": [{"name": "x"}],
            "started_at_ms": 1_700_000_000_000_i64, "none": null
        });
        let want = [
            ("args", "a, b"),
            ("host.cpus", "2"),
            ("host.os", "Linux"),
            ("seed", "7"),
            ("started_at", "2023-11-14T22:13:20Z"),
        ];
        let mut got = facts(&manifest);
        got.sort();
        assert_eq!(got, want.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }
}

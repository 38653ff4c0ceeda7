//! The verdict as one HTML file. Invariant: the file needs nothing from the network and holds the verdict's
//! JSON, so that it can be archived alone.

use std::borrow::Cow;

use assay_text::document;
use minijinja::{AutoEscape, Environment, Value, context, escape_formatter, value::Serde};

use assay_verdict::{
    charts::{Chart, Charts},
    units,
    verdict::{PhaseInfo, Status, Verdict},
};

mod about;
mod alerts;
pub mod compare;
mod findings;
mod heat;
pub mod history;
mod objectives;
mod plot;
pub mod runs;
mod scaling;
mod strip;
mod tables;

use crate::format::{Format, Render};
use plot::Frame;

pub(crate) const FORMAT: Format = Format {
    name: "html",
    about: "Write one HTML file with charts; of one run only",
    render: Render::Run(|verdict, charts| Ok(render(verdict, charts)?)),
};

const TEMPLATE: &str = include_str!("html/report.html");
const CSS: &str = include_str!("html/report.css");
const SCRIPT: &str = include_str!("html/report.js");

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
    let run = &verdict.run;
    let frame = Frame { start_ms: run.start_ms, end_ms: run.end_ms, phases: &run.phases };
    // What a page in progress has of it is in its parts.
    let (json, left_out) = if live { ("null".to_owned(), None) } else { embedded(verdict) };
    let notes: Vec<&str> = verdict.notes.iter().chain(&left_out).map(String::as_str).collect();
    let series = serde_json::json!({"span": [run.start_ms, run.end_ms], "charts": charts.plots});
    let (alerts, more_alerts) = alerts::timeline(verdict, &frame);
    let page = env.get_template("report")?.render(context! {
        css => Value::from_safe_string(CSS.to_owned()),
        js => Value::from_safe_string(SCRIPT.to_owned()),
        status => verdict.status.as_str(),
        headline => headline(verdict, live),
        live => live,
        summary => &*verdict.summary,
        name => run.scenario.as_deref().unwrap_or(&run.source),
        started => format!("{} UTC", units::date_and_time(run.start_ms)),
        length => units::length(run.end_ms - run.start_ms),
        mode => run.manifest["mode"].as_str(),
        about => Serde(about::header(&run.manifest)),
        repeat => about::command(&run.manifest),
        cut_short => super::cut_short(verdict),
        problems => Serde(&verdict.problems),
        keys => Serde(findings::cards(verdict, verdict.key_findings(), &frame)),
        findings => Serde(findings::cards(verdict, verdict.findings.iter(), &frame)),
        todo => Serde(findings::recommendations(verdict)),
        advice => Serde(findings::advice(verdict)),
        notes => Serde(notes),
        groups => Serde(objectives::groups(verdict, charts, &frame)),
        criteria => Serde(objectives::criteria(verdict)),
        baseline => Serde(objectives::baseline(verdict)),
        phases => phases(&run.phases, &frame),
        phase_marks => strip::phase_marks(&frame),
        alerts => Serde(alerts),
        more_alerts => more_alerts,
        quiet => alerts::quiet(verdict),
        charts => charts.plots.iter().map(|c| drawn(c, &frame)).collect::<Vec<_>>(),
        heat => charts.heat.as_ref().map(|h| heat::drawn(h, &frame)),
        tables => Serde(tables::of(&verdict.tables, &frame)),
        examples => Serde(findings::examples(verdict, &frame)),
        scaling => scaling::drawn(&verdict.scaling),
        data => raw(&series.to_string()),
        facts => Serde(about::facts(&run.manifest)),
        slas => Serde(&verdict.slas),
        tool => Serde(&verdict.tool),
        source => &*run.source,
        json => raw(&json),
    })?;
    Ok(document(page))
}

/// The verdict as JSON, and what is to be said if the page has no room for all of it: then what was missed comes first.
fn embedded(verdict: &Verdict) -> (String, Option<String>) {
    const MOST_BYTES: usize = 600_000;
    const ROWS: usize = 200;
    const INSTANCES: usize = 20;
    let json = |verdict: &Verdict| serde_json::to_string(verdict).unwrap_or_default();
    let whole = json(verdict);
    if whole.len() <= MOST_BYTES {
        return (whole, None);
    }
    let mut part = verdict.clone();
    part.objectives.sort_by_key(|row| matches!(row.status, Status::Pass | Status::Skipped));
    part.objectives.truncate(ROWS);
    part.alerts.iter_mut().for_each(|alert| alert.instances.truncate(INSTANCES));
    let note = format!(
        "The data of this page have {} of {} rows of objectives, those that were missed first, and at most {INSTANCES} instances of each \
         alert; all of them are in the JSON of the verdict (ruleseval eval --json).",
        part.objectives.len(),
        verdict.objectives.len()
    );
    part.notes.push(note.clone());
    (json(&part), Some(note))
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
fn environment(
    name: &'static str,
    template: impl Into<Cow<'static, str>>,
) -> Result<Environment<'static>, HtmlError> {
    let mut env = Environment::new();
    env.set_auto_escape_callback(|_| AutoEscape::Html);
    env.set_formatter(|out, state, value| match value.as_str().filter(|_| !value.is_safe()) {
        Some(text) => escape_formatter(out, state, &Value::from(document(text))),
        None => escape_formatter(out, state, value),
    });
    env.add_global("style", Value::from_safe_string(STYLE.to_owned()));
    env.add_template_owned(name, template)?;
    Ok(env)
}

/// The same for a page other than the report: its title and its content.
fn page_environment(name: &'static str, title_and_content: &str) -> Result<Environment<'static>, HtmlError> {
    const PAGE: &str = include_str!("html/page.html");
    let (title, content) = title_and_content.split_once('\n').unwrap_or_default();
    environment(name, PAGE.replacen("TITLE", title, 1).replacen("CONTENT", content, 1))
}

/// JSON that may stand inside a script element: nothing in it can end the element.
fn raw(json: &str) -> Value {
    Value::from_safe_string(json.replace('<', "\\u003c"))
}

fn phases(phases: &[PhaseInfo], frame: &Frame<'_>) -> Vec<Value> {
    phases
        .iter()
        .map(|p| {
            context! {
                name => &*p.name,
                warmup => p.warmup,
                from => p.start_ms,
                to => p.end_ms,
                start => frame.clock(p.start_ms),
                end => frame.clock(p.end_ms),
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
    let limit = |(value, name): &(f64, String)| format!("{name}: {}", units::quantity(*value, &chart.unit));
    context! {
        title => &*chart.title,
        note => &*chart.note,
        legend => legend,
        limits => chart.limits.iter().map(limit).collect::<Vec<_>>(),
        svg => Value::from_safe_string(plot::draw(chart, frame)),
    }
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
    fn very_many_rows_leave_a_page_that_can_be_sent_around() {
        let mut verdict = testing::verdict(Status::Fail);
        verdict.objectives = vec![verdict.objectives[1].clone(); 5_000];
        verdict.objectives[4_321].status = Status::Fail;
        let instances = &mut verdict.alerts[0].instances;
        *instances = vec![instances[0].clone(); 5_000];
        let html = render(&verdict, &testing::charts()).expect("renders");
        assert!(html.len() < 1_000_000, "{}", html.len());
        assert!(html.contains("have 200 of 5000 rows of objectives"), "nothing says what is left out");
        let start = html.find(r#"id="verdict">"#).expect("is there") + r#"id="verdict">"#.len();
        let end = start + html[start..].find("</script>").expect("ends");
        let back: Verdict = serde_json::from_str(&html[start..end]).expect("is JSON");
        assert_eq!((back.objectives.len(), back.objectives[0].status), (200, Status::Fail));
    }

    #[test]
    fn what_a_reader_asks_first_comes_first() {
        let mut verdict = testing::verdict(Status::Fail);
        verdict.baseline = Some("base".to_owned());
        verdict.objectives[0].base = Some(4.0);
        let html = render(&verdict, &testing::charts()).expect("renders");
        let order = [
            "<header",
            "Key findings",
            "\"objectives\"",
            "\"happened\"",
            "\"requests\"",
            "\"distribution\"",
            "\"errors\"",
            "\"energy\"",
            "\"stages\"",
            "\"findings\"",
            "\"recommendations\"",
            "\"scaling\"",
            "\"comparison\"",
            "\"criteria\"",
            "\"run\"",
            "<footer",
        ];
        let mut at = 0;
        for part in order {
            let part = if part.starts_with('"') { format!("<h2 id={part}") } else { part.to_owned() };
            let found = html[at..].find(&part);
            assert!(found.is_some(), "{part} does not come in its place");
            at += found.unwrap_or_default();
        }
    }

    #[test]
    fn a_page_in_progress_is_the_report_in_parts() {
        let (verdict, charts) = (testing::verdict(Status::Fail), testing::charts());
        let report = render(&verdict, &charts).expect("renders");
        let page = render_in_progress(&verdict, &charts).expect("renders");
        let names: Vec<_> = parts(&page).map(|(name, _)| name).collect();
        let want = [
            "top",
            "objectives",
            "happened",
            "tables",
            "heat",
            "failures",
            "stages",
            "findings",
            "scaling",
            "run",
            "series",
        ];
        assert_eq!(names, want);
        assert!(page.contains("FAIL so far") && page.contains("data-live=\"yes\""), "{page}");
        assert!(!report.contains("so far") && !report.contains("data-live="), "{report}");
        // Every part but the one with the outcome's words is the report's.
        for ((name, now), (_, then)) in parts(&page).zip(parts(&report)) {
            assert!(now == then || name == "top", "{name}");
        }
        let mut early = verdict;
        early.status = Status::Inconclusive;
        assert!(render_in_progress(&early, &charts).expect("renders").contains("RUNNING"));
    }

    #[test]
    fn a_run_of_a_day_has_dates() {
        let mut verdict = testing::verdict(Status::Fail);
        verdict.run.end_ms = verdict.run.start_ms + 86_400_000;
        verdict.run.phases[1].end_ms = verdict.run.end_ms;
        let html = render(&verdict, &testing::charts()).expect("renders");
        assert!(
            html.contains("fired 2023-11-14 22:13:50 to the end") && html.contains("2023-11-15 22:13:20"),
            "{html}"
        );
        // The axis counts from the start of the run.
        assert!(html.contains(">12:00:00<") || html.contains(">4:00:00<"), "{html}");
    }

    #[test]
    fn a_run_of_which_nothing_is_known_has_a_page() {
        let mut verdict = testing::verdict(Status::Inconclusive);
        verdict.run.phases.clear();
        verdict.run.end_ms = verdict.run.start_ms;
        verdict.run.manifest = serde_json::Value::Null;
        verdict.objectives.clear();
        verdict.alerts.clear();
        verdict.tables = assay_verdict::tables::Tables::default();
        verdict.scaling = assay_verdict::scaling::Scaling::default();
        let html = render(&verdict, &Charts::default()).expect("renders");
        for absent in ["<svg", "NaN", "inf", "Requests", "id=\"happened\"", "id=\"scaling\""] {
            let body =
                &html[html.find("<body>").expect("has a body")..html.find("<script").expect("has scripts")];
            assert!(!body.contains(absent), "{absent} is in {body}");
        }
    }
}

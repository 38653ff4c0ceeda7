//! The page that lists a folder's runs. Invariant: names and texts of runs are escaped, in the page and in its links.

use minijinja::{Value, context, value::Serde};
use serde::Serialize;

use super::{HtmlError, history::spark, page_environment};
use crate::history::{cells, summary};
use assay_text::document;
use assay_verdict::history::{Group, History};

const TEMPLATE: &str = include_str!("runs.html");

/// A run of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its directory's name.
    pub name: String,
    /// The same as a segment of a URL's path.
    pub path: String,
    /// The scenario.
    pub scenario: String,
    /// The mode, or nothing.
    pub mode: String,
    /// When it began, for people.
    pub started: String,
    /// How long it took, or nothing while it is recorded.
    pub length: String,
    /// `pass`, `fail`, `inconclusive`, or what it is instead of judged.
    pub verdict: String,
    /// The verdict in a sentence.
    pub why: String,
    /// Whether there is a report to read.
    pub has_report: bool,
    /// Whether there is a verdict to read.
    pub has_verdict: bool,
}

/// How many objectives the page shows the trends of.
const TRENDS: usize = 12;

/// The page, the runs in the order given; `older` is how many more there are.
///
/// # Errors
/// If the template is broken, which a test rules out.
pub fn render(runs: &[Entry], older: usize, history: &History) -> Result<String, HtmlError> {
    let env = page_environment("runs", TEMPLATE)?;
    let newest = history.groups.first().filter(|g| g.runs.len() > 1);
    let page = env.get_template("runs")?.render(context! {
        runs => Serde(runs),
        older,
        trends => newest.map(trends).unwrap_or_default(),
        trend => summary(history),
        is_worse => history.worsenings(None).next().is_some(),
    })?;
    Ok(document(page))
}

/// The objectives of the newest run's group, what got worse first.
fn trends(group: &Group) -> Vec<Value> {
    let mut all: Vec<_> = group.series.iter().filter(|s| s.points.len() > 1).collect();
    all.sort_by_key(|s| s.worsening().is_none());
    let row = |series: &&assay_verdict::history::Series| {
        let [name, phase, runs, level, change] = cells(group, series);
        let direction = series.changes.last().map_or("", |c| c.direction.as_str());
        context! { name, phase, runs, level, change, direction, spark => Value::from_safe_string(spark(series)) }
    };
    all.iter().take(TRENDS).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped() {
        let run = Entry {
            name: "<script>alert(1)</script>\u{202e}".to_owned(),
            path: "%3Cscript%3E".to_owned(),
            scenario: "a \"quoted\" & long".to_owned(),
            verdict: "fail".to_owned(),
            has_report: true,
            ..Entry::default()
        };
        let page = render(&[run], 3, &assay_verdict::testing::history()).expect("renders");
        assert!(!page.contains("<script>") && !page.contains('\u{202e}'), "{page}");
        for part in [
            "&lt;script&gt;",
            "href=\"runs/%3Cscript%3E/report.html\"",
            "&amp; long",
            "FAIL",
            "3 older runs",
            "worse by +10.0 %",
            "href=\"history\"",
            "&lt;b&gt;p99",
        ] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
        assert!(!page.contains("/verdict.json\""));
    }

    #[test]
    fn an_empty_folder_is_said_to_be_empty() {
        assert!(
            render(&[], 0, &History::default()).expect("renders").contains("No run has been recorded yet")
        );
    }
}

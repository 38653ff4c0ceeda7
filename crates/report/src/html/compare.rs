//! Runs against a baseline, as a page. Invariant: it says what the other forms of a comparison say, and of steps and stages
//! everything.

use std::path::PathBuf;

use assay_text::document;
use assay_verdict::{
    compare::{CompareRow, Comparison},
    measure::Part,
};
use minijinja::{Value, context};

use super::{HtmlError, page_environment};
use crate::comparison::{cells, compared, counts, heads, reasons};

const TEMPLATE: &str = include_str!("compare.html");

/// The page, one file; `base` and `new` are what the sides are called on it, and `index` is the page of all runs, if there is
/// one.
///
/// # Errors
/// If the template is broken, which a test rules out.
pub fn render(
    comparison: &Comparison,
    base: &str,
    new: &str,
    index: Option<&str>,
) -> Result<String, HtmlError> {
    let env = page_environment("compare", TEMPLATE)?;
    let mut parts = Part::ALL;
    parts.sort_by_key(|p| *p != comparison.decided_by);
    let tables: Vec<Value> = parts.into_iter().filter_map(|part| table(comparison, part)).collect();
    let page = env.get_template("compare")?.render(context! {
        status => comparison.status.as_str(),
        summary => counts(comparison),
        base,
        new,
        index,
        warnings => comparison.warnings.clone(),
        tables,
        reasons => reasons(comparison).collect::<Vec<_>>(),
    })?;
    Ok(document(page))
}

/// The rows of a part; `None` if it has none.
fn table(comparison: &Comparison, part: Part) -> Option<Value> {
    let rows: Vec<&CompareRow> = compared(comparison, part).collect();
    if rows.is_empty() {
        return None;
    }
    let title = match part {
        Part::Objective => "Objectives",
        Part::Step => "Steps",
        Part::Stage => "Stages",
    };
    Some(context! {
        title,
        decides => part == comparison.decided_by,
        heads => ordered(heads(comparison, &rows).to_vec()),
        rows => rows.iter().map(|row| ordered(cells(row).to_vec())).collect::<Vec<_>>(),
    })
}

/// Columns as the page has them: what came out next to what it is about, so that a phone shows both.
fn ordered<T>(mut row: Vec<T>) -> Vec<T> {
    if let Some(outcome) = row.pop() {
        row.insert(2.min(row.len()), outcome);
    }
    row
}

/// What a side of a comparison is called: the one path that was given, or its runs.
#[must_use]
pub fn side(paths: &[PathBuf], runs: &[String]) -> String {
    match runs {
        [_, ..] if paths.len() == 1 => paths[0].display().to_string(),
        [one] => one.clone(),
        [first, .., last] => format!("{} runs, {first} to {last}", runs.len()),
        [] => "no run".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_verdict::{compare::Change, verdict::Status};

    #[test]
    fn a_page_says_what_changed() {
        let row = CompareRow {
            part: Part::Objective,
            name: "<b>latency".to_owned(),
            unit: "s".to_owned(),
            phase: Some("peak".to_owned()),
            labels: Vec::new(),
            change: Change::Regression,
            base: Some(1.0),
            new: Some(1.2),
            matters: Some(0.05),
            runs: (1, 1),
            batches: (30, 30),
            interval: Some((0.15, 0.25)),
            p: Some(0.001),
            reason: String::new(),
        };
        let open = CompareRow { change: Change::Inconclusive, reason: "too short".to_owned(), ..row.clone() };
        let stage = CompareRow { part: Part::Stage, name: "generate p99".to_owned(), ..row.clone() };
        let comparison = Comparison {
            status: Status::Fail,
            base: vec!["a".to_owned()],
            new: vec!["b".to_owned()],
            confidence: 0.95,
            decided_by: Part::Objective,
            warnings: vec!["another machine".to_owned()],
            rows: vec![row, open, stage],
        };
        let page = render(&comparison, "first & old", "second", Some("./")).expect("renders");
        for part in [
            "FAIL",
            "+20.0 %",
            "+15.0 % … +25.0 %",
            "regression",
            "first &amp; old",
            "another machine",
            "too short",
            "all runs",
            "Stages",
            "generate p99",
        ] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
        assert!(!page.contains("<b>latency"), "{page}");
        let alone = render(&comparison, "a", "b", None).expect("renders");
        assert!(!alone.contains("all runs") && !alone.contains("http"), "{alone}");
        let text = crate::comparison::render(&comparison, 140);
        assert!(text.contains("1 regression, ") && text.contains("stages: 1 of 1 figures changed"), "{text}");
        let xml = crate::comparison::junit(&comparison).expect("writes");
        assert_eq!(xml.matches("<testcase ").count(), 2, "{xml}");
        assert!(xml.contains(r#"tests="2" failures="1" errors="1""#), "{xml}");
    }
}

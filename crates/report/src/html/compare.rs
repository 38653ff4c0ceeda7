//! Two runs against each other, as a page. Invariant: it says what the other forms of a comparison say.

use assay_text::document;
use assay_verdict::compare::Comparison;
use minijinja::context;

use super::{HtmlError, environment};
use crate::comparison::{cells, compared, heads, reasons, summary};

const TEMPLATE: &str = include_str!("compare.html");

/// The page; `base` and `new` are what the runs are called on it.
///
/// # Errors
/// If the template is broken, which a test rules out.
pub fn render(comparison: &Comparison, base: &str, new: &str) -> Result<String, HtmlError> {
    let env = environment("compare", TEMPLATE)?;
    let page = env.get_template("compare")?.render(context! {
        status => comparison.status().as_str(),
        summary => summary(comparison),
        base,
        new,
        warnings => comparison.warnings.clone(),
        heads => heads(comparison).to_vec(),
        rows => compared(comparison).map(|row| cells(row).to_vec()).collect::<Vec<_>>(),
        reasons => reasons(comparison).collect::<Vec<_>>(),
    })?;
    Ok(document(page))
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_verdict::compare::{Change, CompareRow};

    #[test]
    fn a_page_says_what_changed() {
        let row = CompareRow {
            name: "<b>latency".to_owned(),
            unit: "s".to_owned(),
            phase: Some("peak".to_owned()),
            labels: Vec::new(),
            change: Change::Regression,
            base: Some(1.0),
            new: Some(1.2),
            matters: Some(0.05),
            batches: (30, 30),
            interval: Some((0.15, 0.25)),
            p: Some(0.001),
            reason: String::new(),
        };
        let open = CompareRow { change: Change::Inconclusive, reason: "too short".to_owned(), ..row.clone() };
        let comparison = Comparison {
            base: "a".to_owned(),
            new: "b".to_owned(),
            confidence: 0.95,
            warnings: vec!["another machine".to_owned()],
            rows: vec![row, open],
        };
        let page = render(&comparison, "first & old", "second").expect("renders");
        for part in [
            "FAIL",
            "+20.0 %",
            "+15.0 % … +25.0 %",
            "regression",
            "first &amp; old",
            "another machine",
            "too short",
        ] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
        assert!(!page.contains("<b>latency"), "{page}");
    }
}

//! The verdict as JUnit XML. Invariant: one case for each objective row and each alerting rule, in a suite for
//! each SLA and rule group; a failure says what was measured and what to do.
//!
//! The elements and attributes are those of the schema that Jenkins' xUnit plugin publishes.

use quick_xml::{
    Writer,
    events::{BytesEnd, BytesStart, BytesText, Event},
};

use assay_text::Clean;
use assay_verdict::verdict::{AlertRow, Counts, ObjectiveRow, RunInfo, Status, Verdict};

use crate::format::{Format, Render};

pub(crate) const FORMAT: Format = Format {
    name: "junit",
    about: "Write JUnit XML",
    render: Render::Runs(|verdicts, _| Ok(render(verdicts)?)),
};

/// One test case, whatever it came from.
pub(crate) struct Case {
    pub(crate) suite: String,
    pub(crate) name: String,
    pub(crate) class: String,
    pub(crate) status: Status,
    pub(crate) message: String,
    /// Lines that are clean.
    pub(crate) detail: String,
    pub(crate) run: Option<RunInfo>,
}

/// Verdicts as an XML document; of several, each suite is named for its run.
///
/// # Errors
/// Never in practice: writing to memory does not fail.
pub fn render(verdicts: &[&Verdict]) -> std::io::Result<String> {
    let mut cases: Vec<Case> = Vec::new();
    for verdict in verdicts {
        let before = cases.len();
        cases.extend(verdict.objectives.iter().map(objective));
        cases.extend(verdict.alerts.iter().map(alert));
        cases.extend(verdict.problems.iter().map(|p| problem(verdict, p)));
        for case in &mut cases[before..] {
            case.run = Some(verdict.run.clone());
            if verdicts.len() > 1 {
                case.suite = format!("{}: {}", verdict.run.source, case.suite);
            }
        }
    }
    document(&cases)
}

/// Cases as an XML document, by suite in the order in which suites first appear.
///
/// # Errors
/// Never in practice: writing to memory does not fail.
pub(crate) fn document(cases: &[Case]) -> std::io::Result<String> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(quick_xml::events::BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let counts = Counts::of(cases.iter().map(|c| c.status));
    let mut root = BytesStart::new("testsuites");
    root.push_attribute(("name", "ruleseval"));
    push_counts(&mut root, counts);
    writer.write_event(Event::Start(root))?;
    let mut suites: Vec<&str> = Vec::new();
    for case in cases {
        if !suites.contains(&case.suite.as_str()) {
            suites.push(&case.suite);
        }
    }
    for suite in suites {
        write_suite(&mut writer, suite, cases)?;
    }
    writer.write_event(Event::End(BytesEnd::new("testsuites")))?;
    let mut text = String::from_utf8_lossy(&writer.into_inner()).into_owned();
    text.push('\n');
    Ok(text)
}

fn write_suite(writer: &mut Writer<Vec<u8>>, name: &str, cases: &[Case]) -> std::io::Result<()> {
    let own = || cases.iter().filter(|c| c.suite == name);
    let mut suite = BytesStart::new("testsuite");
    suite.push_attribute(("name", clean(name).as_str()));
    let counts = Counts::of(own().map(|c| c.status));
    push_counts(&mut suite, counts);
    // The schema knows what was skipped of a suite, not of all suites together.
    suite.push_attribute(("skipped", counts.skipped.to_string().as_str()));
    let run = own().find_map(|c| c.run.clone()).unwrap_or_default();
    let seconds = (run.end_ms - run.start_ms) as f64 / 1e3;
    suite.push_attribute(("time", seconds.to_string().as_str()));
    let stamp = assay_verdict::units::timestamp(run.start_ms);
    suite.push_attribute(("timestamp", stamp.trim_end_matches('Z')));
    writer.write_event(Event::Start(suite))?;
    for case in own() {
        write_case(writer, case)?;
    }
    writer.write_event(Event::End(BytesEnd::new("testsuite")))
}

fn push_counts(element: &mut BytesStart<'_>, counts: Counts) {
    element.push_attribute(("tests", counts.total().to_string().as_str()));
    element.push_attribute(("failures", counts.fail.to_string().as_str()));
    element.push_attribute(("errors", counts.inconclusive.to_string().as_str()));
}

fn write_case(writer: &mut Writer<Vec<u8>>, case: &Case) -> std::io::Result<()> {
    let mut element = BytesStart::new("testcase");
    element.push_attribute(("name", clean(&case.name).as_str()));
    element.push_attribute(("classname", clean(&case.class).as_str()));
    element.push_attribute(("time", "0"));
    let kind = match case.status {
        Status::Pass => {
            writer.write_event(Event::Empty(element))?;
            return Ok(());
        }
        Status::Fail => "failure",
        Status::Inconclusive => "error",
        Status::Skipped => "skipped",
    };
    writer.write_event(Event::Start(element))?;
    let mut inner = BytesStart::new(kind);
    inner.push_attribute(("message", clean(&case.message).as_str()));
    if kind != "skipped" {
        inner.push_attribute(("type", case.status.as_str()));
    }
    if case.detail.is_empty() || kind == "skipped" {
        writer.write_event(Event::Empty(inner))?;
    } else {
        writer.write_event(Event::Start(inner))?;
        writer.write_event(Event::Text(BytesText::new(&case.detail)))?;
        writer.write_event(Event::End(BytesEnd::new(kind)))?;
    }
    writer.write_event(Event::End(BytesEnd::new("testcase")))
}

/// A value on one line. XML 1.0 has no place for most control characters, not even escaped.
pub(super) fn clean(text: &str) -> String {
    Clean(text).to_string()
}

/// Values a line each.
pub(crate) fn clean_lines<T: AsRef<str>>(lines: &[T]) -> String {
    lines.iter().map(|line| clean(line.as_ref())).collect::<Vec<_>>().join("\n")
}

fn objective(row: &ObjectiveRow) -> Case {
    let mut detail: Vec<String> = row.advice.clone();
    detail.push(format!("{} ({})", row.expression, row.defined_at));
    Case {
        suite: row.sla.clone(),
        name: format!("{} [{}]", row.title(), super::phase(row)),
        class: format!("{}.{}", row.sla, if row.category.is_empty() { "objective" } else { &row.category }),
        status: row.status,
        message: row.reason.clone(),
        detail: clean_lines(&detail),
        run: None,
    }
}

fn problem(verdict: &Verdict, text: &str) -> Case {
    Case {
        suite: "run".to_owned(),
        name: "can be judged".to_owned(),
        class: verdict.run.source.clone(),
        status: Status::Inconclusive,
        message: text.to_owned(),
        detail: String::new(),
        run: None,
    }
}

fn alert(row: &AlertRow) -> Case {
    let mut detail: Vec<String> = row
        .instances
        .iter()
        .filter(|i| !i.phases.is_empty())
        .flat_map(|i| i.annotations.iter().map(|(n, v)| format!("{n}: {v}")))
        .collect();
    detail.push(format!("{} ({})", row.expression, row.defined_at));
    // A rule that does not count is not an error of the run, whatever became of it.
    let status = match row.status {
        Status::Inconclusive if !row.counts => Status::Skipped,
        other => other,
    };
    Case {
        suite: format!("alerts: {}", row.group),
        name: row.name.clone(),
        class: format!("alerts.{}", row.group),
        status,
        message: row.reason.clone(),
        detail: clean_lines(&detail),
        run: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_verdict::testing;

    #[test]
    fn one_case_for_each_row_and_rule() {
        let mut verdict = testing::verdict(Status::Fail);
        verdict.objectives[0].reason = "a < b & \"c\" \u{1}".to_owned();
        let text = render(&[&verdict]).expect("writes");
        let cases = text.matches("<testcase ").count();
        assert_eq!(cases, verdict.objectives.len() + verdict.alerts.len(), "{text}");
        assert!(text.contains("a &lt; b &amp; &quot;c&quot; \\u0001"), "{text}");
        assert!(text.contains(r#"tests="4" failures="2" errors="0""#), "{text}");
    }
}

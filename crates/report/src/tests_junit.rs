//! Unit tests of rules as JUnit XML. Invariant: one suite for each test file, one case for each test.

use assay_rules::unittest::{CaseReport, FileReport, TestReport};
use quick_xml::{
    Writer,
    events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event},
};

use super::junit::{clean, clean_lines};

/// The report as an XML document.
///
/// # Errors
/// Never in practice: writing to memory does not fail.
pub fn render(report: &TestReport) -> std::io::Result<String> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    writer.write_event(Event::Start(BytesStart::new("testsuites")))?;
    for file in &report.files {
        write_file(&mut writer, file)?;
    }
    writer.write_event(Event::End(BytesEnd::new("testsuites")))?;
    let mut text = String::from_utf8_lossy(&writer.into_inner()).into_owned();
    text.push('\n');
    Ok(text)
}

fn write_file(writer: &mut Writer<Vec<u8>>, file: &FileReport) -> std::io::Result<()> {
    let failed = file.cases.iter().filter(|c| !c.failures.is_empty()).count();
    let mut suite = BytesStart::new("testsuite");
    suite.push_attribute(("name", clean(&file.file).as_str()));
    let extra = usize::from(file.aborted.is_some());
    suite.push_attribute(("tests", (file.cases.len() + extra).to_string().as_str()));
    suite.push_attribute(("failures", failed.to_string().as_str()));
    suite.push_attribute(("errors", extra.to_string().as_str()));
    writer.write_event(Event::Start(suite))?;
    if let Some(problems) = &file.aborted {
        write_case(writer, &file.file, "can be read", 0.0, Some(("error", &problems.to_string())))?;
    }
    for case in &file.cases {
        let text = failures(case);
        let outcome = (!case.failures.is_empty()).then_some(("failure", text.as_str()));
        write_case(writer, &file.file, &case.name, case.took.as_secs_f64(), outcome)?;
    }
    writer.write_event(Event::End(BytesEnd::new("testsuite")))
}

fn failures(case: &CaseReport) -> String {
    case.failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn write_case(
    writer: &mut Writer<Vec<u8>>,
    file: &str,
    name: &str,
    seconds: f64,
    outcome: Option<(&str, &str)>,
) -> std::io::Result<()> {
    let mut case = BytesStart::new("testcase");
    case.push_attribute(("name", clean(name).as_str()));
    case.push_attribute(("classname", clean(file).as_str()));
    case.push_attribute(("time", format!("{seconds:.6}").as_str()));
    let Some((kind, text)) = outcome else {
        writer.write_event(Event::Empty(case))?;
        return Ok(());
    };
    writer.write_event(Event::Start(case))?;
    let mut inner = BytesStart::new(kind);
    inner.push_attribute(("message", clean(text.lines().next().unwrap_or_default()).as_str()));
    writer.write_event(Event::Start(inner))?;
    writer.write_event(Event::Text(BytesText::new(&clean_lines(&text.lines().collect::<Vec<_>>()))))?;
    writer.write_event(Event::End(BytesEnd::new(kind)))?;
    writer.write_event(Event::End(BytesEnd::new("testcase")))
}

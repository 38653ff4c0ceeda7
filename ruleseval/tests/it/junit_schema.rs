//! JUnit XML held to its schema. Invariant: an element or attribute that the schema does not name is a problem, and
//! so are counts that do not add up.
//!
//! Facts: `junit-10.xsd` of Jenkins' xUnit plugin, which GitLab and GitHub's report actions accept too.

use std::collections::BTreeMap;

use assay_report::junit;
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use crate::{recording::Trouble, reports::evaluated};

/// An element: its name, what may stand in it, which attributes it must have, and which it may have.
struct Element {
    name: &'static str,
    children: &'static [&'static str],
    required: &'static [&'static str],
    optional: &'static [&'static str],
    text: bool,
}

const RESULT: [&str; 2] = ["message", "type"];

const SCHEMA: [Element; 8] = [
    Element {
        name: "testsuites",
        children: &["testsuite"],
        required: &[],
        optional: &["name", "time", "tests", "failures", "errors"],
        text: false,
    },
    Element {
        name: "testsuite",
        children: &["testsuite", "properties", "testcase", "system-out", "system-err"],
        required: &["name", "tests", "failures", "errors"],
        optional: &[
            "group",
            "time",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
            "file",
            "log",
            "url",
        ],
        text: false,
    },
    Element {
        name: "testcase",
        children: &["skipped", "error", "failure", "system-out", "system-err"],
        required: &["name"],
        optional: &["time", "classname", "group"],
        text: false,
    },
    Element { name: "failure", children: &[], required: &[], optional: &RESULT, text: true },
    Element { name: "error", children: &[], required: &[], optional: &RESULT, text: true },
    Element { name: "skipped", children: &[], required: &[], optional: &RESULT, text: true },
    Element { name: "system-out", children: &[], required: &[], optional: &[], text: true },
    Element { name: "system-err", children: &[], required: &[], optional: &[], text: true },
];

/// What is open while a document is read: the element, its attributes, and how often each element was in it.
struct Open {
    element: &'static Element,
    attributes: BTreeMap<String, String>,
    inside: BTreeMap<&'static str, usize>,
}

/// Everything that is wrong with a document.
fn problems(text: &str) -> Vec<String> {
    let (mut found, mut stack) = (Vec::new(), Vec::<Open>::new());
    let mut reader = Reader::from_str(text);
    loop {
        match reader.read_event() {
            Ok(Event::Start(e)) => {
                if let Some(open) = start(&e, &mut stack, &mut found) {
                    stack.push(open);
                }
            }
            Ok(Event::Empty(e)) => {
                if let Some(open) = start(&e, &mut stack, &mut found) {
                    end(&open, &mut stack, &mut found);
                }
            }
            Ok(Event::End(_)) => {
                if let Some(open) = stack.pop() {
                    end(&open, &mut stack, &mut found);
                }
            }
            Ok(Event::Text(t)) => {
                let blank = t.trim().is_empty();
                if let Some(open) = stack.last().filter(|o| !blank && !o.element.text) {
                    found.push(format!("text in {}", open.element.name));
                }
            }
            Ok(Event::Eof) => return found,
            Ok(_) => {}
            Err(e) => {
                found.push(e.to_string());
                return found;
            }
        }
    }
}

fn start(e: &BytesStart<'_>, stack: &mut [Open], found: &mut Vec<String>) -> Option<Open> {
    let name = e.name().as_ref().to_owned();
    let Some(element) = SCHEMA.iter().find(|known| known.name == name) else {
        found.push(format!("no such element: {name}"));
        return None;
    };
    let allowed = stack.last().map_or(name == "testsuites", |o| o.element.children.contains(&element.name));
    if !allowed {
        found.push(format!("{name} may not stand here"));
    }
    let mut attributes = BTreeMap::new();
    for attribute in e.attributes() {
        let attribute = attribute.expect("well-formed");
        let key = attribute.key.as_ref().to_owned();
        let value = attribute.value.into_owned();
        if !element.required.contains(&key.as_str()) && !element.optional.contains(&key.as_str()) {
            found.push(format!("{name} has no attribute {key}"));
        }
        if key == "time" && value.parse::<f64>().is_err() {
            found.push(format!("{name}: a time of {value}"));
        }
        attributes.insert(key, value);
    }
    for missing in element.required.iter().filter(|r| !attributes.contains_key(**r)) {
        found.push(format!("{name} without {missing}"));
    }
    Some(Open { element, attributes, inside: BTreeMap::new() })
}

/// Holds what an element counts to what was in it, and adds that to the element around it.
fn end(open: &Open, stack: &mut [Open], found: &mut Vec<String>) {
    let counted =
        [("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")];
    for (attribute, element) in counted {
        let told = open.attributes.get(attribute).map(|v| v.parse::<usize>().ok());
        let inside = open.inside.get(element).copied().unwrap_or(0);
        if told.is_some_and(|told| told != Some(inside)) {
            found.push(format!("{}: {attribute} is {told:?}, there are {inside}", open.element.name));
        }
    }
    if let Some(around) = stack.last_mut() {
        *around.inside.entry(open.element.name).or_default() += 1;
        for (name, n) in &open.inside {
            *around.inside.entry(name).or_default() += n;
        }
    }
}

#[test]
fn every_outcome_satisfies_the_schema() {
    for trouble in [
        Trouble::default(),
        Trouble { slow_peak: true, no_service: true, ..Trouble::default() },
        Trouble { errors: true, killed_after_s: Some(30), ..Trouble::default() },
    ] {
        let text = junit::render(&[&evaluated(trouble).verdict]).expect("writes");
        assert_eq!(problems(&text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn the_schema_refuses_what_it_does_not_know() {
    let check = |text: &str, want: &str| assert_eq!(problems(text), [want], "{text}");
    check(r#"<testsuites skipped="0"/>"#, "testsuites has no attribute skipped");
    check(r#"<testsuites><testcase name="a"/></testsuites>"#, "testcase may not stand here");
    check(
        r#"<testsuites><testsuite name="a" failures="0" errors="0" tests="2"><testcase name="a"/></testsuite></testsuites>"#,
        "testsuite: tests is Some(Some(2)), there are 1",
    );
    check(
        r#"<testsuites><testsuite name="a" failures="0" errors="0"/></testsuites>"#,
        "testsuite without tests",
    );
}

#[test]
fn reports_of_rule_tests_satisfy_it_too() {
    let recording = crate::recording::Recording::new(Trouble::default());
    let file = recording.place("junit-tests.yml");
    std::fs::write(
        &file,
        "tests:\n- name: 'one < two & \"three\"'\n  input_series: [{series: up, values: 1x5}]\n  promql_expr_test:\n  \
         - {expr: up, eval_time: 1m, exp_samples: [{labels: up, value: 1}]}\n\
         - name: wrong\n  promql_expr_test:\n  - {expr: vector(1), eval_time: 1m, exp_samples: [{value: 2}]}\n",
    )
    .expect("writes");
    let xml = recording.place("junit-tests.xml");
    let out =
        crate::cli::ruleseval(&["test", "--junit", &xml.display().to_string(), &file.display().to_string()]);
    assert_eq!(out.status.code(), Some(1), "{out:?}");
    let text = std::fs::read_to_string(xml).expect("is written");
    assert_eq!(problems(&text), Vec::<String>::new(), "{text}");
    assert!(text.contains("<failure"), "{text}");
}

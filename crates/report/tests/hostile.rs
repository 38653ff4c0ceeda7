//! Every format of a verdict whose every text comes from someone who means ill.

#![allow(clippy::unwrap_used, reason = "a test")]

use assay_report::{FORMATS, github, html, json, markdown, terminal, terminal::TerminalOptions, timeline};
use assay_testkit::hostile::{HOSTILE, assert_clean};
use assay_verdict::{
    eval::Evaluation,
    testing,
    verdict::{Status, Verdict},
};
use serde_json::Value;

/// The places of all texts in a value.
fn texts(value: &Value, at: &str, out: &mut Vec<String>) {
    match value {
        Value::String(_) => out.push(at.to_owned()),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, v)| texts(v, &format!("{at}/{i}"), out));
        }
        Value::Object(map) => map.iter().for_each(|(k, v)| texts(v, &format!("{at}/{k}"), out)),
        _ => {}
    }
}

/// A verdict in which every text that may be anything is hostile.
fn hostile() -> (Verdict, usize) {
    let mut value = serde_json::to_value(testing::verdict(Status::Fail)).unwrap();
    for key in ["/problems", "/notes", "/objectives/0/notes", "/objectives/1/notes"] {
        *value.pointer_mut(key).unwrap() = serde_json::json!([HOSTILE]);
    }
    value["run"]["manifest"]["target"] = HOSTILE.into();
    value["objectives"][0]["labels"] = serde_json::json!([[HOSTILE, HOSTILE]]);
    let mut places = Vec::new();
    texts(&value, "", &mut places);
    let mut changed = 0;
    for place in places {
        let mut next = value.clone();
        *next.pointer_mut(&place).unwrap() = HOSTILE.into();
        // A status or a unit is one of a few words; everything else takes any text.
        if serde_json::from_value::<Verdict>(next.clone()).is_ok() {
            (value, changed) = (next, changed + 1);
        }
    }
    (serde_json::from_value(value).unwrap(), changed)
}

#[test]
fn no_format_lets_a_value_steer_its_reader() {
    let (verdict, changed) = hostile();
    assert!(changed > 50, "only {changed} texts are hostile");
    let plain = TerminalOptions { colour: false, width: 100 };
    let clean = |what: &str, text: &str| {
        assert!(text.contains("title"), "{what} shows nothing of the value: {text}");
        assert_clean(what, text);
    };
    clean("terminal", &terminal::render(&verdict, plain));
    let evaluation = || Evaluation { verdict: verdict.clone(), charts: testing::charts() };
    for format in FORMATS {
        clean(format.name, &format.render(&[evaluation()], false).unwrap());
        clean(format.name, &format.render(&[evaluation(), evaluation()], true).unwrap());
    }
    clean("timeline", &timeline::render(&verdict.run, &verdict.alerts, 100));
    let text = markdown::render(&verdict);
    // At the end is the command line, as code.
    let (text, _) = text.trim_end().rsplit_once('\n').unwrap();
    assert!(!text.contains("<img") && !text.contains("[g]("), "{text}");
    let page = html::render(&verdict, &testing::charts()).unwrap();
    assert!(!page.contains("<img src=x"), "{page}");
    let coloured = terminal::render(&verdict, TerminalOptions { colour: true, width: 100 });
    let own = ["\x1b[1;32m", "\x1b[1;31m", "\x1b[1;33m", "\x1b[2m", "\x1b[0m"];
    clean("terminal with colours", &own.iter().fold(coloured, |text, code| text.replace(code, "")));
}

#[test]
fn annotations_have_the_commands_of_the_report_and_no_other() {
    let (verdict, _) = hostile();
    let text = github::render(&verdict);
    for line in text.lines() {
        let own = ["::error ", "::warning ", "::notice "];
        assert!(own.iter().any(|command| line.starts_with(command)), "{line:?}");
        let (_, message) = line[2..].split_once("::").unwrap();
        assert_clean("an annotation", message.trim_start_matches(':'));
    }
    assert_eq!(text.lines().count(), 4, "{text}");
}

#[test]
fn the_json_of_a_hostile_verdict_is_the_verdict_but_for_secrets() {
    let (verdict, _) = hostile();
    let back: Verdict = serde_json::from_str(&json::render(&verdict)).unwrap();
    let want = HOSTILE.replace("me:s3cret", "xxxxx").replace("=s3cret", "=xxxxx");
    assert_eq!((back.summary.as_str(), &back.objectives[0].reason), (want.as_str(), &want));
}

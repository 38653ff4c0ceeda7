//! Where errors are: `testdata/malformed.txt` has the position of each expression's first error.
//!
//! Invariant: the positions are those of a real Prometheus, which is asked where there is one.

#[path = "support/peers.rs"]
mod peers;

use assay_promql::parse;

const CASES: &str = include_str!("../testdata/malformed.txt");

/// Position and expression of each case. An expression is written as a JSON string where it needs escapes.
fn cases() -> Vec<(String, String)> {
    let lines = CASES.lines().filter(|l| !l.starts_with('#') && !l.is_empty());
    let split = |line: &str| {
        let (position, text) = line.split_once('\t').expect("a position, a tab and an expression");
        (position.to_owned(), text.to_owned())
    };
    lines.map(split).collect()
}

fn first_error(text: &str) -> Option<String> {
    let errors = parse(text).err()?;
    let first = &errors.list()[0];
    Some(format!("{}:{}", first.line, first.column))
}

#[test]
fn errors_are_where_the_list_says() {
    let all = cases();
    assert!(all.len() >= 200, "only {} cases", all.len());
    let wrong: Vec<_> = all
        .iter()
        .filter_map(|(want, text)| {
            let got = first_error(text).unwrap_or_else(|| "none".to_owned());
            (got != *want).then(|| format!("{text}: {got}, expected {want}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), all.len(), wrong.join("\n"));
}

#[test]
fn every_error_has_a_place_and_a_message() {
    for (_, text) in cases() {
        for error in parse(&text).expect_err("is malformed").list() {
            assert!(error.span.start <= error.span.end && error.span.end <= text.len(), "{text}: {error:?}");
            assert!(!error.message.is_empty() && !error.message.contains('\n'), "{text}: {error:?}");
        }
    }
}

#[test]
fn prometheus_reports_the_same_places() {
    let Some(server) = peers::Prometheus::start(None) else { return };
    let mut wrong = Vec::new();
    for (want, text) in cases() {
        let (_, body) = server.post("/api/v1/format_query", &[("query", &text)]);
        let reply: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        let error = reply["error"].as_str().unwrap_or("no error");
        let position = error.split(" parse error:").next().and_then(|e| e.rsplit(' ').next()).unwrap_or("");
        if position.trim_end_matches(':') != want {
            wrong.push(format!("{text}: ours at {want}, Prometheus: {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Syntax that came after 3.5, whose errors follow the sources of 3.13; and all errors of a text, not the first.
#[test]
fn messages_say_what_is_wrong_and_what_would_be_right() {
    let check = |text: &str, want: &[&str]| {
        let errors = parse(text).expect_err(text);
        let got: Vec<_> =
            errors.list().iter().map(|e| format!("{}:{} {}", e.line, e.column, e.message)).collect();
        assert_eq!(got, want, "{text}");
    };
    check("a + fill(b) c", &["1:10 unexpected identifier \"b\" in fill modifier, expected a number"]);
    check("a + fill(0) 1", &["1:1 filling in missing series only allowed between instant vectors"]);
    check("a and fill(0) b", &["1:1 filling in missing series not allowed for set operators"]);
    check("sum(a) smoothed", &["1:1 smoothed modifier not implemented"]);
    check("a[5m] anchored smoothed", &["1:1 anchored and smoothed modifiers cannot be used together"]);
    check("a[5m:1m] anchored", &["1:1 anchored modifier is not supported for subqueries"]);
    check(
        "a[min_of(5m)]",
        &[
            "1:12 unexpected \")\" in subquery or range selector, expected number, duration, step(), or range()",
        ],
    );
    check("a[5m / 0]", &["1:6 division by zero"]);
    check("a offset 300y", &["1:10 duration out of range: \"300y\""]);
    check("Rate(a[5m])", &["1:1 unknown function with name \"Rate\"; did you mean \"rate\"?"]);
    check(
        "sum(incrase(a[5m]) + b{c=1, d=~\"(\"}) / (x y)",
        &[
            "1:5 unknown function with name \"incrase\"; did you mean \"increase\"?",
            "1:26 unexpected character inside braces: '1'",
        ],
    );
    check(
        "sum(incrase(a[5m]), b{c=~\"(\"}) /\n  (x y)",
        &[
            "1:5 unknown function with name \"incrase\"; did you mean \"increase\"?",
            "1:23 error parsing regexp \"(\": unclosed group",
            "1:1 wrong number of arguments for aggregate expression provided, expected 1, got 2",
            "2:6 unexpected identifier \"y\", expected an operator or \")\"",
        ],
    );
}

//! The parser against the cases of Prometheus 3.13 and against a running Prometheus 3.5.
//!
//! Invariant: every expression of the cases parses, prints to something that parses to the same tree, and
//! prints as Prometheus prints it, where that version knows the syntax.

#[path = "support/peers.rs"]
mod peers;

use assay_promql::{Expr, parse, pretty};

/// A fuzzer's find: `pretty` wrote the base of a power with its sign, which then took in the power.
#[test]
fn an_infinite_base_keeps_its_power_over_several_lines() {
    let long = "a".repeat(60);
    let expr = parse(&format!("+Inf ^ ({long} + {long})")).expect("a valid expression");
    assert_eq!(parse(&pretty(&expr)).expect("pretty's own text").to_string(), expr.to_string());
}

/// Another: an offset of zero behind several signs was printed as a zero, which is read as no offset.
#[test]
fn an_offset_of_zero_is_none_whatever_its_signs() {
    for text in ["foo offset 0s", "foo offset -0s", "foo offset --0s", "foo offset ---0s", "foo offset +-+0d"]
    {
        assert_eq!(parse(text).expect("a valid expression").to_string(), "foo", "{text}");
    }
}

#[test]
fn every_expression_of_the_cases_survives_print_and_parse() {
    let Some(data) = assay_testkit::data("promqltest") else { return };
    let expressions = peers::expressions(&data);
    assert!(expressions.len() > 1_000, "only {} expressions found", expressions.len());
    let mut bad = Vec::new();
    for text in &expressions {
        match parse(text) {
            Err(e) => bad.push(format!("{text}\n    {e}")),
            Ok(expr) => bad.extend(round_trip(&expr)),
        }
    }
    assert!(bad.is_empty(), "{} of {}:\n{}", bad.len(), expressions.len(), bad.join("\n"));
}

/// What differs after printing and parsing, if anything does, in both forms.
fn round_trip(expr: &Expr) -> Option<String> {
    for printed in [expr.to_string(), pretty(expr)] {
        match parse(&printed) {
            Err(e) => return Some(format!("{printed}\n    {e}")),
            Ok(again) if again.to_string() != expr.to_string() => {
                return Some(format!("{expr}\n    came back as {again}"));
            }
            Ok(_) => {}
        }
    }
    None
}

/// The `data` string of a format_query reply, or the error.
fn formatted(server: &peers::Prometheus, text: &str) -> Result<String, String> {
    let (_, body) = server.post("/api/v1/format_query", &[("query", text)]);
    let reply: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    match reply["data"].as_str() {
        Some(data) => Ok(data.to_owned()),
        None => Err(reply["error"].as_str().expect("an error").to_owned()),
    }
}

#[test]
fn prints_as_prometheus_does() {
    let (Some(server), Some(data)) = (peers::Prometheus::start(None), assay_testkit::data("promqltest"))
    else {
        return;
    };
    let (mut same, mut unknown, mut bad) = (0, Vec::new(), Vec::new());
    for text in peers::expressions(&data) {
        let Ok(expr) = parse(&text) else { continue };
        match formatted(&server, &text) {
            Ok(theirs) if theirs == pretty(&expr) => same += 1,
            Ok(theirs) => bad.push(format!("ours:   {}\ntheirs: {theirs}", pretty(&expr))),
            Err(error) => unknown.push(format!("{text}\n    {error}")),
        }
    }
    eprintln!("{same} printed alike, {} unknown to the server", unknown.len());
    if std::env::var_os("SHOW_UNKNOWN").is_some() {
        eprintln!("{}", unknown.join("\n"));
    }
    assert!(bad.is_empty(), "{} differ:\n{}", bad.len(), bad.join("\n"));
}

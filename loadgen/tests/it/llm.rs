//! What is particular to language models: answers that are cut short by who asked, tools, reasoning and caches, objectives.

use std::time::Duration;

use crate::server::{Do, Seen, Server, raw, respond, run, run_with};

fn event(data: &str) -> Do {
    raw(format!("data: {data}\n\n"))
}

fn content(text: &str) -> Do {
    event(&format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]}}"#))
}

/// An answer in events, after each of which the server waits.
fn stream(events: impl IntoIterator<Item = Do>, pause: Duration) -> Vec<Do> {
    let head = raw("HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n");
    let mut actions = vec![head];
    for event in events {
        actions.extend([event, Do::Wait(pause)]);
    }
    actions.push(Do::Close);
    actions
}

fn chat(more: &str) -> String {
    format!(
        "scenario: t\nflow: [{{name: chat, openai: chat, json: {{model: m, messages: [], stream: true}}{more}}}]\nphases: {{p: {{executor: per-vu-iterations, iterations: 4}}}}\n"
    )
}

/// An answer that never ends by itself.
fn endless(_: &Seen) -> Vec<Do> {
    stream((0..100_000).map(|_| content("x")), Duration::from_millis(2))
}

#[test]
fn a_client_that_has_read_enough_goes_and_is_counted_apart() {
    let server = Server::start(endless);
    let summary = run(&server, &chat(", cancel: {after_tokens: 3}"));
    let step = &summary.phases[0].steps[0];
    assert_eq!((step.cancelled, step.requests, step.errors), (4, 0, 0), "{}", summary.to_text());
    assert_eq!(summary.phases[0].iterations, 4);
    assert_eq!(step.generation.as_ref().map(|g| g.output_tokens), Some(0), "in no other figure");
    assert!(!summary.warnings.iter().any(|w| w.contains("no iteration came")), "{:?}", summary.warnings);
    // Each had a connection of its own, as each closed it.
    let mut connections: Vec<usize> = server.seen().iter().map(|s| s.connection).collect();
    connections.dedup();
    assert_eq!(connections.len(), 4);
}

#[test]
fn a_client_whose_patience_is_over_goes_too_and_some_stay() {
    let server = Server::start(endless);
    let summary = run(&server, &chat(", cancel: {after: 50ms}"));
    assert_eq!((summary.phases[0].steps[0].cancelled, summary.errors), (4, 0), "{}", summary.to_text());
    // What ends before is no different from any other.
    let server = Server::start(|_| stream([content("a"), content("b"), event("[DONE]")], Duration::ZERO));
    let summary = run(&server, &chat(", cancel: {after: 20s}"));
    assert_eq!((summary.phases[0].steps[0].cancelled, summary.requests, summary.errors), (0, 4, 0));
    // A half of 400, give or take six standard deviations.
    let text = chat(", cancel: {after_tokens: 1, share: 0.5}").replace("iterations: 4", "iterations: 400");
    let summary = run(&server, &text);
    let step = &summary.phases[0].steps[0];
    assert_eq!(step.cancelled + step.requests, 400);
    assert!((140..=260).contains(&step.cancelled), "{}", step.cancelled);
}

#[test]
fn what_was_said_before_the_end_is_captured() {
    let server = Server::start(|seen| match seen.line() {
        "GET /x" => respond(200, "", ""),
        _ => endless(seen),
    });
    let text = chat(", cancel: {after_tokens: 1}, capture: {said: {message: all}, text: {content: all}}")
        .replace(
            "}]\nphases",
            "}, {get: '/{{ text[0] }}', name: after, headers: {x-role: '{{ said.role }}'}}]\nphases",
        );
    let summary = run(&server, &text);
    assert_eq!((summary.requests, summary.errors), (4, 0), "{}", summary.to_text());
    let seen = server.seen();
    assert!(seen.iter().any(|s| s.header("x-role") == Some("assistant")), "{seen:?}");
}

/// The scenario of an example of the reference, by its name.
fn example(name: &str) -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/language.md");
    let page = std::fs::read_to_string(page).expect("the reference");
    let block = page.split("```yaml\n").find(|block| block.starts_with(&format!("scenario: {name}\n")));
    block.expect("an example").split("```").next().unwrap_or_default().to_owned()
}

#[test]
fn tools_are_answered_by_the_scenario() {
    let server = Server::start(|seen| {
        if seen.body.contains("tool_call_id") {
            return stream([content("warm"), event("[DONE]")], Duration::ZERO);
        }
        let call = |delta: &str| {
            event(&format!(r#"{{"choices":[{{"index":0,"delta":{{"tool_calls":[{delta}]}}}}]}}"#))
        };
        let events = [
            call(
                r#"{"index":0,"id":"c1","type":"function","function":{"name":"weather","arguments":"{\"city\":"}}"#,
            ),
            call(r#"{"index":0,"function":{"arguments":"\"Rome\"}"}}"#),
            call(
                r#"{"index":1,"id":"c2","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Oslo\"}"}}"#,
            ),
            event("[DONE]"),
        ];
        stream(events, Duration::ZERO)
    });
    let text = example("tools")
        .replace("constant-vus, vus: 3, duration: 1m", "per-vu-iterations, vus: 1, iterations: 1");
    let summary = run(&server, &text);
    assert_eq!((summary.requests, summary.errors), (2, 0), "{}", summary.to_text());
    let seen = server.seen();
    let sent: serde_json::Value = serde_json::from_str(&seen[1].body).expect("JSON");
    let messages = sent["messages"].as_array().expect("messages");
    assert_eq!(messages.len(), 4, "{messages:?}");
    assert_eq!(messages[1]["tool_calls"][0]["function"]["arguments"], "{\"city\":\"Rome\"}");
    assert_eq!(messages[2]["tool_call_id"], "c1");
    assert_eq!(messages[3]["content"], "In Oslo: 21 °C");
    // As they are written, and not by the alphabet: a prompt is a text.
    assert!(seen[1].body.contains(r#"{"role":"tool","tool_call_id":"c1","content":"#), "{}", seen[1].body);
}

#[test]
fn reasoning_and_caches_are_told_apart() {
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":100,"prompt_tokens_details":{"cached_tokens":64},"completion_tokens":12,"completion_tokens_details":{"reasoning_tokens":10}}}"#;
    let server = Server::start(move |_| {
        stream([content("a"), content("b"), event(usage), event("[DONE]")], Duration::from_millis(40))
    });
    let summary = run(&server, &chat(""));
    let step = &summary.phases[0].steps[0];
    let g = step.generation.as_ref().expect("a generation");
    assert_eq!((g.input_tokens, g.cached_tokens, g.output_tokens, g.reasoning_tokens), (400, 256, 48, 40));
    // Two tokens were seen, 40 ms apart: what was thought before is not between them.
    let per_token = g.time_per_output_token.expect("two tokens").p50;
    assert!(per_token > 0.03, "{per_token} s");
    assert!(g.output_tokens_per_s_per_user.is_some_and(|rate| rate < 30.0), "{g:?}");
    assert!(g.prefill_tokens_per_s.is_some());
    let text = summary.to_text();
    assert!(text.contains("256 in from a cache, 40 out for reasoning"), "{text}");
}

#[test]
fn a_good_request_keeps_every_objective() {
    let server = Server::start(|_| {
        let mut actions = stream([content("a"), content("b")], Duration::ZERO);
        let end = actions.pop();
        actions.extend([Do::Wait(Duration::from_millis(150)), content("c"), event("[DONE]")]);
        actions.extend(end);
        actions
    });
    let good = |objectives: &str| {
        let summary = run_with(&server, &chat(&format!(", objectives: {{{objectives}}}")), |_| {});
        assert_eq!(summary.errors, 0);
        summary.phases[0].goodput_per_s > 0.0
    };
    assert!(good("chunk_gap: 10s, first_chunk: 10s, duration: 20s"));
    assert!(!good("chunk_gap: 100ms, first_chunk: 10s, duration: 20s"));
    assert!(!good("chunk_gap: 10s, first_chunk: 10s, duration: 100ms"));
}

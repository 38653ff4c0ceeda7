//! The reference, its examples and the schemas: all of them are what the parser does.

mod keys;

use std::{path::PathBuf, sync::Arc};

use assay_testkit::golden::golden;
use assay_yaml::Document;
use jsonschema::Validator;
use loadgen::{RunOptions, Scenario};
use serde_json::Value;

use crate::server::{Do, Seen, Server, raw, respond};

/// The data files of the examples.
pub(crate) const FILES: [(&str, &str); 12] = [
    (
        "tokenizer.json",
        r#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,"pre_tokenizer":{"type":"Whitespace"},"post_processor":null,"decoder":null,"model":{"type":"WordLevel","vocab":{"the":0,"of":1,"?":2},"unk_token":"?"}}"#,
    ),
    (
        "mooncake.jsonl",
        "{\"timestamp\": 0, \"input_length\": 600, \"output_length\": 5, \"hash_ids\": [0, 1]}\n{\"timestamp\": 9000, \"input_length\": 700, \"output_length\": 6, \"hash_ids\": [0, 2]}\n",
    ),
    (
        "access.log",
        "1.2.3.4 - - [10/Oct/2000:13:55:36 +0000] \"GET /a HTTP/1.1\" 200 1\n1.2.3.4 - - [10/Oct/2000:13:56:00 +0000] \"GET /b HTTP/1.1\" 200 1\n",
    ),
    (
        "chats.json",
        r#"[{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}, {"from": "human", "value": "Bye"}]}]"#,
    ),
    ("rows.csv", "id,name\n1,a\n2,b\n"),
    ("people.csv", "id,name\n1,Ada\n2,Bob\n"),
    ("orders.jsonl", "{\"total\": 3}\n{\"total\": 4}\n"),
    ("words.txt", "one\ntwo\nthree\nfour\n"),
    ("questions.txt", "why?\n"),
    ("patients.csv", "id\nP-1\n"),
    ("scan.pdf", "%PDF"),
    ("prompts.txt", "Hello\n"),
];

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The YAML examples of a page.
fn examples(page: &str) -> Vec<String> {
    let text = read(page);
    let blocks = text.split("```yaml\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// An example as a whole scenario: a list is a flow, and what is missing is added.
fn completed(example: &str) -> String {
    let mut text = example.to_owned();
    if example.trim_start().starts_with("- ") || example.lines().any(|l| l.starts_with("- ")) {
        let indented: String = example.lines().map(|l| format!("  {l}\n")).collect();
        text = format!("flow:\n{indented}");
        if example.contains("people.") {
            text.push_str("data: {people: people.csv}\n");
        }
    }
    for (key, default) in [
        ("scenario", "example"),
        ("flow", "[{name: list, get: /items}]"),
        ("phases", "{p: {executor: per-vu-iterations, vus: 1, iterations: 1}}"),
    ] {
        if !text.lines().any(|l| l.starts_with(&format!("{key}:"))) {
            text.push_str(&format!("{key}: {default}\n"));
        }
    }
    text
}

/// A service that has all that the examples ask for.
fn service(seen: &Seen) -> Vec<Do> {
    let path = seen.line().split(' ').nth(1).unwrap_or_default().to_owned();
    let is_asked = seen.body.contains("\"stream\":true") || path.starts_with("/api/chat");
    if is_asked {
        let ndjson = path.starts_with("/api/");
        let (kind, events) = match ndjson {
            true => (
                "application/x-ndjson",
                "{\"message\":{\"content\":\"Hi\"},\"done\":false}\n{\"done\":true,\"eval_count\":1}\n"
                    .to_owned(),
            ),
            false => (
                "text/event-stream",
                [
                    "{\"text\":\"a\",\"tokens\":2}",
                    "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\"}}]}",
                    "[DONE]",
                ]
                .map(|d| format!("data: {d}\n\n"))
                .concat(),
            ),
        };
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", events.len());
        return vec![raw(head), raw(events)];
    }
    let body = r#"{"id":"a-1","access_token":"t","n":3,"items":[{"id":"i-1"}],"serial":"s1","state":"done","last":true,"status":"ok"}"#;
    respond(200, "content-type: application/json\r\nlocation: /next\r\n", body)
}

#[test]
fn every_example_of_the_reference_runs() {
    let server = Server::start(service);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let mut executors = Vec::new();
    for page in ["docs/language.md", "docs/scenarios.md"] {
        for example in examples(page) {
            let text = completed(&example);
            let scenario = Scenario::from_text(page, &text, &FILES).unwrap_or_else(|e| panic!("{e}\n{text}"));
            executors.extend(scenario.phases.iter().map(|p| p.executor.name()));
            let mut options = RunOptions::new(Arc::new(scenario));
            options.target = Some(server.url());
            options.time_scale = 0.002;
            let summary = runtime.block_on(loadgen::run(options)).unwrap_or_else(|e| panic!("{e}\n{text}"));
            assert!(summary.requests > 0 && summary.checks_failed == 0, "{summary:#?}\n{text}");
            // What a phase that was cut short to nothing left open is no failure of the example.
            assert_eq!(summary.errors, 0, "{}\n{text}", summary.to_text());
        }
    }
    executors.sort_unstable();
    executors.dedup();
    assert_eq!(executors.len(), 7, "an example of each executor: {executors:?}");
}

#[test]
fn the_reference_is_what_the_parser_reads() {
    let mut parts = loadgen::reference();
    parts.push(("sla", assay_verdict::sla::reference()));
    let page = "docs/language.md";
    let mut text = read(page);
    for (name, part) in parts {
        let begin = format!("<!-- generated: {name} -->\n");
        let from =
            text.find(&begin).unwrap_or_else(|| panic!("{page} has no place for {name}")) + begin.len();
        let to = from + text[from..].find("<!-- end of generated -->").expect("an end");
        text.replace_range(from..to, &format!("\n{}\n", part.trim_end().to_owned() + "\n"));
    }
    golden(root().join(page), &text);
}

fn validator(schema: &Value) -> Validator {
    jsonschema::draft7::new(schema).expect("a valid schema")
}

pub(crate) fn json(text: &str) -> Value {
    Document::parse("a.yml", text).unwrap_or_else(|e| panic!("{e}\n{text}")).root().to_json()
}

#[test]
fn the_schemas_accept_what_ships() {
    let scenarios = validator(&loadgen::schema());
    let shipped = [
        "loadgen/scenarios/clinical-rag/scenario.yml",
        "loadgen/scenarios/openai-chat/scenario.yml",
        "loadgen/src/cli/init/scenario.yml",
        "deploy/kubernetes/overlays/own/scenario.yml",
    ];
    let mut texts: Vec<String> = shipped.iter().map(|name| read(name)).collect();
    texts.extend(
        ["docs/language.md", "docs/scenarios.md"]
            .iter()
            .flat_map(|page| examples(page))
            .map(|e| completed(&e)),
    );
    for text in texts {
        let problems: Vec<_> =
            scenarios.iter_errors(&json(&text)).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(problems.is_empty(), "{problems:#?}\n{text}");
    }
    let slas = validator(&assay_verdict::sla::schema());
    for name in
        ["prometheus/sla/clinical-rag.yml", "prometheus/sla/openai-chat.yml", "loadgen/src/cli/init/sla.yml"]
    {
        let problems: Vec<_> =
            slas.iter_errors(&json(&read(name))).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(problems.is_empty(), "{name}: {problems:#?}");
    }
}

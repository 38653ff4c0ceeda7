//! The summary for programs has the form that its schema documents, and the schema knows all of it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::server::{Do, Server, ok, respond, run};

const SCENARIO: &str = r#"
scenario: t
flow:
  - {name: plain, get: /plain, check: {status: 200}}
  - {name: told, post: /told, json: {}, stream: sse}
  - {name: bad, get: /bad, check: {status: 200, body: {contains: never}}}
phases: {p: {executor: per-vu-iterations, iterations: 2}}
modes:
  default:
    phases: [p]
    search: {rate: {from: 10/s, to: 20/s}, window: 300ms, rest: 0s, objectives: {good: 0.5, first_chunk: {p99: 5s}}}
"#;

fn schema() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/summary.schema.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("readable")).expect("JSON")
}

/// The names of all keys in a value, as `phases/steps/name`; the keys of maps that users fill are left out.
fn keys(value: &Value, at: &str, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) if !at.ends_with("labels") && !at.ends_with("annotations") => {
            for (key, value) in map {
                let path = format!("{at}/{key}");
                keys(value, &path, out);
                out.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, at, out)),
        _ => {}
    }
}

/// Whether a schema names what stands at a path.
fn knows(root: &Value, path: &str) -> bool {
    let mut at = root;
    for key in path.split('/').skip(1) {
        at = follow(root, at);
        while let Some(items) = at.get("items").filter(|i| i.is_object()) {
            at = follow(root, items);
        }
        let named = at.get("properties").and_then(|p| p.get(key));
        // Of percentiles the schema requires the names.
        let required = at.get("required").and_then(Value::as_array);
        match (named, required) {
            (Some(next), _) => at = next,
            (None, Some(names)) => return names.iter().any(|n| n == key),
            (None, None) => return false,
        }
    }
    true
}

fn follow<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    // What may be null is a choice of which the first says what it is otherwise.
    let schema = schema.get("anyOf").and_then(|choices| choices.get(0)).unwrap_or(schema);
    match schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#')) {
        Some(pointer) => root.pointer(pointer).expect(pointer),
        None => schema,
    }
}

#[test]
fn every_key_of_a_summary_is_documented() {
    let server = Server::start(|seen| match seen.line() {
        "GET /bad" => respond(200, "", "other"),
        "POST /told" => {
            let event = "data: {\"token\":\"a\"}\n\ndata: {\"token\":\"b\"}\n\n";
            let mut actions = respond(200, "content-type: text/event-stream\r\n", event);
            actions.push(Do::Close);
            actions
        }
        _ => ok(),
    });
    let mut summary = run(&server, SCENARIO);
    summary.aborted_by = Some(loadgen::summary::AbortingAlert {
        name: "A".to_owned(),
        labels: [("l".to_owned(), "v".to_owned())].into(),
        value: f64::NAN,
        annotations: [("summary".to_owned(), "s".to_owned())].into(),
        at_ms: 1,
    });
    let value = serde_json::to_value(&summary).expect("JSON");
    assert!(value["capacity"]["windows"][0]["first_chunk"]["p99"].is_number(), "{value}");
    assert!(!value["phases"][0]["steps"][2]["error_types"].as_array().expect("a list").is_empty());
    let schema = schema();
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let problems: Vec<_> =
        validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert_eq!(problems, Vec::<String>::new());
    let mut all = BTreeSet::new();
    keys(&value, "", &mut all);
    let unknown: Vec<_> = all.iter().filter(|path| !knows(&schema, path)).collect();
    assert_eq!(unknown, Vec::<&String>::new(), "write them into docs/summary.schema.json");
    // And a summary without what must be there is not one.
    let mut broken = value.clone();
    broken["phases"][0].as_object_mut().expect("a map").remove("goodput_per_s");
    assert!(!validator.is_valid(&broken));
}

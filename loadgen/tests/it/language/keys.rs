//! Each key of the tables: its example is taken, a value that cannot be is refused, and its default is what applies
//! without it; by the parser and by the schema.

use assay_yaml::shape::{Fallback, Key, Kind, Shape, all};
use jsonschema::Validator;
use loadgen::Scenario;

use super::{FILES, json, validator};

/// A value that no key takes but one that takes anything.
const WRONG: &str = "[{no: [1]}]";

/// What is around a key: a text in which `@` is the key with its value.
fn frame(shape: &Shape, case: Option<&str>, key: &str) -> String {
    let p = "phases: {p: {executor: per-vu-iterations}}";
    let flow = "scenario: s\nflow: [{get: /}]\n";
    let step = |inside: &str| format!("scenario: s\n{p}\nflow: [{inside}]\n");
    let window = |inside: &str| format!("{flow}{p}\nmodes: {{m: {inside}}}\n");
    match (shape.title, case, key) {
        ("Scenario", _, "scenario") => format!("flow: [{{get: /}}]\n{p}\n@\n"),
        ("Scenario", _, "flow") => format!("scenario: s\n{p}\n@\n"),
        ("Scenario", _, "phases") => format!("{flow}@\n"),
        ("Scenario", _, "modes") => {
            format!("{flow}phases: {{steady: {{executor: constant-vus, vus: 1, duration: 1s}}}}\n@\n")
        }
        ("Scenario", ..) => format!("{flow}{p}\n@\n"),
        ("User", _, "name") => format!("{flow}{p}\nusers: [{{@}}]\n"),
        ("User", _, "flow") => {
            format!("{flow}flows: {{other: [{{get: /other}}]}}\n{p}\nusers: [{{name: u, @}}]\n")
        }
        ("User", ..) => format!("{flow}{p}\nusers: [{{name: u, @}}]\n"),
        ("TLS", _, "cert") => format!("{flow}{p}\ntls: {{key: k, @}}\n"),
        ("TLS", _, "key") => format!("{flow}{p}\ntls: {{cert: c, @}}\n"),
        ("TLS", ..) => format!("{flow}{p}\ntls: {{@}}\n"),
        (
            "Request",
            _,
            "get" | "post" | "put" | "patch" | "delete" | "head" | "options" | "openai" | "anthropic"
            | "ollama",
        ) => step("{@}"),
        ("Request", ..) => step("{post: /, @}"),
        ("Think time" | "Set", ..) => step("{get: /}, {@}"),
        ("Distribution of a pause", ..) => step("{get: /}, {think: {@}}"),
        ("If", _, "if") => step("{then: [{get: /}], @}"),
        ("If", _, "then") => step("{if: true, @}"),
        ("If", ..) => step("{if: true, then: [{get: /}], @}"),
        ("Repeat", _, "repeat") => step("{times: 2, @}"),
        ("Repeat", _, "timeout") => step("{repeat: [{get: /}], until: iteration, @}"),
        ("Repeat", _, "every" | "as") => step("{repeat: [{get: /}], times: 2, @}"),
        ("Repeat", ..) => step("{repeat: [{get: /}], @}"),
        ("One of", ..) => step("{@}"),
        ("Alternative", _, "flow") => step("{one_of: [{@}]}"),
        ("Alternative", ..) => step("{one_of: [{flow: [{get: /}], @}]}"),
        ("Part of a form", _, "file" | "value") => step("{post: /, multipart: {a: {@}}}"),
        ("Part of a form", ..) => step("{post: /, multipart: {a: {file: rows.csv, @}}}"),
        ("Checks", ..) => step("{get: /, check: {@}}"),
        ("Cancel", _, "share") => step("{get: /, cancel: {after: 1s, @}}"),
        ("Cancel", ..) => step("{get: /, stream: sse, cancel: {@}}"),
        ("Capture", ..) => step("{get: /, stream: sse, capture: {a: {@}}}"),
        ("Objectives", ..) => step("{get: /, stream: sse, objectives: {@}}"),
        ("Stream", ..) => step("{get: /, stream: {@}}"),
        ("Events", ..) => step("{get: /, stream: {sse: {@}}}"),
        ("Phase", None, "executor") => format!("{flow}phases: {{p: {{vus: 1, duration: 1s, @}}}}\n"),
        ("Phase", None, _) => format!(
            "{flow}flows: {{other: [{{get: /other}}]}}\nphases: {{p: {{executor: per-vu-iterations, @}}}}\n"
        ),
        ("Phase", Some(executor), key) => {
            let rest = match (executor, key) {
                ("constant-vus", "vus") => "duration: 1s",
                ("constant-vus", "duration") => "vus: 1",
                ("constant-vus", _) => "vus: 1, duration: 9s",
                ("ramping-vus", "vus") => "duration: 20s, ramp: 1/s",
                ("ramping-vus", "duration") => "vus: 1, ramp: 1/s",
                ("ramping-vus", "ramp") => "vus: 1, duration: 9s",
                ("ramping-vus", "start_vus") => "vus: 9, ramp: 9/s, duration: 9s",
                ("ramping-vus" | "ramping-arrival-rate", "stages") => "graceful_stop: 1s",
                ("constant-arrival-rate", "rate") => "duration: 1s",
                ("constant-arrival-rate", "duration") => "rate: 9",
                ("constant-arrival-rate", _) => "rate: 9, duration: 1s",
                ("replay", "trace") => "graceful_stop: 1s",
                ("replay", _) => "trace: mooncake.jsonl",
                ("ramping-arrival-rate", _) => "stages: [{duration: 1s, target: 9}]",
                _ => "graceful_stop: 1s",
            };
            format!("{flow}phases: {{p: {{executor: {executor}, {rest}, @}}}}\n")
        }
        ("Stage", _, "duration") => {
            format!("{flow}phases: {{p: {{executor: ramping-vus, stages: [{{target: 1, @}}]}}}}\n")
        }
        ("Stage", ..) => {
            format!("{flow}phases: {{p: {{executor: ramping-vus, stages: [{{duration: 1s, @}}]}}}}\n")
        }
        ("Arrivals", ..) => format!(
            "{flow}phases: {{p: {{executor: constant-arrival-rate, rate: 1, duration: 1s, arrivals: {{@}}}}}}\n"
        ),
        ("Mode", _, "phases") => window("{sweep: {rates: [1/s]}, @}"),
        ("Mode", ..) => window("{@}"),
        ("Search", _, "rate") => window("{search: {@}}"),
        ("Search", ..) => window("{search: {rate: {from: 1/s, to: 9/s}, @}}"),
        ("Range", _, "from") => window("{search: {rate: {to: 999/s, @}}}"),
        ("Range", ..) => window("{search: {rate: {from: 1/s, @}}}"),
        ("Sweep", _, "rates" | "vus") => window("{sweep: {@}}"),
        ("Sweep", ..) => window("{sweep: {rates: [1/s], @}}"),
        ("Objectives of a window", ..) => window("{sweep: {rates: [1/s], objectives: {@}}}"),
        ("Percentiles", ..) => window("{sweep: {rates: [1/s], objectives: {latency: {@}}}}"),
        (title, ..) => panic!("no frame for {title}"),
    }
}

fn read(text: &str) -> Result<Scenario, String> {
    Scenario::from_text("a.yml", text, &FILES).map_err(|e| e.to_string())
}

fn check(schema: &Validator, shape: &Shape, case: Option<&str>, key: &Key) {
    let frame = frame(shape, case, key.name);
    let with = |value: &str| frame.replacen('@', &format!("{}: {value}", key.name), 1);
    let text = with(key.example);
    read(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let problems: Vec<_> =
        schema.iter_errors(&json(&text)).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(problems.is_empty(), "{problems:#?}\n{text}");
    if !matches!(key.kind, Kind::Json) {
        let text = with(WRONG);
        assert!(read(&text).is_err(), "the parser takes\n{text}");
        assert!(!schema.is_valid(&json(&text)), "the schema takes\n{text}");
    }
    if let Kind::Whole(least @ 1..) = key.kind {
        let text = with(&(least - 1).to_string());
        assert!(read(&text).is_err() && !schema.is_valid(&json(&text)), "below the least\n{text}");
    }
    let without = frame.replace(", @", "").replace("@\n", "\n").replace('@', "");
    match key.default {
        Fallback::Required => {
            assert!(read(&without).is_err(), "it is not required\n{without}");
            assert!(!schema.is_valid(&json(&without)), "the schema does not require it\n{without}");
        }
        Fallback::Is(value) => {
            let plain = read(&without).unwrap_or_else(|e| panic!("{e}\n{without}"));
            let given = read(&with(value)).unwrap_or_else(|e| panic!("{e}\n{}", with(value)));
            assert_eq!(
                format!("{plain:#?}"),
                format!("{given:#?}"),
                "{} is not the default\n{without}",
                with(value)
            );
        }
        Fallback::Nothing | Fallback::Words(_) => {}
    }
    // A slip is seen, with the key that was meant.
    let slip = frame.replacen('@', &format!("{}x: {}", key.name, key.example), 1);
    assert!(read(&slip).is_err() && !schema.is_valid(&json(&slip)), "a slip is taken\n{slip}");
}

#[test]
fn every_key_is_read_has_its_default_and_is_in_the_schema() {
    let schema = validator(&loadgen::schema());
    let mut count = 0;
    for (shape, tagged) in all(loadgen::keys()) {
        for key in shape.keys {
            check(&schema, shape, None, key);
            count += 1;
        }
        for case in tagged.map_or(&[][..], |tagged| tagged.cases) {
            for key in case.keys {
                check(&schema, shape, Some(case.name), key);
                count += 1;
            }
        }
    }
    assert!(count > 120, "{count} keys");
}

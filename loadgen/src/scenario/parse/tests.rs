//! What is said of files that are wrong, and what is made of those that are right.

use std::time::Duration;

use crate::scenario::{
    Scenario,
    executor::{Arrivals, ConstantArrivalRate, ConstantVus, RampingVus, SharedIterations, Stage},
};

/// A valid scenario around some lines.
fn with(lines: &str) -> String {
    let mut text = String::new();
    for (key, default) in [
        ("scenario", " t"),
        ("flow", " [{get: /}]"),
        ("phases", " {p: {executor: constant-vus, vus: 1, duration: 1s}}"),
    ] {
        if !lines.lines().any(|l| l.starts_with(&format!("{key}:"))) {
            text.push_str(&format!("{key}:{default}\n"));
        }
    }
    format!("{lines}\n{text}")
}

fn load(lines: &str) -> Result<Scenario, String> {
    let data = [("rows.csv", "id,name\n1,a\n"), ("bad.csv", "id,name\n1\n"), ("trace.csv", "t\n0\n2\n4\n")];
    Scenario::from_text("s.yml", &with(lines), &data).map_err(|e| e.to_string())
}

fn check(lines: &str, want: &str) {
    let got = load(lines).expect_err(lines);
    assert!(got.contains(want), "{lines}\n got {got}\nwant {want}");
}

#[test]
fn problems_have_a_place_and_a_way_out() {
    check("taget: http://x", r#"s.yml:1:1: unknown key "taget" in a scenario; did you mean "target"?"#);
    check("target: example.com", "s.yml:1:9: the target \"example.com\" is not a URL to load");
    check("flow: [{gett: /}]", "s.yml:1:8: a step has one of get, post,");
    check("flow: [{gett: /}]", r#"s.yml:1:9: unknown key "gett" in a step; did you mean "get"?"#);
    check("flow: [{get: /, tiemout: 1s}]", r#"did you mean "timeout"?"#);
    check("flow: [{get: query}]", "expected a path such as /query, or a URL");
    check("flow: [{get: /}, {get: /}]", r#"a step is already called "GET /""#);
    check("flow: [{get: /, check: {status: 2x}}]", "expected a status such as 200 or 2xx, found \"2x\"");
    check(
        "flow: [{get: /, check: {body: {answer: exists}}}]",
        "use contains, matches, or a JSONPath such as $.answer",
    );
    check(
        "flow: [{get: /, capture: {a: token}}]",
        "s.yml:1:30: a JSONPath begins with $, for example $.token",
    );
    check("flow: [{think: {uniform: [5s, 1s]}}, {get: /}]", "the longest think time is below the shortest");
    check("flow: [{think: fast}, {get: /}]", "expected a duration such as 30s");
    check("flow: [{think: 1s}]", "the flow has no request");
    check("data: {d: bad.csv}", "bad.csv, line 2:");
    check("data: {d: none.csv}", "none.csv: cannot be read");
    check(
        "phases: {p: {executor: constant-vu, vus: 1, duration: 1s}}",
        r#"there is no executor "constant-vu"; did you mean "constant-vus"?"#,
    );
    check(
        "phases: {p: {executor: constant-vus, vus: 1, duration: 1s, rate: 5}}",
        r#"unknown key "rate" in a phase"#,
    );
    check(
        "phases: {p: {executor: ramping-vus, vus: 100, duration: 1s, ramp: 10/s}}",
        "longer than the phase",
    );
    check("modes: {m: [q]}", r#"there is no phase "q""#);
    check("users: [{name: a, weight: 0}]", "a weight is at least 1");
}

#[test]
fn a_replay_lasts_as_long_as_a_clock_can_tell() {
    let replay = |options: &str| format!("phases: {{p: {{executor: replay, trace: trace.csv, {options}}}}}");
    // The trace lasts six seconds.
    check(
        &replay("speed: 1e-300"),
        "s.yml:1:57: at 1e-300 times its speed the trace of 6 s would take 6e300 s; expected a speed from about 2e-9 to 6e6",
    );
    check(&replay("speed: 1e300"), "would take 6e-300 s; expected a speed from");
    check(&replay("speed: 0"), "s.yml:1:57: ");
    check(
        &replay("speed: 0.5, repeat: 4294967295"),
        "s.yml:1:70: 4294967295 passes of 12 s each are more than a hundred years; expected 262980000 or fewer",
    );
    let fine = load(&replay("speed: 2, repeat: 10")).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(fine.phases[0].executor.duration(), Duration::from_secs(30));
}

#[test]
fn what_cannot_have_an_effect_is_refused() {
    let phase = |options: &str| format!("phases: {{p: {{{options}}}}}");
    check(&phase("executor: constant-vus, vus: 0, duration: 1s"), "expected 1 or more, found 0");
    check(&phase("executor: constant-vus, vus: 1, duration: 0"), "expected a duration above 0");
    check(&phase("executor: shared-iterations, iterations: 0"), "expected 1 iteration or more");
    check(
        &phase("executor: constant-vus, vus: 100, duration: 10s, ramp: 1/s"),
        "100 users at 1 per second are not all there when the phase ends after 10s",
    );
    check(
        &phase("executor: constant-arrival-rate, rate: 1, duration: 1s, pre_allocated_vus: 9, max_vus: 3"),
        "at most 3 users are fewer than the 9 that are there from the start",
    );
    check(
        &phase("executor: constant-arrival-rate, rate: 1, duration: 1s, pacing: 1s"),
        "starts iterations by a schedule, so that pacing has no effect",
    );
    check("flow: [{get: /, objectives: {first_chunk: 1s}}]", "the objective first_chunk is about streams");
    check("flow: [{get: /, capture: {a: {content: all}}}]", "content: all is the answer of a stream");
    check("flow: [{head: /, check: {body: {contains: a}}}]", "the response to HEAD has no body");
    check("flow: [{openai: chats, json: {}}]", r#"unknown operation: "chats"; did you mean "chat"?"#);
    check("flow: [{repeat: [{get: /}]}]", "a repeat says how often");
    check(
        "flow: [{repeat: [{get: /}], times: 2, timeout: 1s}]",
        "a timeout is for a repeat with while or until",
    );
    check("flow: [{get: /}, {repeat: [{think: 1s}], until: vu}]", "the repeat has no request");
    check("flow: [{get: /}, {repeat: [{get: /b}], until: vu, while: vu}]", "one condition: while or until");
    check("data: {vu: rows.csv}", r#"the name "vu" is always there in templates; choose another"#);
    check("flow: [{get: /, capture: {uuid: $.a}}]", r#"the name "uuid" is that of a function"#);
}

#[test]
fn a_slip_is_shown_with_what_would_apply() {
    check("flow: [{get: /, retreis: 3}]", r#"did you mean "retries"? Without it the default is 0"#);
    check(
        "phases: {p: {executor: shared-iterations, max_duratoin: 1h}}",
        r#"did you mean "max_duration"? Without it the default is 10m"#,
    );
    check("flow: [{thnik: 1s}, {get: /}]", r#"did you mean "think"?"#);
}

#[test]
fn filters_tests_and_functions_are_known_before_the_run() {
    check("flow: [{get: '/{{ vu | uper }}'}]", r#"s.yml:1:24: unknown filter "uper"; did you mean "upper"?"#);
    check("flow: [{get: /}, {if: vu is evn, then: []}]", r#"unknown test "evn"; did you mean "even"?"#);
    check("flow: [{get: '/{{ uiid() }}'}]", r#"unknown name in a template: "uiid"; did you mean "uuid"?"#);
    check("flow: [{get: /}, {if: 1 +, then: []}]", "is not a valid expression");
}

#[test]
fn names_in_templates_are_known_before_the_run() {
    let data = "data: {rows: rows.csv}\n";
    check(
        "flow: [{get: '/{{ tokn }}', capture: {token: $.t}}]",
        r#"s.yml:1:19: unknown name in a template: "tokn"; did you mean "token"?"#,
    );
    check(&format!("{data}flow: [{{get: '/{{{{ rows.randm.id }}}}'}}]"), r#"did you mean "random"?"#);
    check(&format!("{data}flow: [{{get: '/{{{{ rows.random.nmae }}}}'}}]"), r#"did you mean "name"?"#);
    check(
        "flow: [{get: '/{{ env.ASSAY_SURELY_NOT_SET }}'}]",
        "the environment variable ASSAY_SURELY_NOT_SET is not set",
    );
    check("flow: [{get: '/{{ 1 + }}'}]", "is not a valid expression");
    assert!(load("flow: [{get: \"/{{ env.ASSAY_SURELY_NOT_SET | default('x') }}\"}]").is_ok());
    assert!(load("flow: [{get: '/{{ vu }}/{{ iteration }}'}]").is_ok());
}

#[test]
fn all_problems_are_reported_at_once() {
    let got = load("taget: x\nusers: [{nam: a}]\nflow: [{get: /, check: {status: abc}}]\n")
        .expect_err("three problems");
    assert_eq!(got.lines().count(), 4, "{got}");
}

#[test]
fn executors_take_k6s_options() {
    let executor =
        |phase: &str| load(&format!("phases: {{p: {{{phase}}}}}")).expect(phase).phases[0].executor.clone();
    let s = Duration::from_secs;
    assert_eq!(
        executor("executor: ramping-vus, vus: 50, duration: 5m, ramp: 10/s"),
        RampingVus {
            start_vus: 0,
            stages: vec![Stage { duration: s(5), target: 50.0 }, Stage { duration: s(295), target: 50.0 }],
        }
        .into()
    );
    assert_eq!(
        executor(
            "executor: constant-arrival-rate, rate: 120, time_unit: 1m, duration: 1m, arrivals: {gamma: 0.5}, max_vus: 20"
        ),
        ConstantArrivalRate {
            rate_per_s: 2.0,
            duration: s(60),
            vus: 10,
            max_vus: 20,
            arrivals: Arrivals::Gamma { shape: 0.5 },
        }
        .into()
    );
    assert_eq!(
        executor("executor: shared-iterations, vus: 3, iterations: 9"),
        SharedIterations { vus: 3, iterations: 9, max_duration: s(600) }.into()
    );
}

#[test]
fn a_mode_changes_what_it_says_and_nothing_else() {
    let scenario = load(
        "phases:\n  p: {executor: constant-vus, vus: 9, duration: 1h, warmup: true}\nmodes:\n  short: [{phase: p, duration: 2s, think: 0.5}]\n",
    )
    .expect("valid");
    let phase = &scenario.mode("short").expect("a mode")[0];
    assert_eq!(
        phase.executor,
        ConstantVus { vus: 9, duration: Duration::from_secs(2), ramp_per_s: None }.into()
    );
    assert!(phase.warmup && phase.think == 0.5);
    assert_eq!(scenario.mode("p").expect("a phase stands for itself").len(), 1);
    assert!(scenario.mode("shrt").expect_err("none").to_string().contains("did you mean \"short\"?"));
}

#[test]
fn searches_and_sweeps_are_read_and_checked() {
    use crate::scenario::capacity::{Measure, Plan};
    let mode = |lines: &str| format!("modes:\n  m: {lines}\n");
    let scenario = load(&mode("{phases: [p], search: {rate: {from: 10/s, to: 600/m}, window: 5s}}"));
    assert!(scenario.expect_err("an empty range").contains("the highest rate is not above the lowest"));
    let scenario = load(&mode(
        "{phases: [p], search: {rate: {from: 1/s, to: 600/m}, window: 5s, objectives: {errors: 0.01, first_chunk: {p99: 2s}}}}",
    ))
    .expect("valid");
    let capacity = scenario.capacity(Some("m")).expect("a search");
    let Plan::Search(plan) = &capacity.plan else { panic!("a search") };
    assert_eq!((plan.from_per_s, plan.to_per_s, plan.confirm), (1.0, 10.0, 4));
    let limit = capacity.limits.percentiles[0];
    assert_eq!((limit.measure, limit.percentile), (Measure::FirstChunk, "p99"));
    assert_eq!(scenario.mode("m").expect("a mode").len(), 1);
    assert!(scenario.capacity(None).is_none() && scenario.capacity(Some("p")).is_none());
    check(
        &mode("{phases: [p]}"),
        "s.yml:2:6: a mode is a list of phases, or a map with one of search and sweep",
    );
    check(&mode("{sweep: {rates: []}}"), "there are no rates");
    check(
        &mode("{sweep: {rates: [1/s], windw: 1s}}"),
        r#"unknown key "windw" in a sweep; did you mean "window"?"#,
    );
    check(&mode("{search: {}}"), r#"a search lacks the key "rate""#);
    check(
        &mode("{sweep: {rates: [1/s], objectives: {good: 99}}}"),
        "expected a share from 0 to 1, such as 0.01 for 1 %",
    );
    check(&mode("{sweep: {rates: [1/s], objectives: {latency: {p98: 1s}}}}"), r#"unknown key "p98""#);
}

#[test]
fn a_phase_may_have_a_flow_of_its_own() {
    let scenario = load(
        "setup: [{name: in, post: /login}]\n\
         flow: [{name: a, get: /}]\n\
         flows: {other: [{name: b, get: /b}, {name: c, get: /c}]}\n\
         phases:\n  p: {executor: constant-vus, vus: 1, duration: 1s}\n  \
         q: {executor: shared-iterations, flow: other}",
    )
    .unwrap();
    let steps = |phase: &str| -> Vec<&str> {
        let phase = scenario.phase(phase).unwrap();
        let names = scenario.step_names().enumerate();
        names.filter(|(id, _)| scenario.is_step_of(&phase, *id)).map(|(_, name)| name).collect()
    };
    assert_eq!((steps("p"), steps("q")), (vec!["in", "a"], vec!["in", "b", "c"]));
    // A kind of users may have one too, in phases that have none.
    let scenario = load(
        "users: [{name: reader, weight: 3}, {name: writer, flow: write}]\n\
         flow: [{name: a, get: /}]\n\
         flows: {write: [{name: w, post: /w}], other: [{name: o, get: /o}]}\n\
         phases:\n  p: {executor: constant-vus, vus: 4, duration: 1s}\n  \
         q: {executor: shared-iterations, flow: other}",
    )
    .unwrap();
    let steps = |phase: &str| scenario.steps_of(&scenario.phase(phase).unwrap()).collect::<Vec<_>>();
    assert_eq!((steps("p"), steps("q")), (vec!["a", "w"], vec!["o"]));
    check(
        "users: [{name: u, flow: othr}]\nflows: {other: [{get: /b}]}\n",
        "unknown flow: \"othr\"; did you mean \"other\"?",
    );
    check(
        "flows: {other: [{get: /b}]}\nphases: {p: {executor: shared-iterations, flow: othr}}",
        "unknown flow: \"othr\"; did you mean \"other\"?",
    );
}

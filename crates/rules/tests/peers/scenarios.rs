//! Generated test files: each key of the format, with expectations that hold and others that do not.

/// A rule file and a test file that names it as `RULES`.
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) rules: Option<String>,
    pub(crate) test: String,
}

fn scenario(name: &str, rules: &str, test: &str) -> Scenario {
    Scenario { name: name.to_owned(), rules: Some(rules.to_owned()), test: test.to_owned() }
}

/// Series that come and go, a counter, and a gap.
const SERIES: &str = r#"
    - {series: 'up{job="a", instance="1"}', values: '1 1 0 0 0 0 1 1 0 0 0 0 0 1x5'}
    - {series: 'up{job="a", instance="2"}', values: '1x4 stale 0x6 _x3 0x4'}
    - {series: 'load{job="a"}', values: '0+10x18'}
    - {series: 'requests_total', values: '100-5x9 0+7x9'}"#;

/// Rules, header lines of the test file, and the settings of each test.
struct Timeline<'a> {
    name: &'a str,
    rules: &'a str,
    header: &'a str,
    settings: &'a str,
    /// The alert that is asked about.
    alert: &'a str,
    /// Labels and annotations that the alert may have, as `exp_alerts` items.
    alerts: &'a [&'a str],
    /// The times at which it is asked about.
    times: &'a [&'a str],
}

/// For each time one test that expects nothing, one that expects each alert alone, and one that expects all.
fn timeline(t: &Timeline<'_>) -> Scenario {
    let mut test = format!("rule_files: [RULES]\n{}\ntests:\n", t.header);
    for (i, time) in t.times.iter().enumerate() {
        let mut expectations = vec![("none".to_owned(), String::new())];
        for (n, alert) in t.alerts.iter().enumerate() {
            expectations.push((format!("{n}"), format!("\n      - {alert}")));
        }
        if t.alerts.len() > 1 {
            let all: String = t.alerts.iter().map(|a| format!("\n      - {a}")).collect();
            expectations.push(("firing".to_owned(), all));
        }
        for (what, alerts) in expectations {
            test += &format!("  - name: t{i}-{what}\n{}    input_series:{SERIES}\n", t.settings);
            test += &format!("    alert_rule_test:\n    - eval_time: {time}\n      alertname: {}\n", t.alert);
            if !alerts.is_empty() {
                test += &format!("      exp_alerts:{alerts}\n");
            }
        }
    }
    scenario(t.name, t.rules, &test)
}

const TIMES: &[&str] = &["0", "2m", "2m30s", "4m", "6m", "9m", "13m", "18m"];

const DOWN_1: &str = "{exp_labels: {job: a, instance: \"1\"}}";
const DOWN_2: &str = "{exp_labels: {job: a, instance: \"2\"}}";

fn timelines() -> Vec<Scenario> {
    let down = |extra: &str, group: &str| {
        format!("groups:\n- name: g\n{group}  rules:\n  - {{alert: Down, expr: up == 0{extra}}}\n")
    };
    let both = &[DOWN_1, DOWN_2];
    let mut out = Vec::new();
    for (name, extra, group) in [
        ("plain", "", ""),
        ("for", ", for: 2m", ""),
        ("for-odd", ", for: 90s", ""),
        ("for-zero", ", for: 0", ""),
        ("keep", ", keep_firing_for: 2m", ""),
        ("for-keep", ", for: 1m, keep_firing_for: 3m", ""),
        ("interval", "", "  interval: 5m\n"),
        ("offset", "", "  query_offset: 1m\n"),
        ("offset-for", ", for: 1m", "  query_offset: 30s\n"),
        ("limit-far", "", "  limit: 2\n"),
        ("limit-hit", "", "  limit: 1\n"),
        ("limit-negative", "", "  limit: -1\n"),
    ] {
        let rules = down(extra, group);
        let intervals = [
            ("", "", ""),
            ("-30s", "evaluation_interval: 30s", "    interval: 1m\n"),
            ("-fast", "evaluation_interval: 1m", "    interval: 15s\n"),
        ];
        // Other intervals matter where time is measured.
        let tried =
            if name.contains("for") || name.contains("keep") { &intervals[..] } else { &intervals[..1] };
        for (kind, header, settings) in tried.iter().copied() {
            let name = format!("{name}{kind}");
            let t = Timeline {
                name: &name,
                rules: &rules,
                header,
                settings,
                alert: "Down",
                alerts: both,
                times: TIMES,
            };
            out.push(timeline(&t));
        }
    }
    out
}

fn labels_and_annotations() -> Vec<Scenario> {
    let mut out = Vec::new();
    for (name, rule, group, alerts) in [
        (
            "labels",
            "labels: {severity: page}",
            "",
            &["{exp_labels: {job: a, severity: page}}", "{exp_labels: {job: a}}"][..],
        ),
        (
            "group-labels",
            "labels: {b: rule}",
            "  labels: {b: group, c: group}\n",
            &["{exp_labels: {job: a, b: rule, c: group}}"],
        ),
        (
            "template-label",
            "labels: {v: '{{ $value }}'}",
            "",
            &["{exp_labels: {job: a, v: \"100\"}}", "{exp_labels: {job: a, v: \"110\"}}"],
        ),
        (
            "delete-label",
            "labels: {job: ''}",
            "",
            &["{exp_labels: {}}", "{}", "{exp_labels: {job: a}}", "{exp_labels: {job: ''}}"],
        ),
        ("override-name", "labels: {alertname: other}", "", &["{exp_labels: {job: a}}"]),
        (
            "annotations",
            "annotations: {s: 'load {{ $value }} of {{ $labels.job }}', e: ''}",
            "",
            &[
                "{exp_labels: {job: a}, exp_annotations: {s: load 100 of a, e: ''}}",
                "{exp_labels: {job: a}, exp_annotations: {s: load 100 of a}}",
                "{exp_labels: {job: a}}",
            ],
        ),
        (
            "external",
            "annotations: {s: '{{ $externalLabels.dc }} {{ .ExternalURL }} {{ $externalURL }}'}",
            "",
            &["{exp_labels: {job: a}, exp_annotations: {s: 'eu http://p:1/x http://p:1/x'}}"],
        ),
        (
            "query",
            "annotations: {s: '{{ range query \"up\" | sortByLabel \"instance\" }}{{ .Labels.instance }}={{ .Value }} {{ end }}'}",
            "",
            &["{exp_labels: {job: a}, exp_annotations: {s: '1=0 2=0 '}}"],
        ),
    ] {
        let rules =
            format!("groups:\n- name: g\n{group}  rules:\n  - {{alert: High, expr: load >= 100, {rule}}}\n");
        let settings = "    external_labels: {dc: eu}\n    external_url: http://p:1/x\n";
        let times = &["9m", "10m", "11m"];
        let t = Timeline { name, rules: &rules, header: "", settings, alert: "High", alerts, times };
        out.push(timeline(&t));
    }
    out
}

/// Each expression with the samples that it may have; every pair of them is a test.
fn expressions() -> Vec<Scenario> {
    let rules = "groups:
- name: b
  rules:
  - {record: 'job:up:sum', expr: sum by (job) (up)}
  - {record: 'job:up:double', expr: 'job:up:sum * 2', labels: {twice: 'yes'}}
  - {record: one, expr: '1'}
  - {record: late, expr: early}
- name: a
  rules:
  - {record: early, expr: vector(time())}
  - {record: count, expr: count + 1 or vector(0)}
  - {record: gone, expr: up{instance=\"2\"}}
  - {alert: Down, expr: up == 0, for: 1m}
";
    let mut test = "rule_files: [RULES]\ngroup_eval_order: [b, a]\ntests:\n".to_owned();
    let cases = [
        (
            "job:up:sum",
            "4m",
            &["{labels: 'job:up:sum{job=\"a\"}', value: 0}", "{labels: 'job:up:sum{job=\"a\"}', value: 1}"][..],
        ),
        (
            "job:up:double",
            "1m",
            &[
                "{labels: 'job:up:double{job=\"a\", twice=\"yes\"}', value: 4}",
                "{labels: 'job:up:double{job=\"a\"}', value: 4}",
            ],
        ),
        ("one", "3m", &["{labels: one, value: 1}", "{labels: '{}', value: 1}", "{value: 1}"]),
        ("late", "5m", &["{labels: late, value: 240}", "{labels: late, value: 300}"]),
        ("count", "5m", &["{labels: count, value: 5}", "{labels: count, value: 0}"]),
        ("gone", "4m", &["{labels: 'gone{instance=\"2\", job=\"a\"}', value: 1}"]),
        ("count(gone) or vector(-1)", "5m", &["{labels: '{}', value: 1}", "{labels: '{}', value: -1}"]),
        (
            "ALERTS{instance=\"1\"}",
            "3m",
            &[
                "{labels: 'ALERTS{alertname=\"Down\", alertstate=\"firing\", instance=\"1\", job=\"a\"}', value: 1}",
                "{labels: 'ALERTS{alertname=\"Down\", alertstate=\"pending\", instance=\"1\", job=\"a\"}', value: 1}",
            ],
        ),
        (
            "ALERTS",
            "2m",
            &[
                "{labels: 'ALERTS{alertname=\"Down\", alertstate=\"pending\", instance=\"1\", job=\"a\"}', value: 1}",
            ],
        ),
        (
            "ALERTS_FOR_STATE",
            "3m",
            &["{labels: 'ALERTS_FOR_STATE{alertname=\"Down\", instance=\"1\", job=\"a\"}', value: 120}"],
        ),
        ("1 + 1", "1m", &["{labels: '{}', value: 2}", "{labels: '{}', value: 2.0000001}"]),
        ("time()", "90s", &["{labels: '{}', value: 90}", "{labels: '{}', value: 60}"]),
        ("1 / 0", "1m", &["{labels: '{}', value: .inf}", "{labels: '{}', value: -.inf}"]),
        ("0 / 0", "1m", &["{labels: '{}', value: .nan}"]),
        ("\"text\"", "1m", &["{labels: '{}', value: 1}"]),
        ("up[5m]", "1m", &["{labels: '{}', value: 1}"]),
        ("nope(", "1m", &["{labels: '{}', value: 1}"]),
        ("0.1 + 0.2", "1m", &["{labels: '{}', value: 0.3}", "{labels: '{}', value: 0.30000000000000004}"]),
        (
            "vector(0x10)",
            "1m",
            &["{labels: '{}', value: 16}", "{labels: '{}', value: 0x10}", "{labels: '{}', value: 1_6}"],
        ),
        ("up", "1m", &["{labels: 'up{', value: 1}", "{labels: 'up{job=\"a\", instance=\"1\"}', value: 1}"]),
        (
            "sum_over_time(up{instance=\"1\"}[3m:])",
            "5m",
            &["{labels: '{instance=\"1\", job=\"a\"}', value: 0}"],
        ),
        (
            "absent(nothing)",
            "1m",
            &["{labels: '{}', value: 1}", "{value: 1}", "{value: 2}", "{labels: ' ', value: 1}"],
        ),
        (
            "h",
            "2m",
            &[
                "{labels: h, histogram: '{{count:3 sum:3 buckets:[3]}}'}",
                "{labels: h, histogram: '{{sum:3 count:3 offset:0 buckets:[3 0]}}'}",
                "{labels: h, histogram: '{{count:2}}'}",
                "{labels: h, value: 3}",
                "{labels: h, histogram: '5'}",
                "{labels: h, histogram: '{{bad}}'}",
            ],
        ),
        ("histogram_sum(h)", "2m", &["{labels: '{}', value: 3}"]),
    ];
    for (i, (expr, time, samples)) in cases.iter().enumerate() {
        let mut expectations = vec![String::new()];
        expectations.extend(samples.iter().map(|s| format!("\n      exp_samples:\n      - {s}")));
        if samples.len() > 1 {
            expectations
                .push(format!("\n      exp_samples:\n      - {}\n      - {}", samples[0], samples[1]));
        }
        for (n, expected) in expectations.iter().enumerate() {
            test += &format!("  - name: t{i}-{n}\n    input_series:{SERIES}\n");
            test += "    - {series: h, values: '{{count:1 sum:1 buckets:[1]}}+{{count:1 sum:1 buckets:[1]}}x5'}\n";
            let expr = expr.replace('\'', "''");
            test +=
                &format!("    promql_expr_test:\n    - expr: '{expr}'\n      eval_time: {time}{expected}\n");
        }
    }
    let reversed = test.replace("[b, a]", "[a, b]");
    let fuzzy = test.replace("tests:\n", "fuzzy_compare: true\ntests:\n");
    vec![
        scenario("expressions", rules, &test),
        scenario("expressions-reversed", rules, &reversed),
        scenario("expressions-fuzzy", rules, &fuzzy),
    ]
}

/// Histograms as storage gives them back, with the hints that their chunks tell.
fn hints() -> Vec<Scenario> {
    let histogram =
        |count: u32, more: &str| format!("{{{{count:{count} sum:{count} buckets:[{count}]{more}}}}}");
    let (reset, gauge) = (" counter_reset_hint:reset", " counter_reset_hint:gauge");
    let values = [
        histogram(1, ""),
        histogram(2, ""),
        histogram(1, ""),
        histogram(3, gauge),
        histogram(3, reset),
        histogram(4, ""),
        "5".to_owned(),
        histogram(9, ""),
        "stale".to_owned(),
        histogram(9, ""),
    ];
    let rules = "groups:\n- {name: g, rules: [{record: r, expr: sum(h)}]}\n";
    let mut test = "rule_files: [RULES]\ntests:\n".to_owned();
    for (i, value) in values.iter().enumerate() {
        for (n, hint) in ["", " counter_reset_hint:not_reset", reset, gauge].into_iter().enumerate() {
            let plain = value.replace(reset, "").replace(gauge, "");
            let expected = plain.replace("}}", &format!("{hint}}}}}"));
            for metric in ["h", "r"] {
                test += &format!(
                    "  - name: {metric}{i}-{n}\n    input_series:\n    - {{series: h, values: '{}'}}\n    promql_expr_test:\n    \
                     - expr: {metric}\n      eval_time: {i}m\n      exp_samples: [{{labels: {metric}, histogram: '{expected}'}}]\n",
                    values.join(" ")
                );
            }
        }
    }
    vec![scenario("hints", rules, &test)]
}

/// Values in each notation, read back one by one.
fn notations() -> Vec<Scenario> {
    let mut test = "rule_files: []\ntests:\n".to_owned();
    for (i, values) in [
        "1 2 3",
        "1+1x3",
        "1-1x3",
        "5x2",
        "_ 1",
        "_x2 1",
        "1 _ 2",
        "1 stale 2",
        "1x0 2",
        "0x1f",
        "1e2 .5 1.5e-1",
        "Inf -Inf NaN",
        "-1+2x2",
        "+1",
        "1+1",
        "x",
        "1,2",
        "1x",
        "1 2 3x-1",
        "{{schema:0 sum:1 count:1 buckets:[1]}}",
        "{{bad:1}}",
        "",
        "1\n\n2",
        "inf",
        "1+2",
        "-5-1x3",
        "0x2",
        "1_000",
    ]
    .iter()
    .enumerate()
    {
        let quoted = values.replace('\n', "\\n");
        for (n, time) in ["0", "1m"].iter().enumerate() {
            for (m, samples) in
                ["[]", "[{labels: m, value: 1}]", "[{labels: m, value: 2}]"].iter().enumerate()
            {
                test += &format!(
                    "  - name: v{i}-{n}-{m}\n    input_series: [{{series: m, values: \"{quoted}\"}}, {{series: n, values: 1x9}}]\n"
                );
                test += &format!(
                    "    promql_expr_test: [{{expr: m, eval_time: {time}, exp_samples: {samples}}}]\n"
                );
            }
        }
        test += &format!(
            "  - name: n{i}\n    input_series: [{{series: m, values: \"{quoted}\"}}, {{series: n, values: 1x9}}]\n"
        );
        test += "    promql_expr_test: [{expr: n, eval_time: 1m, exp_samples: [{labels: n, value: 1}]}]\n";
    }
    vec![scenario("notations", "groups: []\n", &test)]
}

/// Files that are refused, and tests that fail for what stands in them.
fn mistakes() -> Vec<Scenario> {
    let rules = "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up == 0}\n";
    let good =
        "rule_files: [RULES]\ntests:\n- name: t1\n  alert_rule_test:\n  - {eval_time: 1m, alertname: A}\n";
    let mut out = vec![scenario("good", rules, good)];
    for (i, (from, to)) in [
        ("rule_files", "rulefiles"),
        ("tests:", "bogus: 1\ntests:"),
        ("tests:", "test:"),
        ("name: t1", "nme: t1"),
        ("eval_time", "evaltime"),
        ("eval_time: 1m", "eval_time: 1x"),
        ("eval_time: 1m", "eval_time: 60"),
        ("eval_time: 1m", "eval_time: -1m"),
        ("alertname: A", "alertname: ''"),
        ("alertname: A", "alert: A"),
        ("alertname: A", "alertname: B"),
        ("alertname: A}", "alertname: A, exp_alerts: [{exp_label: {}}]}"),
        ("alertname: A}", "alertname: A, exp_alerts: {}}"),
        ("alertname: A}", "alertname: A, exp_alerts: [5]}"),
        ("alertname: A}", "alertname: A, exp_alerts: [{exp_labels: [a]}]}"),
        ("tests:", "evaluation_interval: 0s\ntests:"),
        ("tests:", "evaluation_interval: fast\ntests:"),
        ("tests:", "evaluation_interval: 1\ntests:"),
        ("tests:", "group_eval_order: [g, g]\ntests:"),
        ("tests:", "group_eval_order: [unknown]\ntests:"),
        ("tests:", "group_eval_order: g\ntests:"),
        ("tests:", "fuzzy_compare: perhaps\ntests:"),
        ("tests:", "fuzzy_compare: true\ntests:"),
        ("[RULES]", "[none.yml]"),
        ("[RULES]", "['*.none']"),
        ("[RULES]", "['[']"),
        ("[RULES]", "RULES"),
        ("[RULES]", "[RULES, RULES]"),
        ("[RULES]", ""),
        ("  alert_rule_test", "  interval: 5\n  alert_rule_test"),
        ("  alert_rule_test", "  interval: 30s\n  alert_rule_test"),
        ("  alert_rule_test", "  external_labels: [a]\n  alert_rule_test"),
        ("  alert_rule_test", "  external_labels: {a: 1}\n  alert_rule_test"),
        ("  alert_rule_test", "  external_url: {}\n  alert_rule_test"),
        ("  alert_rule_test", "  input_series: [{series: 'a{', values: 1}]\n  alert_rule_test"),
        ("  alert_rule_test", "  input_series: [{serie: a, values: 1}]\n  alert_rule_test"),
        ("  alert_rule_test", "  input_series: [{series: a}]\n  alert_rule_test"),
        ("  alert_rule_test", "  input_series: [{values: '1'}]\n  alert_rule_test"),
        ("  alert_rule_test", "  input_series: [{series: 'a{b=\"1\"}', values: 1}, {series: 'a{b=\"1\"}', values: 2}]\n  alert_rule_test"),
        ("  alert_rule_test", "  promql_expr_test: [{expr: vector(1), eval_time: 1m, exp_samples: [{labels: '{}', value: x}]}]\n  alert_rule_test"),
        ("  alert_rule_test", "  promql_expr_test: [{expr: vector(1), eval_time: 1m, exp_samples: [{labels: '{}', value: '1'}]}]\n  alert_rule_test"),
        ("  alert_rule_test", "  promql_expr_test: [{expr: vector(1), eval_time: 1m, exp_samples: [{label: '{}', value: 1}]}]\n  alert_rule_test"),
        ("  alert_rule_test", "  promql_expr_test: [{expr: vector(1), eval_time: 1m, exp_samples: [{labels: '{}', value: 1}]}]\n  alert_rule_test"),
        ("  alert_rule_test", "  promql_expr_test: [{eval_time: 1m}]\n  alert_rule_test"),
        (good, ""),
        (good, "[]"),
        (good, "tests: {}"),
    ]
    .iter()
    .enumerate()
    {
        out.push(scenario(&format!("mistake-{i}"), rules, &good.replace(from, to)));
    }
    for (i, rules) in [
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up ==}\n",
        "groups:\n- name: g\n  rules:\n  - {alert: A, exp: up}\n",
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up, for: 5}\n",
        "groups:\n- name: g\n  rules:\n  - {record: A, expr: up, for: 5m}\n",
        "groups:\n- name: g\n  rules:\n  - {record: 'a b', expr: vector(1)}\n",
        "groups:\n- name: g\n  rules:\n  - {record: 'a{}', expr: vector(1)}\n",
        "groups:\n- name: g\n  rules:\n  - {record: a, alert: A, expr: up}\n",
        "groups:\n- name: g\n  rules:\n  - {expr: up}\n",
        "groups:\n- name: g\n- name: g\n",
        "groups:\n- rules: []\n",
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up, labels: {__name__: x}}\n",
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up, labels: {a-b: x}}\n",
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up, annotations: {a: '{{ nope }}'}}\n",
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up, annotations: {a: '{{ .Nope }}'}}\n",
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up, labels: {a: '{{ if }}'}}\n",
        "groups:\n- name: g\n  rules:\n  - {record: a, expr: up, labels: {a: '{{ if }}'}}\n",
        "groups:\n- name: g\n  limit: x\n",
        "groups:\n- name: g\n  interval: 0s\n  rules: [{alert: A, expr: vector(0)}]\n",
        "groups:\n- name: g\n  labels: {__name__: x}\n",
        "",
        "groups:\n",
        "group: []\n",
        "groups: [",
        "groups:\n- name: g\n  rules:\n  - {record: a, expr: '\"text\"'}\n",
        "groups:\n- name: g\n  rules:\n  - {record: a, expr: 'up[5m]'}\n",
        "groups:\n- name: g\n  rules:\n  - {record: a, expr: 'vector(1) or label_replace(vector(2), \"x\", \"y\", \"\", \"\")', labels: {x: z}}\n",
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: 'vector(1) or label_replace(vector(2), \"x\", \"y\", \"\", \"\")', labels: {x: z}}\n",
        "groups:\n- name: g\n  rules:\n  - {record: a, expr: vector(1)}\n  - {record: a, expr: vector(2)}\n",
        "groups:\n- name: g\n  rules:\n  - {record: a, expr: vector(1)}\n  - {record: a, expr: vector(1)}\n",
        "groups:\n- name: g\n  limit: 1\n  rules:\n  - {record: a, expr: 'vector(1) or label_replace(vector(2), \"x\", \"y\", \"\", \"\")'}\n",
        "groups:\n- name: g\n  rules:\n  - {record: a, expr: 'vector(1) * on(x) (vector(1) or label_replace(vector(2), \"y\", \"y\", \"\", \"\"))'}\n",
    ]
    .iter()
    .enumerate()
    {
        out.push(scenario(&format!("rules-{i}"), rules, good));
    }
    out
}

/// All scenarios.
pub(crate) fn all() -> Vec<Scenario> {
    let mut all = timelines();
    all.extend(labels_and_annotations());
    all.extend(expressions());
    all.extend(hints());
    all.extend(notations());
    all.extend(mistakes());
    all
}

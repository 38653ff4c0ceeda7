//! Templates: what they print is what promtool sees them print.

use std::process::Command;

use assay_promql::promqltest::MemStorage;
use assay_rules::{RuleFiles, replay};

use crate::peer;

/// Templates of each function and each form of the language, mistakes among them.
const TEMPLATES: &[&str] = &[
    "{{ $value }} {{ .Value }} {{ $labels }} {{ $labels.job }} {{ .Labels.none }}|{{ $labels.a.b }}",
    "{{ .Labels.job | toUpper }} {{ toLower \"ABC\" }} {{ title \"ab cd-ef don't 1st x_y é\" }}",
    "{{ humanize 0 }} {{ humanize 1234567.8 }} {{ humanize 0.00012 }} {{ humanize \"12\" }} {{ humanize -3e30 }}",
    "{{ humanize1024 1 }} {{ humanize1024 1536.0 }} {{ humanize1024 1e12 }} {{ humanize1024 -5000 }}",
    "{{ humanizeDuration 0 }} {{ humanizeDuration 59.9 }} {{ humanizeDuration 3661 }} {{ humanizeDuration 0.0002 }} {{ humanizeDuration -90061 }}",
    "{{ humanizePercentage 0.1234567 }} {{ humanizePercentage 2 }} {{ humanizeTimestamp 1435065584.128 }} {{ humanizeTimestamp \"NaN\" }}",
    "{{ humanize \"x\" }}",
    "{{ humanize true }}",
    "{{ humanizeTimestamp 1e20 }}",
    "{{ (toTime 1435065584).Year }} {{ (toTime 0).Format \"2006-01-02 15:04:05.000 MST\" }} {{ toTime 5 }}",
    "{{ printf \"%.2f|%8.3f|%-8.1f|%08.2f|%+d|%x|%q|%v|%5s|%t|%e|%g\" $value $value $value $value 5 255 \"a\\n\" $value \"ab\" true 12345.678 1e21 }}",
    "{{ printf \"%d %s\" 1.5 }} {{ printf \"%!\" }} {{ printf \"x\" 1 \"a\" }} {{ printf \"%[2]d %[1]d\" 1 2 }} {{ printf \"%*d\" 5 42 }}",
    "{{ print 1 2 \"a\" \"b\" 3 }}|{{ println 1 \"x\" }}|{{ print }}|{{ print nil }}",
    "{{ 1000000.0 }} {{ 123456789.0 }} {{ 1e-5 }} {{ 0.0001 }} {{ 100000.0 }} {{ 1e20 }} {{ -0.0 }} {{ 0x1F }} {{ 0b11 }} {{ 0o17 }} {{ 'x' }} {{ 1_000 }}",
    "{{ if $value }}a{{ end }}{{ if 0 }}b{{ else }}c{{ end }}{{ if \"\" }}d{{ else if 1 }}e{{ end }}",
    "{{ with $labels.job }}[{{ . }}]{{ end }}{{ with $labels.none }}x{{ else }}y{{ end }}{{ with 0 }}a{{ else with 5 }}{{ . }}{{ end }}",
    "{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}{{ range $labels }}{{ . }},{{ end }}",
    "{{ range $i, $s := query \"sort(m)\" }}{{ $i }}:{{ $s.Labels.job }}={{ $s.Value }} {{ end }}",
    "{{ range query \"none\" }}x{{ else }}empty{{ end }} {{ range 3 }}{{ . }}{{ end }} {{ range $i := 2 }}{{ $i }}{{ end }}",
    "{{ range query \"sort(m)\" }}{{ if gt .Value 2.0 }}{{ continue }}{{ end }}{{ .Value }}{{ break }}{{ end }}",
    "{{ query \"m{job='a'}\" | first | value }} {{ query \"m{job='a'}\" | first | label \"job\" }} {{ query \"m{job='a'}\" | first }}",
    "{{ query \"none\" | first }}",
    "{{ query \"none\" | first | value }}",
    "{{ query \"m\" | len }} {{ len $labels }} {{ len \"héllo\" }}",
    "{{ with query \"label_replace(vector(1), '__value__', '7', '', '')\" }}{{ . | first | strvalue }}{{ end }}",
    "{{ query \"sum(\" }}",
    "{{ range query \"m\" | sortByLabel \"job\" }}{{ .Labels.job }}{{ end }}",
    "{{ $x := 1 }}{{ $x }}{{ $x = 2 }}{{ $x }}{{ if true }}{{ $x := 3 }}{{ $x }}{{ end }}{{ $x }}",
    "{{ $y := $value | humanize }}{{ $y }} {{ ($value | printf \"%.1f\") }} {{ (printf \"%s\" \"a\") | toUpper }}",
    "{{ define \"t\" }}<{{ . }}>{{ end }}{{ template \"t\" 5 }}{{ template \"t\" $labels.job }}{{ block \"b\" 1 }}[{{ . }}]{{ end }}{{ template \"t\" }}",
    "a  {{- 1 -}}  b {{/* c */}} d {{- /* e */ -}} f",
    "{{ and 1 0 2 }} {{ or 0 \"\" 3 }} {{ not 0 }} {{ and }} {{ or 0 0 }}",
    "{{ eq 1 1 }} {{ ne \"a\" \"b\" }} {{ lt 1 2 }} {{ le 2.0 2.0 }} {{ gt \"b\" \"a\" }} {{ ge 1 2 }} {{ eq 1 2 3 1 }}",
    "{{ eq 1 1.0 }}",
    "{{ gt $value 80 }}",
    "{{ eq $labels.job \"a\" \"b\" }} {{ eq true true }} {{ lt true false }}",
    "{{ index $labels \"job\" }} {{ index $labels \"none\" }}| {{ (index (query \"sort(m)\") 0).Value }}",
    "{{ index $labels 1 }}",
    "{{ index (query \"m\") 99 }}",
    "{{ slice \"abcdef\" 1 3 }} {{ slice \"abc\" 1 }} {{ slice \"abc\" }}",
    "{{ slice \"abc\" 2 1 }}",
    "{{ html \"<a&'\\\">\" }} {{ js \"<a'=>\" }} {{ urlquery \"a b&c\" }} {{ safeHtml \"<b>\" }}",
    "{{ match \"^a.c$\" \"abc\" }} {{ match \"b\" \"abc\" }} {{ reReplaceAll \"(a)(b)\" \"$2$1\" \"abab\" }} {{ reReplaceAll \"x*\" \"-\" \"abc\" }}",
    "{{ match \"(\" \"a\" }}",
    "{{ reReplaceAll \"[\" \"\" \"x\" }}",
    "{{ graphLink \"up{job=\\\"a b\\\"}\" }} {{ tableLink \"a+b\" }}",
    "{{ stripPort \"h:80\" }} {{ stripPort \"[::1]:80\" }} {{ stripPort \"h\" }} {{ stripDomain \"a.b.c:80\" }} {{ stripDomain \"1.2.3.4:80\" }} {{ stripDomain \"a.b\" }} {{ stripDomain \"[::1]:80\" }}",
    "{{ parseDuration \"1h30m\" }} {{ parseDuration \"0\" }}",
    "{{ parseDuration \"1x\" }}",
    "{{ parseDuration \"x\" }}",
    "{{ args 1 \"b\" }} {{ (args 1 2).arg1 }} {{ (args 1).arg5 }}",
    "{{ $value.x }}",
    "{{ .Nope }}",
    "{{ $labels.job.x }}",
    "{{ toUpper 1 }}",
    "{{ toUpper $value }}",
    "{{ label \"job\" $value }}",
    "{{ value 1 }}",
    "{{ first $labels }}",
    "{{ template \"undefined\" }}",
    "{{ nil }}",
    "{{ $value | toUpper }}",
    "{{ $labels.job 1 }}",
    "{{ 1 2 }}",
    "{{ printf 1 }}",
    "{{ len 1 }}",
    "{{ range 1.5 }}{{ end }}",
    "{{ range true }}{{ end }}",
    "{{ call 1 }}",
    "line one\nline {{ .Nope }}",
    "{{ if and (gt $value 1.0) (eq $labels.job \"a\") }}yes{{ end }}",
    "{{ ` raw\\n ` }}{{ \"tab\\t\\u00e9\\x41\\101\" }}",
    "{{ $ }}",
    "{{ with $x := 5 }}{{ $x }}{{ . }}{{ end }}",
    "{{ (query \"hist\" | first).Value }} {{ with query \"hist\" }}{{ (. | first).Value.Count }}{{ end }}",
    "{{ range $i, $e := args 1 2 }}{{ $i }}{{ $e }}{{ end }}",
    "{{ define \"r\" }}{{ if . }}x{{ end }}{{ end }}{{ template \"r\" true }}",
    "{{ print $labels }} {{ printf \"%s\" $labels }} {{ printf \"%T %T %T\" 1 1.0 $labels }}",
    "{{ printf \"%v %s\" nil nil }} {{ printf \"%6.2f%%\" 12.345 }} {{ printf \"%c\" 65 }} {{ printf \"%U\" 65 }} {{ printf \"%o\" 8 }} {{ printf \"%b\" 5 }}",
    "{{ printf \"%s\" (query \"m{job='a'}\" | first).Labels.job }} {{ printf \"%.3s|\" \"abcdef\" }} {{ printf \"% d\" 5 }} {{ printf \"%#x\" 255 }}",
];

#[test]
fn templates_print_what_promtool_sees() {
    let Some(binary) = peer("promtool") else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let mut rules = "groups:\n- name: g\n  rules:\n".to_owned();
    for (i, template) in TEMPLATES.iter().enumerate() {
        let text = serde_json::to_string(template).expect("a JSON string");
        rules += &format!("  - {{alert: T{i}, expr: 'm{{job=\"a\"}}', annotations: {{text: {text}}}}}\n");
    }
    std::fs::write(dir.path().join("rules.yml"), &rules).expect("written");
    let expanded = expand(&rules);
    assert_eq!(expanded.len(), TEMPLATES.len());
    let mut tests = "rule_files: [rules.yml]\ntests:\n".to_owned();
    for (i, text) in expanded.iter().enumerate() {
        let text = serde_json::to_string(text).expect("a JSON string");
        tests += &format!(
            "- name: T{i}\n  input_series:\n  - {{series: 'm{{job=\"a\"}}', values: '1.25'}}\n  - {{series: 'm{{job=\"b\"}}', values: '3'}}\n  \
             - {{series: hist, values: '{{{{schema:0 sum:5 count:4 z_bucket:1 z_bucket_w:0.5 offset:1 buckets:[1 2]}}}}'}}\n  \
             alert_rule_test:\n  - eval_time: 0\n    alertname: T{i}\n    exp_alerts: [{{exp_labels: {{job: a}}, exp_annotations: {{text: {text}}}}}]\n"
        );
    }
    let path = dir.path().join("tests.yml");
    std::fs::write(&path, tests).expect("written");
    let output = Command::new(binary).args(["test", "rules"]).arg(&path).output().expect("promtool starts");
    let report =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}");
}

/// What our templates print, by rule.
fn expand(rules: &str) -> Vec<String> {
    let files = RuleFiles::parse("rules.yml", rules).expect("the rules are valid");
    let mut storage = MemStorage::new();
    for (series, values) in [
        ("m{job=\"a\"}", "1.25"),
        ("m{job=\"b\"}", "3"),
        ("hist", "{{schema:0 sum:5 count:4 z_bucket:1 z_bucket_w:0.5 offset:1 buckets:[1 2]}}"),
    ] {
        let (labels, values) =
            assay_promql::promqltest::parse_series_line(&format!("{series} {values}")).expect("parses");
        match &values[0] {
            assay_promql::promqltest::SequenceValue::Float(v) => {
                storage.append(&labels, 0, *v).expect("appended");
            }
            assay_promql::promqltest::SequenceValue::Histogram { value, .. } => {
                storage.append_histogram(&labels, 0, (**value).clone()).expect("appended");
            }
            assay_promql::promqltest::SequenceValue::Omitted => {}
        }
    }
    let result = replay::replay(&storage, &files, &replay::ReplayOptions::new(0, 0));
    assert!(result.errors.is_empty(), "{:?}", result.errors);
    result.alerts.iter().map(|a| a.annotations[0].1.clone()).collect()
}

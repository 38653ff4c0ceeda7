//! The program itself: exit codes, outputs, bad input.

use std::process::{Command, Output};

use crate::recording::{Recording, Trouble, rules, sla};

fn ruleseval(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ruleseval"))
        .args(arguments)
        .env("NO_COLOR", "1")
        .output()
        .expect("starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_exit_code_is_the_verdict_and_all_reports_come_at_once() {
    let check = |trouble: Trouble, code: i32, word: &str| {
        let recording = Recording::new(trouble);
        let path = |name: &str| recording.beside(name).display().to_string();
        let run = recording.path().display().to_string();
        let (sla, rules) = (sla().display().to_string(), rules());
        let (html, json, junit, markdown) = (path("r/a.html"), path("a.json"), path("a.xml"), path("a.md"));
        let out = ruleseval(&[
            "eval",
            &run,
            "--rules",
            &rules,
            "--sla",
            &sla,
            "--html",
            &html,
            "--json",
            &json,
            "--junit",
            &junit,
            "--markdown",
            &markdown,
        ]);
        assert_eq!(out.status.code(), Some(code), "{}{}", text(&out.stdout), text(&out.stderr));
        assert!(
            text(&out.stdout).contains(word) && !text(&out.stdout).contains('\x1b'),
            "{}",
            text(&out.stdout)
        );
        for file in [&html, &json, &junit, &markdown] {
            assert!(std::fs::metadata(file).expect("is written").len() > 100, "{file}");
        }
    };
    check(Trouble::default(), 0, "PASS");
    check(Trouble { slow_peak: true, ..Trouble::default() }, 1, "FAIL");
    check(Trouble { no_service: true, ..Trouble::default() }, 3, "INCONCLUSIVE");
    check(Trouble { killed_after_s: Some(60), ..Trouble::default() }, 0, "cut short");
}

#[test]
fn bad_input_is_one_line_each_and_exit_code_2() {
    let recording = Recording::new(Trouble { killed_after_s: Some(2), ..Trouble::default() });
    let run = recording.path().display().to_string();
    let check = |arguments: &[&str], says: &str| {
        let out = ruleseval(arguments);
        assert_eq!(out.status.code(), Some(2), "{arguments:?}: {}", text(&out.stdout));
        assert!(text(&out.stderr).contains(says), "{arguments:?}: {}", text(&out.stderr));
    };
    let sla = sla().display().to_string();
    check(&["eval", "/nowhere/at/all", "--sla", &sla], "/nowhere/at/all: there is no such directory");
    check(&["eval", &run], "--rules");
    check(&["eval", &run, "--sla", "/no/such.yml"], "/no/such.yml: cannot be read");
    check(&["query", &run, "sum(rate(up[5m])"], "1:");
    check(&["query", &run, "up", "--time", "teatime"], "is not a time");
    check(&["eval", &run, "--sla", &sla, "--json", "/proc/none/a.json"], "/proc/none");
    check(&["evaluate", &run], "eval");
}

#[test]
fn query_prints_tables_csv_and_the_apis_json() {
    let recording = Recording::new(Trouble { killed_after_s: Some(20), ..Trouble::default() });
    let run = recording.path().display().to_string();
    let check = |arguments: &[&str], want: &str| {
        let out = ruleseval(&[&["query", run.as_str()], arguments].concat());
        assert!(out.status.success(), "{}", text(&out.stderr));
        assert!(text(&out.stdout).contains(want), "{want:?} is not in\n{}", text(&out.stdout));
    };
    check(&["sum(load_users)"], "5");
    check(&["sum(up)", "--format", "csv"], "1700000020,{},2\n");
    check(
        &["load_users", "--format", "json", "--time", "1700000010"],
        r#"{"result":[{"metric":{"__name__":"load_users","instance":"l","job":"loadgen","load_scenario":"clinical-rag"},"value":[1700000010,"5"]}],"resultType":"vector"}"#,
    );
    check(&["sum(load_users)", "--step", "10s", "--format", "csv"], "1700000010,{},5\n");
    check(&["process_cpu_seconds_total", "--step", "1s"], "█");
}

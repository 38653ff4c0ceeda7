//! The program itself: exit codes, outputs, bad input.

use std::process::{Command, Output};

use assay_report::FORMATS;

use crate::recording::{Recording, Trouble, root, rules, sla};

pub(crate) fn ruleseval(arguments: &[&str]) -> Output {
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
        let path = |name: &str| recording.place(name).display().to_string();
        let run = recording.path().display().to_string();
        let (sla, rules) = (sla().display().to_string(), rules());
        let files: Vec<_> = FORMATS.iter().map(|f| (format!("--{}", f.name), path(f.name))).collect();
        let reports = files.iter().flat_map(|(option, file)| [option.as_str(), file]);
        let eval = ["eval", &run, "--rules", &rules, "--sla", &sla];
        let out = ruleseval(&eval.into_iter().chain(reports).collect::<Vec<_>>());
        assert_eq!(out.status.code(), Some(code), "{}{}", text(&out.stdout), text(&out.stderr));
        assert!(
            text(&out.stdout).contains(word) && !text(&out.stdout).contains('\x1b'),
            "{}",
            text(&out.stdout)
        );
        for (_, file) in &files {
            assert!(std::fs::metadata(file).expect("is written").len() > 100, "{file}");
        }
    };
    check(Trouble::default(), 0, "PASS");
    check(Trouble { slow_peak: true, ..Trouble::default() }, 1, "FAIL");
    check(Trouble { no_service: true, ..Trouble::default() }, 3, "INCONCLUSIVE");
    check(Trouble { killed_after_s: Some(60), ..Trouble::default() }, 3, "phase steady has no end on record");
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
    let below = recording.path().join("run.json/a.json").display().to_string();
    let (rules, sla) = (rules(), sla().display().to_string());
    check(&["eval", "/nowhere/at/all", "--sla", &sla], "/nowhere/at/all: there is no such directory");
    check(&["eval", &run], "--rules");
    check(&["eval", &run, "--sla", "/no/such.yml"], "/no/such.yml: cannot be read");
    check(&["query", &run, "sum(rate(up[5m])"], "1:");
    check(&["query", &run, "up", "--time", "teatime"], "is not a time");
    check(&["eval", &run, "--sla", &sla], "which no rule file has; give its file with --rules");
    check(&["eval", &run, "--sla", &sla, "--rules", &rules, "--json", &below], &below);
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

#[test]
fn the_shipped_unit_tests_pass_and_a_broken_one_fails() {
    let recording = Recording::new(Trouble { killed_after_s: Some(1), ..Trouble::default() });
    let folder = root().join("prometheus/tests");
    let files: Vec<String> = std::fs::read_dir(&folder)
        .expect("lists")
        .map(|e| e.expect("an entry").path().display().to_string())
        .collect();
    let arguments: Vec<&str> =
        ["test", "--coverage"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let out = ruleseval(&arguments);
    assert_eq!(out.status.code(), Some(0), "{}{}", text(&out.stdout), text(&out.stderr));
    assert!(text(&out.stdout).contains("coverage: "), "{}", text(&out.stdout));
    let good = std::fs::read_to_string(folder.join("availability.yml")).expect("reads");
    let broken = good
        .replace("alertname: ServiceRestarted", "alertname: ServiceRestarts")
        .replace("../rules", &root().join("prometheus/rules").display().to_string());
    let cases = good.matches("  - name: ").count();
    let (file, junit) = (recording.place("t.yml"), recording.place("t.xml"));
    std::fs::write(&file, broken).expect("writes");
    let (file, junit) = (file.display().to_string(), junit.display().to_string());
    let out = ruleseval(&["test", "--junit", &junit, &file]);
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stdout));
    let xml = std::fs::read_to_string(junit).expect("is written");
    assert_eq!((xml.matches("<testcase ").count(), xml.matches("<failure ").count()), (cases, 1), "{xml}");
    let out = ruleseval(&["test", &file, "/nowhere/t.yml"]);
    assert_eq!(out.status.code(), Some(2), "{}", text(&out.stdout));
    assert!(text(&out.stdout).contains("/nowhere/t.yml: "), "{}", text(&out.stdout));
}

#[test]
fn a_run_goes_out_as_text_and_comes_back() {
    let recording = Recording::new(Trouble { killed_after_s: Some(20), ..Trouble::default() });
    let path = |name: &str| recording.place(name).display().to_string();
    let (run, om, back) = (recording.path().display().to_string(), path("users.om"), path("back"));
    let check = |arguments: &[&str]| {
        let out = ruleseval(arguments);
        assert!(out.status.success(), "{arguments:?}: {}", text(&out.stderr));
        text(&out.stdout)
    };
    check(&["export", "--run", &run, "--match", "{job=\"loadgen\",__name__=~\"load_.*\"}", "--out", &om]);
    check(&["import", &om, "--out", &back]);
    let of = |run: &str| check(&["query", run, "load_users", "--step", "1s", "--format", "csv"]);
    assert_eq!(of(&run), of(&back));
    assert_eq!(of(&back).lines().count(), 22);
    let again = ruleseval(&["import", &om, "--out", &back]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("already exists"), "{}", text(&again.stderr));
}

#[test]
fn check_tells_findings_by_severity_and_wrong_files_apart() {
    let recording = Recording::new(Trouble { killed_after_s: Some(40), ..Trouble::default() });
    let run = recording.path().display().to_string();
    let shipped = ruleseval(&["check", &rules(), &sla().display().to_string(), "--fail-on", "warning"]);
    assert_eq!(shipped.status.code(), Some(0), "{}{}", text(&shipped.stdout), text(&shipped.stderr));
    assert!(text(&shipped.stdout).contains("11 objectives, 0 findings"), "{}", text(&shipped.stdout));
    let file = recording.place("r.yml");
    std::fs::write(&file, "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up == 0}\n").expect("writes");
    let file = file.display().to_string();
    let check = |arguments: &[&str], code: i32, says: &str| {
        let out = ruleseval(&[&["check", file.as_str()], arguments].concat());
        assert_eq!(out.status.code(), Some(code), "{arguments:?}: {}", text(&out.stdout));
        let all = text(&out.stdout) + &text(&out.stderr);
        assert!(all.contains(says), "{arguments:?}: {all}");
    };
    check(&[], 0, "[missing-summary]");
    check(&["--fail-on", "info"], 1, "r.yml:4:5: info[missing-severity]");
    check(
        &["--fail-on", "info", "--ignore", "missing-summary,missing-severity", "--run", &run],
        0,
        "0 findings",
    );
    check(&["--ignore", "missing-sumary"], 2, "did you mean \"missing-summary\"?");
    check(&["--list"], 0, "duplicate-rule");
}

/// A limit on the size of files (SIGXFSZ) makes a write fail; it does not end the program.
#[test]
#[cfg(target_os = "linux")]
fn a_file_that_may_not_grow_is_an_error_with_its_reason() {
    let recording = Recording::new(Trouble::default());
    let report = recording.place("report.html");
    let sla = sla();
    let out = Command::new("sh")
        .args(["-c", "ulimit -f 8; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_ruleseval"), "eval"])
        .arg(recording.path())
        .args(["--rules", &rules(), "--sla"])
        .arg(sla)
        .arg("--html")
        .arg(&report)
        .output()
        .expect("starts");
    assert_eq!(out.status.code(), Some(2), "{:?} {}", out.status, text(&out.stderr));
    assert!(
        text(&out.stderr).contains("report.html") && text(&out.stderr).contains("too large"),
        "{}",
        text(&out.stderr)
    );
    assert!(!report.exists(), "no half report is left");
}

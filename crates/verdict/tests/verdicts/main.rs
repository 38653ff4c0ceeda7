//! The verdict matrix: situations, and the verdict that a careful person would give, however the record came.
//!
//! A case is a world (what the service does, what the load does, what is killed when), what it is judged by, the
//! verdict, and a sentence that the report must have. To add one, add it to the list that it belongs to, and run with
//! `UPDATE_GOLDEN=1` to bring `docs/verdicts.md` up to date.

mod case;
mod causes;
mod elsewhere;
mod fails;
mod fetched;
mod healthy;
mod matrix;
mod refused;
mod traced;
mod undecided;
mod ways;
mod world;

use std::{collections::BTreeSet, fmt::Write as _, path::Path};

use case::{Case, Says};
use world::Form;

/// By chapter of the table.
fn chapters() -> [(&'static str, Vec<Case>); 4] {
    [
        ("Healthy, and passed", healthy::cases()),
        ("Broken, and failed", fails::cases()),
        ("Not to be decided, and inconclusive", undecided::cases()),
        ("Not to be judged at all", refused::cases()),
    ]
}

fn check(cases: Vec<Case>) {
    let mut wrong = String::new();
    for case in cases {
        for (form, says) in &case.says {
            let (code, report) = case.judge(*form);
            let decided = says.exit_code() == case.says[0].1.exit_code();
            if code != says.exit_code() || (decided && !report.contains(case.sentence)) {
                let _ = writeln!(
                    wrong,
                    "{:?}, {form:?}: exit code {code}, wanted {} and {:?}: {}",
                    case.name,
                    says.exit_code(),
                    case.sentence,
                    why(&report)
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_verdict_is_the_same_whichever_way_the_record_came() {
    let all: Vec<Case> = chapters().into_iter().flat_map(|(_, cases)| cases).collect();
    let mut wrong = String::new();
    for way in ways::WAYS {
        for (name, says, sentence) in way.cases {
            let case = all.iter().find(|c| c.name == *name).unwrap_or_else(|| panic!("no case {name:?}"));
            let dir = tempfile::tempdir().expect("a directory");
            let Some((code, report)) = (way.go)(case, dir.path()) else { break };
            if code != says.exit_code() || !report.contains(sentence) {
                let wanted = says.exit_code();
                let _ = writeln!(
                    wrong,
                    "{name:?}, {}: exit code {code}, wanted {wanted}: {}",
                    way.name,
                    why(&report)
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The parts of a report that say why.
fn why(report: &str) -> String {
    let keys = ["summary", "reason", "problems", "notes", "value\"", "raw\""];
    let lines = report.lines().filter(|l| {
        keys.iter().any(|k| l.contains(k)) || l.trim_start().starts_with('"') && !l.contains("\":")
    });
    let lines: Vec<_> =
        lines.map(str::trim).filter(|l| !l.ends_with("\"\",") && !l.ends_with("[],")).collect();
    if lines.is_empty() { report.to_owned() } else { lines.join("\n    ") }
}

#[test]
fn healthy_runs_pass() {
    check(healthy::cases());
}

#[test]
fn broken_runs_fail() {
    check(fails::cases());
}

#[test]
fn what_cannot_be_decided_is_inconclusive() {
    check(undecided::cases());
}

#[test]
fn what_makes_no_sense_is_bad_input() {
    check(refused::cases());
}

#[test]
fn the_table_in_the_docs_is_that_of_the_cases() {
    let mut text = String::from(
        "# Verdicts\n\nEach line is a case of the test suite (`crates/verdict/tests/verdicts`), which writes this page. \
         A case is judged as recorded each second and as exported from a server that scrapes every 5, 15 and 60 seconds; \
         one verdict means the same in all forms it is judged in, and a dash that it is not about how the record came. \
         The report has the sentence given here.\n",
    );
    let mut names = BTreeSet::new();
    let mut count = 0;
    for (chapter, cases) in chapters() {
        let _ = writeln!(
            text,
            "\n## {chapter}\n\n| situation | recorded | 5 s | 15 s | 60 s | exit code | the report says |\n|---|---|---|---|---|---|---|"
        );
        for case in cases {
            assert!(names.insert(case.name), "two cases are named {:?}", case.name);
            count += 1;
            let verdict = |form: Form| {
                let found = case.says.iter().find(|s| s.0 == form);
                found.map_or("–", |s| s.1.word())
            };
            let forms: Vec<_> = Form::ALL.iter().map(|f| verdict(*f)).collect();
            let codes: BTreeSet<u8> = case.says.iter().map(|s: &(Form, Says)| s.1.exit_code()).collect();
            let codes: Vec<_> = codes.iter().map(u8::to_string).collect();
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} |",
                case.name,
                forms.join(" | "),
                codes.join(", "),
                case.sentence.replace('|', "\\|").replace('_', "\\_").replace('<', "&lt;")
            );
        }
    }
    text.push_str(
        "\n## By other ways\n\n| way | situation | verdict | the report says |\n|---|---|---|---|\n",
    );
    for way in ways::WAYS {
        for (name, says, sentence) in way.cases {
            let _ = writeln!(
                text,
                "| {} | {name} | {} | {} |",
                way.name,
                says.word(),
                sentence.replace('_', "\\_")
            );
        }
    }
    text.push_str("\n## By other tests\n\n| situation | comes to | tried in |\n|---|---|---|\n");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for case in elsewhere::all() {
        let source = std::fs::read_to_string(root.join(case.file)).expect("reads");
        let (function, named) = (format!("fn {}(", case.test), format!("- name: {}\n", case.test));
        assert!(
            source.contains(&function) || source.contains(&named),
            "{}: no test {:?}",
            case.file,
            case.test
        );
        let _ = writeln!(text, "| {} | {} | `{}` |", case.situation, case.outcome, case.file);
    }
    assert!(count >= 60, "only {count} cases");
    assay_testkit::golden(root.join("docs/verdicts.md"), &text);
}

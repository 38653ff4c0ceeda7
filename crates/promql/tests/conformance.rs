//! Prometheus' own cases, all of them: there is no list of cases to skip.

mod support {
    pub(crate) mod peers;
}

use assay_promql::{Engine, promqltest};
use support::peers::{directory, test_files};

#[test]
fn every_evaluation_of_prometheus_tests_passes() {
    let Some(data) = directory("ASSAY_DATA") else { return };
    let (mut passed, mut failed) = (0, Vec::new());
    for file in test_files(&data) {
        let text = std::fs::read_to_string(&file).expect("a readable case file");
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match promqltest::run(&text, &Engine::default()) {
            Ok(report) => {
                passed += report.passed;
                let line = |f: &promqltest::Failure| format!("{name}:{}: {}: {}", f.line, f.what, f.message);
                failed.extend(report.failures.iter().map(line));
            }
            Err(errors) => failed.extend(errors.iter().map(|e| format!("{name}: {e:?}"))),
        }
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
    assert!(passed >= 2183, "only {passed} evaluations were found");
}

//! What the test harness printed, held to a list of failures that are known. Invariant: a test program that did not come to its end
//! is a failure, whatever its tests said before.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};

/// The list has at most this share of all tests, in percent.
const MOST_PERCENT: usize = 5;

/// A test by its package and its name.
type Name = (String, String);

/// The outcomes of all tests.
#[derive(Default)]
pub(super) struct Report {
    passed: BTreeMap<Name, bool>,
    /// Test programs that did not end by themselves.
    ended_early: Vec<String>,
}

/// Reads the list: a line `PACKAGE TEST: REASON` for each, and comments.
pub(super) fn known_failures(text: &str) -> Result<BTreeMap<Name, String>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, reason) = line.split_once(": ").with_context(|| format!("no reason in {line:?}"))?;
            let (package, test) = name.split_once(' ').with_context(|| format!("no test in {line:?}"))?;
            Ok(((package.to_owned(), test.to_owned()), reason.to_owned()))
        })
        .collect()
}

impl Report {
    /// Reads what cargo and the harness printed; `target` gives the package and the target of a test program by its path.
    pub(super) fn read(text: &str, target: impl Fn(&str) -> Option<(String, String)>) -> Self {
        let mut report = Self::default();
        let mut running = None;
        for line in text.lines().map(|line| line.trim_end_matches('\r')) {
            if let Some(rest) = line.trim_start().strip_prefix("Running ")
                && let Some((_, path)) = rest.trim_end_matches(')').rsplit_once('(')
                && let Some(found) = target(path)
            {
                report
                    .ended_early
                    .extend(running.replace(found).map(|(package, target)| format!("{package} {target}")));
            } else if line.starts_with("test result: ") {
                running = None;
            } else if let Some((package, _)) = &running
                && let Some((name, passed)) = outcome(line)
            {
                report.passed.insert((package.clone(), name.to_owned()), passed);
            }
        }
        report.ended_early.extend(running.map(|(package, target)| format!("{package} {target}")));
        report
    }

    pub(super) fn passed(&self, package: &str, test: &str) -> bool {
        self.passed.get(&(package.to_owned(), test.to_owned())) == Some(&true)
    }

    pub(super) fn passes(&self) -> usize {
        self.passed.values().filter(|passed| **passed).count()
    }

    /// Fails with every test that fails and is not listed, every one that is listed and does not fail, and a list that is too long.
    pub(super) fn hold_to(&self, known: &BTreeMap<Name, String>) -> Result<()> {
        let mut problems: Vec<String> =
            self.ended_early.iter().map(|program| format!("{program}: did not come to its end")).collect();
        for ((package, test), passed) in &self.passed {
            let name = (package.clone(), test.clone());
            match (passed, known.contains_key(&name)) {
                (false, false) => problems.push(format!("{package} {test}: fails")),
                (true, true) => problems.push(format!("{package} {test}: passes; take it off the list")),
                _ => {}
            }
        }
        let absent = known.keys().filter(|name| !self.passed.contains_key(*name));
        problems.extend(absent.map(|(package, test)| format!("{package} {test}: is listed and did not run")));
        if !problems.is_empty() {
            bail!("under Wine:\n  {}", problems.join("\n  "));
        }
        let (listed, all) = (known.len(), self.passed.len());
        ensure!(
            listed * 100 <= all * MOST_PERCENT,
            "{listed} of {all} tests are listed, more than {MOST_PERCENT} %"
        );
        Ok(())
    }
}

/// The name of a test and whether it passed; none of one that was ignored, nor of another line.
fn outcome(line: &str) -> Option<(&str, bool)> {
    let (name, what) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let name = name.trim_end_matches(" - should panic");
    match what {
        "ok" => Some((name, true)),
        "FAILED" => Some((name, false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str) -> Report {
        Report::read(text, |path| Some(("a".to_owned(), path.to_owned())))
    }

    fn problems(text: &str, list: &str) -> String {
        let known = known_failures(list).expect("a list");
        report(text).hold_to(&known).map_or_else(|e| e.to_string(), |()| String::new())
    }

    #[test]
    fn failures_are_held_to_the_list() {
        let all: String = (0..40).map(|n| format!("test n{n} ... ok\n")).collect();
        let text = format!(
            "   Running unittests src/lib.rs (x.exe)\n{all}test m::one ... FAILED\r\ntest two ... ignored\n\
             test three - should panic ... ok\ntest result: FAILED. 41 passed; 1 failed\n"
        );
        let found = report(&text);
        assert!(found.passed("a", "three") && !found.passed("a", "m::one") && !found.passed("a", "two"));
        assert_eq!(found.passes(), 41);
        assert_eq!(problems(&text, "# why\n\na m::one: no such thing there"), "");
        assert_eq!(problems(&text, ""), "under Wine:\n  a m::one: fails");
        let listed = problems(&text, "a m::one: r\na n1: r\na gone: r");
        assert_eq!(
            listed,
            "under Wine:\n  a n1: passes; take it off the list\n  a gone: is listed and did not run"
        );
        assert!(known_failures("a m::one").is_err());
    }

    #[test]
    fn a_program_that_did_not_end_is_a_failure_and_the_list_is_short() {
        let cut = "Running a (x.exe)\ntest one ... ok\nRunning b (y.exe)\ntest two ... FAILED\ntest result: FAILED\n";
        assert_eq!(problems(cut, "a two: r"), "under Wine:\n  a x.exe: did not come to its end");
        let whole = cut.replace("ok\n", "ok\ntest result: ok\n");
        assert_eq!(problems(&whole, "a two: r"), "1 of 2 tests are listed, more than 5 %");
    }
}

//! Compares what a test expects with what was there.
//!
//! Invariant: both sides are sorted before they are compared, so their order in the file means nothing.

use assay_model::{FloatHistogram, Labels};

use super::read::ExpectedAlert;

/// Whether two numbers are equal; with `fuzzy`, or next to each other. NaN never equals NaN.
pub(super) fn equal(a: f64, b: f64, fuzzy: bool) -> bool {
    a == b || (fuzzy && (a.next_down() == b || a.next_up() == b))
}

/// A sample, expected or found.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) labels: Labels,
    pub(super) value: f64,
    pub(super) histogram: Option<FloatHistogram>,
}

impl Point {
    /// The sample on a line of its own.
    pub(super) fn line(&self) -> String {
        let value = match &self.histogram {
            Some(h) => super::run::histogram_text(h),
            None => assay_model::number::format_g(self.value),
        };
        format!("{} {value}", self.labels)
    }
}

/// Whether two lists have the same samples; both are sorted by labels here.
pub(super) fn same_points(expected: &mut [Point], got: &mut [Point], fuzzy: bool) -> bool {
    expected.sort_by(|a, b| a.labels.cmp(&b.labels));
    got.sort_by(|a, b| a.labels.cmp(&b.labels));
    expected.len() == got.len()
        && expected.iter().zip(got.iter()).all(|(e, g)| {
            e.labels == g.labels
                && equal(e.value, g.value, fuzzy)
                && e.histogram.as_ref().map(super::run::histogram_text)
                    == g.histogram.as_ref().map(super::run::histogram_text)
        })
}

/// Whether the alerts found are those expected: each with the same labels and annotations, or with `partial`, with at
/// least those.
pub(super) fn same_alerts(expected: &mut [ExpectedAlert], got: &mut [ExpectedAlert], partial: bool) -> bool {
    expected.sort();
    got.sort();
    if !partial {
        return expected == got;
    }
    expected.len() == got.len() && pairing(expected, got, &mut vec![None; got.len()])
}

/// Whether each expected alert can have one of its own among those found (augmenting paths).
fn pairing(expected: &[ExpectedAlert], got: &[ExpectedAlert], owner: &mut [Option<usize>]) -> bool {
    fn place(
        e: usize,
        expected: &[ExpectedAlert],
        got: &[ExpectedAlert],
        owner: &mut [Option<usize>],
        tried: &mut [bool],
    ) -> bool {
        for g in 0..got.len() {
            if tried[g] || !within(&expected[e], &got[g]) {
                continue;
            }
            tried[g] = true;
            if owner[g].is_none_or(|other| place(other, expected, got, owner, tried)) {
                owner[g] = Some(e);
                return true;
            }
        }
        false
    }
    (0..expected.len()).all(|e| place(e, expected, got, owner, &mut vec![false; got.len()]))
}

fn within(expected: &ExpectedAlert, got: &ExpectedAlert) -> bool {
    expected.labels.iter().all(|p| got.labels.contains(p))
        && expected.annotations.iter().all(|p| got.annotations.contains(p))
}

/// An alert in lines.
pub(super) fn alert_lines(alerts: &[ExpectedAlert]) -> Vec<String> {
    let braces = |pairs: &[(String, String)]| {
        let texts: Vec<_> = pairs.iter().map(|(n, v)| format!("{n}={v:?}")).collect();
        format!("{{{}}}", texts.join(", "))
    };
    let lines = |a: &ExpectedAlert| {
        [format!("labels: {}", braces(&a.labels)), format!("annotations: {}", braces(&a.annotations))]
    };
    alerts.iter().flat_map(lines).collect()
}

/// The lines of both lists: shared ones once with a space, others with `-` (expected) and `+` (found), by the longest
/// common subsequence.
pub(super) fn diff(expected: &[String], got: &[String]) -> Vec<String> {
    let (n, m) = (expected.len(), got.len());
    let mut longest = vec![vec![0usize; m + 1]; n + 1];
    for i in (0..n).rev() {
        for j in (0..m).rev() {
            longest[i][j] = if expected[i] == got[j] {
                longest[i + 1][j + 1] + 1
            } else {
                longest[i + 1][j].max(longest[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    while i < n || j < m {
        if i < n && j < m && expected[i] == got[j] {
            out.push(format!("  {}", expected[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == m || (i < n && longest[i + 1][j] >= longest[i][j + 1]) {
            out.push(format!("- {}", expected[i]));
            i += 1;
        } else {
            out.push(format!("+ {}", got[j]));
            j += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(labels: &[(&str, &str)]) -> ExpectedAlert {
        let labels = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        ExpectedAlert { labels, annotations: Vec::new() }
    }

    #[test]
    fn partial_matching_gives_each_expectation_its_own_alert() {
        let got = || vec![alert(&[("a", "1"), ("b", "1")]), alert(&[("a", "1"), ("b", "2")])];
        let check = |mut expected: Vec<ExpectedAlert>, partial, want| {
            assert_eq!(same_alerts(&mut expected, &mut got(), partial), want);
        };
        check(got(), false, true);
        check(vec![alert(&[("a", "1")]), alert(&[("b", "1")])], true, true);
        check(vec![alert(&[("a", "1")]), alert(&[("b", "1")])], false, false);
        check(vec![alert(&[("b", "1")]), alert(&[("b", "1")])], true, false);
    }

    #[test]
    fn numbers() {
        assert!(equal(0.3, 0.1 + 0.2, true));
        assert!(!equal(0.3, 0.1 + 0.2, false));
        assert!(equal(0.0, -0.0, false));
        assert!(!equal(f64::NAN, f64::NAN, true));
    }

    #[test]
    fn diffs_keep_what_both_have() {
        let lines = |t: &str| t.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(diff(&lines("a b c"), &lines("a x c")), ["  a", "- b", "+ x", "  c"]);
    }
}

//! What rows of one objective are called. Invariant: rows of different series have different names, and a name holds no more
//! labels than that takes.

use std::collections::BTreeSet;

use crate::verdict::ObjectiveRow;

/// Fills in the labels in which each row differs from the others of its objective.
pub(super) fn tell_apart(rows: &mut [ObjectiveRow]) {
    let mut names: Vec<String> = rows.iter().map(|r| r.name.clone()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let own = || rows.iter().filter(|r| r.name == name).map(|r| r.labels.as_slice());
        let by = labels(&own().collect());
        for row in rows.iter_mut().filter(|r| r.name == name) {
            row.named_by = row.labels.iter().filter(|(n, _)| by.contains(n)).cloned().collect();
        }
    }
}

type Pairs = [(String, String)];

/// As few labels as tell all sets apart: of those that help most, one whose values are short.
fn labels(sets: &BTreeSet<&Pairs>) -> Vec<String> {
    let names: BTreeSet<&String> = sets.iter().flat_map(|s| s.iter().map(|(n, _)| n)).collect();
    let groups = |by: &[String]| {
        let key = |s: &&Pairs| -> Vec<String> {
            s.iter().filter(|(n, _)| by.contains(n)).map(|(n, v)| format!("{n}={v}")).collect()
        };
        sets.iter().map(key).collect::<BTreeSet<_>>().len()
    };
    let mut chosen: Vec<String> = Vec::new();
    while groups(&chosen) < sets.len() {
        let with = |name: &String| [chosen.as_slice(), std::slice::from_ref(name)].concat();
        let length = |name: &String| -> usize {
            sets.iter().flat_map(|s| s.iter()).filter(|(n, _)| n == name).map(|(_, v)| v.len()).sum()
        };
        let best = names.iter().max_by_key(|n| (groups(&with(n)), std::cmp::Reverse(length(n))));
        let Some(best) = best.filter(|n| groups(&with(n)) > groups(&chosen)) else { break };
        chosen.push((*best).clone());
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named_by(sets: &[&[(&str, &str)]]) -> Vec<String> {
        let owned: Vec<Vec<(String, String)>> = sets
            .iter()
            .map(|s| s.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
            .collect();
        labels(&owned.iter().map(Vec::as_slice).collect())
    }

    #[test]
    fn one_series_needs_no_label() {
        assert!(named_by(&[&[("gpu", "0"), ("UUID", "GPU-1")]]).is_empty());
        // The same series in several phases is one.
        assert!(named_by(&[&[("gpu", "0")], &[("gpu", "0")]]).is_empty());
    }

    #[test]
    fn the_shortest_of_the_labels_that_differ() {
        let gpu = |gpu, uuid| [("UUID", uuid), ("device", gpu), ("gpu", gpu), ("host", "a")];
        let (a, b) = (gpu("0", "GPU-1f"), gpu("1", "GPU-2e"));
        assert_eq!(named_by(&[&a, &b]).len(), 1);
        assert_ne!(named_by(&[&a, &b]), ["UUID"]);
    }

    #[test]
    fn two_labels_where_one_is_not_enough() {
        let of = |host, gpu| [("gpu", gpu), ("host", host), ("model", "H200")];
        let sets = [of("a", "0"), of("a", "1"), of("b", "0"), of("b", "1")];
        let sets: Vec<&[(&str, &str)]> = sets.iter().map(|s| &s[..]).collect();
        let mut names = named_by(&sets);
        names.sort();
        assert_eq!(names, ["gpu", "host"]);
        // A label that one of the series lacks makes a difference, too.
        assert_eq!(named_by(&[&[("job", "a")], &[("job", "a"), ("x", "1")]]), ["x"]);
    }
}

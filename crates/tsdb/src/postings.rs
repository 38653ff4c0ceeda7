//! From matchers to series. Invariant: a list of references is ascending and has each once.
//!
//! The algorithm is that of Prometheus `tsdb/querier.go`, `PostingsForMatchers` v3.5.3: matchers that the empty
//! value fails intersect, the others subtract the values that they refuse.

use assay_model::{Matcher, matcher::MatchOp};

use crate::error::Result;

/// An inverted index: which series have which label values.
pub(crate) trait Postings {
    /// All series.
    fn all(&self) -> Result<Vec<u32>>;
    /// Those with this value, which is not empty.
    fn equal(&self, name: &str, value: &str) -> Result<Vec<u32>>;
    /// Those with any value of the label that passes the test.
    fn matching(&self, name: &str, test: &dyn Fn(&str) -> bool) -> Result<Vec<u32>>;
}

/// The series that pass all matchers.
pub(crate) fn resolve(postings: &impl Postings, matchers: &[Matcher]) -> Result<Vec<u32>> {
    let mut keep: Option<Vec<u32>> = None;
    let mut drop = Vec::new();
    for m in matchers {
        if m.matches("") {
            // A series that lacks the label passes: only its refused values count.
            drop.push(match (m.op, m.set_matches()) {
                (MatchOp::NotEqual, _) => postings.equal(&m.name, &m.value)?,
                _ => postings.matching(&m.name, &|value| !m.matches(value))?,
            });
            continue;
        }
        let found = match m.set_matches() {
            Some(values) => any_of(postings, &m.name, values)?,
            None => postings.matching(&m.name, &|value| m.matches(value))?,
        };
        let kept = match keep {
            None => found,
            Some(kept) => intersect(&kept, &found),
        };
        if kept.is_empty() {
            return Ok(kept);
        }
        keep = Some(kept);
    }
    let mut kept = match keep {
        Some(kept) => kept,
        None => postings.all()?,
    };
    for refused in drop {
        kept.retain(|id| refused.binary_search(id).is_err());
    }
    Ok(kept)
}

fn any_of(postings: &impl Postings, name: &str, values: &[String]) -> Result<Vec<u32>> {
    if let [one] = values {
        return postings.equal(name, one);
    }
    let mut ids = Vec::new();
    for value in values {
        ids.extend(postings.equal(name, value)?);
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

fn intersect(a: &[u32], b: &[u32]) -> Vec<u32> {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let mut rest = long;
    let mut out = Vec::with_capacity(short.len());
    for id in short {
        rest = &rest[rest.partition_point(|other| other < id)..];
        if rest.first() == Some(id) {
            out.push(*id);
        }
    }
    out
}

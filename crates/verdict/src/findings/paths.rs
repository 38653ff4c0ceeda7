//! What the slowest requests wait for, from traces. Invariant: the time of a request is the sum of what each span on its critical path
//! does itself, so that no time counts twice.
//!
//! The path is walked from the end of a request, as Jaeger and CRISP (Zhang et al., USENIX ATC 2022) do: of a span's parts the one
//! that ended last comes first, then the last that had ended before that one began; what lies between is the span's own time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use assay_run::traces::Span;

use super::{
    Confidence, Finding, Kind, Severity, Topic,
    seen::{Seen, times},
};
use crate::{source::SourceError, units};

pub(super) const KIND: Kind = Kind { id: "B004", name: "critical-path" };

/// How many traced requests of a step it takes, and how many of them are the slow ones at least.
const FEWEST: usize = 100;
const SLOW: usize = 10;
/// How much longer than usual the slow ones must take, and by how much in seconds.
const FACTOR: f64 = 1.5;
const LEAST_S: f64 = 0.05;
/// The part of the excess that one span must have to be named.
const MOST: f64 = 0.5;
/// How deep a trace is followed.
const DEEPEST: usize = 64;

/// Who did something, and what it is called.
type Work<'a> = (&'a str, &'a str);

/// A traced request: how long it took, and on what, in seconds.
struct Traced<'a> {
    seconds: f64,
    spent: BTreeMap<Work<'a>, f64>,
}

pub(super) fn find(seen: &Seen<'_>) -> Result<Vec<Finding>, SourceError> {
    let (start_ns, end_ns) = (ns(seen.window.start_ms), ns(seen.window.end_ms));
    let mut parts: HashMap<(u128, u64), Vec<&Span>> = HashMap::new();
    for span in seen.spans {
        if let Some(parent) = span.parent {
            parts.entry((span.trace_id, parent)).or_default().push(span);
        }
    }
    let mut steps: BTreeMap<&str, Vec<Traced<'_>>> = BTreeMap::new();
    for span in seen.spans.iter().filter(|s| s.end_ns > start_ns && s.end_ns <= end_ns) {
        // What the service did not trace says nothing of where the time goes.
        let is_traced = parts.contains_key(&(span.trace_id, span.span_id));
        let Some(step) = span.step.as_deref().filter(|_| is_traced) else { continue };
        let mut spent = BTreeMap::new();
        walk(span, span.start_ns, span.end_ns, &parts, &mut spent, 0);
        let seconds = (span.end_ns - span.start_ns) as f64 / 1e9;
        steps.entry(step).or_default().push(Traced { seconds, spent });
    }
    Ok(steps.into_iter().filter_map(|(step, traced)| slowest(seen, step, traced)).collect())
}

fn ns(t_ms: i64) -> u64 {
    u64::try_from(t_ms).unwrap_or(0).saturating_mul(1_000_000)
}

/// Adds what a span and its parts do between two instants, on the critical path.
fn walk<'a>(
    span: &'a Span,
    from_ns: u64,
    to_ns: u64,
    parts: &HashMap<(u128, u64), Vec<&'a Span>>,
    spent: &mut BTreeMap<Work<'a>, f64>,
    depth: usize,
) {
    let (mut at, mut own) = (to_ns, 0);
    let mut children: Vec<&Span> = match parts.get(&(span.trace_id, span.span_id)) {
        Some(children) if depth < DEEPEST => children.clone(),
        _ => Vec::new(),
    };
    children.sort_by_key(|c| std::cmp::Reverse((c.end_ns, c.start_ns)));
    for child in children {
        // A part that outlasts the whole is cut at its end. One that overlaps a later part of the path is left out: nothing waited
        // for it.
        let end = if at == to_ns { child.end_ns.min(at) } else { child.end_ns };
        let start = child.start_ns.max(from_ns);
        if end > at || start >= end {
            continue;
        }
        own += at - end;
        walk(child, start, end, parts, spent, depth + 1);
        at = start;
    }
    own += at.saturating_sub(from_ns);
    *spent.entry((span.service.as_str(), span.name.as_str())).or_default() += own as f64 / 1e9;
}

/// What the slowest requests of a step spend more time on than those in the middle.
fn slowest(seen: &Seen<'_>, step: &str, mut traced: Vec<Traced<'_>>) -> Option<Finding> {
    let count = traced.len();
    if count < FEWEST {
        return None;
    }
    traced.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let slow = &traced[count - (count / 100).max(SLOW)..];
    let middle = &traced[count * 45 / 100..(count * 55 / 100).max(count * 45 / 100 + 1)];
    let mean = |list: &[Traced<'_>], of: &dyn Fn(&Traced<'_>) -> f64| {
        list.iter().map(of).sum::<f64>() / list.len() as f64
    };
    let (long, usual) = (mean(slow, &|t| t.seconds), mean(middle, &|t| t.seconds));
    if long < FACTOR * usual || long - usual < LEAST_S {
        return None;
    }
    let works: BTreeSet<Work<'_>> = slow.iter().flat_map(|t| t.spent.keys().copied()).collect();
    let excess = |work: Work<'_>| mean(slow, &on(work)) - mean(middle, &on(work));
    let work = works.into_iter().max_by(|a, b| excess(*a).total_cmp(&excess(*b)))?;
    let part = excess(work) / (long - usual);
    if part < MOST {
        return None;
    }
    let (before, after) = (mean(middle, &on(work)), mean(slow, &on(work)));
    let saves = saved(&traced, &on(work), before);
    let (service, name) = work;
    let called = if service.is_empty() { name.to_owned() } else { format!("{name} ({service})") };
    // One odd request makes a mean, and no cause.
    let often = slow.iter().filter(|t| on(work)(t) > 2.0 * before).count();
    if 2 * often < slow.len() {
        return None;
    }
    let title = format!(
        "The slowest {} of {count} traced requests of {step} take {} as long as those in the middle: {} of that is {called}",
        slow.len(),
        times(long / usual),
        units::quantity(part, "ratio")
    );
    Some(
        seen.finding(KIND, &called, title)
            .severity(if seen.misses(&[Topic::Time]) { Severity::Warning } else { Severity::Info })
            .confidence(if 4 * often >= 3 * slow.len() { Confidence::High } else { Confidence::Medium })
            .shows(format!("time on the critical path in {called}, of the slowest, against those in the middle"), String::new(), Some(before), after, "s")
            .shows("time of the request, of the slowest, against those in the middle", String::new(), Some(usual), long, "s")
            .against("Traces that were chosen because they are slow; or a part that is not traced, whose time counts for the one around it.")
            .gain(
                format!("See what {called} does in the slowest requests that it does not do in the others."),
                saves,
                &format!("the p99 of the traced requests of {step}"),
                format!("each request's time with {called} at its mean of the middle ones, and the p99 of that"),
            ),
    )
}

/// The time that a request has a kind of work on its critical path, in seconds.
fn on<'w>(work: Work<'w>) -> impl Fn(&Traced<'_>) -> f64 + 'w {
    move |t| t.spent.get(&work).copied().unwrap_or(0.0)
}

/// The part of the p99 that would be saved if some work took no longer than usual in any request.
fn saved(traced: &[Traced<'_>], on: &dyn Fn(&Traced<'_>) -> f64, usual: f64) -> f64 {
    let p99 = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[(times.len() - 1) * 99 / 100]
    };
    let before = p99(&mut traced.iter().map(|t| t.seconds).collect());
    let after = p99(&mut traced.iter().map(|t| t.seconds - (on(t) - usual).max(0.0)).collect());
    if before > 0.0 { 1.0 - after / before } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(span_id: u64, parent: Option<u64>, name: &str, start_ns: u64, end_ns: u64) -> Span {
        let (service, step) = (String::new(), None);
        Span { trace_id: 1, span_id, parent, service, name: name.to_owned(), step, start_ns, end_ns }
    }

    #[test]
    fn the_parts_of_the_path_are_the_whole() {
        // b overlaps c, and c ends last, so b is not on the path; e is a part of c.
        let spans = [
            span(1, None, "a", 0, 100),
            span(2, Some(1), "b", 10, 70),
            span(3, Some(1), "c", 40, 90),
            span(5, Some(3), "e", 50, 60),
            span(6, Some(1), "before", 5, 8),
        ];
        let mut parts: HashMap<(u128, u64), Vec<&Span>> = HashMap::new();
        for span in &spans {
            if let Some(parent) = span.parent {
                parts.entry((1, parent)).or_default().push(span);
            }
        }
        let mut spent = BTreeMap::new();
        walk(&spans[0], 0, 100, &parts, &mut spent, 0);
        let found: Vec<_> = spent.iter().map(|((_, name), s)| (*name, (s * 1e9).round() as u64)).collect();
        // a itself: 10 after c, 32 between `before` and c, 5 before that.
        assert_eq!(found, [("a", 47), ("before", 3), ("c", 40), ("e", 10)]);
        // A span that is its own parent ends.
        let circle = span(7, Some(7), "f", 0, 10);
        let mut parts: HashMap<(u128, u64), Vec<&Span>> = HashMap::new();
        parts.insert((1, 7), vec![&circle]);
        let mut spent = BTreeMap::new();
        walk(&circle, 0, 10, &parts, &mut spent, 0);
        assert!((spent[&("", "f")] * 1e9 - 10.0).abs() < 1e-6, "{spent:?}");
    }
}

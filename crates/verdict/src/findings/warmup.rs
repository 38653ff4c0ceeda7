//! A phase that is judged while the service still warms up: its first part is slower than the rest.

use super::{
    Confidence, Finding, Kind, Topic,
    seen::{Histogram, REQUESTS, Seen, Span, mean, times},
};
use crate::{source::SourceError, units};

pub(super) const KIND: Kind = Kind { id: "D001", name: "warm-up-in-phase" };

/// How much slower the first part must be than the rest.
const FACTOR: f64 = 1.5;
/// By how much, in seconds; gaps between chunks by a quarter of that.
const LEAST_S: f64 = 0.02;
/// A shorter median is none: chunks that come together have no time between them.
const NOTHING_S: f64 = 1e-6;
/// How many requests each part must have.
const FEWEST: f64 = 20.0;

const FIRST_CONTENT: Histogram<'static> =
    Histogram { metric: "gen_ai_client_operation_time_to_first_chunk_seconds", matchers: "", by: "" };

const GAPS: Histogram<'static> =
    Histogram { metric: "gen_ai_client_operation_time_per_output_chunk_seconds", matchers: "", by: "" };

pub(super) fn find(seen: &Seen<'_>) -> Result<Vec<Finding>, SourceError> {
    let (first, next, rest) = (seen.part(0.0, 0.15), seen.part(0.15, 0.3), seen.part(0.4, 1.0));
    let users = seen.line("sum(load_users)")?;
    let in_part =
        |(from, to): Span| -> Vec<_> { users.iter().copied().filter(|p| p.0 > from && p.0 <= to).collect() };
    // Another load is another latency; that is no warm-up.
    let (early, late) = (mean(&in_part(first)), mean(&in_part(rest)));
    if !users.is_empty() && (early - late).abs() > 0.1 * late.max(1.0) {
        return Ok(Vec::new());
    }
    for (histogram, what, least_s) in [
        (GAPS, "time between chunks", LEAST_S / 4.0),
        (FIRST_CONTENT, "time to the first content", LEAST_S),
        (REQUESTS, "response time", LEAST_S),
    ] {
        let p50 = |part| seen.number_in(&histogram.quantile(0.5), part);
        let count = |part| seen.number_in(&histogram.count(), part);
        if count(first)?.unwrap_or(0.0) < FEWEST || count(rest)?.unwrap_or(0.0) < FEWEST {
            continue;
        }
        let (Some(a), Some(b), Some(c)) = (p50(first)?, p50(next)?, p50(rest)?) else { continue };
        if c < NOTHING_S || a < FACTOR * c || a - c < least_s || b > a {
            continue;
        }
        let title = format!(
            "The service still warms up in {}: its first part takes {} as long as the rest",
            seen.window.title(),
            times(a / c)
        );
        let finding = seen
            .finding(KIND, "", title)
            .severity(seen.severity(&[Topic::Time]))
            .confidence(Confidence::Medium)
            .span(first)
            .shows(format!("median {what} in the first part, against the rest"), String::new(), Some(c), a, "s")
            .against("A first part that is slow again when the phase is repeated after a longer warm-up: then it is the start of the load.")
            .act(format!(
                "Lengthen the warm-up by at least {}, and judge the phase without it.",
                units::length(first.1 - first.0)
            ));
        return Ok(vec![finding]);
    }
    Ok(Vec::new())
}

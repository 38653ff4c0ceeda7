//! A stage of the service that takes longer: than was promised, than under less load, than before. Invariant: a share of the
//! time alone is no finding.

use super::{
    Confidence, Finding, Kind, Severity, Topic, queues,
    seen::{Histogram, Seen, Span, only, times},
};
use crate::{histogram::STAGES, source::SourceError, units, verdict::Status};

pub(super) const SLOW: Kind = Kind { id: "B001", name: "stage-slow" };
pub(super) const CACHE: Kind = Kind { id: "B002", name: "cache-misses" };

/// How much longer a stage must take than elsewhere or before.
const FACTOR: f64 = 2.0;
/// By how much, in seconds.
const LEAST_S: f64 = 0.05;
/// How often a stage must have run on each side.
const FEWEST: f64 = 10.0;
/// How many of a cache's answers must have been hits for their end to be seen.
const HITS: f64 = 0.3;

pub(super) fn find(seen: &Seen<'_>) -> Result<Vec<Finding>, SourceError> {
    let mut found = Vec::new();
    let spent = seen.ranked(&STAGES.sum(), "stage")?;
    let total: f64 = spent.iter().map(|(_, v)| v).sum();
    let has_queue = queues::model_waits(seen)?;
    for (stage, seconds) in &spent {
        if stage.is_empty() {
            continue;
        }
        let Some(slow) = slower(seen, stage)? else { continue };
        // What waits in front of the model is the queue's finding.
        if stage == "generate" && has_queue {
            continue;
        }
        let share = Share::of(seen, stage)?.unwrap_or(Share { quantile: None, part: seconds / total });
        found.push(stage_finding(seen, stage, &share, &slow));
    }
    // The one that costs most time explains the others.
    found.sort_by(|a, b| excess(b).total_cmp(&excess(a)));
    for other in found.iter_mut().skip(1) {
        other.severity = other.severity.min(Severity::Warning);
    }
    found.extend(cache(seen)?);
    Ok(found)
}

fn excess(finding: &Finding) -> f64 {
    finding.evidence.first().map_or(0.0, |e| e.after - e.before.unwrap_or(0.0))
}

/// A stage that takes longer, and than what.
struct Slower {
    /// What it is compared with, in the finding's title and in its figure.
    title: String,
    than: String,
    expression: String,
    before: f64,
    after: f64,
    since_ms: Option<i64>,
    confidence: Confidence,
}

fn slower(seen: &Seen<'_>, stage: &str) -> Result<Option<Slower>, SourceError> {
    let matchers = only("stage", stage);
    let one = Histogram { matchers: &matchers, by: "", ..STAGES };
    if let Some(found) = by_time(seen, &one)? {
        return Ok(Some(found));
    }
    if let Some(found) = by_phase(seen, &one)? {
        return Ok(Some(found));
    }
    let promised = seen.verdict.objectives.iter().find(|row| {
        row.status == Status::Fail
            && row.phase == seen.window.phase
            && row.measure.contains(STAGES.metric)
            && row.measure.contains(&matchers)
    });
    Ok(promised.and_then(|row| {
        let (after, before) = (row.value?, row.limit?);
        let (expression, than) = (row.measure.clone(), format!("its limit ({})", row.name));
        Some(Slower {
            title: "was promised".to_owned(),
            than,
            expression,
            before,
            after,
            since_ms: None,
            confidence: Confidence::Medium,
        })
    }))
}

/// Longer in the last part of the window than in the first.
fn by_time(seen: &Seen<'_>, stage: &Histogram<'_>) -> Result<Option<Slower>, SourceError> {
    let p50 = &stage.quantile(0.5);
    let (first, last) = (seen.part(0.0, 0.25), seen.part(0.75, 1.0));
    let count = |part| seen.number_in(&stage.count(), part);
    if count(first)?.unwrap_or(0.0) < FEWEST || count(last)?.unwrap_or(0.0) < FEWEST {
        return Ok(None);
    }
    let (Some(before), Some(after)) = (seen.number_in(p50, first)?, seen.number_in(p50, last)?) else {
        return Ok(None);
    };
    if after < FACTOR * before || after - before < LEAST_S || !is_apart(seen, stage, first, last)? {
        return Ok(None);
    }
    Ok(Some(Slower {
        title: "at the start of the phase".to_owned(),
        than: "at the start of the phase".to_owned(),
        expression: String::new(),
        before,
        after,
        since_ms: instant(seen, p50, before, after)?,
        confidence: Confidence::High,
    }))
}

/// Whether three quarters of the times in one part are beyond three quarters of those in another: few and wide ones are not.
fn is_apart(seen: &Seen<'_>, stage: &Histogram<'_>, before: Span, after: Span) -> Result<bool, SourceError> {
    let high = seen.number_in(&stage.quantile(0.75), before)?;
    let low = seen.number_in(&stage.quantile(0.25), after)?;
    Ok(high.zip(low).is_some_and(|(high, low)| low > high))
}

/// When the change came: the first of twenty parts whose median is beyond the middle of before and after, and stays there.
fn instant(seen: &Seen<'_>, p50: &str, before: f64, after: f64) -> Result<Option<i64>, SourceError> {
    let middle = f64::midpoint(before, after);
    let mut since = None;
    for i in 0..20 {
        let part = seen.part(f64::from(i) / 20.0, f64::from(i + 1) / 20.0);
        match seen.number_in(p50, part)? {
            Some(v) if v > middle => since = since.or(Some(part.0)),
            Some(_) => since = None,
            None => {}
        }
    }
    Ok(since)
}

/// Longer than in the phase in which it took least.
fn by_phase(seen: &Seen<'_>, stage: &Histogram<'_>) -> Result<Option<Slower>, SourceError> {
    let (p50, count) = (&stage.quantile(0.5), stage.count());
    let Some(after) = seen.number(p50)? else { return Ok(None) };
    if seen.number(&count)?.unwrap_or(0.0) < FEWEST {
        return Ok(None);
    }
    let mut least: Option<(String, f64, Span)> = None;
    for (name, span) in seen.other_phases()? {
        if seen.number_in(&count, span)?.unwrap_or(0.0) < FEWEST {
            continue;
        }
        if let Some(v) = seen.number_in(p50, span)?
            && least.as_ref().is_none_or(|(_, l, _)| v < *l)
        {
            least = Some((name, v, span));
        }
    }
    let Some((name, before, span)) = least else { return Ok(None) };
    let now = (seen.window.start_ms, seen.window.end_ms);
    if after < FACTOR * before || after - before < LEAST_S || !is_apart(seen, stage, span, now)? {
        return Ok(None);
    }
    Ok(Some(Slower {
        title: format!("in {name}"),
        than: format!("in {name}"),
        expression: seen.over_window(p50),
        before,
        after,
        since_ms: None,
        confidence: Confidence::Medium,
    }))
}

/// The part that a stage has in the time of all stages.
struct Share {
    /// At which quantile; at the mean if at none.
    quantile: Option<f64>,
    part: f64,
}

impl Share {
    /// At the quantile of the objective that was missed.
    fn of(seen: &Seen<'_>, stage: &str) -> Result<Option<Self>, SourceError> {
        let Some(quantile) = seen.missed_quantile() else { return Ok(None) };
        let times = seen.ranked(&STAGES.quantile(quantile), "stage")?;
        let total: f64 = times.iter().map(|(_, v)| v).sum();
        let own = times.iter().find(|(name, _)| name == stage).map(|(_, v)| v / total);
        Ok(own.filter(|part| part.is_finite()).map(|part| Self { quantile: Some(quantile), part }))
    }

    fn name(&self) -> String {
        self.quantile.map_or_else(|| "mean".to_owned(), |q| format!("p{}", units::digits(q * 100.0)))
    }
}

fn stage_finding(seen: &Seen<'_>, stage: &str, share: &Share, slow: &Slower) -> Finding {
    let factor = slow.after / slow.before;
    let since = slow.since_ms.map_or_else(String::new, |t| format!(" since {}", units::clock(t)));
    let title = format!("The stage {stage} takes {} as long as {}{since}", times(factor), slow.title);
    // Amdahl: the stage's share of the time, taken back to what it was.
    let saves = share.part - share.part / factor;
    let at = share.name();
    let mut finding = seen
        .finding(SLOW, stage, title)
        .severity(seen.severity(&[Topic::Time]))
        .confidence(slow.confidence)
        .shows(
            format!("time of the stage, against {}", slow.than),
            slow.expression.clone(),
            Some(slow.before),
            slow.after,
            "s",
        )
        .shows(
            format!("the stage's share of the time of all stages, at the {at}"),
            String::new(),
            None,
            share.part,
            "ratio",
        )
        .against(
            "A stage before it that hands over more at once: its own queue would grow, and not its work.",
        )
        .gain(
            remedy(stage),
            saves,
            &format!("the {at} of a query"),
            format!(
                "Amdahl's law on the stage's share of the {at}, if it takes again as long as {}; shares of percentiles do not add up, so \
                 it is an estimate",
                slow.title
            ),
        );
    if let Some(since) = slow.since_ms {
        finding = finding.span((since, seen.window.end_ms));
    }
    finding
}

fn remedy(stage: &str) -> &'static str {
    match stage {
        "embed" => {
            "Batch questions, keep the vectors of frequent ones, take a smaller model, or give it a GPU."
        }
        "search" => {
            "Check that the index fits in memory and is trained, and how many passages a query asks for."
        }
        "generate" => "Limit the answer's length, take a smaller or quantised model, or add replicas.",
        "auth" => "Look at the cost of hashing passwords, and keep sessions.",
        _ => "Profile this stage; it changed, the others did not.",
    }
}

/// A cache that has answered and does so no more.
fn cache(seen: &Seen<'_>) -> Result<Option<Finding>, SourceError> {
    // What goes past the cache counts: one that is switched off is not asked at all.
    let asked = "sum(increase(rag_cache_requests_total[RANGE]))";
    let share = "sum(increase(rag_cache_requests_total{result=\"hit\"}[RANGE])) / sum(increase(rag_cache_requests_total[RANGE]))";
    let mut parts: Vec<(String, Span)> = seen.other_phases()?;
    parts.push(("the start of the phase".to_owned(), seen.part(0.0, 0.25)));
    let now = seen.part(0.75, 1.0);
    if seen.number_in(asked, now)?.unwrap_or(0.0) < FEWEST {
        return Ok(None);
    }
    let Some(after) = seen.number_in(share, now)? else { return Ok(None) };
    for (name, part) in parts {
        if part.0 >= now.0 || seen.number_in(asked, part)?.unwrap_or(0.0) < FEWEST {
            continue;
        }
        let Some(before) = seen.number_in(share, part)?.filter(|b| *b >= HITS && after < b / 3.0) else {
            continue;
        };
        let title = format!(
            "The cache answers {} of what it is asked, against {} in {name}",
            units::quantity(after, "ratio"),
            units::quantity(before, "ratio")
        );
        return Ok(Some(
            seen.finding(CACHE, "", title)
                .severity(seen.severity(&[Topic::Time, Topic::Throughput]))
                .confidence(Confidence::High)
                .shows(
                    format!("share of hits at the end of the phase, against {name}"),
                    String::new(),
                    Some(before),
                    after,
                    "ratio",
                )
                .against("Questions that are new: then the cache cannot know them.")
                .gain(
                    "See whether the cache was switched off, emptied or is too small.",
                    (before - after) / (1.0 - after),
                    "the mean time of a query",
                    "the hits that are missing, of all that is not answered from the cache, if an answer from it costs nothing"
                        .to_owned(),
                ),
        ));
    }
    Ok(None)
}

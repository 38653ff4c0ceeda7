//! Findings, what to do about them, and examples of what failed. Invariant: a recommendation names the finding that it rests on; what
//! the SLA's author advises is not mixed with what was found.

use std::collections::BTreeMap;

use assay_verdict::{
    findings::{Confidence, Finding},
    verdict::{Status, Verdict},
};
use serde::Serialize;

use super::plot::Frame;

#[derive(Serialize)]
pub(super) struct Card<'a> {
    id: &'a str,
    name: &'a str,
    anchor: String,
    severity: &'static str,
    confidence: Confidence,
    title: &'a str,
    place: String,
    figures: Vec<Figure<'a>>,
    against: &'a str,
}

#[derive(Serialize)]
struct Figure<'a> {
    text: String,
    expression: &'a str,
}

/// Findings as they are shown, in the order given.
pub(super) fn cards<'a>(
    verdict: &'a Verdict,
    findings: impl Iterator<Item = &'a Finding>,
    frame: &Frame<'_>,
) -> Vec<Card<'a>> {
    let card = |f: &'a Finding| Card {
        id: &f.id,
        name: &f.name,
        anchor: anchor(verdict, f),
        severity: f.severity.as_str(),
        confidence: f.confidence,
        title: &f.title,
        place: match f.span_ms {
            Some((from, to)) => {
                format!("{}, {} to {} UTC", f.window.title(), frame.clock(from), frame.clock(to))
            }
            None => f.window.title().to_owned(),
        },
        figures: f
            .evidence
            .iter()
            .map(|e| Figure { text: crate::figure(e), expression: &e.expression })
            .collect(),
        against: &f.against,
    };
    findings.map(card).collect()
}

/// A name for links.
fn anchor(verdict: &Verdict, finding: &Finding) -> String {
    let is_same = |f: &Finding| f.id == finding.id && f.subject == finding.subject;
    format!("finding-{}", verdict.findings.iter().position(is_same).unwrap_or_default() + 1)
}

#[derive(Serialize)]
pub(super) struct ToDo<'a> {
    id: &'a str,
    anchor: String,
    title: &'a str,
    text: &'a str,
    gain: &'a str,
    how: &'a str,
}

/// What to do, by what it would bring.
pub(super) fn recommendations(verdict: &Verdict) -> Vec<ToDo<'_>> {
    let list = verdict.recommendations().into_iter();
    list.map(|(finding, action)| ToDo {
        id: &finding.id,
        anchor: anchor(verdict, finding),
        title: &finding.title,
        text: &action.text,
        gain: &action.gain,
        how: &action.how,
    })
    .collect()
}

#[derive(Serialize)]
pub(super) struct Advice {
    objective: String,
    text: String,
}

/// What the SLA advises for what was missed, each once.
pub(super) fn advice(verdict: &Verdict) -> Vec<Advice> {
    let mut by_text: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in verdict.objectives.iter().filter(|r| r.status == Status::Fail) {
        for text in &row.advice {
            let names = by_text.entry(text).or_default();
            if !names.contains(&row.name.as_str()) {
                names.push(&row.name);
            }
        }
    }
    by_text
        .into_iter()
        .map(|(text, names)| Advice { objective: names.join(", "), text: text.to_owned() })
        .collect()
}

#[derive(Serialize)]
pub(super) struct Example {
    title: String,
    text: String,
}

/// How many examples are shown.
const MOST: usize = 30;

/// The first example of each class and step, by time.
pub(super) fn examples(verdict: &Verdict, frame: &Frame<'_>) -> Vec<Example> {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    let mut out = Vec::new();
    for failure in &verdict.failures {
        let key = (failure.step.as_str(), failure.class.as_str());
        if seen.contains(&key) || out.len() == MOST {
            continue;
        }
        seen.push(key);
        let status = failure.status.map_or_else(String::new, |s| format!("status {s}\n"));
        out.push(Example {
            title: format!(
                "{} in {}, {} UTC in {}: {}",
                failure.class,
                failure.step,
                frame.clock(failure.at_ms),
                failure.phase,
                failure.message
            ),
            text: format!(
                "{status}{}",
                if failure.body.is_empty() { &failure.message } else { &failure.body }
            ),
        });
    }
    out
}

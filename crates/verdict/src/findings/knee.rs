//! The load beyond which requests take longer the more of them there are. Invariant: worth knowing, and never more: a service may
//! well be run beyond its knee.

use super::{Action, Confidence, Evidence, Finding, Kind, Severity};
use crate::{
    units,
    verdict::{Verdict, Window},
};

pub(super) const KIND: Kind = Kind { id: "S001", name: "load-knee" };

pub(super) fn find(verdict: &Verdict) -> Option<Finding> {
    let scaling = &verdict.scaling;
    let knee = scaling.knee.filter(|k| k.confidence > Confidence::Low)?;
    let (lowest, highest) = (scaling.levels.first()?, scaling.levels.last()?);
    let load = |v: f64| units::quantity(v, scaling.axis.unit());
    let window = Window {
        phase: Some(highest.phase.clone()),
        start_ms: highest.start_ms,
        end_ms: highest.end_ms,
        incomplete: None,
    };
    let figure = |what: String, before: f64, after: f64, unit: &str| Evidence {
        what,
        expression: String::new(),
        before: Some(before),
        after,
        unit: unit.to_owned(),
    };
    Some(Finding {
        id: KIND.id.to_owned(),
        name: KIND.name.to_owned(),
        subject: String::new(),
        title: format!("Beyond about {} requests take longer the more of them there are", load(knee.load)),
        severity: Severity::Info,
        confidence: knee.confidence,
        window,
        span_ms: None,
        evidence: vec![
            figure(
                format!("mean time at {}, against at {}", load(highest.load), load(lowest.load)),
                lowest.mean_s,
                highest.mean_s,
                "s",
            ),
            figure(
                "where the knee lies at most, against at least, if any one level of load is left out"
                    .to_owned(),
                knee.interval.0,
                knee.interval.1,
                scaling.axis.unit(),
            ),
        ],
        against: "A service that was slower at the higher loads for another reason: they ran later, too."
            .to_owned(),
        action: Some(Action {
            text: "Keep the load of one instance below it, and add instances for more.".to_owned(),
            saves: None,
            gain: String::new(),
            how: String::new(),
        }),
    })
}

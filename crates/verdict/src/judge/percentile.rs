//! How far a percentile of few samples can be trusted.
//!
//! Invariant: what is said is said of the measured value itself, so only where that is a quantile of a histogram and
//! nothing was done to it afterwards; it changes no outcome.

use assay_model::{Labels, Value};
use assay_promql::{
    Expr, QueryValue,
    ast::{DurationContext, Func, QuantileFunc, RangeFunc},
};

use crate::{
    source::{Source, SourceError},
    units,
    verdict::{ObjectiveRow, Window},
};

/// How many samples must be expected beyond a percentile.
const BEYOND: f64 = 5.0;
/// The two-sided quantile of the normal distribution at 95 %.
const Z: f64 = 1.96;

/// The samples that a percentile rests on, where they are too few.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Few {
    /// How many there are, and how many it takes.
    pub(crate) samples: f64,
    pub(crate) needed: f64,
    /// Between which values it is with 95 % confidence.
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) unit: String,
}

/// The interval of a percentile that has too few samples, in words.
pub(super) fn note(
    row: &ObjectiveRow,
    window: &Window,
    source: &dyn Source,
) -> Result<Option<String>, SourceError> {
    let quantity = |v: f64| units::quantity(v, &row.unit);
    Ok(few(row, window, source)?.map(|few| {
        format!(
            "{} samples are few for this percentile, which takes {:.0}: with 95 % confidence it is between {} and {}",
            units::digits(few.samples),
            few.needed,
            quantity(few.low),
            quantity(few.high)
        )
    }))
}

/// How few samples a row's percentile rests on; `None` if they are enough, or it is no percentile.
pub(crate) fn few(
    row: &ObjectiveRow,
    window: &Window,
    source: &dyn Source,
) -> Result<Option<Few>, SourceError> {
    let Some(Quantile { of, rank, per_unit_s }) = quantile(&row.measure) else { return Ok(None) };
    let number = |text: String| -> Result<Option<f64>, SourceError> {
        let found = source.instant(&text, window.end_ms)?.value;
        Ok(of_series(&found, row))
    };
    let native = number(format!("histogram_count({of})"))?;
    let count = match native {
        Some(count) => count,
        None => number(format!("max without (le) ({of})"))?.unwrap_or(0.0),
    };
    let samples = (count * per_unit_s).round();
    let beyond = rank.min(1.0 - rank);
    if samples < 1.0 || samples * beyond >= BEYOND {
        return Ok(None);
    }
    let half = Z * (rank * (1.0 - rank) / samples).sqrt();
    let at = |rank: f64| number(format!("histogram_quantile({}, {of})", rank.clamp(0.0, 1.0)));
    let (Some(low), Some(high)) = (at(rank - half)?, at(rank + half)?) else { return Ok(None) };
    let needed = (BEYOND / beyond - 1e-6).ceil();
    Ok(Some(Few { samples, needed, low, high, unit: row.unit.clone() }))
}

/// The quantile that an expression asks histograms for, wherever in it; the highest of several.
pub(crate) fn rank(measure: &str) -> Option<f64> {
    let expr = assay_promql::parse(measure).ok()?;
    let mut highest: Option<f64> = None;
    expr.walk(&mut |e| {
        if let Expr::Call(call) = e
            && call.func.id == Func::Quantile(QuantileFunc::HistogramQuantile)
            && let Some(Expr::Number(rank)) = call.args.first().map(Expr::unparen)
            && (0.0..1.0).contains(&rank.value)
        {
            highest = Some(highest.map_or(rank.value, |h| h.max(rank.value)));
        }
    });
    highest
}

/// A quantile of a histogram.
struct Quantile {
    /// The expression of the histogram.
    of: String,
    rank: f64,
    /// How many seconds the histogram's counts are divided by.
    per_unit_s: f64,
}

fn quantile(measure: &str) -> Option<Quantile> {
    let expr = assay_promql::parse(measure).ok()?;
    let Expr::Call(call) = expr.unparen() else { return None };
    let [rank, of] = call.args.as_slice() else { return None };
    let Expr::Number(rank) = rank.unparen() else { return None };
    let within = rank.value > 0.0 && rank.value < 1.0;
    if call.func.id != Func::Quantile(QuantileFunc::HistogramQuantile) || !within {
        return None;
    }
    let mut divided = None;
    of.walk(&mut |e| {
        if let Expr::Call(c) = e
            && let Some(Expr::Matrix(m)) = c.args.first().map(Expr::unparen)
        {
            let range_s = m.range.resolve_ms(DurationContext::default(), true).map(|ms| ms as f64 / 1e3);
            divided = match (c.func.id, range_s) {
                (Func::Range(RangeFunc::Increase), _) => Some(1.0),
                (Func::Range(RangeFunc::Rate), Ok(range_s)) => Some(range_s),
                _ => None,
            };
        }
    });
    Some(Quantile { of: of.to_string(), rank: rank.value, per_unit_s: divided? })
}

/// The number of the row's series.
fn of_series(found: &QueryValue, row: &ObjectiveRow) -> Option<f64> {
    let QueryValue::Vector(list) = found else { return None };
    let same = |labels: &Labels| labels.without_name().to_pairs() == row.labels;
    list.iter().find(|s| same(&s.labels)).and_then(|s| match &s.value {
        Value::Float(v) if v.is_finite() => Some(*v),
        Value::Float(_) | Value::Histogram(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rank_is_found_wherever_it_is() {
        assert_eq!(rank("1000 * histogram_quantile( 0.95, increase(x[1m]))"), Some(0.95));
        assert_eq!(
            rank("max(histogram_quantile(0.5, rate(x[1m])) or histogram_quantile(0.99, y))"),
            Some(0.99)
        );
        assert_eq!((rank("max(x)"), rank("histogram_quantile(1, x)"), rank("(")), (None, None, None));
    }

    #[test]
    fn quantiles_are_recognised() {
        let check = |measure: &str, want: Option<(&str, f64, f64)>| {
            let found = quantile(measure);
            assert_eq!(found.as_ref().map(|q| (q.of.as_str(), q.rank, q.per_unit_s)), want, "{measure}");
        };
        check(
            "histogram_quantile(0.99, sum by (le) (increase(x_bucket[1m])))",
            Some(("sum by (le) (increase(x_bucket[1m]))", 0.99, 1.0)),
        );
        check("(histogram_quantile(0.5, rate(x[2m])))", Some(("rate(x[2m])", 0.5, 120.0)));
        check("1000 * histogram_quantile(0.99, increase(x[1m]))", None);
        check("histogram_quantile(0.99, x)", None);
        check("histogram_quantile(1, increase(x[1m]))", None);
        check("max(x)", None);
    }
}

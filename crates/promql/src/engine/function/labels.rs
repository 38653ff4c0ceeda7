//! `label_replace` and `label_join`. Invariant: only labels change; two series that become one must not have
//! samples at the same step.

use std::sync::Arc;

use assay_model::METRIC_NAME;

use crate::ast::StringLiteral;
use crate::engine::{
    EvalError,
    eval::Evaluator,
    limits::Size,
    notes::Notes,
    plan::Node,
    vector::{Meta, Vector},
};

/// How often a value is in memory while it becomes a label.
const COPIES: usize = 3;

/// `label_replace(v, dst, replacement, src, regex)`.
pub(super) fn replace<'e>(
    ev: &Evaluator<'e>,
    node: &Node,
    args: &'e [Arc<Node>],
    notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    let (dst, replacement) = (ev.literal(&args[1])?, ev.text(&args[2])?);
    let (src, pattern) = (ev.text(&args[3])?, ev.text(&args[4])?);
    let regex = assay_model::regexp::compile(pattern).map_err(|_| {
        ev.ctx.fail(args[4].site, format!("invalid regular expression in label_replace(): {pattern}"))
    })?;
    if !is_label_name(dst) {
        let message = format!("invalid destination label name in label_replace(): {}", dst.value);
        return Err(ev.ctx.fail(args[1].site, message));
    }
    let dst = dst.value.as_str();
    let v = ev.vector(&args[0], notes)?;
    // Each group is at most the whole of the value.
    let groups = replacement.matches('$').count();
    let bytes = |meta: &Meta| {
        replacement.len().saturating_add(groups.saturating_mul(meta.labels.get(src).map_or(0, str::len)))
    };
    relabelled(ev, node, v, notes, bytes, |meta| {
        let found = regex.captures(meta.labels.get(src).unwrap_or(""))?;
        let mut value = String::new();
        found.expand(replacement, &mut value);
        Some((dst, value))
    })
}

/// `label_join(v, dst, separator, src…)`.
pub(super) fn join<'e>(
    ev: &Evaluator<'e>,
    node: &Node,
    args: &'e [Arc<Node>],
    notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    let (dst, separator) = (ev.literal(&args[1])?, ev.text(&args[2])?);
    let sources = args[3..].iter().map(|a| ev.literal(a)).collect::<Result<Vec<_>, _>>()?;
    if let Some(bad) = sources.iter().position(|s| !is_label_name(s)) {
        let message = format!("invalid source label name in label_join(): {}", sources[bad].value);
        return Err(ev.ctx.fail(args[3 + bad].site, message));
    }
    if !is_label_name(dst) {
        let message = format!("invalid destination label name in label_join(): {}", dst.value);
        return Err(ev.ctx.fail(args[1].site, message));
    }
    let dst = dst.value.as_str();
    let v = ev.vector(&args[0], notes)?;
    let bytes = |meta: &Meta| {
        let values = sources.iter().map(|s| meta.labels.get(&s.value).map_or(0, str::len));
        values.map(|len| len + separator.len()).sum()
    };
    relabelled(ev, node, v, notes, bytes, |meta| {
        let values: Vec<&str> = sources.iter().map(|s| meta.labels.get(&s.value).unwrap_or("")).collect();
        Some((dst, values.join(separator)))
    })
}

fn relabelled<'e, 'a>(
    ev: &Evaluator<'e>,
    node: &Node,
    mut v: Vector<'e>,
    notes: &mut Notes,
    bytes: impl Fn(&Meta) -> usize,
    change: impl Fn(&Meta) -> Option<(&'a str, String)>,
) -> Result<Vector<'e>, EvalError> {
    for meta in &mut v.series {
        // Labels may be long, and may become so here.
        ev.ctx.check()?;
        let _room = ev.ctx.hold(Size::bytes(bytes(meta).saturating_mul(COPIES)))?;
        if let Some((name, value)) = change(meta) {
            let mut labels = meta.labels.to_builder();
            labels.set(name, &value);
            meta.labels = labels.build();
            // A name that is given here is meant to stay.
            meta.drop_name &= name != METRIC_NAME;
        }
    }
    v.merge_duplicates(ev.ctx, node.site, notes)
}

/// Whether a label may have this name: any text but the empty one.
pub(crate) fn is_label_name(name: &StringLiteral) -> bool {
    !name.value.is_empty() && name.not_utf8.is_none()
}

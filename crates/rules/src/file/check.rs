//! What must hold of a rule's parts, with the position of what does not.
//!
//! Source: Prometheus `model/rulefmt/rulefmt.go` v3.13. Invariant: each check reports all it finds, and what it
//! reports names the group and the rule.

use assay_model::METRIC_NAME;
use assay_promql::Expr;
use assay_yaml::{Cx, Node};

use super::read::Pair;
use crate::template::Template;

/// Parses the expression; every error in it is reported where it stands.
pub(super) fn expression(cx: &mut Cx<'_>, node: Option<&Node>, rule: &Node, prefix: &str) -> Option<Expr> {
    let Some(node) = node else {
        cx.error(rule, format!("{prefix}: field 'expr' must be set in rule"));
        return None;
    };
    let Some(text) = node.as_str() else {
        cx.error(node, format!("{prefix}: expr: expected an expression, found {}", node.describe()));
        return None;
    };
    if text.is_empty() {
        cx.error(node, format!("{prefix}: field 'expr' must be set in rule"));
        return None;
    }
    match assay_promql::parse(text) {
        Ok(expr) => Some(expr),
        Err(errors) => {
            for error in errors.list() {
                let message = format!("{prefix}: could not parse expression: {}", error.message);
                cx.error_in(node, error.span.start, message);
            }
            None
        }
    }
}

/// Names of labels: any text but the empty one and `__name__`.
pub(super) fn label_names(cx: &mut Cx<'_>, pairs: &[Pair<'_>], prefix: &str) {
    for pair in pairs {
        if pair.name.is_empty() || pair.name == METRIC_NAME {
            cx.error(pair.key_node, format!("{prefix}: invalid label name: {}", pair.name));
        }
    }
}

/// Names of annotations: any text but the empty one.
pub(super) fn annotation_names(cx: &mut Cx<'_>, pairs: &[Pair<'_>], prefix: &str) {
    for pair in pairs.iter().filter(|p| p.name.is_empty()) {
        cx.error(pair.key_node, format!("{prefix}: invalid annotation name: {}", pair.name));
    }
}

/// The name that a recording rule writes.
pub(super) fn recording(cx: &mut Cx<'_>, node: Option<&Node>, name: &str, prefix: &str) {
    if let Some(node) = node
        && name.contains(['{', '}'])
    {
        cx.error(
            node,
            format!("{prefix}: braces present in the recording rule name; should it be in expr?: {name}"),
        );
    }
}

/// Parses templates; an error is reported where it stands.
pub(super) fn templates(
    cx: &mut Cx<'_>,
    alert: &str,
    pairs: &[Pair<'_>],
    what: &str,
    prefix: &str,
) -> Vec<Template> {
    let mut out = Vec::new();
    for pair in pairs {
        match Template::parse(alert, &pair.value) {
            Ok(template) => out.push(template),
            Err(error) => {
                let message = format!("{prefix}: {what} {:?}: {}", pair.name, error.message);
                cx.error_in(pair.value_node, error.pos, message);
            }
        }
    }
    out
}

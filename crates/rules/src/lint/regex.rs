//! `regex-literal`: matchers that use a regular expression without need.

use assay_model::{MatchOp, Matcher};

use super::{Context, Remark, remark};

pub(super) fn check(context: &Context<'_>, out: &mut Vec<Remark>) {
    for (id, rule) in context.rules() {
        for selector in rule.expr.selectors() {
            for matcher in &selector.matchers {
                if let Some(message) = needless(matcher) {
                    remark(out, id, rule.position_in_expr(&selector.span), message);
                }
            }
        }
    }
}

fn needless(matcher: &Matcher) -> Option<String> {
    let plain = match matcher.op {
        MatchOp::Regex => "=",
        MatchOp::NotRegex => "!=",
        MatchOp::Equal | MatchOp::NotEqual => return None,
    };
    let (name, value) = (&matcher.name, &matcher.value);
    if value.starts_with('^') || (value.ends_with('$') && !value.ends_with("\\$")) {
        return Some(format!("{matcher} is anchored at both ends already; leave ^ and $ out"));
    }
    let special = |c: char| "\\.+*?()[]{}|^$".contains(c);
    (!value.is_empty() && !value.contains(special))
        .then(|| format!("{matcher} has no regular expression; write {name}{plain}\"{value}\""))
}

#[cfg(test)]
mod tests {
    use crate::lint::context::testing::check;

    #[test]
    fn needless_expressions() {
        check(
            "regex-literal",
            r#"- {record: a, expr: 'up{a=~"x", b=~"x.*", c!~"^y$", d=~"a|b", e="^"}'}"#,
            &[
                "1: a=~\"x\" has no regular expression; write a=\"x\"",
                "1: c!~\"^y$\" is anchored at both ends already; leave ^ and $ out",
            ],
        );
    }
}

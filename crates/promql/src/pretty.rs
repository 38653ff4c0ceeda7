//! Trees to text over several lines, as `promtool promql format` gives (`promql/parser/prettier.go`, v3.13).
//!
//! Invariant: a node of at most 100 bytes stays on one line; selectors and literals always do.

use crate::ast::Expr;

const MAX_LINE_BYTES: usize = 100;

/// The expression, with long parts split over lines and indented.
#[must_use]
pub fn pretty(expr: &Expr) -> String {
    at_level(expr, 0)
}

fn at_level(expr: &Expr, level: usize) -> String {
    let indent = "  ".repeat(level);
    let line = expr.to_string();
    if let Expr::Unary(e) = expr {
        return format!("{indent}{}{}", e.op, at_level(&e.expr, level).trim());
    }
    if line.len() <= MAX_LINE_BYTES {
        // Prometheus leaves a subquery that fits on its line without indent.
        return if matches!(expr, Expr::Subquery(_)) { line } else { format!("{indent}{line}") };
    }
    match expr {
        Expr::Aggregate(e) => {
            let param =
                e.param.as_ref().map_or_else(String::new, |p| format!("{},\n", at_level(p, level + 1)));
            format!("{indent}{}(\n{param}{}\n{indent})", e.head(), at_level(&e.expr, level + 1))
        }
        Expr::Binary(e) => {
            let lhs = match e.bare_base() {
                Some(base) => format!("{}{base}", "  ".repeat(level + 1)),
                None => at_level(&e.lhs, level + 1),
            };
            format!("{lhs}\n{indent}{}\n{}", e.head(), at_level(&e.rhs, level + 1))
        }
        Expr::Call(e) => {
            let args: Vec<_> = e.args.iter().map(|a| at_level(a, level + 1)).collect();
            format!("{indent}{}(\n{}\n{indent})", e.func.name, args.join(",\n"))
        }
        Expr::Paren(e) => format!("{indent}(\n{}\n{indent})", at_level(&e.expr, level + 1)),
        Expr::Subquery(e) => format!("{}{}", at_level(&e.expr, level), e.tail()),
        _ => format!("{indent}{line}"),
    }
}

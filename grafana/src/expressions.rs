//! Every PromQL expression of the boards, as a server can be asked it.
//!
//! Invariant: what a panel, a variable or an annotation asks is here, with variables at what "All" stands for.

use crate::{boards, model::Dashboard};

/// An expression and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    /// The board's uid.
    pub board: &'static str,
    /// The panel's title, or which variable or annotation.
    pub place: String,
    /// The expression.
    pub expr: String,
}

/// All of them, with `$__rate_interval` at `window` and `$__range` at `range`.
#[must_use]
pub fn all(window: &str, range: &str) -> Vec<Expression> {
    boards::all().iter().flat_map(|board| of(board, window, range)).collect()
}

fn of(board: &Dashboard, window: &str, range: &str) -> Vec<Expression> {
    let variables = &board.templating.list;
    let all: Vec<_> =
        variables.iter().map(|v| (format!("${}", v.name), v.all_value.unwrap_or(".+"))).collect();
    let asked = |place: String, expr: &str| {
        let mut expr = expr.replace("$__rate_interval", window).replace("$__range", range);
        for (name, value) in &all {
            expr = expr.replace(name.as_str(), value);
        }
        Expression { board: board.uid, place, expr }
    };
    let panels =
        board.panels.iter().flat_map(|p| p.targets.iter().map(move |t| (p.title.to_owned(), &t.expr)));
    let annotations = board.annotations.list.iter().map(|a| (format!("annotation {}", a.name), &a.expr));
    let mut found: Vec<_> = panels.chain(annotations).map(|(place, expr)| asked(place, expr)).collect();
    for variable in &board.templating.list {
        if let Some((selector, label)) = label_values(&variable.query) {
            let expr = format!("group by ({label}) ({selector})");
            found.push(asked(format!("variable {}", variable.name), &expr));
        }
    }
    found
}

/// The selector and the label of `label_values(…)`.
fn label_values(query: &str) -> Option<(&str, &str)> {
    query.strip_prefix("label_values(")?.strip_suffix(')')?.rsplit_once(", ")
}

//! A plan as text. Invariant: one line for each node, children indented under it.

use std::{fmt::Write, sync::Arc};

use assay_model::duration::format_ms;

use super::{Node, Op, Plan, Selection, Shift, Window, WindowSource};
use crate::ast::RangeMode;

impl Plan {
    /// The plan as an indented tree, selections first.
    pub(crate) fn explain(&self) -> String {
        let mut out = String::new();
        for (i, s) in self.selections.iter().enumerate() {
            let shared = if s.uses > 1 { format!(", read once for {} uses", s.uses) } else { String::new() };
            let _ = writeln!(
                out,
                "selection {i}: {} over {}{shared}",
                selector(s),
                format_ms(s.end_ms - s.start_ms + 1)
            );
        }
        let mut seen = vec![false; self.uses.len()];
        for root in &self.roots {
            self.line(&mut out, root, 0, &mut seen);
        }
        out
    }

    fn line(&self, out: &mut String, node: &Arc<Node>, depth: usize, seen: &mut [bool]) {
        let uses = self.uses[node.id];
        let again = std::mem::replace(&mut seen[node.id], true);
        let shared = match (uses > 1 && !matches!(node.op, Op::Number(_) | Op::Text(_)), again) {
            (true, true) => format!("  (see #{} above)", node.id),
            (true, false) => format!("  (#{}, computed once for {uses} uses)", node.id),
            _ => String::new(),
        };
        let _ = writeln!(out, "{:indent$}{}{shared}", "", describe(node), indent = depth * 2);
        if shared.is_empty() || !again {
            for child in node.children() {
                self.line(out, child, depth + 1, seen);
            }
        }
    }
}

fn describe(node: &Node) -> String {
    let grid = |node: &Node| {
        if node.grid.steps == 1 {
            "once".to_owned()
        } else {
            format!("{} steps of {}", node.grid.steps, format_ms(node.grid.step_ms))
        }
    };
    match &node.op {
        Op::Number(v) => format!("number {v}"),
        Op::Text(t) => format!("string {t}"),
        Op::Repeat(_) => format!("repeat for {}", grid(node)),
        Op::Select(s) => format!("select {}{}{}, {}", s.selection, shift(s.shift), mode(s.mode), grid(node)),
        Op::Times { selector, .. } => format!("times of selection {}, {}", selector.selection, grid(node)),
        Op::Raw(w) => format!("range {}", window(w)),
        Op::Range { func, window: w, .. } => format!("{} over {}, {}", func.name, window(w), grid(node)),
        Op::AbsentOverTime { window: w, .. } => {
            format!("absent_over_time over {}, {}", window(w), grid(node))
        }
        Op::Absent { .. } => "absent".to_owned(),
        Op::Info(_) => "info".to_owned(),
        Op::Function { func, .. } => func.name.to_owned(),
        Op::Aggregate(a) => {
            let groups = match (a.without, a.grouping.is_empty()) {
                (false, true) => String::new(),
                (without, _) => {
                    format!(" {} ({})", if without { "without" } else { "by" }, a.grouping.join(", "))
                }
            };
            format!("{}{groups}, groups × steps", a.op)
        }
        Op::Negate(_) => "negate".to_owned(),
        Op::Binary(b) => format!("binary {}", b.op),
    }
}

fn window(w: &Window) -> String {
    let source = match &w.source {
        WindowSource::Selection(at) => format!("selection {at}"),
        WindowSource::Subquery(n) => format!("subquery every {}", format_ms(n.grid.step_ms)),
    };
    format!("{source}[{}]{}{}", format_ms(w.range_ms), shift(w.shift), mode(w.mode))
}

fn shift(s: Shift) -> String {
    let at = s.at_ms.map(|t| format!(" @ {}", t as f64 / 1000.0)).unwrap_or_default();
    let offset = if s.offset_ms == 0 { String::new() } else { format!(" offset {}", format_ms(s.offset_ms)) };
    at + &offset
}

fn mode(m: RangeMode) -> &'static str {
    match m {
        RangeMode::Plain => "",
        RangeMode::Anchored => " anchored",
        RangeMode::Smoothed => " smoothed",
    }
}

fn selector(s: &Selection) -> String {
    let parts: Vec<String> = s.matchers.iter().map(ToString::to_string).collect();
    format!("{{{}}}", parts.join(", "))
}

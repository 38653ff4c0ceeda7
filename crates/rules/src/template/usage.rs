//! What of an alert a template uses.
//!
//! Invariant: `.Labels` counts only where the dot is the alert's data, and not inside `range`, `with` or a template of its
//! own; the definitions that stand before every text do not count.

use std::collections::BTreeSet;

use super::ast::{Branch, Node, Operand, OperandKind, Pipe};

/// What was found.
#[derive(Default)]
pub(super) struct Usage {
    pub(super) labels: BTreeSet<String>,
    pub(super) value: bool,
}

impl Usage {
    /// Looks through nodes; `data` says whether the dot is the alert's data.
    pub(super) fn add(&mut self, nodes: &[Node], data: bool) {
        for node in nodes {
            match node {
                Node::Action(pipe) => self.pipe(pipe, data),
                Node::Template { pipe: Some(pipe), .. } => self.pipe(pipe, data),
                Node::If(Branch { pipe, list, otherwise }) => {
                    self.pipe(pipe, data);
                    self.add(list, data);
                    self.add(otherwise, data);
                }
                Node::With(Branch { pipe, list, otherwise })
                | Node::Range(Branch { pipe, list, otherwise }) => {
                    self.pipe(pipe, data);
                    self.add(list, false);
                    self.add(otherwise, data);
                }
                _ => {}
            }
        }
    }

    fn pipe(&mut self, pipe: &Pipe, data: bool) {
        let defines = |name: &str| pipe.variables.iter().any(|v| v == name) && !pipe.is_assign;
        if defines("$value") || defines("$labels") || defines("$externalLabels") || defines("$externalURL") {
            return;
        }
        for operand in pipe.commands.iter().flat_map(|c| &c.args) {
            self.operand(operand, data);
        }
    }

    fn operand(&mut self, operand: &Operand, data: bool) {
        match &operand.kind {
            OperandKind::Variable(path) => {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                match path.as_slice() {
                    ["$labels", name, ..] | ["$", "Labels", name, ..] => {
                        self.labels.insert((*name).to_owned());
                    }
                    ["$value", ..] | ["$", "Value", ..] => self.value = true,
                    _ => {}
                }
            }
            OperandKind::Field(path) if data => {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                match path.as_slice() {
                    ["Labels", name, ..] => {
                        self.labels.insert((*name).to_owned());
                    }
                    ["Value", ..] => self.value = true,
                    _ => {}
                }
            }
            OperandKind::Chain(inner, _) => self.operand(inner, data),
            OperandKind::Pipe(pipe) => self.pipe(pipe, data),
            _ => {}
        }
    }
}

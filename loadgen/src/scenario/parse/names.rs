//! The names that templates use, and those there are. Invariant: a name is resolved after the whole file was
//! read, for a capture may stand below its use.

use std::collections::{BTreeMap, BTreeSet};

use assay_yaml::{Cx, Node, Position};

use crate::scenario::{Text, environment_names};

/// What a data set offers in a template.
const DATA_MEMBERS: [&str; 3] = ["random", "next", "unique"];
/// What is always there.
const BUILT_IN: [&str; 3] = ["env", "vu", "iteration"];

/// Names used and names defined.
#[derive(Debug, Default)]
pub(super) struct Names {
    plain: BTreeSet<String>,
    data: BTreeMap<String, Vec<String>>,
    uses: Vec<Use>,
}

#[derive(Debug)]
struct Use {
    name: String,
    at: Position,
    has_default: bool,
}

impl Names {
    pub(super) fn define(&mut self, name: &str) {
        self.plain.insert(name.to_owned());
    }

    pub(super) fn define_data(&mut self, name: &str, columns: &[String]) {
        self.data.insert(name.to_owned(), columns.to_vec());
    }

    pub(super) fn used_in(&mut self, cx: &Cx<'_>, node: &Node, text: &Text) {
        for (name, offset) in text.names() {
            let at = node.position_of(cx.document().text(), offset);
            let root = name.split('.').next().unwrap_or_default();
            let variable = environment_names(&name).unwrap_or(root);
            let has_default = text.has_default_for(variable);
            self.uses.push(Use { name, at, has_default });
        }
    }

    pub(super) fn resolve(&self, cx: &mut Cx<'_>) {
        for used in &self.uses {
            if let Some(problem) = self.problem(used) {
                cx.error_at(used.at, problem);
            }
        }
    }

    fn problem(&self, used: &Use) -> Option<String> {
        let mut parts = used.name.split('.');
        let root = parts.next().unwrap_or_default();
        if let Some(variable) = environment_names(&used.name) {
            let is_missing = std::env::var_os(variable).is_none() && !used.has_default;
            return is_missing.then(|| {
                format!("the environment variable {variable} is not set; set it, or give it a default: {{{{ env.{variable} | default('…') }}}}")
            });
        }
        if let Some(columns) = self.data.get(root) {
            let member = parts.next()?;
            if !DATA_MEMBERS.contains(&member) {
                return Some(unknown(&format!("member of the data {root:?}"), member, &DATA_MEMBERS));
            }
            let column = parts.next()?;
            let known: Vec<&str> = columns.iter().map(String::as_str).collect();
            let is_unknown = !known.is_empty() && !known.contains(&column);
            return is_unknown.then(|| unknown(&format!("column of {root:?}"), column, &known));
        }
        if self.plain.contains(root) || BUILT_IN.contains(&root) || used.has_default {
            return None;
        }
        let known: Vec<&str> =
            self.plain.iter().chain(self.data.keys()).map(String::as_str).chain(BUILT_IN).collect();
        Some(unknown("name in a template", root, &known))
    }
}

pub(super) fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    match assay_yaml::nearest(name, known.iter().copied()) {
        Some(near) => format!("unknown {what}: {name:?}; did you mean {near:?}?"),
        None => format!("unknown {what}: {name:?}; known: {}", known.join(", ")),
    }
}

//! The names that templates use, and those there are. Invariant: a name is resolved after the whole file was
//! read, for a capture may stand below its use.

use std::collections::{BTreeMap, BTreeSet};

use assay_yaml::{Cx, Node, Position};

use crate::scenario::{
    Text, environment_names,
    template::{functions, lexicon},
};

/// What a data set offers in a template.
const DATA_MEMBERS: [&str; 3] = ["random", "next", "unique"];
/// What is always there, apart from functions.
const BUILT_IN: [&str; 3] = ["env", "vu", "iteration"];
/// The line of a trace, where a phase replays one.
pub(crate) const TRACE: &str = "trace";

/// Names used and names defined.
#[derive(Debug, Default)]
pub(super) struct Names {
    plain: BTreeSet<String>,
    data: BTreeMap<String, Vec<String>>,
    uses: Vec<Use>,
    /// Variables that are there in addition to the environment's.
    variables: BTreeSet<String>,
}

#[derive(Debug)]
struct Use {
    name: String,
    at: Position,
    has_default: bool,
}

impl Names {
    pub(super) fn new(variables: &[String]) -> Self {
        Self { variables: variables.iter().cloned().collect(), ..Self::default() }
    }

    pub(super) fn define(&mut self, name: &str) {
        self.plain.insert(name.to_owned());
    }

    pub(super) fn define_data(&mut self, name: &str, columns: &[String]) {
        self.data.insert(name.to_owned(), columns.to_vec());
    }

    /// Why a name is not free: what is found first would hide the other.
    pub(super) fn taken(&self, name: &str) -> Option<&'static str> {
        if self.data.contains_key(name) {
            Some("that of a data file")
        } else if BUILT_IN.contains(&name) {
            Some("always there in templates")
        } else if name == TRACE {
            Some("that of the line of a trace")
        } else if functions::find(name).is_some() || lexicon::GLOBALS.contains(&name) {
            Some("that of a function")
        } else {
            None
        }
    }

    /// Notes the names that a text uses; reports filters and tests that there are not.
    pub(super) fn used_in(&mut self, cx: &mut Cx<'_>, node: &Node, text: &Text) {
        for (word, offset) in text.words() {
            if let Some(problem) = lexicon::problem(word) {
                cx.error_in(node, offset, problem);
            }
        }
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
            let is_given = self.variables.contains(variable) || std::env::var_os(variable).is_some();
            let is_missing = !is_given && !used.has_default;
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
        let is_function = functions::find(root).is_some() || lexicon::GLOBALS.contains(&root);
        if self.plain.contains(root) || BUILT_IN.contains(&root) || is_function || used.has_default {
            return None;
        }
        let mut known: Vec<&str> = self.plain.iter().chain(self.data.keys()).map(String::as_str).collect();
        known.extend(BUILT_IN);
        known.extend(functions::FUNCTIONS.iter().map(|f| f.name));
        Some(unknown("name in a template", root, &known))
    }
}

pub(super) fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    match assay_yaml::nearest(name, known.iter().copied()) {
        Some(near) => format!("unknown {what}: {name:?}; did you mean {near:?}?"),
        None if known.is_empty() => format!("unknown {what}: {name:?}; the file defines none"),
        None => format!("unknown {what}: {name:?}; known: {}", known.join(", ")),
    }
}

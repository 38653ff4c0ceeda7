//! YAML that chores read: manifests, actions, templates. Invariant: what is missing is an error that names it.

use anyhow::{Context, Result};
use assay_yaml::{Document, Node};

/// The documents of a text; `name` is what messages call it.
pub(crate) fn parse(name: &str, text: &str) -> Result<Vec<Document>> {
    Document::parse_all(name, text).map_err(|e| anyhow::anyhow!("{e}"))
}

/// What is under a path of keys and places in lists.
pub(crate) fn at<'n>(node: &'n Node, path: &[&str]) -> Result<&'n Node> {
    path.iter().try_fold(node, |node, key| {
        let found = match key.parse::<usize>() {
            Ok(index) => node.as_seq().and_then(|list| list.get(index)),
            Err(_) => node.get(key),
        };
        found.with_context(|| format!("there is no {key}"))
    })
}

/// A text.
pub(crate) fn text(node: &Node) -> Result<String> {
    node.as_str().map(str::to_owned).context("not a text")
}

//! References within a document (`$ref: '#/components/…'`). Invariant: following one ends, also where
//! references go round in a circle.

use assay_yaml::Node;

/// The most references in a row.
const MAX_HOPS: usize = 32;

/// Follows references.
#[derive(Clone, Copy)]
pub(super) struct Resolver<'d> {
    pub(super) root: &'d Node,
}

impl<'d> Resolver<'d> {
    /// The node itself, or what it refers to; else the node that is wrong, and what is wrong with it.
    pub(super) fn follow(self, node: &'d Node) -> Result<&'d Node, (&'d Node, String)> {
        let mut at = node;
        for _ in 0..MAX_HOPS {
            let Some(reference) = at.get("$ref") else { return Ok(at) };
            let text = reference.as_str().unwrap_or_default();
            let Some(pointer) = text.strip_prefix("#/") else {
                let message =
                    format!("the reference {text:?} leaves the document; put what it names into it");
                return Err((reference, message));
            };
            at = self.find(pointer).ok_or_else(|| (reference, format!("there is nothing at {text:?}")))?;
        }
        Err((node, "references go round in a circle".to_owned()))
    }

    /// What a JSON pointer names.
    fn find(self, pointer: &str) -> Option<&'d Node> {
        pointer.split('/').try_fold(self.root, |node, part| {
            let part = part.replace("~1", "/").replace("~0", "~");
            match node.as_seq() {
                Some(items) => items.get(part.parse::<usize>().ok()?),
                None => node.get(&part),
            }
        })
    }
}

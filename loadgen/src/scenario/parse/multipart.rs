//! Multipart forms in a scenario. Invariant: a file is read once, when the scenario is.

use assay_yaml::Node;
use bytes::Bytes;
use minijinja::Value;

use super::Parser;
use crate::scenario::{
    Body,
    multipart::{self, Content, Part},
    shape,
};

impl<'d> Parser<'d> {
    /// A form whose values are texts, or `{file: scan.pdf, type: application/pdf}`, or lists of those.
    pub(super) fn multipart(&mut self, node: &'d Node) -> Body {
        let pairs = self.pairs(node, "the parts of a form");
        let one_by_one = pairs.into_iter().flat_map(|(name, n)| {
            n.as_seq().unwrap_or(std::slice::from_ref(n)).iter().map(move |n| (name.clone(), n))
        });
        let parts: Vec<Part> = one_by_one.filter_map(|(name, n)| self.part(name, n)).collect();
        if parts.iter().all(Part::is_fixed)
            && let Ok(bytes) = multipart::render(&parts, &Value::UNDEFINED)
        {
            return Body::Fixed(bytes);
        }
        Body::Multipart(parts)
    }

    fn part(&mut self, name: String, node: &'d Node) -> Option<Part> {
        if node.as_map().is_none() {
            let content = Content::Text(self.text(node)?);
            return Some(Part { name, content, file_name: None, content_type: None });
        }
        let mut map = self.cx.read(node, &shape::PART)?;
        let (file, value) = (map.get("file"), map.get("value"));
        let given_name = map.get("filename").and_then(|n| self.text(n));
        let kind_node = map.get("type");
        let kind = kind_node.and_then(|n| self.cx.string(n));
        map.finish(&mut self.cx);
        if let (Some(kind), Some(n)) = (&kind, kind_node)
            && http::HeaderValue::from_str(kind).is_err()
        {
            self.cx.error(n, format!("{kind:?} cannot be the type of a part"));
        }
        let (content, own_name) = match (file, value) {
            (Some(n), None) => {
                let path = self.cx.string(n)?;
                let base = path.rsplit(['/', '\\']).next().unwrap_or_default();
                let own = crate::scenario::Text::parse(&base.replace("{{", "%7B%7B")).ok();
                (Content::File(self.file(n, &path)?), own)
            }
            (None, Some(n)) => (Content::Text(self.text(n)?), None),
            _ => {
                self.cx.error(
                    node,
                    "a part is a text, or a map with file or value: {file: scan.pdf, type: application/pdf}",
                );
                return None;
            }
        };
        let kind = kind.or_else(|| file.map(|_| "application/octet-stream".to_owned()));
        Some(Part { name, content, file_name: given_name.or(own_name), content_type: kind })
    }

    fn file(&mut self, node: &Node, path: &str) -> Option<Bytes> {
        match (self.files.read)(path) {
            Ok(bytes) if multipart::holds_boundary(&bytes) => {
                self.cx.error(node, format!("{path}: holds the boundary that stands between parts"));
                None
            }
            Ok(bytes) => Some(Bytes::from(bytes)),
            Err(e) => {
                self.cx.error(node, format!("{path}: cannot be read: {e}"));
                None
            }
        }
    }
}

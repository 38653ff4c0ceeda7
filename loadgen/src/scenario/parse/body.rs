//! Request bodies. Invariant: a body without templates is made once, when the scenario is read.

use assay_yaml::{Kind, MapReader, Node, Style};
use bytes::Bytes;

use super::Parser;
use crate::scenario::{Body, flow::JsonPart, multipart};

impl<'d> Parser<'d> {
    /// The body of a request and its content type.
    pub(super) fn body(
        &mut self,
        node: &Node,
        map: &mut MapReader<'d>,
    ) -> (Option<Body>, Option<&'static str>) {
        let (json, form, text) = (map.get("json"), map.get("form"), map.get("body"));
        let parts = map.get("multipart");
        if [json, form, text, parts].iter().flatten().count() > 1 {
            self.cx.error(node, "a request has one body: json, form, multipart or body");
        }
        if let Some(n) = json {
            return (Some(self.json(n)), Some("application/json"));
        }
        if let Some(n) = parts {
            return (Some(self.multipart(n)), Some(multipart::CONTENT_TYPE));
        }
        if let Some(n) = form {
            return (Some(Body::Form(self.texts(n, "a form"))), Some("application/x-www-form-urlencoded"));
        }
        match text.and_then(|n| self.text(n)) {
            Some(text) => (Some(Body::Text(text)), Some("text/plain; charset=utf-8")),
            None => (None, None),
        }
    }

    fn json(&mut self, node: &Node) -> Body {
        let mut parts = Vec::new();
        self.json_parts(node, &mut parts);
        match parts.as_slice() {
            [JsonPart::Literal(text)] => Body::Fixed(Bytes::from(text.clone())),
            _ => Body::Json(parts),
        }
    }

    fn json_parts(&mut self, node: &Node, out: &mut Vec<JsonPart>) {
        match &node.kind {
            Kind::Seq(items) => {
                push(out, "[");
                for (i, item) in items.iter().enumerate() {
                    push(out, if i > 0 { "," } else { "" });
                    self.json_parts(item, out);
                }
                push(out, "]");
            }
            Kind::Map(pairs) => {
                push(out, "{");
                for (i, (key, value)) in pairs.iter().enumerate() {
                    push(out, if i > 0 { "," } else { "" });
                    let key = serde_json::Value::from(key.as_str().unwrap_or_default());
                    push(out, &format!("{key}:"));
                    self.json_parts(value, out);
                }
                push(out, "}");
            }
            Kind::Scalar(text, Style::Plain) if !text.contains("{{") => {
                push(out, &node.to_json().to_string());
            }
            Kind::Scalar(text, _) if !text.contains("{{") => {
                push(out, &serde_json::Value::from(text.as_str()).to_string());
            }
            Kind::Scalar(..) => {
                if let Some(text) = self.text(node) {
                    out.push(JsonPart::Value(text));
                }
            }
        }
    }
}

/// Adds literal JSON, in one piece with what stands before.
fn push(out: &mut Vec<JsonPart>, text: &str) {
    match out.last_mut() {
        Some(JsonPart::Literal(last)) => last.push_str(text),
        _ => out.push(JsonPart::Literal(text.to_owned())),
    }
}

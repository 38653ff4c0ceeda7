//! Parameters of an operation. Invariant: a parameter is where its document says, as its style has it.

use assay_yaml::Node;

use super::{
    Reader, first_example,
    style::{Encoding, Style},
};
use crate::import::{
    draft::{Draft, DraftStep, add_header, literal},
    json::Json,
};

/// Headers that parameters cannot set, by the specification.
const NOT_PARAMETERS: [&str; 3] = ["accept", "content-type", "authorization"];

/// A parameter of an operation.
#[derive(Clone)]
pub(super) struct Parameter {
    pub(super) name: String,
    /// `path`, `query`, `header` or `cookie`.
    pub(super) place: String,
    value: Json,
    style: Style,
}

impl<'d> Reader<'d> {
    pub(super) fn parameters(&mut self, list: Option<&'d Node>) -> Vec<Parameter> {
        let items = list.and_then(Node::as_seq).unwrap_or_default();
        items.iter().filter_map(|n| self.parameter(n)).collect()
    }

    /// A parameter that a request needs, or that has an example.
    fn parameter(&mut self, node: &'d Node) -> Option<Parameter> {
        let node = self.follow(node)?;
        let text = |key: &str| node.get(key).and_then(Node::as_str).map(str::to_owned);
        let (Some(name), Some(place)) = (text("name"), text("in")) else {
            self.cx.error(
                node,
                "a parameter has a name and says where it is: in: path, query, header or cookie",
            );
            return None;
        };
        let is_required = place == "path" || node.get("required").and_then(Node::as_bool) == Some(true);
        let content =
            node.get("content").and_then(Node::as_map).and_then(|c| c.first()).map(|(_, media)| media);
        let of_media = |media: &'d Node| media.get("example").or_else(|| first_example(media));
        let own = of_media(node).or_else(|| content.and_then(of_media));
        let schema = node.get("schema").or_else(|| content?.get("schema"));
        let value = match (own, schema) {
            (Some(example), _) => Json::of_node(example),
            (None, Some(schema)) => {
                if !is_required && self.shown(schema).is_none() {
                    return None;
                }
                self.example(schema, 0)
            }
            (None, None) if is_required => Json::Word("1".to_owned()),
            (None, None) => return None,
        };
        // What has a type of its own is a text of it.
        let value = match value {
            Json::Text(text) => Json::Text(text),
            other if content.is_some() => Json::Text(other.to_string()),
            other => other,
        };
        let style = style(node, &place);
        Some(Parameter { name, place, value, style })
    }
}

/// The style of a parameter, its own or that of its place.
fn style(node: &Node, place: &str) -> Style {
    let usual = if matches!(place, "path" | "header") { "simple" } else { "form" };
    let name = node.get("style").and_then(Node::as_str).unwrap_or(usual).to_owned();
    let explode = node.get("explode").and_then(Node::as_bool).unwrap_or(name == "form" && place != "cookie");
    let encoding = match place {
        "header" => Encoding::Plain,
        "query" if node.get("allowReserved").and_then(Node::as_bool) == Some(true) => Encoding::Reserved,
        _ => Encoding::Percent,
    };
    Style { name, explode, encoding }
}

/// Puts parameters where they belong.
pub(super) fn place(draft: &mut Draft, step: &mut DraftStep, parameters: &[Parameter]) {
    for p in parameters {
        let written = p.style.write(&p.name, &p.value);
        match p.place.as_str() {
            "path" => {
                let value = draft.secrets.percent_encoded(&p.name, &written);
                step.path = step.path.replace(&format!("{{{}}}", p.name), &value);
            }
            "header" if !NOT_PARAMETERS.contains(&p.name.to_ascii_lowercase().as_str()) => {
                let text = draft.secrets.text(&p.name, &written);
                step.set_header(&p.name, text);
            }
            "cookie" => {
                // An object gives several.
                for pair in written.split('&').filter(|pair| !pair.is_empty()) {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    let value = draft.secrets.percent_encoded(&p.name, value);
                    add_header(&mut step.headers, "cookie", &format!("{}={value}", literal(name)));
                }
            }
            _ => {}
        }
    }
    let query = parameters.iter().filter(|p| p.place == "query").map(|p| p.style.write(&p.name, &p.value));
    let query: Vec<String> = query.filter(|text| !text.is_empty()).collect();
    draft.query(step, &query.join("&"));
}

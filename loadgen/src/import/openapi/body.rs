//! Bodies of requests. Invariant: a body is the document's example, or one made after its schema, as its type has it.

use assay_yaml::Node;

use super::{
    Reader, first_example,
    style::{Encoding, Style, as_text},
};
use crate::import::{
    draft::{Content, Draft, DraftBody, DraftStep, Part},
    json::Json,
};

impl<'d> Reader<'d> {
    pub(super) fn body(&mut self, draft: &mut Draft, step: &mut DraftStep, operation: &'d Node) {
        let Some(body) = operation.get("requestBody").and_then(|b| self.follow(b)) else { return };
        let kinds = body.get("content").and_then(Node::as_map).unwrap_or_default();
        let named = |wanted: &dyn Fn(&str) -> bool| {
            kinds
                .iter()
                .find(|(k, _)| wanted(k.as_str().unwrap_or_default().split(';').next().unwrap_or_default()))
        };
        let json =
            named(&|k| k == "application/json").or_else(|| named(&|k| k == "*/*" || k.ends_with("+json")));
        let form = named(&|k| k == "application/x-www-form-urlencoded");
        let parts = named(&|k| k == "multipart/form-data");
        if let Some((kind, media)) = json {
            // `*/*` and `application/*+json` are no types.
            let kind = kind.as_str().filter(|kind| !kind.contains('*') && *kind != "application/json");
            step.headers.extend(kind.map(|kind| ("content-type".to_owned(), kind.to_owned())));
            let value = self.media(media);
            step.body = DraftBody::Json(draft.secrets.json("", value));
        } else if let Some((kind, media)) = form {
            let value = self.media(media);
            let text = form_text(&value, media.get("encoding"));
            // Some documents say that there is a form, and that nothing is in it.
            if text.is_empty() {
                return;
            }
            step.headers.push(("content-type".to_owned(), kind.as_str().unwrap_or_default().to_owned()));
            step.body = draft.body(&mut step.headers, &text);
        } else if let Some((_, media)) = parts {
            step.body = self.multipart(draft, &step.name, media);
        } else if let Some((kind, media)) = kinds.first() {
            let kind = kind.as_str().unwrap_or_default().to_owned();
            let value = self.media(media);
            let is_shown = media.get("example").or_else(|| first_example(media)).is_some();
            if kind.starts_with("text/") || is_shown && matches!(value, Json::Text(_)) {
                step.body = DraftBody::Text(draft.secrets.free(&as_text(&value)));
                let kind = if kind == "text/*" { "text/plain" } else { &kind };
                step.headers.push(("content-type".to_owned(), kind.to_owned()));
            } else {
                draft.notes.push(format!("{}: its body is {kind}; write it by hand", step.name));
            }
        }
    }

    /// A form of parts; what is binary is a file that the user has to put there.
    fn multipart(&mut self, draft: &mut Draft, step: &str, media: &'d Node) -> DraftBody {
        let Json::Map(pairs) = self.media(media) else { return DraftBody::Parts(Vec::new()) };
        let schema = media.get("schema").and_then(|s| self.follow(s));
        let mut parts = Vec::new();
        for (name, value) in pairs {
            let property = schema.and_then(|s| s.get("properties")?.get(&name)).and_then(|p| self.follow(p));
            let items = property.and_then(|p| p.get("items")).and_then(|p| self.follow(p));
            let is_file = [property, items].into_iter().flatten().any(|p| {
                p.get("format").and_then(Node::as_str) == Some("binary")
                    || p.get("contentMediaType").is_some()
            });
            let encoding = media.get("encoding").and_then(|e| e.get(&name)?.get("contentType"));
            let kind = encoding
                .and_then(Node::as_str)
                .or_else(|| property?.get("contentMediaType")?.as_str())
                // Of several types the first will do, and one with a star is none.
                .map(|kinds| kinds.split(',').next().unwrap_or_default().trim().to_owned())
                .filter(|kind| !kind.contains('*'));
            if is_file {
                draft.notes.push(format!("{step}: put a file {name} next to the scenario"));
                parts.push((name.clone(), Part { content: Content::File(name), kind, file_name: None }));
                continue;
            }
            let values = match value {
                // Each item is a part.
                Json::List(items) if kind.is_none() => items,
                one => vec![one],
            };
            for value in values {
                let is_composite = matches!(value, Json::Map(_) | Json::List(_));
                let kind = kind.clone().or_else(|| is_composite.then(|| "application/json".to_owned()));
                let content = Content::Text(as_text(&value));
                parts.push((name.clone(), Part { content, kind, file_name: None }));
            }
        }
        DraftBody::Parts(draft.secrets.parts(parts))
    }

    /// The example of a media type, its own or one made after its schema.
    fn media(&mut self, media: &'d Node) -> Json {
        if let Some(example) = media.get("example").or_else(|| first_example(media)) {
            return Json::of_node(example);
        }
        media.get("schema").map_or(Json::Word("null".to_owned()), |s| self.example(s, 0))
    }
}

/// A form, URL-encoded: each value in the style that is given for it; else several of a list one by one, and what has
/// names inside as JSON.
fn form_text(value: &Json, encoding: Option<&Node>) -> String {
    let Json::Map(pairs) = value else { return String::new() };
    let written = pairs.iter().map(|(name, value)| {
        let own = encoding.and_then(|e| e.get(name));
        let given = |key: &str| own.and_then(|own| own.get(key));
        let is_styled = ["style", "explode", "allowReserved"].iter().any(|key| given(key).is_some());
        let is_reserved = given("allowReserved").and_then(Node::as_bool) == Some(true);
        let style = given("style").and_then(Node::as_str).unwrap_or("form").to_owned();
        let style = Style {
            explode: given("explode").and_then(Node::as_bool).unwrap_or(style == "form"),
            name: style,
            encoding: if is_reserved { Encoding::Reserved } else { Encoding::Form },
        };
        match value {
            Json::Map(_) if !is_styled => style.write(name, &Json::Text(value.to_string())),
            value => style.write(name, value),
        }
    });
    written.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("&")
}

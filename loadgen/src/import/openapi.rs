//! OpenAPI 3 documents, in YAML or JSON. Invariant: every problem of the document that keeps an operation from
//! being called is reported with its place, all of them at once.

mod example;
mod resolve;
mod security;

use assay_yaml::{Cx, Document, Node};

use self::resolve::Resolver;
use super::{
    ImportError,
    draft::{Draft, DraftBody, DraftStep, Part, literal, slug},
};

const METHODS: [&str; 7] = ["get", "post", "put", "patch", "delete", "head", "options"];
/// Headers that parameters cannot set, by the specification.
const NOT_PARAMETERS: [&str; 3] = ["accept", "content-type", "authorization"];

/// The scenario of a document.
pub(super) fn draft(file: &str, text: &str) -> Result<Draft, ImportError> {
    let document = Document::parse(file, text).map_err(|e| ImportError(e.to_string()))?;
    let mut reader = Reader { cx: Cx::new(&document), root: document.root() };
    let draft = reader.document(file);
    reader.cx.finish().map_err(|e| ImportError(e.to_string()))?;
    match draft {
        Some(draft) if !draft.steps.is_empty() => Ok(draft),
        _ => Err(ImportError(format!("{file}: the document has no operation"))),
    }
}

struct Reader<'d> {
    cx: Cx<'d>,
    root: &'d Node,
}

/// A parameter of an operation.
#[derive(Clone)]
struct Parameter {
    name: String,
    place: String,
    /// Several of an array that is written as `a=1&a=2`.
    values: Vec<String>,
}

impl<'d> Reader<'d> {
    fn document(&mut self, file: &str) -> Option<Draft> {
        if let Some(old) = self.root.get("swagger") {
            self.cx.error(old, "expected OpenAPI 3, found Swagger 2; convert the document first");
            return None;
        }
        let version = self.root.get("openapi").filter(|v| v.as_str().is_some_and(|v| v.starts_with("3.")));
        if version.is_none() {
            let at = self.root.get("openapi").unwrap_or(self.root);
            self.cx.error(at, "expected an OpenAPI 3 document, with openapi: 3.0.3 or later at its top");
            return None;
        }
        let title = self.root.get("info").and_then(|i| i.get("title")).and_then(Node::as_str);
        let mut draft = Draft {
            name: slug(title.unwrap_or_default()),
            origin: format!("the OpenAPI document {file}"),
            ..Draft::default()
        };
        let prefix = self.server(&mut draft);
        let Some(paths) = self.root.get("paths").and_then(Node::as_map) else {
            self.cx.error(self.root, "the document lacks paths, a map of paths to operations");
            return None;
        };
        for (key, item) in paths {
            let own = key.as_str().unwrap_or_default();
            if own.contains("{{") {
                self.cx.error(
                    key,
                    format!("the path {own:?} has two braces in a row; a parameter stands in one pair"),
                );
                continue;
            }
            // Extensions stand among the paths.
            if own.starts_with("x-") {
                continue;
            }
            if !own.starts_with('/') {
                self.cx.error(key, format!("the path {own:?} does not begin with a slash"));
                continue;
            }
            let path = format!("{prefix}{own}");
            let Some(item) = self.follow(item) else { continue };
            let shared = self.parameters(item.get("parameters"));
            for method in METHODS {
                if let Some(operation) = item.get(method) {
                    self.operation(&mut draft, method, &path, &shared, operation);
                }
            }
        }
        draft.is_choice = draft.steps.len() > 1;
        if draft.is_choice {
            draft.notes.push(
                "An iteration does one of the operations, all equally often: set the weights, and take out what must not be called"
                    .to_owned(),
            );
        }
        Some(draft)
    }

    /// The target, where the document names one; gives what stands before every path.
    fn server(&mut self, draft: &mut Draft) -> String {
        let Some(server) = self.root.get("servers").and_then(Node::as_seq).and_then(|s| s.first()) else {
            return String::new();
        };
        let mut url = server.get("url").and_then(Node::as_str).unwrap_or("/").to_owned();
        for (name, variable) in server.get("variables").and_then(Node::as_map).unwrap_or_default() {
            let value = variable.get("default").and_then(Node::as_str).unwrap_or_default();
            url = url.replace(&format!("{{{}}}", name.as_str().unwrap_or_default()), value);
        }
        match url::Url::parse(&url) {
            Ok(parsed) => match crate::client::origin::Origin::of(&parsed) {
                Ok(origin) => {
                    draft.target = Some(origin.to_string());
                    literal(parsed.path().trim_end_matches('/'))
                }
                Err(e) => {
                    self.cx.error(server, format!("the server {url:?}: {e}"));
                    String::new()
                }
            },
            // A path: relative to wherever the document is served.
            Err(_) if url.starts_with('/') => literal(url.trim_end_matches('/')),
            Err(e) => {
                self.cx.error(server, format!("the server {url:?} is neither a URL nor a path: {e}"));
                String::new()
            }
        }
    }

    fn operation(
        &mut self,
        draft: &mut Draft,
        method: &str,
        path: &str,
        shared: &[Parameter],
        operation: &'d Node,
    ) {
        let id = operation.get("operationId").and_then(Node::as_str).map(str::to_owned);
        let upper = method.to_ascii_uppercase();
        let mut step = DraftStep {
            name: id.unwrap_or_else(|| format!("{upper} {path}")),
            method: upper,
            path: path.to_owned(),
            ..DraftStep::default()
        };
        let mut parameters = shared.to_vec();
        for parameter in self.parameters(operation.get("parameters")) {
            // The operation's own stands for one of the path's.
            parameters.retain(|p| (&p.name, &p.place) != (&parameter.name, &parameter.place));
            parameters.push(parameter);
        }
        for p in parameters {
            place(draft, &mut step, p);
        }
        if let Some(open) = step.path.find('{').filter(|at| !step.path[*at..].starts_with("{{"))
            && !self.cx.failed()
        {
            let what = format!("the path {path:?} has a part {} without a parameter", &step.path[open..]);
            self.cx.error(operation, what);
        }
        self.secure(draft, &mut step, operation);
        self.body(draft, &mut step, operation);
        self.responses(&mut step, operation);
        draft.push(step);
    }

    fn parameters(&mut self, list: Option<&'d Node>) -> Vec<Parameter> {
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
        let own = node.get("example").or_else(|| first_example(node));
        let content =
            node.get("content").and_then(Node::as_map).and_then(|c| c.first()).map(|(_, media)| media);
        let schema = node.get("schema").or_else(|| content?.get("schema"));
        let value = match (own, schema) {
            (Some(example), _) => example.to_json(),
            (None, Some(schema)) => {
                let given = self.given(schema);
                if !is_required && given.is_none() {
                    return None;
                }
                given.unwrap_or_else(|| self.example(schema, 0))
            }
            (None, None) if is_required => serde_json::Value::from("1"),
            (None, None) => return None,
        };
        // The default of a query, and of no other place.
        let is_exploded = place == "query"
            && node.get("explode").and_then(Node::as_bool) != Some(false)
            && node.get("style").and_then(Node::as_str).is_none_or(|style| style == "form");
        let values = match value.as_array().filter(|items| is_exploded && items.len() > 1) {
            Some(items) => items.iter().map(as_text).collect(),
            None => vec![as_text(&value)],
        };
        Some(Parameter { name, place, values })
    }

    fn body(&mut self, draft: &mut Draft, step: &mut DraftStep, operation: &'d Node) {
        let Some(body) = operation.get("requestBody").and_then(|b| self.follow(b)) else { return };
        let kinds = body.get("content").and_then(Node::as_map).unwrap_or_default();
        let named = |wanted: &dyn Fn(&str) -> bool| {
            kinds
                .iter()
                .find(|(k, _)| wanted(k.as_str().unwrap_or_default().split(';').next().unwrap_or_default()))
        };
        let json =
            named(&|k| k == "application/json" || k == "*/*").or_else(|| named(&|k| k.ends_with("+json")));
        let form = named(&|k| k == "application/x-www-form-urlencoded");
        let parts = named(&|k| k == "multipart/form-data");
        if let Some((kind, media)) = json {
            let kind = kind.as_str().unwrap_or_default();
            if kind.ends_with("+json") {
                step.headers.push(("content-type".to_owned(), kind.to_owned()));
            }
            let value = self.media(media);
            step.body = DraftBody::Json(draft.secrets.json("", value));
        } else if let Some((_, media)) = form {
            let value = self.media(media);
            let pairs =
                value.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), as_text(v))).collect();
            step.body = DraftBody::Form(draft.secrets.pairs(pairs));
        } else if let Some((_, media)) = parts {
            step.body = self.multipart(draft, &step.name, media);
        } else if let Some((kind, media)) = kinds.first() {
            let kind = kind.as_str().unwrap_or_default().to_owned();
            if kind.starts_with("text/") {
                let value = self.media(media);
                step.body = DraftBody::Text(draft.secrets.free(&as_text(&value)));
                step.headers.push(("content-type".to_owned(), kind));
            } else {
                draft.notes.push(format!("{}: its body is {kind}; write it by hand", step.name));
            }
        }
    }

    /// A form of parts; what is binary is a file that the user has to put there.
    fn multipart(&mut self, draft: &mut Draft, step: &str, media: &'d Node) -> DraftBody {
        let value = self.media(media);
        let schema = media.get("schema").and_then(|s| self.follow(s));
        let mut parts = Vec::new();
        for (name, value) in value.as_object().into_iter().flatten() {
            let property = schema.and_then(|s| s.get("properties")?.get(name)).and_then(|p| self.follow(p));
            let items = property.and_then(|p| p.get("items")).and_then(|p| self.follow(p));
            let is_file = [property, items].into_iter().flatten().any(|p| {
                p.get("format").and_then(Node::as_str) == Some("binary")
                    || p.get("contentMediaType").is_some()
            });
            let part = if is_file {
                draft.notes.push(format!("{step}: put a file {name} next to the scenario"));
                Part::File { path: name.clone(), kind: None }
            } else {
                Part::Text(as_text(value))
            };
            parts.push((name.clone(), part));
        }
        draft.parts(step, parts)
    }

    /// The example of a media type, its own or one made after its schema.
    fn media(&mut self, media: &'d Node) -> serde_json::Value {
        if let Some(example) = media.get("example").or_else(|| first_example(media)) {
            return example.to_json();
        }
        media.get("schema").map_or(serde_json::Value::Null, |s| self.example(s, 0))
    }

    /// The status that the document promises, and whether the answer is a stream of events.
    fn responses(&mut self, step: &mut DraftStep, operation: &'d Node) {
        let responses = operation.get("responses").and_then(Node::as_map).unwrap_or_default();
        let good =
            |(key, _): &&(Node, Node)| key.as_str().is_some_and(|k| k.starts_with('2') && k.len() == 3);
        let mut found: Vec<_> = responses.iter().filter(good).collect();
        found.sort_by_key(|(key, _)| key.as_str().unwrap_or_default().to_ascii_lowercase());
        let Some((key, response)) = found.first() else { return };
        step.status = key.as_str().map(str::to_ascii_lowercase);
        let content = self.follow(response).and_then(|r| r.get("content")).and_then(Node::as_map);
        step.is_stream = content.is_some_and(|c| {
            !c.is_empty()
                && c.iter().all(|(k, _)| k.as_str().is_some_and(|k| k.starts_with("text/event-stream")))
        });
    }

    /// The node itself, or what it refers to.
    fn follow(&mut self, node: &'d Node) -> Option<&'d Node> {
        match (Resolver { root: self.root }).follow(node) {
            Ok(found) => Some(found),
            Err((at, message)) => {
                self.cx.error(at, message);
                None
            }
        }
    }
}

/// Puts a parameter where it belongs.
fn place(draft: &mut Draft, step: &mut DraftStep, p: Parameter) {
    let own = p.values.join(",");
    match p.place.as_str() {
        "path" => {
            let value: String = url::form_urlencoded::byte_serialize(own.as_bytes()).collect();
            let value = value.replace('+', "%20");
            let value = draft.secrets.text(&p.name, &value);
            step.path = step.path.replace(&format!("{{{}}}", p.name), &value);
        }
        "query" => draft.query(step, p.values.into_iter().map(|value| (p.name.clone(), value)).collect()),
        "header" if !NOT_PARAMETERS.contains(&p.name.to_ascii_lowercase().as_str()) => {
            let text = draft.secrets.text(&p.name, &own);
            step.headers.push((p.name.to_ascii_lowercase(), text));
        }
        "cookie" => security::cookie(draft, step, &p.name, &own),
        _ => {}
    }
}

fn first_example(node: &Node) -> Option<&Node> {
    let examples = node.get("examples")?;
    match examples.as_map() {
        Some(named) => named.first()?.1.get("value"),
        None => examples.as_seq()?.first(),
    }
}

fn as_text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(items) => items.iter().map(as_text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

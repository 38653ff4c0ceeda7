//! OpenAPI 3 documents, in YAML or JSON. Invariant: every problem of the document that keeps an operation from
//! being called is reported with its place, all of them at once.

mod body;
mod example;
mod parameter;
mod resolve;
mod security;
mod style;

use assay_yaml::{Cx, Document, Node};

use self::{
    parameter::{Parameter, place},
    resolve::Resolver,
};
use super::{
    ImportError,
    draft::{Draft, DraftStep, literal, slug},
};

const METHODS: [&str; 7] = ["get", "post", "put", "patch", "delete", "head", "options"];

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

/// Where a document's operations are.
struct Server {
    origin: Option<String>,
    /// What stands before every path.
    path: String,
}

struct Reader<'d> {
    cx: Cx<'d>,
    root: &'d Node,
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
            let Some(item) = self.follow(item) else { continue };
            let shared = self.parameters(item.get("parameters"));
            for method in METHODS {
                if let Some(operation) = item.get(method) {
                    let prefix =
                        self.own_server(&mut draft, [operation, item]).unwrap_or_else(|| prefix.clone());
                    let path = format!("{prefix}{own}");
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
        let Some(Server { origin, path }) = self.first_server(self.root) else { return String::new() };
        draft.target = origin;
        path
    }

    /// The first of the servers of a document, a path or an operation.
    fn first_server(&mut self, node: &'d Node) -> Option<Server> {
        let server = node.get("servers").and_then(Node::as_seq).and_then(|s| s.first())?;
        let mut url = server.get("url").and_then(Node::as_str).unwrap_or("/").to_owned();
        for (name, variable) in server.get("variables").and_then(Node::as_map).unwrap_or_default() {
            let value = variable.get("default").and_then(Node::as_str).unwrap_or_default();
            url = url.replace(&format!("{{{}}}", name.as_str().unwrap_or_default()), value);
        }
        let path = |text: &str| literal(text.trim_end_matches('/'));
        match url::Url::parse(&url) {
            Ok(parsed) => match crate::client::origin::Origin::of(&parsed) {
                Ok(origin) => Some(Server { origin: Some(origin.to_string()), path: path(parsed.path()) }),
                Err(e) => {
                    self.cx.error(server, format!("the server {url:?}: {e}"));
                    None
                }
            },
            // A path: relative to wherever the document is served.
            Err(_) if url.starts_with('/') => Some(Server { origin: None, path: path(&url) }),
            Err(e) => {
                self.cx.error(server, format!("the server {url:?} is neither a URL nor a path: {e}"));
                None
            }
        }
    }

    /// What stands before a path whose operation, or itself, has servers of its own.
    fn own_server(&mut self, draft: &mut Draft, nodes: [&'d Node; 2]) -> Option<String> {
        let own = nodes.into_iter().find(|node| node.get("servers").is_some())?;
        let Server { origin, path } = self.first_server(own)?;
        match origin {
            Some(origin) if draft.target.is_none() => {
                draft.target = Some(origin);
                Some(path)
            }
            Some(origin) if draft.target.as_ref() != Some(&origin) => Some(format!("{origin}{path}")),
            _ => Some(path),
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
        place(draft, &mut step, &parameters);
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

fn first_example(node: &Node) -> Option<&Node> {
    let examples = node.get("examples")?;
    match examples.as_map() {
        Some(named) => named.first()?.1.get("value"),
        None => examples.as_seq()?.first(),
    }
}

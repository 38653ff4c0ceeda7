//! From YAML to a [`Scenario`]. Invariant: reading continues after a problem, so that all of them are reported
//! together.

mod body;
mod capacity;
mod flow;
mod multipart;
mod names;
mod phase;
mod response;
mod step;
mod trace;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use assay_yaml::{Cx, Diagnostics, Document, MapReader, Node};

use self::names::Names;
pub(crate) use self::names::TRACE;
use crate::client::{
    protocol::Version,
    proxy::Proxy,
    route::{self, Route},
    tls::TlsFiles,
};

use super::{
    CheckName, DataSet, Flow, Mode, OnFailure, Phase, Scenario, StepName, Text, UserKind, shape,
    template::functions, tokenizer::Tokenizer, trace::Trace,
};

/// How long a request may take where the scenario does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// The files that a scenario names.
pub(super) struct Files<'f> {
    /// Reads one.
    pub(super) read: &'f dyn Fn(&str) -> Result<Vec<u8>, String>,
    /// Where one is that is too large to be held.
    pub(super) large: &'f dyn Fn(&str) -> Option<PathBuf>,
    /// What their names are relative to.
    pub(super) folder: &'f Path,
    /// The names of variables that the run is given in addition to the environment's.
    pub(super) variables: &'f [String],
}

impl<'f> Files<'f> {
    /// Files that are in memory.
    pub(super) fn in_memory(
        read: &'f dyn Fn(&str) -> Result<Vec<u8>, String>,
        variables: &'f [String],
    ) -> Self {
        Self { read, large: &|_| None, folder: Path::new(""), variables }
    }
}

/// What parsing gathers on the way.
pub(super) struct Parser<'d> {
    pub(super) cx: Cx<'d>,
    names: Names,
    steps: Vec<StepName>,
    /// The flows' names, once they are read.
    flows: Vec<String>,
    checks: Vec<CheckName>,
    timeout: Duration,
    on_failure: OnFailure,
    headers: Vec<(String, &'d Node)>,
    /// What was read already, for phases that modes change.
    traces: Vec<Arc<Trace>>,
    files: &'d Files<'d>,
}

/// Reads a scenario, and the files that it names.
pub(super) fn scenario<'d>(document: &'d Document, files: &'d Files<'d>) -> Result<Scenario, Diagnostics> {
    let mut p = Parser {
        cx: Cx::new(document),
        names: Names::new(files.variables),
        steps: Vec::new(),
        flows: Vec::new(),
        checks: Vec::new(),
        timeout: DEFAULT_TIMEOUT,
        on_failure: OnFailure::EndIteration,
        headers: Vec::new(),
        traces: Vec::new(),
        files,
    };
    let Some(map) = p.cx.read(document.root(), &shape::SCENARIO) else {
        return Err(p.cx.finish().err().unwrap_or_default());
    };
    let scenario = p.scenario(map);
    p.names.resolve(&mut p.cx);
    p.cx.finish()?;
    scenario.ok_or_else(|| Diagnostics::file(document.file(), "the scenario is incomplete"))
}

impl<'d> Parser<'d> {
    fn scenario(&mut self, mut map: MapReader<'d>) -> Option<Scenario> {
        let name = map.require(&mut self.cx, "scenario").and_then(|n| self.cx.string(n));
        let target = map.get("target").and_then(|n| self.target(n));
        let health = map.get("health").and_then(|n| self.cx.string(n));
        if let Some(timeout) = map.get("timeout").and_then(|n| self.duration(n)) {
            self.timeout = timeout;
        }
        if let Some(on_failure) = map.get("on_failure").and_then(|n| self.on_failure(n)) {
            self.on_failure = on_failure;
        }
        if let Some(headers) = map.get("headers") {
            self.headers = self.pairs(headers, "the headers of all requests");
        }
        let data = map.get("data").map(|n| self.data(n)).unwrap_or_default();
        let tokenizer = map.get("tokenizer").and_then(|n| self.tokenizer(n));
        // A kind of users and a phase may name one.
        let named = map.get("flows").map(|n| self.pairs(n, "the flows")).unwrap_or_default();
        self.flows =
            std::iter::once(String::new()).chain(named.iter().map(|(name, _)| name.clone())).collect();
        let users = map.get("users").map(|n| self.users(n)).unwrap_or_default();
        let renew_on = map.get("renew_on").map_or_else(|| vec![401], |n| self.statuses_list(n));
        let tls = map.get("tls").map(|n| self.tls(n)).unwrap_or_default();
        let routes = map.get("resolve").map(|n| self.routes(n)).unwrap_or_default();
        let proxy = map.get("proxy").and_then(|n| self.proxy(n));
        let version = map.get("http").map(|n| self.version(n)).unwrap_or_default();
        let before_run = map.get("before_run").map(|n| self.items(n, "before_run")).unwrap_or_default();
        let after_run = map.get("after_run").map(|n| self.items(n, "after_run")).unwrap_or_default();
        let first = self.steps.len();
        let setup = map.get("setup").map(|n| self.items(n, "setup")).unwrap_or_default();
        let setup_steps = first..self.steps.len();
        let flow_node = map.require(&mut self.cx, "flow");
        let mut flows = Vec::new();
        flows.extend(flow_node.map(|n| self.flow(String::new(), n)));
        if let Some(node) = flow_node
            && !self.cx.failed()
            && flows.iter().all(|flow| flow.steps.is_empty())
        {
            self.cx.error(node, "the flow has no request; add for example - get: /");
        }
        for (name, node) in named {
            let flow = self.flow(name, node);
            flows.push(flow);
        }
        let phases_node = map.require(&mut self.cx, "phases");
        let phases = phases_node.map(|n| self.phases(n)).unwrap_or_default();
        let modes = map.get("modes").map(|n| self.modes(n, phases_node, &phases)).unwrap_or_default();
        map.finish(&mut self.cx);
        Some(Scenario {
            name: name?,
            target,
            health,
            users: if users.is_empty() { vec![everyone()] } else { users },
            phases,
            modes,
            data,
            before_run,
            after_run,
            setup,
            flows,
            setup_steps,
            steps: std::mem::take(&mut self.steps),
            checks: std::mem::take(&mut self.checks),
            renew_on,
            tls,
            version,
            proxy,
            tokenizer,
            routes,
        })
    }

    fn flow(&mut self, name: String, node: &'d Node) -> Flow {
        let first = self.steps.len();
        let items = self.items(node, "flow");
        Flow { name, items, steps: first..self.steps.len() }
    }

    fn target(&mut self, node: &Node) -> Option<String> {
        let text = self.cx.string(node)?;
        let checked = match route::socket(&text) {
            Some(socket) => socket.map(drop).map_err(|e| e.to_string()),
            None => check_url(&text),
        };
        if let Err(e) = checked {
            self.cx.error(node, format!("the target {text:?} is not a URL to load: {e}"));
        }
        Some(text)
    }

    fn routes(&mut self, node: &'d Node) -> Vec<Route> {
        let single = std::slice::from_ref(node);
        let mut routes = Vec::new();
        for node in node.as_seq().unwrap_or(single) {
            let Some(text) = self.cx.string(node) else { continue };
            match text.parse() {
                Ok(route) => routes.push(route),
                Err(e) => self.cx.error(node, e),
            }
        }
        routes
    }

    fn data(&mut self, node: &'d Node) -> Vec<Arc<DataSet>> {
        let mut sets = Vec::new();
        for (name, file_node) in self.pairs(node, "the data files") {
            self.refuse_taken(file_node, &name);
            let Some(file) = self.cx.string(file_node) else { continue };
            let parsed = match (self.files.large)(&file) {
                Some(path) => DataSet::large(&name, path),
                None => match (self.files.read)(&file) {
                    Ok(text) => DataSet::parse(&name, &file, &text),
                    Err(e) => Err((None, format!("cannot be read: {e}"))),
                },
            };
            match parsed {
                Ok(set) => {
                    self.names.define_data(&name, &set.columns);
                    sets.push(Arc::new(set));
                }
                Err((line, e)) => {
                    self.names.define(&name);
                    let line = line.map(|l| format!(", line {l}")).unwrap_or_default();
                    self.cx.error(file_node, format!("{file}{line}: {e}"));
                }
            }
        }
        sets
    }

    fn tokenizer(&mut self, node: &Node) -> Option<Arc<Tokenizer>> {
        let file = self.cx.string(node)?;
        let read = (self.files.read)(&file).map_err(|e| format!("cannot be read: {e}"));
        match read.and_then(|bytes| Tokenizer::parse(&bytes, &functions::WORDS)) {
            Ok(tokenizer) => Some(Arc::new(tokenizer)),
            Err(e) => {
                self.cx.error(node, format!("{file}: {e}"));
                None
            }
        }
    }

    fn users(&mut self, node: &'d Node) -> Vec<UserKind> {
        let Some(items) = self.cx.seq(node, "kinds of users") else { return Vec::new() };
        items.iter().filter_map(|n| self.user(n)).collect()
    }

    fn user(&mut self, node: &'d Node) -> Option<UserKind> {
        let mut map = self.cx.read(node, &shape::USER)?;
        let name = map.require(&mut self.cx, "name").and_then(|n| self.cx.string(n));
        let weight = map.get("weight").and_then(|n| {
            let weight = self.cx.integer::<u32>(n);
            if weight == Some(0) {
                self.cx.error(n, "a weight is at least 1; leave out the kind of users that nobody is");
            }
            weight
        });
        let flow = map.get("flow").and_then(|n| self.flow_named(n)).unwrap_or_default();
        let vars = match map.get("vars") {
            Some(n) => self.texts(n, "the variables of a kind of users"),
            None => Vec::new(),
        };
        for (var, _) in &vars {
            self.define(node, var);
        }
        map.finish(&mut self.cx);
        Some(UserKind { name: name?, weight: weight.unwrap_or(1), flow, vars })
    }

    fn proxy(&mut self, node: &Node) -> Option<Proxy> {
        let text = self.cx.string(node)?;
        Proxy::parse(&text).map_err(|e| self.cx.error(node, e)).ok()
    }

    fn version(&mut self, node: &Node) -> Version {
        match node.as_str() {
            Some("1" | "1.1") => Version::Http1,
            Some("2") => Version::Http2,
            _ => {
                self.cx.error(
                    node,
                    format!("expected the version of HTTP, 1.1 or 2, found {}", node.describe()),
                );
                Version::default()
            }
        }
    }

    fn tls(&mut self, node: &'d Node) -> TlsFiles {
        let folder = self.files.folder;
        let Some(mut map) = self.cx.read(node, &shape::TLS) else { return TlsFiles::default() };
        let mut path = |p: &mut Self, key| {
            let node: Option<&Node> = map.get(key);
            node.and_then(|n| p.cx.string(n)).map(|f| folder.join(f))
        };
        let (ca, cert, key) = (path(self, "ca"), path(self, "cert"), path(self, "key"));
        if cert.is_some() != key.is_some() {
            self.cx.error(node, "a client certificate needs both keys, cert and key");
        }
        let insecure = map.get("insecure").and_then(|n| self.cx.boolean(n)).unwrap_or(false);
        if let Some(n) = node.get("ca").filter(|_| insecure) {
            self.cx
                .error(n, "insecure takes any certificate, so that ca has no effect; leave out one of them");
        }
        map.finish(&mut self.cx);
        TlsFiles { insecure, ca, client: cert.zip(key) }
    }

    fn modes(&mut self, node: &'d Node, phases_node: Option<&'d Node>, phases: &[Phase]) -> Vec<Mode> {
        self.pairs(node, "the modes")
            .into_iter()
            .filter_map(|(name, list)| {
                if list.as_map().is_some() {
                    return self.capacity_mode(name, list, phases_node, phases);
                }
                let items = self.cx.seq(list, "phases")?;
                let phases = items.iter().filter_map(|n| self.mode_phase(n, phases_node, phases)).collect();
                Some(Mode { name, phases, capacity: None })
            })
            .collect()
    }

    /// The pairs of a map whose keys are the user's own.
    fn pairs(&mut self, node: &'d Node, what: &'static str) -> Vec<(String, &'d Node)> {
        if self.cx.map(node, what).is_none() {
            return Vec::new();
        }
        let pairs = node.as_map().unwrap_or_default();
        pairs.iter().filter_map(|(k, v)| Some((self.cx.string(k)?, v))).collect()
    }

    /// A map of the user's own keys to templates.
    fn texts(&mut self, node: &'d Node, what: &'static str) -> Vec<(String, Text)> {
        let pairs = self.pairs(node, what);
        pairs.into_iter().filter_map(|(name, n)| Some((name, self.text(n)?))).collect()
    }

    /// A template.
    fn text(&mut self, node: &Node) -> Option<Text> {
        let source = self.cx.string(node)?;
        match Text::parse(&source) {
            Ok(text) => {
                self.names.used_in(&mut self.cx, node, &text);
                Some(text)
            }
            Err((at, message)) => {
                self.cx.error_in(node, at, message);
                None
            }
        }
    }

    /// A name that the scenario gives something; one that is taken already would hide it.
    fn define(&mut self, node: &Node, name: &str) {
        self.refuse_taken(node, name);
        self.names.define(name);
    }

    fn refuse_taken(&mut self, node: &Node, name: &str) {
        if let Some(taken) = self.names.taken(name) {
            self.cx.error(node, format!("the name {name:?} is {taken}; choose another"));
        }
    }

    fn duration(&mut self, node: &Node) -> Option<Duration> {
        let ms = self.cx.duration_ms(node)?;
        Some(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
    }

    fn statuses_list(&mut self, node: &'d Node) -> Vec<u16> {
        let single = std::slice::from_ref(node);
        let items = node.as_seq().unwrap_or(single);
        items.iter().filter_map(|n| self.cx.integer::<u16>(n)).collect()
    }
}

/// The users of a scenario that names none.
fn everyone() -> UserKind {
    UserKind { name: "user".to_owned(), weight: 1, flow: 0, vars: Vec::new() }
}

/// Whether a text is a URL that load can go to.
pub(crate) fn check_url(text: &str) -> Result<(), String> {
    let url = url::Url::parse(text).map_err(|e| format!("{e}; write for example http://127.0.0.1:8000"))?;
    crate::client::origin::Origin::of(&url).map(drop).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests;

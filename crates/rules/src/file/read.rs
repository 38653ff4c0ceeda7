//! From the documents of a file to groups of rules.
//!
//! Invariant: a file with any problem yields no group, and all its problems.

use std::sync::Arc;

use assay_yaml::{Cx, Diagnostic, Diagnostics, Document, MapReader, Node};

use super::{Alerting, Group, IgnoredKey, Rule, RuleKind, Source, check, foreign, object, title};
use crate::template::Template;

/// What a rule file holds.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) groups: Vec<Group>,
    pub(super) warnings: Vec<String>,
    /// Keys of the file itself that are ignored.
    pub(super) ignored: Vec<IgnoredKey>,
}

/// The groups of all documents of a rule file.
pub(super) fn file(documents: Vec<Document>) -> Result<File, Diagnostics> {
    let mut out = File::default();
    let mut problems = Diagnostics::default();
    // Where the groups of one name space begin: an object's own, or those of all plain documents.
    let mut plain: Vec<String> = Vec::new();
    let (mut seen, mut others) = (0, Vec::new());
    for document in documents.into_iter().map(Arc::new) {
        let mut cx = Cx::new(&document);
        let contents = object::contents(&mut cx, document.root());
        let place = |node: &Node| format!("{}:{}:{}", document.file(), node.position.line, node.position.col);
        if contents.is_plain && seen > 0 {
            out.warnings.push(format!(
                "{}: Prometheus reads the first document of a rule file only, and not what begins here",
                place(document.root())
            ));
        }
        seen += usize::from(contents.is_plain || !contents.groups.is_empty());
        others.extend(
            contents
                .others
                .iter()
                .map(|(node, kind)| (document.clone(), node.position, place(node), (*kind).to_owned())),
        );
        out.ignored.extend(contents.ignored);
        for list in contents.groups {
            let mut own = Vec::new();
            let names = if contents.is_plain { &mut plain } else { &mut own };
            for node in cx.seq(list, "groups").unwrap_or_default() {
                out.groups.extend(group(&mut cx, &document, node, names));
            }
        }
        if let Err(found) = cx.finish() {
            problems.extend(found);
        }
    }
    for (document, position, place, kind) in others {
        if seen > 0 {
            out.warnings.push(format!("{place}: an object of kind {kind} holds no rules and is left out"));
        } else if problems.is_empty() {
            let message = format!(
                "no document of this file holds rules, but an object of kind {kind}; expected groups, or objects of kind \
                 PrometheusRule"
            );
            problems.push(Diagnostic { file: document.file().to_owned(), position: Some(position), message });
        }
    }
    if problems.is_empty() { Ok(out) } else { Err(problems) }
}

fn group(cx: &mut Cx<'_>, document: &Arc<Document>, node: &Node, before: &mut Vec<String>) -> Option<Group> {
    let mut map = cx.map(node, "a rule group")?;
    let name_node = map.get("name");
    let name = name_node.and_then(|n| cx.string(n)).unwrap_or_default();
    if name.is_empty() {
        cx.error(name_node.unwrap_or(node), "a group's name must not be empty");
    } else if before.contains(&name) {
        cx.error(name_node.unwrap_or(node), format!("the group name {name:?} is repeated in this file"));
    }
    let interval_ms = map.get("interval").and_then(|n| cx.duration_ms(n)).filter(|ms| *ms > 0);
    before.push(name.clone());
    // Mimir's name for it, from before Prometheus had one.
    let offsets = [map.get("query_offset"), map.get("evaluation_delay")];
    let query_offset_ms = offsets.into_iter().flatten().next().and_then(|n| cx.duration_ms(n));
    let limit = map.get("limit").and_then(|n| cx.integer(n)).unwrap_or(0);
    let prefix = format!("group {name:?}");
    let labels = pairs(cx, map.get("labels"), "the labels of a group", &prefix);
    check::label_names(cx, &labels, &prefix);
    foreign::language(cx, &mut map, &prefix);
    let ignored = foreign::ignored(&mut map, foreign::GROUP);
    let group_name: Arc<str> = name.as_str().into();
    let mut rules = Vec::new();
    for (i, rule_node) in
        map.get("rules").and_then(|n| cx.seq(n, "rules")).unwrap_or_default().iter().enumerate()
    {
        let reader = RuleReader { document, group: &group_name, group_labels: &labels, number: i + 1 };
        rules.extend(reader.rule(cx, rule_node));
    }
    map.finish(cx);
    let file = document.file().into();
    Some(Group { file, name, interval_ms, query_offset_ms, limit, rules, position: node.position, ignored })
}

/// A map's pair: its key, its value, and the nodes of both.
pub(super) struct Pair<'n> {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) key_node: &'n Node,
    pub(super) value_node: &'n Node,
}

/// A map of texts; a null value is the empty text, as in Prometheus.
fn pairs<'n>(cx: &mut Cx<'_>, node: Option<&'n Node>, what: &'static str, prefix: &str) -> Vec<Pair<'n>> {
    let Some(node) = node else { return Vec::new() };
    let Some(list) = node.as_map() else {
        cx.error(node, format!("{prefix}: expected {what} as a map of keys, found {}", node.describe()));
        return Vec::new();
    };
    let mut out = Vec::new();
    for (key_node, value_node) in list {
        let Some(name) = key_node.as_str() else {
            cx.error(key_node, format!("{prefix}: expected a name, found {}", key_node.describe()));
            continue;
        };
        let value = match value_node.as_str() {
            _ if value_node.is_null() => String::new(),
            Some(text) => text.to_owned(),
            None => {
                cx.error(
                    value_node,
                    format!("{prefix}: {name}: expected a text, found {}", value_node.describe()),
                );
                continue;
            }
        };
        out.push(Pair { name: name.to_owned(), value, key_node, value_node });
    }
    out.sort_by(|a, b| a.name.cmp(&b.name));
    out
}

struct RuleReader<'a> {
    document: &'a Arc<Document>,
    group: &'a Arc<str>,
    group_labels: &'a [Pair<'a>],
    number: usize,
}

impl RuleReader<'_> {
    fn rule(&self, cx: &mut Cx<'_>, node: &Node) -> Option<Rule> {
        let mut map = cx.map(node, "a rule")?;
        let (record, alert) = (map.get("record"), map.get("alert"));
        let text = |n: Option<&Node>| n.and_then(Node::as_str).unwrap_or_default().to_owned();
        let is_alert = !text(alert).is_empty();
        let name = if is_alert { text(alert) } else { text(record) };
        let prefix = title(self.group, self.number, &name);
        match (record.filter(|n| n.as_str() != Some("")), alert.filter(|n| n.as_str() != Some(""))) {
            (Some(_), Some(alert)) => {
                cx.error(alert, format!("{prefix}: only one of 'record' and 'alert' must be set"));
            }
            (None, None) => cx.error(node, format!("{prefix}: one of 'record' or 'alert' must be set")),
            (Some(n), None) | (None, Some(n)) if n.as_str().is_none() => {
                cx.error(n, format!("{prefix}: expected a name, found {}", n.describe()));
            }
            _ => {}
        }
        let expr_node = map.get("expr");
        let expr = check::expression(cx, expr_node, node, &prefix);
        let durations = Durations::read(cx, &mut map, &prefix);
        let labels = pairs(cx, map.get("labels"), "the labels of a rule", &prefix);
        check::label_names(cx, &labels, &prefix);
        let annotations = pairs(cx, map.get("annotations"), "the annotations of a rule", &prefix);
        let annotations_node = map.get("annotations");
        let ignored = foreign::ignored(&mut map, foreign::RULE);
        map.finish(cx);
        let merged = self.merge(&labels);
        let kind = if is_alert {
            let mut templates = |pairs: &[Pair<'_>], what| check::templates(cx, &name, pairs, what, &prefix);
            // Group labels are expanded too, but their mistakes are reported once, with the group.
            templates(&labels, "label");
            let annotation_templates = templates(&annotations, "annotation");
            check::annotation_names(cx, &annotations, &prefix);
            let label_templates = merged.iter().filter_map(|(_, v)| Template::parse(&name, v).ok()).collect();
            RuleKind::Alerting(Alerting {
                for_ms: durations.hold.map_or(0, |d| d.1),
                keep_firing_for_ms: durations.keep.map_or(0, |d| d.1),
                annotations: annotations.into_iter().map(|p| (p.name, p.value)).collect(),
                label_templates,
                annotation_templates,
            })
        } else {
            check::recording(cx, record, &name, &prefix);
            durations.refuse(cx, &prefix);
            if let Some(node) = annotations_node.filter(|_| !annotations.is_empty()) {
                cx.error(node, format!("{prefix}: invalid field 'annotations' in recording rule"));
            }
            RuleKind::Recording
        };
        let source = Source {
            document: Arc::clone(self.document),
            rule: node.clone(),
            expr: expr_node?.clone(),
            group: Arc::clone(self.group),
            number: self.number,
        };
        Some(Rule { name, kind, expr: expr?, labels: merged, position: node.position, ignored, source })
    }

    /// The rule's labels over those of the group.
    fn merge(&self, labels: &[Pair<'_>]) -> Vec<(String, String)> {
        let mut merged: std::collections::BTreeMap<&str, &str> = std::collections::BTreeMap::new();
        for pair in self.group_labels.iter().chain(labels) {
            merged.insert(&pair.name, &pair.value);
        }
        merged.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
    }
}

/// `for` and `keep_firing_for`, with their nodes.
struct Durations<'n> {
    hold: Option<(&'n Node, i64)>,
    keep: Option<(&'n Node, i64)>,
}

impl<'n> Durations<'n> {
    fn read(cx: &mut Cx<'_>, map: &mut MapReader<'n>, prefix: &str) -> Self {
        let mut one = |key: &'static str| {
            let node = map.get(key)?;
            match node.as_str().map(assay_model::duration::parse_ms) {
                Some(Ok(ms)) => Some((node, ms)),
                _ => {
                    let found = node.describe();
                    cx.error(
                        node,
                        format!(
                            "{prefix}: {key}: expected a duration such as 30s, 5m or 1h30m, found {found}"
                        ),
                    );
                    None
                }
            }
        };
        Self { hold: one("for"), keep: one("keep_firing_for") }
    }

    /// A recording rule has neither.
    fn refuse(&self, cx: &mut Cx<'_>, prefix: &str) {
        for (key, value) in [("for", self.hold), ("keep_firing_for", self.keep)] {
            if let Some((node, ms)) = value
                && ms != 0
            {
                cx.error(node, format!("{prefix}: invalid field '{key}' in recording rule"));
            }
        }
    }
}

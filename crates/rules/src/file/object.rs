//! Where groups are in a document: at the root of a rule file, or in Kubernetes' objects.
//!
//! Sources: the Prometheus operator's `PrometheusRule` (monitoring.coreos.com/v1) and VictoriaMetrics' `VMRule`. Invariant:
//! each object is a rule file of its own, as the operators make one of it; objects of other kinds hold no rules.

use assay_yaml::{Cx, Node};

use super::foreign;

/// The kinds of objects that hold rules.
const KINDS: [(&str, &str); 2] =
    [("PrometheusRule", "monitoring.coreos.com/v1"), ("VMRule", "operator.victoriametrics.com/v1beta1")];

/// What a document holds.
#[derive(Debug, Default)]
pub(super) struct Contents<'n> {
    /// The lists of groups, each as if it were a file.
    pub(super) groups: Vec<&'n Node>,
    /// Objects without rules: their places and kinds.
    pub(super) others: Vec<(&'n Node, &'n str)>,
    /// Keys of the file that are ignored.
    pub(super) ignored: Vec<foreign::IgnoredKey>,
    /// Whether it is a plain rule file, and no object.
    pub(super) is_plain: bool,
}

/// Reads a document's root.
pub(super) fn contents<'n>(cx: &mut Cx<'_>, root: &'n Node) -> Contents<'n> {
    let mut out = Contents::default();
    if is_object(root) {
        object(cx, root, &mut out);
    } else if !root.is_null()
        && let Some(mut map) = cx.map(root, "a rule file")
    {
        out.is_plain = true;
        out.groups.extend(map.get("groups"));
        out.ignored = foreign::ignored(&mut map, foreign::FILE);
        map.finish(cx);
    }
    out
}

fn is_object(node: &Node) -> bool {
    node.get("apiVersion").is_some() && node.get("kind").is_some()
}

fn object<'n>(cx: &mut Cx<'_>, node: &'n Node, out: &mut Contents<'n>) {
    let text = |key: &str| node.get(key).and_then(Node::as_str).unwrap_or_default();
    let (kind, version) = (text("kind"), text("apiVersion"));
    if kind.ends_with("List")
        && let Some(items) = node.get("items")
    {
        for item in cx.seq(items, "items").unwrap_or_default() {
            object(cx, item, out);
        }
        return;
    }
    let Some((_, known)) = KINDS.iter().find(|(k, _)| *k == kind) else {
        out.others.push((node, kind));
        return;
    };
    if version != *known
        && let Some(found) = node.get("apiVersion")
    {
        cx.error(found, format!("a {kind} is read in the version {known}, not {}", found.describe()));
    }
    let Some(mut map) = cx.map(node, "an object with rules") else { return };
    for key in ["apiVersion", "kind", "metadata", "status"] {
        map.get(key);
    }
    let spec = map.require(cx, "spec");
    map.finish(cx);
    if let Some(spec) = spec
        && let Some(mut map) = cx.map(spec, "the spec of an object with rules")
    {
        out.groups.extend(map.get("groups"));
        map.finish(cx);
    }
}

#[cfg(test)]
mod tests {
    use crate::RuleFiles;

    fn names(text: &str) -> Vec<String> {
        let files = RuleFiles::parse("r.yml", text).unwrap_or_else(|e| panic!("{e}"));
        files.rules().map(|(id, r)| format!("{}/{}", files.groups[id.group].name, r.name)).collect()
    }

    const OBJECT: &str = "apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: a, labels: {release: x}}
spec:
  groups:
  - name: g
    rules: [{alert: A, expr: up == 0}]
";

    #[test]
    fn rules_in_objects_and_lists() {
        assert_eq!(names(OBJECT), ["g/A"]);
        // Two objects are two files to the operator, and may have groups of one name.
        let second = OBJECT.replace("alert: A", "alert: B");
        assert_eq!(names(&format!("{OBJECT}---\n{second}---\n")), ["g/A", "g/B"]);
        let service = "apiVersion: v1\nkind: Service\nspec: {ports: []}\n";
        let mixed = format!("{service}---\n{OBJECT}");
        assert_eq!(names(&mixed), ["g/A"]);
        let warnings = RuleFiles::parse("r.yml", &mixed).expect("reads").warnings;
        assert_eq!(warnings, ["r.yml:1:1: an object of kind Service holds no rules and is left out"]);
        let indented =
            |text: &str| text.lines().map(|l| format!("  {l}\n")).collect::<String>().replacen("  ", "- ", 1);
        let list = format!("apiVersion: v1\nkind: List\nitems:\n{}{}", indented(OBJECT), indented(&second));
        assert_eq!(names(&list), ["g/A", "g/B"]);
        let vm = OBJECT.replace("monitoring.coreos.com/v1", "operator.victoriametrics.com/v1beta1");
        assert_eq!(names(&vm.replace("PrometheusRule", "VMRule")), ["g/A"]);
    }

    #[test]
    fn what_is_wrong_in_objects() {
        let check = |text: &str, want: &str| {
            let problems = RuleFiles::parse("r.yml", text).expect_err("problems").to_string();
            assert_eq!(problems, want);
        };
        check(
            &OBJECT.replace("/v1", "/v1alpha1"),
            "r.yml:1:13: a PrometheusRule is read in the version monitoring.coreos.com/v1, not \"monitoring.coreos.com/v1alpha1\"",
        );
        check(
            &format!("{OBJECT}---\n{}", OBJECT.replace("expr: up", "expr: (up").replace("groups", "group")),
            "r.yml:13:3: unknown key \"group\" in the spec of an object with rules; did you mean \"groups\"?",
        );
        check(
            &format!("{OBJECT}---\n{}", OBJECT.replace("up == 0", "sum(up")),
            "r.yml:15:36: group \"g\", rule 1, \"A\": could not parse expression: unclosed left parenthesis",
        );
        check(
            "apiVersion: v1\nkind: Service\n",
            "r.yml:1:1: no document of this file holds rules, but an object of kind Service; expected groups, or objects \
             of kind PrometheusRule",
        );
    }

    #[test]
    fn all_documents_of_a_plain_file_are_read() {
        let text = "groups:\n- {name: g, rules: [{record: a, expr: up}]}\n---\ngroups:\n- {name: h, rules: [{record: b, expr: up}]}\n";
        assert_eq!(names(text), ["g/a", "h/b"]);
        let warnings = RuleFiles::parse("r.yml", text).expect("reads").warnings;
        assert_eq!(
            warnings,
            ["r.yml:4:1: Prometheus reads the first document of a rule file only, and not what begins here"]
        );
        let problems = RuleFiles::parse("r.yml", &text.replace("name: h", "name: g")).expect_err("problems");
        assert_eq!(problems.to_string(), "r.yml:5:10: the group name \"g\" is repeated in this file");
        assert!(
            RuleFiles::parse("r.yml", &format!("{}---\n", "groups: []\n"))
                .expect("reads")
                .warnings
                .is_empty()
        );
    }
}

//! Rule files in Prometheus' format.
//!
//! Source: Prometheus `model/rulefmt/rulefmt.go` and `rules/manager.go` v3.13. More is read than Prometheus reads: all
//! documents of a file, Kubernetes' objects, and keys of programs that have their own. Invariant: a [`RuleFiles`] that
//! was loaded holds rules that can be evaluated: every expression and template in it has been parsed.

mod check;
mod foreign;
mod object;
mod read;

use std::{ops::Range, sync::Arc};

use assay_promql::Expr;
use assay_yaml::{Diagnostics, Document, Node, Position};

pub use foreign::IgnoredKey;

use crate::{glob, template::Template};

/// Rule files with all their groups, in the order in which they were given and written.
#[derive(Debug, Default)]
pub struct RuleFiles {
    /// The groups.
    pub groups: Vec<Group>,
    /// What is worth saying although it is no error, such as a pattern that matches no file.
    pub warnings: Vec<String>,
    /// Keys of files that have no effect here, each with its file.
    ignored: Vec<(Arc<str>, IgnoredKey)>,
}

/// A rule's place in its files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId {
    /// The group's index in [`RuleFiles::groups`].
    pub group: usize,
    /// The rule's index in [`Group::rules`].
    pub rule: usize,
}

/// A group: rules that are evaluated together, in order.
#[derive(Debug)]
pub struct Group {
    /// The file, as it was given.
    pub file: Arc<str>,
    /// The group's name, unique within the file.
    pub name: String,
    /// How often the group is evaluated; `None` for the default.
    pub interval_ms: Option<i64>,
    /// How far back the group's queries look, and its output stands; `None` for the default.
    pub query_offset_ms: Option<i64>,
    /// How many alerts or series each rule may yield; 0 for any number.
    pub limit: i64,
    /// The rules.
    pub rules: Vec<Rule>,
    /// Where the group stands.
    pub position: Position,
    /// Its keys that have no effect here.
    pub ignored: Vec<IgnoredKey>,
}

/// A rule.
#[derive(Debug)]
pub struct Rule {
    /// The alert's or the recorded metric's name.
    pub name: String,
    /// What kind of rule it is.
    pub kind: RuleKind,
    /// The expression.
    pub expr: Expr,
    /// The rule's labels over those of its group, sorted by name; an empty value deletes a label.
    pub labels: Vec<(String, String)>,
    /// Where the rule stands.
    pub position: Position,
    /// Its keys that have no effect here.
    pub ignored: Vec<IgnoredKey>,
    pub(crate) source: Source,
}

/// The kinds of rules.
#[derive(Debug)]
pub enum RuleKind {
    /// Its result is written under a new name.
    Recording,
    /// Its result is a set of alerts.
    Alerting(Alerting),
}

/// What an alerting rule has in addition to a recording rule.
#[derive(Debug)]
pub struct Alerting {
    /// How long the expression must hold before the alert fires.
    pub for_ms: i64,
    /// How long an alert keeps firing once the expression no longer holds.
    pub keep_firing_for_ms: i64,
    /// The annotations' texts, sorted by name.
    pub annotations: Vec<(String, String)>,
    /// The labels' templates, in the order of the rule's labels.
    pub(crate) label_templates: Vec<Template>,
    /// The annotations' templates, in the order of `annotations`.
    pub(crate) annotation_templates: Vec<Template>,
}

/// Where a rule's parts stand in its file, for messages that come later than the reading.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) document: Arc<Document>,
    pub(crate) rule: Node,
    pub(crate) expr: Node,
    /// The group's name and the rule's number in it, from 1.
    pub(crate) group: Arc<str>,
    pub(crate) number: usize,
}

impl Rule {
    /// The expression as it is written in the file.
    #[must_use]
    pub fn expr_text(&self) -> &str {
        self.source.expr.as_str().unwrap_or_default()
    }

    /// The file that the rule stands in, as it was given.
    #[must_use]
    pub fn file(&self) -> &str {
        self.source.document.file()
    }

    /// The rule's number in its group, from 1.
    #[must_use]
    pub fn number(&self) -> usize {
        self.source.number
    }

    /// Where bytes of the expression stand in the file.
    #[must_use]
    pub fn position_in_expr(&self, span: &Range<usize>) -> Position {
        self.source.expr.position_of(self.source.document.text(), span.start)
    }

    /// The rule as messages name it: `group "g", rule 3, "Name"`.
    #[must_use]
    pub fn title(&self) -> String {
        title(&self.source.group, self.source.number, &self.name)
    }

    /// Where one of the rule's keys stands; where it has no such key, where the rule begins.
    #[must_use]
    pub fn position_of_key(&self, key: &str) -> Position {
        let pairs = self.source.rule.as_map().unwrap_or_default();
        pairs.iter().find(|(k, _)| k.as_str() == Some(key)).map_or(self.position, |(k, _)| k.position)
    }

    /// The text of the file that the rule stands in.
    pub(crate) fn document_text(&self) -> &str {
        self.source.document.text()
    }

    /// The lines of the rule, from 1.
    pub(crate) fn lines(&self) -> Range<usize> {
        let span = self.source.rule.span.clone();
        let text: String = self.document_text().chars().skip(span.start).take(span.len()).collect();
        let first = self.source.rule.position.line;
        first..first + text.trim_end().lines().count().max(1)
    }

    /// The alerting part, where the rule is an alerting rule.
    #[must_use]
    pub fn alerting(&self) -> Option<&Alerting> {
        match &self.kind {
            RuleKind::Alerting(alerting) => Some(alerting),
            RuleKind::Recording => None,
        }
    }
}

/// How messages name a rule.
fn title(group: &str, number: usize, name: &str) -> String {
    format!("group {group:?}, rule {number}, {name:?}")
}

/// The files that paths and patterns stand for, each once: a pattern is as Go's `filepath.Glob` takes it.
///
/// # Errors
/// If a pattern is malformed or matches no file.
pub fn expand<P: AsRef<str>>(patterns: &[P]) -> Result<Vec<String>, Diagnostics> {
    let mut files: Vec<String> = Vec::new();
    let mut problems = Diagnostics::default();
    for pattern in patterns.iter().map(AsRef::as_ref) {
        let found =
            if glob::is_pattern(pattern) { glob::glob(pattern) } else { Ok(vec![pattern.to_owned()]) };
        match found {
            Ok(found) if found.is_empty() => {
                problems.extend(Diagnostics::file(pattern, "the pattern matches no file"));
            }
            Ok(found) => files.extend(found),
            Err(cause) => problems.extend(Diagnostics::file(pattern, cause)),
        }
    }
    let mut seen = std::collections::HashSet::new();
    files.retain(|f| seen.insert(f.clone()));
    if problems.is_empty() { Ok(files) } else { Err(problems) }
}

impl RuleFiles {
    /// Reads rule files; each of `patterns` is a path, or a pattern as Go's `filepath.Glob` takes it.
    ///
    /// # Errors
    /// All that is wrong with any of the files, each with its file, line, column, group and rule. A path
    /// without a file is an error; a pattern that matches none is a warning.
    pub fn load<P: AsRef<str>>(patterns: &[P]) -> Result<Self, Diagnostics> {
        let mut files = Vec::new();
        let mut out = Self::default();
        let mut problems = Diagnostics::default();
        for pattern in patterns {
            let pattern = pattern.as_ref();
            if !glob::is_pattern(pattern) {
                files.push(pattern.to_owned());
                continue;
            }
            match glob::glob(pattern) {
                Ok(found) if found.is_empty() => out.warnings.push(format!("no file matches {pattern}")),
                Ok(found) => files.extend(found),
                Err(cause) => problems.extend(Diagnostics::file(pattern, cause)),
            }
        }
        let mut read = std::collections::HashSet::new();
        // A file that several patterns match is one file.
        for file in files.into_iter().filter(|f| read.insert(f.clone())) {
            match Document::read_all(file.as_ref()) {
                Ok(documents) => out.add(&file, documents, &mut problems),
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() { Ok(out) } else { Err(problems) }
    }

    /// Reads one rule file's text; `file` is the name that messages show.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Self, Diagnostics> {
        let mut out = Self::default();
        let mut problems = Diagnostics::default();
        out.add(file, Document::parse_all(file, text)?, &mut problems);
        if problems.is_empty() { Ok(out) } else { Err(problems) }
    }

    fn add(&mut self, file: &str, documents: Vec<Document>, problems: &mut Diagnostics) {
        match read::file(documents) {
            Ok(read) => {
                self.groups.extend(read.groups);
                self.warnings.extend(read.warnings);
                self.ignored.extend(read.ignored.into_iter().map(|key| (file.into(), key)));
            }
            Err(found) => problems.extend(found),
        }
    }

    /// Every key that has no effect here, with its place, a line each.
    #[must_use]
    pub fn ignored_keys(&self) -> Vec<String> {
        let line = |file: &str, key: &IgnoredKey, of: &str| {
            format!("{file}:{}:{}: {of}{key}", key.position.line, key.position.col)
        };
        let mut out: Vec<String> = self.ignored.iter().map(|(file, key)| line(file, key, "")).collect();
        for group in &self.groups {
            let of = format!("group {:?}: ", group.name);
            out.extend(group.ignored.iter().map(|key| line(&group.file, key, &of)));
            for rule in &group.rules {
                let of = format!("{}: ", rule.title());
                out.extend(rule.ignored.iter().map(|key| line(&group.file, key, &of)));
            }
        }
        out
    }

    /// All rules, in order, each with its place.
    pub fn rules(&self) -> impl Iterator<Item = (RuleId, &Rule)> {
        self.groups.iter().enumerate().flat_map(|(group, g)| {
            g.rules.iter().enumerate().map(move |(rule, r)| (RuleId { group, rule }, r))
        })
    }

    /// The rule at a place, if there is one.
    #[must_use]
    pub fn rule(&self, id: RuleId) -> Option<&Rule> {
        self.groups.get(id.group)?.rules.get(id.rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_key() {
        let files = RuleFiles::parse(
            "r.yml",
            r#"
groups:
  - name: g
    interval: 15s
    query_offset: 5s
    limit: 10
    labels: {team: a, severity: warn}
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
        labels: {severity: ""}
      - alert: Down
        expr: up == 0
        for: 1m
        keep_firing_for: 30s
        labels: {severity: page, port: 80}
        annotations: {summary: "{{ $labels.job }} is down"}
  - name: empty
    rules: []
"#,
        )
        .expect("reads");
        let [group, empty] = files.groups.as_slice() else { panic!("two groups") };
        assert_eq!((group.interval_ms, group.query_offset_ms, group.limit), (Some(15_000), Some(5_000), 10));
        assert!(empty.rules.is_empty());
        let labels =
            |r: &Rule| r.labels.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(",");
        assert_eq!(labels(&group.rules[0]), "severity=,team=a");
        assert_eq!(labels(&group.rules[1]), "port=80,severity=page,team=a");
        let alerting = group.rules[1].alerting().expect("an alerting rule");
        assert_eq!((alerting.for_ms, alerting.keep_firing_for_ms), (60_000, 30_000));
        assert_eq!(group.rules[1].title(), "group \"g\", rule 2, \"Down\"");
        assert_eq!(group.rules[1].position_in_expr(&(3..5)).line, 13);
        assert!(RuleFiles::parse("r.yml", "").expect("reads").groups.is_empty());
    }

    /// The problems of a file, without its name.
    fn check(text: &str, want: &[&str]) {
        let problems = RuleFiles::parse("r.yml", text).err().unwrap_or_default();
        let got: Vec<_> = problems.list.iter().map(|d| d.to_string().replacen("r.yml:", "", 1)).collect();
        assert_eq!(got, want);
    }

    #[test]
    fn reports_every_problem_where_it_stands() {
        check(
            r#"groups:
  - name: g
    intervall: 5s
    rules:
      - alert: A
        expr: sum(up
        for: 5x
      - record: x
        alert: X
        expr: up
      - expr: up
      - record: "a{b}"
        for: 1m
        annotations: {a: b}
        labels: {__name__: x}
      - alert: B
        expr: |
          up ==
            nope nope
        labels: {a: "{{ $nope }}"}
        annotations:
          summary: |
            first line
            {{ nope }}
  - name: g
"#,
            &[
                "3:5: unknown key \"intervall\" in a rule group; did you mean \"interval\"?",
                "6:21: group \"g\", rule 1, \"A\": could not parse expression: unclosed left parenthesis",
                "7:14: group \"g\", rule 1, \"A\": for: expected a duration such as 30s, 5m or 1h30m, found \"5x\"",
                "9:16: group \"g\", rule 2, \"X\": only one of 'record' and 'alert' must be set",
                "11:9: group \"g\", rule 3, \"\": one of 'record' or 'alert' must be set",
                "12:9: group \"g\", rule 4, \"a{b}\": field 'expr' must be set in rule",
                "12:17: group \"g\", rule 4, \"a{b}\": braces present in the recording rule name; should it be in expr?: a{b}",
                "13:14: group \"g\", rule 4, \"a{b}\": invalid field 'for' in recording rule",
                "14:22: group \"g\", rule 4, \"a{b}\": invalid field 'annotations' in recording rule",
                "15:18: group \"g\", rule 4, \"a{b}\": invalid label name: __name__",
                "19:18: group \"g\", rule 5, \"B\": could not parse expression: unexpected identifier \"nope\", expected an operator or the end of the expression",
                "20:25: group \"g\", rule 5, \"B\": label \"a\": undefined variable \"$nope\"",
                "24:16: group \"g\", rule 5, \"B\": annotation \"summary\": function \"nope\" not defined",
                "25:11: the group name \"g\" is repeated in this file",
            ],
        );
    }

    #[test]
    fn all_files_are_read_in_one_pass() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
        std::fs::write(path("a.yml"), "groups: 5\n").expect("written");
        std::fs::write(path("b.yml"), "group: []\n").expect("written");
        let patterns = [path("*.yml"), path("a.yml"), path("gone.yml"), path("none*")];
        let problems = RuleFiles::load(&patterns).expect_err("problems");
        let text = problems.to_string().replace(&path(""), "");
        assert_eq!(
            text,
            "a.yml:1:9: expected a list of groups, found \"5\"\n\
             b.yml:1:1: unknown key \"group\" in a rule file; did you mean \"groups\"?\n\
             gone.yml: cannot be read: No such file or directory (os error 2)"
        );
    }
}

//! Templates of labels and annotations: Go's `text/template` with Prometheus' variables and functions.
//!
//! Invariant: a template is read once and then only run; what it prints depends on nothing but its data, the
//! time and the queries it makes.

mod ast;
mod exec;
mod format;
mod functions;
mod lex;
mod number;
mod parse;
mod queries;
mod time;
mod usage;
mod value;

use std::sync::Arc;

use assay_model::Labels;

pub(crate) use time::parse_rfc3339_ms;
pub(crate) use value::Value;

/// What Prometheus puts before each template, so that `$labels` and its like exist.
const DEFINITIONS: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}\
                           {{$externalURL := .ExternalURL}}{{$value := .Value}}";

/// What a query of a template yields.
pub(crate) type QueryResult = Vec<(Labels, Value)>;

/// What a template's functions may ask for.
pub(crate) struct Context<'a> {
    /// The time of the evaluation, in milliseconds since the Unix epoch.
    pub(crate) t_ms: i64,
    /// The URL under which people reach the server; none in unit tests.
    pub(crate) external_url: Option<&'a str>,
    /// Runs a query at the time of the evaluation.
    pub(crate) query: &'a dyn Fn(&str) -> Result<QueryResult, String>,
}

/// What a template is about: one element of the alert's expression.
pub(crate) struct Data<'a> {
    /// The element's labels.
    pub(crate) labels: &'a Labels,
    /// The labels that the server adds to all it sends.
    pub(crate) external_labels: &'a Labels,
    /// The URL under which people reach the server; empty where unknown.
    pub(crate) external_url: &'a str,
    /// The element's value.
    pub(crate) value: Value,
}

/// Why a text is not a template, and the byte of the text at which.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TemplateError {
    pub(crate) message: String,
    pub(crate) pos: usize,
}

/// A label's or annotation's text, read.
pub(crate) struct Template {
    name: String,
    /// With the definitions before it; empty for a text without actions.
    text: String,
    /// The text itself where it has no action.
    literal: Option<String>,
    tree: Option<parse::Tree>,
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Template").field("name", &self.name).field("text", &self.text).finish_non_exhaustive()
    }
}

impl Template {
    /// Reads a template of the alert `alert`.
    pub(crate) fn parse(alert: &str, text: &str) -> Result<Self, TemplateError> {
        let name = format!("__alert_{alert}");
        if !text.contains("{{") {
            return Ok(Self { name, text: String::new(), literal: Some(text.to_owned()), tree: None });
        }
        let whole = format!("{DEFINITIONS}{text}");
        match parse::parse(&whole) {
            Ok(tree) => Ok(Self { name, text: whole, literal: None, tree: Some(tree) }),
            Err(error) => Err(TemplateError {
                message: error.message,
                pos: error.pos.saturating_sub(DEFINITIONS.len()).min(text.len()),
            }),
        }
    }

    /// The queries that the text makes, or `None` where one of them is known only when it runs.
    pub(crate) fn queries(&self) -> Option<Vec<String>> {
        let mut found = Vec::new();
        if let Some(tree) = &self.tree {
            queries::of(&tree.nodes, &mut found)?;
            for nodes in tree.defined.values() {
                queries::of(nodes, &mut found)?;
            }
        }
        Some(found)
    }

    /// The labels of the alert that the text uses by name, sorted.
    pub(crate) fn labels_used(&self) -> Vec<String> {
        let mut used = usage::Usage::default();
        if let Some(tree) = &self.tree {
            used.add(&tree.nodes, true);
        }
        used.labels.into_iter().collect()
    }

    /// Whether the text uses the alert's value.
    pub(crate) fn uses_value(&self) -> bool {
        let mut used = usage::Usage::default();
        if let Some(tree) = &self.tree {
            used.add(&tree.nodes, true);
        }
        used.value
    }

    /// Whether the text has no action, and so always prints as it is.
    pub(crate) fn is_literal(&self) -> bool {
        self.literal.is_some()
    }

    /// Prints the template; an error comes back in its place, as Prometheus does.
    pub(crate) fn expand(&self, data: &Data<'_>, context: &Context<'_>) -> String {
        if let Some(literal) = &self.literal {
            return literal.clone();
        }
        match self.try_expand(data, context) {
            Ok(text) => text,
            Err(cause) => {
                format!("<error expanding template: error executing template {}: {cause}>", self.name)
            }
        }
    }

    fn try_expand(&self, data: &Data<'_>, context: &Context<'_>) -> Result<String, String> {
        let Some(tree) = &self.tree else { return Ok(String::new()) };
        let dot = Value::Data(Arc::new(value::Data {
            labels: data.labels.clone(),
            external_labels: data.external_labels.clone(),
            external_url: data.external_url.to_owned(),
            value: data.value.clone(),
        }));
        let program = exec::Program { name: &self.name, text: &self.text, defined: &tree.defined, context };
        let mut out = String::new();
        exec::run(&program, &tree.nodes, &dot, &mut out)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> String {
        let labels = Labels::from_pairs([("instance", "web-1.example.com:8080"), ("job", "api")]);
        let query = |q: &str| match q {
            "up" => Ok(vec![
                (Labels::from_pairs([("instance", "b")]), Value::Float(1.0)),
                (Labels::from_pairs([("instance", "a")]), Value::Float(0.0)),
            ]),
            "none" => Ok(Vec::new()),
            _ => Err("unknown".to_owned()),
        };
        let context =
            Context { t_ms: 1_435_065_584_128, external_url: Some("http://p:9090/x"), query: &query };
        let data = Data {
            labels: &labels,
            external_labels: &Labels::from_pairs([("dc", "eu")]),
            external_url: "http://p:9090/x",
            value: Value::Float(1234.5),
        };
        match Template::parse("A", text) {
            Ok(template) => template.expand(&data, &context),
            Err(error) => format!("{}: {}", error.pos, error.message),
        }
    }

    #[test]
    fn expands() {
        for (text, want) in [
            ("plain", "plain"),
            ("{{ $value }} on {{ $labels.instance }}", "1234.5 on web-1.example.com:8080"),
            ("{{ .Labels.nope }}|{{ $externalLabels.dc }}|{{ $externalURL }}", "|eu|http://p:9090/x"),
            ("{{ $value | humanize }} {{ humanize1024 $value }}", "1.234k 1.206ki"),
            ("{{ printf \"%.1f%%\" $value }}", "1234.5%"),
            ("{{ if gt $value 1000.0 }}high{{ else if eq $value 1.0 }}one{{ else }}low{{ end }}", "high"),
            ("a {{- /* gone */ -}} b", "ab"),
            ("a {{/* stays */}} b", "a  b"),
            ("x  {{- $value -}}  y", "x1234.5y"),
            (
                "{{ range query \"up\" | sortByLabel \"instance\" }}{{ .Labels.instance }}={{ .Value }};{{ end }}",
                "a=0;b=1;",
            ),
            ("{{ with query \"up\" }}{{ . | first | value }}{{ end }}", "1"),
            ("{{ with query \"none\" }}x{{ else }}none{{ end }}", "none"),
            (
                "{{ range $i, $s := query \"up\" }}{{ if $i }},{{ end }}{{ $s | label \"instance\" }}{{ end }}",
                "b,a",
            ),
            (
                "{{ range $k, $v := $labels }}{{ $k }}:{{ $v }} {{ end }}",
                "instance:web-1.example.com:8080 job:api ",
            ),
            ("{{ $x := 1 }}{{ range query \"up\" }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"),
            ("{{ define \"t\" }}<{{ . }}>{{ end }}{{ template \"t\" $labels.job }}", "<api>"),
            ("{{ block \"b\" $value }}[{{ . }}]{{ end }}", "[1234.5]"),
            ("{{ with $a := args 1 \"x\" }}{{ $a.arg0 }}{{ $a.arg1 }}{{ $a.arg9 }}{{ end }}", "1x<no value>"),
            ("{{ and 1 0 }} {{ or 0 \"y\" }} {{ not true }} {{ len $labels }}", "0 y false 2"),
            (
                "{{ index $labels \"job\" }} {{ slice \"abcdef\" 1 3 }} {{ print 1 2 \"a\" 3 }}",
                "api bc 1 2a3",
            ),
            (
                "{{ $labels.instance | stripPort }} {{ stripDomain $labels.instance }}",
                "web-1.example.com web-1:8080",
            ),
            ("{{ reReplaceAll \"web-(.*)\" \"$1\" $labels.instance }}", "1.example.com:8080"),
            (
                "{{ (toTime 1435065584.128).Format \"2006\" }} {{ now | humanizeTimestamp }}",
                "2015 2015-06-23 13:19:44.128 +0000 UTC",
            ),
            ("{{ toDuration 90 }} {{ (toDuration 90).Minutes }}", "1m30s 1.5"),
            ("{{ parseDuration \"1h30m\" }} {{ pathPrefix }} {{ urlQueryEscape \"a b\" }}", "5400 /x a+b"),
            ("{{ range query \"up\" }}{{ if eq .Value 0.0 }}{{ break }}{{ end }}x{{ end }}", "x"),
            ("{{ ` raw ` }}{{ \"q\\\"\\n\" }}{{ 'a' }} {{ 0x10 }} {{ 1e3 }}", " raw q\"\n97 16 1000"),
        ] {
            assert_eq!(expand(text), want, "{text}");
        }
    }

    #[test]
    fn queries_are_known_where_they_are_constants() {
        let check = |text: &str, want: Option<&[&str]>| {
            let found = Template::parse("A", text).expect("parses").queries();
            assert_eq!(found, want.map(|w| w.iter().map(|q| (*q).to_owned()).collect()), "{text}");
        };
        check("none", Some(&[]));
        check(
            "{{ range query `a` }}{{ (query \"b\" | first).Value }}{{ end }}{{ with \"c\" | query }}{{ end }}",
            Some(&["a", "b", "c"]),
        );
        check("{{ printf `up{job=%q}` $labels.job | query }}", None);
        check("{{ $q := \"up\" }}{{ query $q }}", None);
        check("{{ define \"t\" }}{{ query \"d\" }}{{ end }}", Some(&["d"]));
    }

    #[test]
    fn failures_come_back_as_text() {
        let check = |text: &str, want: &str| {
            let got = expand(text);
            assert!(got.contains(want), "{text}: {got}");
        };
        check("{{ gt $value 80 }}", "error calling gt: incompatible types for comparison: float64 and int>");
        check(
            "{{ query \"none\" | first }}",
            "template: __alert_A:1:130: executing \"__alert_A\" at <first>: error calling first: first() called on vector with no elements>",
        );
        check("{{ .Nope }}", "at <.Nope>: can't evaluate field Nope in type struct {");
        check("{{ $value.x }}", "can't evaluate field x in type float64");
        check("{{ query \"bad\" }}", "error calling query: unknown");
        check("{{ template \"t\" }}", "template \"t\" not defined");
        check(
            "{{ define \"t\" }}{{ template \"t\" }}{{ end }}{{ template \"t\" }}",
            "exceeded maximum template depth",
        );
        check("{{ toUpper 1 }}", "expected string; found 1");
        check("{{ humanize \"x\" }}", "strconv.ParseFloat: parsing \"x\": invalid syntax");
    }

    #[test]
    fn syntax_errors_say_where() {
        for (text, want) in [
            ("a {{ nope }}", "5: function \"nope\" not defined"),
            ("{{ $x }}", "3: undefined variable \"$x\""),
            ("{{ if true }}", "13: unexpected EOF"),
            ("{{ end }}", "3: unexpected {{end}}"),
            ("{{ $value", "0: unclosed action"),
            ("{{ }}", "3: missing value for command"),
            ("{{ 1 | 2 }}", "7: non executable command in pipeline stage 2"),
            ("{{ break }}", "3: {{break}} outside {{range}}"),
            ("{{ \"x }}", "3: unterminated quoted string"),
            ("{{ 1 + 1 }}", "5: bad number syntax: \"+\""),
            ("{{ ( }}", "5: unclosed left paren"),
        ] {
            assert_eq!(expand(text), want, "{text}");
        }
    }
}

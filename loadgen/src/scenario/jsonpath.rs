//! The part of JSONPath (RFC 9535) that captures and checks need: names, indices and wildcards.
//!
//! Invariant: a path that parses names at most one place, or with a wildcard the first that is there.

use std::fmt;

use serde_json::Value;

/// A path such as `$.choices[0].delta.content`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JsonPath {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Name(String),
    Index(i64),
    Any,
}

impl JsonPath {
    /// Parses a path; an error is the byte where it goes wrong and what would be right.
    pub(crate) fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut rest = text.strip_prefix('$').ok_or_else(|| {
            (0, format!("a JSONPath begins with $, for example $.{}", text.trim_matches('.')))
        })?;
        let mut segments = Vec::new();
        while !rest.is_empty() {
            let at = text.len() - rest.len();
            let (segment, after) = segment(rest).map_err(|message| (at, message))?;
            segments.push(segment);
            rest = after;
        }
        Ok(Self { text: text.to_owned(), segments })
    }

    /// The value at the path, or `None` where there is none.
    pub(crate) fn find<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        find(&self.segments, value)
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn segment(rest: &str) -> Result<(Segment, &str), String> {
    if let Some(name) = rest.strip_prefix('.') {
        let end = name.find(['.', '[']).unwrap_or(name.len());
        return match &name[..end] {
            "" => Err("expected a name after the dot".to_owned()),
            "*" => Ok((Segment::Any, &name[end..])),
            n => Ok((Segment::Name(n.to_owned()), &name[end..])),
        };
    }
    let Some(inner) = rest.strip_prefix('[') else {
        return Err("expected .name or [index]".to_owned());
    };
    for quote in ['\'', '"'] {
        if let Some(name) = inner.strip_prefix(quote) {
            let end = name.find(quote).ok_or("the quoted name has no end")?;
            let after = name[end + 1..].strip_prefix(']').ok_or("expected ] after the quoted name")?;
            return Ok((Segment::Name(name[..end].to_owned()), after));
        }
    }
    let end = inner.find(']').ok_or("the bracket has no end")?;
    let segment = match &inner[..end] {
        "*" => Segment::Any,
        n => Segment::Index(
            n.parse().map_err(|_| format!("expected an index, *, or a quoted name, found {n:?}"))?,
        ),
    };
    Ok((segment, &inner[end + 1..]))
}

fn find<'v>(segments: &[Segment], value: &'v Value) -> Option<&'v Value> {
    let Some((first, rest)) = segments.split_first() else { return Some(value) };
    match (first, value) {
        (Segment::Name(name), Value::Object(map)) => find(rest, map.get(name)?),
        (Segment::Index(i), Value::Array(items)) => {
            let at = if *i < 0 { i.checked_add(i64::try_from(items.len()).ok()?)? } else { *i };
            find(rest, items.get(usize::try_from(at).ok()?)?)
        }
        (Segment::Any, Value::Array(items)) => items.iter().find_map(|v| find(rest, v)),
        (Segment::Any, Value::Object(map)) => map.values().find_map(|v| find(rest, v)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_what_is_there() {
        let value = json!({"a": {"b c": [10, {"d": true}]}, "list": [{"x": 1}, {"y": 2}], "null": null});
        let check = |path: &str, want: Option<Value>| {
            let parsed = JsonPath::parse(path).expect("a valid path");
            assert_eq!(parsed.find(&value).cloned(), want, "{path}");
        };
        check("$.a['b c'][0]", Some(json!(10)));
        check("$.a[\"b c\"][-1].d", Some(json!(true)));
        check("$.list[*].y", Some(json!(2)));
        check("$.*[1].y", Some(json!(2)));
        check("$.null", Some(Value::Null));
        check("$.list[2]", None);
        check("$.list[-3]", None);
        check("$.a.b", None);
    }

    #[test]
    fn says_where_a_path_is_wrong() {
        let check = |path: &str, at: usize| {
            assert_eq!(JsonPath::parse(path).expect_err(path).0, at, "{path}");
        };
        check("a.b", 0);
        check("$.a..b", 3);
        check("$.a[x]", 3);
        check("$.a[0", 3);
        check("$.a['b]", 3);
        check("$a", 1);
    }
}

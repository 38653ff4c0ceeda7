//! Lines of access logs: the common and the combined format of Apache and nginx, and JSON. Invariant: a line that is read has
//! a time; one whose client sent no request of HTTP has no path.

use std::collections::BTreeMap;

use minijinja::value::Value;

use super::rows::json_row;

/// A line as a row.
pub(super) fn row(line: &str) -> Result<Value, String> {
    if line.trim_start().starts_with('{') {
        return json_row(line);
    }
    combined(line).ok_or_else(|| {
        "not a line of the common or combined format, such as 1.2.3.4 - - [31/Jan/2026:12:00:00 +0000] \"GET /a HTTP/1.1\" 200 7".to_owned()
    })
}

/// `host ident user [time] "method path protocol" status bytes "referer" "agent"`, with whatever comes before and after.
fn combined(line: &str) -> Option<Value> {
    let (before, rest) = line.split_once(" [")?;
    let (time, rest) = rest.split_once("] ")?;
    let (request, rest) = quoted(rest)?;
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut names = before.split(' ');
    let host = names.next()?;
    let mut counts = rest.trim_start().splitn(3, ' ');
    let status: u16 = counts.next()?.parse().ok()?;
    let mut row = BTreeMap::from([
        ("host", Value::from(host)),
        ("user", Value::from(names.next_back().unwrap_or("-"))),
        ("time", Value::from(time)),
        ("status", Value::from(status)),
    ]);
    if path.starts_with('/') && method.bytes().all(|b| b.is_ascii_uppercase()) {
        row.insert("method", Value::from(method));
        row.insert("path", Value::from(path));
        row.insert("protocol", Value::from(words.next().unwrap_or_default()));
    }
    if let Some(bytes) = counts.next().and_then(|n| n.parse::<u64>().ok()) {
        row.insert("bytes", Value::from(bytes));
    }
    if let Some((referer, rest)) = counts.next().and_then(quoted) {
        row.insert("referer", Value::from(referer));
        if let Some((agent, _)) = quoted(rest.trim_start()) {
            row.insert("agent", Value::from(agent));
        }
    }
    Some(Value::from(row))
}

/// What is between quotes at the start, and what follows them. Quotes inside have a backslash before them.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('"')?;
    let mut is_escaped = false;
    let end = inside.bytes().position(|b| {
        let is_end = b == b'"' && !is_escaped;
        is_escaped = b == b'\\' && !is_escaped;
        is_end
    })?;
    Some((&inside[..end], &inside[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, want: &[(&str, &str)]) {
        let row = row(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        for (key, value) in want {
            let found = row.get_attr(key).map(|v| v.to_string()).ok();
            assert_eq!(found.as_deref(), Some(*value), "{key} of {line}");
        }
    }

    #[test]
    fn the_usual_formats_are_read() {
        check(
            r#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a.gif?x=1 HTTP/1.0" 200 2326"#,
            &[("user", "frank"), ("path", "/a.gif?x=1"), ("status", "200"), ("bytes", "2326")],
        );
        check(
            r#"::1 - - [10/Oct/2000:13:55:36 -0700] "POST / HTTP/1.1" 304 - "http://a/" "Mozilla \"x\" [y] 5.0" 0.003"#,
            &[("method", "POST"), ("referer", "http://a/"), ("agent", r#"Mozilla \"x\" [y] 5.0"#)],
        );
        check(
            r#"a.example:80 10.0.0.1 - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/2.0" 200 1"#,
            &[("host", "a.example:80"), ("time", "10/Oct/2000:13:55:36 +0000")],
        );
        check(
            r#"{"time": "2026-01-31T12:00:00Z", "request": {"uri": "/a"}}"#,
            &[("time", "2026-01-31T12:00:00Z")],
        );
        let said_nothing = row(r#"1.2.3.4 - - [x] "-" 400 0"#).expect("a line");
        assert!(said_nothing.get_attr("path").expect("a map").is_undefined());
        for wrong in ["", "no log", r#"1.2.3.4 - - [x] "GET /" OK"#, r#"a [t] "GET / H"#, "{no"] {
            assert!(row(wrong).is_err(), "{wrong}");
        }
    }
}

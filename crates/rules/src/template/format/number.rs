//! Numbers and quoted strings as Go's `strconv` prints them.
//!
//! Source: the documentation of `strconv.FormatFloat` and `strconv.Quote` (go1.24).

/// A float with the fewest digits that read back as the same number (`%v`).
pub(crate) fn shortest(f: f64) -> String {
    assay_model::number::format_g(f)
}

/// A float as `%e`, `%f` or `%g` print it; without a precision, with the fewest digits that identify it.
pub(crate) fn float(f: f64, verb: char, precision: Option<usize>) -> String {
    if f.is_nan() {
        return "NaN".to_owned();
    }
    if f.is_infinite() {
        return if f > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    match (verb, precision) {
        ('f', Some(p)) => format!("{f:.p$}"),
        ('f', None) => format!("{f}"),
        ('e', Some(p)) => exponent(&format!("{f:.p$e}")),
        ('e', None) => exponent(&format!("{f:e}")),
        (_, precision) => general(f, precision),
    }
}

/// Rewrites Rust's `1.5e7` as Go's `1.5e+07`.
fn exponent(text: &str) -> String {
    let (mantissa, exp) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, digits) = match exp.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exp),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// `%g`: the shorter of the two notations, without trailing zeros.
fn general(f: f64, precision: Option<usize>) -> String {
    let digits = precision.map(|p| p.max(1));
    let scientific = match digits {
        Some(p) => format!("{f:.*e}", p - 1),
        None => format!("{f:e}"),
    };
    let (mantissa, exp) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exp: i32 = exp.parse().unwrap_or(0);
    let mantissa =
        if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    let significant = mantissa.bytes().filter(u8::is_ascii_digit).count() as i32;
    // Where the precision is not given, six digits decide between the notations.
    let limit = match digits.map(|p| p as i32) {
        None => 6,
        Some(p) if p > significant && significant > exp => significant,
        Some(p) => p,
    };
    if exp < -4 || exp >= limit {
        return exponent(&format!("{mantissa}e{exp}"));
    }
    let decimals = (significant - 1 - exp).max(0) as usize;
    format!("{f:.decimals$}")
}

/// A string in double quotes with Go's escapes.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

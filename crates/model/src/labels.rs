//! Label sets. Invariant: names are sorted by their bytes, unique, and no value is empty.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use smallvec::SmallVec;

use crate::METRIC_NAME;

/// An immutable, sorted set of label pairs in one allocation: cloning copies a pointer, comparing for
/// equality compares bytes.
///
/// The encoding is, for each pair in order, the name's length and bytes, then the value's; a length is an
/// unsigned LEB128 number. Names and values are any UTF-8.
#[derive(Clone, PartialEq, Eq)]
pub struct Labels {
    packed: Arc<[u8]>,
}

impl Labels {
    /// The set without labels.
    #[must_use]
    pub fn empty() -> Self {
        Self { packed: Arc::from([].as_slice()) }
    }

    /// A set from pairs in any order. Empty values are left out; of a repeated name the last value wins.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut pairs: SmallVec<[(N, V); 8]> = pairs.into_iter().collect();
        // The sort is stable: of equal names the last one is the last still.
        pairs.sort_by(|(a, _), (b, _)| a.as_ref().cmp(b.as_ref()));
        let of_name = |at: usize| pairs.get(at).map(|(name, _)| name.as_ref());
        Self::from_sorted(pairs.iter().enumerate().filter_map(|(at, (name, value))| {
            let (name, value) = (name.as_ref(), value.as_ref());
            (of_name(at + 1) != Some(name) && !value.is_empty()).then_some((name, value))
        }))
    }

    /// A set from pairs that are already sorted by name, unique and without empty values.
    ///
    /// This is the fast path of storage readers; the order is checked in debug builds only.
    pub fn from_sorted<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut packed: SmallVec<[u8; 256]> = SmallVec::new();
        let mut previous: Option<&str> = None;
        for (name, value) in pairs {
            debug_assert!(previous.is_none_or(|p| p < name), "label names out of order");
            debug_assert!(!value.is_empty(), "empty label value");
            previous = Some(name);
            push(&mut packed, name);
            push(&mut packed, value);
        }
        Self { packed: Arc::from(packed.as_slice()) }
    }

    /// The value of a label, or `None` where the set lacks it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        // Names are sorted, so the search ends at the first one beyond.
        for (n, v) in self {
            match n.cmp(name) {
                Ordering::Less => {}
                Ordering::Equal => return Some(v),
                Ordering::Greater => return None,
            }
        }
        None
    }

    /// The metric's name, or the empty string.
    #[must_use]
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or("")
    }

    /// The pairs, sorted by name.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { rest: &self.packed }
    }

    /// How many labels the set has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether the set has no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packed.is_empty()
    }

    /// The encoded bytes: equal exactly where the sets are equal, so they serve as a hash key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.packed
    }

    /// The set without the labels for which `drop` is true.
    pub fn without(&self, mut drop: impl FnMut(&str) -> bool) -> Self {
        Self::from_sorted(self.iter().filter(|(n, _)| !drop(n)))
    }

    /// The set without the metric's name.
    #[must_use]
    pub fn without_name(&self) -> Self {
        self.without(|n| n == METRIC_NAME)
    }

    /// Names and values as texts of their own, sorted by name.
    #[must_use]
    pub fn to_pairs(&self) -> Vec<(String, String)> {
        self.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
    }

    /// A builder that starts from this set.
    #[must_use]
    pub fn to_builder(&self) -> LabelsBuilder {
        LabelsBuilder { pairs: self.to_pairs() }
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.packed.hash(state);
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    /// Prometheus' order (`labels.Compare`): pair by pair, name before value; a prefix sorts first.
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.packed, &other.packed) {
            return Ordering::Equal;
        }
        // Names and values take turns in both, so the first that differ decide; bytes order as their text does.
        let (mut own, mut others) = (&*self.packed, &*other.packed);
        while !own.is_empty() && !others.is_empty() {
            match pop_bytes(&mut own).cmp(pop_bytes(&mut others)) {
                Ordering::Equal => {}
                decided => return decided,
            }
        }
        own.len().cmp(&others.len())
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl fmt::Display for Labels {
    /// As Prometheus prints a series: `name{a="b"}`; a name or label that is not a classic identifier is
    /// quoted inside the braces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric_name();
        let classic = is_classic_metric_name(name);
        if classic {
            f.write_str(name)?;
        }
        let mut pairs = self.iter().filter(|(n, _)| *n != METRIC_NAME).peekable();
        let quoted_name = !name.is_empty() && !classic;
        if classic && pairs.peek().is_none() {
            return Ok(());
        }
        f.write_str("{")?;
        if quoted_name {
            write_quoted(f, name)?;
        }
        for (i, (n, v)) in pairs.enumerate() {
            if i > 0 || quoted_name {
                f.write_str(", ")?;
            }
            if is_classic_label_name(n) {
                f.write_str(n)?;
            } else {
                write_quoted(f, n)?;
            }
            f.write_str("=")?;
            write_quoted(f, v)?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The pairs of a [`Labels`], sorted by name.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let name = pop(&mut self.rest);
        let value = pop(&mut self.rest);
        Some((name, value))
    }
}

/// Collects label pairs, then makes a [`Labels`].
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    /// Sorted by name; an empty value means that the label is deleted.
    pairs: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// A builder without labels.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a label; an empty value deletes it, as in Prometheus.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        match self.pairs.binary_search_by(|(n, _)| n.as_str().cmp(name)) {
            Ok(i) => value.clone_into(&mut self.pairs[i].1),
            Err(i) => self.pairs.insert(i, (name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Deletes a label.
    pub fn del(&mut self, name: &str) -> &mut Self {
        self.pairs.retain(|(n, _)| n != name);
        self
    }

    /// The value of a label, or the empty string.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.pairs.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }

    /// The set as it is.
    #[must_use]
    pub fn build(&self) -> Labels {
        Labels::from_sorted(
            self.pairs.iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| (n.as_str(), v.as_str())),
        )
    }
}

/// Whether `name` matches `[a-zA-Z_:][a-zA-Z0-9_:]*`.
#[must_use]
pub fn is_classic_metric_name(name: &str) -> bool {
    name.bytes()
        .enumerate()
        .all(|(i, b)| b.is_ascii_alphabetic() || b == b'_' || b == b':' || (i > 0 && b.is_ascii_digit()))
        && !name.is_empty()
}

/// Whether `name` matches `[a-zA-Z_][a-zA-Z0-9_]*`.
#[must_use]
pub fn is_classic_label_name(name: &str) -> bool {
    !name.contains(':') && is_classic_metric_name(name)
}

/// Writes `text` in double quotes with the escapes of Go's `%q` that labels need.
pub fn write_quoted(out: &mut impl fmt::Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\t' => out.write_str("\\t")?,
            '\r' => out.write_str("\\r")?,
            c if c.is_ascii_control() => write!(out, "\\x{:02x}", c as u32)?,
            c if assay_text::is_hidden(c) && (c as u32) < 0x1_0000 => write!(out, "\\u{:04x}", c as u32)?,
            c if assay_text::is_hidden(c) => write!(out, "\\U{:08x}", c as u32)?,
            c => out.write_char(c)?,
        }
    }
    out.write_char('"')
}

fn push(out: &mut SmallVec<[u8; 256]>, text: &str) {
    let mut n = text.len();
    while n >= 0x80 {
        out.push((n as u8 & 0x7f) | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out.extend_from_slice(text.as_bytes());
}

fn pop<'a>(rest: &mut &'a [u8]) -> &'a str {
    // `push` wrote these bytes from a `str`; nothing else makes a packed set.
    std::str::from_utf8(pop_bytes(rest)).unwrap_or_default()
}

fn pop_bytes<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let (mut n, mut shift, mut i) = (0usize, 0, 0);
    loop {
        let b = rest[i];
        i += 1;
        n |= usize::from(b & 0x7f) << shift;
        if b < 0x80 {
            break;
        }
        shift += 7;
    }
    let (text, tail) = rest[i..].split_at(n);
    *rest = tail;
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_back_sorted_and_empty_values_are_dropped() {
        let long = "x".repeat(300);
        let l = Labels::from_pairs([("b", "2"), ("a", long.as_str()), ("gone", ""), ("b", "3")]);
        assert_eq!(l.iter().collect::<Vec<_>>(), [("a", long.as_str()), ("b", "3")]);
        assert_eq!((l.get("b"), l.get("c"), l.get("0")), (Some("3"), None, None));
    }

    #[test]
    fn order_is_by_pair_not_by_encoded_bytes() {
        let short = Labels::from_pairs([("a", "b")]);
        let long = Labels::from_pairs([("a", "aaaa")]);
        assert!(long < short, "the value decides, not its length");
        assert!(Labels::empty() < short);
        let longer = Labels::from_pairs([("a", "b"), ("c", "")]);
        assert_eq!(longer.cmp(&short), Ordering::Equal);
        assert!(short < Labels::from_pairs([("a", "b"), ("c", "d")]), "a prefix sorts first");
        assert!(Labels::from_pairs([("ab", "")]) < Labels::from_pairs([("a", "z")]));
    }

    #[test]
    fn prints_as_prometheus_does() {
        let check = |pairs: &[(&str, &str)], want: &str| {
            assert_eq!(Labels::from_pairs(pairs.iter().copied()).to_string(), want);
        };
        check(&[], "{}");
        check(&[("__name__", "up")], "up");
        check(&[("__name__", "up"), ("job", "a\"b")], r#"up{job="a\"b"}"#);
        check(&[("__name__", "http.x"), ("le.b", "1")], r#"{"http.x", "le.b"="1"}"#);
        check(&[("a", "\u{1b}[0m\n\u{9b}\u{202e}\u{e0041}é")], r#"{a="\x1b[0m\n\u009b\u202e\U000e0041é"}"#);
    }
}

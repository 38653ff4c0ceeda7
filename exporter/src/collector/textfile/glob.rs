//! Shell patterns in the names of directories.

use std::path::{Path, PathBuf};

use regex::Regex;

use crate::host::list;

/// The directories that match `pattern`, sorted; the pattern itself where it has none of `*?[`.
pub(super) fn directories(pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![if pattern.starts_with('/') { PathBuf::from("/") } else { PathBuf::new() }];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        if !part.contains(['*', '?', '[']) {
            found = found.into_iter().map(|directory| directory.join(part)).collect();
            continue;
        }
        let Some(matches) = compile(part) else { return Vec::new() };
        let below = |directory: &PathBuf| {
            let at = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
            let names = list(at).unwrap_or_default();
            // A leading dot is hidden from a star.
            let shown = names
                .into_iter()
                .filter(|n| matches.is_match(n) && (!n.starts_with('.') || part.starts_with('.')));
            shown.map(|name| directory.join(name)).collect::<Vec<_>>()
        };
        found = found.iter().flat_map(below).collect();
    }
    found.retain(|directory| directory.is_dir());
    found
}

fn compile(part: &str) -> Option<Regex> {
    let mut out = String::from("^");
    let mut characters = part.chars();
    while let Some(c) = characters.next() {
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' => out.push('['),
            ']' => out.push(']'),
            '-' | '^' | '!' if out.contains('[') => out.push(if c == '!' { '^' } else { c }),
            '\\' => out.push_str(&regex::escape(&characters.next()?.to_string())),
            c => out.push_str(&regex::escape(&c.to_string())),
        }
    }
    out.push('$');
    Regex::new(&out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_within_a_name() {
        let root = tempfile::tempdir().unwrap();
        for name in ["a1/prom", "a2/prom", "b1/prom", "a3", ".a4/prom"] {
            std::fs::create_dir_all(root.path().join(name)).unwrap();
        }
        let check = |pattern: &str, want: &[&str]| {
            let found = directories(&format!("{}/{pattern}", root.path().display()));
            let below = |path: &std::path::PathBuf| {
                path.strip_prefix(root.path()).unwrap().to_str().unwrap().replace('\\', "/")
            };
            assert_eq!(found.iter().map(below).collect::<Vec<_>>(), want, "{pattern}");
        };
        check("a*/prom", &["a1/prom", "a2/prom"]);
        check("[ab]1/p?om", &["a1/prom", "b1/prom"]);
        check("a1", &["a1"]);
        check("c*", &[]);
        check("none", &[]);
    }
}

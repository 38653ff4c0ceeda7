//! File patterns as Go's `filepath.Glob` reads them: `*`, `?` and `[a-z]` within one level of directories.
//!
//! Invariant: the paths come sorted, each as the pattern spells its directories.

use std::path::Path;

/// Whether a text has any of the pattern's characters.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

/// The files that match.
///
/// # Errors
/// Where the pattern has an unclosed `[`.
pub(crate) fn glob(pattern: &str) -> Result<Vec<String>, String> {
    matches("", pattern)?;
    if !is_pattern(pattern) {
        return Ok(if Path::new(pattern).exists() { vec![pattern.to_owned()] } else { Vec::new() });
    }
    let (directory, name) = match pattern.rfind('/') {
        Some(0) => ("/", &pattern[1..]),
        Some(at) => (&pattern[..at], &pattern[at + 1..]),
        None => ("", pattern),
    };
    let parents = if is_pattern(directory) { glob(directory)? } else { vec![directory.to_owned()] };
    let mut found = Vec::new();
    for parent in parents {
        let Ok(entries) = std::fs::read_dir(if parent.is_empty() { "." } else { &parent }) else { continue };
        let mut names: Vec<String> =
            entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
        names.sort();
        for entry in names {
            if matches(&entry, name)? {
                found.push(match parent.as_str() {
                    "" => entry,
                    "/" => format!("/{entry}"),
                    parent => format!("{parent}/{entry}"),
                });
            }
        }
    }
    Ok(found)
}

/// Whether one name matches one pattern.
fn matches(name: &str, pattern: &str) -> Result<bool, String> {
    let (name, pattern): (Vec<char>, Vec<char>) = (name.chars().collect(), pattern.chars().collect());
    // Check the whole pattern first, so that a bad one is an error whatever it is compared with.
    let mut at = 0;
    while at < pattern.len() {
        at = piece(&pattern, at)?.1;
    }
    matches_from(&name, &pattern)
}

fn matches_from(name: &[char], pattern: &[char]) -> Result<bool, String> {
    if pattern.is_empty() {
        return Ok(name.is_empty());
    }
    if pattern[0] == '*' {
        for skip in 0..=name.len() {
            if matches_from(&name[skip..], &pattern[1..])? {
                return Ok(true);
            }
            if name.get(skip) == Some(&'/') {
                break;
            }
        }
        return Ok(false);
    }
    let (test, next) = piece(pattern, 0)?;
    match name.first() {
        Some(c) if test.accepts(*c) => matches_from(&name[1..], &pattern[next..]),
        _ => Ok(false),
    }
}

/// What stands for one character.
enum Piece {
    Any,
    Star,
    Literal(char),
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Piece {
    fn accepts(&self, c: char) -> bool {
        match self {
            Self::Any | Self::Star => c != '/',
            Self::Literal(l) => *l == c,
            Self::Class { negated, ranges } => ranges.iter().any(|(a, b)| *a <= c && c <= *b) != *negated,
        }
    }
}

/// The piece at `at` and where the next begins.
fn piece(pattern: &[char], at: usize) -> Result<(Piece, usize), String> {
    let bad = || "syntax error in pattern".to_owned();
    match pattern[at] {
        '*' => Ok((Piece::Star, at + 1)),
        '?' => Ok((Piece::Any, at + 1)),
        '\\' => Ok((Piece::Literal(*pattern.get(at + 1).ok_or_else(bad)?), at + 2)),
        '[' => {
            let mut i = at + 1;
            let negated = pattern.get(i) == Some(&'^');
            i += usize::from(negated);
            let mut ranges = Vec::new();
            while pattern.get(i) != Some(&']') || ranges.is_empty() {
                let low = literal(pattern, &mut i).ok_or_else(bad)?;
                let high = if pattern.get(i) == Some(&'-') {
                    i += 1;
                    literal(pattern, &mut i).ok_or_else(bad)?
                } else {
                    low
                };
                ranges.push((low, high));
            }
            Ok((Piece::Class { negated, ranges }, i + 1))
        }
        c => Ok((Piece::Literal(c), at + 1)),
    }
}

/// A character of a class, which a backslash may escape.
fn literal(pattern: &[char], i: &mut usize) -> Option<char> {
    let c = *pattern.get(*i)?;
    *i += 1;
    match c {
        '-' | ']' => None,
        '\\' => {
            let escaped = *pattern.get(*i)?;
            *i += 1;
            Some(escaped)
        }
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_go() {
        for (name, pattern, want) in [
            ("a.yml", "*.yml", true),
            ("a.yaml", "*.y?ml", true),
            ("b.yml", "[a-c].yml", true),
            ("d.yml", "[^a-c].yml", true),
            ("d.yml", "[a-c].yml", false),
            ("a*b", "a\\*b", true),
            ("", "*", true),
        ] {
            assert_eq!(matches(name, pattern), Ok(want), "{name} {pattern}");
        }
        assert!(matches("a", "[a").is_err());
        assert!(matches("a", "a\\").is_err());
    }

    #[test]
    fn files_come_sorted() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().to_str().expect("UTF-8").to_owned();
        for name in ["b.yml", "a.yml", "c.txt"] {
            std::fs::write(dir.path().join(name), "").expect("written");
        }
        assert_eq!(
            glob(&format!("{root}/*.yml")),
            Ok(vec![format!("{root}/a.yml"), format!("{root}/b.yml")])
        );
        assert_eq!(glob(&format!("{root}/none*")), Ok(Vec::new()));
        assert_eq!(glob(&format!("{root}/a.yml")), Ok(vec![format!("{root}/a.yml")]));
    }
}

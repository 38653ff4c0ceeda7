//! Files that hold what a test expects. Invariant: `UPDATE_GOLDEN=1` is the one way to rewrite them.

use std::path::Path;

/// Compares `text` with the file at `path`, or writes it there if `UPDATE_GOLDEN` is set.
///
/// # Panics
/// With the first line that differs.
pub fn golden(path: impl AsRef<Path>, text: &str) {
    let path = path.as_ref();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        return;
    }
    let wanted = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    if wanted == text {
        return;
    }
    let line = wanted.lines().zip(text.lines()).take_while(|(w, t)| w == t).count();
    panic!(
        "{}:{}: differs; UPDATE_GOLDEN=1 rewrites it\n  expected: {}\n  found:    {}",
        path.display(),
        line + 1,
        wanted.lines().nth(line).unwrap_or("(the end)"),
        text.lines().nth(line).unwrap_or("(the end)"),
    );
}

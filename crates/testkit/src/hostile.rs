//! Text that wants to steer its reader, and what a reader must never get.

/// Steers a terminal, gives commands to CI systems, turns text around, is markup, and has a password in a URL.
pub const HOSTILE: &str = "a\u{1b}[2J\u{1b}]0;title\u{7}\r\n::error::b\n ::stop-commands::c\n##vso[task.complete]d\
    \u{9b}31m\u{202e}e|<img src=x onerror=alert(1)>`f` [g](http://me:s3cret@h/?token=s3cret)\u{7f}\u{85}::h";

/// Holds what a program gave to a person free of all that; lines may end, and be indented with tabs.
pub fn assert_clean(what: &str, text: &str) {
    let is_hidden = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    for (n, line) in text.split('\n').enumerate() {
        let is_command =
            line.trim_start().starts_with("::") || line.contains("##vso[") || line.contains("##[");
        assert!(!line.contains(is_hidden), "{what}, line {}: a hidden character in {line:?}", n + 1);
        assert!(!is_command, "{what}, line {}: a command in {line:?}", n + 1);
    }
    assert!(!text.contains("s3cret"), "{what} has the secret of a URL: {text}");
}

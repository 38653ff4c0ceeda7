//! `node_os_*` from os-release.

use std::collections::HashMap;

use super::{Collector, Entry};
use crate::{Failure, Families, Host, host::read};

pub(super) const ENTRY: Entry = Entry::on("os", "The distribution, from os-release", |_| Box::new(Os));

/// The distribution.
pub(super) struct Os;

/// The keys shown as labels of `node_os_info`, in lower case.
const KEYS: [&str; 12] = [
    "BUILD_ID",
    "ID",
    "ID_LIKE",
    "IMAGE_ID",
    "IMAGE_VERSION",
    "NAME",
    "PRETTY_NAME",
    "VARIANT",
    "VARIANT_ID",
    "VERSION",
    "VERSION_CODENAME",
    "VERSION_ID",
];

impl Collector for Os {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let text = match read(&host.paths.rootfs.join("etc/os-release")) {
            Err(Failure::Absent(_)) => read(&host.paths.rootfs.join("usr/lib/os-release"))?,
            other => other?,
        };
        let values = parse(&text);
        let value = |key: &str| values.get(key).map_or("", String::as_str);
        let names: Vec<String> = KEYS.iter().map(|key| key.to_lowercase()).collect();
        let labels: Vec<(&str, &str)> =
            names.iter().zip(KEYS).map(|(name, key)| (name.as_str(), value(key))).collect();
        out.gauge("node_os_info", "What os-release says; always 1.", &labels, 1.0);

        if let Some(version) = major_minor(value("VERSION_ID")) {
            let labels = [("id", value("ID")), ("id_like", value("ID_LIKE")), ("name", value("NAME"))];
            out.gauge("node_os_version", "The version's first two parts, as a number.", &labels, version);
        }
        if let Ok(date) = value("SUPPORT_END").parse::<jiff::civil::Date>()
            && let Ok(end) = jiff::tz::TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0))
        {
            let help = "When support ends, in seconds since the Unix epoch.";
            let end_s = end.as_second() as f64;
            out.gauge("node_os_support_end_timestamp_seconds", help, &[], end_s);
        }
        Ok(())
    }
}

/// Assignments with the shell's quotes (`os-release(5)`).
fn parse(text: &str) -> HashMap<&str, String> {
    let assignments = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    assignments
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| {
            let quoted = ['"', '\''].iter().find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q));
            (key, unescape(quoted.unwrap_or(value)))
        })
        .collect()
}

/// Backslashes before the characters that the shell minds are taken out.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let escapes = c == '\\' && characters.peek().is_some_and(|next| "\"'\\$`".contains(*next));
        out.extend(if escapes { characters.next() } else { Some(c) });
    }
    out
}

fn major_minor(version: &str) -> Option<f64> {
    let mut parts = version.split('.');
    let digits = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>();
    let (major, minor) = (digits(parts.next()?), digits(parts.next().unwrap_or_default()));
    format!("{major}.{minor}0").parse().ok().filter(|_| !major.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_release_has_the_shells_quotes() {
        let values = parse("# a comment\nNAME=\"Debian \\\"GNU\\\"\"\nID=debian\nVARIANT='x y'\n");
        assert_eq!((values["NAME"].as_str(), values["ID"].as_str()), ("Debian \"GNU\"", "debian"));
        assert_eq!(values["VARIANT"], "x y");
    }

    #[test]
    fn a_version_is_its_first_two_parts() {
        assert_eq!(major_minor("12"), Some(12.0));
        assert_eq!(major_minor("24.04"), Some(24.04));
        assert_eq!(major_minor("3.19.1"), Some(3.19));
        assert_eq!(major_minor("rolling"), None);
        assert_eq!(major_minor(""), None);
    }
}

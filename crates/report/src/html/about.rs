//! What was run, where and how, as the run's description has it. Invariant: what is not known is left out.

use assay_verdict::units;
use serde_json::Value as Json;

/// The facts of the head of the page: target, host, versions, seed.
pub(super) fn header(manifest: &Json) -> Vec<(&'static str, String)> {
    let text = |value: &Json| match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(n) => Some(n.to_string()),
        _ => None,
    };
    let facts = [
        ("target", text(&manifest["target"])),
        ("host", host(&manifest["host"])),
        ("versions", versions(manifest)),
        ("seed", text(&manifest["seed"])),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn host(host: &Json) -> Option<String> {
    let text = |key: &str| host[key].as_str().map(str::to_owned);
    let cpus = host["cpus"].as_u64().map(|n| match text("cpu_model") {
        Some(model) => format!("{n} × {model}"),
        None => format!("{n} processors"),
    });
    let memory = host["memory_bytes"].as_f64().map(|b| units::quantity(b, "bytes"));
    let gpus = host["gpus"]
        .as_array()
        .filter(|list| !list.is_empty())
        .map(|list| list.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(", "));
    let parts: Vec<String> =
        [text("name"), cpus, memory, gpus, text("os"), text("kernel")].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

fn versions(manifest: &Json) -> Option<String> {
    let of = |(name, version): (&String, &Json)| format!("{name} {}", version.as_str().unwrap_or_default());
    let mut list: Vec<String> = manifest["versions"].as_object().into_iter().flatten().map(of).collect();
    if let Some(revision) = manifest["git"]["revision"].as_str() {
        let dirty = if manifest["git"]["dirty"] == true { ", with changes" } else { "" };
        list.push(format!("sources {}{dirty}", revision.chars().take(12).collect::<String>()));
    }
    (!list.is_empty()).then(|| list.join(" · "))
}

/// The command line that drives the same load again.
pub(super) fn command(manifest: &Json) -> Option<String> {
    let words: Vec<&str> = manifest["command"].as_array()?.iter().filter_map(Json::as_str).collect();
    let quoted = |word: &&str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%,+".contains(c);
        match word.chars().all(plain) && !word.is_empty() {
            true => (*word).to_owned(),
            false => format!("'{}'", word.replace('\'', r"'\''")),
        }
    };
    (!words.is_empty()).then(|| words.iter().map(quoted).collect::<Vec<_>>().join(" "))
}

/// The manifest as pairs of a dotted path and a text; phases have a table of their own, and the command is in the head.
pub(super) fn facts(manifest: &Json) -> Vec<(String, String)> {
    let mut out = Vec::new();
    flatten("", manifest, &mut out);
    out.retain(|(name, _)| !name.starts_with("phases") && name != "command");
    out
}

fn flatten(path: &str, value: &Json, out: &mut Vec<(String, String)>) {
    match value {
        Json::Null => {}
        Json::Object(map) => {
            for (key, inner) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, inner, out);
            }
        }
        Json::Array(items) if items.iter().all(|i| !i.is_object() && !i.is_array()) => {
            let texts: Vec<_> = items.iter().map(scalar).collect();
            out.push((path.to_owned(), texts.join(", ")));
        }
        Json::Array(items) => {
            for (i, inner) in items.iter().enumerate() {
                flatten(&format!("{path}.{i}"), inner, out);
            }
        }
        Json::Number(n) if path.ends_with("_bytes") => {
            let bytes = units::quantity(n.as_f64().unwrap_or_default(), "bytes");
            out.push((path.trim_end_matches("_bytes").to_owned(), bytes));
        }
        Json::Number(n) if path.ends_with("_ms") && n.as_i64().is_some_and(|t| t > 1_000_000_000_000) => {
            out.push((
                path.trim_end_matches("_ms").to_owned(),
                units::timestamp(n.as_i64().unwrap_or_default()),
            ));
        }
        other => out.push((path.to_owned(), scalar(other))),
    }
}

fn scalar(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_becomes_pairs() {
        let manifest = serde_json::json!({
            "seed": 7, "host": {"cpus": 2, "os": "Linux"}, "args": ["a", "b"], "phases": [{"name": "x"}],
            "started_at_ms": 1_700_000_000_000_i64, "none": null
        });
        let want = [
            ("args", "a, b"),
            ("host.cpus", "2"),
            ("host.os", "Linux"),
            ("seed", "7"),
            ("started_at", "2023-11-14T22:13:20Z"),
        ];
        let mut got = facts(&manifest);
        got.sort();
        assert_eq!(got, want.map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert_eq!(
            header(&manifest),
            [("host", "2 processors · Linux".to_owned()), ("seed", "7".to_owned())]
        );
        assert!(header(&Json::Null).is_empty() && command(&manifest).is_none());
    }

    #[test]
    fn the_command_can_be_pasted() {
        let manifest =
            serde_json::json!({"command": ["loadgen", "run", "a b.yml", "--target", "http://h:1/?a=1&b"]});
        assert_eq!(command(&manifest).as_deref(), Some("loadgen run 'a b.yml' --target 'http://h:1/?a=1&b'"));
    }
}

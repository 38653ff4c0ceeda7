//! The changes that are made to a rule file, one at a time. Invariant: a mutant differs from the file in one
//! place, and the place is in a rule.

use std::fmt;

/// A rule file with one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mutant {
    /// The file's name.
    pub(super) file: String,
    /// Where the change is, counted from 1.
    pub(super) line: usize,
    /// The alert's or the recorded series' name.
    pub(super) rule: String,
    /// What kind of change it is.
    pub(super) kind: &'static str,
    /// The line after the change.
    pub(super) now: String,
    /// The whole file after the change.
    pub(super) text: String,
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}: {}", self.file, self.line, self.rule, self.kind, self.now.trim())
    }
}

/// Every mutant of a rule file, in the order of its lines.
pub(super) fn mutants(file: &str, text: &str) -> Vec<Mutant> {
    let lines: Vec<&str> = text.lines().collect();
    let mut all = Vec::new();
    let (mut rule, mut in_expr) = (String::new(), false);
    for (i, line) in lines.iter().enumerate() {
        let word = line.trim_start();
        if let Some(name) = word.strip_prefix("- alert: ").or_else(|| word.strip_prefix("- record: ")) {
            name.clone_into(&mut rule);
            in_expr = false;
        } else if word.starts_with("expr:") {
            in_expr = true;
        } else if ["for:", "keep_firing_for:", "labels:", "annotations:", "- name:"]
            .iter()
            .any(|key| word.starts_with(key))
        {
            in_expr = false;
        }
        if rule.is_empty() || word.starts_with('#') {
            continue;
        }
        let changes = if in_expr { in_expression(line) } else { in_fields(line) };
        for (kind, now) in changes {
            let mut changed: Vec<&str> = lines.clone();
            match &now {
                Some(now) => changed[i] = now,
                None => drop(changed.remove(i)),
            }
            let text = changed.join("\n") + "\n";
            let now = now.unwrap_or_else(|| "(removed)".to_owned());
            all.push(Mutant { file: file.to_owned(), line: i + 1, rule: rule.clone(), kind, now, text });
        }
    }
    all
}

type Change = (&'static str, Option<String>);

fn in_fields(line: &str) -> Vec<Change> {
    let word = line.trim_start();
    if let Some(value) = word.strip_prefix("for: ") {
        let longer = scaled_duration(value, 4).map(|d| ("`for` × 4", Some(line.replace(value, &d))));
        return [("`for` removed", None)].into_iter().chain(longer).collect();
    }
    if let Some(value) = word.strip_prefix("severity: ") {
        let other = if value == "warning" { "critical" } else { "warning" };
        return vec![("severity changed", Some(line.replace(value, other)))];
    }
    Vec::new()
}

fn in_expression(line: &str) -> Vec<Change> {
    let mut changes = Vec::new();
    for (at, operator) in operators(line) {
        let end = at + operator.len();
        changes.push(("comparison flipped", Some(spliced(line, at, end, flipped(operator)))));
        let rest = line[end..].trim_start();
        let rest = rest.strip_prefix("bool ").unwrap_or(rest);
        let gap = line[end..].len() - rest.len();
        if let Some(number) = leading_number(&line[end + gap..]) {
            changes.extend(thresholds(line, end + gap, number, operator));
        }
    }
    let fraction = "histogram_fraction(-Inf, ";
    for (at, _) in line.match_indices(fraction) {
        let at = at + fraction.len();
        if let Some(number) = leading_number(&line[at..]) {
            changes.extend(thresholds(line, at, number, ">"));
        }
    }
    for (at, _) in line.match_indices('[') {
        let end = line[at..].find([':', ']']).map_or(line.len(), |n| at + n);
        if let Some(longer) = scaled_duration(&line[at + 1..end], 5) {
            changes.push(("window × 5", Some(spliced(line, at + 1, end, &longer))));
        }
    }
    changes
}

/// Comparison operators: between spaces, which those of label matchers are not.
fn operators(line: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut at = 0;
    for word in line.split(' ') {
        if ["==", "!=", ">=", "<=", ">", "<"].contains(&word) {
            found.push((at, word));
        }
        at += word.len() + 1;
    }
    found
}

fn flipped(operator: &str) -> &'static str {
    match operator {
        "==" => "!=",
        "!=" => "==",
        ">" => "<",
        "<" => ">",
        ">=" => "<=",
        _ => ">=",
    }
}

fn thresholds(line: &str, at: usize, number: &str, operator: &str) -> Vec<Change> {
    let Ok(value) = number.parse::<f64>() else { return Vec::new() };
    let round = |value: f64| (value * 1e6).round() / 1e6;
    let with = |value: f64| Some(spliced(line, at, at + number.len(), &round(value).to_string()));
    match (value == 0.0, operator) {
        (_, "==" | "!=") => Vec::new(),
        (true, _) => vec![("`> 0` raised to 2", with(2.0))],
        (false, _) => vec![("threshold × 0.5", with(value * 0.5)), ("threshold × 1.5", with(value * 1.5))],
    }
}

fn leading_number(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (end > 0).then(|| &text[..end])
}

/// `5m` × 5 is `25m`. Only durations of one unit, which all of ours are.
fn scaled_duration(text: &str, factor: u64) -> Option<String> {
    let number = leading_number(text)?;
    let unit = &text[number.len()..];
    let value: u64 = number.parse().ok()?;
    ["ms", "s", "m", "h", "d"].contains(&unit).then(|| format!("{}{unit}", value * factor))
}

fn spliced(line: &str, start: usize, end: usize, by: &str) -> String {
    format!("{}{by}{}", &line[..start], &line[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mutant_changes_one_place() {
        let text = "groups:\n  - name: g\n    interval: 5s\n    rules:\n      - alert: A\n        \
                    expr: |\n          rate(x{a!=\"\"}[5m]) > 0.1\n          and y > 0\n        for: 10s\n        \
                    labels:\n          severity: critical\n";
        let found: Vec<_> = mutants("f.yml", text).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "f.yml:7: A: comparison flipped: rate(x{a!=\"\"}[5m]) < 0.1",
                "f.yml:7: A: threshold × 0.5: rate(x{a!=\"\"}[5m]) > 0.05",
                "f.yml:7: A: threshold × 1.5: rate(x{a!=\"\"}[5m]) > 0.15",
                "f.yml:7: A: window × 5: rate(x{a!=\"\"}[25m]) > 0.1",
                "f.yml:8: A: comparison flipped: and y < 0",
                "f.yml:8: A: `> 0` raised to 2: and y > 2",
                "f.yml:9: A: `for` removed: (removed)",
                "f.yml:9: A: `for` × 4: for: 40s",
                "f.yml:11: A: severity changed: severity: warning",
            ]
        );
        assert!(mutants("f.yml", text).iter().all(|m| m.text != text));
    }
}

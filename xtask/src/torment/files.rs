//! Files that are damaged, or that were written to do damage.

use std::{fs, path::Path, process::Command};

use anyhow::Result;
use assay_testkit::files::copy;

use super::{
    Options, Table,
    rig::{Random, Rig, Tried, files_below, write},
};
use crate::folder::only_entry;

/// What a file may make a program take: far more than any honest one needs.
const MOST_MIB: f64 = 512.0;
const MOST_S: f64 = 20.0;

pub(super) fn run(rig: &Rig, options: &Options, table: &mut Table) -> Result<()> {
    let limit = format!("no crash, {MOST_MIB} MiB, {MOST_S} s");
    table.add("run directories with changed bytes", &limit, mutated(rig, options));
    table.add("hostile YAML as scenario, rules, SLA and unit test", &limit, hostile_yaml(rig));
    table.add("hostile run.json", &limit, hostile_manifests(rig));
    table.add(
        "twelve rules, each of 8.6 million evaluations, with `--max-memory 200MB`",
        "exit 3 with the limit's name, 400 MiB",
        long_replay(rig),
    );
    Ok(())
}

/// The worst of many tries.
#[derive(Default)]
struct Worst {
    count: u64,
    disorderly: Vec<String>,
    refused: u64,
    peak_mib: f64,
    wall_s: f64,
}

impl Worst {
    fn take(&mut self, name: &str, tried: &Tried) {
        self.count += 1;
        self.refused += u64::from(tried.code != Some(0));
        self.peak_mib = self.peak_mib.max(tried.peak_mib);
        self.wall_s = self.wall_s.max(tried.wall_s);
        if !tried.is_orderly() {
            let said: String = tried.said.lines().next().unwrap_or_default().chars().take(160).collect();
            self.disorderly.push(format!("{name}: {:?} {said}", tried.code));
        }
    }

    fn outcome(&self) -> (String, bool) {
        let first =
            self.disorderly.first().map(|d| format!("; {} crashes, such as {d}", self.disorderly.len()));
        let measured = format!(
            "{} tries, {} refused; at most {:.0} MiB and {:.1} s{}",
            self.count,
            self.refused,
            self.peak_mib,
            self.wall_s,
            first.unwrap_or_default()
        );
        let passed = self.disorderly.is_empty() && self.peak_mib < MOST_MIB && self.wall_s < MOST_S;
        (measured, passed)
    }
}

fn mutated(rig: &Rig, options: &Options) -> Result<(String, bool)> {
    let (mut random, mut worst) = (Random::new(options.seed), Worst::default());
    // A run with a block, and one with a log.
    let killed =
        fs::read_dir(&rig.dir)?.filter_map(|e| Some(e.ok()?.path())).find(|p| p.ends_with("killed-0"));
    let mut runs = vec![rig.run.clone()];
    runs.extend(killed.and_then(|parent| only_entry(&parent).ok()));
    let place = rig.dir.join("mutated");
    for n in 0..options.mutations {
        if place.exists() {
            fs::remove_dir_all(&place)?;
        }
        copy(&runs[(n % runs.len() as u64) as usize], &place)?;
        let files = files_below(&place)?;
        let file = &files[random.below(files.len() as u64) as usize];
        mutate(file, &mut random)?;
        let tried = rig.try_it(&rig.query(&place, "sum by (__name__) ({__name__!=\"\"})"))?;
        worst.take(&file.strip_prefix(&place).unwrap_or(file).display().to_string(), &tried);
    }
    Ok(worst.outcome())
}

/// Changes, cuts off, doubles or empties a part of a file.
fn mutate(path: &Path, random: &mut Random) -> Result<()> {
    let mut bytes = fs::read(path)?;
    let length = bytes.len() as u64;
    if length == 0 {
        return write(path, &[0; 64]);
    }
    let at = random.below(length) as usize;
    match random.below(5) {
        0 => bytes.truncate(at),
        1 => bytes[at..].iter_mut().take(64).for_each(|b| *b = 0),
        2 => bytes[at..].iter_mut().take(16).for_each(|b| *b = 0xff),
        3 => bytes.extend_from_within(at..),
        _ => bytes[at] ^= 1 << random.below(8),
    }
    write(path, &bytes)
}

/// Documents that are deep, wide, long, circular or not text.
fn hostile_documents() -> Vec<(&'static str, Vec<u8>)> {
    let many = |n: usize, part: &str| part.repeat(n);
    let bomb: String =
        (1..30).map(|n| format!("b{n}: &b{n} [*b{0}, *b{0}, *b{0}, *b{0}]\n", n - 1)).collect();
    let keys: String = (0..200_000).map(|n| format!("k{n}: 1\n")).collect();
    let mut documents: Vec<(&'static str, Vec<u8>)> = vec![
        ("deep lists", many(200_000, "[").into()),
        ("deep maps", many(50_000, "{a: ").into()),
        ("deep blocks", (0..2_000).map(|n| format!("{}a:\n", " ".repeat(n))).collect::<String>().into()),
        ("aliases that multiply", format!("b0: &b0 [x, x]\n{bomb}").into()),
        ("an alias of itself", "a: &a [*a]\n".into()),
        ("200,000 keys", keys.into()),
        ("200,000 equal keys", many(200_000, "a: 1\n").into()),
        ("a key of a megabyte", format!("? {}\n: 1\n", many(1 << 20, "k")).into()),
        ("a text of 20 MB", format!("scenario: \"{}\"\n", many(20 << 20, "x")).into()),
        ("text without its end", "scenario: \"x".into()),
        ("tabs", "scenario:\tx\n\tflow: []\n".into()),
        ("a mark of byte order and nothing", vec![0xef, 0xbb, 0xbf]),
        ("zeros", vec![0; 4096]),
        ("bytes that are not UTF-8", vec![0xff, 0xfe, 0x80, b'\n']),
        ("a hundred thousand documents", many(100_000, "---\na: 1\n").into()),
        ("a tag of a type", "scenario: !!python/object:os.system [x]\n".into()),
        ("escape codes", "scenario: \"\\e[2J\\x07\"\nflow: 1\n".into()),
        (
            "numbers out of range",
            "scenario: 1e999\nflow: -99999999999999999999999999\nphases: 0x7fffffffffffffffff\n".into(),
        ),
        (
            "anchors without number",
            (0..100_000).map(|n| format!("a{n}: &x{n} 1\n")).collect::<String>().into(),
        ),
        ("merges", "a: &a {b: 1}\nc: {<<: [*a, *a], <<: *a}\n".into()),
    ];
    for expression in ["(", "-", "sum(", "x and ", "x[5m:1ms", "{a=~\"("] {
        let text =
            format!("groups: [{{name: g, rules: [{{record: r, expr: '{}'}}]}}]\n", many(20_000, expression));
        documents.push(("an expression that nests", text.into()));
    }
    documents
}

fn hostile_yaml(rig: &Rig) -> Result<(String, bool)> {
    let (path, mut worst) = (rig.dir.join("hostile.yml"), Worst::default());
    for (name, bytes) in hostile_documents() {
        write(&path, &bytes)?;
        for (program, chore) in [(&rig.loadgen, "check"), (&rig.ruleseval, "check"), (&rig.ruleseval, "test")]
        {
            let mut command = Command::new(program);
            command.arg(chore).arg(&path);
            worst.take(&format!("{chore} {name}"), &rig.try_it(&command)?);
        }
    }
    Ok(worst.outcome())
}

fn hostile_manifests(rig: &Rig) -> Result<(String, bool)> {
    let (place, mut worst) = (rig.dir.join("described"), Worst::default());
    copy(&rig.run, &place)?;
    let path = place.join("run.json");
    let text = fs::read_to_string(&path)?;
    let with = |start: &str, end: &str| {
        format!(
            "{{\"version\":1,\"scenario\":\"s\",\"start\":\"{start}\",\"end\":\"{end}\",\"phases\":[{{\"name\":\"p\",\"start\":\"{start}\",\"end\":\"{end}\",\"warmup\":false}}]}}"
        )
    };
    let hostile = [
        with("1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z"),
        with("-9999-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
        with("-9e14", "9e14"),
        with("2026-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
        text.replace("\"version\": 1", "\"version\": 99999999999"),
        "[".repeat(100_000),
        "{\"phases\":".repeat(50_000),
        String::new(),
        text[..text.len() / 2].to_owned(),
        format!(
            "{{\"version\":1,\"scenario\":\"{}\",\"start\":\"2026-01-01T00:00:00Z\"}}",
            "s".repeat(20 << 20)
        ),
    ];
    for text in hostile {
        write(&path, text.as_bytes())?;
        let mut eval = Command::new(&rig.ruleseval);
        eval.arg("eval").arg(&place);
        for command in [eval, rig.query(&place, "up")] {
            worst.take(&text.chars().take(60).collect::<String>(), &rig.try_it(&command)?);
        }
    }
    Ok(worst.outcome())
}

/// A run that says that it lasted for a hundred days, and rules that write each second of it.
fn long_replay(rig: &Rig) -> Result<(String, bool)> {
    let (place, rules) = (rig.dir.join("long"), rig.dir.join("each-second.yml"));
    copy(&rig.run, &place)?;
    let described =
        r#"{"version":1,"scenario":"s","start":"2026-01-01T00:00:00Z","end":"2026-04-11T00:00:00Z"}"#;
    write(&place.join("run.json"), described.as_bytes())?;
    let each: String = (0..12).map(|n| format!("  - {{record: r{n}, expr: vector({n})}}\n")).collect();
    write(&rules, format!("groups:\n- name: g\n  interval: 1s\n  rules:\n{each}").as_bytes())?;
    let mut eval = Command::new(&rig.ruleseval);
    let verdict = rig.dir.join("long.json");
    eval.arg("eval").arg(&place).arg("--rules").arg(&rules).args(["--max-memory", "200MB"]);
    let tried = rig.try_it(eval.arg("--json").arg(&verdict))?;
    let is_named = fs::read_to_string(&verdict)?.contains("more than 190 MiB of memory");
    let measured = format!(
        "exit {}, {:.0} MiB, {:.0} s{}",
        tried.code.unwrap_or(-1),
        tried.peak_mib,
        tried.wall_s,
        if is_named { "" } else { ", the limit is not named" }
    );
    Ok((measured, tried.code == Some(3) && is_named && tried.peak_mib < 400.0))
}

//! Groups of processes by rules, in process-exporter's format.
//!
//! A rule names a group for the processes that it matches: `comm` and `exe` are lists of which one must match, `cmdline`
//! are patterns that all must match, and the kinds must all match. The first rule that matches wins. Invariant: a
//! process's name depends on it alone, so that it stays as long as the process does.

mod template;

use std::{collections::HashMap, path::Path};

use assay_yaml::{Cx, Document, Node};
use regex::Regex;

use self::template::Template;
use crate::{Host, Settings, host::read};

/// The rules of a file; without a file, each process is in the group of its executable's name.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    name: Template,
    comm: Vec<String>,
    exe: Vec<String>,
    cmdline: Vec<Regex>,
}

/// What rules look at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) comm: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) user: String,
    pub(crate) cgroups: String,
    pub(crate) start_s: f64,
}

impl Rules {
    /// The rules of the switch `--collector.groups.config`; it was checked at the start.
    pub(crate) fn of(settings: &Settings) -> Self {
        match settings.text("collector.groups.config") {
            "" => Self::default(),
            path => Self::load(Path::new(path)).unwrap_or_default(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// A line for each problem, with file, line and column.
    pub(crate) fn load(path: &Path) -> Result<Self, String> {
        let document = Document::read(path).map_err(|problems| problems.to_string())?;
        let mut cx = Cx::new(&document);
        let mut rules = Vec::new();
        if let Some(mut map) = cx.map(document.root(), "a file of process groups") {
            let list = map.require(&mut cx, "process_names");
            match list.map(|node| (node, node.as_seq())) {
                Some((_, Some(items))) => rules.extend(items.iter().filter_map(|item| rule(&mut cx, item))),
                Some((node, None)) => cx.error(node, "expected a list of rules"),
                None => {}
            }
            map.finish(&mut cx);
        }
        cx.finish().map_err(|problems| problems.to_string())?;
        Ok(Self { rules })
    }

    /// Whether any rule looks at more than the name of the process.
    pub(crate) fn needs_arguments(&self) -> bool {
        !self.rules.is_empty()
    }

    /// The group of a process; `None` where no rule matches.
    pub(crate) fn name(&self, process: &Process) -> Option<String> {
        if self.rules.is_empty() {
            return Some(process.exe_base().to_owned());
        }
        self.rules.iter().find_map(|rule| rule.name(process))
    }

    /// The group of the process of that number, read now.
    pub(crate) fn name_of_pid(&self, host: &Host, pid: u32) -> Option<String> {
        let directory = host.paths.procfs.join(pid.to_string());
        let comm = read(&directory.join("comm")).ok()?.trim_end().to_owned();
        self.name(&Process { pid, comm, arguments: arguments(&directory), ..Process::default() })
    }
}

/// The command line of a process; empty for one of the kernel's.
pub(crate) fn arguments(directory: &Path) -> Vec<String> {
    let text = read(&directory.join("cmdline")).unwrap_or_default();
    text.split('\0').filter(|argument| !argument.is_empty()).map(str::to_owned).collect()
}

impl Process {
    fn exe_full(&self) -> &str {
        self.arguments.first().map_or(self.comm.as_str(), String::as_str)
    }

    fn exe_base(&self) -> &str {
        let full = self.exe_full();
        full.rsplit('/').next().filter(|base| !base.is_empty()).unwrap_or(full)
    }
}

impl Rule {
    fn name(&self, process: &Process) -> Option<String> {
        let exe = |exe: &String| {
            // A name with a slash is a whole path.
            if exe.contains('/') { exe == process.exe_full() } else { exe == process.exe_base() }
        };
        let is_match = (self.comm.is_empty() || self.comm.contains(&process.comm))
            && (self.exe.is_empty() || self.exe.iter().any(exe));
        if !is_match {
            return None;
        }
        let mut matches = HashMap::new();
        if !self.cmdline.is_empty() {
            let line = process.arguments.join(" ");
            for pattern in &self.cmdline {
                let found = pattern.captures(&line)?;
                for name in pattern.capture_names().flatten() {
                    matches.insert(name, found.name(name).map_or("", |m| m.as_str()).to_owned());
                }
            }
        }
        Some(self.name.fill(|field| {
            Some(match field {
                "Comm" => process.comm.clone(),
                "ExeBase" => process.exe_base().to_owned(),
                "ExeFull" => process.exe_full().to_owned(),
                "Username" => process.user.clone(),
                "PID" => process.pid.to_string(),
                "StartTime" => process.start_s.to_string(),
                "Cgroups" => process.cgroups.clone(),
                other => matches.get(other.strip_prefix("Matches.")?)?.clone(),
            })
        }))
    }
}

fn rule(cx: &mut Cx<'_>, node: &Node) -> Option<Rule> {
    let mut map = cx.map(node, "a rule")?;
    let name = match map.get("name") {
        None => Template::default_name(),
        Some(node) => {
            let text = cx.string(node)?;
            Template::parse(&text).map_err(|problem| cx.error(node, problem)).ok()?
        }
    };
    let (comm, exe) = (strings(cx, map.get("comm")), strings(cx, map.get("exe")));
    let mut cmdline = Vec::new();
    for item in map.get("cmdline").and_then(|node| node.as_seq()).unwrap_or_default() {
        let Some(text) = cx.string(item) else { continue };
        match Regex::new(&text) {
            Ok(pattern) => cmdline.push(pattern),
            Err(cause) => {
                // The last line says what is wrong, those before show where in the pattern.
                let text = cause.to_string();
                let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                cx.error(item, format!("not a valid regular expression: {last}"));
            }
        }
    }
    map.finish(cx);
    if comm.is_empty() && exe.is_empty() && cmdline.is_empty() {
        cx.error(node, "the rule matches nothing: give comm, exe or cmdline");
        return None;
    }
    Some(Rule { name, comm, exe, cmdline })
}

fn strings(cx: &mut Cx<'_>, node: Option<&Node>) -> Vec<String> {
    let items = node.and_then(|node| node.as_seq()).unwrap_or_default();
    items.iter().filter_map(|item| cx.string(item)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(comm: &str, arguments: &[&str]) -> Process {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Process { pid: 7, comm: comm.to_owned(), arguments, ..Process::default() }
    }

    #[test]
    fn the_first_rule_that_matches_names_the_group() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("groups.yml");
        std::fs::write(
            &path,
            "process_names:\n\
             - name: \"{{.Matches.Service}}:{{.PID}}\"\n  exe: [/usr/bin/java]\n  cmdline: ['-Dname=(?P<Service>\\w+)']\n\
             - {comm: [bash, sh]}\n\
             - {name: python, exe: [python3], cmdline: [serve]}\n",
        )
        .unwrap();
        let rules = Rules::load(&path).unwrap();
        let check = |process: &Process, want: Option<&str>| assert_eq!(rules.name(process).as_deref(), want);
        check(&process("java", &["/usr/bin/java", "-Dname=search"]), Some("search:7"));
        check(&process("java", &["/usr/bin/java"]), None);
        check(&process("bash", &["-bash"]), Some("-bash"));
        check(&process("python3", &["/opt/python3", "-m", "serve"]), Some("python"));
        check(&process("kworker/0:1", &[]), None);
        assert_eq!(Rules::default().name(&process("kthreadd", &[])).as_deref(), Some("kthreadd"));
    }

    #[test]
    fn what_is_wrong_is_reported_with_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("groups.yml");
        std::fs::write(
            &path,
            "process_names:\n- {name: '{{.Nam}}', comm: [a]}\n- {cmdline: ['(']}\n- {name: x}\n",
        )
        .unwrap();
        let problems = Rules::load(&path).unwrap_err();
        let places: Vec<_> =
            problems.lines().filter_map(|l| l.split_once("groups.yml:")).map(|(_, l)| l).collect();
        assert!(places[0].starts_with("2:10: unknown field .Nam"), "{problems}");
        assert!(
            places.iter().any(|l| l.starts_with("3:14: not a valid regular expression: unclosed group")),
            "{problems}"
        );
        assert!(places.iter().any(|l| l.contains("the rule matches nothing")), "{problems}");
    }
}

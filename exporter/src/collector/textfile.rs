//! Metrics that other programs leave as `*.prom` files in a directory.
//!
//! Invariant: a file that cannot be read, is no regular file, does not parse or has timestamps shows nothing at all, sets
//! `node_textfile_scrape_error`, and leaves the other files alone. Nothing here replaces a metric of the host itself.

mod glob;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Mutex, PoisonError},
    time::UNIX_EPOCH,
};

use assay_model::expo::{Dialect, MetricFamily, parse_families};

use super::{Collector, Entry, Runs};
use crate::{
    Failure, Families, Host, Settings,
    host::{list, read},
    settings::{Flag, Kind},
};

pub(super) const ENTRY: Entry = Entry::on("textfile", "Metrics that other programs leave as files", |s| {
    Box::new(Textfile::new(s))
})
.runs(Runs::Aside)
.flags(&[Flag::new(
    "collector.textfile.directory",
    Kind::List(&[]),
    "Where other programs leave metrics as *.prom files; the name may have *, ? and [abc]; may be repeated",
)]);

/// The directories' files. Without a directory there is nothing to show.
struct Textfile {
    directories: Vec<String>,
    /// What the log has told.
    problems: Mutex<BTreeSet<String>>,
}

impl Textfile {
    fn new(settings: &Settings) -> Self {
        let directories = settings.list("collector.textfile.directory");
        Self {
            directories: directories.iter().filter(|directory| !directory.is_empty()).cloned().collect(),
            problems: Mutex::default(),
        }
    }

    /// Each problem is logged when it appears.
    fn report(&self, problems: BTreeSet<String>) {
        let mut known = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        for problem in problems.difference(&known) {
            tracing::error!(collector = "textfile", "{problem}");
        }
        *known = problems;
    }
}

impl Collector for Textfile {
    fn may_hang(&self, _host: &Host) -> bool {
        !self.directories.is_empty()
    }

    fn collect(&self, _host: &Host, out: &mut Families) -> Result<(), Failure> {
        let mut problems = BTreeSet::new();
        for pattern in &self.directories {
            let directories = glob::directories(pattern);
            if directories.is_empty() {
                problems.insert(format!("{pattern} does not exist"));
            }
            for directory in directories {
                show(&directory, out, &mut problems);
            }
        }
        let failed = f64::from(u8::from(!problems.is_empty()));
        out.gauge("node_textfile_scrape_error", "1 where a file could not be shown.", &[], failed);
        // One file of many must not fail the collector; the metric tells of it, and so does the log.
        self.report(problems);
        Ok(())
    }
}

fn show(directory: &Path, out: &mut Families, problems: &mut BTreeSet<String>) {
    let names = list(directory).unwrap_or_else(|failure| {
        problems.insert(failure.to_string());
        Vec::new()
    });
    for path in names.iter().filter(|name| name.ends_with(".prom")).map(|name| directory.join(name)) {
        match families(&path) {
            Ok((families, modified_s)) => {
                let file = path.to_string_lossy();
                for family in families {
                    let help = match family.help.as_str() {
                        "" => format!("Metric read from {file}"),
                        help => help.to_owned(),
                    };
                    for metric in family.metrics {
                        out.push(family.metric_type, &family.name, &help, metric);
                    }
                }
                let help = "When the file was written, in seconds since the Unix epoch.";
                out.gauge("node_textfile_mtime_seconds", help, &[("file", &*file)], modified_s);
            }
            Err(problem) => {
                problems.insert(problem);
            }
        }
    }
}

fn families(path: &Path) -> Result<(Vec<MetricFamily>, f64), String> {
    let metadata = path.metadata().map_err(|cause| format!("{}: {cause}", path.display()))?;
    if !metadata.is_file() {
        return Err(format!("{} is not a regular file", path.display()));
    }
    let text = read(path).map_err(|failure| failure.to_string())?;
    let families =
        parse_families(&text, Dialect::Text).map_err(|errors| format!("{}: {errors}", path.display()))?;
    if families.iter().flat_map(|family| &family.metrics).any(|metric| metric.t_ms.is_some()) {
        return Err(format!(
            "{}: samples have timestamps, which a scrape gives them; leave them out",
            path.display()
        ));
    }
    let modified = metadata.modified().map_err(|cause| format!("{}: {cause}", path.display()))?;
    Ok((families, modified.duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use assay_model::expo::write_text;

    use super::*;
    use crate::Paths;

    #[test]
    fn good_files_are_shown_and_bad_ones_are_reported() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
        let pattern = directory.path().to_str().unwrap();
        let textfile =
            Textfile::new(&Settings::default().with("collector.textfile.directory", pattern).unwrap());
        let shown = || {
            let mut out = Families::new();
            textfile.collect(&Host::new(Paths::default(), None), &mut out).unwrap();
            let mut families = out.finish();
            families.retain(|family| family.name != "node_textfile_mtime_seconds");
            let mut text = String::new();
            write_text(&mut text, &families);
            text.lines().filter(|line| !line.starts_with("# HELP")).collect::<Vec<_>>().join("\n")
        };
        write("backup.prom", "# TYPE backup_age_seconds gauge\nbackup_age_seconds{db=\"a\"} 12\n");
        write("notes.txt", "no metrics\n");
        let good = "# TYPE backup_age_seconds gauge\nbackup_age_seconds{db=\"a\"} 12";
        let error = |n| format!("# TYPE node_textfile_scrape_error gauge\nnode_textfile_scrape_error {n}");
        assert_eq!(shown(), format!("{good}\n{}", error(0)));
        write("broken.prom", "good 1\nbad{ 2\n");
        assert_eq!(shown(), format!("{good}\n{}", error(1)));
        fs::remove_file(directory.path().join("broken.prom")).unwrap();
        write("timed.prom", "fresh 1\ntimed 1 1700000000000\n");
        assert_eq!(shown(), format!("{good}\n{}", error(1)));
        fs::remove_file(directory.path().join("timed.prom")).unwrap();
        fs::create_dir(directory.path().join("directory.prom")).unwrap();
        assert_eq!(shown(), format!("{good}\n{}", error(1)));
    }
}

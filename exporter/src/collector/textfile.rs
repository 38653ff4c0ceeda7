//! Metrics that other programs leave as `*.prom` files in a directory.
//!
//! Invariant: a file that cannot be read, does not parse or has timestamps shows nothing at all, sets
//! `node_textfile_scrape_error`, and leaves the other files alone.

use std::{path::PathBuf, time::UNIX_EPOCH};

use assay_model::expo::{Dialect, MetricFamily, parse_families};

use super::Collector;
use crate::{
    Failure, Families, Host, Options,
    host::{list, read},
};

/// The directories' files. Without a directory there is nothing to show.
pub(super) struct Textfile {
    directories: Vec<PathBuf>,
}

impl Textfile {
    pub(super) fn new(options: &Options) -> Self {
        Self { directories: options.textfile_directories.clone() }
    }
}

impl Collector for Textfile {
    fn collect(&self, _host: &Host, out: &mut Families) -> Result<(), Failure> {
        let mut problems = Vec::new();
        for directory in &self.directories {
            let names = list(directory).unwrap_or_else(|failure| {
                problems.push(failure.to_string());
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
                    Err(problem) => problems.push(problem),
                }
            }
        }
        let failed = f64::from(u8::from(!problems.is_empty()));
        out.gauge("node_textfile_scrape_error", "1 where a file could not be shown.", &[], failed);
        // One file of many must not fail the collector; the metric tells of it, and so does the log.
        for problem in problems {
            tracing::debug!("textfile: {problem}");
        }
        Ok(())
    }
}

fn families(path: &std::path::Path) -> Result<(Vec<MetricFamily>, f64), String> {
    let text = read(path).map_err(|failure| failure.to_string())?;
    let families =
        parse_families(&text, Dialect::Text).map_err(|errors| format!("{}: {errors}", path.display()))?;
    if families.iter().flat_map(|family| &family.metrics).any(|metric| metric.t_ms.is_some()) {
        return Err(format!(
            "{}: samples have timestamps, which a scrape gives them; leave them out",
            path.display()
        ));
    }
    let modified =
        path.metadata().and_then(|m| m.modified()).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok((families, modified.duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use assay_model::expo::write_text;

    use super::*;
    use crate::Paths;

    #[test]
    fn good_files_are_shown_and_bad_ones_are_told_of() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
        let shown = || {
            let textfile = Textfile { directories: vec![directory.path().to_owned()] };
            let mut out = Families::new();
            textfile.collect(&Host { paths: Paths::default(), deadline: None }, &mut out).unwrap();
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
    }
}

//! Blocks whose files are shortened or overwritten while they are read, as a copy onto a live directory or a network
//! file system does it: an error, and never the end of the process.

use std::{
    fs::OpenOptions,
    path::{Path, PathBuf},
};

use assay_model::{Column, Labels, Matcher, QueryError, Queryable as _};
use assay_tsdb::{Database, Head, HeadOptions, OpenOptions as DatabaseOptions};

/// A block of many pages in each of its files.
fn block(dir: &Path) {
    let mut head = Head::create(dir, HeadOptions::default()).expect("is created");
    for t in 0..120_i64 {
        for i in 0..400_i64 {
            let labels = Labels::from_pairs([("__name__", "m"), ("instance", &format!("instance-{i:040}"))]);
            let noise = (i * 7919 + t * 104_729) % 1_000_003;
            head.append(&labels, t * 15_000, noise as f64 / 7.0).expect("is taken");
        }
        head.commit().expect("commits");
    }
    head.finish().expect("finishes");
}

fn file(dir: &Path, name: &str) -> PathBuf {
    let entries = std::fs::read_dir(dir).expect("lists").map(|e| e.expect("an entry").path());
    let block = entries.into_iter().find(|p| p.join("meta.json").is_file()).expect("a block");
    block.join(name)
}

fn read_all(database: &Database) -> Result<usize, QueryError> {
    let mut column = Column::default();
    let mut samples = 0;
    for series in database.select(&[Matcher::equal("__name__", "m")], i64::MIN, i64::MAX)? {
        column.clear();
        series.read(i64::MIN, i64::MAX, &mut column)?;
        samples += column.times.len();
    }
    database.label_values("instance", &[])?;
    Ok(samples)
}

/// Shortens a file of an open block to `keep` of its length and reads everything, twice.
fn check(name: &str, keep: f64) {
    let dir = tempfile::tempdir().expect("a directory");
    block(dir.path());
    let database = Database::open(dir.path(), DatabaseOptions::default()).expect("opens");
    assert_eq!(read_all(&database).expect("is whole"), 400 * 120);
    let path = file(dir.path(), name);
    let whole = std::fs::metadata(&path).expect("a file").len();
    let shortened = OpenOptions::new().write(true).open(&path).expect("opens");
    shortened.set_len((whole as f64 * keep) as u64).expect("is shortened");
    for _ in 0..2 {
        let error = read_all(&database).expect_err("what is gone cannot be read").to_string();
        assert!(error.contains(name), "{name} at {keep}: {error}");
    }
    // Growing again brings nothing back.
    shortened.set_len(whole).expect("grows");
    assert!(read_all(&database).is_err() || keep > 0.9, "{name} at {keep}");
}

#[cfg(unix)]
#[test]
fn chunks_that_are_gone_are_an_error() {
    for keep in [0.0, 0.3, 0.999] {
        check("chunks/000001", keep);
    }
}

#[cfg(unix)]
#[test]
fn an_index_that_is_gone_is_an_error() {
    for keep in [0.0, 0.3, 0.999] {
        check("index", keep);
    }
}

/// Other bytes in the place of those that were mapped: chunks have checksums, which are checked as they are read. What
/// the index says is checked once; after that a wrong byte in it is a wrong or missing series, and still no end.
#[cfg(unix)]
#[test]
fn overwritten_files_are_errors_or_read_and_end_nothing() {
    use std::os::unix::fs::FileExt as _;
    for name in ["chunks/000001", "index"] {
        let dir = tempfile::tempdir().expect("a directory");
        block(dir.path());
        let database = Database::open(dir.path(), DatabaseOptions::default()).expect("opens");
        assert_eq!(read_all(&database).expect("is whole"), 400 * 120);
        let path = file(dir.path(), name);
        let whole = std::fs::read(&path).expect("reads");
        let writer = OpenOptions::new().write(true).open(&path).expect("opens");
        let mut refused = 0;
        for n in 0..40 {
            let at = whole.len() * n / 40;
            let other: Vec<u8> = whole[at..whole.len().min(at + 64)].iter().map(|b| !b).collect();
            writer.write_all_at(&other, at as u64).expect("writes");
            refused += usize::from(read_all(&database).is_err());
            writer.write_all_at(&whole[at..at + other.len()], at as u64).expect("writes");
        }
        if name != "index" {
            assert_eq!(refused, 40);
        }
        assert_eq!(read_all(&database).expect("is whole again"), 400 * 120);
    }
}

/// A fault that is not in a mapping of ours still ends the process: it is not ours to hide.
#[cfg(target_os = "linux")]
#[test]
fn other_faults_are_left_to_others() {
    use std::os::unix::process::ExitStatusExt as _;
    const SIGBUS: i32 = 7;
    if std::env::var_os("FAULT_CHILD").is_some() {
        let dir = tempfile::tempdir().expect("a directory");
        block(dir.path());
        let database = Database::open(dir.path(), DatabaseOptions::default()).expect("opens");
        assert!(read_all(&database).is_ok());
        let me = std::process::id().to_string();
        // The first one makes Rust's own handler put the default action back, as for a fault that comes again. Two that come before
        // the process has had the first are one.
        for _ in 0..1000 {
            let _ = std::process::Command::new("kill").args(["-BUS", &me]).status();
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        return;
    }
    let done = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "other_faults_are_left_to_others"])
        .env("FAULT_CHILD", "1")
        .output()
        .expect("starts");
    assert_eq!(done.status.signal(), Some(SIGBUS), "{done:?}");
}

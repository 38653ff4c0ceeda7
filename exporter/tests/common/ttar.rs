//! node_exporter's archives of small files (`ttar`).

use std::{fs, os::unix::fs::symlink, path::Path};

/// Unpacks an archive into a directory.
pub(crate) fn unpack(archive: &Path, into: &Path) {
    let text = fs::read_to_string(archive).expect("an archive");
    let mut lines = text.lines();
    let mut path = into.to_owned();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("Path: ") {
            path = into.join(name);
            fs::create_dir_all(path.parent().expect("a file in a directory")).expect("a directory");
        } else if let Some(name) = line.strip_prefix("Directory: ") {
            fs::create_dir_all(into.join(name)).expect("a directory");
        } else if let Some(target) = line.strip_prefix("SymlinkTo: ") {
            symlink(target, &path).expect("a link");
        } else if let Some(count) = line.strip_prefix("Lines: ") {
            let count = count.parse().expect("a number of lines");
            let mut body: String = lines.by_ref().take(count).map(|line| format!("{line}\n")).collect();
            body = body.replace("NULLBYTE", "\0");
            if body.ends_with("EOF\n") {
                body.truncate(body.len() - "EOF\n".len());
            }
            fs::write(&path, body).expect("a file");
        }
    }
}

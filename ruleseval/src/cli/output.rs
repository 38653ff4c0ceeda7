//! Where output goes. Invariant: a regular file is there whole or not at all, and nothing else changes its kind.

use std::{
    io::{ErrorKind, Write as _},
    path::Path,
};

use anyhow::Context as _;
use assay_text::console;

/// The path that stands for standard output.
pub(super) fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Writes a report to a file, or to standard output if the path is `-`.
///
/// A regular file is replaced as a whole; devices, FIFOs and what links point to are written through. The file that
/// GitHub Actions gives a job for its summary holds what earlier steps wrote, so that one is appended to. The folder must
/// exist.
pub(super) fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if is_stdout(path) {
        return print(text);
    }
    let is_summary =
        std::env::var_os("GITHUB_STEP_SUMMARY").is_some_and(|summary| is_same(path, Path::new(&summary)));
    let is_replaced = match std::fs::symlink_metadata(path) {
        Ok(found) => found.is_file(),
        Err(e) => e.kind() == ErrorKind::NotFound,
    };
    let written = match (is_summary, is_replaced) {
        (true, _) => append(path, text),
        (false, true) => replace(path, text),
        (false, false) => std::fs::OpenOptions::new()
            .write(true)
            // What a link points to may not exist yet.
            .create(true)
            .truncate(true)
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes())),
    };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty() && !p.exists());
    written.with_context(|| match folder {
        Some(folder) => format!("{}: the folder {} does not exist", path.display(), folder.display()),
        None => format!("{}: cannot be written", path.display()),
    })
}

/// Whether two paths are of one file, however they are written.
fn is_same(a: &Path, b: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    a == b || real(a).is_some_and(|a| real(b) == Some(a))
}

fn append(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(text.as_bytes())
}

/// Writes a draft next to the file and renames it, with the file's permissions if it exists.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.tmp", std::process::id()));
    let draft = Path::new(&draft);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(draft)?;
    let permissions = std::fs::metadata(path).map(|m| m.permissions());
    let done = file
        .write_all(text.as_bytes())
        .and_then(|()| permissions.map_or(Ok(()), |p| file.set_permissions(p)))
        .and_then(|()| std::fs::rename(draft, path));
    if done.is_err() {
        // What could not be finished is not left behind.
        let _ = std::fs::remove_file(draft);
    }
    done
}

/// Prints data.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    Ok(console::print(text)?)
}

/// A command line as a shell takes it.
pub(super) fn shell(arguments: &[String]) -> String {
    let quote = |text: &String| {
        let safe = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+*".contains(c);
        if !text.is_empty() && text.chars().all(safe) {
            text.clone()
        } else {
            format!("'{}'", text.replace('\'', "'\\''"))
        }
    };
    arguments.iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_pasted() {
        let args = ["ruleseval", "query", "runs/a b", "up{job='x'}"].map(str::to_owned);
        assert_eq!(shell(&args), r"ruleseval query 'runs/a b' 'up{job='\''x'\''}'");
    }

    #[test]
    fn a_regular_file_is_replaced_as_a_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("b.json");
        for text in ["{}", "[]"] {
            write(&path, text).expect("writes");
            assert_eq!(std::fs::read_to_string(&path).expect("reads"), text);
        }
        assert_eq!(std::fs::read_dir(dir.path()).expect("lists").count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_known_by_any_path() {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, link) = (dir.path().join("summary.md"), dir.path().join("link.md"));
        assert!(is_same(&file, &file), "where there is none yet");
        std::fs::write(&file, "").expect("writes");
        std::os::unix::fs::symlink(&file, &link).expect("links");
        assert!(is_same(&file, &link) && is_same(&dir.path().join("./summary.md"), &file));
        assert!(!is_same(&file, dir.path()));
    }

    #[test]
    fn no_folder_is_made_that_nobody_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let error = write(&dir.path().join("a/b.json"), "{}").expect_err("refused").to_string();
        assert!(
            error.ends_with(&format!("the folder {} does not exist", dir.path().join("a").display())),
            "{error}"
        );
        assert!(!dir.path().join("a").exists());
    }

    #[cfg(unix)]
    #[test]
    fn devices_fifos_and_links_are_written_through() {
        use std::os::unix::fs::FileTypeExt as _;
        let dir = tempfile::tempdir().expect("a directory");
        // A device stays one.
        write(Path::new("/dev/null"), "{}").expect("writes");
        assert!(std::fs::metadata("/dev/null").expect("is there").file_type().is_char_device());
        // A link stays one, and what it points to is written.
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        std::fs::write(&target, "what was there, longer").expect("writes");
        std::os::unix::fs::symlink(&target, &link).expect("links");
        write(&link, "{}").expect("writes");
        assert!(std::fs::symlink_metadata(&link).expect("is there").is_symlink());
        assert_eq!(std::fs::read_to_string(&target).expect("reads"), "{}");
        std::fs::remove_file(&target).expect("removes");
        write(&link, "[]").expect("writes what the link points to");
        assert_eq!(std::fs::read_to_string(&target).expect("reads"), "[]");
        // A FIFO hands the report to its reader.
        let fifo = dir.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().expect("runs").success());
        let reader = std::thread::spawn({
            let fifo = fifo.clone();
            move || std::fs::read_to_string(fifo)
        });
        write(&fifo, "[1]").expect("writes");
        assert_eq!(reader.join().expect("no panic").expect("reads"), "[1]");
        assert!(std::fs::symlink_metadata(&fifo).expect("is there").file_type().is_fifo());
    }
}

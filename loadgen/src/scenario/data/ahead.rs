//! A large data file, read ahead of those who use its rows. Invariant: so many bytes of rows are held and no more, and a
//! user waits only if the file is read slower than its rows are used.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufReader},
    path::Path,
    sync::{Arc, Condvar, Mutex, PoisonError, Weak},
    thread,
    time::Duration,
};

use minijinja::value::Value;

use super::rows::Format;

/// The most rows that are read ahead, which is also what `random` draws from.
const MOST_ROWS: usize = 1024;
/// The most bytes that they may take, as JSON.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// How long a user waits for a row.
const PATIENCE: Duration = Duration::from_secs(5);

/// Rows of a file, read ahead.
#[derive(Debug)]
pub(crate) struct Ahead {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    rows: VecDeque<Row>,
    bytes: usize,
    /// Why no more rows come.
    ended: Option<String>,
}

#[derive(Debug)]
struct Row {
    value: Value,
    bytes: usize,
    /// How often the whole file was read before.
    pass: u64,
}

impl Ahead {
    /// Starts to read; of each `step` rows the one with number `first` is kept.
    ///
    /// # Errors
    /// Where the system has no thread left.
    pub(crate) fn start(path: &Path, format: Format, first: u64, step: u64) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let (weak, path) = (Arc::downgrade(&shared), path.to_owned());
        thread::Builder::new().name("data".to_owned()).spawn(move || {
            let why = read(&weak, &path, format, first, step);
            if let Some(shared) = weak.upgrade() {
                if let Some(why) = &why {
                    tracing::error!("{}{why}", path.display());
                }
                shared.state().ended = Some(why.unwrap_or_default());
                shared.changed.notify_all();
            }
        })?;
        Ok(Self { shared })
    }

    /// The next row, from the start again after the last.
    pub(crate) fn next(&self) -> Option<Value> {
        self.take(|_| 0).map(|row| row.value)
    }

    /// The next row, once in a run.
    pub(crate) fn unique(&self) -> Option<Value> {
        self.take(|_| 0).filter(|row| row.pass == 0).map(|row| row.value)
    }

    /// One of the rows that were read ahead, `draw`n below their number.
    pub(crate) fn random(&self, draw: impl FnOnce(usize) -> usize) -> Option<Value> {
        self.take(draw).map(|row| row.value)
    }

    fn take(&self, draw: impl FnOnce(usize) -> usize) -> Option<Row> {
        let state = self.shared.state();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, PATIENCE, |state| state.rows.is_empty() && state.ended.is_none());
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        if state.rows.is_empty() {
            return None;
        }
        let at = draw(state.rows.len());
        let row = state.rows.remove(at)?;
        state.bytes -= row.bytes;
        drop(state);
        self.shared.changed.notify_all();
        Some(row)
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the file again and again while somebody uses it; gives what is wrong with it, if anything is.
fn read(shared: &Weak<Shared>, path: &Path, format: Format, first: u64, step: u64) -> Option<String> {
    let mut number = 0u64;
    for pass in 0.. {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) => return Some(format!(": cannot be read: {e}")),
        };
        let before = number;
        let read = format.read_right(BufReader::with_capacity(1 << 16, file), &mut |value| {
            let is_own = number % step == first;
            number += 1;
            !is_own || put(shared, value, pass)
        });
        if let Err((line, e)) = read {
            return Some(format!("{}: {e}", line.map(|l| format!(", line {l}")).unwrap_or_default()));
        }
        if shared.strong_count() == 0 || number == before {
            return None;
        }
    }
    None
}

/// How long a value is as JSON.
fn length(value: &Value) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting does not fail, and what has no form in JSON takes nothing.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// Adds a row when there is room; false if nobody uses the file any longer.
fn put(shared: &Weak<Shared>, value: Value, pass: u64) -> bool {
    const LOOK: Duration = Duration::from_millis(100);
    let bytes = length(&value);
    loop {
        // Held only while it is looked at, so that the end of the users is seen.
        let Some(shared) = shared.upgrade() else { return false };
        let state = shared.state();
        let is_full = |state: &mut State| {
            state.rows.len() >= MOST_ROWS || (state.bytes >= MOST_BYTES && !state.rows.is_empty())
        };
        let waited = shared.changed.wait_timeout_while(state, LOOK, is_full);
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if !timeout.timed_out() {
            state.bytes += bytes;
            state.rows.push_back(Row { value, bytes, pass });
            drop(state);
            shared.changed.notify_all();
            return true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write as _, fs};

    use super::*;

    fn file(name: &str, text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        fs::write(&path, text).expect("is written");
        (folder, path)
    }

    fn rows(n: usize) -> String {
        (0..n).fold(String::new(), |mut text, i| {
            let _ = writeln!(text, "{i}");
            text
        })
    }

    fn text(value: Option<Value>) -> String {
        value.map(|v| v.to_string()).unwrap_or_default()
    }

    #[test]
    fn rows_come_in_order_and_again() {
        let (_folder, path) = file("a.txt", &rows(5000));
        let ahead = Ahead::start(&path, Format::Text, 0, 1).expect("a thread");
        for pass in 0..2 {
            for i in 0..5000 {
                assert_eq!(text(ahead.next()), i.to_string(), "pass {pass}");
            }
        }
    }

    #[test]
    fn shards_have_rows_of_their_own_and_unique_ends() {
        let (_folder, path) = file("a.txt", &rows(10));
        let own = |first| {
            let ahead = Ahead::start(&path, Format::Text, first, 3).expect("a thread");
            std::iter::from_fn(|| ahead.unique()).map(|v| v.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(own(0), ["0", "3", "6", "9"]);
        assert_eq!(own(2), ["2", "5", "8"]);
    }

    #[test]
    fn what_is_held_is_bounded_and_random_draws_from_it() {
        let long = format!("{}\n", "x".repeat(1 << 20)).repeat(40);
        let (_folder, path) = file("a.txt", &long);
        let ahead = Ahead::start(&path, Format::Text, 0, 1).expect("a thread");
        for _ in 0..100 {
            assert_eq!(text(ahead.random(|n| n - 1)).len(), 1 << 20);
            let held = ahead.shared.state().bytes;
            assert!(held <= MOST_BYTES + (1 << 20) + 2, "{held}");
        }
    }

    #[test]
    fn a_wrong_line_ends_the_rows() {
        let (_folder, path) = file("a.jsonl", "{\"a\":1}\n{\"a\":\n");
        let ahead = Ahead::start(&path, Format::JsonLines, 0, 1).expect("a thread");
        assert_eq!(text(ahead.next()), "{'a': 1}");
        assert_eq!(text(ahead.next()), "");
        assert!(ahead.shared.state().ended.as_deref().is_some_and(|why| why.contains("line 2")));
    }
}

//! Data files: CSV with a header, JSON lines, a JSON array, access logs, or plain lines; small ones in memory, large ones read while the
//! load runs.
//!
//! Invariant: a set that was read has a row, and what a large file takes does not depend on its length.

mod ahead;
mod log;
mod rows;

use std::{fs::File, io::BufReader};

use minijinja::value::Value;

pub(crate) use self::{ahead::Ahead, rows::Format};

/// The line, where there is one, and what is wrong with it.
pub(crate) type DataError = (Option<u64>, String);

/// A file from which on rows are read while the load runs, in bytes.
pub(crate) const LARGE: u64 = 32 * 1024 * 1024;

/// A data file.
#[derive(Debug)]
pub(crate) struct DataSet {
    /// Its name in templates.
    pub(crate) name: String,
    /// The columns of a CSV file; empty for other files.
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Rows,
}

/// The rows of a data file.
#[derive(Debug)]
pub(crate) enum Rows {
    /// A text for each line of a plain file, a map for each row of the others.
    Memory(Vec<Value>),
    /// To be read from this file.
    File { path: std::path::PathBuf, format: Format },
}

impl DataSet {
    /// Reads a set from a file's text; the file's extension says which format it has.
    ///
    /// # Errors
    /// The line, where there is one, and what is wrong with it.
    pub(crate) fn parse(name: &str, file: &str, text: &[u8]) -> Result<Self, DataError> {
        let format = Format::of(file)?;
        let mut rows = Vec::new();
        let columns = format.read_right(text, &mut |row| {
            rows.push(row);
            true
        })?;
        if rows.is_empty() {
            return Err((None, "the data file has no rows".to_owned()));
        }
        Ok(Self { name: name.to_owned(), columns, rows: Rows::Memory(rows) })
    }

    /// A set whose file is read while the load runs; its first row is read now.
    ///
    /// # Errors
    /// As [`DataSet::parse`], of the beginning of the file.
    pub(crate) fn large(name: &str, path: std::path::PathBuf) -> Result<Self, DataError> {
        let format = Format::of(&path.to_string_lossy())?;
        let file = File::open(&path).map_err(|e| (None, format!("cannot be read: {e}")))?;
        let mut has_row = false;
        let columns = format.read_right(BufReader::new(file), &mut |_| {
            has_row = true;
            false
        })?;
        if !has_row {
            return Err((None, "the data file has no rows".to_owned()));
        }
        Ok(Self { name: name.to_owned(), columns, rows: Rows::File { path, format } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_format() {
        let check = |file: &str, text: &str, want: &[&str]| {
            let set = DataSet::parse("d", file, text.as_bytes()).expect(file);
            let Rows::Memory(rows) = &set.rows else { panic!("it is small") };
            let got: Vec<_> = rows.iter().map(|r| serde_json::to_string(r).expect("json")).collect();
            assert_eq!(got, want, "{file}");
        };
        check("a.txt", "one\r\n\ntwo\n", &[r#""one""#, r#""two""#]);
        check("a.csv", "id, name\n1,\"A, B\"\n", &[r#"{"id":"1","name":"A, B"}"#]);
        check("a.jsonl", "{\"id\":1}\n\n{\"id\":2}", &[r#"{"id":1}"#, r#"{"id":2}"#]);
        check(
            "a.log",
            "1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] \"GET /a HTTP/1.1\" 200 7\n",
            &[
                r#"{"bytes":7,"host":"1.2.3.4","method":"GET","path":"/a","protocol":"HTTP/1.1","status":200,"time":"10/Oct/2000:13:55:36 -0700","user":"-"}"#,
            ],
        );
        check("a.json", "[{\"id\":1},\n {\"id\":2}]\n", &[r#"{"id":1}"#, r#"{"id":2}"#]);
    }

    #[test]
    fn says_which_line_is_wrong() {
        let line = |file: &str, text: &str| DataSet::parse("d", file, text.as_bytes()).expect_err(file).0;
        assert_eq!(line("a.csv", "id,name\n1,A\n2\n"), Some(3));
        assert_eq!(line("a.jsonl", "{}\n{"), Some(2));
        assert_eq!(line("a.json", "[{},\n{]"), Some(2));
        assert_eq!(line("a.json", "{}"), Some(1));
        assert_eq!(line("a.txt", "\n"), None);
        assert_eq!(line("a.xls", "x"), None);
    }
}

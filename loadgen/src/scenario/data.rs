//! Data files: CSV with a header, JSON lines, or plain lines. Invariant: a set that was read has a row.

use std::collections::BTreeMap;

use minijinja::value::{Serde, Value};

/// The line, where there is one, and what is wrong with it.
pub(crate) type DataError = (Option<usize>, String);

/// The rows of a data file.
#[derive(Debug)]
pub(crate) struct DataSet {
    /// Its name in templates.
    pub(crate) name: String,
    /// The columns of a CSV file; empty for other files.
    pub(crate) columns: Vec<String>,
    /// A text for each line of a plain file, a map for each row of the others.
    pub(crate) rows: Vec<Value>,
}

impl DataSet {
    /// Reads a set from a file's text; the file's extension says which format it has.
    ///
    /// # Errors
    /// The line, where there is one, and what is wrong with it.
    pub(crate) fn parse(name: &str, file: &str, text: &str) -> Result<Self, DataError> {
        let extension = file.rsplit_once('.').map_or("", |(_, e)| e);
        let (columns, rows) = match extension {
            "csv" => csv_rows(text)?,
            "jsonl" | "ndjson" => (Vec::new(), json_rows(text)?),
            "txt" => (Vec::new(), plain_rows(text)),
            other => {
                return Err((
                    None,
                    format!("unknown kind of data file {other:?}; known: .csv, .jsonl, .txt"),
                ));
            }
        };
        if rows.is_empty() {
            return Err((None, "the data file has no rows".to_owned()));
        }
        Ok(Self { name: name.to_owned(), columns, rows })
    }
}

fn plain_rows(text: &str) -> Vec<Value> {
    text.lines().map(str::trim_end).filter(|l| !l.is_empty()).map(Value::from).collect()
}

fn json_rows(text: &str) -> Result<Vec<Value>, DataError> {
    let mut rows = Vec::new();
    for (i, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let row: serde_json::Value =
            serde_json::from_str(line).map_err(|e| (Some(i + 1), format!("not a line of JSON: {e}")))?;
        rows.push(Value::from(Serde(row)));
    }
    Ok(rows)
}

fn csv_rows(text: &str) -> Result<(Vec<String>, Vec<Value>), DataError> {
    let line_of = |e: &csv::Error| e.position().and_then(|p| usize::try_from(p.line()).ok());
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let columns: Vec<String> =
        reader.headers().map_err(|e| (line_of(&e), e.to_string()))?.iter().map(str::to_owned).collect();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| (line_of(&e), e.to_string()))?;
        let row: BTreeMap<String, String> =
            columns.iter().cloned().zip(record.iter().map(str::to_owned)).collect();
        rows.push(Value::from(Serde(row)));
    }
    Ok((columns, rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_format() {
        let check = |file: &str, text: &str, rows: &[&str]| {
            let set = DataSet::parse("d", file, text).expect(file);
            let got: Vec<_> = set.rows.iter().map(|r| serde_json::to_string(r).expect("json")).collect();
            assert_eq!(got, rows, "{file}");
        };
        check("a.txt", "one\r\n\ntwo\n", &[r#""one""#, r#""two""#]);
        check("a.csv", "id, name\n1,\"A, B\"\n", &[r#"{"id":"1","name":"A, B"}"#]);
        check("a.jsonl", "{\"id\":1}\n\n{\"id\":2}", &[r#"{"id":1}"#, r#"{"id":2}"#]);
    }

    #[test]
    fn says_which_line_is_wrong() {
        let line = |file: &str, text: &str| DataSet::parse("d", file, text).expect_err(file).0;
        assert_eq!(line("a.csv", "id,name\n1,A\n2\n"), Some(3));
        assert_eq!(line("a.jsonl", "{}\n{"), Some(2));
        assert_eq!(line("a.txt", "\n"), None);
        assert_eq!(line("a.xls", "x"), None);
    }
}

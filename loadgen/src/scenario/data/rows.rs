//! The formats of data files. Invariant: rows come one by one, and reading ends when the taker has enough.

use std::{
    collections::BTreeMap,
    fmt,
    io::{BufRead, Read},
};

use minijinja::value::{Serde, Value};
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};

use super::{DataError, log};

/// The longest line of a file, in bytes.
const LONGEST_LINE: u64 = 64 * 1024 * 1024;

/// The format of a data file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Csv,
    JsonLines,
    /// An array, as ShareGPT's files are.
    Json,
    Text,
    /// A server's access log: common, combined, or a JSON document a line.
    Log,
}

/// Takes a row with its line, or what is wrong with that line; whether it wants more. Rows of an array have no lines: theirs is 0.
type Take<'t> = &'t mut dyn FnMut(u64, Result<Value, String>) -> bool;

impl Format {
    /// The format that a file's extension names.
    pub(in crate::scenario) fn of(file: &str) -> Result<Self, DataError> {
        match file.rsplit_once('.').map_or("", |(_, extension)| extension) {
            "csv" => Ok(Self::Csv),
            "jsonl" | "ndjson" => Ok(Self::JsonLines),
            "json" => Ok(Self::Json),
            "txt" => Ok(Self::Text),
            "log" => Ok(Self::Log),
            other => Err((
                None,
                format!("unknown kind of data file {other:?}; known: .csv, .json, .jsonl, .log, .txt"),
            )),
        }
    }

    /// Gives each row to `take` and at the end the columns, where the format has any.
    pub(in crate::scenario) fn read(
        self,
        input: impl BufRead,
        take: Take<'_>,
    ) -> Result<Vec<String>, DataError> {
        match self {
            Self::Csv => return csv_rows(input, take),
            Self::Json => json_rows(input, take)?,
            Self::Text => lines(input, &mut |n, line| take(n, Ok(Value::from(line))))?,
            Self::JsonLines => lines(input, &mut |n, line| take(n, json_row(line)))?,
            Self::Log => lines(input, &mut |n, line| take(n, log::row(line)))?,
        }
        Ok(Vec::new())
    }

    /// Reads until `take` has enough, or the first line that is wrong.
    pub(super) fn read_right(
        self,
        input: impl BufRead,
        take: &mut dyn FnMut(Value) -> bool,
    ) -> Result<Vec<String>, DataError> {
        let mut wrong = None;
        let columns = self.read(input, &mut |line, row| match row {
            Ok(row) => take(row),
            Err(e) => {
                wrong = Some((Some(line), e));
                false
            }
        })?;
        wrong.map_or(Ok(columns), Err)
    }
}

/// A row of a line of JSON.
pub(super) fn json_row(line: &str) -> Result<Value, String> {
    let row: serde_json::Value =
        serde_json::from_str(line).map_err(|e| format!("not a line of JSON: {e}"))?;
    Ok(Value::from(Serde(row)))
}

/// Gives each line that is not empty, with its number from 1, until there is enough.
fn lines(mut input: impl BufRead, take: &mut dyn FnMut(u64, &str) -> bool) -> Result<(), DataError> {
    let mut line = Vec::new();
    for n in 1.. {
        line.clear();
        let read = input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line);
        if read.map_err(|e| (Some(n), e.to_string()))? == 0 {
            return Ok(());
        }
        if line.len() as u64 >= LONGEST_LINE {
            return Err((Some(n), format!("the line is longer than {LONGEST_LINE} bytes")));
        }
        let text = std::str::from_utf8(&line).map_err(|e| (Some(n), e.to_string()))?.trim_end();
        if !text.trim().is_empty() && !take(n, text) {
            return Ok(());
        }
    }
    Ok(())
}

fn csv_rows(input: impl BufRead, take: Take<'_>) -> Result<Vec<String>, DataError> {
    let line = |e: &csv::Error| e.position().map(csv::Position::line);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(input);
    let headers = reader.headers().map_err(|e| (line(&e), e.to_string()))?;
    let columns: Vec<String> = headers.iter().map(str::to_owned).collect();
    for record in reader.records() {
        let wants_more = match record {
            Ok(record) => {
                let row: BTreeMap<String, String> =
                    columns.iter().cloned().zip(record.iter().map(str::to_owned)).collect();
                let n = record.position().map_or(0, csv::Position::line);
                take(n, Ok(Value::from(Serde(row))))
            }
            Err(e) if e.is_io_error() => return Err((line(&e), e.to_string())),
            Err(e) => take(line(&e).unwrap_or(0), Err(e.to_string())),
        };
        if !wants_more {
            break;
        }
    }
    Ok(columns)
}

/// The items of an array, without the array in memory.
fn json_rows(input: impl BufRead, take: Take<'_>) -> Result<(), DataError> {
    let mut is_enough = false;
    let mut json = serde_json::Deserializer::from_reader(input);
    let result = Items { take, is_enough: &mut is_enough }.deserialize(&mut json);
    match result.and_then(|()| json.end()) {
        // Reading ends in the middle of the array, which is an error of the reader's.
        _ if is_enough => Ok(()),
        Ok(()) => Ok(()),
        Err(e) => Err((Some(e.line() as u64), format!("not an array of JSON: {e}"))),
    }
}

struct Items<'t> {
    take: Take<'t>,
    is_enough: &'t mut bool,
}

impl<'de> DeserializeSeed<'de> for Items<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Items<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<serde_json::Value>()? {
            if !(self.take)(0, Ok(Value::from(Serde(item)))) {
                *self.is_enough = true;
                break;
            }
        }
        Ok(())
    }
}

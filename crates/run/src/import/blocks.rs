//! Turns a block of lines into numbered series and samples.
//!
//! Nearly every line of a large file belongs to a series that the block has had already, mostly the one of the
//! line before or the one that followed it last time; such a line costs a comparison instead of a search.
//! Invariant: a block stands by itself, and lines are counted from 1 in it.

use assay_model::{
    Exemplar,
    expo::{Dialect, Line, LineError, ParseError, Position, SampleLine, parse_line, parse_rest},
};
use hashbrown::HashMap;

/// What a block holds.
pub(super) struct Parsed {
    bytes: Vec<u8>,
    pub(super) lines: u64,
    pub(super) series: Vec<BlockText>,
    pub(super) samples: Vec<BlockSample>,
    /// The lines that declare something of a family, by position.
    pub(super) declarations: Vec<BlockText>,
    pub(super) errors: Vec<ParseError>,
    /// Exemplars of the block's series, each with a time.
    pub(super) exemplars: Vec<(u32, Exemplar)>,
    /// The first line that is more than a comment.
    pub(super) first_content: Option<u64>,
    /// Whether the block has `# EOF`.
    pub(super) ended: bool,
}

/// A series or a line as it is in the text.
#[derive(Clone, Copy)]
pub(super) struct BlockText {
    start: usize,
    end: usize,
    /// The line that has it, or had it first.
    pub(super) line: u64,
}

/// A sample of one of the block's series.
#[derive(Clone, Copy)]
pub(super) struct BlockSample {
    pub(super) series: u32,
    pub(super) t_ms: i64,
    pub(super) value: f64,
}

impl BlockText {
    pub(super) fn text<'a>(&self, block: &'a Parsed) -> &'a str {
        std::str::from_utf8(&block.bytes[self.start..self.end]).unwrap_or("")
    }
}

const MOST_ERRORS: usize = 20;

/// Parses whole lines.
pub(super) fn parse_block(bytes: Vec<u8>, dialect: Dialect) -> Parsed {
    let mut parsed = Parsed {
        bytes: Vec::new(),
        lines: 0,
        series: Vec::new(),
        samples: Vec::with_capacity(bytes.len() / 80),
        declarations: Vec::new(),
        errors: Vec::new(),
        exemplars: Vec::new(),
        first_content: None,
        ended: false,
    };
    match std::str::from_utf8(&bytes) {
        Ok(text) => BlockParser::new(text, dialect, &mut parsed).run(),
        Err(e) => {
            let before = &bytes[..e.valid_up_to()];
            let line = before.iter().filter(|b| **b == b'\n').count() as u64 + 1;
            let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
            let column = String::from_utf8_lossy(&before[start..]).chars().count() as u64 + 1;
            let message = "not valid UTF-8".to_owned();
            parsed.errors.push(ParseError { at: Position::Line(line, column), message });
        }
    }
    parsed.bytes = bytes;
    parsed
}

struct BlockParser<'a, 'p> {
    text: &'a str,
    dialect: Dialect,
    parsed: &'p mut Parsed,
    by_text: HashMap<&'a str, u32>,
    texts: Vec<&'a str>,
    /// The series that came after each series last time.
    successors: Vec<u32>,
    previous: u32,
}

impl<'a, 'p> BlockParser<'a, 'p> {
    fn new(text: &'a str, dialect: Dialect, parsed: &'p mut Parsed) -> Self {
        Self {
            text,
            dialect,
            parsed,
            by_text: HashMap::new(),
            texts: Vec::new(),
            successors: Vec::new(),
            previous: 0,
        }
    }

    fn run(mut self) {
        let (text, mut next) = (self.text, 0);
        while next < text.len() {
            let offset = next;
            let end = memchr::memchr(b'\n', &text.as_bytes()[offset..]).map_or(text.len(), |i| offset + i);
            (next, self.parsed.lines) = (end + 1, self.parsed.lines + 1);
            let line = &text[offset..end];
            if let Err(error) = self.line(line, offset) {
                self.parsed.errors.push(error.on_line(self.parsed.lines, line));
                if self.parsed.errors.len() == MOST_ERRORS {
                    return;
                }
            }
        }
    }

    fn line(&mut self, line: &'a str, offset: usize) -> Result<(), LineError> {
        if let Some(series) = self.recognise(line) {
            let sample = parse_rest(line, self.texts[series as usize].len(), self.dialect)?;
            return self.sample(series, sample);
        }
        match parse_line(line, self.dialect)? {
            Line::Nothing => Ok(()),
            Line::Help(..) | Line::Unit(..) | Line::Type(..) => {
                let place = BlockText { start: offset, end: offset + line.len(), line: self.parsed.lines };
                self.parsed.declarations.push(place);
                self.content()
            }
            Line::Eof => {
                self.parsed.ended = true;
                Ok(())
            }
            Line::Sample(sample) => {
                let series = self.series(sample.series, line, offset);
                self.sample(series, sample)
            }
        }
    }

    /// The series of a line, where it is the previous one or the one that followed that last time.
    fn recognise(&self, line: &str) -> Option<u32> {
        let successor = *self.successors.get(self.previous as usize)?;
        [self.previous, successor].into_iter().find(|id| {
            let text = self.texts[*id as usize];
            // Without braces, labels might follow the name.
            text.ends_with('}') && line.strip_prefix(text).is_some_and(|rest| rest.starts_with(' '))
        })
    }

    fn series(&mut self, text: &'a str, line: &str, offset: usize) -> u32 {
        if let Some(id) = self.by_text.get(text) {
            return *id;
        }
        let id = self.texts.len() as u32;
        let start = offset + (text.as_ptr() as usize - line.as_ptr() as usize);
        self.parsed.series.push(BlockText { start, end: start + text.len(), line: self.parsed.lines });
        self.by_text.insert(text, id);
        self.texts.push(text);
        self.successors.push(id);
        id
    }

    /// Notes a line that is more than a comment.
    fn content(&mut self) -> Result<(), LineError> {
        self.parsed.first_content.get_or_insert(self.parsed.lines);
        if self.parsed.ended { Err(LineError::new(0, "nothing may follow # EOF")) } else { Ok(()) }
    }

    fn sample(&mut self, series: u32, sample: SampleLine<'_>) -> Result<(), LineError> {
        self.content()?;
        let Some(t_ms) = sample.t_ms else {
            return Err(LineError::new(
                sample.series.len(),
                "the sample has no time; an import wants one behind each value",
            ));
        };
        if let Some(exemplar) = sample.exemplar {
            let exemplar = Exemplar { t_ms: exemplar.t_ms.or(Some(t_ms)), ..exemplar };
            self.parsed.exemplars.push((series, exemplar));
        }
        if let Some(successor) = self.successors.get_mut(self.previous as usize) {
            *successor = series;
        }
        self.previous = series;
        self.parsed.samples.push(BlockSample { series, t_ms, value: sample.value });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_recognised_whatever_their_order() {
        let text = "# TYPE a gauge\na{x=\"1\"} 1 1\na{x=\"2\"} 2 1\nb 9 1\na{x=\"1\"} 3 2\na{x=\"2\"} 4 2\nb 8 2\n\
                    a{x=\"2\"} 5 3\na{x=\"2\"}\t6 4\n b 7 5\n";
        let parsed = parse_block(text.as_bytes().to_vec(), Dialect::Text);
        assert!(parsed.errors.is_empty());
        let texts: Vec<_> = parsed.series.iter().map(|s| s.text(&parsed)).collect();
        assert_eq!(texts, ["a{x=\"1\"}", "a{x=\"2\"}", "b"]);
        let got: Vec<_> = parsed.samples.iter().map(|s| (s.series, s.value as i64, s.t_ms)).collect();
        let want = [
            (0, 1, 1),
            (1, 2, 1),
            (2, 9, 1),
            (0, 3, 2),
            (1, 4, 2),
            (2, 8, 2),
            (1, 5, 3),
            (1, 6, 4),
            (2, 7, 5),
        ];
        assert_eq!(got, want);
        assert_eq!((parsed.lines, parsed.declarations.len(), parsed.first_content), (10, 1, Some(1)));
    }

    #[test]
    fn a_longer_series_is_not_taken_for_its_prefix() {
        let parsed =
            parse_block(b"a{x=\"}\"} 1 1\na{x=\"}\"}{ 1 1\na 1 1\na {x=\"y\"} 1 1\n".to_vec(), Dialect::Text);
        let texts: Vec<_> = parsed.series.iter().map(|s| s.text(&parsed)).collect();
        assert_eq!(texts, ["a{x=\"}\"}", "a", "a {x=\"y\"}"]);
        assert_eq!(parsed.errors.len(), 1);
    }

    #[test]
    fn a_sample_needs_a_time() {
        let parsed = parse_block(b"a 1 1\na{b=\"c\"} 1\n".to_vec(), Dialect::OpenMetrics);
        assert_eq!(
            parsed.errors[0].to_string(),
            "2:9: the sample has no time; an import wants one behind each value"
        );
        let parsed = parse_block(b"# EOF\na 1 1\n".to_vec(), Dialect::OpenMetrics);
        assert_eq!(parsed.errors[0].to_string(), "2:1: nothing may follow # EOF");
        let parsed = parse_block(b"a 1 1\n\xff 1 1\n".to_vec(), Dialect::Text);
        assert_eq!(parsed.errors[0].to_string(), "2:1: not valid UTF-8");
    }
}

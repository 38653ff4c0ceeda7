//! Reads text in blocks, parsed on all cores and stored in the order of the file.
//!
//! One thread cuts the file at line ends, workers turn each block into series and samples, and the caller's
//! thread puts them away in order. Invariant: no more than a fixed number of blocks is under way, whatever
//! the speeds of the three; what is stored does not depend on how many workers there are.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::Path,
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use assay_model::expo::{Dialect, ParseError, ParseErrors, Position, parse_line};

use super::{
    ImportError,
    blocks::{Parsed, parse_block},
    store::{Store, TextSeries},
};

const BLOCK_BYTES: usize = 4 << 20;
/// A line longer than this is no line of an exposition.
const MOST_LINE_BYTES: usize = 64 << 20;
const BLOCKS_PER_WORKER: usize = 3;
const MOST_ERRORS: usize = 20;

struct Block {
    number: u64,
    bytes: Vec<u8>,
}

/// Reads a whole file into the store.
pub(super) fn read(path: &Path, file: File, dialect: Dialect, store: &mut Store) -> Result<(), ImportError> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let (blocks_in, blocks) = sync_channel(workers);
    let (parsed_in, parsed) = sync_channel(workers);
    // Whoever reads a block first takes a token, which comes back when the block has been put away.
    let (tokens_in, tokens) = sync_channel(workers * BLOCKS_PER_WORKER);
    for _ in 0..workers * BLOCKS_PER_WORKER {
        let _ = tokens_in.send(());
    }
    let blocks = Mutex::new(blocks);
    thread::scope(|scope| {
        let reading = scope.spawn(move || cut(file, &blocks_in, &tokens));
        for _ in 0..workers {
            let (blocks, parsed_in) = (&blocks, parsed_in.clone());
            scope.spawn(move || work(blocks, &parsed_in, dialect));
        }
        drop(parsed_in);
        let mut gather = Gather {
            store,
            dialect,
            names: TextSeries::default(),
            lines: 0,
            ended: false,
            errors: Vec::new(),
        };
        let stored = gather.all(&parsed, &tokens_in);
        // With the receivers gone the other threads end, wherever they are.
        drop((parsed, tokens_in));
        let read = reading.join().unwrap_or_else(|_| Err(io::Error::other("the reading thread panicked")));
        read.map_err(ImportError::io("read", path))?;
        stored?;
        gather.finish(path)
    })
}

/// Cuts the file into blocks that end with a line.
fn cut(mut file: impl Read, blocks: &SyncSender<Block>, tokens: &Receiver<()>) -> io::Result<()> {
    let mut rest = Vec::new();
    for number in 0.. {
        if tokens.recv().is_err() {
            return Ok(());
        }
        let mut bytes = std::mem::take(&mut rest);
        let end = loop {
            let wanted = BLOCK_BYTES.saturating_sub(bytes.len()).max(BLOCK_BYTES / 4);
            let got = file.by_ref().take(wanted as u64).read_to_end(&mut bytes)?;
            if got == 0 {
                break bytes.len();
            }
            if bytes.len() >= BLOCK_BYTES
                && let Some(at) = bytes.iter().rposition(|b| *b == b'\n')
            {
                break at + 1;
            }
            if bytes.len() > MOST_LINE_BYTES {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a line is longer than 64 MiB; this is no text format",
                ));
            }
        };
        rest = bytes.split_off(end);
        if bytes.is_empty() || blocks.send(Block { number, bytes }).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn work(blocks: &Mutex<Receiver<Block>>, parsed: &SyncSender<(u64, Parsed)>, dialect: Dialect) {
    loop {
        let next = blocks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(block) = next else { return };
        if parsed.send((block.number, parse_block(block.bytes, dialect))).is_err() {
            return;
        }
    }
}

/// Puts blocks away in order.
struct Gather<'a> {
    store: &'a mut Store,
    dialect: Dialect,
    names: TextSeries,
    /// Lines of the blocks put away.
    lines: u64,
    /// Whether `# EOF` was met.
    ended: bool,
    errors: Vec<ParseError>,
}

impl Gather<'_> {
    fn all(&mut self, parsed: &Receiver<(u64, Parsed)>, tokens: &SyncSender<()>) -> Result<(), ImportError> {
        let (mut early, mut next) = (BTreeMap::new(), 0);
        for (number, block) in parsed {
            early.insert(number, block);
            while let Some(block) = early.remove(&next) {
                next += 1;
                self.put(&block)?;
                if self.errors.len() >= MOST_ERRORS {
                    return Ok(());
                }
                // The reader may be done already.
                let _ = tokens.send(());
            }
        }
        Ok(())
    }

    fn put(&mut self, block: &Parsed) -> Result<(), ImportError> {
        let first_line = self.lines;
        let on = |line: u64, column: u64, message: &str| ParseError {
            at: Position::Line(first_line + line, column),
            message: message.to_owned(),
        };
        self.lines += block.lines;
        self.errors.extend(block.errors.iter().filter_map(|e| match e.at {
            Position::Line(line, column) => Some(on(line, column, &e.message)),
            Position::Byte(_) => None,
        }));
        if self.ended
            && let Some(line) = block.first_content
        {
            self.errors.push(on(line, 1, "nothing may follow # EOF"));
        }
        self.ended |= block.ended;
        for place in &block.declarations {
            if let Ok(line) = parse_line(place.text(block), self.dialect) {
                self.names.declare(&line, self.store);
            }
        }
        let mut refs = Vec::with_capacity(block.series.len());
        for place in &block.series {
            match self.names.find(place.text(block), self.store)? {
                Ok(series) => refs.push(series),
                Err(error) => {
                    let error = error.on_line(place.line, place.text(block));
                    if let Position::Line(line, column) = error.at {
                        self.errors.push(on(line, column, &error.message));
                    }
                }
            }
        }
        if !self.errors.is_empty() {
            return Ok(());
        }
        // The parser numbered the series of this very block, and all of them were found.
        for sample in &block.samples {
            self.store.push(refs[sample.series as usize], sample.t_ms, sample.value)?;
        }
        for (series, exemplar) in &block.exemplars {
            self.store.exemplar(refs[*series as usize], exemplar)?;
        }
        Ok(())
    }

    fn finish(mut self, path: &Path) -> Result<(), ImportError> {
        if self.dialect == Dialect::OpenMetrics && !self.ended && self.errors.is_empty() {
            let message = "the text is cut short: OpenMetrics ends in a line # EOF".to_owned();
            self.errors.push(ParseError { at: Position::Line(self.lines + 1, 1), message });
        }
        if self.errors.is_empty() {
            return Ok(());
        }
        self.errors.sort_by_key(|e| e.at);
        self.errors.truncate(MOST_ERRORS);
        Err(ImportError::Text { path: path.to_owned(), errors: ParseErrors(self.errors) })
    }
}

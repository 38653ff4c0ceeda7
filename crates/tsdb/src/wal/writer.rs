//! Appends records to a log. Invariant: the file always ends with a whole record, up to the one that is being
//! written; a crash tears at most that one.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{Compression, HEADER, PAGE, fragment, segments};
use crate::error::{Context, Result};

/// A segment's file.
pub(crate) trait SegmentFile: Write + Send {
    /// Forgets everything from `length` on.
    fn cut(&mut self, length: u64) -> io::Result<()>;
    /// Makes everything written survive the machine.
    fn sync(&mut self) -> io::Result<()>;
}

impl SegmentFile for File {
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Makes the file of a new segment.
type Create = fn(&Path) -> io::Result<Box<dyn SegmentFile>>;

/// A log that is being written.
pub(crate) struct LogWriter {
    create: Create,
    dir: PathBuf,
    segment_bytes: usize,
    compression: Compression,
    index: u64,
    path: PathBuf,
    file: Box<dyn SegmentFile>,
    /// Bytes in the current segment, `pending` among them.
    length: usize,
    /// What the next [`LogWriter::flush`] writes in one call.
    pending: Vec<u8>,
    compressed: Vec<u8>,
    snappy: snap::raw::Encoder,
}

impl LogWriter {
    /// Starts a log, or continues one in a new segment, as Prometheus does when it starts.
    pub(crate) fn open(dir: &Path, segment_bytes: usize, compression: Compression) -> Result<Self> {
        let create = |path: &Path| {
            let file = OpenOptions::new().append(true).create_new(true).open(path)?;
            Ok(Box::new(file) as Box<dyn SegmentFile>)
        };
        Self::with_files(dir, segment_bytes, compression, create)
    }

    fn with_files(
        dir: &Path,
        segment_bytes: usize,
        compression: Compression,
        create: Create,
    ) -> Result<Self> {
        std::fs::create_dir_all(dir).context("create", dir)?;
        let index = segments::list(dir)?.last().map_or(0, |s| s.index + 1);
        let path = dir.join(segments::file_name(index));
        let file = create(&path).context("create", &path)?;
        Ok(Self {
            create,
            dir: dir.to_owned(),
            segment_bytes: segment_bytes.max(PAGE) / PAGE * PAGE,
            compression,
            index,
            path,
            file,
            length: 0,
            pending: Vec::new(),
            compressed: Vec::new(),
            snappy: snap::raw::Encoder::new(),
        })
    }

    /// Adds a record to the batch; nothing reaches the file before [`LogWriter::flush`].
    pub(crate) fn add(&mut self, record: &[u8]) -> Result<()> {
        let flag = self.compress(record)?;
        let body = std::mem::take(&mut self.compressed);
        let data = if flag == 0 { record } else { &body[..] };
        // A record never crosses a segment's end; one that is larger than a segment gets one of its own.
        let pages = data.len() / (PAGE - HEADER) + 2;
        if self.length > 0 && self.length + data.len() + pages * HEADER > self.segment_bytes {
            self.next_segment()?;
        }
        self.put_fragments(data, flag);
        self.compressed = body;
        Ok(())
    }

    fn compress(&mut self, record: &[u8]) -> Result<u8> {
        let flag = match self.compression {
            Compression::None => return Ok(0),
            Compression::Snappy => {
                self.compressed.resize(snap::raw::max_compress_len(record.len()), 0);
                let n = self.snappy.compress(record, &mut self.compressed).map_err(std::io::Error::other);
                self.compressed.truncate(n.context("compress a record for", &self.path)?);
                fragment::SNAPPY
            }
            Compression::Zstd => {
                self.compressed =
                    zstd::bulk::compress(record, 1).context("compress a record for", &self.path)?;
                fragment::ZSTD
            }
        };
        Ok(if self.compressed.len() < record.len() { flag } else { 0 })
    }

    fn put_fragments(&mut self, data: &[u8], flag: u8) {
        let (mut rest, mut first) = (data, true);
        loop {
            let mut room = PAGE - self.length % PAGE;
            if room <= HEADER {
                self.pad(room);
                room = PAGE;
            }
            let part;
            (part, rest) = rest.split_at(rest.len().min(room - HEADER));
            let kind = match (first, rest.is_empty()) {
                (true, true) => fragment::FULL,
                (true, false) => fragment::FIRST,
                (false, false) => fragment::MIDDLE,
                (false, true) => fragment::LAST,
            };
            self.pending.push(kind | flag);
            self.pending.extend_from_slice(&(part.len() as u16).to_be_bytes());
            self.pending.extend_from_slice(&crc32c::crc32c(part).to_be_bytes());
            self.pending.extend_from_slice(part);
            self.length += HEADER + part.len();
            first = false;
            if rest.is_empty() {
                return;
            }
        }
    }

    fn pad(&mut self, n: usize) {
        self.pending.resize(self.pending.len() + n, 0);
        self.length += n;
    }

    fn next_segment(&mut self) -> Result<()> {
        // Only the last segment may end within a page.
        if !self.length.is_multiple_of(PAGE) {
            self.pad(PAGE - self.length % PAGE);
        }
        self.sync()?;
        self.index += 1;
        self.path = self.dir.join(segments::file_name(self.index));
        self.file = (self.create)(&self.path).context("create", &self.path)?;
        self.length = 0;
        Ok(())
    }

    /// Hands the batch to the operating system in one write: it survives the process, not the machine. If the write
    /// fails, such as on a full disk, the file is cut back to where the batch began, so that no torn record is left,
    /// and the batch is given up.
    pub(crate) fn flush(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let written = self.file.write_all(&self.pending);
        if written.is_err() {
            self.length -= self.pending.len();
            // Where even this fails, a torn tail is what a crash would leave too.
            let _ = self.file.cut(self.length as u64);
        }
        self.pending.clear();
        written.context("write", &self.path)
    }

    /// Makes everything written survive the machine.
    pub(crate) fn sync(&mut self) -> Result<()> {
        self.flush()?;
        self.file.sync().context("sync", &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::reader::RecordReader;

    fn check(compression: Compression, segment_bytes: usize, records: &[Vec<u8>]) -> usize {
        let dir = tempfile::tempdir().expect("a directory");
        let mut log = LogWriter::open(dir.path(), segment_bytes, compression).expect("opens");
        for r in records {
            log.add(r).expect("adds");
        }
        log.sync().expect("syncs");
        let mut got = Vec::new();
        let files = segments::list(dir.path()).expect("lists");
        for s in &files {
            let data = std::fs::read(&s.path).expect("reads");
            let mut reader = RecordReader::new(&data, 0);
            while let Some(r) = reader.next() {
                got.push(r.expect("whole").to_vec());
            }
        }
        assert!(got == records, "{compression:?}");
        files.len()
    }

    #[test]
    fn records_come_back_whatever_their_size() {
        let mut seed = 1u64;
        let mut noise = |n: usize| -> Vec<u8> {
            (0..n)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (seed >> 56) as u8
                })
                .collect()
        };
        let mut records: Vec<_> = [0, 1, 25, 32_761, 32_760, 32_762, 65_000, 3].map(&mut noise).to_vec();
        records.push(vec![7; 100_000]);
        records.extend((0..50).map(|i| noise(i * 997)));
        for compression in [Compression::None, Compression::Snappy, Compression::Zstd] {
            assert_eq!(check(compression, 128 << 20, &records), 1);
            assert!(check(compression, 4 * PAGE, &records) > 5);
        }
    }

    /// A disk that is full after so many bytes: it takes what still fits, as a file system does, and then fails.
    struct Full {
        file: File,
        room: usize,
    }

    impl Write for Full {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let n = self.file.write(&data[..data.len().min(self.room)])?;
            self.room -= n;
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.file.flush()
        }
    }

    impl SegmentFile for Full {
        fn cut(&mut self, length: u64) -> io::Result<()> {
            self.file.cut(length)
        }

        fn sync(&mut self) -> io::Result<()> {
            self.file.sync()
        }
    }

    #[test]
    fn a_full_disk_leaves_whole_records_alone() {
        fn full(path: &Path, room: usize) -> io::Result<Box<dyn SegmentFile>> {
            let file = OpenOptions::new().append(true).create_new(true).open(path)?;
            Ok(Box::new(Full { file, room }))
        }
        let files: [(usize, Create); 4] = [
            (1_010, |path| full(path, 1_010)),
            (PAGE - 3, |path| full(path, PAGE - 3)),
            (PAGE + 5, |path| full(path, PAGE + 5)),
            (3 * PAGE + 100, |path| full(path, 3 * PAGE + 100)),
        ];
        for (room, create) in files {
            let dir = tempfile::tempdir().expect("a directory");
            let mut log =
                LogWriter::with_files(dir.path(), 1 << 20, Compression::None, create).expect("opens");
            let mut whole = 0;
            // Batches of two records, until one does not fit.
            while log
                .add(&[whole as u8; 300])
                .and_then(|()| log.add(&[7; 700]))
                .and_then(|()| log.flush())
                .is_ok()
            {
                whole += 2;
            }
            let data = std::fs::read(dir.path().join("00000000")).expect("reads");
            assert!(data.len() <= room && data.len() + 2_000 > room, "{room}: {}", data.len());
            let mut reader = RecordReader::new(&data, 0);
            let mut read = 0;
            while let Some(record) = reader.next() {
                record.unwrap_or_else(|e| panic!("{room}: record {read}: {}", e.what));
                read += 1;
            }
            assert_eq!(read, whole, "{room}");
        }
    }

    #[test]
    fn a_torn_tail_keeps_what_is_before_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut log = LogWriter::open(dir.path(), 1 << 20, Compression::None).expect("opens");
        log.add(b"first").and_then(|()| log.add(&[9; 40_000])).and_then(|()| log.sync()).expect("writes");
        let data = std::fs::read(dir.path().join("00000000")).expect("reads");
        for cut in 13..data.len() {
            let mut reader = RecordReader::new(&data[..cut], 0);
            assert_eq!(reader.next().and_then(Result::ok), Some(&b"first"[..]));
            let second = reader.next();
            assert!(
                if cut == 12 { second.is_none() } else { second.is_some_and(|r| r.is_err()) },
                "cut at {cut}"
            );
        }
        assert!(LogWriter::open(dir.path(), 1 << 20, Compression::None).is_ok_and(|l| l.index == 1));
    }
}

//! Damaged files: 10,000 seeded mutations of each kind end in an error, a warning or the data, never in a
//! panic, a hang or more memory than [`MOST_BYTES`].
//!
//! Half of the mutations are sealed again with right checksums, so that they reach what lies behind them.

mod common;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    ops::Range,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use assay_model::{Column, Queryable, stale_nan};
use assay_tsdb::{Compression, Database, Head, HeadOptions, OpenOptions};
use common::{Data, histogram, read_all, series};

/// What reading a damaged directory of about 20 KiB may take at most, in bytes.
const MOST_BYTES: usize = 32 << 20;
const MUTATIONS: u64 = 10_000;

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[allow(unsafe_code, reason = "an allocator that counts is the only way to see what is allocated")]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A small generator of its own, so that a seed means the same everywhere (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

fn mutate(data: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let n = data.len();
        match random.below(8) {
            0 => data.truncate(random.below(n + 1)),
            1 => {
                let (from, to, length) = (random.below(n), random.below(n), random.below(64));
                let piece = data[from..(from + length).min(n)].to_vec();
                let end = (to + piece.len()).min(n);
                data[to..end].copy_from_slice(&piece[..end - to]);
            }
            2 => {
                // A page twice, as a filesystem leaves it after a crash.
                let page = data.len().min(4096);
                let again = data[..page].to_vec();
                data.extend_from_slice(&again);
            }
            3 => {
                let at = random.below(n);
                let end = (at + 8).min(n);
                data[at..end].fill([0, 0xff, 0x7f, 0x80][random.below(4)]);
            }
            _ if n > 0 => data[random.below(n)] ^= 1 << random.below(8),
            _ => {}
        }
    }
}

fn seal(data: &mut [u8], content: Range<usize>) {
    if let Some(slot) = data.get(content.end..content.end + 4).map(|_| content.end..content.end + 4) {
        let checksum = crc32c::crc32c(&data[content]);
        data[slot].copy_from_slice(&checksum.to_be_bytes());
    }
}

fn uvarint(data: &[u8]) -> Option<(usize, usize)> {
    let (mut value, mut shift) = (0usize, 0);
    for (i, b) in data.iter().enumerate().take(5) {
        value |= usize::from(b & 0x7f) << shift;
        if *b < 0x80 {
            return Some((value, i + 1));
        }
        shift += 7;
    }
    None
}

fn be(data: &[u8]) -> usize {
    data.iter().fold(0, |n, b| n << 8 | usize::from(*b))
}

/// Where a pristine index has checksums.
fn index_seals(data: &[u8]) -> Vec<Range<usize>> {
    let toc = data.len() - 52;
    let offset = |i: usize| be(&data[toc + i * 8..toc + i * 8 + 8]);
    let mut seals: Vec<_> =
        [0, 5].map(|i| offset(i) + 4..offset(i) + 4 + be(&data[offset(i)..offset(i) + 4])).into();
    let mut at = offset(1);
    while at < offset(4) {
        at = at.next_multiple_of(16);
        let Some((length, n)) = uvarint(&data[at..]).filter(|(length, _)| *length > 0) else { break };
        seals.push(at + n..at + n + length);
        at += n + length + 4;
    }
    at = offset(4);
    while at < offset(3) {
        let length = be(&data[at..at + 4]);
        seals.push(at + 4..at + 4 + length);
        at = (at + 4 + length + 4).next_multiple_of(4);
    }
    seals.push(toc..toc + 48);
    seals
}

fn chunk_seals(data: &[u8]) -> Vec<Range<usize>> {
    let (mut seals, mut at) = (Vec::new(), 8);
    while let Some((length, n)) = data.get(at..).and_then(uvarint) {
        seals.push(at + n..at + n + 1 + length);
        at += n + 1 + length + 4;
    }
    seals
}

/// Fragments of a log: here the checksum stands before the content.
fn seal_log(data: &mut [u8]) {
    let mut at = 0;
    while let Some(header) = data.get(at..at + 7) {
        let (kind, length) = (header[0] & 7, be(&header[1..3]));
        let page_end = (at / 32768 + 1) * 32768;
        if kind == 0 {
            at = page_end;
            continue;
        }
        let end = (at + 7 + length).min(data.len());
        let checksum = crc32c::crc32c(&data[at + 7..end]);
        data[at + 3..at + 7].copy_from_slice(&checksum.to_be_bytes());
        at = end;
    }
}

fn head_chunk_seals(data: &[u8]) -> Vec<Range<usize>> {
    let (mut seals, mut at) = (Vec::new(), 8);
    while let Some((length, n)) = data.get(at + 25..).and_then(uvarint) {
        let end = at + 25 + n + length;
        seals.push(at..end);
        at = end + 4;
    }
    seals
}

/// A directory with a block and a log after it, out-of-order samples, a checkpoint, head chunks, a snapshot
/// and tombstones.
fn fixture(dir: &Path) {
    let record = |data: &Path, from: u64| {
        let options = HeadOptions { compression: Compression::None, ..HeadOptions::default() };
        let mut head = Head::create(data, options).expect("creates");
        for i in from..from + 60 {
            let t = i as i64 * 1000;
            for name in ["a", "b"] {
                let v = if i % 50 == 49 { stale_nan() } else { i as f64 * 1.1 };
                head.append(&series(name, &[("x", "1")]), t, v).expect("appends");
            }
            if i % 12 == 0 {
                head.append_histogram(&series("h", &[]), t, &histogram(i)).expect("appends");
                head.append_float_histogram(&series("f", &[]), t, &histogram(i).to_float()).expect("appends");
                head.append(&series("late", &[]), -t, 1.0).expect("appends");
            }
            if i % 20 == 0 {
                head.commit().expect("commits");
            }
        }
        head.commit().expect("commits");
        head
    };
    let block = dir.join("block");
    record(&block, 0).finish().expect("finishes");
    record(dir, 1000);
    let ulid =
        std::fs::read_dir(&block).expect("lists").flatten().find(|e| e.path().join("meta.json").is_file());
    let ulid = ulid.expect("has a block").file_name();
    std::fs::rename(block.join(&ulid), dir.join(&ulid)).expect("moves");
    std::fs::remove_dir_all(&block).expect("removes");
    // A tombstone for a series that is not there.
    let mut stones = vec![0x01, 0x30, 0xBA, 0x30, 1, 99, 2, 4];
    stones.extend_from_slice(&crc32c::crc32c(&stones[5..]).to_be_bytes());
    std::fs::write(dir.join(&ulid).join("tombstones"), stones).expect("writes");
    // The log becomes a checkpoint, with a second log after it.
    let checkpoint = dir.join("wal/checkpoint.00000000");
    std::fs::create_dir_all(&checkpoint).expect("creates");
    std::fs::copy(dir.join("wal/00000000"), checkpoint.join("00000000")).expect("copies");
    let after = dir.join("after");
    record(&after, 2000);
    std::fs::copy(after.join("wal/00000000"), dir.join("wal/00000001")).expect("copies");
    std::fs::remove_dir_all(&after).expect("removes");
    // Head chunks and a snapshot, with a chunk out of the block.
    let chunks = std::fs::read(dir.join(&ulid).join("chunks/000001")).expect("reads");
    let first = chunk_seals(&chunks)[0].clone();
    let (encoding, data) = (chunks[first.start], &chunks[first.start + 1..first.end]);
    let mut file = vec![0x01, 0x30, 0xBC, 0x91, 1, 0, 0, 0];
    for encoding in [encoding, encoding | 0x80] {
        let start = file.len();
        for n in [1u64, 500_000, 600_000] {
            file.extend_from_slice(&n.to_be_bytes());
        }
        file.push(encoding);
        file.extend_from_slice(&[data.len() as u8 | 0x80, (data.len() >> 7) as u8]);
        file.extend_from_slice(data);
        let checksum = crc32c::crc32c(&file[start..]);
        file.extend_from_slice(&checksum.to_be_bytes());
    }
    file.extend_from_slice(&[0; 100]);
    std::fs::create_dir_all(dir.join("chunks_head")).expect("creates");
    std::fs::write(dir.join("chunks_head/000001"), file).expect("writes");
    let mut series = vec![1];
    series.extend_from_slice(&7u64.to_be_bytes());
    series.extend_from_slice(b"\x01\x08__name__\x04snap");
    series.extend_from_slice(&[0; 8]);
    series.push(1);
    for t in [0u64, 119_000] {
        series.extend_from_slice(&t.to_be_bytes());
    }
    series.push(encoding);
    series.extend_from_slice(&[data.len() as u8 | 0x80, (data.len() >> 7) as u8]);
    series.extend_from_slice(data);
    let mut log = vec![1];
    log.extend_from_slice(&(series.len() as u16).to_be_bytes());
    log.extend_from_slice(&[0; 4]);
    log.extend_from_slice(&series);
    log.extend_from_slice(b"\x01\x00\x06\0\0\0\0\x02\x04\x01\x07\x02\x04");
    seal_log(&mut log);
    let snapshot = dir.join("chunk_snapshot.000000.0000000000");
    std::fs::create_dir_all(&snapshot).expect("creates");
    std::fs::write(snapshot.join("00000000"), log).expect("writes");
}

/// Opens and reads everything; `None` where that ended in an error.
fn read(dir: &Path) -> Option<(Data, usize)> {
    let db = Database::open(dir, OpenOptions::default()).ok()?;
    db.time_range();
    db.label_values("x", &[]).ok()?;
    db.exemplars(&[], i64::MIN, i64::MAX).ok()?;
    let mut whole = true;
    for s in db.select(&[], i64::MIN, i64::MAX).ok()? {
        whole &= s.read(i64::MIN, i64::MAX, &mut Column::default()).is_ok();
    }
    // `read_all` panics where a read fails or times do not ascend, which repaired checksums make possible.
    whole.then(|| (Data::new(), db.warnings().len()))
}

/// Mutates one file, again and again; `exact` says whether a change that checksums cannot hide must be seen.
fn check(pick: fn(&Path) -> PathBuf, reseal: fn(&[u8], &mut [u8]), exact: bool) {
    let dir = tempfile::tempdir_in(shared_memory()).expect("a directory");
    fixture(dir.path());
    let path = pick(dir.path());
    keep_only(dir.path(), &path);
    let pristine = std::fs::read(&path).expect("reads");
    let db = Database::open(dir.path(), OpenOptions::default()).expect("opens");
    assert_eq!(db.warnings(), []);
    let want = read_all(&db);
    drop(db);
    for seed in 0..MUTATIONS {
        let mut random = Random(seed);
        let mut data = pristine.clone();
        mutate(&mut data, &mut random);
        let sealed = random.below(2) == 0;
        if sealed {
            reseal(&pristine, &mut data);
        }
        std::fs::write(&path, &data).expect("writes");
        let (start, base) = (Instant::now(), LIVE.load(Ordering::Relaxed));
        PEAK.store(base, Ordering::Relaxed);
        let got = read(dir.path());
        let used = PEAK.load(Ordering::Relaxed).saturating_sub(base);
        assert!(used < MOST_BYTES, "seed {seed}: {used} bytes");
        assert!(start.elapsed() < Duration::from_secs(5), "seed {seed}: {:?}", start.elapsed());
        if exact && !sealed && got.is_some_and(|(_, warnings)| warnings == 0) {
            let db = Database::open(dir.path(), OpenOptions::default()).expect("opened before");
            common::assert_same(&read_all(&db), &want, &format!("seed {seed}: other data without a word"));
        }
    }
}

/// Removes what the file under test has nothing to do with, so that reading it is most of the work.
fn keep_only(dir: &Path, path: &Path) {
    let inside = path.strip_prefix(dir).expect("is inside");
    let part = inside.components().next().expect("has a first part").as_os_str();
    let of_block = dir.join(part).join("meta.json").is_file();
    for entry in std::fs::read_dir(dir).expect("lists").flatten() {
        // Everything in memory needs the log to name its series; a block stands alone.
        let needed = entry.file_name() == part || (!of_block && entry.file_name() == "wal");
        if !needed {
            std::fs::remove_dir_all(entry.path()).expect("removes");
        }
    }
    if inside.starts_with("wal/00000001") {
        std::fs::remove_dir_all(dir.join("wal/checkpoint.00000000")).expect("removes");
    } else {
        std::fs::remove_file(dir.join("wal/00000001")).ok();
    }
}

/// Files that are written 10,000 times do not belong on a disk.
fn shared_memory() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

fn in_block(dir: &Path, name: &str) -> PathBuf {
    let mut blocks = std::fs::read_dir(dir).expect("lists").flatten().map(|e| e.path());
    blocks.find(|p| p.join("meta.json").is_file()).expect("has a block").join(name)
}

fn seal_all(data: &mut [u8], seals: Vec<Range<usize>>) {
    for range in seals {
        if range.end + 4 <= data.len() {
            seal(data, range);
        }
    }
}

#[test]
fn index() {
    check(|d| in_block(d, "index"), |pristine, data| seal_all(data, index_seals(pristine)), true);
}

#[test]
fn chunks() {
    check(|d| in_block(d, "chunks/000001"), |pristine, data| seal_all(data, chunk_seals(pristine)), true);
}

#[test]
fn tombstones() {
    let reseal = |_: &[u8], data: &mut [u8]| {
        let n = data.len();
        if n > 9 {
            seal(data, 5..n - 4);
        }
    };
    check(|d| in_block(d, "tombstones"), reseal, true);
}

#[test]
fn meta() {
    check(|d| in_block(d, "meta.json"), |_, _| (), false);
}

#[test]
fn log() {
    check(|d| d.join("wal/00000001"), |_, data| seal_log(data), false);
}

#[test]
fn checkpoint() {
    check(|d| d.join("wal/checkpoint.00000000/00000000"), |_, data| seal_log(data), false);
}

#[test]
fn out_of_order_log() {
    check(|d| d.join("wbl/00000000"), |_, data| seal_log(data), false);
}

#[test]
fn head_chunks() {
    check(
        |d| d.join("chunks_head/000001"),
        |pristine, data| seal_all(data, head_chunk_seals(pristine)),
        false,
    );
}

#[test]
fn snapshot() {
    check(|d| d.join("chunk_snapshot.000000.0000000000/00000000"), |_, data| seal_log(data), false);
}

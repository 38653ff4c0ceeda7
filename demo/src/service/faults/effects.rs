//! Faults that cost the process something: memory, file descriptors, processor time.
//!
//! Invariant: everything lost belongs to one [`Lost`], so that a restart, which makes a new one, gives it all back.

use std::{
    fs::File,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{Faults, Kind, MOST_THREADS};

/// What has been lost, and the threads that burn.
#[derive(Debug, Default)]
pub(super) struct Lost {
    memory: Mutex<Vec<Vec<u8>>>,
    files: Mutex<Vec<File>>,
    /// How many threads should burn; each has a number and ends when it is not below this.
    burning: Arc<AtomicUsize>,
}

impl Drop for Lost {
    fn drop(&mut self) {
        self.burning.store(0, Ordering::Relaxed);
    }
}

const TICK: Duration = Duration::from_millis(100);

/// Makes the faults cost what they cost, until the service ends.
pub(crate) async fn run(faults: Arc<Faults>) {
    let mut before = Instant::now();
    let mut owed_files = 0.0;
    loop {
        tokio::time::sleep(TICK).await;
        let elapsed_s = before.elapsed().as_secs_f64();
        before = Instant::now();
        let leaks = |kind| faults.amount(kind).unwrap_or(0.0) * elapsed_s;
        faults.lost.memory(leaks(Kind::MemoryLeak) as usize);
        owed_files += leaks(Kind::FdLeak);
        faults.lost.files(owed_files as usize);
        owed_files = owed_files.fract();
        faults.lost.burn(faults.amount(Kind::CpuBurn).unwrap_or(0.0).min(MOST_THREADS) as usize);
    }
}

impl Lost {
    fn memory(&self, bytes: usize) {
        if bytes > 0 {
            // Written to, so that it is resident and not only reserved.
            self.memory.lock().unwrap_or_else(PoisonError::into_inner).push(vec![0xa5; bytes]);
        }
    }

    fn files(&self, n: usize) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = (0..n).map_while(|_| File::open(std::env::current_exe().ok()?).ok());
        files.extend(opened);
    }

    fn burn(&self, threads: usize) {
        let before = self.burning.swap(threads, Ordering::Relaxed);
        for number in before..threads {
            let burning = Arc::clone(&self.burning);
            std::thread::spawn(move || {
                let mut x = number as u64;
                while number < burning.load(Ordering::Relaxed) {
                    for _ in 0..100_000 {
                        x = std::hint::black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
                    }
                }
            });
        }
    }
}

//! What the server did, request by request in the order of their arrival. Invariant: instants are nanoseconds
//! of the machine's monotonic clock, in order within a request.

use std::{fs, io::Write, path::Path};

use anyhow::{Context, Result, ensure};

/// The log of a run of the server.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Log {
    /// When each request was received.
    pub(in super::super) received_ns: Vec<u64>,
    /// What was sent: the request, and when. One entry an answer, or one an event of a stream.
    pub(in super::super) sent: Vec<(u32, u64)>,
}

impl Log {
    /// Notes a request and gives its place.
    pub(super) fn received(&mut self, at_ns: u64) -> usize {
        self.received_ns.push(at_ns);
        self.received_ns.len() - 1
    }

    /// Notes that something was sent in answer to a request.
    pub(super) fn sent(&mut self, entry: usize, at_ns: u64) {
        self.sent.push((entry as u32, at_ns));
    }

    /// When the first request was received, as far as there was one.
    pub(super) fn first_ns(&self) -> u64 {
        self.received_ns.first().copied().unwrap_or(0)
    }

    /// The log of the requests after the first `n`.
    pub(in super::super) fn without_first(mut self, n: usize) -> Self {
        self.received_ns.drain(..n.min(self.received_ns.len()));
        self.sent = self
            .sent
            .into_iter()
            .filter_map(|(entry, at)| Some((entry.checked_sub(n as u32)?, at)))
            .collect();
        self
    }

    /// Writes the log: the number of requests, their instants, then pairs to the end, all as 64-bit numbers.
    pub(super) fn write(&self, out: &mut impl Write) -> Result<()> {
        out.write_all(&(self.received_ns.len() as u64).to_le_bytes())?;
        for at in &self.received_ns {
            out.write_all(&at.to_le_bytes())?;
        }
        for (entry, at) in &self.sent {
            out.write_all(&u64::from(*entry).to_le_bytes())?;
            out.write_all(&at.to_le_bytes())?;
        }
        Ok(out.flush()?)
    }

    /// Reads a log.
    ///
    /// # Errors
    /// Where the file is not a whole log.
    pub(in super::super) fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        ensure!(bytes.len().is_multiple_of(8), "{} is not a log", path.display());
        let mut numbers = bytes.chunks_exact(8).map(|c| u64::from_le_bytes(c.try_into().unwrap_or_default()));
        let requests = numbers.next().context("an empty log")? as usize;
        let received_ns: Vec<u64> = numbers.by_ref().take(requests).collect();
        ensure!(received_ns.len() == requests, "{} is cut short", path.display());
        let mut sent = Vec::with_capacity(requests);
        while let (Some(entry), Some(at)) = (numbers.next(), numbers.next()) {
            ensure!((entry as usize) < requests, "{} answers a request it has not", path.display());
            sent.push((entry as u32, at));
        }
        Ok(Self { received_ns, sent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_reads_as_it_was_written() -> Result<()> {
        let mut log = Log::default();
        let (a, b) = (log.received(5), log.received(7));
        log.sent(b, 8);
        log.sent(a, 9);
        log.sent(a, 10);
        let path = std::env::temp_dir().join(format!("assay-bench-log-{}", std::process::id()));
        log.write(&mut fs::File::create(&path)?)?;
        let read = Log::read(&path);
        fs::remove_file(&path)?;
        let read = read?;
        assert_eq!(read, log);
        assert_eq!(read.without_first(1), Log { received_ns: vec![7], sent: vec![(0, 8)] });
        Ok(())
    }
}

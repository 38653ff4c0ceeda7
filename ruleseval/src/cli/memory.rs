//! The memory that queries may hold. Invariant: it is set before the first query.

use std::str::FromStr;

use anyhow::{Context as _, anyhow};
use assay_promql::Memory;
use assay_run::host::usable_memory_bytes;

/// What all commands that evaluate share.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The most memory for queries: a size such as 800MB or 4GiB, a share of the machine's (or container's) such as 25%,
    /// or 0 for no limit [default: 50%; of `serve`: 25%, 384MiB at most]
    ///
    /// What does not fit is evaluated piece by piece; what does not fit even so is an error that says so. `serve` shares it
    /// among all of its queries, and counts all that they allocate; the other commands count samples.
    #[arg(long, global = true, value_name = "SIZE")]
    max_memory: Option<Size>,
}

/// What the queries of a command other than `serve` may hold by default.
const DEFAULT: Size = Size::Share(0.5);
/// What those of `serve` may hold by default: the smaller.
const DEFAULT_OF_SERVER: [Size; 2] = [Size::Share(0.25), Size::Bytes(384 << 20)];

/// An amount of memory.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Size {
    Bytes(u64),
    /// Of the machine's memory, from 0 to 1.
    Share(f64),
}

impl FromStr for Size {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let wrong = || anyhow!("{text:?} is not a size; use one such as 800MB, 4GiB or 25%");
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: f64 = number.parse().ok().with_context(wrong)?;
        let factor = match unit.trim() {
            "%" if number <= 100.0 => return Ok(Self::Share(number / 100.0)),
            "" | "B" => 1.0,
            "kB" | "KB" => 1e3,
            "MB" => 1e6,
            "GB" => 1e9,
            "KiB" => 1024.0,
            "MiB" => 1_048_576.0,
            "GiB" => 1_073_741_824.0,
            _ => return Err(wrong()),
        };
        Ok(Self::Bytes((number * factor) as u64))
    }
}

impl Args {
    /// Sets the limit for the queries of this process.
    pub(super) fn apply(&self) {
        Memory::of_process().set_max(self.max_memory.unwrap_or(DEFAULT).bytes());
    }

    /// The limit for the queries of a server; 0 for none.
    pub(super) fn of_server(&self) -> usize {
        let default = || DEFAULT_OF_SERVER.into_iter().map(Size::bytes).filter(|bytes| *bytes > 0).min();
        self.max_memory.map_or_else(|| default().unwrap_or(0), Size::bytes)
    }
}

impl Size {
    fn bytes(self) -> usize {
        let bytes = match self {
            Self::Bytes(bytes) => bytes,
            // Without knowing the whole there is no share, and no limit.
            Self::Share(share) => (usable_memory_bytes().unwrap_or(0) as f64 * share) as u64,
        };
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_unit() {
        let check = |text: &str, want: Option<Size>| assert_eq!(text.parse().ok(), want, "{text}");
        check("800MB", Some(Size::Bytes(800_000_000)));
        check("1.5GiB", Some(Size::Bytes(1_610_612_736)));
        check("0", Some(Size::Bytes(0)));
        check("25%", Some(Size::Share(0.25)));
        for wrong in ["", "x", "101%", "5 apples", "-1GB", "1.2.3GB"] {
            check(wrong, None);
        }
    }
}

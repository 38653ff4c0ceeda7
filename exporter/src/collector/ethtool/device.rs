//! What the kernel answers of a device (`include/uapi/linux/ethtool.h`), as words of four bytes.

use std::io;

use crate::sys::ethtool::Ethtool;

const GSET: u32 = 0x1;
const GDRVINFO: u32 = 0x3;
const GSTRINGS: u32 = 0x1b;
const GSTATS: u32 = 0x1d;
const STATS_SET: u32 = 1;
const NAME_BYTES: usize = 32;

/// The most statistics that a driver is believed to have.
const MOST_STATS: usize = 65_536;

/// A device's driver.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Driver {
    pub(super) driver: String,
    pub(super) version: String,
    pub(super) firmware: String,
    pub(super) bus: String,
    pub(super) rom: String,
    n_stats: usize,
}

/// A link's settings: bits of what it can do and of what it advertises to the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) supported: u32,
    pub(super) advertised: u32,
    pub(super) is_autonegotiating: bool,
}

pub(super) fn driver(ethtool: &Ethtool, device: &str) -> io::Result<Driver> {
    // cmd, five texts of 32 bytes, 12 bytes, five numbers.
    let mut words = [0u32; 49];
    words[0] = GDRVINFO;
    ethtool.run(device, &mut words)?;
    Ok(parse_driver(&words))
}

fn parse_driver(words: &[u32; 49]) -> Driver {
    let bytes = bytes(words);
    let text = |at: usize| text(&bytes[4 + at * NAME_BYTES..4 + (at + 1) * NAME_BYTES]);
    Driver {
        driver: text(0),
        version: text(1),
        firmware: text(2),
        bus: text(3),
        rom: text(4),
        // After 12 reserved bytes and the number of private flags.
        n_stats: words[45] as usize,
    }
}

pub(super) fn link(ethtool: &Ethtool, device: &str) -> io::Result<Link> {
    let mut words = [0u32; 11];
    words[0] = GSET;
    ethtool.run(device, &mut words)?;
    let bytes = bytes(&words);
    // speed (2), duplex, port, address, transceiver, autoneg
    Ok(Link { supported: words[1], advertised: words[2], is_autonegotiating: bytes[12 + 6] != 0 })
}

/// The names and values of a device's statistics.
pub(super) fn statistics(ethtool: &Ethtool, device: &str, driver: &Driver) -> io::Result<Vec<(String, u64)>> {
    let n = driver.n_stats.min(MOST_STATS);
    if n == 0 {
        return Ok(Vec::new());
    }
    let mut names = vec![0u32; 3 + n * NAME_BYTES / 4];
    names[..3].copy_from_slice(&[GSTRINGS, STATS_SET, n as u32]);
    ethtool.run(device, &mut names)?;
    let mut values = vec![0u32; 2 + n * 2];
    values[..2].copy_from_slice(&[GSTATS, n as u32]);
    ethtool.run(device, &mut values)?;
    let names = bytes(&names[3..]);
    // A device may have lost some of them since it was asked how many there are.
    let n = n.min(values[1] as usize);
    let value = |at: usize| {
        let low_high = [values[2 + at * 2].to_ne_bytes(), values[3 + at * 2].to_ne_bytes()].concat();
        u64::from_ne_bytes(low_high.try_into().unwrap_or_default())
    };
    Ok((0..n).map(|at| (text(&names[at * NAME_BYTES..(at + 1) * NAME_BYTES]), value(at))).collect())
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// The text before the first zero.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drivers_answer_is_taken_apart() {
        let mut raw = [0u8; 49 * 4];
        for (at, name) in ["e1000e", "5.11", "0.5-4", "0000:00:1f.6", ""].iter().enumerate() {
            raw[4 + at * NAME_BYTES..][..name.len()].copy_from_slice(name.as_bytes());
        }
        raw[45 * 4..46 * 4].copy_from_slice(&17u32.to_ne_bytes());
        let words: Vec<u32> =
            raw.chunks_exact(4).map(|c| u32::from_ne_bytes(c.try_into().unwrap())).collect();
        let driver = parse_driver(&words.try_into().unwrap());
        assert_eq!(
            (driver.driver.as_str(), driver.bus.as_str(), driver.n_stats),
            ("e1000e", "0000:00:1f.6", 17)
        );
    }

    #[test]
    fn the_loopback_answers_or_refuses() {
        let ethtool = Ethtool::open().unwrap();
        assert!(driver(&ethtool, "no-such-device0").is_err());
        // A kernel may have no driver to name for it.
        let _ = driver(&ethtool, "lo");
    }
}

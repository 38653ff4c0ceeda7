//! How long the server takes. Invariant: the plan depends on a request's number and instant alone, so that
//! every client meets the same service.

use std::str::FromStr;

use anyhow::{Context, Error, Result, bail};
use rand::{SeedableRng as _, rngs::SmallRng};
use rand_distr::{Distribution as _, Exp1};

/// The answer to a plain request: a body of 31 bytes.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 31\r\n\r\nthirty bytes of plain text ...\n";

/// The head of a stream, sent when the request has come.
pub(super) const STREAM_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
/// One event: a chunk of a chat completion as OpenAI-compatible servers send it, 0xc0 bytes.
pub(super) const STREAM_EVENT: &[u8] = b"c0\r\ndata: {\"id\":\"chatcmpl-4f1c2d\",\"object\":\"chat.completion.chunk\",\"created\":1767225600,\"model\":\"bench\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" token\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n\r\n";

/// The end of a stream of so many events: the tokens, each event being one, and the mark of the end.
pub(super) fn stream_end(events: u32) -> Vec<u8> {
    let usage = format!(
        "data: {{\"id\":\"chatcmpl-4f1c2d\",\"object\":\"chat.completion.chunk\",\"created\":1767225600,\"model\":\"bench\",\"choices\":[],\"usage\":{{\"prompt_tokens\":3,\"completion_tokens\":{events},\"total_tokens\":{}}}}}\n\ndata: [DONE]\n\n",
        events + 3
    );
    format!("{:x}\r\n{usage}\r\n0\r\n\r\n", usage.len()).into_bytes()
}

/// What the server does with a request. Times are nanoseconds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Plan {
    /// Answers at once, and logs nothing.
    Tiny,
    /// Answers after a while.
    Constant { delay_ns: u64 },
    /// Answers after one while, and two requests of each 25 after another; so no percentile that is compared
    /// falls between the two.
    Bimodal { most_ns: u64, few_ns: u64 },
    /// Answers after a while; from `at_ns` after the first request on, nothing is answered for `length_ns`.
    Stall { delay_ns: u64, at_ns: u64, length_ns: u64 },
    /// Works off one request after the other on each of its servers, in the order in which they come, each for an
    /// exponential time: M/M/1 or M/M/c where they come at random.
    Queue { servers: usize, rate_per_s: f64, seed: u64 },
    /// Streams events, the first after a while, the others an interval apart.
    Stream { events: u32, interval_ns: u64, first_ns: u64 },
}

impl Plan {
    /// The whole answer to a plain request.
    pub(super) fn answer(&self) -> &'static [u8] {
        ANSWER
    }

    /// When the request that came `at` as number `entry` is due for (the first piece of) its answer, where
    /// the first of all came at `first`; `free` has the instants at which the servers of a queue are free again.
    pub(super) fn due_ns(&self, entry: usize, at: u64, first: u64, free: &mut Vec<u64>) -> u64 {
        match *self {
            Self::Queue { servers, rate_per_s, seed } => {
                free.resize(servers, 0);
                let Some(server) = free.iter_mut().min() else { return at };
                *server = at.max(*server) + exponential_ns(seed, entry as u64, rate_per_s);
                *server
            }
            Self::Tiny => at,
            Self::Constant { delay_ns } => at + delay_ns,
            Self::Bimodal { most_ns, few_ns } => at + if entry % 25 >= 23 { few_ns } else { most_ns },
            Self::Stall { delay_ns, at_ns, length_ns } => {
                let (due, stalled) = (at + delay_ns, first + at_ns..first + at_ns + length_ns);
                if stalled.contains(&due) { stalled.end } else { due }
            }
            Self::Stream { first_ns, .. } => at + first_ns,
        }
    }
}

impl FromStr for Plan {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let numbers: Vec<f64> = parts
            .map(|p| p.parse::<f64>().with_context(|| format!("{p:?} in {text:?}")))
            .collect::<Result<_>>()?;
        let ns = |s: f64| (s * 1e9) as u64;
        Ok(match (name, numbers.as_slice()) {
            ("tiny", []) => Self::Tiny,
            ("constant", [delay]) => Self::Constant { delay_ns: ns(*delay) },
            ("bimodal", [most, few]) => Self::Bimodal { most_ns: ns(*most), few_ns: ns(*few) },
            ("stall", [delay, at, length]) => {
                Self::Stall { delay_ns: ns(*delay), at_ns: ns(*at), length_ns: ns(*length) }
            }
            ("queue", [servers, rate_per_s, seed]) => {
                Self::Queue { servers: *servers as usize, rate_per_s: *rate_per_s, seed: *seed as u64 }
            }
            ("stream", [events, interval]) => {
                Self::Stream { events: *events as u32, interval_ns: ns(*interval), first_ns: ns(*interval) }
            }
            ("stream", [events, interval, first]) => {
                Self::Stream { events: *events as u32, interval_ns: ns(*interval), first_ns: ns(*first) }
            }
            _ => bail!("{text:?} is no plan"),
        })
    }
}

/// An exponential time, by the number of the request.
fn exponential_ns(seed: u64, entry: u64, rate_per_s: f64) -> u64 {
    let mut random = SmallRng::seed_from_u64(seed.rotate_left(32) ^ entry);
    let gap: f64 = Exp1.sample(&mut random);
    (gap / rate_per_s * 1e9) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_say_when_answers_are_due() -> Result<()> {
        let due =
            |plan: &str, entry, at| plan.parse::<Plan>().map(|p| p.due_ns(entry, at, 1_000, &mut Vec::new()));
        assert_eq!(due("constant:0.005", 3, 7)?, 5_000_007);
        assert_eq!(due("bimodal:0.001:0.02", 49, 7)?, 20_000_007);
        assert_eq!(due("bimodal:0.001:0.02", 50, 7)?, 1_000_007);
        // Due inside the stall, which begins a second after the first request: at its end.
        assert_eq!(due("stall:0.001:1:2", 0, 1_000_000_000)?, 3_000_001_000);
        assert_eq!(due("stall:0.001:1:2", 0, 900_000_000)?, 901_000_000);
        assert_eq!(due("stream:3:0.02", 5, 7)?, 20_000_007);
        assert_eq!(due("stream:3:0.02:0.2", 5, 7)?, 200_000_007);
        assert!("constant".parse::<Plan>().is_err() && "stall:x".parse::<Plan>().is_err());
        Ok(())
    }

    #[test]
    fn a_queue_works_off_one_after_the_other() -> Result<()> {
        let (plan, mut free) = ("queue:1:100:7".parse::<Plan>()?, Vec::new());
        // All come at once: each waits for those before it, and all take ten milliseconds on average.
        let done: Vec<u64> = (0..10_000).map(|entry| plan.due_ns(entry, 5, 5, &mut free)).collect();
        assert!(done.is_sorted());
        let mean = done[9_999] as f64 / 10_000.0;
        assert!((9.7e6..10.3e6).contains(&mean), "{mean}");
        Ok(())
    }

    #[test]
    fn chunks_are_as_long_as_they_say() {
        let end = STREAM_EVENT.len();
        assert_eq!(&STREAM_EVENT[..4], b"c0\r\n");
        assert_eq!(end - 4 - 2, 0xc0);
        let text = String::from_utf8(stream_end(32)).unwrap_or_default();
        let (length, rest) = text.split_once("\r\n").unwrap_or_default();
        assert_eq!(usize::from_str_radix(length, 16).ok(), rest.strip_suffix("\r\n0\r\n\r\n").map(str::len));
        assert!(text.contains("\"completion_tokens\":32,\"total_tokens\":35}"), "{text}");
    }
}

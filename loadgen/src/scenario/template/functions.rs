//! The functions of templates. Invariant: what is drawn follows from the user's seed alone.

use std::fmt::Write as _;

use minijinja::{Error, ErrorKind, Value};

use super::super::tokenizer::Tokenizer;
use crate::seed::{mix, scaled};

/// What functions have of the user who calls them: random numbers, and the tokenizer.
pub(crate) trait Chance {
    /// The next 64 random bits.
    fn next(&self) -> u64;

    /// The model's tokenizer, if there is one.
    fn tokenizer(&self) -> Option<&Tokenizer> {
        None
    }

    /// A whole number from 0 up to, and without, `count`.
    fn below(&self, count: u64) -> u64 {
        scaled(self.next(), count.into())
    }
}

/// A function.
#[derive(Debug)]
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: &'static str,
    /// How it is called, in each way.
    pub(crate) calls: &'static [&'static str],
    /// What it gives, without a full stop.
    pub(crate) about: &'static str,
    /// What it may give.
    pub(crate) gives: &'static str,
    call: fn(&dyn Chance, &[Value]) -> Result<Value, Error>,
}

/// All of them.
pub(crate) static FUNCTIONS: [Function; 9] = [
    Function {
        name: "uuid",
        calls: &["uuid()"],
        about: "A random UUID, version 4",
        gives: "0b5c0f54-53a4-4f2b-8f6e-7d3d0f6a2c11",
        call: |chance, arguments| no_more(arguments, 0).map(|()| Value::from(uuid(chance))),
    },
    Function {
        name: "now",
        calls: &["now()", "now('unix')", "now('unix_ms')"],
        about: "The time: RFC 3339 in UTC with milliseconds, or whole seconds or milliseconds since 1970",
        gives: "2026-01-31T12:00:00.000Z",
        call: |_, arguments| now(arguments),
    },
    Function {
        name: "random",
        calls: &["random()", "random(1, 6)"],
        about: "A number from 0 up to, and without, 1; or a whole number between two, both among them",
        gives: "4",
        call: random,
    },
    Function {
        name: "random_text",
        calls: &["random_text(12)"],
        about: "So many random letters and digits",
        gives: "k3vQ0aZx9LmB",
        call: random_text,
    },
    Function {
        name: "choice",
        calls: &["choice('a', 'b', 'c')", "choice(['a', 'b'])"],
        about: "One of its arguments, or of a list",
        gives: "b",
        call: choice,
    },
    Function {
        name: "normal",
        calls: &["normal(200, 50)"],
        about: "A number of a normal distribution, by mean and standard deviation; 0 if it would be less",
        gives: "187.4",
        call: |chance, arguments| {
            let [mean, deviation] = two_numbers(arguments, "normal(200, 50)")?;
            Ok(Value::from((mean + deviation * gaussian(chance)).max(0.0)))
        },
    },
    Function {
        name: "lognormal",
        calls: &["lognormal(200, 0.5)"],
        about: "A number of a log-normal distribution, by its median and the standard deviation of its logarithm",
        gives: "263.1",
        call: |chance, arguments| {
            let [median, sigma] = two_numbers(arguments, "lognormal(200, 0.5)")?;
            Ok(Value::from(median * (sigma * gaussian(chance)).exp()))
        },
    },
    Function {
        name: "prompt",
        calls: &["prompt(200)", "prompt(700, [0, 2])"],
        about: "A text of so many tokens, exactly so with a `tokenizer`; with ids, made of blocks of 512 tokens that are the same for the same id, as the prefixes that traces share are",
        gives: "water under which a long name …",
        call: prompt,
    },
    Function {
        name: "tokens",
        calls: &["tokens('some text')"],
        about: "How many tokens a text has by the `tokenizer`; without one an estimate, a token for each four bytes",
        gives: "2",
        call: |chance, arguments| match arguments {
            [text] => {
                let text = text.as_str().map_or_else(|| text.to_string(), str::to_owned);
                let count = chance.tokenizer().map_or(text.len().div_ceil(4), |t| t.count(&text));
                Ok(Value::from(count))
            }
            _ => Err(wrong("expected a text, such as tokens('some text')".to_owned())),
        },
    },
];

/// The function of this name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

impl Function {
    /// Calls it.
    pub(crate) fn call(&self, chance: &dyn Chance, arguments: &[Value]) -> Result<Value, Error> {
        (self.call)(chance, arguments)
    }
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

fn no_more(arguments: &[Value], most: usize) -> Result<(), Error> {
    match arguments.len() > most {
        true => Err(wrong(format!("takes at most {most} arguments, found {}", arguments.len()))),
        false => Ok(()),
    }
}

fn uuid(chance: &dyn Chance) -> String {
    let bits = (u128::from(chance.next()) << 64) | u128::from(chance.next());
    // Version 4, variant 1 (RFC 9562, 5.4).
    let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn now(arguments: &[Value]) -> Result<Value, Error> {
    no_more(arguments, 1)?;
    let ms = assay_run::time::now_ms();
    match arguments.first().map(|form| form.as_str()) {
        None => Ok(Value::from(assay_run::time::to_rfc3339(ms))),
        Some(Some("unix")) => Ok(Value::from(ms.div_euclid(1000))),
        Some(Some("unix_ms")) => Ok(Value::from(ms)),
        Some(_) => Err(wrong("expected now(), now('unix') or now('unix_ms')".to_owned())),
    }
}

fn random(chance: &dyn Chance, arguments: &[Value]) -> Result<Value, Error> {
    let bounds: Vec<Option<i64>> = arguments.iter().map(|v| i64::try_from(v.clone()).ok()).collect();
    match bounds.as_slice() {
        [] => Ok(Value::from((chance.next() >> 11) as f64 / (1u64 << 53) as f64)),
        [Some(low), Some(high)] if low <= high => {
            let offset = scaled(chance.next(), u128::from(high.abs_diff(*low)) + 1);
            Ok(Value::from(low.wrapping_add_unsigned(offset)))
        }
        [Some(low), Some(high)] => {
            Err(wrong(format!("random({low}, {high}): the first is above the second")))
        }
        _ => Err(wrong("expected random() or two whole numbers, such as random(1, 6)".to_owned())),
    }
}

fn random_text(chance: &dyn Chance, arguments: &[Value]) -> Result<Value, Error> {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const MOST: usize = 1 << 20;
    let length = match arguments {
        [n] => usize::try_from(n.clone()).ok().filter(|n| *n <= MOST),
        _ => None,
    };
    let length =
        length.ok_or_else(|| wrong(format!("expected a length up to {MOST}, such as random_text(12)")))?;
    let mut out = String::with_capacity(length);
    for _ in 0..length {
        let _ = out.write_char(char::from(LETTERS[chance.below(LETTERS.len() as u64) as usize]));
    }
    Ok(Value::from(out))
}

fn choice(chance: &dyn Chance, arguments: &[Value]) -> Result<Value, Error> {
    let of_list: Option<Vec<Value>> = match arguments {
        [list] if list.as_str().is_none() => list.try_iter().ok().map(Iterator::collect),
        _ => None,
    };
    let all = of_list.as_deref().unwrap_or(arguments);
    if all.is_empty() {
        return Err(wrong("choice has nothing to choose from".to_owned()));
    }
    Ok(all[chance.below(all.len() as u64) as usize].clone())
}

fn two_numbers(arguments: &[Value], example: &str) -> Result<[f64; 2], Error> {
    let number = |value: &Value| f64::try_from(value.clone()).ok().filter(|n| n.is_finite());
    match arguments {
        [a, b] => number(a).zip(number(b)).map(|(a, b)| [a, b]),
        _ => None,
    }
    .ok_or_else(|| wrong(format!("expected two numbers, such as {example}")))
}

/// A number of the standard normal distribution (Box and Muller's method).
fn gaussian(chance: &dyn Chance) -> f64 {
    let unit = || ((chance.next() >> 11) as f64 + 1.0) / (1u64 << 53) as f64;
    (-2.0 * unit().ln()).sqrt() * (std::f64::consts::TAU * unit()).cos()
}

/// Short common words, each of which is one token behind a space in the vocabularies of the usual models.
pub(crate) const WORDS: [&str; 64] = [
    "the", "of", "and", "to", "in", "is", "that", "for", "it", "as", "was", "with", "be", "by", "on", "not",
    "he", "his", "but", "at", "are", "this", "have", "from", "or", "had", "an", "they", "which", "one",
    "you", "were", "all", "her", "she", "there", "would", "their", "we", "him", "been", "has", "when", "who",
    "will", "no", "more", "if", "out", "so", "up", "said", "what", "its", "about", "than", "into", "them",
    "can", "only", "other", "time", "new", "some",
];

/// The tokens of a block that an id stands for, as in Mooncake's traces.
const BLOCK: usize = 512;

/// The random bits of a block's tokens: the same for the same id, in every run.
fn block(id: &Value) -> impl Iterator<Item = u64> {
    let first = id.to_string().bytes().fold(BLOCK as u64, |state, byte| mix(state ^ u64::from(byte)));
    let next = |state: &u64| Some(mix(state.wrapping_add(1)));
    std::iter::successors(Some(first), next).skip(1).take(BLOCK)
}

fn prompt(chance: &dyn Chance, arguments: &[Value]) -> Result<Value, Error> {
    const MOST: f64 = (1 << 20) as f64;
    let (tokens, ids) = match arguments {
        [n] => (n, None),
        [n, ids] => (n, ids.try_iter().ok()),
        _ => return Err(wrong("expected prompt(200), or with ids prompt(700, [0, 2])".to_owned())),
    };
    if arguments.len() == 2 && ids.is_none() {
        return Err(wrong("expected a list of ids, such as prompt(700, [0, 2])".to_owned()));
    }
    let tokens = f64::try_from(tokens.clone()).ok().filter(|n| (0.0..=MOST).contains(n));
    let tokens = tokens
        .ok_or_else(|| wrong(format!("expected a number of tokens up to {MOST}, such as prompt(200)")))?;
    let tokens = tokens.round().max(1.0) as usize;
    let known = chance.tokenizer().map_or(&WORDS[..], Tokenizer::words);
    let mut words = Vec::with_capacity(tokens);
    let word = |random: u64| known[scaled(random, known.len() as u128) as usize];
    for id in ids.into_iter().flatten() {
        words.extend(block(&id).take(tokens - words.len()).map(word));
    }
    words.resize_with(tokens, || word(chance.next()));
    Ok(Value::from(words.join(" ")))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    struct Seeded(Cell<u64>);

    impl Chance for Seeded {
        fn next(&self) -> u64 {
            self.0.set(self.0.get() + 1);
            mix(self.0.get())
        }
    }

    fn call(name: &str, arguments: &[Value]) -> Result<Value, Error> {
        find(name).expect(name).call(&Seeded(Cell::new(1)), arguments)
    }

    #[test]
    fn what_is_drawn_is_where_it_should_be() {
        let chance = Seeded(Cell::new(7));
        let random = find("random").expect("random");
        let mut seen = [0; 6];
        for _ in 0..6_000 {
            let n = random.call(&chance, &[Value::from(1), Value::from(6)]).expect("a number");
            seen[usize::try_from(n).expect("small") - 1] += 1;
            let share = f64::try_from(random.call(&chance, &[]).expect("a share")).expect("a number");
            assert!((0.0..1.0).contains(&share));
        }
        assert!(seen.iter().all(|n| (800..1200).contains(n)), "{seen:?}");
        let all = random.call(&chance, &[Value::from(i64::MIN), Value::from(i64::MAX)]);
        assert!(all.is_ok());
        assert!(call("random", &[Value::from(2), Value::from(1)]).is_err());
        assert!(call("random", &[Value::from("a")]).is_err());
        assert_eq!(call("random_text", &[Value::from(12)]).expect("a text").as_str().map(str::len), Some(12));
        assert!(call("random_text", &[Value::from(-1)]).is_err());
        assert_eq!(call("choice", &[Value::from("only")]).expect("one").as_str(), Some("only"));
        assert_eq!(call("choice", &[Value::from(vec!["x"])]).expect("one").as_str(), Some("x"));
        assert!(call("choice", &[]).is_err());
    }

    #[test]
    fn lengths_have_the_distribution_they_should() {
        let chance = Seeded(Cell::new(3));
        let draw = |name: &str, a: f64, b: f64| {
            let function = find(name).expect(name);
            let mut all: Vec<f64> = (0..20_000)
                .map(|_| {
                    f64::try_from(function.call(&chance, &[Value::from(a), Value::from(b)]).expect(name))
                        .expect("a number")
                })
                .collect();
            all.sort_by(f64::total_cmp);
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            (mean, all[all.len() / 2], all[all.len() * 84 / 100])
        };
        let near = |got: f64, want: f64| assert!((got / want - 1.0).abs() < 0.03, "{got} is not near {want}");
        let (mean, median, above) = draw("normal", 200.0, 50.0);
        near(mean, 200.0);
        near(median, 200.0);
        // One standard deviation above the mean.
        near(above, 250.0);
        let (mean, median, _) = draw("lognormal", 100.0, 0.5);
        near(median, 100.0);
        near(mean, 100.0 * (0.125f64).exp());
        assert!(call("normal", &[Value::from(1)]).is_err());
        let text = call("prompt", &[Value::from(200)]).expect("a text");
        assert_eq!(text.as_str().expect("a text").split(' ').count(), 200);
        assert!(call("prompt", &[Value::from("many")]).is_err());
        let of_ids = |tokens: usize, ids: &[u32]| {
            let text = call("prompt", &[Value::from(tokens), Value::from(ids.to_vec())]).expect("a text");
            let words: Vec<String> = text.to_string().split(' ').map(str::to_owned).collect();
            assert_eq!(words.len(), tokens);
            words
        };
        let (a, b) = (of_ids(1100, &[0, 1, 2]), of_ids(1200, &[0, 7, 2]));
        assert_eq!(a[..512], b[..512]);
        assert_ne!(a[512..1024], b[512..1024]);
        assert_eq!(a[1024..], b[1024..1100]);
        assert!(call("prompt", &[Value::from(1), Value::from(2)]).is_err());
    }

    #[test]
    fn a_uuid_has_its_version_and_times_read_back() {
        let uuid = call("uuid", &[]).expect("a uuid");
        let uuid = uuid.as_str().expect("a text");
        let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert!(uuid[14..].starts_with('4') && "89ab".contains(&uuid[19..20]), "{uuid}");
        assert!(call("uuid", &[Value::from(1)]).is_err());
        let text = call("now", &[]).expect("a time");
        assert!(assay_run::time::parse(text.as_str().expect("a text")).is_some());
        assert!(
            i64::try_from(call("now", &[Value::from("unix")]).expect("seconds")).expect("a number") > 1 << 30
        );
        assert!(call("now", &[Value::from("local")]).is_err());
    }
}

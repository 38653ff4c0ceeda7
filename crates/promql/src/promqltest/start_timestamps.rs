//! Start timestamps in `load`: `metric@st _ -1m -30s-1mx2`, for each sample how long before it its counter began.
//!
//! Invariant: an item makes as many entries as the like-named item of a series makes values.

use assay_model::duration::parse_ms;

/// The start timestamps relative to their samples, in milliseconds; `None` where there is none.
pub(super) fn parse_offsets(text: &str) -> Result<Vec<Option<i64>>, String> {
    let mut out = Vec::new();
    for item in text.split_whitespace() {
        offsets(item, &mut out).ok_or_else(|| {
            format!("invalid start timestamp {item:?}; write for example _, _x3, -1m, -1mx3 or -30s-1mx2")
        })?;
    }
    Ok(out)
}

fn offsets(item: &str, out: &mut Vec<Option<i64>>) -> Option<()> {
    if let Some(rest) = item.strip_prefix('_') {
        let times = if rest.is_empty() { 1 } else { times(rest).filter(|n| *n > 1)? - 1 };
        out.extend((0..times).map(|_| None));
        return Some(());
    }
    let (mut offset_ms, rest) = duration(item)?;
    let (step_ms, rest) = if rest.starts_with(['+', '-']) { duration(rest)? } else { (0, rest) };
    if rest.is_empty() && step_ms == 0 {
        out.push(Some(offset_ms));
        return Some(());
    }
    for _ in 0..times(rest)? {
        out.push(Some(offset_ms));
        offset_ms = offset_ms.checked_add(step_ms)?;
    }
    Some(())
}

/// How many entries `xN` makes: N more than the first.
fn times(text: &str) -> Option<usize> {
    let n: usize = text.strip_prefix('x')?.parse().ok()?;
    (n < 10_000_000).then_some(n + 1)
}

/// A duration with or without sign, and what follows it.
fn duration(text: &str) -> Option<(i64, &str)> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let unit = unsigned[digits..].bytes().take_while(|b| b.is_ascii_alphabetic() && *b != b'x').count();
    let (duration, rest) = unsigned.split_at(digits + unit);
    let ms = parse_ms(duration).ok()?;
    Some((if text.starts_with('-') { -ms } else { ms }, rest))
}

#[cfg(test)]
mod tests {
    use super::parse_offsets;

    #[test]
    fn items_expand() {
        let check = |text: &str, want: &[Option<i64>]| {
            assert_eq!(parse_offsets(text).as_deref(), Ok(want), "{text}");
        };
        check("_ -1m", &[None, Some(-60_000)]);
        check("_x2 0s", &[None, None, Some(0)]);
        check("-30s-1mx2", &[Some(-30_000), Some(-90_000), Some(-150_000)]);
        check("-1msx1 +1m", &[Some(-1), Some(-1), Some(60_000)]);
        for bad in ["1", "-1m-1m", "_x0", "-1mx", "x"] {
            assert!(parse_offsets(bad).is_err(), "{bad}");
        }
    }
}

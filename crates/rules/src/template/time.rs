//! Times and durations of templates: how Go prints them, and the methods that templates call.
//!
//! Source: the documentation of Go's `time` package (go1.24). Invariant: times are UTC, as Prometheus makes them.

use assay_model::calendar::{self, MONTHS};

use super::value::Value;

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A moment in parts.
struct Civil {
    year: i64,
    month: usize,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    ms: i64,
    weekday: usize,
    year_day: i64,
}

fn civil(ms: i64) -> Civil {
    let days = ms.div_euclid(86_400_000);
    let rest = ms.rem_euclid(86_400_000);
    let (year, month, day) = calendar::date(days);
    Civil {
        year,
        month: month as usize,
        day,
        hour: rest / 3_600_000,
        minute: rest / 60_000 % 60,
        second: rest / 1000 % 60,
        ms: rest % 1000,
        weekday: (days + 4).rem_euclid(7) as usize,
        year_day: days - calendar::days(year, 1, 1) + 1,
    }
}

/// `time.Time.String` of a moment in UTC.
pub(crate) fn print(ms: i64) -> String {
    format(ms, "2006-01-02 15:04:05.999999999 -0700 MST")
}

/// The layout's reference parts, longest first where one begins another.
const PARTS: [&str; 27] = [
    "January", "Jan", "Monday", "Mon", "MST", "2006", "-07:00", "-0700", "-07", "Z07:00", "Z0700", "002",
    "01", "02", "03", "04", "05", "06", "15", "PM", "pm", "__2", "_2", "1", "2", "3", "4",
];

/// `time.Time.Format` with a layout in terms of Go's reference time.
pub(crate) fn format(ms: i64, layout: &str) -> String {
    let t = civil(ms);
    let mut out = String::new();
    let mut rest = layout;
    let hour12 = if t.hour % 12 == 0 { 12 } else { t.hour % 12 };
    while !rest.is_empty() {
        if let Some((text, used)) = fraction(rest, t.ms) {
            out.push_str(&text);
            rest = &rest[used..];
            continue;
        }
        let part = if rest.starts_with('5') {
            Some("5")
        } else {
            PARTS.iter().find(|p| rest.starts_with(**p)).copied()
        };
        let Some(part) = part else {
            let Some(c) = rest.chars().next() else { break };
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        rest = &rest[part.len()..];
        out.push_str(&match part {
            "January" => MONTHS[t.month - 1].to_owned(),
            "Jan" => MONTHS[t.month - 1][..3].to_owned(),
            "Monday" => DAYS[t.weekday].to_owned(),
            "Mon" => DAYS[t.weekday][..3].to_owned(),
            "MST" => "UTC".to_owned(),
            "2006" => format!("{:04}", t.year),
            "-07:00" => "+00:00".to_owned(),
            "-0700" => "+0000".to_owned(),
            "-07" => "+00".to_owned(),
            "Z07:00" | "Z0700" => "Z".to_owned(),
            "002" => format!("{:03}", t.year_day),
            "__2" => format!("{:3}", t.year_day),
            "01" => format!("{:02}", t.month),
            "1" => t.month.to_string(),
            "02" => format!("{:02}", t.day),
            "_2" => format!("{:2}", t.day),
            "2" => t.day.to_string(),
            "15" => format!("{:02}", t.hour),
            "03" => format!("{hour12:02}"),
            "3" => hour12.to_string(),
            "04" => format!("{:02}", t.minute),
            "4" => t.minute.to_string(),
            "05" => format!("{:02}", t.second),
            "5" => t.second.to_string(),
            "06" => format!("{:02}", t.year.rem_euclid(100)),
            "PM" => if t.hour >= 12 { "PM" } else { "AM" }.to_owned(),
            _ => if t.hour >= 12 { "pm" } else { "am" }.to_owned(),
        });
    }
    out
}

/// A fraction of a second in a layout: `.000` prints digits, `.999` leaves trailing zeros out.
fn fraction(layout: &str, ms: i64) -> Option<(String, usize)> {
    let mark = layout.chars().next().filter(|c| matches!(c, '.' | ','))?;
    let kind = layout[1..].chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let digits = layout[1..].chars().take_while(|c| *c == kind).count();
    // A digit after the run means that it is no fraction (`.05`).
    if layout[1 + digits..].starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let all = format!("{ms:03}000000");
    let mut text: String = all.chars().take(digits).collect();
    if kind == '9' {
        text.truncate(text.trim_end_matches('0').len());
        if text.is_empty() {
            return Some((String::new(), 1 + digits));
        }
    }
    Some((format!("{mark}{text}"), 1 + digits))
}

/// A date and time of RFC 3339 in milliseconds since the Unix epoch; digits beyond milliseconds are cut.
pub(crate) fn parse_rfc3339_ms(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let mark = |at: usize, marks: &str| text.get(at..=at).filter(|c| marks.contains(c));
    mark(4, "-").and(mark(7, "-")).and(mark(10, "Tt ")).and(mark(13, ":")).and(mark(16, ":"))?;
    let (month, day) = (number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !((1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60) {
        return None;
    }
    let mut rest = &text[19..];
    let mut ms = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let padded: String = fraction[..digits].chars().chain("000".chars()).take(3).collect();
        ms = padded.parse().ok().filter(|_| digits > 0)?;
        rest = &fraction[digits..];
    }
    let zone_min = match rest {
        "Z" | "z" => 0,
        _ => {
            let sign = match rest.get(..1)? {
                "+" => 1,
                "-" => -1,
                _ => return None,
            };
            let (h, m) = rest[1..].split_once(':')?;
            let two = |t: &str| (t.len() == 2).then(|| t.parse::<i64>().ok())?;
            sign * (two(h)? * 60 + two(m)?)
        }
    };
    let days = calendar::days(number(0, 4)?, month, day);
    Some(((days * 24 + hour) * 60 + minute - zone_min) * 60_000 + second * 1000 + ms)
}

/// `time.Duration.String`.
pub(crate) fn print_duration(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let n = ns.unsigned_abs();
    let decimal = |value: u64, digits: usize| {
        let scale = 10u64.pow(digits as u32);
        let rest = format!("{:0digits$}", value % scale);
        let rest = rest.trim_end_matches('0');
        if rest.is_empty() { (value / scale).to_string() } else { format!("{}.{rest}", value / scale) }
    };
    if n == 0 {
        return "0s".to_owned();
    }
    if n < 1_000 {
        return format!("{sign}{n}ns");
    }
    if n < 1_000_000 {
        return format!("{sign}{}µs", decimal(n, 3));
    }
    if n < 1_000_000_000 {
        return format!("{sign}{}ms", decimal(n, 6));
    }
    let (minutes, rest) = (n / 60_000_000_000, n % 60_000_000_000);
    let seconds = decimal(rest, 9);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, m) => format!("{sign}{m}m{seconds}s"),
        (h, m) => format!("{sign}{h}h{m}m{seconds}s"),
    }
}

/// A method of a time; `None` where it has no such method.
pub(crate) fn method(ms: i64, name: &str, args: &[Value]) -> Option<Value> {
    let t = civil(ms);
    Some(match (name, args) {
        ("Format", [Value::Str(layout)]) => Value::str(format(ms, layout)),
        ("String", []) => Value::str(print(ms)),
        ("Unix", []) => Value::Int(ms.div_euclid(1000)),
        ("UnixMilli", []) => Value::Int(ms),
        ("UnixMicro", []) => Value::Int(ms.saturating_mul(1000)),
        ("UnixNano", []) => Value::Int(ms.saturating_mul(1_000_000)),
        ("Year", []) => Value::Int(t.year),
        ("Month", []) => Value::str(MONTHS[t.month - 1]),
        ("Day", []) => Value::Int(t.day),
        ("Hour", []) => Value::Int(t.hour),
        ("Minute", []) => Value::Int(t.minute),
        ("Second", []) => Value::Int(t.second),
        ("Nanosecond", []) => Value::Int(t.ms * 1_000_000),
        ("YearDay", []) => Value::Int(t.year_day),
        ("Weekday", []) => Value::str(DAYS[t.weekday]),
        ("UTC" | "Local", []) => Value::Time(ms),
        ("IsZero", []) => Value::Bool(ms == -62_135_596_800_000),
        ("Add", [Value::Duration(ns)]) => Value::Time(ms.saturating_add(ns / 1_000_000)),
        _ => return None,
    })
}

/// A method of a duration; `None` where it has no such method.
pub(crate) fn duration_method(ns: i64, name: &str, args: &[Value]) -> Option<Value> {
    Some(match (name, args) {
        ("String", []) => Value::str(print_duration(ns)),
        ("Seconds", []) => Value::Float(ns as f64 / 1e9),
        ("Minutes", []) => Value::Float(ns as f64 / 6e10),
        ("Hours", []) => Value::Float(ns as f64 / 3.6e12),
        ("Milliseconds", []) => Value::Int(ns / 1_000_000),
        ("Microseconds", []) => Value::Int(ns / 1_000),
        ("Nanoseconds", []) => Value::Int(ns),
        ("Abs", []) => Value::Duration(ns.saturating_abs()),
        ("Round", [Value::Duration(unit)]) if *unit > 0 => {
            let half = (ns.abs() % unit) * 2 >= *unit;
            let down = ns.abs() - ns.abs() % unit;
            Value::Duration((down + if half { *unit } else { 0 }) * ns.signum())
        }
        ("Truncate", [Value::Duration(unit)]) if *unit > 0 => Value::Duration(ns - ns % unit),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_in_all_its_forms() {
        for (text, want) in [
            ("2015-06-23T13:19:44.128Z", Some(1_435_065_584_128)),
            ("2015-06-23t15:19:44.1289+02:00", Some(1_435_065_584_128)),
            ("1969-12-31T23:59:59Z", Some(-1000)),
            ("2015-06-23", None),
            ("2015-06-23T13:19:44", None),
            ("2015-13-23T13:19:44Z", None),
        ] {
            assert_eq!(parse_rfc3339_ms(text), want, "{text}");
        }
    }

    #[test]
    fn times_print_as_go_prints_them() {
        let check = |ms: i64, layout: &str, want: &str| assert_eq!(format(ms, layout), want, "{layout}");
        assert_eq!(print(1_435_065_584_128), "2015-06-23 13:19:44.128 +0000 UTC");
        assert_eq!(print(0), "1970-01-01 00:00:00 +0000 UTC");
        check(951_868_799_005, "2006-01-02T15:04:05.000Z07:00", "2000-02-29T23:59:59.005Z");
        check(951_868_799_005, "Mon Jan _2 3:04PM 06 002", "Tue Feb 29 11:59PM 00 060");
        check(-1000, "Monday, 2 January 2006 15h", "Wednesday, 31 December 1969 23h");
        for (ns, want) in
            [(0, "0s"), (1500, "1.5µs"), (90_000_000_000, "1m30s"), (-3_600_500_000_000, "-1h0m0.5s")]
        {
            assert_eq!(print_duration(ns), want);
        }
    }
}

//! Dates of cookies (RFC 6265, 5.1.1): a time, a day, a month and a year in any order, whatever stands around
//! them. Invariant: what is no date is `None`, and the cookie then lasts as long as its user.

use assay_model::calendar;

/// Seconds since the Unix epoch.
pub(super) fn parse_s(text: &str) -> Option<i64> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    let is_delimiter = |c: char| !(c.is_ascii_alphanumeric() || c == ':');
    for token in text.split(is_delimiter).filter(|t| !t.is_empty()) {
        let number = token.parse::<i64>().ok();
        if time.is_none() && token.contains(':') {
            time = Some(clock(token)?);
        } else if day.is_none() && token.len() <= 2 && number.is_some() {
            day = number;
        } else if month.is_none() && number.is_none() && month_of(token).is_some() {
            month = month_of(token);
        } else if year.is_none() && (token.len() == 2 || token.len() == 4) && number.is_some() {
            year = number;
        }
    }
    let (time, day, month, mut year) = (time?, day?, month?, year?);
    year += match year {
        0..70 => 2000,
        70..100 => 1900,
        _ => 0,
    };
    if !(1601..=9999).contains(&year) || !(1..=31).contains(&day) {
        return None;
    }
    Some(calendar::days(year, month, day) * 86_400 + time)
}

fn clock(text: &str) -> Option<i64> {
    let parts: Vec<i64> = text.split(':').map(|p| p.parse().ok()).collect::<Option<_>>()?;
    match parts[..] {
        [h @ 0..24, m @ 0..60, s @ 0..60] => Some(h * 3600 + m * 60 + s),
        _ => None,
    }
}

fn month_of(token: &str) -> Option<i64> {
    calendar::month_of(token.get(..3)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_servers_write_them() {
        let check = |text: &str, want: Option<i64>| assert_eq!(parse_s(text), want, "{text}");
        check("Thu, 01 Jan 1970 00:00:00 GMT", Some(0));
        check("Wed, 21 Oct 2015 07:28:00 GMT", Some(1_445_412_480));
        check("Wednesday, 21-Oct-15 07:28:00 GMT", Some(1_445_412_480));
        check("Wed Oct 21 07:28:00 2015", Some(1_445_412_480));
        check("Thu, 29 Feb 2024 12:00:00 GMT", Some(1_709_208_000));
        check("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799));
        for text in
            ["", "soon", "1", "Thu, 01 Jan 1970", "Thu, 01 Jan 1970 25:00:00 GMT", "40 Jan 2020 00:00:00"]
        {
            check(text, None);
        }
    }
}

//! Days and dates of the Gregorian calendar, extended to all years (proleptic; Howard Hinnant, "chrono-Compatible Low-Level
//! Date Algorithms"). Invariant: [`days`] and [`date`] undo each other.
//!
//! Years are counted from 1 March, so that the leap day ends one; 400 years are 146,097 days.

/// The months' English names, from January.
pub const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// From 1 March of the year 0 to 1 January 1970, in days.
const EPOCH: i64 = 719_468;
/// Days in 400 years.
const ERA: i64 = 146_097;

/// Days from 1970-01-01 to a date; the month counts from 1 to 12, the day from 1.
#[must_use]
pub fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year.div_euclid(400) * ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH
}

/// The year, the month (1 to 12) and the day (1 to 31) that are so many days after 1970-01-01.
#[must_use]
pub fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + EPOCH;
    let (era, of_era) = (shifted.div_euclid(ERA), shifted.rem_euclid(ERA));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The month (1 to 12) whose name these three letters begin, in capitals or not.
#[must_use]
pub fn month_of(three_letters: &str) -> Option<i64> {
    (1..).zip(MONTHS).find(|(_, name)| name[..3].eq_ignore_ascii_case(three_letters)).map(|(n, _)| n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_undo_each_other() {
        for (text, n) in [
            ((1970, 1, 1), 0),
            ((1969, 12, 31), -1),
            ((2000, 2, 29), 11_016),
            ((2000, 3, 1), 11_017),
            ((1900, 3, 1), -25_508),
            ((0, 3, 1), -719_468),
            ((9999, 12, 31), 2_932_896),
        ] {
            let (year, month, day) = text;
            assert_eq!((days(year, month, day), date(n)), (n, text));
        }
        // All days of 400 years, and each is the next of the one before.
        let mut last = date(-1);
        for n in 0..=ERA {
            let (year, month, day) = date(n);
            assert_eq!(days(year, month, day), n);
            let is_next = (year, month, day) == (last.0, last.1, last.2 + 1)
                || (day == 1 && (year, month) == (last.0, last.1 + 1))
                || (month == 1 && day == 1 && year == last.0 + 1);
            assert!(is_next, "{last:?} to {:?}", (year, month, day));
            last = (year, month, day);
        }
        assert_eq!(last, (2370, 1, 1));
    }

    #[test]
    fn months_have_names() {
        assert_eq!((month_of("Jan"), month_of("DEC"), month_of("okt")), (Some(1), Some(12), None));
        assert_eq!((month_of(""), month_of("March")), (None, None));
    }
}

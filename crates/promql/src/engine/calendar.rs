//! Dates in UTC from unix seconds. Invariant: the Gregorian calendar, extended to all years from -292277022399 on;
//! seconds before that count on from the other end, as they do in Go's `time` (1.24), which Prometheus' dates are.

/// A date and time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    /// 1 to 12.
    pub(crate) month: i64,
    /// 1 to 31.
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
    /// 0 is Sunday.
    pub(crate) weekday: i64,
    /// 1 to 366.
    pub(crate) day_of_year: i64,
}

/// Days before each month of a year that is not a leap year.
const DAYS_BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

/// Midnight of the first day that Go's `time` counts from, in unix seconds.
const FIRST_UNIX_S: i64 = -9_223_371_966_579_724_800;

impl Civil {
    /// The date of unix seconds that a query computed: what is cut off has no fraction, and what no int64 holds
    /// is the smallest one, as on the processors that Prometheus runs on.
    pub(crate) fn from_float(seconds: f64) -> Self {
        let fits = seconds >= i64::MIN as f64 && seconds < i64::MAX as f64;
        Self::from_unix(if fits { seconds as i64 } else { i64::MIN })
    }

    /// The date of unix seconds.
    pub(crate) fn from_unix(seconds: i64) -> Self {
        let seconds = i128::from(seconds) + if seconds < FIRST_UNIX_S { 1 << 64 } else { 0 };
        // Whole days of the wrapped seconds fit an i64 again.
        let (days, rest) = (seconds.div_euclid(86_400) as i64, seconds.rem_euclid(86_400) as i64);
        let (year, month, day) = assay_model::calendar::date(days);
        let leap_day = i64::from(month > 2 && is_leap(year));
        Self {
            year,
            month,
            day,
            hour: rest / 3_600,
            minute: rest / 60 % 60,
            second: rest % 60,
            weekday: (days + 4).rem_euclid(7),
            day_of_year: DAYS_BEFORE[(month - 1) as usize] + day + leap_day,
        }
    }

    /// How many days the month has.
    pub(crate) fn days_in_month(&self) -> i64 {
        match self.month {
            2 => 28 + i64::from(is_leap(self.year)),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }
}

fn is_leap(year: i64) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}

/// `2006-01-02T15:04:05Z`.
pub(crate) fn rfc3339(seconds: i64) -> String {
    let c = Civil::from_unix(seconds);
    format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", c.year, c.month, c.day, c.hour, c.minute, c.second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, text, weekday, day_of_year, days) in [
            (0, "1970-01-01T00:00:00Z", 4, 1, 31),
            (951_827_696, "2000-02-29T12:34:56Z", 2, 60, 29),
            (1_735_689_599, "2024-12-31T23:59:59Z", 2, 366, 31),
            (-1, "1969-12-31T23:59:59Z", 3, 365, 31),
            (1_709_251_200, "2024-03-01T00:00:00Z", 5, 61, 31),
            (i64::MIN, "292277026596-12-04T15:30:08Z", 0, 339, 31),
            (i64::MAX, "292277026596-12-04T15:30:07Z", 0, 339, 31),
        ] {
            let c = Civil::from_unix(seconds);
            assert_eq!(rfc3339(seconds), text);
            assert_eq!((c.weekday, c.day_of_year, c.days_in_month()), (weekday, day_of_year, days), "{text}");
        }
    }
}

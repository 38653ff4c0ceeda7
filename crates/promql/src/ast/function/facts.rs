//! What can be said of a function, one type for each fact. Invariant: a fact has one place, the function's row.

/// How far the number of arguments may differ from the signature's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variadic {
    /// Not at all.
    No,
    /// The last argument of the list may be left out, and up to this many may stand in its place.
    UpTo(usize),
    /// The last argument of the list may be left out or repeated at will.
    Any,
}

/// Whether a function or aggregation is behind Prometheus' switch for experimental ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stability {
    /// It is always there.
    Stable,
    /// It needs `--enable-feature=promql-experimental-functions`.
    Experimental,
}

/// Whether a function's value over constant arguments changes with the evaluation time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadsTime {
    /// It does not.
    Timeless,
    /// It does.
    ReadsTime,
    /// It does, but not where its argument is a selector, whose samples have times of their own.
    ReadsTimeUnlessSelected,
}

/// What becomes of the metric's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricName {
    /// Results are samples of the same metric, and keep its name.
    KeepsName,
    /// Results are something else, and lose it.
    DropsName,
}

/// Which range selectors a function takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RangeModes {
    /// Plain ones alone, or none.
    Plain,
    /// `anchored` ones too.
    Anchored,
    /// `anchored` and `smoothed` ones too.
    Extended,
}

/// Whether a function looks at the start timestamps of samples, which tell of counter resets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StartTimes {
    /// It does.
    StartAware,
    /// It does not.
    StartBlind,
}

/// What the selectors under a function have to read of native histograms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Statistics {
    /// Counts and sums are enough, unless something between needs more.
    Enough,
    /// Counts and sums are too little, whatever stands outside.
    TooLittle,
    /// What the functions outside need.
    AsOutside,
}

/// Which values a function's result can have, NaN left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Values {
    /// Any.
    AnyValue,
    /// Those of its first argument.
    AsArgument,
    /// Zero and above.
    NotNegative,
    /// One and above.
    AtLeastOne,
    /// One alone.
    AlwaysOne,
    /// From zero to one.
    Fraction,
    /// From minus one to one.
    Sign,
    /// 1 to 31.
    DayOfMonth,
    /// 28 to 31.
    DaysInMonth,
    /// 0 to 6.
    DayOfWeek,
    /// 1 to 366.
    DayOfYear,
    /// 0 to 23.
    HourOfDay,
    /// 0 to 59.
    MinuteOfHour,
    /// 1 to 12.
    MonthOfYear,
}

impl Values {
    /// The smallest and the largest value, both in; `None` where they are those of the first argument.
    #[must_use]
    pub const fn bounds(self) -> Option<(f64, f64)> {
        Some(match self {
            Self::AsArgument => return None,
            Self::AnyValue => (f64::NEG_INFINITY, f64::INFINITY),
            Self::NotNegative => (0.0, f64::INFINITY),
            Self::AtLeastOne => (1.0, f64::INFINITY),
            Self::AlwaysOne => (1.0, 1.0),
            Self::Fraction => (0.0, 1.0),
            Self::Sign => (-1.0, 1.0),
            Self::DayOfMonth => (1.0, 31.0),
            Self::DaysInMonth => (28.0, 31.0),
            Self::DayOfWeek => (0.0, 6.0),
            Self::DayOfYear => (1.0, 366.0),
            Self::HourOfDay => (0.0, 23.0),
            Self::MinuteOfHour => (0.0, 59.0),
            Self::MonthOfYear => (1.0, 12.0),
        })
    }
}

/// The unit of a function's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnitOf {
    /// That of its argument.
    KeepsUnit,
    /// That of what its histogram observed, however the buckets were counted.
    UnitOfBuckets,
    /// Another, or none.
    OtherUnit,
}

/// What a function's range must hold for a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Samples {
    /// One sample, or it takes no range.
    AnySamples,
    /// Two samples.
    TwoSamples,
    /// Two samples of a counter: a fall is a restart.
    TwoOfCounter,
}

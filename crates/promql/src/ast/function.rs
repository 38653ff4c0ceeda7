//! The functions of PromQL: one row for each, with all that the checker, the planner and the engine need to know
//! of it (signatures from Prometheus v3.13.2, `promql/parser/functions.go`).
//!
//! Invariant: a row has every fact, or it does not compile; and `Func` has one variant for each row, in one enum for
//! each family, so that the code that evaluates a family matches all of its functions.

mod facts;

use std::sync::LazyLock;

use super::{RangeMode, ValueType};
pub use facts::{
    MetricName, RangeModes, ReadsTime, Samples, Stability, StartTimes, Statistics, UnitOf, Values, Variadic,
};

/// All that is known of a function.
#[derive(Debug)]
pub struct Function {
    /// Which function it is; what the engine dispatches on.
    pub id: Func,
    /// The name in expressions.
    pub name: &'static str,
    /// The types of the arguments; the last one stands for all further ones too.
    pub args: &'static [ValueType],
    /// How many arguments may be left out or added.
    pub variadic: Variadic,
    /// What it returns.
    pub returns: ValueType,
    /// Whether Prometheus has it behind its switch for experimental functions.
    pub stability: Stability,
    /// Whether its value over constant arguments changes with the evaluation time.
    pub time: ReadsTime,
    /// What becomes of the metric's name.
    pub metric_name: MetricName,
    /// Which range selectors it takes.
    pub ranges: RangeModes,
    /// Whether it looks at the start timestamps of samples.
    pub starts: StartTimes,
    /// Whether counts and sums of native histograms are all that it needs.
    pub statistics: Statistics,
    /// Which values its result can have.
    pub values: Values,
    /// The unit of its result.
    pub unit: UnitOf,
    /// What its range must hold.
    pub samples: Samples,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Function {}

impl Function {
    /// The function with this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        let all = Self::all();
        all.binary_search_by(|f| f.name.cmp(name)).ok().map(|at| all[at])
    }

    /// Every function, sorted by name.
    #[must_use]
    pub fn all() -> &'static [&'static Self] {
        static BY_NAME: LazyLock<Vec<&Function>> = LazyLock::new(|| {
            let mut all: Vec<&Function> = FUNCTIONS.iter().collect();
            all.sort_unstable_by_key(|f| f.name);
            all
        });
        &BY_NAME
    }

    /// The fewest and the most arguments that a call may have.
    #[must_use]
    pub fn arity(&self) -> (usize, Option<usize>) {
        let listed = self.args.len();
        match self.variadic {
            Variadic::No => (listed, Some(listed)),
            Variadic::UpTo(more) => (listed - 1, Some(listed - 1 + more)),
            Variadic::Any => (listed - 1, None),
        }
    }

    /// Whether Prometheus has it behind its switch for experimental functions.
    #[must_use]
    pub fn is_experimental(&self) -> bool {
        self.stability == Stability::Experimental
    }

    /// Whether it takes range selectors of this mode.
    #[must_use]
    pub fn takes(&self, mode: RangeMode) -> bool {
        match mode {
            RangeMode::Plain => true,
            RangeMode::Anchored => self.ranges != RangeModes::Plain,
            RangeMode::Smoothed => self.ranges == RangeModes::Extended,
        }
    }

    /// Whether results lose the metric's name.
    #[must_use]
    pub fn drops_name(&self) -> bool {
        self.metric_name == MetricName::DropsName
    }
}

/// The table: for each family its functions, each with variant, name, argument types, variadic and result, then its
/// facts in the order of [`Function`]'s fields.
macro_rules! functions {
    ($($(#[$doc:meta])+ $family:ident($functions:ident) {
        $($variant:ident $name:literal ($($arg:ident),*) $variadic:ident $(($more:literal))? $returns:ident,
            $stability:ident $time:ident $metric_name:ident $ranges:ident $starts:ident $statistics:ident
            $values:ident $unit:ident $samples:ident;)+
    })+) => {
        /// The functions of PromQL, by family.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Func {
            $($(#[$doc])+ $family($functions),)+
        }

        $($(#[$doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $functions {
            $(#[doc = concat!("`", $name, "`")] $variant,)+
        })+

        static FUNCTIONS: &[Function] = &[
            $($(Function {
                id: Func::$family($functions::$variant),
                name: $name,
                args: &[$(ValueType::$arg),*],
                variadic: Variadic::$variadic $(($more))?,
                returns: ValueType::$returns,
                stability: Stability::$stability,
                time: ReadsTime::$time,
                metric_name: MetricName::$metric_name,
                ranges: RangeModes::$ranges,
                starts: StartTimes::$starts,
                statistics: Statistics::$statistics,
                values: Values::$values,
                unit: UnitOf::$unit,
                samples: Samples::$samples,
            },)+)+
        ];
    };
}

functions! {
    /// The query's own times: constants once it is planned.
    Query(QueryFunc) {
        End "end" () No Scalar,     Experimental Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        Range "range" () No Scalar, Experimental Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        Start "start" () No Scalar, Experimental Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        Step "step" () No Scalar,   Experimental Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
    }
    /// Scalars, and the ways from and to vectors.
    Scalar(ScalarFunc) {
        MaxOf "max_of" (Scalar, Scalar) No Scalar, Experimental Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        MinOf "min_of" (Scalar, Scalar) No Scalar, Experimental Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        Pi "pi" () No Scalar,                      Stable Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        Scalar "scalar" (Vector) No Scalar,        Stable Timeless DropsName Plain StartBlind AsOutside AsArgument OtherUnit AnySamples;
        Time "time" () No Scalar,                  Stable ReadsTime DropsName Plain StartBlind AsOutside NotNegative OtherUnit AnySamples;
        Vector "vector" (Scalar) No Vector,        Stable Timeless KeepsName Plain StartBlind AsOutside AsArgument OtherUnit AnySamples;
    }
    /// A float to a float.
    Float(FloatFunc) {
        Abs "abs" (Vector) No Vector,     Stable Timeless DropsName Plain StartBlind AsOutside NotNegative KeepsUnit AnySamples;
        Acos "acos" (Vector) No Vector,   Stable Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        Acosh "acosh" (Vector) No Vector, Stable Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        Asin "asin" (Vector) No Vector,   Stable Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        Asinh "asinh" (Vector) No Vector, Stable Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        Atan "atan" (Vector) No Vector,   Stable Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        Atanh "atanh" (Vector) No Vector, Stable Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        Ceil "ceil" (Vector) No Vector,   Stable Timeless DropsName Plain StartBlind AsOutside AnyValue KeepsUnit AnySamples;
        Cos "cos" (Vector) No Vector,     Stable Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        Cosh "cosh" (Vector) No Vector,   Stable Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        Deg "deg" (Vector) No Vector,     Stable Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        Exp "exp" (Vector) No Vector,     Stable Timeless DropsName Plain StartBlind AsOutside NotNegative OtherUnit AnySamples;
        Floor "floor" (Vector) No Vector, Stable Timeless DropsName Plain StartBlind AsOutside AnyValue KeepsUnit AnySamples;
        Ln "ln" (Vector) No Vector,       Stable Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        Log10 "log10" (Vector) No Vector, Stable Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        Log2 "log2" (Vector) No Vector,   Stable Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        Rad "rad" (Vector) No Vector,     Stable Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        Sgn "sgn" (Vector) No Vector,     Stable Timeless DropsName Plain StartBlind AsOutside Sign OtherUnit AnySamples;
        Sin "sin" (Vector) No Vector,     Stable Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        Sinh "sinh" (Vector) No Vector,   Stable Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        Sqrt "sqrt" (Vector) No Vector,   Stable Timeless DropsName Plain StartBlind AsOutside NotNegative OtherUnit AnySamples;
        Tan "tan" (Vector) No Vector,     Stable Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        Tanh "tanh" (Vector) No Vector,   Stable Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
    }
    /// A float and parameters to a float.
    Limit(LimitFunc) {
        Clamp "clamp" (Vector, Scalar, Scalar) No Vector,
            Stable Timeless DropsName Plain StartBlind AsOutside AnyValue KeepsUnit AnySamples;
        ClampMax "clamp_max" (Vector, Scalar) No Vector, Stable Timeless DropsName Plain StartBlind AsOutside AnyValue KeepsUnit AnySamples;
        ClampMin "clamp_min" (Vector, Scalar) No Vector, Stable Timeless DropsName Plain StartBlind AsOutside AnyValue KeepsUnit AnySamples;
        Round "round" (Vector, Scalar) UpTo(1) Vector,   Stable Timeless DropsName Plain StartBlind AsOutside AnyValue KeepsUnit AnySamples;
    }
    /// A time to a part of its date.
    Date(DateFunc) {
        DayOfMonth "day_of_month" (Vector) UpTo(1) Vector,
            Stable ReadsTime DropsName Plain StartBlind AsOutside DayOfMonth OtherUnit AnySamples;
        DayOfWeek "day_of_week" (Vector) UpTo(1) Vector,
            Stable ReadsTime DropsName Plain StartBlind AsOutside DayOfWeek OtherUnit AnySamples;
        DayOfYear "day_of_year" (Vector) UpTo(1) Vector,
            Stable ReadsTime DropsName Plain StartBlind AsOutside DayOfYear OtherUnit AnySamples;
        DaysInMonth "days_in_month" (Vector) UpTo(1) Vector,
            Stable ReadsTime DropsName Plain StartBlind AsOutside DaysInMonth OtherUnit AnySamples;
        Hour "hour" (Vector) UpTo(1) Vector,     Stable ReadsTime DropsName Plain StartBlind AsOutside HourOfDay OtherUnit AnySamples;
        Minute "minute" (Vector) UpTo(1) Vector, Stable ReadsTime DropsName Plain StartBlind AsOutside MinuteOfHour OtherUnit AnySamples;
        Month "month" (Vector) UpTo(1) Vector,   Stable ReadsTime DropsName Plain StartBlind AsOutside MonthOfYear OtherUnit AnySamples;
        Year "year" (Vector) UpTo(1) Vector,     Stable ReadsTime DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
    }
    /// A native histogram to a float.
    Histogram(HistogramFunc) {
        HistogramAvg "histogram_avg" (Vector) No Vector, Stable Timeless DropsName Plain StartBlind Enough AnyValue UnitOfBuckets AnySamples;
        HistogramCount "histogram_count" (Vector) No Vector,
            Stable Timeless DropsName Plain StartBlind Enough NotNegative OtherUnit AnySamples;
        HistogramStddev "histogram_stddev" (Vector) No Vector,
            Stable Timeless DropsName Plain StartBlind AsOutside NotNegative UnitOfBuckets AnySamples;
        HistogramStdvar "histogram_stdvar" (Vector) No Vector,
            Stable Timeless DropsName Plain StartBlind AsOutside NotNegative OtherUnit AnySamples;
        HistogramSum "histogram_sum" (Vector) No Vector, Stable Timeless DropsName Plain StartBlind Enough AnyValue OtherUnit AnySamples;
    }
    /// A histogram, classic or native, to floats.
    Quantile(QuantileFunc) {
        HistogramFraction "histogram_fraction" (Scalar, Scalar, Vector) No Vector,
            Stable Timeless DropsName Plain StartBlind TooLittle Fraction OtherUnit AnySamples;
        HistogramQuantile "histogram_quantile" (Scalar, Vector) No Vector,
            Stable Timeless DropsName Plain StartBlind TooLittle AnyValue UnitOfBuckets AnySamples;
        HistogramQuantiles "histogram_quantiles" (Vector, String, Scalar, Scalar) UpTo(9) Vector,
            Experimental Timeless DropsName Plain StartBlind TooLittle AnyValue UnitOfBuckets AnySamples;
    }
    /// A sample to its time.
    Time(TimeFunc) {
        StartTimestamp "start_timestamp" (Vector) No Vector,
            Experimental Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        Timestamp "timestamp" (Vector) No Vector,
            Stable ReadsTimeUnlessSelected DropsName Plain StartBlind AsOutside NotNegative OtherUnit AnySamples;
    }
    /// A vector with other labels.
    Label(LabelFunc) {
        LabelJoin "label_join" (Vector, String, String, String) Any Vector,
            Stable Timeless KeepsName Plain StartBlind AsOutside AsArgument KeepsUnit AnySamples;
        LabelReplace "label_replace" (Vector, String, String, String, String) No Vector,
            Stable Timeless KeepsName Plain StartBlind AsOutside AsArgument KeepsUnit AnySamples;
    }
    /// A vector in another order.
    Sort(SortFunc) {
        Sort "sort" (Vector) No Vector,          Stable Timeless KeepsName Plain StartBlind AsOutside AsArgument KeepsUnit AnySamples;
        SortByLabel "sort_by_label" (Vector, String) Any Vector,
            Experimental Timeless KeepsName Plain StartBlind AsOutside AsArgument KeepsUnit AnySamples;
        SortByLabelDesc "sort_by_label_desc" (Vector, String) Any Vector,
            Experimental Timeless KeepsName Plain StartBlind AsOutside AsArgument KeepsUnit AnySamples;
        SortDesc "sort_desc" (Vector) No Vector, Stable Timeless KeepsName Plain StartBlind AsOutside AsArgument KeepsUnit AnySamples;
    }
    /// A vector with labels of info series.
    Info(InfoFunc) {
        Info "info" (Vector, Vector) UpTo(1) Vector,
            Experimental Timeless KeepsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
    }
    /// Nothing to a sample.
    Absence(AbsenceFunc) {
        Absent "absent" (Vector) No Vector, Stable Timeless KeepsName Plain StartBlind AsOutside AlwaysOne OtherUnit AnySamples;
        AbsentOverTime "absent_over_time" (Matrix) No Vector,
            Stable Timeless DropsName Plain StartBlind AsOutside AlwaysOne OtherUnit AnySamples;
    }
    /// The samples of a range to a sample.
    Range(RangeFunc) {
        AvgOverTime "avg_over_time" (Matrix) No Vector, Stable Timeless DropsName Plain StartBlind AsOutside AnyValue KeepsUnit AnySamples;
        Changes "changes" (Matrix) No Vector,
            Stable Timeless DropsName Anchored StartBlind AsOutside NotNegative OtherUnit AnySamples;
        CountOverTime "count_over_time" (Matrix) No Vector,
            Stable Timeless DropsName Plain StartBlind AsOutside AtLeastOne OtherUnit AnySamples;
        Delta "delta" (Matrix) No Vector,
            Stable Timeless DropsName Extended StartBlind AsOutside AnyValue KeepsUnit TwoSamples;
        Deriv "deriv" (Matrix) No Vector,               Stable Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit TwoSamples;
        DoubleExponentialSmoothing "double_exponential_smoothing" (Matrix, Scalar, Scalar) No Vector,
            Experimental Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        FirstOverTime "first_over_time" (Matrix) No Vector,
            Experimental Timeless KeepsName Plain StartBlind AsOutside AnyValue KeepsUnit AnySamples;
        Idelta "idelta" (Matrix) No Vector,             Stable Timeless DropsName Plain StartBlind AsOutside AnyValue KeepsUnit TwoSamples;
        Increase "increase" (Matrix) No Vector,
            Stable Timeless DropsName Extended StartAware AsOutside NotNegative OtherUnit TwoOfCounter;
        Irate "irate" (Matrix) No Vector,               Stable Timeless DropsName Plain StartAware AsOutside NotNegative OtherUnit TwoOfCounter;
        LastOverTime "last_over_time" (Matrix) No Vector,
            Stable Timeless KeepsName Plain StartBlind AsOutside AnyValue KeepsUnit AnySamples;
        MadOverTime "mad_over_time" (Matrix) No Vector,
            Experimental Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        MaxOverTime "max_over_time" (Matrix) No Vector, Stable Timeless DropsName Plain StartBlind AsOutside AnyValue KeepsUnit AnySamples;
        MinOverTime "min_over_time" (Matrix) No Vector, Stable Timeless DropsName Plain StartBlind AsOutside AnyValue KeepsUnit AnySamples;
        PredictLinear "predict_linear" (Matrix, Scalar) No Vector,
            Stable ReadsTime DropsName Plain StartBlind AsOutside AnyValue OtherUnit TwoSamples;
        PresentOverTime "present_over_time" (Matrix) No Vector,
            Stable Timeless DropsName Plain StartBlind AsOutside AlwaysOne OtherUnit AnySamples;
        QuantileOverTime "quantile_over_time" (Scalar, Matrix) No Vector,
            Stable Timeless DropsName Plain StartBlind AsOutside AnyValue KeepsUnit AnySamples;
        Rate "rate" (Matrix) No Vector,
            Stable Timeless DropsName Extended StartAware AsOutside NotNegative OtherUnit TwoOfCounter;
        Resets "resets" (Matrix) No Vector,
            Stable Timeless DropsName Anchored StartAware AsOutside NotNegative OtherUnit AnySamples;
        StddevOverTime "stddev_over_time" (Matrix) No Vector,
            Stable Timeless DropsName Plain StartBlind AsOutside NotNegative OtherUnit AnySamples;
        StdvarOverTime "stdvar_over_time" (Matrix) No Vector,
            Stable Timeless DropsName Plain StartBlind AsOutside NotNegative OtherUnit AnySamples;
        SumOverTime "sum_over_time" (Matrix) No Vector, Stable Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        TsOfFirstOverTime "ts_of_first_over_time" (Matrix) No Vector,
            Experimental Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        TsOfLastOverTime "ts_of_last_over_time" (Matrix) No Vector,
            Experimental Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        TsOfMaxOverTime "ts_of_max_over_time" (Matrix) No Vector,
            Experimental Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
        TsOfMinOverTime "ts_of_min_over_time" (Matrix) No Vector,
            Experimental Timeless DropsName Plain StartBlind AsOutside AnyValue OtherUnit AnySamples;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_once() {
        let all = Function::all();
        assert!(all.is_sorted_by(|a, b| a.name < b.name));
        for f in all {
            assert_eq!(Function::find(f.name).map(|g| g.id), Some(f.id));
        }
        assert!(Function::find("nope").is_none());
    }

    #[test]
    fn arity_follows_the_variadic_rule() {
        let arity = |name: &str| Function::find(name).expect("known").arity();
        assert_eq!(arity("rate"), (1, Some(1)));
        assert_eq!(arity("round"), (1, Some(2)));
        assert_eq!(arity("label_join"), (3, None));
        assert_eq!(arity("histogram_quantiles"), (3, Some(12)));
    }
}

//! The functions of PromQL and their signatures (facts from Prometheus v3.13.2, `promql/parser/functions.go`).
//!
//! Invariant: the table is sorted by name, and `Func` has one variant for each row, in the same order.

use super::ValueType;

/// A function's signature.
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
    pub experimental: bool,
}

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
        FUNCTIONS.binary_search_by(|f| f.name.cmp(name)).ok().map(|at| &FUNCTIONS[at])
    }

    /// Every function, sorted by name.
    #[must_use]
    pub fn all() -> &'static [Self] {
        FUNCTIONS
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
}

use ValueType::{Matrix, Scalar, String, Vector};
use Variadic::{Any, No, UpTo};

/// One row for each function: variant, name, argument types, variadic, result, experimental.
macro_rules! functions {
    ($($variant:ident $name:literal ($($arg:ident),*) $variadic:expr, $returns:ident, $experimental:literal;)+) => {
        /// The functions of PromQL.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Func {
            $(#[doc = concat!("`", $name, "`")] $variant,)+
        }

        static FUNCTIONS: &[Function] = &[
            $(Function {
                id: Func::$variant,
                name: $name,
                args: &[$($arg),*],
                variadic: $variadic,
                returns: $returns,
                experimental: $experimental,
            },)+
        ];
    };
}

functions! {
    Abs "abs" (Vector) No, Vector, false;
    Absent "absent" (Vector) No, Vector, false;
    AbsentOverTime "absent_over_time" (Matrix) No, Vector, false;
    Acos "acos" (Vector) No, Vector, false;
    Acosh "acosh" (Vector) No, Vector, false;
    Asin "asin" (Vector) No, Vector, false;
    Asinh "asinh" (Vector) No, Vector, false;
    Atan "atan" (Vector) No, Vector, false;
    Atanh "atanh" (Vector) No, Vector, false;
    AvgOverTime "avg_over_time" (Matrix) No, Vector, false;
    Ceil "ceil" (Vector) No, Vector, false;
    Changes "changes" (Matrix) No, Vector, false;
    Clamp "clamp" (Vector, Scalar, Scalar) No, Vector, false;
    ClampMax "clamp_max" (Vector, Scalar) No, Vector, false;
    ClampMin "clamp_min" (Vector, Scalar) No, Vector, false;
    Cos "cos" (Vector) No, Vector, false;
    Cosh "cosh" (Vector) No, Vector, false;
    CountOverTime "count_over_time" (Matrix) No, Vector, false;
    DayOfMonth "day_of_month" (Vector) UpTo(1), Vector, false;
    DayOfWeek "day_of_week" (Vector) UpTo(1), Vector, false;
    DayOfYear "day_of_year" (Vector) UpTo(1), Vector, false;
    DaysInMonth "days_in_month" (Vector) UpTo(1), Vector, false;
    Deg "deg" (Vector) No, Vector, false;
    Delta "delta" (Matrix) No, Vector, false;
    Deriv "deriv" (Matrix) No, Vector, false;
    DoubleExponentialSmoothing "double_exponential_smoothing" (Matrix, Scalar, Scalar) No, Vector, true;
    End "end" () No, Scalar, true;
    Exp "exp" (Vector) No, Vector, false;
    FirstOverTime "first_over_time" (Matrix) No, Vector, true;
    Floor "floor" (Vector) No, Vector, false;
    HistogramAvg "histogram_avg" (Vector) No, Vector, false;
    HistogramCount "histogram_count" (Vector) No, Vector, false;
    HistogramFraction "histogram_fraction" (Scalar, Scalar, Vector) No, Vector, false;
    HistogramQuantile "histogram_quantile" (Scalar, Vector) No, Vector, false;
    HistogramQuantiles "histogram_quantiles" (Vector, String, Scalar, Scalar) UpTo(9), Vector, true;
    HistogramStddev "histogram_stddev" (Vector) No, Vector, false;
    HistogramStdvar "histogram_stdvar" (Vector) No, Vector, false;
    HistogramSum "histogram_sum" (Vector) No, Vector, false;
    Hour "hour" (Vector) UpTo(1), Vector, false;
    Idelta "idelta" (Matrix) No, Vector, false;
    Increase "increase" (Matrix) No, Vector, false;
    Info "info" (Vector, Vector) UpTo(1), Vector, true;
    Irate "irate" (Matrix) No, Vector, false;
    LabelJoin "label_join" (Vector, String, String, String) Any, Vector, false;
    LabelReplace "label_replace" (Vector, String, String, String, String) No, Vector, false;
    LastOverTime "last_over_time" (Matrix) No, Vector, false;
    Ln "ln" (Vector) No, Vector, false;
    Log10 "log10" (Vector) No, Vector, false;
    Log2 "log2" (Vector) No, Vector, false;
    MadOverTime "mad_over_time" (Matrix) No, Vector, true;
    MaxOf "max_of" (Scalar, Scalar) No, Scalar, true;
    MaxOverTime "max_over_time" (Matrix) No, Vector, false;
    MinOf "min_of" (Scalar, Scalar) No, Scalar, true;
    MinOverTime "min_over_time" (Matrix) No, Vector, false;
    Minute "minute" (Vector) UpTo(1), Vector, false;
    Month "month" (Vector) UpTo(1), Vector, false;
    Pi "pi" () No, Scalar, false;
    PredictLinear "predict_linear" (Matrix, Scalar) No, Vector, false;
    PresentOverTime "present_over_time" (Matrix) No, Vector, false;
    QuantileOverTime "quantile_over_time" (Scalar, Matrix) No, Vector, false;
    Rad "rad" (Vector) No, Vector, false;
    Range "range" () No, Scalar, true;
    Rate "rate" (Matrix) No, Vector, false;
    Resets "resets" (Matrix) No, Vector, false;
    Round "round" (Vector, Scalar) UpTo(1), Vector, false;
    Scalar "scalar" (Vector) No, Scalar, false;
    Sgn "sgn" (Vector) No, Vector, false;
    Sin "sin" (Vector) No, Vector, false;
    Sinh "sinh" (Vector) No, Vector, false;
    Sort "sort" (Vector) No, Vector, false;
    SortByLabel "sort_by_label" (Vector, String) Any, Vector, true;
    SortByLabelDesc "sort_by_label_desc" (Vector, String) Any, Vector, true;
    SortDesc "sort_desc" (Vector) No, Vector, false;
    Sqrt "sqrt" (Vector) No, Vector, false;
    Start "start" () No, Scalar, true;
    StartTimestamp "start_timestamp" (Vector) No, Vector, true;
    StddevOverTime "stddev_over_time" (Matrix) No, Vector, false;
    StdvarOverTime "stdvar_over_time" (Matrix) No, Vector, false;
    Step "step" () No, Scalar, true;
    SumOverTime "sum_over_time" (Matrix) No, Vector, false;
    Tan "tan" (Vector) No, Vector, false;
    Tanh "tanh" (Vector) No, Vector, false;
    Time "time" () No, Scalar, false;
    Timestamp "timestamp" (Vector) No, Vector, false;
    TsOfFirstOverTime "ts_of_first_over_time" (Matrix) No, Vector, true;
    TsOfLastOverTime "ts_of_last_over_time" (Matrix) No, Vector, true;
    TsOfMaxOverTime "ts_of_max_over_time" (Matrix) No, Vector, true;
    TsOfMinOverTime "ts_of_min_over_time" (Matrix) No, Vector, true;
    Vector "vector" (Scalar) No, Vector, false;
    Year "year" (Vector) UpTo(1), Vector, false;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_complete() {
        assert!(FUNCTIONS.is_sorted_by(|a, b| a.name < b.name));
        assert_eq!(FUNCTIONS.len(), 90);
        for f in FUNCTIONS {
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

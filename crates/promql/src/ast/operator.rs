//! Operators: one row for each, with all that is known of it. Invariant: `as_str` is the spelling that the lexer reads
//! back as the same operator.

use super::{Stability, ValueType};

/// Defines an enum of spelled operators with `as_str` and `ALL`.
macro_rules! spelled {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// Every operator.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The operator as it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

spelled! {
    /// A sign.
    UnaryOp {
        /// `+`
        Plus = "+",
        /// `-`
        Minus = "-",
    }
}

/// What an operator of a family is: each family is an enum of its own, so that the code that computes it matches all
/// of its operators.
macro_rules! binary_operators {
    ($($(#[$doc:meta])+ $kind:ident($operators:ident) {
        $($(#[$about:meta])+ $variant:ident $text:literal $precedence:literal $associativity:ident;)+
    })+) => {
        spelled! {
            /// An operator between two expressions.
            BinaryOp { $($($(#[$about])+ $variant = $text,)+)+ }
        }

        /// An operator by its family.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum BinaryKind {
            $($(#[$doc])+ $kind($operators),)+
        }

        $($(#[$doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $operators {
            $($(#[$about])+ $variant,)+
        })+

        impl BinaryOp {
            /// The operator by its family.
            #[must_use]
            pub const fn kind(self) -> BinaryKind {
                match self {
                    $($(Self::$variant => BinaryKind::$kind($operators::$variant),)+)+
                }
            }

            /// How tightly it binds; more binds tighter.
            #[must_use]
            pub const fn precedence(self) -> u8 {
                match self {
                    $($(Self::$variant => $precedence,)+)+
                }
            }

            const fn associativity(self) -> Associativity {
                match self {
                    $($(Self::$variant => Associativity::$associativity,)+)+
                }
            }
        }
    };
}

/// To which side an operator binds its like.
enum Associativity {
    Left,
    Right,
}

binary_operators! {
    /// Computes a value from two.
    Arithmetic(ArithmeticOp) {
        /// `+`
        Add "+" 4 Left;
        /// `-`
        Sub "-" 4 Left;
        /// `*`
        Mul "*" 5 Left;
        /// `/`
        Div "/" 5 Left;
        /// `%`
        Mod "%" 5 Left;
        /// `^`
        Pow "^" 6 Right;
        /// `atan2`
        Atan2 "atan2" 5 Left;
    }
    /// Compares values: keeps samples, or yields 0 or 1.
    Comparison(ComparisonOp) {
        /// `==`
        Eql "==" 3 Left;
        /// `!=`
        Neq "!=" 3 Left;
        /// `>`
        Gtr ">" 3 Left;
        /// `>=`
        Gte ">=" 3 Left;
        /// `<`
        Lss "<" 3 Left;
        /// `<=`
        Lte "<=" 3 Left;
    }
    /// Keeps samples by what is on the other side.
    Set(SetOp) {
        /// `and`
        And "and" 2 Left;
        /// `or`
        Or "or" 1 Left;
        /// `unless`
        Unless "unless" 2 Left;
    }
    /// Cuts histograms at a number.
    Trim(TrimOp) {
        /// `</`: the histogram's observations below the scalar on the right.
        TrimUpper "</" 3 Left;
        /// `>/`: the histogram's observations above the scalar on the right.
        TrimLower ">/" 3 Left;
    }
}

impl BinaryOp {
    /// Whether it compares: `==`, `!=`, `<`, `<=`, `>`, `>=`.
    #[must_use]
    pub const fn is_comparison(self) -> bool {
        matches!(self.kind(), BinaryKind::Comparison(_))
    }

    /// Whether it is `and`, `or` or `unless`.
    #[must_use]
    pub const fn is_set(self) -> bool {
        matches!(self.kind(), BinaryKind::Set(_))
    }

    /// Whether `a op b op c` is `a op (b op c)`.
    #[must_use]
    pub const fn is_right_associative(self) -> bool {
        matches!(self.associativity(), Associativity::Right)
    }
}

/// One row for each aggregation: variant, spelling, the type of its parameter, stability.
macro_rules! aggregations {
    ($($(#[$about:meta])+ $variant:ident $text:literal $parameter:expr, $stability:ident;)+) => {
        spelled! {
            /// An aggregation operator.
            AggregateOp { $($(#[$about])+ $variant = $text,)+ }
        }

        impl AggregateOp {
            /// The type of the parameter before the vector, where it takes one.
            #[must_use]
            pub const fn parameter(self) -> Option<ValueType> {
                match self {
                    $(Self::$variant => $parameter,)+
                }
            }

            /// Whether Prometheus has it behind its switch for experimental functions.
            #[must_use]
            pub const fn is_experimental(self) -> bool {
                let stability = match self {
                    $(Self::$variant => Stability::$stability,)+
                };
                matches!(stability, Stability::Experimental)
            }
        }
    };
}

aggregations! {
    /// `avg`
    Avg "avg" None, Stable;
    /// `bottomk`
    Bottomk "bottomk" Some(ValueType::Scalar), Stable;
    /// `count`
    Count "count" None, Stable;
    /// `count_values`
    CountValues "count_values" Some(ValueType::String), Stable;
    /// `group`
    Group "group" None, Stable;
    /// `limitk`
    Limitk "limitk" Some(ValueType::Scalar), Experimental;
    /// `limit_ratio`
    LimitRatio "limit_ratio" Some(ValueType::Scalar), Experimental;
    /// `max`
    Max "max" None, Stable;
    /// `min`
    Min "min" None, Stable;
    /// `quantile`
    Quantile "quantile" Some(ValueType::Scalar), Stable;
    /// `stddev`
    Stddev "stddev" None, Stable;
    /// `stdvar`
    Stdvar "stdvar" None, Stable;
    /// `sum`
    Sum "sum" None, Stable;
    /// `topk`
    Topk "topk" Some(ValueType::Scalar), Stable;
}

//! Operators. Invariant: `as_str` is the spelling that the lexer reads back as the same operator.

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

spelled! {
    /// An operator between two expressions.
    BinaryOp {
        /// `+`
        Add = "+",
        /// `-`
        Sub = "-",
        /// `*`
        Mul = "*",
        /// `/`
        Div = "/",
        /// `%`
        Mod = "%",
        /// `^`
        Pow = "^",
        /// `atan2`
        Atan2 = "atan2",
        /// `==`
        Eql = "==",
        /// `!=`
        Neq = "!=",
        /// `>`
        Gtr = ">",
        /// `>=`
        Gte = ">=",
        /// `<`
        Lss = "<",
        /// `<=`
        Lte = "<=",
        /// `and`
        And = "and",
        /// `or`
        Or = "or",
        /// `unless`
        Unless = "unless",
        /// `</`: the histogram's observations below the scalar on the right.
        TrimUpper = "</",
        /// `>/`: the histogram's observations above the scalar on the right.
        TrimLower = ">/",
    }
}

spelled! {
    /// An aggregation operator.
    AggregateOp {
        /// `avg`
        Avg = "avg",
        /// `bottomk`
        Bottomk = "bottomk",
        /// `count`
        Count = "count",
        /// `count_values`
        CountValues = "count_values",
        /// `group`
        Group = "group",
        /// `limitk` (experimental)
        Limitk = "limitk",
        /// `limit_ratio` (experimental)
        LimitRatio = "limit_ratio",
        /// `max`
        Max = "max",
        /// `min`
        Min = "min",
        /// `quantile`
        Quantile = "quantile",
        /// `stddev`
        Stddev = "stddev",
        /// `stdvar`
        Stdvar = "stdvar",
        /// `sum`
        Sum = "sum",
        /// `topk`
        Topk = "topk",
    }
}

impl BinaryOp {
    /// Whether it compares: `==`, `!=`, `<`, `<=`, `>`, `>=`.
    #[must_use]
    pub const fn is_comparison(self) -> bool {
        matches!(self, Self::Eql | Self::Neq | Self::Gtr | Self::Gte | Self::Lss | Self::Lte)
    }

    /// Whether it is `and`, `or` or `unless`.
    #[must_use]
    pub const fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }

    /// How tightly it binds; more binds tighter.
    #[must_use]
    pub const fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Eql | Self::Neq | Self::Gtr | Self::Gte | Self::Lss | Self::Lte => 3,
            Self::TrimUpper | Self::TrimLower => 3,
            Self::Add | Self::Sub => 4,
            Self::Mul | Self::Div | Self::Mod | Self::Atan2 => 5,
            Self::Pow => 6,
        }
    }

    /// Whether `a op b op c` is `a op (b op c)`.
    #[must_use]
    pub const fn is_right_associative(self) -> bool {
        matches!(self, Self::Pow)
    }
}

impl AggregateOp {
    /// Whether it takes a parameter before the vector.
    #[must_use]
    pub const fn has_param(self) -> bool {
        matches!(
            self,
            Self::Bottomk | Self::CountValues | Self::Limitk | Self::LimitRatio | Self::Quantile | Self::Topk
        )
    }

    /// Whether Prometheus has it behind its switch for experimental functions.
    #[must_use]
    pub const fn is_experimental(self) -> bool {
        matches!(self, Self::Limitk | Self::LimitRatio)
    }
}

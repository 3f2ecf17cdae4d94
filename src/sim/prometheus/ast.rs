//! A parsed query.

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expr {
    Number(f64),
    Text(String),
    Selector(Selector),
    /// A selector with `[range]`, in milliseconds.
    Range(Selector, i64),
    Negate(Box<Expr>),
    Binary(Box<Binary>),
    Aggregate(Box<Aggregate>),
    Call {
        name: &'static str,
        args: Vec<Expr>,
    },
}

/// Which series are meant.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Selector {
    pub(crate) matchers: Vec<Matcher>,
    /// Milliseconds into the past.
    pub(crate) offset: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Matcher {
    pub(crate) label: String,
    pub(crate) kind: MatchKind,
    pub(crate) value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MatchKind {
    Equal,
    Differs,
    Like,
    Unlike,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Binary {
    pub(crate) op: Op,
    /// `bool`: comparisons give 0 or 1 instead of filtering.
    pub(crate) as_bool: bool,
    pub(crate) matching: Matching,
    pub(crate) left: Expr,
    pub(crate) right: Expr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Equal,
    Differs,
    Above,
    Below,
    AtLeast,
    AtMost,
    And,
    Or,
    Unless,
}

impl Op {
    pub(crate) fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equal | Self::Differs | Self::Above | Self::Below | Self::AtLeast | Self::AtMost
        )
    }

    pub(crate) fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }
}

/// Which labels decide what belongs together.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Matching {
    pub(crate) by: Grouping,
    /// Which side may have several series for one of the other.
    pub(crate) many: Many,
    /// Labels copied from the one side.
    pub(crate) include: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Many {
    #[default]
    Neither,
    Left,
    Right,
}

/// Labels kept, or labels left out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Grouping {
    Only(Vec<String>),
    Without(Vec<String>),
}

impl Default for Grouping {
    fn default() -> Self {
        Self::Without(Vec::new())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Aggregate {
    pub(crate) name: &'static str,
    pub(crate) by: Grouping,
    pub(crate) param: Option<Expr>,
    pub(crate) of: Expr,
}

impl Expr {
    /// Divides every range and offset, for a world that runs faster.
    pub(crate) fn quickened(self, speed: f64) -> Self {
        let faster = |millis: i64| crate::sim::prometheus::value::divided(millis, speed);
        let quick = |selector: Selector| Selector {
            offset: faster(selector.offset),
            ..selector
        };
        match self {
            Self::Number(_) | Self::Text(_) => self,
            Self::Selector(selector) => Self::Selector(quick(selector)),
            Self::Range(selector, range) => Self::Range(quick(selector), faster(range).max(1)),
            Self::Negate(of) => Self::Negate(Box::new(of.quickened(speed))),
            Self::Binary(binary) => Self::Binary(Box::new(Binary {
                left: binary.left.quickened(speed),
                right: binary.right.quickened(speed),
                ..*binary
            })),
            Self::Aggregate(aggregate) => Self::Aggregate(Box::new(Aggregate {
                of: aggregate.of.quickened(speed),
                param: aggregate.param.map(|param| param.quickened(speed)),
                ..*aggregate
            })),
            Self::Call { name, args } => Self::Call {
                name,
                args: args.into_iter().map(|arg| arg.quickened(speed)).collect(),
            },
        }
    }
}

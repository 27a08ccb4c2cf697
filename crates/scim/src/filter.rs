//! Filters (RFC 7644 section 3.4.2.2) as a tree whose names are resolved and whose values have the right type.
//!
//! Two forms go beyond the grammar of the RFC, since directories send them: `emails[type eq "work"].value eq "x"` is
//! read as `emails[type eq "work" and value eq "x"]`, and a complex attribute that is compared stands for its `value`.
//!
//! A tree that was parsed is in normal form: no `And` directly in an `And`, no `Or` directly in an `Or`, and at least
//! two terms in each. Printing such a tree gives a filter that parses to the same tree.

mod lexer;
mod matching;
mod parser;
mod restriction;

use std::fmt;

use serde_json::{Number, Value};

use crate::path::AttributePath;
use crate::schema::Attribute;

pub(crate) use parser::parse_path;
pub use restriction::Restricted;

/// The longest filter or path, in bytes.
pub const FILTER_LENGTH_MAX: usize = 16_384;
/// How deeply parentheses, brackets and `not` may nest.
pub const FILTER_DEPTH_MAX: usize = 12;
/// How many comparisons a filter may hold.
pub const FILTER_TERMS_MAX: usize = 128;

/// A filter.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter<'s> {
    /// Every term holds.
    And(Vec<Self>),
    /// At least one term holds.
    Or(Vec<Self>),
    /// The term does not hold.
    Not(Box<Self>),
    /// A comparison with a value.
    Compare {
        /// What is compared; never a complex attribute by itself.
        path: AttributePath<'s>,
        /// How.
        op: CompareOp,
        /// With what.
        value: Literal,
    },
    /// The attribute has a value.
    Present {
        /// The attribute, which may be complex.
        path: AttributePath<'s>,
    },
    /// One and the same element of the attribute matches the whole inner filter.
    ValuePath {
        /// The complex attribute, without a sub-attribute.
        path: AttributePath<'s>,
        /// The inner filter; its paths are full, as in `emails.type`.
        filter: Box<Self>,
    },
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompareOp {
    /// Equal.
    Eq,
    /// Not equal; holds where there is no value.
    Ne,
    /// Contains.
    Co,
    /// Starts with.
    Sw,
    /// Ends with.
    Ew,
    /// Greater than.
    Gt,
    /// Greater than or equal.
    Ge,
    /// Less than.
    Lt,
    /// Less than or equal.
    Le,
}

impl CompareOp {
    /// Every operator.
    pub const ALL: [Self; 9] =
        [Self::Eq, Self::Ne, Self::Co, Self::Sw, Self::Ew, Self::Gt, Self::Ge, Self::Lt, Self::Le];

    /// The keyword.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Co => "co",
            Self::Sw => "sw",
            Self::Ew => "ew",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        }
    }

    /// The operator of that keyword, in any case.
    pub fn from_keyword(keyword: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.as_str().eq_ignore_ascii_case(keyword))
    }
}

/// A value in a filter.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// Text; for a dateTime attribute it is a valid RFC 3339 date.
    String(String),
    /// `true` or `false`.
    Boolean(bool),
    /// A number.
    Number(Number),
    /// `null`: the attribute has no value. Only with `eq` and `ne`.
    Null,
}

impl Literal {
    /// The same value in JSON.
    pub fn to_json(&self) -> Value {
        match self {
            Self::String(text) => Value::String(text.clone()),
            Self::Boolean(value) => Value::Bool(*value),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Null => Value::Null,
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_json(), f)
    }
}

impl<'s> Filter<'s> {
    /// The terms of a filter that is nothing but equalities joined by `and`; such a filter describes an element that
    /// can be made.
    pub fn equality_terms(&self) -> Option<Vec<(&'s Attribute, &Literal)>> {
        match self {
            Self::Compare { path, op: CompareOp::Eq, value } if *value != Literal::Null => {
                Some(vec![(path.leaf(), value)])
            }
            Self::And(terms) => {
                let terms: Option<Vec<_>> = terms.iter().map(Self::equality_terms).collect();
                terms.map(|terms| terms.into_iter().flatten().collect())
            }
            Self::Compare { .. } | Self::Or(_) | Self::Not(_) | Self::Present { .. } | Self::ValuePath { .. } => None,
        }
    }

    /// The filter as it is written between brackets, where the parent's name is left away.
    pub(crate) fn within_brackets(&self) -> impl fmt::Display + '_ {
        Printed { filter: self, within_brackets: true }
    }
}

impl fmt::Display for Filter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Printed { filter: self, within_brackets: false }, f)
    }
}

struct Printed<'a> {
    filter: &'a Filter<'a>,
    within_brackets: bool,
}

impl Printed<'_> {
    fn name(&self, path: &AttributePath<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match path.sub_attribute {
            Some(sub) if self.within_brackets => f.write_str(&sub.name),
            Some(_) | None => write!(f, "{path}"),
        }
    }

    fn joined(&self, terms: &[Filter<'_>], word: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, filter) in terms.iter().enumerate() {
            if at > 0 {
                f.write_str(word)?;
            }
            let term = Printed { filter, within_brackets: self.within_brackets };
            match filter {
                Filter::And(_) | Filter::Or(_) => write!(f, "({term})")?,
                Filter::Not(_) | Filter::Compare { .. } | Filter::Present { .. } | Filter::ValuePath { .. } => {
                    write!(f, "{term}")?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.filter {
            Filter::And(terms) => self.joined(terms, " and ", f),
            Filter::Or(terms) => self.joined(terms, " or ", f),
            Filter::Not(filter) => {
                write!(f, "not ({})", Printed { filter, within_brackets: self.within_brackets })
            }
            Filter::Compare { path, op, value } => {
                self.name(path, f)?;
                write!(f, " {} {value}", op.as_str())
            }
            Filter::Present { path } => {
                self.name(path, f)?;
                f.write_str(" pr")
            }
            Filter::ValuePath { path, filter } => write!(f, "{path}[{}]", filter.within_brackets()),
        }
    }
}

#[cfg(test)]
mod tests;

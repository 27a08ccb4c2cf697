//! Queries, typed: a filter holds only what a store can answer.

use uuid::Uuid;

use crate::domain::{Case, CaseKey, Column, Field, FieldType, Place, Timestamp};

/// How deep a filter may nest.
pub(crate) const FILTER_DEPTH_MAX: usize = 48;
/// How many terms a filter may have.
pub(crate) const FILTER_TERMS_MAX: usize = 256;

/// A query over the fields of a resource, or of one element of a list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Filter {
    AllOf(Vec<Self>),
    AnyOf(Vec<Self>),
    Not(Box<Self>),
    /// The field has a value that is not empty.
    Present(Field),
    /// The field has a value that compares so; of a list, one of its values does.
    Compare(Field, Comparison),
    /// One element of the list satisfies a filter over its own fields.
    Element(Field, Box<Self>),
}

/// What a value is compared with. There is no "not equal": it is `Not` of equal, which holds for what is absent too.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Comparison {
    /// Is this id; an id that no id can be is nobody's.
    Id(Option<Uuid>),
    /// A text that is folded already where the field is.
    Text(TextOperator, String),
    Boolean(bool),
    Number(Relation, f64),
    /// A point in time; what compares is cut to milliseconds, as it is shown.
    Time(Relation, Timestamp),
}

/// How a text compares. No text is empty here: what contains, starts with or ends with nothing is present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextOperator {
    Is(Relation),
    Contains,
    StartsWith,
    EndsWith,
}

/// How two values of an ordered type stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// By what a list is ordered. Absent values come last, or first where the order is descending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) by: OrderBy,
    pub(crate) descending: bool,
}

/// What an order looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OrderBy {
    Field(Field),
    /// The field of the primary element, else of the first.
    Element {
        list: Field,
        field: Field,
    },
}

impl Order {
    /// By id: the order of a list for which none is asked.
    pub(crate) const BY_ID: Self =
        Self { by: OrderBy::Field(Field { kind: FieldType::Id, place: Place::Column(Column::Id) }), descending: false };

    /// The type of the values that are ordered.
    pub(crate) const fn kind(&self) -> FieldType {
        match &self.by {
            OrderBy::Field(field) | OrderBy::Element { field, .. } => field.kind,
        }
    }
}

/// A value as texts of a field compare.
pub(crate) fn text_key(case: Case, text: String) -> String {
    match case {
        Case::Folded => CaseKey::of(&text).into_string(),
        Case::Exact => text,
    }
}

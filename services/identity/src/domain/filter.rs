//! Queries, typed: a filter holds only what a store can answer.

use ids::{GroupId, UserId};

use crate::domain::CaseKey;

/// How deep a filter may nest.
pub(crate) const FILTER_DEPTH_MAX: usize = 16;
/// How many terms a filter may have.
pub(crate) const FILTER_TERMS_MAX: usize = 64;

/// A query over terms of one kind of resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Filter<T> {
    AllOf(Vec<Self>),
    AnyOf(Vec<Self>),
    Not(Box<Self>),
    Term(T),
}

/// What can be asked of a user. An id that no id can be matches nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UserTerm {
    Id(Option<UserId>),
    UserName(CaseKey),
    ExternalId(String),
    DisplayName(CaseKey),
    ProvisionedActive(bool),
    Email(EmailMatch),
}

/// What one e-mail address must satisfy; absent parts are not asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EmailMatch {
    pub(crate) value: Option<CaseKey>,
    pub(crate) kind: Option<CaseKey>,
}

/// What can be asked of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GroupTerm {
    Id(Option<GroupId>),
    DisplayName(CaseKey),
    ExternalId(String),
    Member(Option<UserId>),
}

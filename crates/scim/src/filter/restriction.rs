//! A filter over several resource types, for the resources of one of them (RFC 7644 section 3.4.2.1).
//!
//! A resource has no value of an attribute that its type does not know, so a comparison with one is decided before any resource is looked at.

use super::{CompareOp, Filter, Literal};
use crate::path::AttributePath;
use crate::schema::Definition;

/// What is left of a filter.
#[derive(Clone, Debug, PartialEq)]
pub enum Restricted<'s> {
    /// Every resource matches.
    Everything,
    /// No resource matches.
    Nothing,
    /// Those that match this.
    Filter(Filter<'s>),
}

impl Filter<'_> {
    /// The filter over the resources of one type.
    pub fn restricted_to<'s>(&self, definition: Definition<'s>) -> Restricted<'s> {
        let known = |path: &AttributePath<'_>| AttributePath::parse(definition, &path.to_string()).ok();
        match self {
            Self::And(terms) => every(terms.iter().map(|term| term.restricted_to(definition))),
            Self::Or(terms) => any(terms.iter().map(|term| term.restricted_to(definition))),
            Self::Not(term) => not(term.restricted_to(definition)),
            Self::Compare { path, op, value } => match known(path) {
                Some(path) => Restricted::Filter(Filter::Compare { path, op: *op, value: value.clone() }),
                None => absent(*op, value),
            },
            Self::Present { path } => match known(path) {
                Some(path) => Restricted::Filter(Filter::Present { path }),
                None => Restricted::Nothing,
            },
            Self::ValuePath { path, filter } => match (known(path), filter.restricted_to(definition)) {
                (Some(path), Restricted::Filter(filter)) => {
                    Restricted::Filter(Filter::ValuePath { path, filter: Box::new(filter) })
                }
                (Some(path), Restricted::Everything) => Restricted::Filter(Filter::Present { path }),
                (Some(_), Restricted::Nothing) | (None, _) => Restricted::Nothing,
            },
        }
    }
}

/// A comparison with a value that is not there.
fn absent<'s>(op: CompareOp, value: &Literal) -> Restricted<'s> {
    match (op, value) {
        (CompareOp::Ne, Literal::Null) => Restricted::Nothing,
        (CompareOp::Eq, Literal::Null) | (CompareOp::Ne, _) => Restricted::Everything,
        (_, _) => Restricted::Nothing,
    }
}

fn every<'s>(terms: impl Iterator<Item = Restricted<'s>>) -> Restricted<'s> {
    let mut left = Vec::new();
    for term in terms {
        match term {
            Restricted::Everything => {}
            Restricted::Nothing => return Restricted::Nothing,
            Restricted::Filter(filter) => left.push(filter),
        }
    }
    joined(left, Filter::And).unwrap_or(Restricted::Everything)
}

fn any<'s>(terms: impl Iterator<Item = Restricted<'s>>) -> Restricted<'s> {
    let mut left = Vec::new();
    for term in terms {
        match term {
            Restricted::Nothing => {}
            Restricted::Everything => return Restricted::Everything,
            Restricted::Filter(filter) => left.push(filter),
        }
    }
    joined(left, Filter::Or).unwrap_or(Restricted::Nothing)
}

/// One filter stands for itself.
fn joined<'s>(mut filters: Vec<Filter<'s>>, join: fn(Vec<Filter<'s>>) -> Filter<'s>) -> Option<Restricted<'s>> {
    if filters.len() > 1 {
        return Some(Restricted::Filter(join(filters)));
    }
    filters.pop().map(Restricted::Filter)
}

fn not(restricted: Restricted<'_>) -> Restricted<'_> {
    match restricted {
        Restricted::Everything => Restricted::Nothing,
        Restricted::Nothing => Restricted::Everything,
        Restricted::Filter(filter) => Restricted::Filter(Filter::Not(Box::new(filter))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{ResourceType, Schemas};

    fn check(text: &str, users: &str, groups: &str) {
        let filter = Filter::parse_over(&Schemas::standard().definitions(), text).unwrap();
        let shown = |resource_type| match filter.restricted_to(Schemas::standard().of(resource_type)) {
            Restricted::Everything => "everything".to_owned(),
            Restricted::Nothing => "nothing".to_owned(),
            Restricted::Filter(filter) => filter.to_string(),
        };
        assert_eq!((&*shown(ResourceType::User), &*shown(ResourceType::Group)), (users, groups), "{text}");
    }

    #[test]
    fn what_both_types_know_stays() {
        check("displayName eq \"Ops\"", "displayName eq \"Ops\"", "displayName eq \"Ops\"");
        check("externalId pr and id eq \"1\"", "externalId pr and id eq \"1\"", "externalId pr and id eq \"1\"");
    }

    #[test]
    fn what_a_type_does_not_know_has_no_value_there() {
        check("userName eq \"ada\"", "userName eq \"ada\"", "nothing");
        check("userName ne \"ada\"", "userName ne \"ada\"", "everything");
        check("userName eq null", "userName eq null", "everything");
        check("title ne null", "title ne null", "nothing");
        check("not (title pr)", "not (title pr)", "everything");
        check("members[value eq \"1\"]", "nothing", "members[value eq \"1\"]");
        check("emails[type eq \"work\"]", "emails[type eq \"work\"]", "nothing");
    }

    #[test]
    fn one_term_that_is_left_stands_for_itself() {
        check("title pr and displayName pr", "title pr and displayName pr", "nothing");
        check("title pr or displayName pr", "title pr or displayName pr", "displayName pr");
        check("not (title pr) and displayName pr", "not (title pr) and displayName pr", "displayName pr");
    }

    #[test]
    fn a_name_that_no_type_knows_is_refused() {
        let error = Filter::parse_over(&Schemas::standard().definitions(), "shoeSize pr").unwrap_err();
        assert_eq!(error.status, 400);
    }
}

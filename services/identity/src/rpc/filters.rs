//! From the wire's filter tree to a typed one: every field, operator and value is checked here, and what cannot be answered is refused by name.

use std::borrow::Cow;

use proto::identity::v1::{Comparison, ElementMatch, Filter as Wire, Operator, filter::Kind, value};

use crate::domain::{
    CaseKey, EmailMatch, Error, FILTER_DEPTH_MAX, FILTER_TERMS_MAX, Filter, GroupTerm, InvalidField, UserTerm,
};

/// A filter over users.
pub(super) fn user_filter(filter: Wire) -> Result<Filter<UserTerm>, Error> {
    Terms { comparison: user_comparison, element: user_element, left: FILTER_TERMS_MAX }.filter(filter, 1)
}

/// A filter over groups.
pub(super) fn group_filter(filter: Wire) -> Result<Filter<GroupTerm>, Error> {
    Terms { comparison: group_comparison, element: group_element, left: FILTER_TERMS_MAX }.filter(filter, 1)
}

/// How the terms of one kind of resource are read, and how many may still come.
struct Terms<T> {
    comparison: fn(&str, value::Kind) -> Result<T, Error>,
    element: fn(&str, Wire) -> Result<T, Error>,
    left: usize,
}

impl<T> Terms<T> {
    fn filter(&mut self, filter: Wire, depth: usize) -> Result<Filter<T>, Error> {
        if depth > FILTER_DEPTH_MAX {
            return Err(invalid(format!("nests deeper than {FILTER_DEPTH_MAX} levels")));
        }
        match filter.kind.ok_or_else(|| invalid("has an empty node"))? {
            Kind::AllOf(list) => Ok(Filter::AllOf(self.filters(list.filters, depth)?)),
            Kind::AnyOf(list) => Ok(Filter::AnyOf(self.filters(list.filters, depth)?)),
            Kind::Not(filter) => Ok(Filter::Not(Box::new(self.filter(*filter, depth + 1)?))),
            Kind::Comparison(comparison) => {
                self.count()?;
                let (field, value) = equality(comparison)?;
                (self.comparison)(&field, value).map(Filter::Term)
            }
            Kind::Element(element) => {
                self.count()?;
                let ElementMatch { field, filter } = *element;
                let filter = filter.ok_or_else(|| invalid("has an empty node"))?;
                (self.element)(&field, *filter).map(Filter::Term)
            }
            Kind::Present(field) => Err(unsupported(field, "only equality is supported")),
        }
    }

    fn filters(&mut self, filters: Vec<Wire>, depth: usize) -> Result<Vec<Filter<T>>, Error> {
        if filters.is_empty() {
            return Err(invalid("has an empty list"));
        }
        filters.into_iter().map(|filter| self.filter(filter, depth + 1)).collect()
    }

    fn count(&mut self) -> Result<(), Error> {
        self.left =
            self.left.checked_sub(1).ok_or_else(|| invalid(format!("has more than {FILTER_TERMS_MAX} terms")))?;
        Ok(())
    }
}

fn user_comparison(field: &str, value: value::Kind) -> Result<UserTerm, Error> {
    match field {
        "id" => Ok(UserTerm::Id(string(field, value)?.parse().ok())),
        "user_name" => Ok(UserTerm::UserName(key(field, value)?)),
        "external_id" => Ok(UserTerm::ExternalId(string(field, value)?)),
        "display_name" => Ok(UserTerm::DisplayName(key(field, value)?)),
        "provisioned_active" => Ok(UserTerm::ProvisionedActive(boolean(field, value)?)),
        _ => Err(unsupported(field, "no such field can be asked for")),
    }
}

fn user_element(field: &str, filter: Wire) -> Result<UserTerm, Error> {
    if field != "profile.emails" {
        return Err(unsupported(field, "no such field can be asked for"));
    }
    let mut email = EmailMatch::default();
    email_parts(filter, &mut email)?;
    Ok(UserTerm::Email(email))
}

/// Reads `value` and `type` out of one comparison, or of several that must all hold.
fn email_parts(filter: Wire, email: &mut EmailMatch) -> Result<(), Error> {
    const FIELD: &str = "profile.emails";
    match filter.kind.ok_or_else(|| invalid("has an empty node"))? {
        Kind::Comparison(comparison) => {
            let (field, value) = equality(comparison)?;
            let part = match field.as_str() {
                "value" => &mut email.value,
                "type" => &mut email.kind,
                _ => return Err(unsupported(format!("{FIELD}.{field}"), "only value and type can be asked for")),
            };
            let asked = key(FIELD, value)?;
            if part.as_ref().is_some_and(|before| *before != asked) {
                return Err(unsupported(FIELD, "one address cannot equal two values"));
            }
            *part = Some(asked);
            Ok(())
        }
        Kind::AllOf(list) if list.filters.len() <= FILTER_TERMS_MAX => {
            list.filters.into_iter().try_for_each(|filter| match &filter.kind {
                // One level is all that two parts need, and it bounds the recursion.
                Some(Kind::Comparison(_)) => email_parts(filter, email),
                _ => Err(unsupported(FIELD, "only equalities joined by `and` can be asked of an address")),
            })
        }
        _ => Err(unsupported(FIELD, "only equalities joined by `and` can be asked of an address")),
    }
}

fn group_comparison(field: &str, value: value::Kind) -> Result<GroupTerm, Error> {
    match field {
        "id" => Ok(GroupTerm::Id(string(field, value)?.parse().ok())),
        "display_name" => Ok(GroupTerm::DisplayName(key(field, value)?)),
        "external_id" => Ok(GroupTerm::ExternalId(string(field, value)?)),
        _ => Err(unsupported(field, "no such field can be asked for")),
    }
}

fn group_element(field: &str, filter: Wire) -> Result<GroupTerm, Error> {
    match (field, filter.kind) {
        ("members", Some(Kind::Comparison(comparison))) => match equality(comparison)? {
            (field, value) if field == "user_id" => Ok(GroupTerm::Member(string("members", value)?.parse().ok())),
            (field, _) => Err(unsupported(format!("members.{field}"), "only user_id can be asked for")),
        },
        _ => Err(unsupported(field, "no such field can be asked for")),
    }
}

fn equality(comparison: Comparison) -> Result<(String, value::Kind), Error> {
    let operator = comparison.operator();
    let Comparison { field, value, .. } = comparison;
    match (operator, value.and_then(|value| value.kind)) {
        (Operator::Equal, Some(value)) => Ok((field, value)),
        (Operator::Equal, None) => Err(unsupported(field, "it is compared with nothing")),
        _ => Err(unsupported(field, "only equality is supported")),
    }
}

fn key(field: &str, value: value::Kind) -> Result<CaseKey, Error> {
    string(field, value).map(|text| CaseKey::of(&text))
}

fn string(field: &str, value: value::Kind) -> Result<String, Error> {
    match value {
        value::Kind::String(text) if text.contains('\0') => {
            Err(unsupported(field, "the value contains the character U+0000"))
        }
        value::Kind::String(text) => Ok(text),
        value::Kind::Boolean(_) | value::Kind::Number(_) | value::Kind::Time(_) => {
            Err(unsupported(field, "it is compared with text"))
        }
    }
}

fn boolean(field: &str, value: value::Kind) -> Result<bool, Error> {
    match value {
        value::Kind::Boolean(truth) => Ok(truth),
        value::Kind::String(_) | value::Kind::Number(_) | value::Kind::Time(_) => {
            Err(unsupported(field, "it is compared with true or false"))
        }
    }
}

fn unsupported(field: impl Into<String>, problem: impl Into<Cow<'static, str>>) -> Error {
    Error::UnsupportedFilter { field: field.into(), problem: problem.into() }
}

fn invalid(problem: impl Into<Cow<'static, str>>) -> Error {
    InvalidField::new("filter", problem).into()
}

#[cfg(test)]
mod tests {
    use proto::identity::v1::{FilterList, Value};

    use super::*;

    fn compare(field: &str, operator: Operator, value: value::Kind) -> Wire {
        let value = Some(Value { kind: Some(value) });
        Wire { kind: Some(Kind::Comparison(Comparison { field: field.into(), operator: operator.into(), value })) }
    }

    fn text(field: &str, value: &str) -> Wire {
        compare(field, Operator::Equal, value::Kind::String(value.into()))
    }

    fn all(filters: Vec<Wire>) -> Wire {
        Wire { kind: Some(Kind::AllOf(FilterList { filters })) }
    }

    fn element(field: &str, filter: Wire) -> Wire {
        Wire {
            kind: Some(Kind::Element(Box::new(ElementMatch { field: field.into(), filter: Some(Box::new(filter)) }))),
        }
    }

    #[test]
    fn what_a_directory_matches_on_is_understood() {
        assert_eq!(user_filter(text("user_name", "ADA@x")), Ok(Filter::Term(UserTerm::UserName(CaseKey::of("ada@x")))));
        let work = element("profile.emails", all(vec![text("type", "work"), text("value", "a@b")]));
        let expected = EmailMatch { value: Some(CaseKey::of("a@b")), kind: Some(CaseKey::of("work")) };
        assert_eq!(user_filter(work), Ok(Filter::Term(UserTerm::Email(expected))));
        assert_eq!(user_filter(text("id", "none")), Ok(Filter::Term(UserTerm::Id(None))));
    }

    #[test]
    fn what_cannot_be_answered_is_refused_by_name() {
        for (filter, name) in [
            (text("nick_name", "x"), "nick_name"),
            (compare("user_name", Operator::Contains, value::Kind::String("x".into())), "user_name"),
            (compare("user_name", Operator::Equal, value::Kind::Boolean(true)), "user_name"),
            (text("provisioned_active", "true"), "provisioned_active"),
            (Wire { kind: Some(Kind::Present("external_id".into())) }, "external_id"),
            (element("profile.ims", text("value", "x")), "profile.ims"),
            (element("profile.emails", text("display", "x")), "profile.emails.display"),
        ] {
            match user_filter(filter) {
                Err(Error::UnsupportedFilter { field, .. }) => assert_eq!(field, name),
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn depth_and_terms_are_bounded_on_both_sides() {
        let nested = |levels: usize| {
            (1..levels).fold(text("id", "x"), |inner, _| Wire { kind: Some(Kind::Not(Box::new(inner))) })
        };
        assert!(user_filter(nested(FILTER_DEPTH_MAX)).is_ok());
        assert!(user_filter(nested(FILTER_DEPTH_MAX + 1)).is_err());
        assert!(user_filter(all(vec![text("id", "x"); FILTER_TERMS_MAX])).is_ok());
        assert!(user_filter(all(vec![text("id", "x"); FILTER_TERMS_MAX + 1])).is_err());
        assert!(user_filter(all(vec![])).is_err() && user_filter(Wire { kind: None }).is_err());
    }
}

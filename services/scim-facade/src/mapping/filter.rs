//! Filters, from SCIM's tree to the proto's.
//!
//! Nothing is decided here about what can be answered: identity says so, by the field's name. Only an attribute for
//! which the proto has no field at all is refused at once.

pub(crate) use proto::identity::v1::Filter as Wire;
use proto::identity::v1::{Comparison, ElementMatch, FilterList, Operator, Value, filter::Kind, value};
use scim::{
    AttributePath, Error, Filter, ResourceType,
    filter::{CompareOp, Literal},
    schema,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    field::{self, Field},
    time as wire_time,
};

/// The proto's form of a filter.
pub(crate) fn to_wire(resource_type: ResourceType, filter: &Filter) -> Result<Wire, Error> {
    Scope { resource_type, within_element: false }.filter(filter)
}

/// The term of an `and` that by itself leaves at most one user, such as `userName eq "ada"`.
///
/// Old clients ask `id eq "1" and manager eq "2"`. No index answers the second term, and none is needed where the
/// first leaves so little.
pub(crate) fn unique_term(filter: &Filter) -> Option<&Filter> {
    let Filter::And(terms) = filter else { return None };
    let is_unique = |path: &AttributePath| path.is_core("id", None) || path.is_core("userName", None);
    terms.iter().find(|term| match term {
        Filter::Compare { path, op: CompareOp::Eq, value: Literal::String(_) } => is_unique(path),
        Filter::Compare { .. }
        | Filter::And(_)
        | Filter::Or(_)
        | Filter::Not(_)
        | Filter::Present { .. }
        | Filter::ValuePath { .. } => false,
    })
}

/// Where a filter stands: over a resource, or between the brackets after a list's name.
#[derive(Clone, Copy)]
struct Scope {
    resource_type: ResourceType,
    within_element: bool,
}

impl Scope {
    fn filter(self, filter: &Filter) -> Result<Wire, Error> {
        let filters = |terms: &[Filter]| -> Result<FilterList, Error> {
            Ok(FilterList { filters: terms.iter().map(|term| self.filter(term)).collect::<Result<_, _>>()? })
        };
        match filter {
            Filter::And(terms) => Ok(wire(Kind::AllOf(filters(terms)?))),
            Filter::Or(terms) => Ok(wire(Kind::AnyOf(filters(terms)?))),
            Filter::Not(term) => Ok(not(self.filter(term)?)),
            Filter::Present { path } => Ok(self.present(self.field(path)?)),
            Filter::Compare { path, op, value } => self.compare(path, *op, value),
            Filter::ValuePath { path, filter } => {
                let Field { list, .. } = self.field(path)?;
                let within = Self { within_element: list.is_some(), ..self };
                let inner = within.filter(filter)?;
                Ok(match list {
                    Some(list) => element(list, inner),
                    // One complex value is its own and only element.
                    None => inner,
                })
            }
        }
    }

    fn field(self, path: &AttributePath) -> Result<Field, Error> {
        field::of(self.resource_type, path).ok_or_else(|| unsupported(path))
    }

    fn present(self, Field { list, name }: Field) -> Wire {
        match list {
            Some(list) if name.is_empty() => wire(Kind::Present(list)),
            Some(list) if !self.within_element => element(list, wire(Kind::Present(name))),
            Some(_) | None => wire(Kind::Present(name)),
        }
    }

    fn compare(self, path: &AttributePath, op: CompareOp, literal: &Literal) -> Result<Wire, Error> {
        let field = self.field(path)?;
        let operator = match op {
            CompareOp::Eq => Operator::Equal,
            // The opposite of "equal", for many values and for none (RFC 7644 section 3.4.2.2).
            CompareOp::Ne => return Ok(not(self.compare(path, CompareOp::Eq, literal)?)),
            CompareOp::Co => Operator::Contains,
            CompareOp::Sw => Operator::StartsWith,
            CompareOp::Ew => Operator::EndsWith,
            CompareOp::Gt => Operator::Greater,
            CompareOp::Ge => Operator::GreaterOrEqual,
            CompareOp::Lt => Operator::Less,
            CompareOp::Le => Operator::LessOrEqual,
        };
        let kind = match literal {
            Literal::Null => return Ok(not(self.present(field))),
            Literal::String(text) if path.leaf().kind == schema::Kind::DateTime => value::Kind::Time(date(path, text)?),
            Literal::String(text) => value::Kind::String(text.clone()),
            Literal::Boolean(truth) => value::Kind::Boolean(*truth),
            Literal::Number(number) => value::Kind::Number(number.as_f64().ok_or_else(|| unsupported(path))?),
        };
        let Field { list, name } = field;
        let value = Some(Value { kind: Some(kind) });
        let comparison = wire(Kind::Comparison(Comparison { field: name, operator: operator.into(), value }));
        Ok(match list {
            Some(list) if !self.within_element => element(list, comparison),
            Some(_) | None => comparison,
        })
    }
}

fn date(path: &AttributePath, text: &str) -> Result<pbjson_types::Timestamp, Error> {
    let time = OffsetDateTime::parse(text, &Rfc3339);
    time.map(wire_time::to_wire).map_err(|_| Error::invalid_filter(format!("{path} is compared with what is no date")))
}

fn wire(kind: Kind) -> Wire {
    Wire { kind: Some(kind) }
}

fn not(filter: Wire) -> Wire {
    wire(Kind::Not(Box::new(filter)))
}

fn element(field: String, filter: Wire) -> Wire {
    wire(Kind::Element(Box::new(ElementMatch { field, filter: Some(Box::new(filter)) })))
}

fn unsupported(path: &AttributePath) -> Error {
    Error::invalid_filter(format!("{path} cannot be filtered by"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The proto's tree in short.
    fn shown(filter: &Wire) -> String {
        let list = |list: &FilterList| list.filters.iter().map(shown).collect::<Vec<_>>().join(", ");
        match filter.kind.as_ref().unwrap() {
            Kind::AllOf(filters) => format!("all({})", list(filters)),
            Kind::AnyOf(filters) => format!("any({})", list(filters)),
            Kind::Not(filter) => format!("not({})", shown(filter)),
            Kind::Present(field) => format!("present({field})"),
            Kind::Element(element) => format!("{}[{}]", element.field, shown(element.filter.as_ref().unwrap())),
            Kind::Comparison(comparison) => {
                let operator = comparison.operator().as_str_name().trim_start_matches("OPERATOR_").to_lowercase();
                let value = match comparison.value.as_ref().and_then(|value| value.kind.as_ref()).unwrap() {
                    value::Kind::String(text) => text.clone(),
                    value::Kind::Boolean(truth) => truth.to_string(),
                    value::Kind::Number(number) => number.to_string(),
                    value::Kind::Time(time) => format!("@{}", time.seconds),
                };
                format!("{} {operator} {value}", comparison.field)
            }
        }
    }

    fn check(resource_type: ResourceType, filter: &str, expect: &str) {
        let filter = Filter::parse(resource_type, filter).unwrap();
        assert_eq!(shown(&to_wire(resource_type, &filter).unwrap()), expect);
    }

    #[test]
    fn match_queries_of_users() {
        check(ResourceType::User, r#"userName eq "ada""#, "user_name equal ada");
        check(ResourceType::User, r#"externalId eq "1""#, "external_id equal 1");
        check(
            ResourceType::User,
            r#"id eq "1" and active eq false"#,
            "all(id equal 1, provisioned_active equal false)",
        );
        check(ResourceType::User, r#"emails.value eq "a@b""#, "profile.emails[value equal a@b]");
        check(ResourceType::User, r#"emails eq "a@b""#, "profile.emails[value equal a@b]");
        let expected = "profile.emails[all(type equal work, value equal a@b)]";
        check(ResourceType::User, r#"emails[type eq "work"].value eq "a@b""#, expected);
        check(ResourceType::User, r#"emails[type eq "work" and value eq "a@b"]"#, expected);
    }

    #[test]
    fn match_queries_of_groups() {
        check(ResourceType::Group, r#"DISPLAYNAME eq "Ops""#, "display_name equal Ops");
        check(ResourceType::Group, r#"id eq "g" and members eq "u""#, "all(id equal g, members[user_id equal u])");
        check(ResourceType::Group, r#"members[value eq "u"]"#, "members[user_id equal u]");
    }

    #[test]
    fn every_operator_has_its_form() {
        check(
            ResourceType::User,
            r#"title co "x" or title sw "x""#,
            "any(profile.title contains x, profile.title starts_with x)",
        );
        check(ResourceType::User, r#"not (title ew "x")"#, "not(profile.title ends_with x)");
        check(ResourceType::User, r#"userName ne "ada""#, "not(user_name equal ada)");
        check(ResourceType::User, r#"emails.type ne "work""#, "not(profile.emails[type equal work])");
        check(ResourceType::User, r#"emails[type ne "work"]"#, "profile.emails[not(type equal work)]");
        check(ResourceType::User, "title eq null", "not(present(profile.title))");
        check(ResourceType::User, "title ne null", "not(not(present(profile.title)))");
        check(
            ResourceType::User,
            "emails pr and emails.value pr",
            "all(present(profile.emails), profile.emails[present(value)])",
        );
        check(ResourceType::User, r#"meta.created gt "1970-01-01T00:00:05Z""#, "create_time greater @5");
        check(ResourceType::User, r#"meta.lastModified ge "1970-01-01T00:00:05Z""#, "update_time greater_or_equal @5");
        check(
            ResourceType::User,
            r#"name.givenName lt "B" and title le "C""#,
            "all(profile.name.given_name less B, profile.title less_or_equal C)",
        );
        check(ResourceType::User, r#"name[givenName eq "A"]"#, "profile.name.given_name equal A");
    }

    #[test]
    fn an_attribute_without_a_field_is_refused_by_name() {
        let filter = Filter::parse(ResourceType::User, r#"meta.location eq "x""#).unwrap();
        let error = to_wire(ResourceType::User, &filter).unwrap_err();
        assert_eq!((error.status, error.detail.as_str()), (400, "meta.location cannot be filtered by"));
    }

    #[test]
    fn one_term_can_leave_at_most_one_resource() {
        let unique = |filter: &str| {
            let filter = Filter::parse(ResourceType::User, &scim_entra::filter(ResourceType::User, filter)).unwrap();
            unique_term(&filter).map(ToString::to_string)
        };
        assert_eq!(unique(r#"manager eq "2" and id eq "1""#).as_deref(), Some(r#"id eq "1""#));
        assert_eq!(unique(r#"userName eq "a" and title pr"#).as_deref(), Some(r#"userName eq "a""#));
        assert_eq!(unique(r#"id eq "1" or title pr"#), None);
        assert_eq!(unique(r#"externalId eq "1" and title pr"#), None);
    }
}

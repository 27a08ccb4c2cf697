//! Filters and orders, from SCIM's trees to the proto's.
//!
//! Nothing is decided here about what can be answered: identity says so, by the field's name. What is the same for every resource, such as
//! `meta.resourceType`, is no field of the proto; a comparison with it is decided here.

use proto::identity::v1::{Comparison, ElementMatch, FilterList, Operator, Value, filter::Kind, value};
pub(crate) use proto::identity::v1::{Filter as WireFilter, Order as WireOrder};
use scim::{
    AttributePath, Definition, Error, Filter, ResourceType, Sort,
    filter::{CompareOp, Literal},
    schema::{self, ENTERPRISE_USER_URN, USER_ATTRIBUTE_URN},
};
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    field::{self, Field, USER_ATTRIBUTES},
    time as wire_time,
};

/// The proto's form of a filter.
pub(crate) fn to_wire(definition: Definition<'_>, filter: &Filter<'_>) -> Result<WireFilter, Error> {
    Scope { definition, within: None }.filter(filter)
}

/// The proto's form of an order; none where every resource has the same value.
pub(crate) fn order_to_wire(definition: Definition<'_>, sort: &Sort<'_>) -> Result<Option<WireOrder>, Error> {
    let Sort { path, descending } = sort;
    if constant(definition, path).is_some() {
        return Ok(None);
    }
    match field::of(definition.resource_type(), path) {
        Some(field) => Ok(Some(WireOrder { field: field.path(), descending: *descending })),
        None => Err(Error::invalid_path(format!("a list cannot be ordered by {path}"))),
    }
}

/// Nobody.
pub(crate) fn nothing() -> WireFilter {
    not(wire(Kind::Present("id".to_owned())))
}

/// Where a filter stands: over a resource, or between the brackets after the name of a list.
#[derive(Clone, Copy)]
struct Scope<'d> {
    definition: Definition<'d>,
    /// The attribute whose brackets these are.
    within: Option<&'d str>,
}

impl Scope<'_> {
    fn filter(self, filter: &Filter<'_>) -> Result<WireFilter, Error> {
        let filters = |terms: &[Filter<'_>]| -> Result<FilterList, Error> {
            Ok(FilterList { filters: terms.iter().map(|term| self.filter(term)).collect::<Result<_, _>>()? })
        };
        match filter {
            Filter::And(terms) => Ok(wire(Kind::AllOf(filters(terms)?))),
            Filter::Or(terms) => Ok(wire(Kind::AnyOf(filters(terms)?))),
            Filter::Not(term) => Ok(not(self.filter(term)?)),
            Filter::Present { path } => self.presence(path),
            Filter::Compare { path, op, value } => self.compare(path, *op, value),
            Filter::ValuePath { path, filter } if path.attribute.multi_valued => {
                let Field { list, .. } = self.field(path)?;
                let within = Some(path.attribute.name.as_ref());
                let inner = Scope { definition: self.definition, within }.filter(filter)?;
                Ok(element(list.unwrap_or_default(), inner))
            }
            // One complex value is its own and only element: what is not there satisfies nothing, not even "not equal".
            Filter::ValuePath { path, filter } => {
                let filters = vec![self.presence(path)?, self.filter(filter)?];
                Ok(wire(Kind::AllOf(FilterList { filters })))
            }
        }
    }

    fn field(self, path: &AttributePath<'_>) -> Result<Field, Error> {
        let unsupported = || Error::invalid_filter(format!("{path} cannot be filtered by"));
        field::of(self.definition.resource_type(), path).ok_or_else(unsupported)
    }

    fn presence(self, path: &AttributePath<'_>) -> Result<WireFilter, Error> {
        if path.attribute.name == "meta" || path.attribute.name == "schemas" {
            return Ok(everything());
        }
        if constant(self.definition, path).is_some() {
            return Ok(self.in_every_element(path));
        }
        Ok(self.present(self.field(path)?))
    }

    fn present(self, Field { list, name }: Field) -> WireFilter {
        match list {
            Some(list) if name.is_empty() => wire(Kind::Present(list)),
            Some(list) if self.within.is_none() => element(list, wire(Kind::Present(name))),
            Some(_) | None => wire(Kind::Present(name)),
        }
    }

    /// What every element has: whether there is one, or within brackets, always.
    fn in_every_element(self, path: &AttributePath<'_>) -> WireFilter {
        let list = path.attribute.multi_valued.then(|| path.attribute.name.to_string());
        match (list, self.within) {
            (Some(list), None) => wire(Kind::Present(list)),
            (Some(_), Some("members")) => wire(Kind::Present("user_id".to_owned())),
            (Some(_), Some(_)) => wire(Kind::Present("group_id".to_owned())),
            (None, _) => everything(),
        }
    }

    fn compare(self, path: &AttributePath<'_>, op: CompareOp, literal: &Literal) -> Result<WireFilter, Error> {
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
        if *literal == Literal::Null {
            return Ok(not(self.presence(path)?));
        }
        if path.attribute.name == "schemas" {
            return Ok(self.schemas(path, op, literal));
        }
        if let Some(value) = constant(self.definition, path) {
            let holds = holds_for(path, op, literal, value);
            return Ok(if holds { self.in_every_element(path) } else { not(everything_in(self.within)) });
        }
        let Field { list, name } = self.field(path)?;
        let value = Some(Value { kind: Some(wire_value(path, literal)?) });
        let comparison = wire(Kind::Comparison(Comparison { field: name, operator: operator.into(), value }));
        Ok(match list {
            Some(list) if self.within.is_none() => element(list, comparison),
            Some(_) | None => comparison,
        })
    }

    /// Every resource has its core schema, and an extension where it has a value of it.
    fn schemas(self, path: &AttributePath<'_>, op: CompareOp, literal: &Literal) -> WireFilter {
        let named = self.definition.schemas().filter(|schema| holds_for(path, op, literal, schema.id));
        let filters: Vec<WireFilter> = named
            .map(|schema| match schema.id {
                ENTERPRISE_USER_URN => wire(Kind::Present("profile.enterprise".to_owned())),
                USER_ATTRIBUTE_URN => wire(Kind::Present(USER_ATTRIBUTES.to_owned())),
                _ => everything(),
            })
            .collect();
        if filters.is_empty() { nothing() } else { wire(Kind::AnyOf(FilterList { filters })) }
    }
}

/// The value of an attribute that is the same for every resource, or every element of a list.
fn constant(definition: Definition<'_>, path: &AttributePath<'_>) -> Option<&'static str> {
    if path.extension.is_some() {
        return None;
    }
    match (path.attribute.name.as_ref(), path.sub_attribute.map(|sub| sub.name.as_ref())) {
        ("meta", Some("resourceType")) => Some(definition.resource_type().name()),
        ("members", Some("type")) => Some(ResourceType::User.name()),
        ("groups", Some("type")) => Some("direct"),
        (_, _) => None,
    }
}

/// Whether the comparison holds for this value.
fn holds_for(path: &AttributePath<'_>, op: CompareOp, value: &Literal, of: &str) -> bool {
    let comparison = Filter::Compare { path: path.clone(), op, value: value.clone() };
    match path.sub_attribute {
        Some(sub) => comparison.matches_element(&json!({ &*sub.name: of })),
        None => comparison.matches_element(&json!(of)),
    }
}

fn wire_value(path: &AttributePath<'_>, literal: &Literal) -> Result<value::Kind, Error> {
    let unfit = || Error::invalid_filter(format!("{path} is compared with what it cannot be"));
    match literal {
        Literal::String(text) if path.leaf().kind == schema::Kind::DateTime => {
            let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| unfit())?;
            Ok(value::Kind::Time(wire_time::to_wire(time)))
        }
        Literal::String(text) => Ok(value::Kind::String(text.clone())),
        Literal::Boolean(truth) => Ok(value::Kind::Boolean(*truth)),
        Literal::Number(number) => number.as_f64().map(value::Kind::Number).ok_or_else(unfit),
        Literal::Null => Err(unfit()),
    }
}

fn everything() -> WireFilter {
    everything_in(None)
}

/// What holds for every resource, or every element of a list of other resources.
fn everything_in(within: Option<&str>) -> WireFilter {
    let field = match within {
        None => "id",
        Some("members") => "user_id",
        Some(_) => "group_id",
    };
    wire(Kind::Present(field.to_owned()))
}

fn wire(kind: Kind) -> WireFilter {
    WireFilter { kind: Some(kind) }
}

fn not(filter: WireFilter) -> WireFilter {
    wire(Kind::Not(Box::new(filter)))
}

fn element(field: String, filter: WireFilter) -> WireFilter {
    wire(Kind::Element(Box::new(ElementMatch { field, filter: Some(Box::new(filter)) })))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The proto's tree in short.
    fn shown(filter: &WireFilter) -> String {
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
        assert_eq!(shown(&to_wire(resource_type.into(), &filter).unwrap()), expect);
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
        let inner = "all(present(profile.name), profile.name.given_name equal A)";
        check(ResourceType::User, r#"name[givenName eq "A"]"#, inner);
        check(ResourceType::User, r#"meta[resourceType eq "User"]"#, "all(present(id), present(id))");
    }

    #[test]
    fn what_is_the_same_for_all_is_decided_here() {
        check(ResourceType::User, r#"meta.resourceType eq "User""#, "present(id)");
        check(ResourceType::User, r#"meta.resourceType ne "User""#, "not(present(id))");
        check(ResourceType::Group, r#"meta.resourceType sw "U""#, "not(present(id))");
        check(ResourceType::User, "meta pr and meta.resourceType pr", "all(present(id), present(id))");
        check(ResourceType::Group, r#"members.type eq "user""#, "present(members)");
        let inner = "members[all(present(user_id), user_id equal 1)]";
        check(ResourceType::Group, r#"members[type eq "User" and value eq "1"]"#, inner);
        check(ResourceType::User, r#"groups[type eq "indirect"]"#, "groups[not(present(group_id))]");
    }

    #[test]
    fn a_schema_is_there_where_a_value_of_it_is() {
        let urn = |urn: &str| format!(r#"schemas eq "{urn}""#);
        check(ResourceType::User, &urn(schema::USER_URN), "any(present(id))");
        check(ResourceType::User, &urn(ENTERPRISE_USER_URN), "any(present(profile.enterprise))");
        check(ResourceType::User, &urn("urn:x"), "not(present(id))");
        check(ResourceType::Group, &urn(schema::USER_URN), "not(present(id))");
        check(ResourceType::User, "schemas pr", "present(id)");
    }

    #[test]
    fn attributes_of_a_tenants_own_are_fields_by_their_names() {
        let own = |name: &str, kind| schema::UserAttribute { name: name.to_owned(), kind, description: String::new() };
        let schemas = scim::Schemas::new([
            own("shoeSize", schema::UserAttributeKind::Number),
            own("skills", schema::UserAttributeKind::StringList),
        ]);
        let user = schemas.of(ResourceType::User);
        let text = format!(r#"{USER_ATTRIBUTE_URN}:shoesize gt 40 and {USER_ATTRIBUTE_URN}:skills eq "rust""#);
        let filter = Filter::parse(user, &text).unwrap();
        let expect = "all(user_attributes.shoeSize greater 40, user_attributes.skills equal rust)";
        assert_eq!(shown(&to_wire(user, &filter).unwrap()), expect);
    }
}

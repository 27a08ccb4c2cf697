//! From the wire's filters and orders to typed ones: every field, operator and value is checked here, and what cannot be answered is refused by
//! name.

use std::borrow::Cow;

use proto::identity::v1::{self as wire, Comparison as WireComparison, ElementMatch, Operator, filter::Kind, value};

use crate::domain::{
    Case, Catalogue, Comparison, Error, FILTER_DEPTH_MAX, FILTER_TERMS_MAX, Field, FieldType, Filter, InvalidField,
    Order, OrderBy, Relation, Selection, TextOperator, Timestamp, USER_ATTRIBUTES, text_key,
};
use ids::UserId;

/// Which resources a list shows, and in which order.
pub(super) fn selection(
    filter: Option<wire::Filter>,
    order: Option<wire::Order>,
    catalogue: Catalogue<'_>,
) -> Result<Selection, Error> {
    let mut terms_left = FILTER_TERMS_MAX;
    let mut reading = Reading { catalogue, list: "", terms_left: &mut terms_left };
    Ok(Selection {
        filter: filter.map(|filter| reading.filter(filter, 1)).transpose()?,
        order: order.map_or(Ok(Order::BY_ID), |order| self::order(order, catalogue))?,
    })
}

/// Whether a filter or an order names an attribute that the tenant defined.
pub(super) fn names_user_attribute(filter: Option<&wire::Filter>, order: Option<&wire::Order>) -> bool {
    order.is_some_and(|order| is_user_attribute(&order.field)) || filter.is_some_and(asks_for_user_attribute)
}

/// The decoder of the wire bounds the depth of this.
fn asks_for_user_attribute(filter: &wire::Filter) -> bool {
    match &filter.kind {
        None => false,
        Some(Kind::AllOf(list) | Kind::AnyOf(list)) => list.filters.iter().any(asks_for_user_attribute),
        Some(Kind::Not(filter)) => asks_for_user_attribute(filter),
        Some(Kind::Comparison(comparison)) => is_user_attribute(&comparison.field),
        Some(Kind::Present(field)) => is_user_attribute(field),
        // No attribute of a tenant's own has elements.
        Some(Kind::Element(_)) => false,
    }
}

fn is_user_attribute(path: &str) -> bool {
    path.strip_prefix(USER_ATTRIBUTES).is_some_and(|rest| rest.starts_with('.'))
}

/// A filter that is being read.
struct Reading<'r> {
    catalogue: Catalogue<'r>,
    /// The list whose elements the filter is about, for what is said of a field; empty for the resource itself.
    list: &'r str,
    terms_left: &'r mut usize,
}

impl Reading<'_> {
    fn filter(&mut self, filter: wire::Filter, depth: usize) -> Result<Filter, Error> {
        if depth > FILTER_DEPTH_MAX {
            return Err(invalid(format!("nests deeper than {FILTER_DEPTH_MAX} levels")));
        }
        match filter.kind.ok_or_else(|| invalid("has an empty node"))? {
            Kind::AllOf(list) => Ok(Filter::AllOf(self.filters(list.filters, depth)?)),
            Kind::AnyOf(list) => Ok(Filter::AnyOf(self.filters(list.filters, depth)?)),
            Kind::Not(filter) => Ok(Filter::Not(Box::new(self.filter(*filter, depth + 1)?))),
            Kind::Comparison(comparison) => self.comparison(comparison),
            Kind::Present(path) => {
                self.count()?;
                Ok(Filter::Present(self.field(&path)?))
            }
            Kind::Element(element) => self.element(*element, depth),
        }
    }

    fn filters(&mut self, filters: Vec<wire::Filter>, depth: usize) -> Result<Vec<Filter>, Error> {
        if filters.is_empty() {
            return Err(invalid("has an empty list"));
        }
        filters.into_iter().map(|filter| self.filter(filter, depth + 1)).collect()
    }

    fn comparison(&mut self, comparison: WireComparison) -> Result<Filter, Error> {
        self.count()?;
        let operator = comparison.operator();
        let WireComparison { field: path, value, .. } = comparison;
        let field = self.field(&path)?;
        let value = value.and_then(|value| value.kind).ok_or("it is compared with nothing");
        let compared = value.and_then(|value| compared(field.kind, operator, value));
        match compared.map_err(|problem| self.unsupported(&path, problem))? {
            Some(comparison) if operator == Operator::NotEqual => {
                Ok(Filter::Not(Box::new(Filter::Compare(field, comparison))))
            }
            Some(comparison) => Ok(Filter::Compare(field, comparison)),
            None => Ok(Filter::Present(field)),
        }
    }

    fn element(&mut self, element: ElementMatch, depth: usize) -> Result<Filter, Error> {
        let ElementMatch { field: path, filter } = element;
        let filter = filter.ok_or_else(|| invalid("has an empty node"))?;
        let field = self.field(&path)?;
        let FieldType::Elements(fields) = field.kind else {
            return Err(self.unsupported(&path, "it has no elements with fields of their own"));
        };
        let mut of_element =
            Reading { catalogue: Catalogue::Elements(fields), list: &path, terms_left: self.terms_left };
        let filter = of_element.filter(*filter, depth + 1)?;
        Ok(Filter::Element(field, Box::new(filter)))
    }

    fn field(&self, path: &str) -> Result<Field, Error> {
        self.catalogue.field(path).ok_or_else(|| match self.catalogue.through_list(path) {
            Some(_) => self.unsupported(path, "it is a field of a list: ask for one element of the list"),
            None => self.unsupported(path, UNKNOWN),
        })
    }

    fn count(&mut self) -> Result<(), Error> {
        let left = self.terms_left.checked_sub(1);
        *self.terms_left = left.ok_or_else(|| invalid(format!("has more than {FILTER_TERMS_MAX} terms")))?;
        Ok(())
    }

    fn unsupported(&self, path: &str, problem: &'static str) -> Error {
        let path = if self.list.is_empty() { path.to_owned() } else { format!("{}.{path}", self.list) };
        unsupported(path, problem)
    }
}

const UNKNOWN: &str = "no such field can be asked for";

/// What a field of a type is compared with; none where it only has to be present.
fn compared(kind: FieldType, operator: Operator, value: value::Kind) -> Result<Option<Comparison>, &'static str> {
    let relation = relation(operator);
    match (kind, value) {
        (FieldType::Id, value::Kind::String(text)) => match relation {
            Some(Relation::Equal) => Ok(Some(Comparison::Id(text.parse::<UserId>().ok().map(UserId::uuid)))),
            _ => text_compared(Case::Exact, operator, text),
        },
        (FieldType::Text(case), value::Kind::String(text)) => text_compared(case, operator, text),
        (FieldType::Texts, value::Kind::String(text)) => text_compared(Case::Folded, operator, text),
        (FieldType::Boolean, value::Kind::Boolean(truth)) => match relation {
            Some(Relation::Equal) => Ok(Some(Comparison::Boolean(truth))),
            _ => Err("a truth value is equal or not, and nothing else"),
        },
        (FieldType::Number | FieldType::Numbers, value::Kind::Number(number)) if number.is_finite() => {
            relation.map(|relation| Some(Comparison::Number(relation, number))).ok_or(NOT_A_TEXT)
        }
        (FieldType::Time, value::Kind::Time(time)) => {
            relation.map(|relation| Some(Comparison::Time(relation, to_time(time)))).ok_or(NOT_A_TEXT)
        }
        (FieldType::Id | FieldType::Text(_) | FieldType::Texts, _) => Err("it is compared with text"),
        (FieldType::Boolean, _) => Err("it is compared with true or false"),
        (FieldType::Number | FieldType::Numbers, _) => Err("it is compared with a number that is finite"),
        (FieldType::Time, _) => Err("it is compared with a point in time"),
        (FieldType::Object, _) => Err("it is compared with nothing: ask whether it is present, or for its fields"),
        (FieldType::Elements(_), _) => Err("it is compared with nothing: ask for one of its elements"),
    }
}

const NOT_A_TEXT: &str = "the operator is of texts alone, or none";

fn text_compared(case: Case, operator: Operator, text: String) -> Result<Option<Comparison>, &'static str> {
    if text.contains('\0') {
        return Err("the value contains the character U+0000");
    }
    let operator = match operator {
        Operator::Contains => TextOperator::Contains,
        Operator::StartsWith => TextOperator::StartsWith,
        Operator::EndsWith => TextOperator::EndsWith,
        other => TextOperator::Is(relation(other).ok_or("it is compared by no operator")?),
    };
    // Every text contains nothing.
    if text.is_empty() && !matches!(operator, TextOperator::Is(_)) {
        return Ok(None);
    }
    Ok(Some(Comparison::Text(operator, text_key(case, text))))
}

/// "Not equal" is read as equal; whoever asks negates it.
const fn relation(operator: Operator) -> Option<Relation> {
    match operator {
        Operator::Equal | Operator::NotEqual => Some(Relation::Equal),
        Operator::Greater => Some(Relation::Greater),
        Operator::GreaterOrEqual => Some(Relation::GreaterOrEqual),
        Operator::Less => Some(Relation::Less),
        Operator::LessOrEqual => Some(Relation::LessOrEqual),
        Operator::Unspecified | Operator::Contains | Operator::StartsWith | Operator::EndsWith => None,
    }
}

fn to_time(time: pbjson_types::Timestamp) -> Timestamp {
    Timestamp(time.seconds.saturating_mul(1_000_000).saturating_add(i64::from(time.nanos / 1000)))
}

fn order(order: wire::Order, catalogue: Catalogue<'_>) -> Result<Order, Error> {
    let wire::Order { field: path, descending } = order;
    let by = match (catalogue.field(&path), catalogue.through_list(&path)) {
        (Some(field), _) => match field.kind {
            FieldType::Object | FieldType::Elements(_) | FieldType::Texts | FieldType::Numbers => {
                return Err(unsupported(path, "nothing is ordered by what has more than one value"));
            }
            FieldType::Id | FieldType::Text(_) | FieldType::Boolean | FieldType::Number | FieldType::Time => {
                OrderBy::Field(field)
            }
        },
        (None, Some((list, field))) => OrderBy::Element { list, field },
        (None, None) => return Err(unsupported(path, UNKNOWN)),
    };
    Ok(Order { by, descending })
}

fn unsupported(field: impl Into<String>, problem: impl Into<Cow<'static, str>>) -> Error {
    Error::UnsupportedFilter { field: field.into(), problem: problem.into() }
}

fn invalid(problem: impl Into<Cow<'static, str>>) -> Error {
    InvalidField::new("filter", problem).into()
}

#[cfg(test)]
mod tests;

//! Whether a filter holds, decided in memory.
//!
//! Text of an attribute without case is compared by its [`CaseKey`], as a store compares it.

use std::cmp::Ordering;

use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use case_key::CaseKey;

use super::{CompareOp, Filter, Literal};
use crate::path::AttributePath;
use crate::schema::{Attribute, Kind};

impl Filter<'_> {
    /// Whether an element of a complex attribute matches a filter that stood between brackets.
    pub fn matches_element(&self, element: &Value) -> bool {
        self.holds(&|path| match path.sub_attribute {
            Some(sub) => element.get(&*sub.name).into_iter().filter(|value| is_assigned(value)).collect(),
            None => vec![element],
        })
    }

    /// Whether a resource matches. The object has canonical names, as [`crate::Resource`] has them.
    pub fn matches_resource(&self, object: &Map<String, Value>) -> bool {
        self.holds(&|path| values_at(path, object))
    }

    fn holds<'a>(&self, values: &dyn Fn(&AttributePath<'_>) -> Vec<&'a Value>) -> bool {
        match self {
            Self::And(terms) => terms.iter().all(|term| term.holds(values)),
            Self::Or(terms) => terms.iter().any(|term| term.holds(values)),
            Self::Not(term) => !term.holds(values),
            Self::Present { path } => !values(path).is_empty(),
            Self::Compare { path, op, value } => compare(path.leaf(), *op, value, &values(path)),
            Self::ValuePath { path, filter } => values(path).into_iter().any(|element| filter.matches_element(element)),
        }
    }
}

fn is_assigned(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(elements) => !elements.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

fn values_at<'a>(path: &AttributePath<'_>, object: &'a Map<String, Value>) -> Vec<&'a Value> {
    let container = match path.extension {
        Some(extension) => object.get(extension.id).and_then(Value::as_object),
        None => Some(object),
    };
    let Some(value) = container.and_then(|container| container.get(&*path.attribute.name)) else { return Vec::new() };
    let elements = match value {
        Value::Array(elements) => elements.iter().collect(),
        other => vec![other],
    };
    let leaves = elements.into_iter().filter_map(|element| match path.sub_attribute {
        Some(sub) => element.get(&*sub.name),
        None => Some(element),
    });
    leaves.filter(|value| is_assigned(value)).collect()
}

fn compare(attribute: &Attribute, op: CompareOp, literal: &Literal, values: &[&Value]) -> bool {
    let equal = |value: &&&Value| holds_for(attribute, CompareOp::Eq, literal, value);
    match (op, literal) {
        (CompareOp::Eq, Literal::Null) => values.is_empty(),
        (CompareOp::Ne, Literal::Null) => !values.is_empty(),
        // "Not equal" is the opposite of "equal", for many values and for none.
        (CompareOp::Ne, _) => !values.iter().any(|value| equal(&value)),
        (_, _) => values.iter().any(|value| holds_for(attribute, op, literal, value)),
    }
}

fn holds_for(attribute: &Attribute, op: CompareOp, literal: &Literal, value: &Value) -> bool {
    match (literal, value) {
        (Literal::String(text), Value::String(value)) if attribute.kind == Kind::DateTime => {
            let date = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
            date(value).zip(date(text)).is_some_and(|(value, literal)| ordered(op, value.cmp(&literal)))
        }
        (Literal::String(text), Value::String(value)) if attribute.case_exact => text_holds(op, value, text),
        (Literal::String(text), Value::String(value)) if op == CompareOp::Eq && value.is_ascii() && text.is_ascii() => {
            value.eq_ignore_ascii_case(text)
        }
        (Literal::String(text), Value::String(value)) => {
            text_holds(op, CaseKey::of(value).as_str(), CaseKey::of(text).as_str())
        }
        (Literal::Boolean(literal), Value::Bool(value)) => op == CompareOp::Eq && literal == value,
        (Literal::Number(literal), Value::Number(value)) => {
            let order = value.as_f64().zip(literal.as_f64()).and_then(|(value, literal)| value.partial_cmp(&literal));
            order.is_some_and(|order| ordered(op, order))
        }
        (_, _) => false,
    }
}

fn text_holds(op: CompareOp, value: &str, literal: &str) -> bool {
    match op {
        CompareOp::Co => value.contains(literal),
        CompareOp::Sw => value.starts_with(literal),
        CompareOp::Ew => value.ends_with(literal),
        CompareOp::Eq | CompareOp::Ne | CompareOp::Gt | CompareOp::Ge | CompareOp::Lt | CompareOp::Le => {
            ordered(op, value.cmp(literal))
        }
    }
}

fn ordered(op: CompareOp, order: Ordering) -> bool {
    match op {
        CompareOp::Eq => order.is_eq(),
        CompareOp::Ne => order.is_ne(),
        CompareOp::Gt => order.is_gt(),
        CompareOp::Ge => order.is_ge(),
        CompareOp::Lt => order.is_lt(),
        CompareOp::Le => order.is_le(),
        CompareOp::Co | CompareOp::Sw | CompareOp::Ew => false,
    }
}

//! How much the operations of one request compare and copy, counted before it is done. A body, a list and a filter are bounded each by itself;
//! their product over thousands of operations would be minutes of work.

use serde_json::{Map, Value};

use super::Op;
use super::element::Target;
use crate::error::Error;
use crate::filter::{Filter, Literal};

/// How many comparisons the operations of one request may ask for: each term of a path's filter with each value of the attribute, and each value
/// of an addition or removal with each that is there. Text that is compared or copied counts as one more for every 32 bytes, or 16 where it is not
/// ASCII and has to be composed and folded.
pub const PATCH_COMPARISONS_MAX: usize = 4_000_000;

/// What the operations of one request have asked for so far.
#[derive(Default)]
pub(super) struct Effort(usize);

impl Effort {
    /// Counts an operation on what the object holds.
    pub(super) fn spend(
        &mut self,
        container: &Map<String, Value>,
        target: &Target<'_, '_>,
        value: Option<&Value>,
    ) -> Result<(), Error> {
        self.0 = self.0.saturating_add(comparisons(container, target, value));
        if self.0 > PATCH_COMPARISONS_MAX {
            return Err(Error::payload_too_large(format!(
                "the operations ask for more than {PATCH_COMPARISONS_MAX} comparisons: send them in parts"
            )));
        }
        Ok(())
    }
}

fn comparisons(container: &Map<String, Value>, target: &Target<'_, '_>, value: Option<&Value>) -> usize {
    let present = match container.get(&*target.path.attribute.name) {
        Some(Value::Array(elements)) => elements.as_slice(),
        Some(single) => std::slice::from_ref(single),
        None => &[],
    };
    let copied = value.map_or(0, of_text);
    match (target.filter, target.path.sub_attribute) {
        (Some(filter), _) => {
            let (terms, asked) = terms(filter);
            let text: usize = present.iter().map(of_text).sum();
            present.len().saturating_mul(terms + asked + copied).saturating_add(terms.saturating_mul(text))
        }
        (None, Some(_)) => present.len().saturating_mul(copied),
        (None, None) => match (target.op, value) {
            (Op::Add | Op::Remove, Some(Value::Array(listed))) => listed.len().saturating_mul(present.len()),
            (Op::Add | Op::Remove, Some(_)) => present.len(),
            (Op::Replace, _) | (_, None) => 0,
        },
    }
}

/// The terms of a filter, and what their text counts for.
fn terms(filter: &Filter<'_>) -> (usize, usize) {
    match filter {
        Filter::And(inner) | Filter::Or(inner) => {
            inner.iter().map(terms).fold((0, 0), |(count, bytes), (more, text)| (count + more, bytes + text))
        }
        Filter::Not(inner) | Filter::ValuePath { filter: inner, .. } => terms(inner),
        Filter::Compare { value: Literal::String(text), .. } => (1, counted(text)),
        Filter::Compare { .. } | Filter::Present { .. } => (1, 0),
    }
}

/// What the text in a value counts for.
fn of_text(value: &Value) -> usize {
    match value {
        Value::String(text) => counted(text),
        Value::Array(elements) => elements.iter().map(of_text).sum(),
        Value::Object(members) => members.values().map(of_text).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

fn counted(text: &str) -> usize {
    text.len() / if text.is_ascii() { 32 } else { 16 }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::patch::OnMissing;
    use crate::schema::ResourceType;
    use crate::{Path, VALUES_MAX};

    /// What an operation on two e-mail addresses counts for.
    fn check(op: Op, path: &str, value: &Value, expect: usize) {
        let container = json!({"emails": [{"value": "a".repeat(64)}, {"value": "b"}], "title": "x"});
        let resolved = Path::parse(ResourceType::User, path).unwrap();
        let target =
            Target { op, path: &resolved.attribute, filter: resolved.filter.as_ref(), on_missing: OnMissing::Refuse };
        assert_eq!(comparisons(container.as_object().unwrap(), &target, Some(value)), expect, "{path}");
    }

    #[test]
    fn each_term_counts_once_for_each_value_and_for_their_text() {
        check(Op::Replace, "emails[type pr].display", &json!("x"), 2 + 2);
        check(Op::Remove, "emails[type pr and not (value eq \"c\")]", &Value::Null, 2 * (2 + 2));
        let long = "c".repeat(96);
        check(Op::Replace, &format!("emails[value eq \"{long}\"].display"), &json!("x"), 2 + 2 + 2 * 3);
        let folded = "\u{e9}".repeat(24);
        check(Op::Replace, &format!("emails[value eq \"{folded}\"].display"), &json!("x"), 2 + 2 + 2 * 3);
    }

    #[test]
    fn what_is_copied_counts_for_each_value() {
        check(Op::Replace, "emails.display", &json!("x".repeat(320)), 2 * 10);
        check(Op::Add, "emails[type pr]", &json!({"display": "x".repeat(320)}), 2 + 2 + 2 * 10);
    }

    #[test]
    fn lists_count_each_value_with_each() {
        check(Op::Add, "emails", &json!(vec![json!({"value": "c"}); VALUES_MAX]), 2 * VALUES_MAX);
        check(Op::Remove, "emails", &json!({"value": "c"}), 2);
        check(Op::Replace, "emails", &json!([{"value": "c"}]), 0);
        check(Op::Replace, "title", &json!("y"), 0);
    }
}

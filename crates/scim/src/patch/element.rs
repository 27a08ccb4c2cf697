//! Changes one attribute, or the elements of it that a filter selects.

use case_key::CaseKey;
use serde_json::{Map, Value};

use super::{OnMissing, Op};
use crate::error::Error;
use crate::filter::Filter;
use crate::path::AttributePath;
use crate::resource::{VALUES_MAX, checked_element, checked_value, is_primary, keep_one_primary, yield_primary};
use crate::schema::{Attribute, Mutability};

/// What an operation changes, and how.
pub(super) struct Target<'a, 's> {
    pub(super) op: Op,
    pub(super) path: &'a AttributePath<'s>,
    pub(super) filter: Option<&'a Filter<'s>>,
    pub(super) on_missing: OnMissing,
}

type Members = Map<String, Value>;

impl<'s> Target<'_, 's> {
    /// Whether the operation takes a value away: by its name, or by assigning what stands for nothing.
    pub(super) fn unassigns(&self, value: Option<&Value>) -> bool {
        self.op == Op::Remove || value.is_none_or(Value::is_null)
    }

    fn attribute(&self) -> &'s Attribute {
        self.path.attribute
    }
}

/// Changes the attribute in the object that holds it.
pub(super) fn change(container: &mut Members, target: &Target<'_, '_>, value: Option<&Value>) -> Result<(), Error> {
    match (target.filter, target.path.sub_attribute, target.attribute().multi_valued) {
        (None, None, true) => change_all(container, target, value),
        (None, None, false) => change_single(container, target, value),
        (Some(_), _, _) | (None, Some(_), _) => change_selected(container, target, value),
    }
}

fn change_single(container: &mut Members, target: &Target<'_, '_>, value: Option<&Value>) -> Result<(), Error> {
    let attribute = target.attribute();
    if target.unassigns(value) {
        container.remove(&*attribute.name);
        return Ok(());
    }
    let Some(value) = value else { return Ok(()) };
    let checked = checked_value(attribute, value.clone(), &target.path.to_string())?;
    if !attribute.is_complex() {
        if let Some(checked) = checked {
            container.insert(attribute.name.to_string(), checked);
        }
        return Ok(());
    }
    let mut members = match container.remove(&*attribute.name) {
        Some(Value::Object(members)) => members,
        Some(_) | None => Map::new(),
    };
    merge(&mut members, attribute, checked.as_ref(), value);
    if !members.is_empty() {
        container.insert(attribute.name.to_string(), Value::Object(members));
    }
    Ok(())
}

/// Merges the parts that were sent into an object; a part that was sent as null is taken away.
fn merge(members: &mut Members, attribute: &Attribute, checked: Option<&Value>, sent: &Value) {
    let is_reference = !attribute.multi_valued && attribute.sub_attribute("value").is_some();
    if let Some(Value::Object(checked)) = checked {
        // A new reference makes what was known about the old one wrong.
        if is_reference && checked.get("value").is_some_and(|value| members.get("value") != Some(value)) {
            members.clear();
        }
        members.extend(checked.clone());
    }
    let Value::Object(sent) = sent else { return };
    for (key, _) in sent.iter().filter(|(_, part)| part.is_null()) {
        match attribute.sub_attribute(key) {
            Some(sub) if is_reference && sub.name == "value" => members.clear(),
            Some(sub) => {
                members.remove(&*sub.name);
            }
            None => {}
        }
    }
}

fn change_all(container: &mut Members, target: &Target<'_, '_>, value: Option<&Value>) -> Result<(), Error> {
    let attribute = target.attribute();
    let wanted = match value {
        None | Some(Value::Null) => None,
        Some(value @ Value::Array(_)) => checked_value(attribute, value.clone(), &target.path.to_string())?,
        Some(single) => checked_value(attribute, Value::Array(vec![single.clone()]), &target.path.to_string())?,
    };
    match (target.op, wanted) {
        (Op::Remove, None) if value.is_none_or(Value::is_null) => {
            container.remove(&*attribute.name);
        }
        (Op::Remove, Some(Value::Array(listed))) => remove_listed(container, attribute, &listed),
        (Op::Replace, Some(mut wanted)) => {
            keep_one_primary(&mut wanted);
            container.insert(attribute.name.to_string(), wanted);
        }
        (Op::Replace, None) => {
            container.remove(&*attribute.name);
        }
        (Op::Add, Some(Value::Array(new))) => add_elements(container, target, new)?,
        // Adding nothing adds nothing, and removing none of the values removes none.
        (Op::Add | Op::Remove, _) => {}
    }
    Ok(())
}

fn remove_listed(container: &mut Members, attribute: &Attribute, listed: &[Value]) {
    let Some(Value::Array(elements)) = container.get_mut(&*attribute.name) else { return };
    elements.retain(|element| !listed.iter().any(|listed| is_within(attribute, listed, element)));
    if elements.is_empty() {
        container.remove(&*attribute.name);
    }
}

fn add_elements(container: &mut Members, target: &Target<'_, '_>, new: Vec<Value>) -> Result<(), Error> {
    let attribute = target.attribute();
    let entry = container.entry(attribute.name.as_ref()).or_insert_with(|| Value::Array(Vec::new()));
    let mut primary = None;
    let Value::Array(elements) = entry else {
        return Err(Error::invalid_value(format!("{} is not an array", target.path)));
    };
    for value in new {
        let sets_primary = value.get("primary") == Some(&Value::Bool(true));
        let at = match elements.iter().position(|element| is_same(attribute, element, &value)) {
            Some(at) => {
                if let (Some(Value::Object(old)), Value::Object(value)) = (elements.get_mut(at), value) {
                    old.extend(value);
                }
                at
            }
            None => {
                elements.push(value);
                elements.len() - 1
            }
        };
        if sets_primary {
            primary = primary.or(Some(at));
        }
    }
    if let Some(winner) = primary {
        yield_primary(elements, winner);
    }
    check_count(elements, target.path)
}

fn check_count(elements: &[Value], path: &AttributePath<'_>) -> Result<(), Error> {
    if elements.len() > VALUES_MAX {
        return Err(Error::invalid_value(format!("{path} has more than {VALUES_MAX} values")));
    }
    Ok(())
}

/// Whether a value that is added is there already: nothing in it is new, or it has the same `value` and `type`, which
/// RFC 7643 section 2.4 lets stand only once.
fn is_same(attribute: &Attribute, element: &Value, added: &Value) -> bool {
    let same = |name: &str| match (attribute.sub_attribute(name), element.get(name), added.get(name)) {
        (Some(sub), Some(one), Some(other)) => is_equal(sub, one, other),
        (_, one, other) => one == other,
    };
    is_within(attribute, added, element) || (added.get("value").is_some() && same("value") && same("type"))
}

/// Whether every member of `part` is in `whole`.
fn is_within(attribute: &Attribute, part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => part.iter().all(|(key, value)| {
            attribute.sub_attribute(key).zip(whole.get(key)).is_some_and(|(sub, other)| is_equal(sub, value, other))
        }),
        (part, whole) => is_equal(attribute, part, whole),
    }
}

/// Whether two values are the same by the attribute's rule for case.
fn is_equal(attribute: &Attribute, one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::String(one), Value::String(other)) if !attribute.case_exact => {
            one == other || CaseKey::of(one) == CaseKey::of(other)
        }
        (one, other) => one == other,
    }
}

/// Changes the elements that the filter selects, or every element if there is none; a single value is its own element.
fn change_selected(container: &mut Members, target: &Target<'_, '_>, value: Option<&Value>) -> Result<(), Error> {
    let attribute = target.attribute();
    // Taken out, not copied: a request may hold thousands of operations on one long list.
    let mut elements = match container.remove(&*attribute.name) {
        None => Vec::new(),
        Some(Value::Array(elements)) => elements,
        Some(single) => vec![single],
    };
    let matches = |element: &Value| target.filter.is_none_or(|filter| filter.matches_element(element));
    let mut selected: Vec<usize> =
        elements.iter().enumerate().filter(|(_, element)| matches(element)).map(|(at, _)| at).collect();
    let mut made_primary = false;
    if selected.is_empty() {
        let Some(made) = element_to_make(target, value)? else {
            store(container, attribute, elements);
            return Ok(());
        };
        made_primary = is_primary(&made);
        selected.push(elements.len());
        if attribute.multi_valued {
            elements.push(made);
        } else {
            elements = vec![made];
            selected = vec![0];
        }
    }
    edit(&mut elements, &selected, target, value)?;
    // What the path asked for as primary wins over what was, unless the value took that back.
    if let Some(made) = selected.first().filter(|at| made_primary && elements.get(**at).is_some_and(is_primary)) {
        yield_primary(&mut elements, *made);
    }
    elements.retain(|element| element.as_object().is_none_or(|members| !members.is_empty()));
    check_count(&elements, target.path)?;
    store(container, attribute, elements);
    Ok(())
}

fn store(container: &mut Members, attribute: &Attribute, mut elements: Vec<Value>) {
    let value = if attribute.multi_valued { Value::Array(elements) } else { elements.pop().unwrap_or(Value::Null) };
    let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    if empty {
        container.remove(&*attribute.name);
    } else {
        container.insert(attribute.name.to_string(), value);
    }
}

/// The element to start from where the filter matches none, or nothing if there is nothing to do.
fn element_to_make(target: &Target<'_, '_>, value: Option<&Value>) -> Result<Option<Value>, Error> {
    let no_target = || Error::no_target(format!("no value of {} matches the filter of the path", target.path.parent()));
    let Some(filter) = target.filter else {
        return Ok((!target.unassigns(value)).then(|| Value::Object(Map::new())));
    };
    if target.on_missing == OnMissing::Refuse {
        return Err(no_target());
    }
    let terms = filter.equality_terms().ok_or_else(no_target)?;
    if target.unassigns(value) {
        return Ok(None);
    }
    if terms.iter().any(|(sub, _)| sub.mutability == Mutability::ReadOnly) {
        return Err(no_target());
    }
    let made: Members = terms.into_iter().map(|(sub, literal)| (sub.name.to_string(), literal.to_json())).collect();
    let made = Value::Object(made);
    // Terms that contradict each other describe no element.
    if filter.matches_element(&made) { Ok(Some(made)) } else { Err(no_target()) }
}

/// Changes the selected elements. A removed element stays as an empty object, which the caller drops.
fn edit(
    elements: &mut [Value],
    selected: &[usize],
    target: &Target<'_, '_>,
    value: Option<&Value>,
) -> Result<(), Error> {
    let checked = match (target.op, value) {
        (Op::Remove, _) | (_, None) => None,
        (Op::Add | Op::Replace, Some(value)) => checked_part(target, value)?,
    };
    for at in selected {
        let Some(Value::Object(members)) = elements.get_mut(*at) else { continue };
        match (target.path.sub_attribute, &checked) {
            (Some(sub), Some(checked)) => {
                // A new reference makes what was known about the old one wrong.
                if !target.attribute().multi_valued && sub.name == "value" && members.get("value") != Some(checked) {
                    members.clear();
                }
                members.insert(sub.name.to_string(), checked.clone());
            }
            (Some(sub), None) => {
                members.remove(&*sub.name);
            }
            (None, checked) => match value {
                Some(sent) if !target.unassigns(value) => {
                    // RFC 7644 section 3.5.2.3: the values that a filter selects are replaced, not merged.
                    if target.op == Op::Replace && target.attribute().multi_valued {
                        members.clear();
                    }
                    merge(members, target.attribute(), checked.as_ref(), sent);
                }
                Some(_) | None => members.clear(),
            },
        }
    }
    let sets_primary = match (target.path.sub_attribute, &checked) {
        (Some(sub), Some(Value::Bool(true))) => sub.name == "primary",
        (None, Some(checked)) => checked.get("primary") == Some(&Value::Bool(true)),
        (_, _) => false,
    };
    // RFC 7644 section 3.5.2: what is made primary now wins over what was.
    if let (true, Some(winner)) = (sets_primary, selected.first()) {
        yield_primary(elements, *winner);
    }
    Ok(())
}

/// The value for a sub-attribute, or for a whole element; null says "unassigned".
fn checked_part(target: &Target<'_, '_>, value: &Value) -> Result<Option<Value>, Error> {
    let at = target.path.to_string();
    match target.path.sub_attribute {
        Some(sub) => checked_value(sub, value.clone(), &at),
        None => checked_element(target.attribute(), value.clone(), &at),
    }
}

/// Whether an element has nothing left but what elements are told apart by.
pub(super) fn is_husk(element: &Value) -> bool {
    let told_apart_by = |name: &String| matches!(name.as_str(), "type" | "primary");
    element.as_object().is_some_and(|members| members.keys().all(told_apart_by))
}

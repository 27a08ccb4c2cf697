//! A group's PATCH as changes that are made without reading the group.

use serde_json::Value;

use super::{Op, Operation};
use crate::error::{Error, shown};
use crate::filter::{CompareOp, Filter, Literal};
use crate::path::{AttributePath, Path};
use crate::resource::{MEMBERS_MAX, checked_value};
use crate::schema::{Attribute, Definition, Mutability, ResourceType};

/// A change of a group. A removal of who is no member, and an addition of who is one, change nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupChange {
    /// These ids become members.
    AddMembers(Vec<String>),
    /// These ids are members no longer.
    RemoveMembers(Vec<String>),
    /// These ids are the members, and no others.
    ReplaceMembers(Vec<String>),
    /// Nobody is a member.
    ClearMembers,
    /// The group is called this.
    SetDisplayName(String),
    /// The client's identifier is this, or none.
    SetExternalId(Option<String>),
}

/// The changes that the operations ask for, in order. Neighbours of one kind become one change.
pub fn group_changes(operations: &[Operation<'_>]) -> Result<Vec<GroupChange>, Error> {
    let mut changes = Changes { list: Vec::new(), members: 0 };
    for operation in operations {
        match &operation.path {
            Some(path) => at_path(&mut changes, operation, path)?,
            None => without_path(&mut changes, operation)?,
        }
    }
    Ok(changes.list)
}

struct Changes {
    list: Vec<GroupChange>,
    members: usize,
}

impl Changes {
    fn push(&mut self, change: GroupChange) -> Result<(), Error> {
        self.members += match &change {
            GroupChange::AddMembers(ids) | GroupChange::RemoveMembers(ids) | GroupChange::ReplaceMembers(ids) => {
                ids.len()
            }
            GroupChange::ClearMembers | GroupChange::SetDisplayName(_) | GroupChange::SetExternalId(_) => 0,
        };
        if self.members > MEMBERS_MAX {
            return Err(Error::payload_too_large(format!("the request names more than {MEMBERS_MAX} members")));
        }
        match (self.list.last_mut(), change) {
            (Some(GroupChange::AddMembers(last)), GroupChange::AddMembers(ids))
            | (Some(GroupChange::RemoveMembers(last)), GroupChange::RemoveMembers(ids)) => last.extend(ids),
            (_, GroupChange::AddMembers(ids) | GroupChange::RemoveMembers(ids)) if ids.is_empty() => {}
            (_, change) => self.list.push(change),
        }
        Ok(())
    }
}

fn without_path(changes: &mut Changes, operation: &Operation<'_>) -> Result<(), Error> {
    if operation.op == Op::Remove {
        return Err(Error::no_target("a remove operation needs a path"));
    }
    let Some(Value::Object(members)) = &operation.value else {
        return Err(Error::invalid_value("the value of an operation without a path must be an object"));
    };
    for (key, value) in members {
        if let (Some(_), Value::Object(members)) = (Definition::from(ResourceType::Group).schema_by_urn(key), value) {
            for (key, value) in members {
                change_named(changes, operation.op, key, value)?;
            }
        } else {
            change_named(changes, operation.op, key, value)?;
        }
    }
    Ok(())
}

fn change_named(changes: &mut Changes, op: Op, key: &str, value: &Value) -> Result<(), Error> {
    let Some(attribute) = Definition::from(ResourceType::Group).attribute(key) else {
        return Err(Error::invalid_syntax(format!("the attribute {} is not known", shown(key))));
    };
    if attribute.mutability == Mutability::ReadOnly {
        return Ok(());
    }
    change(changes, op, attribute, Some(value))
}

fn at_path(changes: &mut Changes, operation: &Operation<'_>, path: &Path<'_>) -> Result<(), Error> {
    let AttributePath { attribute, sub_attribute, .. } = path.attribute;
    if attribute.mutability == Mutability::ReadOnly {
        return Err(Error::mutability(format!("{} cannot be changed by a client", attribute.name)));
    }
    match (&path.filter, sub_attribute) {
        (_, Some(sub)) => Err(Error::mutability(format!(
            "{}.{} cannot be changed: remove or add the member",
            attribute.name, sub.name
        ))),
        (Some(filter), None) if operation.op == Op::Remove => {
            let ids = filtered_ids(filter).ok_or_else(|| {
                Error::invalid_filter("members are removed by members[value eq \"id\"], joined by \"or\"")
            })?;
            changes.push(GroupChange::RemoveMembers(ids))
        }
        (Some(_), None) => Err(Error::invalid_path("a path with a filter can only remove members")),
        (None, None) => change(changes, operation.op, attribute, operation.value.as_ref()),
    }
}

/// The ids of `value eq "a" or value eq "b"`.
fn filtered_ids(filter: &Filter<'_>) -> Option<Vec<String>> {
    match filter {
        Filter::Compare { path, op: CompareOp::Eq, value: Literal::String(id) } if path.leaf().name == "value" => {
            Some(vec![id.clone()])
        }
        Filter::Or(terms) => {
            let ids: Option<Vec<_>> = terms.iter().map(filtered_ids).collect();
            ids.map(|ids| ids.into_iter().flatten().collect())
        }
        Filter::Compare { .. }
        | Filter::And(_)
        | Filter::Not(_)
        | Filter::Present { .. }
        | Filter::ValuePath { .. } => None,
    }
}

fn change(changes: &mut Changes, op: Op, attribute: &Attribute, value: Option<&Value>) -> Result<(), Error> {
    if attribute.name == "members" {
        return change_members(changes, op, value);
    }
    let text = match (op, value) {
        (Op::Remove, _) if attribute.required => {
            return Err(Error::mutability(format!("{} is required and cannot be removed", attribute.name)));
        }
        (Op::Remove, _) => None,
        (Op::Add | Op::Replace, None) => {
            return Err(Error::invalid_value(format!("the operation on {} has no value", attribute.name)));
        }
        (Op::Add | Op::Replace, Some(value)) => match checked_value(attribute, value.clone(), &attribute.name)? {
            Some(Value::String(text)) => Some(text),
            Some(_) | None => None,
        },
    };
    if !attribute.required {
        return changes.push(GroupChange::SetExternalId(text));
    }
    match text.filter(|text| !text.trim().is_empty()) {
        Some(text) => changes.push(GroupChange::SetDisplayName(text)),
        None => Err(Error::invalid_value(format!("{} is required and must not be empty", attribute.name))),
    }
}

/// Only the absence of a value means "all members". A value that cannot be read is a fault: taking it for "none
/// named, so all" would empty the group.
fn change_members(changes: &mut Changes, op: Op, value: Option<&Value>) -> Result<(), Error> {
    let change = match (op, value) {
        (Op::Remove, None) => GroupChange::ClearMembers,
        (Op::Remove, Some(value)) => GroupChange::RemoveMembers(member_ids(value)?),
        (Op::Add, Some(value)) => GroupChange::AddMembers(member_ids(value)?),
        (Op::Replace, Some(value)) => GroupChange::ReplaceMembers(member_ids(value)?),
        (Op::Add | Op::Replace, None) => return Err(Error::invalid_value("the operation on members has no value")),
    };
    changes.push(change)
}

fn member_ids(value: &Value) -> Result<Vec<String>, Error> {
    let elements = match value {
        Value::Array(elements) => elements.as_slice(),
        Value::Object(_) => std::slice::from_ref(value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            return Err(Error::invalid_value("members must be an array of objects with a value"));
        }
    };
    if elements.len() > MEMBERS_MAX {
        return Err(Error::payload_too_large(format!("the request names more than {MEMBERS_MAX} members")));
    }
    let id = |(at, element): (usize, &Value)| match element.get("value") {
        Some(Value::String(id)) if !id.is_empty() && !id.contains('\0') => Ok(id.clone()),
        _ => Err(Error::invalid_value(format!("members[{at}].value must be the id of a user"))),
    };
    elements.iter().enumerate().map(id).collect()
}

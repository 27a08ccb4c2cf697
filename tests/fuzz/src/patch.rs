//! Operations that fail leave the user as it was; those that succeed make a user that is well formed; a group's become changes that can be carried
//! out. What the dialect made of a body, written as a body again, is understood as the same.

use scim::arbitrary::patch_body_of;
use scim::patch::{GroupChange, Op, Operation, apply, group_changes};
use scim::{Definition, MEMBERS_MAX, Resource};
use serde_json::Value;

use crate::{USER, group, user};

/// The property.
pub fn check(input: &[u8]) {
    let Some(body) = crate::body(input) else { return };
    if let Some(operations) = normalised(user(), &body) {
        of_user(&operations);
    }
    if let Ok(operations) = scim::patch::parse(user(), body.clone()) {
        of_user(&operations);
    }
    if let Some(operations) = normalised(group(), &body) {
        of_group(&operations);
    }
    if let Ok(operations) = scim::patch::parse(group(), body) {
        of_group(&operations);
    }
}

/// Through the dialect, twice.
fn normalised(definition: Definition<'static>, body: &Value) -> Option<Vec<Operation<'static>>> {
    let (once, _) = scim_entra::patch(definition, body.clone()).ok()?;
    let again = scim_entra::patch(definition, patch_body_of(&once));
    assert_eq!(again, Ok((once.clone(), Vec::new())), "normalising twice is normalising once");
    Some(once)
}

fn of_user(operations: &[Operation<'static>]) {
    let before = USER.clone();
    let patched = apply(&before, operations);
    assert_eq!(before, *USER, "the user that was read stays as it was");
    if let Ok(patched) = patched {
        let again = Resource::from_json(user(), Value::Object(patched.as_object().clone()));
        assert_eq!(again, Ok(patched), "a patched user is well formed");
    }
}

fn of_group(operations: &[Operation<'static>]) {
    let Ok(changes) = group_changes(operations) else { return };
    let mut named = 0;
    for change in &changes {
        match change {
            GroupChange::AddMembers(ids) | GroupChange::RemoveMembers(ids) | GroupChange::ReplaceMembers(ids) => {
                named += ids.len();
                assert!(ids.iter().all(|id| !id.is_empty() && !id.contains('\0')), "{ids:?}");
            }
            GroupChange::SetDisplayName(name) => assert!(!name.trim().is_empty()),
            GroupChange::ClearMembers | GroupChange::SetExternalId(_) => {}
        }
    }
    assert!(named <= MEMBERS_MAX);
    let removes = |operation: &Operation<'_>| operation.op == Op::Remove && operation.value.is_none();
    if changes.contains(&GroupChange::ClearMembers) {
        assert!(operations.iter().any(removes), "only a removal without a value removes everyone");
    }
}

//! Groups, both ways. A group of the proto never carries its members; they are written beside it as they are read.

use proto::identity::v1::{Group, GroupChange as WireChange, Member, MemberIds, group_change::Kind};
use scim::{Meta, Resource, ResourceType, patch::GroupChange};
use serde_json::{Map, Value, json};

use super::{
    profile::{put_text, take_text},
    time,
};
use crate::{base::Base, precondition::Version};

/// A group and the ids of its members, as a directory sent them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sent {
    /// The group; its id is empty.
    pub(crate) group: Group,
    /// The members' ids.
    pub(crate) member_ids: Vec<String>,
}

impl From<Resource<'_>> for Sent {
    fn from(resource: Resource<'_>) -> Self {
        let mut object = resource.into_object();
        let group = Group {
            display_name: take_text(&mut object, "displayName").unwrap_or_default(),
            external_id: take_text(&mut object, "externalId").filter(|id| !id.is_empty()),
            ..Group::default()
        };
        let members = match object.remove("members") {
            Some(Value::Array(members)) => members,
            Some(_) | None => Vec::new(),
        };
        let ids = members.into_iter().filter_map(|member| match member {
            Value::Object(mut member) => take_text(&mut member, "value"),
            _ => None,
        });
        Self { group, member_ids: ids.collect() }
    }
}

impl Sent {
    /// The changes that make any group this one.
    pub(crate) fn replacing(self) -> Vec<WireChange> {
        let members = if self.member_ids.is_empty() {
            GroupChange::ClearMembers
        } else {
            GroupChange::ReplaceMembers(self.member_ids)
        };
        let changes = [
            GroupChange::SetDisplayName(self.group.display_name),
            GroupChange::SetExternalId(self.group.external_id),
            members,
        ];
        changes.map(change_to_wire).into()
    }
}

/// One change of a group.
pub(crate) fn change_to_wire(change: GroupChange) -> WireChange {
    let ids = |user_ids| MemberIds { user_ids };
    let kind = match change {
        GroupChange::AddMembers(user_ids) => Kind::AddMembers(ids(user_ids)),
        GroupChange::RemoveMembers(user_ids) => Kind::RemoveMembers(ids(user_ids)),
        GroupChange::ReplaceMembers(user_ids) => Kind::ReplaceMembers(ids(user_ids)),
        GroupChange::ClearMembers => Kind::ClearMembers(pbjson_types::Empty {}),
        GroupChange::SetDisplayName(name) => Kind::SetDisplayName(name),
        // An empty text says "unassigned", as it does in the resource.
        GroupChange::SetExternalId(Some(id)) if !id.is_empty() => Kind::SetExternalId(id),
        GroupChange::SetExternalId(_) => Kind::ClearExternalId(pbjson_types::Empty {}),
    };
    WireChange { kind: Some(kind) }
}

/// The answer without the members.
pub(crate) fn to_response(group: Group, base: &Base) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("displayName".to_owned(), Value::String(group.display_name));
    put_text(&mut object, "externalId", group.external_id);
    let version = Version(group.version).entity_tag();
    let location = base.resource(ResourceType::Group, &group.id);
    let meta = Meta {
        id: &group.id,
        created: time::from_wire(group.create_time.as_ref()),
        last_modified: time::from_wire(group.update_time.as_ref()),
        location: &location,
        version: Some(&version),
    };
    Resource::from_trusted_object(ResourceType::Group, object).to_response(&meta)
}

/// One element of `members`.
pub(crate) fn member_to_json(member: Member, base: &Base) -> Value {
    let location = base.resource(ResourceType::User, &member.user_id);
    let resource_type = ResourceType::User.name();
    json!({"value": member.user_id, "$ref": location, "display": member.display_name, "type": resource_type})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(body: Value) -> Sent {
        Resource::from_json(ResourceType::Group, body).unwrap().into()
    }

    fn kinds(changes: Vec<WireChange>) -> Vec<Kind> {
        changes.into_iter().filter_map(|change| change.kind).collect()
    }

    #[test]
    fn a_group_arrives_with_its_members_ids() {
        let members = json!([{"value": "u1", "display": "x"}, {"value": "u2"}]);
        let body = json!({"displayName": "Ops", "externalId": "e", "members": members});
        let expected = Sent {
            group: Group { display_name: "Ops".into(), external_id: Some("e".into()), ..Group::default() },
            member_ids: vec!["u1".into(), "u2".into()],
        };
        assert_eq!(sent(body), expected);
    }

    #[test]
    fn a_replacement_unassigns_what_it_does_not_name() {
        let changes = kinds(sent(json!({"displayName": "Ops"})).replacing());
        let empty = pbjson_types::Empty {};
        assert_eq!(
            changes,
            [Kind::SetDisplayName("Ops".into()), Kind::ClearExternalId(empty), Kind::ClearMembers(empty)]
        );
        let changes =
            kinds(sent(json!({"displayName": "Ops", "externalId": "e", "members": [{"value": "u1"}]})).replacing());
        let one = MemberIds { user_ids: vec!["u1".into()] };
        assert_eq!(
            changes,
            [Kind::SetDisplayName("Ops".into()), Kind::SetExternalId("e".into()), Kind::ReplaceMembers(one)]
        );
    }

    #[test]
    fn every_change_has_its_field() {
        let ids = vec!["u1".to_owned()];
        let wire = MemberIds { user_ids: ids.clone() };
        for (change, kind) in [
            (GroupChange::AddMembers(ids.clone()), Kind::AddMembers(wire.clone())),
            (GroupChange::RemoveMembers(ids), Kind::RemoveMembers(wire)),
            (GroupChange::SetExternalId(Some("e".into())), Kind::SetExternalId("e".into())),
            (GroupChange::SetExternalId(Some(String::new())), Kind::ClearExternalId(pbjson_types::Empty {})),
            (GroupChange::SetExternalId(None), Kind::ClearExternalId(pbjson_types::Empty {})),
        ] {
            assert_eq!(change_to_wire(change).kind, Some(kind));
        }
    }
}

//! What a write that is only tried would do, in words.

use ids::{GroupId, UserId};

use crate::store::tx::{Change, ChangeKind};

/// What these changes are, to follow "would": the first that follows from no other, how many members would come and go, and how many would have
/// another role by it.
pub(super) fn sentence(changes: &[Change]) -> String {
    let of_member = |change: &&Change| matches!(change.kind, ChangeKind::MemberAdded | ChangeKind::MemberRemoved);
    let follows = |change: &&Change| change.kind == ChangeKind::RoleChanged;
    let first = changes.iter().find(|change| !of_member(change) && !follows(change));
    let mut parts: Vec<String> = first.map(named).into_iter().collect();
    // A group that was named already is not named again.
    let group = changes.iter().find(of_member).filter(|_| parts.is_empty()).map(|change| GroupId::from(change.subject));
    for (kind, verb, preposition) in
        [(ChangeKind::MemberAdded, "add", "to"), (ChangeKind::MemberRemoved, "remove", "from")]
    {
        let members = match changes.iter().filter(|change| change.kind == kind).count() {
            0 => continue,
            1 => "1 member".to_owned(),
            count => format!("{count} members"),
        };
        let place = group.map(|group| format!(" {preposition} the group {group}")).unwrap_or_default();
        parts.push(format!("{verb} {members}{place}"));
    }
    // Whoever is named already is not counted.
    let others = |change: &&Change| follows(change) && first.is_none_or(|first| first.subject != change.subject);
    match changes.iter().filter(others).count() {
        0 => {}
        1 => parts.push("change the role of 1 user".to_owned()),
        count => parts.push(format!("change the roles of {count} users")),
    }
    parts.join(" and ")
}

/// A change of something that is no membership. The id of what would be made is left out: it would be another.
fn named(change: &Change) -> String {
    let (user, group) = (UserId::from(change.subject), GroupId::from(change.subject));
    match change.kind {
        ChangeKind::UserCreated => "create a user".to_owned(),
        ChangeKind::UserChanged => format!("change the user {user}"),
        ChangeKind::UserDeleted => format!("delete the user {user}"),
        ChangeKind::UserErased => format!("erase the user {user}"),
        ChangeKind::UserRestored => format!("restore the user {user}"),
        ChangeKind::RoleChanged => format!("change the role of the user {user}"),
        ChangeKind::GroupCreated => "create a group".to_owned(),
        ChangeKind::GroupChanged | ChangeKind::MemberAdded | ChangeKind::MemberRemoved => {
            format!("change the group {group}")
        }
        ChangeKind::GroupDeleted => format!("delete the group {group}"),
        ChangeKind::TenantChanged | ChangeKind::RoleMappingCreated | ChangeKind::RoleMappingDeleted => {
            "change the tenant".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use ::audit::Values;
    use uuid::Uuid;

    use super::*;

    const ID: &str = "00000000-0000-7000-8000-000000000001";

    fn said(kinds: &[ChangeKind]) -> String {
        let subject = Uuid::parse_str(ID).unwrap();
        let change = |kind: &ChangeKind| {
            let (before, after) = (Values::new(), Values::new());
            Change { kind: *kind, subject, object: None, version: 1, before, after }
        };
        sentence(&kinds.iter().map(change).collect::<Vec<_>>())
    }

    #[test]
    fn a_write_is_told_in_words() {
        use ChangeKind::{
            GroupChanged, GroupCreated, MemberAdded, MemberRemoved, RoleChanged, UserChanged, UserCreated,
        };
        assert_eq!(said(&[UserCreated]), "create a user");
        assert_eq!(said(&[UserChanged]), format!("change the user {ID}"));
        assert_eq!(said(&[GroupCreated, MemberAdded, MemberAdded]), "create a group and add 2 members");
        assert_eq!(said(&[GroupChanged, MemberRemoved]), format!("change the group {ID} and remove 1 member"));
        assert_eq!(said(&[UserChanged, RoleChanged]), format!("change the user {ID}"));
        let roles = [MemberRemoved, RoleChanged, RoleChanged];
        assert_eq!(said(&roles), format!("remove 1 member from the group {ID} and change the roles of 2 users"));
        let both = format!("add 1 member to the group {ID} and remove 2 members from the group {ID}");
        assert_eq!(said(&[MemberRemoved, MemberAdded, MemberRemoved]), both);
    }
}

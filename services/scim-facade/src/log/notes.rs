//! What identity says of a write beside its answer, in an administrator's words.

use std::borrow::Cow;

use prost::Message as _;
use proto::{
    WRITE_NOTES,
    identity::v1::{MassDeactivation, WriteNotes, write_note::Kind},
};
use tonic::metadata::MetadataMap;

/// What the answer's metadata says: a sentence each, and what can be done about it.
pub(super) fn of(metadata: &MetadataMap) -> Vec<(String, Cow<'static, str>)> {
    // Of a later release there may be some that this one cannot read; they are no reason to fail what was done.
    let bytes = metadata.get_bin(WRITE_NOTES).and_then(|value| value.to_bytes().ok());
    let notes = bytes.and_then(|bytes| WriteNotes::decode(bytes).ok()).unwrap_or_default();
    notes.notes.into_iter().filter_map(|note| note.kind).map(sentence).collect()
}

fn sentence(kind: Kind) -> (String, Cow<'static, str>) {
    match kind {
        Kind::LastAdminGone(_) => (
            "the last active admin of the tenant is gone".to_owned(),
            "give the role to somebody: `rollcall user set-role USERNAME admin`".into(),
        ),
        Kind::UnknownRole(value) => (
            format!("the role `{value}` is not in the catalogue: it is kept, and gives nothing"),
            "add it with `rollcall role create`, or let the mapping send the value of an app role that `rollcall role list` names".into(),
        ),
        Kind::DirectoryAdminOff(_) => (
            "the role `admin` of the directory does not count in this tenant".to_owned(),
            "let it count with `rollcall tenant directory-admin on`, or promote by hand with `rollcall user set-role`".into(),
        ),
        Kind::HeldMappingRole(role) => (
            format!("the group has another externalId than when it was mapped to `{role}`: the mapping is held"),
            "if it is still the group that was meant, map it anew: `rollcall group unmap-role`, then `rollcall group map-role --by-id`".into(),
        ),
        Kind::RolesHeld(_) => (
            "possibly another person: access was given again after more than 30 days or under another externalId, and roles above the \
             default are held"
                .to_owned(),
            "if it is the same person, `rollcall user confirm USERNAME`; else take the roles away".into(),
        ),
        Kind::Adopted(_) => (
            "adopted: the user was here before a directory wrote to it; what changes is the directory's word from now on"
                .to_owned(),
            "nothing, if it is the same person; else rename one of the two, so that the directory's match finds nobody"
                .into(),
        ),
        Kind::DeletedNamesake(user) => (
            format!("a new user was made, though one that was deleted has the same externalId: {user}"),
            format!(
                "if it is the same person: `rollcall user restore {user} --instead-of NEW`, NEW being the id of the new user, then restart \
                 provisioning in Entra so that it matches anew"
            )
            .into(),
        ),
        Kind::MassDeactivation(MassDeactivation { ended_count, user_count, paused }) => {
            let then = if paused { "; provisioning was paused" } else { "" };
            (
                format!("{ended_count} of {user_count} people lost access within an hour{then}"),
                "look in Entra whether an assignment or the scope was changed by mistake; `rollcall scim pause` holds it, `rollcall scim enable` lets it go on"
                    .into(),
            )
        }
        Kind::ExternalIdShared(user) => (
            format!("another user has the same externalId: {user}"),
            "map externalId to an attribute that is different for each person, such as objectId".into(),
        ),
    }
}

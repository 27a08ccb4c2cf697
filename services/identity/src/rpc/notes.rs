//! What a directory's write did beside what it was asked for, in the metadata of its answer.

use prost::Message as _;
use proto::{WRITE_NOTES, identity::v1 as wire};
use tonic::{
    Response,
    metadata::{BinaryMetadataValue, MetadataKey},
};

use crate::domain::{Caller, WriteNote};

/// An answer, with what the store noted for a directory.
pub(super) fn response<T>(caller: &Caller, answer: T) -> Response<T> {
    let mut response = Response::new(answer);
    let notes = caller.notes.take();
    if caller.provisioning && !notes.is_empty() {
        let notes = wire::WriteNotes { notes: notes.into_iter().map(Into::into).collect() };
        let value = BinaryMetadataValue::from_bytes(&notes.encode_to_vec());
        if let Ok(key) = MetadataKey::from_bytes(WRITE_NOTES.as_bytes()) {
            response.metadata_mut().insert_bin(key, value);
        }
    }
    response
}

impl From<WriteNote> for wire::WriteNote {
    fn from(note: WriteNote) -> Self {
        use wire::write_note::Kind;
        let kind = match note {
            WriteNote::LastAdmin => Kind::LastAdminGone(wire::LastAdminGone {}),
            // A directory's value can be long, and metadata has a bound.
            WriteNote::UnknownRole(value) => Kind::UnknownRole(value.chars().take(UNKNOWN_ROLE_MAX).collect()),
            WriteNote::DirectoryAdmin => Kind::DirectoryAdminOff(wire::DirectoryAdminOff {}),
            WriteNote::MappingHeld(role) => Kind::HeldMappingRole(role.as_str().to_owned()),
            WriteNote::RolesHeld => Kind::RolesHeld(wire::RolesHeld {}),
            WriteNote::Adopted => Kind::Adopted(wire::Adopted {}),
            WriteNote::DeletedNamesake(user) => Kind::DeletedNamesake(user.to_string()),
            WriteNote::ExternalIdShared(user) => Kind::ExternalIdShared(user.to_string()),
            WriteNote::MassDeactivation { ended, users, paused } => {
                let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
                let (ended_count, user_count) = (count(ended), count(users));
                Kind::MassDeactivation(wire::MassDeactivation { ended_count, user_count, paused })
            }
        };
        Self { kind: Some(kind) }
    }
}

/// How much of an unknown role is told, in characters.
const UNKNOWN_ROLE_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use ids::TenantId;

    use super::*;
    use crate::domain::{WRITE_NOTES_MAX, WriteNotes};

    fn caller(provisioning: bool, notes: Vec<WriteNote>) -> Caller {
        let kept = WriteNotes::default();
        kept.set(notes);
        Caller {
            tenant: TenantId::generate(),
            actor: String::new(),
            address: None,
            action: "",
            request_id: String::new(),
            provisioning,
            administrator: false,
            operator: false,
            notes: kept,
        }
    }

    #[test]
    fn a_directory_alone_hears_what_was_noted_and_it_fits_into_headers() {
        let longest = vec![WriteNote::UnknownRole("é".repeat(4_096)); WRITE_NOTES_MAX];
        let response = response(&caller(true, longest), ());
        let bytes = response.metadata().get_bin(WRITE_NOTES).unwrap().to_bytes().unwrap();
        assert!(bytes.len() < 4_096, "{}", bytes.len());
        let notes = wire::WriteNotes::decode(bytes).unwrap();
        assert_eq!(notes.notes.len(), WRITE_NOTES_MAX);
        assert!(super::response(&caller(false, vec![WriteNote::LastAdmin]), ()).metadata().is_empty());
        assert!(super::response(&caller(true, vec![]), ()).metadata().is_empty());
    }
}

//! What identity remarks on a write, in words: what there is to know, and what an administrator can do about it.

use prost::Message;
use proto::{
    REMARKS,
    identity::v1::{Remark, RemarkKind, Remarks},
};
use tonic::metadata::MetadataMap;

/// The remarks in an answer's metadata. What cannot be read is as if absent: the write was done.
pub(super) fn of(metadata: &MetadataMap) -> Vec<(String, String)> {
    let encoded = metadata.get_bin(REMARKS).and_then(|value| value.to_bytes().ok());
    let remarks = encoded.and_then(|bytes| Remarks::decode(bytes).ok()).unwrap_or_default();
    remarks.remarks.iter().filter_map(sentences).collect()
}

/// What is to be known, and its remedy.
fn sentences(remark: &Remark) -> Option<(String, String)> {
    let user = &remark.user_id;
    Some(match remark.kind() {
        RemarkKind::Unspecified => return None,
        RemarkKind::Adopted => (
            "adopted: the user was here before a directory wrote to it; what changes is the directory's word from now on".to_owned(),
            "nothing, if it is the same person; else rename one of the two, so that the directory's match finds nobody".to_owned(),
        ),
        RemarkKind::DeletedNamesake => (
            format!("a new user was made, though one that was deleted has the same externalId: {user}"),
            format!(
                "if it is the same person: `rollcall user restore {user} --instead-of NEW`, NEW being the id of the new user, then restart provisioning in Entra so that it matches anew"
            ),
        ),
        RemarkKind::ExternalIdShared => (
            format!("another user has the same externalId: {user}"),
            "map externalId to an attribute that is different for each person, such as objectId".to_owned(),
        ),
    })
}

#[cfg(test)]
mod tests {
    use tonic::metadata::MetadataValue;

    use super::*;

    #[test]
    fn remarks_are_told_in_words_and_what_is_not_understood_is_passed_over() {
        let remark = |kind: RemarkKind| Remark { kind: kind.into(), user_id: "u1".to_owned() };
        let newer = Remark { kind: 999, user_id: String::new() };
        let remarks =
            Remarks { remarks: vec![newer, remark(RemarkKind::Adopted), remark(RemarkKind::DeletedNamesake)] };
        let mut metadata = MetadataMap::new();
        assert_eq!(of(&metadata), []);
        metadata.insert_bin(REMARKS, MetadataValue::from_bytes(&remarks.encode_to_vec()));
        let said = of(&metadata);
        assert_eq!(said.len(), 2);
        assert!(said[0].0.starts_with("adopted"));
        assert!(said[1].1.contains("user restore u1 --instead-of"));
        metadata.insert_bin(REMARKS, MetadataValue::from_bytes(b"\xff\xff"));
        assert_eq!(of(&metadata), []);
    }
}

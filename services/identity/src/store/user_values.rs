//! What the change feed and the audit log say of a user, field by field.

use ::audit::Values;
use serde_json::json;

use crate::{
    domain::{DisplayName, ExternalId, USER_ATTRIBUTES, UserDraft},
    store::user_rows::StoredUser,
};

/// What the change feed says of a user who goes or comes back: who it is, and whether with access.
pub(super) fn named(stored: &StoredUser, active: bool) -> Values {
    Values::new()
        .with("active", active.to_string())
        .with("user_name", &*stored.user_name)
        .with_some("external_id", stored.external_id.as_deref())
}

/// What the change feed says of a user. Access comes first: it is never cut.
pub(super) fn described_with_access(draft: &UserDraft, active: bool) -> Values {
    described_beside(Values::new().with("active", active.to_string()), draft)
}

/// What the audit log says of a user. Field by field, so that it can say what an act changed.
pub(super) fn described(draft: &UserDraft) -> Values {
    described_beside(Values::new(), draft)
}

fn described_beside(values: Values, draft: &UserDraft) -> Values {
    let values = values
        .with("user_name", draft.user_name.as_str())
        .with_some("external_id", draft.external_id.as_ref().map(ExternalId::as_str))
        .with_some("display_name", draft.display_name.as_ref().map(DisplayName::as_str))
        .with_some("provisioned_active", draft.provisioned_active.map(|active| active.to_string()));
    let documents = [("profile", json!(draft.profile)), (USER_ATTRIBUTES, json!(draft.attributes))];
    let fields = documents.iter().filter_map(|(prefix, document)| Some((*prefix, document.as_object()?)));
    fields.fold(values, |values, (prefix, fields)| {
        fields.iter().fold(values, |values, (name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            values.with(&format!("{prefix}.{name}"), text)
        })
    })
}

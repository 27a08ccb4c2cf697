//! Who comes back under a leaver's name (rule R18).
//!
//! A directory often disables and never deletes, so that a new employee's match can find the leaver. Whoever gets access again late, or under another
//! external id, may be another person: roles above the tenant's default are held until an administrator confirms.

use std::time::Duration;

use ids::UserId;
use sea_orm::ActiveValue::Set;

use crate::{
    domain::{ExternalId, Timestamp, UserDraft, WriteNote},
    store::{Outcome, entity::user, tx::Tx, user_rows::StoredUser, users},
};

/// How long a person may be without access and is taken for the same.
const SAME_PERSON: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Adds to the columns of a replacement whether the directory's access ends or begins again.
pub(super) fn access(
    tx: &Tx<'_>,
    stored: &StoredUser,
    draft: &UserDraft,
    columns: user::ActiveModel,
) -> user::ActiveModel {
    match (stored.provisioned_active, draft.provisioned_active) {
        (true, Some(false)) => {
            let external_id = draft.external_id.as_ref().map(|id| id.as_str().to_owned());
            ended(tx, stored, external_id, columns)
        }
        (false, Some(true)) => {
            user::ActiveModel { access_ended_at_us: Set(None), access_ended_external_id: Set(None), ..columns }
        }
        (true | false, _) => columns,
    }
}

/// Adds to columns that access ends now, unless it has before.
pub(super) fn ended(
    tx: &Tx<'_>,
    stored: &StoredUser,
    external_id: Option<String>,
    columns: user::ActiveModel,
) -> user::ActiveModel {
    if stored.access_ended_at_us.is_some() {
        return columns;
    }
    user::ActiveModel { access_ended_at_us: Set(Some(tx.now.0)), access_ended_external_id: Set(external_id), ..columns }
}

/// Adds to columns that an administrator restores the user: whoever does so knows whom.
pub(super) fn restored(stored: &StoredUser, columns: user::ActiveModel) -> user::ActiveModel {
    if !stored.provisioned_active {
        return columns;
    }
    user::ActiveModel { access_ended_at_us: Set(None), access_ended_external_id: Set(None), ..columns }
}

/// Holds the roles of a user who was given access again, where this may be another person and some role is above the default.
pub(super) async fn hold(tx: &Tx<'_>, stored: &StoredUser, draft: &UserDraft) -> Outcome<()> {
    let begins = !stored.provisioned_active && draft.provisioned_active == Some(true);
    if !begins || stored.roles_held_at_us.is_some() || is_same_person(stored, draft, tx.now) {
        return Ok(());
    }
    let user = UserId::from(stored.id);
    let columns = user::ActiveModel { roles_held_at_us: Set(Some(tx.now.0)), ..user::ActiveModel::default() };
    if !users::written(tx, user).await?.has_role_above_default() {
        return Ok(());
    }
    users::update(tx, user, columns).await?;
    tracing::warn!(
        tenant.id = %tx.caller.tenant,
        request.id = tx.caller.request_id,
        user.id = %user,
        "possibly another person: a user was given access again, and roles above the default are held until an administrator confirms them"
    );
    tx.note(WriteNote::RolesHeld);
    Ok(())
}

fn is_same_person(stored: &StoredUser, draft: &UserDraft, now: Timestamp) -> bool {
    // Whose access has never begun may wait for it as long as it takes.
    let in_time = stored.access_ended_at_us.is_none_or(|at| at >= now.before(SAME_PERSON).0);
    in_time && stored.access_ended_external_id.as_deref() == draft.external_id.as_ref().map(ExternalId::as_str)
}

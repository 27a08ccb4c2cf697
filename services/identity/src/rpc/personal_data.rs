//! `PersonalDataService`.

use ids::{TenantId, UserId};
use proto::identity::v1::{
    ExportUserRequest, ExportUserResponse, PersonalRecord, UserView, personal_data_service_server::PersonalDataService,
    personal_record::Kind,
};
use serde::{Deserialize, Serialize};
use tonic::{Request, Response, Status, async_trait};

use crate::{
    domain::{Error, InvalidField, LogFilter, LogMark, LogOrder, LoggedEntry, ProvisionedType, Timestamp},
    rpc::{Rpc, paging, provisioning_log, users},
};

const EXPORT: &str = "/rollcall.identity.v1.PersonalDataService/ExportUser";

/// Where an export goes on: after what, in which of its parts. An export is in the order of the parts.
#[derive(Clone, Copy, Serialize, Deserialize)]
enum Place {
    Changes {
        after: i64,
    },
    Audit {
        after: i64,
    },
    /// After an entry of this time and position.
    Log {
        after: Option<(i64, i64)>,
    },
}

#[async_trait]
impl PersonalDataService for Rpc {
    async fn export_user(&self, request: Request<ExportUserRequest>) -> Result<Response<ExportUserResponse>, Status> {
        let ExportUserRequest { tenant_id, user_id, page_size, page_token } = request.get_ref();
        let (user, size) = (users::id(user_id)?, paging::size_or_default(*page_size)?);
        let caller = self.writer(&request, tenant_id, EXPORT)?;
        let (kinds, next) = if page_token.is_empty() {
            let exported = self.store.export_user(&caller, user).await?;
            let viewed = self.viewed(caller.tenant, vec![exported], UserView::Full).await?;
            (viewed.into_iter().map(Kind::User).collect(), Some(Place::Changes { after: 0 }))
        } else {
            let place = place(page_token)?;
            // Whoever makes up a token has begun here, so each page stands in the audit log.
            self.store.export_user(&caller, user).await?;
            self.exported(caller.tenant, user, place, size).await?
        };
        let next_page_token = next.map(|place| serde_json::to_string(&place)).transpose();
        let next_page_token = next_page_token.map_err(|_| Error::Internal)?.map(paging::token).unwrap_or_default();
        let records = kinds.into_iter().map(|kind| PersonalRecord { kind: Some(kind) }).collect();
        Ok(Response::new(ExportUserResponse { records, next_page_token }))
    }
}

impl Rpc {
    /// The records of a page, and where the next one begins.
    async fn exported(
        &self,
        tenant: TenantId,
        user: UserId,
        place: Place,
        size: u64,
    ) -> Result<(Vec<Kind>, Option<Place>), Error> {
        match place {
            Place::Changes { after } => {
                let changes = self.store.changes_about(tenant, user, after, size).await?;
                let next = full(&changes, size).map(|last| Place::Changes { after: last.position.number });
                let kinds = changes.into_iter().map(|change| Kind::Change(change.into())).collect();
                Ok((kinds, next.or(Some(Place::Audit { after: 0 }))))
            }
            Place::Audit { after } => {
                let entries = self.store.audit_entries_about(tenant, user, after, size).await?;
                let next = full(&entries, size).map(|last| Place::Audit { after: last.position });
                let kinds = entries.into_iter().map(|entry| Kind::AuditEntry(entry.into())).collect();
                Ok((kinds, next.or(Some(Place::Log { after: None }))))
            }
            Place::Log { after } => {
                let about = Some((ProvisionedType::User, user.to_string()));
                let filter = LogFilter { about, ..LogFilter::default() };
                let after = after.map(|(at, position)| LogMark { at: Timestamp(at), position });
                let entries = self.store.list_log(tenant, (&filter, LogOrder::OldestFirst), after, size).await?;
                let next =
                    full(&entries, size).map(|last| Place::Log { after: Some((last.entry.at.0, last.position)) });
                let of_person =
                    |entry| Kind::ProvisioningEntry(provisioning_log::to_wire(tenant, of_person(entry, user)));
                let kinds = entries.into_iter().map(of_person).collect();
                Ok((kinds, next))
            }
        }
    }
}

/// An entry about something else, such as a group, without whom it names beside the person: that is theirs.
fn of_person(mut logged: LoggedEntry, user: UserId) -> LoggedEntry {
    let id = user.to_string();
    let entry = &mut logged.entry;
    let is_own = entry.resource_id == id
        || (entry.resource_id.is_empty() && entry.resource_type != Some(ProvisionedType::Group));
    if !is_own {
        // What was refused may name all of them in the reason.
        entry.cause.clear();
        entry.notes.clear();
        entry.subjects.retain(|subject| subject.value == id);
    }
    logged
}

/// The last row of a page that another may follow.
fn full<T>(rows: &[T], size: u64) -> Option<&T> {
    rows.last().filter(|_| rows.len() as u64 == size)
}

fn place(page_token: &str) -> Result<Place, Error> {
    let invalid = || Error::from(InvalidField::new("page_token", "is not one that an export answered"));
    serde_json::from_str(&paging::text(page_token)?).map_err(|_| invalid())
}

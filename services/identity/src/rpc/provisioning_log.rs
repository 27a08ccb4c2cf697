//! `ProvisioningLogService`.

mod convert;

use std::collections::BTreeMap;

use ids::TenantId;
use proto::identity::v1::{
    self as wire, AppendProvisioningEntriesRequest, AppendProvisioningEntriesResponse, GetProvisioningSummaryRequest,
    ListProvisioningEntriesRequest, ListProvisioningEntriesResponse, ProvisioningSummary,
    provisioning_log_service_server::ProvisioningLogService,
};
use tonic::{Request, Response, Status, async_trait};

pub(super) use convert::to_wire;

use crate::{
    domain::{ENTRIES_MAX, Error, InvalidField, LogEntry, LogMark, LogOrder, Timestamp},
    rpc::{
        Rpc,
        call::Read,
        paging::{self, Digest},
    },
};

const LIST: &str = "/rollcall.identity.v1.ProvisioningLogService/ListProvisioningEntries";
const SUMMARY: &str = "/rollcall.identity.v1.ProvisioningLogService/GetProvisioningSummary";

#[async_trait]
impl ProvisioningLogService for Rpc {
    async fn append_provisioning_entries(
        &self,
        request: Request<AppendProvisioningEntriesRequest>,
    ) -> Result<Response<AppendProvisioningEntriesResponse>, Status> {
        let AppendProvisioningEntriesRequest { entries } = request.into_inner();
        if entries.len() > ENTRIES_MAX {
            let problem = format!("are more than {ENTRIES_MAX}");
            return Err(Error::from(InvalidField::new("entries", problem)).into());
        }
        // All are read before any is kept.
        let mut of_tenant: BTreeMap<TenantId, Vec<LogEntry>> = BTreeMap::new();
        for (at, entry) in entries.into_iter().enumerate() {
            let (tenant, entry) = convert::entry(at, entry)?;
            of_tenant.entry(tenant).or_default().push(entry);
        }
        let mut appended = 0;
        for (tenant, entries) in of_tenant {
            appended += self.store.append_to_log(tenant, entries).await?;
        }
        let appended_count = i64::try_from(appended).unwrap_or(i64::MAX);
        Ok(Response::new(AppendProvisioningEntriesResponse { appended_count }))
    }

    async fn list_provisioning_entries(
        &self,
        request: Request<ListProvisioningEntriesRequest>,
    ) -> Result<Response<ListProvisioningEntriesResponse>, Status> {
        let message = request.get_ref();
        let size = paging::size_or_default(message.page_size)?;
        let (filter, order) = convert::conditions(message)?;
        let digest = digest(message);
        let after = paging::log_mark(&message.page_token, digest)?;
        let read = Read::list(&message.page_token);
        let tenant = self.reader(&request, &message.tenant_id, LIST, read).await?;
        let after = match (after, order) {
            (None, LogOrder::Arrival) if message.from_end => {
                let mark = LogMark { at: Timestamp(0), position: self.store.log_head(tenant).await? };
                let next_page_token = paging::log_token(mark, digest)?;
                return Ok(Response::new(ListProvisioningEntriesResponse { entries: Vec::new(), next_page_token }));
            }
            (after, _) => after,
        };
        let entries = self.store.list_log(tenant, (&filter, order), after, size).await?;
        let is_full = entries.len() as u64 == size;
        let last = entries.last().map(|last| LogMark { at: last.entry.at, position: last.position });
        let next = match (last, order) {
            (last, LogOrder::Arrival) => Some(last.or(after).unwrap_or(LogMark { at: Timestamp(0), position: 0 })),
            (Some(last), LogOrder::NewestFirst | LogOrder::OldestFirst) if is_full => Some(last),
            (_, LogOrder::NewestFirst | LogOrder::OldestFirst) => None,
        };
        let next_page_token = next.map(|mark| paging::log_token(mark, digest)).transpose()?.unwrap_or_default();
        let entries = entries.into_iter().map(|logged| convert::to_wire(tenant, logged)).collect();
        Ok(Response::new(ListProvisioningEntriesResponse { entries, next_page_token }))
    }

    async fn get_provisioning_summary(
        &self,
        request: Request<GetProvisioningSummaryRequest>,
    ) -> Result<Response<ProvisioningSummary>, Status> {
        let read = Read::Begun { subject: "" };
        let tenant = self.reader(&request, &request.get_ref().tenant_id, SUMMARY, read).await?;
        let summary = self.store.provisioning_summary(tenant, Timestamp::now()).await?;
        Ok(Response::new(wire::ProvisioningSummary::from(summary)))
    }
}

/// What a page token is good for: everything of the request but where the page begins and how long it is.
fn digest(request: &ListProvisioningEntriesRequest) -> Digest {
    let conditions = ListProvisioningEntriesRequest {
        tenant_id: String::new(),
        page_size: 0,
        page_token: String::new(),
        from_end: false,
        ..request.clone()
    };
    Digest::of_conditions("provisioning_entries", &conditions)
}

//! `AuditService`.

use audit::{Hash, Link};
use proto::identity::v1::{
    self as wire, ListAuditEntriesRequest, ListAuditEntriesResponse, audit_service_server::AuditService,
};
use tonic::{Request, Response, Status, async_trait};

use crate::{
    domain::{Error, InvalidField},
    rpc::{Rpc, call::Read, paging},
    store::{AuditChain, AuditEntry},
};

#[async_trait]
impl AuditService for Rpc {
    async fn list_audit_entries(
        &self,
        request: Request<ListAuditEntriesRequest>,
    ) -> Result<Response<ListAuditEntriesResponse>, Status> {
        let ListAuditEntriesRequest { tenant_id, page_size, page_token } = request.get_ref();
        let size = paging::size_or_default(*page_size)?;
        let after = match page_token.as_str() {
            "" => 0,
            token => paging::text(token)?
                .parse()
                .map_err(|_| Error::from(InvalidField::new("page_token", "is not one that a list answered")))?,
        };
        let read = Read::list(page_token);
        let tenant =
            self.log_reader(&request, tenant_id, "/rollcall.identity.v1.AuditService/ListAuditEntries", read).await?;
        let (entries, chain) = self.store.list_audit_entries(tenant, after, size).await?;
        let full = entries.len() as u64 == size;
        let next_page_token =
            entries.last().filter(|_| full).map(|last| paging::token(last.position)).unwrap_or_default();
        Ok(Response::new(ListAuditEntriesResponse {
            entries: entries.into_iter().map(Into::into).collect(),
            next_page_token,
            chain: Some(chain.into()),
        }))
    }
}

impl From<AuditEntry> for wire::AuditEntry {
    fn from(entry: AuditEntry) -> Self {
        Self {
            position: entry.position,
            time: Some(entry.at.into()),
            actor: entry.actor,
            action: entry.action,
            subject: entry.subject,
            detail: entry.content.detail,
            address: entry.address,
            before: entry.content.before.into_map(),
            after: entry.content.after.into_map(),
            salt: entry.salt,
            values_digest: entry.values_digest,
            hash: entry.hash,
        }
    }
}

impl From<AuditChain> for wire::AuditChain {
    fn from(chain: AuditChain) -> Self {
        let hash = |link: Link| if link.hash == Hash::START { Vec::new() } else { link.hash.as_bytes().to_vec() };
        Self {
            anchor_position: chain.anchor.position,
            anchor_hash: hash(chain.anchor),
            head_position: chain.head.position,
            head_hash: hash(chain.head),
        }
    }
}

//! `EventService`.

use std::time::Duration;

use ids::EventEndpointId;
use pbjson_types::Empty;
use proto::identity::v1::{
    self as wire, CreateEventEndpointRequest, DeleteEventEndpointRequest, DisableEventEndpointRequest,
    DropDeadLettersRequest, DropDeadLettersResponse, EnableEventEndpointRequest, EventEndpointSecret,
    GetEventEndpointRequest, ListDeadLettersRequest, ListDeadLettersResponse, ListEventEndpointsRequest,
    ListEventEndpointsResponse, RetryDeadLettersRequest, RetryDeadLettersResponse, RotateEventEndpointSecretRequest,
    UpdateEventEndpointRequest, event_service_server::EventService,
};
use secrecy::ExposeSecret;
use tonic::{Request, Response, Status, async_trait};

use crate::{
    domain::{
        DeadLetter, EVENT_IDS_MAX, EndpointDescription, EndpointKind, EndpointUrl, Error, EventEndpoint,
        EventEndpointChange, EventEndpointDraft, EventKinds, FeedHead, InvalidField, SECRET_OVERLAP,
        SECRET_OVERLAP_MAX, Stop, Timestamp, event_id, event_position,
    },
    rpc::{Rpc, call::Read, paging},
    store::{CreateEventEndpoint, DeadLetters, RotateSecret},
};

#[async_trait]
impl EventService for Rpc {
    async fn create_event_endpoint(
        &self,
        request: Request<CreateEventEndpointRequest>,
    ) -> Result<Response<EventEndpointSecret>, Status> {
        let tenant_id = &request.get_ref().tenant_id;
        let caller = self.writer(&request, tenant_id, "/rollcall.identity.v1.EventService/CreateEventEndpoint")?;
        let draft = self.draft(request.into_inner().event_endpoint.unwrap_or_default()).map_err(Error::from)?;
        let id = EventEndpointId::generate();
        let secret = self.senders.secrets.generate(caller.tenant, id)?;
        let create = CreateEventEndpoint { id, draft, sealed_secret: secret.sealed };
        let created = self.store.create_event_endpoint(&caller, create).await?;
        let event_endpoint = Some(self.shown(&caller.tenant, created).await?);
        Ok(Response::new(EventEndpointSecret { event_endpoint, secret: secret.text.expose_secret().to_owned() }))
    }

    async fn get_event_endpoint(
        &self,
        request: Request<GetEventEndpointRequest>,
    ) -> Result<Response<wire::EventEndpoint>, Status> {
        let GetEventEndpointRequest { tenant_id, event_endpoint_id } = request.get_ref();
        let read = Read::Begun { subject: event_endpoint_id };
        let action = "/rollcall.identity.v1.EventService/GetEventEndpoint";
        let tenant = self.reader(&request, tenant_id, action, read).await?;
        let endpoint = self.store.event_endpoint(tenant, id(event_endpoint_id)?).await?;
        Ok(Response::new(self.shown(&tenant, endpoint).await?))
    }

    async fn list_event_endpoints(
        &self,
        request: Request<ListEventEndpointsRequest>,
    ) -> Result<Response<ListEventEndpointsResponse>, Status> {
        let ListEventEndpointsRequest { tenant_id, page_size, page_token } = request.get_ref();
        let size = paging::size_or_default(*page_size)?;
        let after = match page_token.as_str() {
            "" => None,
            token => Some(paging::id(token)?.into()),
        };
        let read = Read::list(page_token);
        let action = "/rollcall.identity.v1.EventService/ListEventEndpoints";
        let tenant = self.reader(&request, tenant_id, action, read).await?;
        let endpoints = self.store.list_event_endpoints(tenant, after, size).await?;
        let head = self.store.feed_head(tenant).await?;
        let full = endpoints.len() as u64 == size;
        let next_page_token = endpoints.last().filter(|_| full).map(|last| paging::token(last.id)).unwrap_or_default();
        let event_endpoints = endpoints.into_iter().map(|endpoint| to_wire(endpoint, &head)).collect();
        Ok(Response::new(ListEventEndpointsResponse { event_endpoints, next_page_token }))
    }

    async fn update_event_endpoint(
        &self,
        request: Request<UpdateEventEndpointRequest>,
    ) -> Result<Response<wire::EventEndpoint>, Status> {
        let tenant_id = &request.get_ref().tenant_id;
        let caller = self.writer(&request, tenant_id, "/rollcall.identity.v1.EventService/UpdateEventEndpoint")?;
        let UpdateEventEndpointRequest { event_endpoint_id, event_endpoint, update_mask, .. } = request.into_inner();
        let paths = update_mask.unwrap_or_default().paths;
        let change = self.change(event_endpoint.unwrap_or_default(), &paths).map_err(Error::from)?;
        let updated = self.store.update_event_endpoint(&caller, id(&event_endpoint_id)?, change).await?;
        Ok(Response::new(self.shown(&caller.tenant, updated).await?))
    }

    async fn enable_event_endpoint(
        &self,
        request: Request<EnableEventEndpointRequest>,
    ) -> Result<Response<wire::EventEndpoint>, Status> {
        let EnableEventEndpointRequest { tenant_id, event_endpoint_id, skip_missed } = request.get_ref();
        let caller = self.writer(&request, tenant_id, "/rollcall.identity.v1.EventService/EnableEventEndpoint")?;
        let enabled = self.store.enable_event_endpoint(&caller, id(event_endpoint_id)?, *skip_missed).await?;
        Ok(Response::new(self.shown(&caller.tenant, enabled).await?))
    }

    async fn disable_event_endpoint(
        &self,
        request: Request<DisableEventEndpointRequest>,
    ) -> Result<Response<wire::EventEndpoint>, Status> {
        let DisableEventEndpointRequest { tenant_id, event_endpoint_id } = request.get_ref();
        let caller = self.writer(&request, tenant_id, "/rollcall.identity.v1.EventService/DisableEventEndpoint")?;
        let disabled = self.store.disable_event_endpoint(&caller, id(event_endpoint_id)?).await?;
        Ok(Response::new(self.shown(&caller.tenant, disabled).await?))
    }

    async fn delete_event_endpoint(
        &self,
        request: Request<DeleteEventEndpointRequest>,
    ) -> Result<Response<Empty>, Status> {
        let DeleteEventEndpointRequest { tenant_id, event_endpoint_id } = request.get_ref();
        let caller = self.writer(&request, tenant_id, "/rollcall.identity.v1.EventService/DeleteEventEndpoint")?;
        self.store.delete_event_endpoint(&caller, id(event_endpoint_id)?).await?;
        Ok(Response::new(Empty {}))
    }

    async fn rotate_event_endpoint_secret(
        &self,
        request: Request<RotateEventEndpointSecretRequest>,
    ) -> Result<Response<EventEndpointSecret>, Status> {
        let RotateEventEndpointSecretRequest { tenant_id, event_endpoint_id, overlap } = request.get_ref();
        let action = "/rollcall.identity.v1.EventService/RotateEventEndpointSecret";
        let caller = self.writer(&request, tenant_id, action)?;
        let (id, overlap) = (id(event_endpoint_id)?, self::overlap(*overlap)?);
        let secret = self.senders.secrets.generate(caller.tenant, id)?;
        let previous_until = Timestamp::now().after(overlap);
        let rotate = RotateSecret { id, sealed_secret: secret.sealed, previous_until };
        let rotated = self.store.rotate_event_secret(&caller, rotate).await?;
        let event_endpoint = Some(self.shown(&caller.tenant, rotated).await?);
        Ok(Response::new(EventEndpointSecret { event_endpoint, secret: secret.text.expose_secret().to_owned() }))
    }

    async fn list_dead_letters(
        &self,
        request: Request<ListDeadLettersRequest>,
    ) -> Result<Response<ListDeadLettersResponse>, Status> {
        let ListDeadLettersRequest { tenant_id, event_endpoint_id, page_size, page_token } = request.get_ref();
        let size = paging::size_or_default(*page_size)?;
        let after = match page_token.as_str() {
            "" => 0,
            token => paging::text(token)?
                .parse()
                .map_err(|_| Error::from(InvalidField::new("page_token", "is not one that a list answered")))?,
        };
        let read = match Read::list(page_token) {
            Read::Begun { .. } => Read::Begun { subject: event_endpoint_id },
            Read::Continued => Read::Continued,
        };
        let action = "/rollcall.identity.v1.EventService/ListDeadLetters";
        let tenant = self.reader(&request, tenant_id, action, read).await?;
        let letters = self.store.list_dead_letters(tenant, id(event_endpoint_id)?, after, size).await?;
        let full = letters.len() as u64 == size;
        let next_page_token =
            letters.last().filter(|_| full).map(|last| paging::token(last.position.number)).unwrap_or_default();
        let dead_letters = letters.into_iter().map(Into::into).collect();
        Ok(Response::new(ListDeadLettersResponse { dead_letters, next_page_token }))
    }

    async fn retry_dead_letters(
        &self,
        request: Request<RetryDeadLettersRequest>,
    ) -> Result<Response<RetryDeadLettersResponse>, Status> {
        let RetryDeadLettersRequest { tenant_id, event_endpoint_id, event_ids } = request.get_ref();
        let caller = self.writer(&request, tenant_id, "/rollcall.identity.v1.EventService/RetryDeadLetters")?;
        let count = self.store.retry_dead_letters(&caller, letters(event_endpoint_id, event_ids)?).await?;
        Ok(Response::new(RetryDeadLettersResponse { count: i64::try_from(count).unwrap_or(i64::MAX) }))
    }

    async fn drop_dead_letters(
        &self,
        request: Request<DropDeadLettersRequest>,
    ) -> Result<Response<DropDeadLettersResponse>, Status> {
        let DropDeadLettersRequest { tenant_id, event_endpoint_id, event_ids } = request.get_ref();
        let caller = self.writer(&request, tenant_id, "/rollcall.identity.v1.EventService/DropDeadLetters")?;
        let count = self.store.drop_dead_letters(&caller, letters(event_endpoint_id, event_ids)?).await?;
        Ok(Response::new(DropDeadLettersResponse { count: i64::try_from(count).unwrap_or(i64::MAX) }))
    }
}

impl Rpc {
    async fn shown(&self, tenant: &ids::TenantId, endpoint: EventEndpoint) -> Result<wire::EventEndpoint, Error> {
        // Read after it, so that it is not ahead of it.
        let head = self.store.feed_head(*tenant).await?;
        Ok(to_wire(endpoint, &head))
    }

    fn draft(&self, endpoint: wire::EventEndpoint) -> Result<EventEndpointDraft, InvalidField> {
        let kind = match endpoint.kind() {
            wire::EventEndpointKind::Webhook => EndpointKind::Webhook,
            wire::EventEndpointKind::Unspecified => {
                return Err(InvalidField::new("event_endpoint.kind", "must be a webhook's"));
            }
        };
        Ok(EventEndpointDraft {
            kind,
            url: self.url(endpoint.url)?,
            description: EndpointDescription::parse(endpoint.description)?,
            kinds: EventKinds::parse(endpoint.kinds)?,
        })
    }

    fn change(&self, endpoint: wire::EventEndpoint, paths: &[String]) -> Result<EventEndpointChange, InvalidField> {
        if paths.is_empty() {
            return Err(InvalidField::new("update_mask", "must name at least one field to change"));
        }
        let (mut change, mut endpoint) = (EventEndpointChange::default(), endpoint);
        for path in paths {
            match path.as_str() {
                "url" => change.url = Some(self.url(std::mem::take(&mut endpoint.url))?),
                "description" => {
                    let description = std::mem::take(&mut endpoint.description);
                    change.description = Some(EndpointDescription::parse(description)?);
                }
                "kinds" => change.kinds = Some(EventKinds::parse(std::mem::take(&mut endpoint.kinds))?),
                _ => {
                    return Err(InvalidField::new(
                        "update_mask",
                        "may name `url`, `description` and `kinds`, each once",
                    ));
                }
            }
        }
        Ok(change)
    }

    /// An address that may be called, as far as it tells by itself (rule R11).
    fn url(&self, text: String) -> Result<EndpointUrl, InvalidField> {
        let url = EndpointUrl::parse(text)?;
        match self.senders.client.check(url.as_str()) {
            Ok(()) => Ok(url),
            Err(refused) => Err(InvalidField::new("event_endpoint.url", format!("cannot be called: {refused}"))),
        }
    }
}

/// An id that no endpoint can have is one that none has.
fn id(text: &str) -> Result<EventEndpointId, Error> {
    text.parse().map_err(|_| Error::NotFound("event endpoint"))
}

fn letters(endpoint: &str, event_ids: &[String]) -> Result<DeadLetters, Error> {
    if event_ids.len() > EVENT_IDS_MAX {
        return Err(InvalidField::new("event_ids", format!("must be at most {EVENT_IDS_MAX}")).into());
    }
    let positions: Option<Vec<_>> = event_ids.iter().map(|id| event_position(id)).collect();
    let positions = positions.ok_or(Error::NotFound("dead letter"))?;
    Ok(DeadLetters { endpoint: id(endpoint)?, positions: (!event_ids.is_empty()).then_some(positions) })
}

fn overlap(overlap: Option<pbjson_types::Duration>) -> Result<Duration, Error> {
    let Some(overlap) = overlap else { return Ok(SECRET_OVERLAP) };
    let invalid = || InvalidField::new("overlap", "must be up to 30 days");
    let seconds = u64::try_from(overlap.seconds).map_err(|_| invalid())?;
    let nanos = u32::try_from(overlap.nanos).ok().filter(|nanos| *nanos < 1_000_000_000).ok_or_else(invalid)?;
    let overlap = Duration::new(seconds, nanos);
    if overlap <= SECRET_OVERLAP_MAX { Ok(overlap) } else { Err(invalid().into()) }
}

fn to_wire(endpoint: EventEndpoint, head: &FeedHead) -> wire::EventEndpoint {
    let kind = match endpoint.kind {
        EndpointKind::Webhook => wire::EventEndpointKind::Webhook,
    };
    let stop = match endpoint.stop {
        None => wire::EventEndpointStop::Unspecified,
        Some(Stop::Administrator) => wire::EventEndpointStop::Administrator,
        Some(Stop::Gone) => wire::EventEndpointStop::Gone,
        Some(Stop::Failing) => wire::EventEndpointStop::Failing,
        Some(Stop::Restored) => wire::EventEndpointStop::Restored,
        Some(Stop::Behind) => wire::EventEndpointStop::Behind,
    };
    let state = match endpoint.stop {
        None => wire::EventEndpointState::Enabled,
        Some(_) => wire::EventEndpointState::Disabled,
    };
    let lag = head.resume(Some(endpoint.position)).map_or(0, |number| head.position.number - number);
    let previous = endpoint.previous_secret_until.filter(|until| *until > Timestamp::now());
    wire::EventEndpoint {
        id: endpoint.id.to_string(),
        kind: kind.into(),
        url: endpoint.url.as_str().to_owned(),
        description: endpoint.description,
        kinds: endpoint.kinds.as_slice().to_vec(),
        state: state.into(),
        stop: stop.into(),
        state_time: Some(endpoint.state_since.into()),
        create_time: Some(endpoint.created_at.into()),
        creator: endpoint.created_by,
        position: endpoint.position.to_string(),
        lag_changes: lag,
        delivered_count: endpoint.delivered,
        last_delivery_time: endpoint.last_delivery_at.map(Into::into),
        failing_since_time: endpoint.health.failing_since.map(Into::into),
        last_failure: endpoint.last_failure,
        retrying_count: endpoint.retrying,
        dead_letter_count: endpoint.dead_letters,
        previous_secret_expire_time: previous.map(Into::into),
    }
}

impl From<DeadLetter> for wire::DeadLetter {
    fn from(letter: DeadLetter) -> Self {
        Self {
            event_id: event_id(letter.position),
            kind: letter.kind,
            subject_id: letter.subject.map(|id| id.to_string()).unwrap_or_default(),
            time: letter.at.map(Into::into),
            attempts: letter.attempts,
            last_attempt_time: Some(letter.last_attempt_at.into()),
            last_failure: letter.last_failure,
        }
    }
}

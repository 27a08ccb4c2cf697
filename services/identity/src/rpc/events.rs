//! `EventService`.

mod convert;

use std::time::Duration;

use ids::{EventEndpointId, TenantId};
use pbjson_types::Empty;
use proto::identity::v1::{
    self as wire, CreateEventEndpointRequest, DeleteEventEndpointRequest, DisableEventEndpointRequest,
    DropDeadLettersRequest, DropDeadLettersResponse, EnableEventEndpointRequest, EventEndpointSecret,
    GetEventEndpointRequest, GetEventJwksRequest, GetEventJwksResponse, ListDeadLettersRequest,
    ListDeadLettersResponse, ListEventEndpointsRequest, ListEventEndpointsResponse, PollEventsRequest,
    PollEventsResponse, RetryDeadLettersRequest, RetryDeadLettersResponse, RotateEventEndpointSecretRequest,
    SecurityEventToken, UpdateEventEndpointRequest, event_service_server::EventService,
};
use secrecy::ExposeSecret;
use tokio::time::timeout;
use tonic::{Request, Response, Status, async_trait};

use crate::{
    delivery::set,
    domain::{
        Audience, Caller, EndpointDescription, EndpointKind, EndpointUrl, Error, EventEndpoint, EventEndpointChange,
        EventEndpointDraft, EventKinds, InvalidField, Position, Timestamp, event_id,
    },
    event_secrets::NewSecret,
    rpc::{Listener, Rpc, call::Read, paging},
    store::{CreateEventEndpoint, RotateSecret},
};
use convert::{id, letters, to_wire};

/// How long a poll waits for an event: well within what a call may take.
const POLL_WAIT: Duration = Duration::from_secs(4);
/// What a receiver is shown, as a field.
const AUTHORIZATION: &str = "authorization";
/// The longest text that it is.
const AUTHORIZATION_MAX: usize = 4096;

#[async_trait]
impl EventService for Rpc {
    async fn create_event_endpoint(
        &self,
        request: Request<CreateEventEndpointRequest>,
    ) -> Result<Response<EventEndpointSecret>, Status> {
        let tenant_id = &request.get_ref().tenant_id;
        let caller = self.writer(&request, tenant_id, "/rollcall.identity.v1.EventService/CreateEventEndpoint")?;
        let CreateEventEndpointRequest { event_endpoint, authorization, .. } = request.into_inner();
        let draft = self.draft(event_endpoint.unwrap_or_default()).map_err(Error::from)?;
        if draft.kind != EndpointKind::SetPush && !authorization.is_empty() {
            let problem = "is shown to a receiver of pushed tokens alone";
            return Err(Error::from(InvalidField::new("authorization", problem)).into());
        }
        if draft.kind != EndpointKind::Webhook {
            // So that what verifies the first token is published before it comes.
            self.senders.keys.signer().await?;
        }
        let id = EventEndpointId::generate();
        let (secret, sealed_secret) = match draft.kind {
            EndpointKind::Webhook => {
                let NewSecret { text, sealed } = self.senders.secrets.generate(caller.tenant, id)?;
                (text.expose_secret().to_owned(), sealed)
            }
            EndpointKind::SetPush | EndpointKind::SetPoll => {
                (String::new(), self.sealed((caller.tenant, id), &authorization)?)
            }
        };
        let create = CreateEventEndpoint { id, draft, sealed_secret };
        let created = self.store.create_event_endpoint(&caller, create).await?;
        let event_endpoint = Some(self.shown(&caller.tenant, created).await?);
        Ok(Response::new(EventEndpointSecret { event_endpoint, secret }))
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
        let UpdateEventEndpointRequest { event_endpoint_id, event_endpoint, update_mask, authorization, .. } =
            request.into_inner();
        let (id, paths) = (id(&event_endpoint_id)?, update_mask.unwrap_or_default().paths);
        let mut change = self.change(event_endpoint.unwrap_or_default(), &paths).map_err(Error::from)?;
        if paths.iter().any(|path| path == AUTHORIZATION) {
            change.sealed_authorization = Some(self.sealed((caller.tenant, id), &authorization)?);
        }
        let updated = self.store.update_event_endpoint(&caller, id, change).await?;
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
        let (id, overlap) = (id(event_endpoint_id)?, convert::overlap(*overlap)?);
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

    async fn poll_events(&self, request: Request<PollEventsRequest>) -> Result<Response<PollEventsResponse>, Status> {
        let tenant_id = &request.get_ref().tenant_id;
        let caller = self.writer(&request, tenant_id, "/rollcall.identity.v1.EventService/PollEvents")?;
        // What a receiver fetches through the façade is no directory's traffic.
        let caller = Caller { provisioning: false, ..caller };
        let request = request.into_inner();
        let (returns_immediately, poll) = (request.return_immediately, convert::poll(request)?);
        let (id, size) = (poll.endpoint, poll.size);
        // Each use of the operator's credential stands in the tenant's audit log (rule R5).
        if caller.operator {
            self.store.record_read(&caller, id.to_string()).await?;
        }
        self.store.acknowledge_events(&caller, poll).await?;
        let mut polled = self.store.poll_events(caller.tenant, id, size, Timestamp::now()).await?;
        if polled.events.is_empty() && size > 0 && !returns_immediately {
            self.wait(caller.tenant, polled.position).await;
            polled = self.store.poll_events(caller.tenant, id, size, Timestamp::now()).await?;
        }
        let mut tokens = Vec::new();
        for change in &polled.events {
            let signer = self.senders.keys.signer().await?;
            let to = (polled.audience.as_str(), polled.profile);
            if let Some(token) = set::token(caller.tenant, change, to, signer)? {
                tokens.push(SecurityEventToken { jti: event_id(change.position), token });
            }
        }
        Ok(Response::new(PollEventsResponse { tokens, more_available: polled.more }))
    }

    async fn get_event_jwks(
        &self,
        request: Request<GetEventJwksRequest>,
    ) -> Result<Response<GetEventJwksResponse>, Status> {
        match self.listener {
            Listener::Public => {
                let (tenant_id, read) = (&request.get_ref().tenant_id, Read::Begun { subject: "" });
                self.reader(&request, tenant_id, "/rollcall.identity.v1.EventService/GetEventJwks", read).await?;
            }
            // The façade publishes them, and brings nobody along.
            Listener::Internal(_) => {}
        }
        Ok(Response::new(GetEventJwksResponse { jwks: self.senders.keys.published().await?.to_string() }))
    }
}

impl Rpc {
    async fn shown(&self, tenant: &ids::TenantId, endpoint: EventEndpoint) -> Result<wire::EventEndpoint, Error> {
        // Read after it, so that it is not ahead of it.
        let head = self.store.feed_head(*tenant).await?;
        Ok(to_wire(endpoint, &head))
    }

    /// Keeps what a receiver is shown as `Authorization`.
    fn sealed(&self, (tenant, id): (TenantId, EventEndpointId), authorization: &str) -> Result<Vec<u8>, Error> {
        let is_plain = authorization.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if !is_plain || authorization.len() > AUTHORIZATION_MAX || authorization.trim() != authorization {
            let problem = format!("must be at most {AUTHORIZATION_MAX} visible ASCII characters, with spaces between");
            return Err(InvalidField::new(AUTHORIZATION, problem).into());
        }
        self.senders.secrets.seal(tenant, id, authorization.as_bytes())
    }

    /// Waits until something has happened after a position, but not for long.
    async fn wait(&self, tenant: TenantId, position: Position) {
        let news = async {
            let mut follower = self.store.follow(tenant, Some(position)).await?;
            while follower.next().await?.changes.is_empty() {}
            Ok::<_, Error>(())
        };
        // Who cannot wait is answered at once.
        let _ = timeout(POLL_WAIT, news).await;
    }

    fn draft(&self, endpoint: wire::EventEndpoint) -> Result<EventEndpointDraft, InvalidField> {
        let profile = convert::profile(endpoint.profile());
        let kind = match endpoint.kind() {
            wire::EventEndpointKind::Webhook => EndpointKind::Webhook,
            wire::EventEndpointKind::SetPush => EndpointKind::SetPush,
            wire::EventEndpointKind::SetPoll => EndpointKind::SetPoll,
            wire::EventEndpointKind::Unspecified => {
                return Err(InvalidField::new(
                    "event_endpoint.kind",
                    "must be a webhook, or tokens to push or to poll",
                ));
            }
        };
        let url = match kind {
            EndpointKind::Webhook | EndpointKind::SetPush => self.url(endpoint.url)?,
            EndpointKind::SetPoll if endpoint.url.is_empty() => EndpointUrl::parse(endpoint.url)?,
            EndpointKind::SetPoll => {
                return Err(InvalidField::new("event_endpoint.url", "must be empty: the receiver comes by itself"));
            }
        };
        let tokens = match kind {
            EndpointKind::Webhook if endpoint.audience.is_empty() => None,
            EndpointKind::Webhook => {
                return Err(InvalidField::new("event_endpoint.audience", "must be empty of a webhook"));
            }
            EndpointKind::SetPush | EndpointKind::SetPoll => Some((Audience::parse(endpoint.audience)?, profile)),
        };
        Ok(EventEndpointDraft {
            kind,
            url,
            tokens,
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
                AUTHORIZATION => {}
                _ => {
                    let problem = "may name `url`, `description`, `kinds` and `authorization`, each once";
                    return Err(InvalidField::new("update_mask", problem));
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

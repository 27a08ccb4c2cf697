//! `ChangeService`.

use std::{sync::Arc, time::Duration};

use authn::grpc::{self, Standing};
use futures::stream::{self, BoxStream, StreamExt};
use pbjson_types::Empty;
use proto::identity::v1::{
    self as wire, AcknowledgeChangesRequest, DeleteChangeConsumerRequest, ListChangeConsumersRequest,
    ListChangeConsumersResponse, ListChangesRequest, ListChangesResponse, WatchChangesRequest, WatchChangesResponse,
    change_service_server::ChangeService,
};
use tokio::time::{MissedTickBehavior, interval};
use tonic::{Request, Response, Status, async_trait};

use crate::{
    domain::{Change, ChangeConsumer, ConsumerName, Error, FeedHead, Position, Timestamp},
    rpc::{Rpc, call::Read, paging},
    store::{Acknowledge, Follower, News},
};

/// How often the credential of a stream is asked for again. What is revoked is known here within 250 ms, and felt within a second (rule R1).
const STANDING_INTERVAL: Duration = Duration::from_millis(250);

#[async_trait]
impl ChangeService for Rpc {
    async fn list_changes(
        &self,
        request: Request<ListChangesRequest>,
    ) -> Result<Response<ListChangesResponse>, Status> {
        let ListChangesRequest { tenant_id, after, page_size, page_token } = request.get_ref();
        let size = paging::size_or_default(*page_size)?;
        let after = match page_token.as_str() {
            "" => position("after", after)?,
            token => position("page_token", token)?,
        };
        let read = Read::list(page_token);
        let tenant = self.reader(&request, tenant_id, "/rollcall.identity.v1.ChangeService/ListChanges", read).await?;
        let head = self.store.feed_head(tenant).await?;
        let changes = self.store.changes(tenant, &head, head.resume(after)?, size).await?;
        let last = changes.last().map(|last| last.position).filter(|last| *last != head.position);
        Ok(Response::new(ListChangesResponse {
            changes: changes.into_iter().map(Into::into).collect(),
            next_page_token: last.map(|last| last.to_string()).unwrap_or_default(),
            head: head.position.to_string(),
        }))
    }

    type WatchChangesStream = BoxStream<'static, Result<WatchChangesResponse, Status>>;

    async fn watch_changes(
        &self,
        request: Request<WatchChangesRequest>,
    ) -> Result<Response<Self::WatchChangesStream>, Status> {
        let WatchChangesRequest { tenant_id, after, consumer } = request.get_ref();
        let mut after = position("after", after)?;
        let consumer = match consumer.as_str() {
            "" => None,
            name => Some(ConsumerName::parse("consumer", name.to_owned()).map_err(Error::from)?),
        };
        let read = Read::Begun { subject: "" };
        let tenant = self.reader(&request, tenant_id, "/rollcall.identity.v1.ChangeService/WatchChanges", read).await?;
        let standing = grpc::standing(&request)?;
        if let (None, Some(consumer)) = (after, consumer) {
            after = self.store.acknowledged(tenant, &consumer).await?;
        }
        let follower = self.store.follow(tenant, after).await?;
        let messages = stream::try_unfold((follower, standing), |(mut follower, standing)| async move {
            let news = next(&mut follower, &standing).await?;
            Ok(Some((news.into(), (follower, standing))))
        });
        Ok(Response::new(messages.boxed()))
    }

    async fn acknowledge_changes(
        &self,
        request: Request<AcknowledgeChangesRequest>,
    ) -> Result<Response<wire::ChangeConsumer>, Status> {
        let AcknowledgeChangesRequest { tenant_id, consumer, position } = request.get_ref();
        let caller = self.writer(&request, tenant_id, "/rollcall.identity.v1.ChangeService/AcknowledgeChanges")?;
        let acknowledge = Acknowledge {
            consumer: ConsumerName::parse("consumer", consumer.clone()).map_err(Error::from)?,
            position: Position::parse("position", position).map_err(Error::from)?,
        };
        let consumer = self.store.acknowledge_changes(&caller, acknowledge).await?;
        let head = self.store.feed_head(caller.tenant).await?;
        Ok(Response::new(wire_consumer(consumer, &head)))
    }

    async fn list_change_consumers(
        &self,
        request: Request<ListChangeConsumersRequest>,
    ) -> Result<Response<ListChangeConsumersResponse>, Status> {
        let ListChangeConsumersRequest { tenant_id, page_size, page_token } = request.get_ref();
        let size = paging::size_or_default(*page_size)?;
        let after = match paging::text(page_token)? {
            text if text.is_empty() => text,
            text => ConsumerName::parse("page_token", text).map_err(Error::from)?.as_str().to_owned(),
        };
        let read = Read::list(page_token);
        let action = "/rollcall.identity.v1.ChangeService/ListChangeConsumers";
        let tenant = self.reader(&request, tenant_id, action, read).await?;
        let consumers = self.store.list_change_consumers(tenant, &after, size).await?;
        // Read after them, so that none is ahead of it.
        let head = self.store.feed_head(tenant).await?;
        let full = consumers.len() as u64 == size;
        let next_page_token =
            consumers.last().filter(|_| full).map(|last| paging::token(last.name.as_str())).unwrap_or_default();
        let consumers = consumers.into_iter().map(|consumer| wire_consumer(consumer, &head)).collect();
        Ok(Response::new(ListChangeConsumersResponse { consumers, next_page_token }))
    }

    async fn delete_change_consumer(
        &self,
        request: Request<DeleteChangeConsumerRequest>,
    ) -> Result<Response<Empty>, Status> {
        let DeleteChangeConsumerRequest { tenant_id, consumer } = request.get_ref();
        let caller = self.writer(&request, tenant_id, "/rollcall.identity.v1.ChangeService/DeleteChangeConsumer")?;
        // A name that no consumer can have is a name that none has.
        let consumer =
            ConsumerName::parse("consumer", consumer.clone()).map_err(|_| Error::NotFound("consumer of changes"))?;
        self.store.delete_change_consumer(&caller, consumer).await?;
        Ok(Response::new(Empty {}))
    }
}

/// The next news for a caller whose credential is still good when it is sent.
async fn next(follower: &mut Follower, standing: &Arc<Standing>) -> Result<News, Status> {
    let mut checks = interval(STANDING_INTERVAL);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let news = follower.next();
    tokio::pin!(news);
    loop {
        tokio::select! {
            news = &mut news => {
                standing.check().await?;
                return Ok(news?);
            }
            _ = checks.tick() => standing.check().await?,
        }
    }
}

/// A position, unless the text is empty.
fn position(field: &'static str, text: &str) -> Result<Option<Position>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    Ok(Some(Position::parse(field, text)?))
}

impl From<News> for WatchChangesResponse {
    fn from(news: News) -> Self {
        Self {
            changes: news.changes.into_iter().map(Into::into).collect(),
            position: news.position.to_string(),
            head: news.head.to_string(),
        }
    }
}

impl From<Change> for wire::Change {
    fn from(change: Change) -> Self {
        Self {
            position: change.position.to_string(),
            time: Some(change.at.into()),
            kind: change.kind,
            subject_id: change.subject.to_string(),
            object_id: change.object.map(|id| id.to_string()).unwrap_or_default(),
            version: change.version,
            before: change.before.into_map(),
            after: change.after.into_map(),
            actor: change.actor,
            request_id: change.request_id,
        }
    }
}

fn wire_consumer(consumer: ChangeConsumer, head: &FeedHead) -> wire::ChangeConsumer {
    let number = head.resume(Some(consumer.position));
    let waits_us = consumer.behind_since.filter(|_| number.is_ok()).map_or(0, |since| Timestamp::now().0 - since.0);
    let waits = Duration::from_micros(u64::try_from(waits_us).unwrap_or_default());
    wire::ChangeConsumer {
        name: consumer.name.as_str().to_owned(),
        position: consumer.position.to_string(),
        head: head.position.to_string(),
        lag_changes: number.as_ref().map_or(0, |number| head.position.number - number),
        lag_time: Some(pbjson_types::Duration {
            seconds: i64::try_from(waits.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(waits.subsec_nanos()).unwrap_or_default(),
        }),
        out_of_range: number.is_err(),
        acknowledge_time: Some(consumer.acknowledged_at.into()),
        acknowledged_by: consumer.acknowledged_by,
    }
}

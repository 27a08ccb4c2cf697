//! Endpoints for events: what their administration promises. How events are sent is tested beside what sends them.

use database::testing::Engine::{self, Postgres, Sqlite};
use ids::EventEndpointId;
use rstest::rstest;
use sea_orm::{ActiveValue::Set, EntityTrait};

use super::{World, tenant, user};
use crate::{
    domain::{
        Caller, DeadLetter, EVENT_ENDPOINTS_MAX, EndpointDescription, EndpointKind, EndpointUrl, Error, EventEndpoint,
        EventEndpointChange, EventEndpointDraft, EventKinds, Stop, Timestamp,
    },
    store::{
        CreateEventEndpoint, DeadLetters, DeleteUser, Outcome, ReplaceUser, RotateSecret,
        entity::{event_ack, event_delivery, event_endpoint},
    },
};

const SECRET: &[u8] = b"sealed-secret-of-an-endpoint";

impl World {
    /// The secret of the only endpoint as it is kept.
    pub(crate) async fn sealed_event_secret(&self) -> Vec<u8> {
        let rows = event_endpoint::Entity::find().all(self.store.database.read()).await.unwrap();
        assert_eq!(rows.len(), 1);
        rows.into_iter().next().unwrap().sealed_secret
    }

    async fn endpoint(&self) -> Result<EventEndpoint, Error> {
        self.endpoint_of(&self.administrator()).await
    }

    async fn endpoint_of(&self, administrator: &Caller) -> Result<EventEndpoint, Error> {
        let draft = EventEndpointDraft {
            kind: EndpointKind::Webhook,
            url: EndpointUrl::parse("https://example.com/hooks/t0ken?a=b".to_owned()).unwrap(),
            description: EndpointDescription::parse("Billing".to_owned()).unwrap(),
            tokens: None,
            kinds: EventKinds::parse(vec!["user.deleted".to_owned()]).unwrap(),
        };
        let create = CreateEventEndpoint { id: EventEndpointId::generate(), draft, sealed_secret: SECRET.to_vec() };
        self.store.create_event_endpoint(administrator, create).await
    }
}

/// Puts something into every table of events.
pub(super) async fn fill(world: &World, administrator: &Caller) {
    let endpoint = world.endpoint_of(administrator).await.unwrap().id;
    let (tenant_id, endpoint_id, position) = (Set(administrator.tenant.uuid()), Set(endpoint.uuid()), Set(1));
    let delivery = event_delivery::ActiveModel {
        tenant_id: tenant_id.clone(),
        endpoint_id: endpoint_id.clone(),
        position: position.clone(),
        attempts: Set(1),
        next_attempt_us: Set(None),
        last_attempt_us: Set(1),
        last_failure: Set(String::new()),
    };
    let ack = event_ack::ActiveModel { tenant_id, endpoint_id, position };
    let write = world.store.database.write(move |db| {
        let (delivery, ack) = (delivery.clone(), ack.clone());
        Box::pin(async move {
            event_delivery::Entity::insert(delivery).exec_without_returning(db).await?;
            event_ack::Entity::insert(ack).exec_without_returning(db).await?;
            Outcome::Ok(())
        })
    });
    write.await.unwrap();
}

fn kinds(kinds: &[&str]) -> Option<EventKinds> {
    Some(EventKinds::parse(kinds.iter().map(|kind| (*kind).to_owned()).collect()).unwrap())
}

#[rstest]
#[tokio::test]
async fn an_endpoint_is_made_changed_listed_and_forgotten(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let (store, administrator) = (&world.store, world.administrator());
    let made = world.endpoint().await.unwrap();
    assert_eq!((made.stop, made.created_by.as_str(), &*made.description), (None, "key:admin", "Billing"));
    assert_eq!(made.position, store.feed_head(world.tenant).await.unwrap().position);
    let other = world.endpoint().await.unwrap();
    let change = EventEndpointChange { kinds: kinds(&[]), ..EventEndpointChange::default() };
    let changed = store.update_event_endpoint(&administrator, made.id, change).await.unwrap();
    assert_eq!(changed, EventEndpoint { kinds: EventKinds::default(), ..made.clone() }, "what is not named stays");
    assert_eq!(store.event_endpoint(world.tenant, made.id).await, Ok(changed.clone()));
    let listed = store.list_event_endpoints(world.tenant, None, 10).await.unwrap();
    assert_eq!(listed, [changed, other.clone()]);
    assert_eq!(store.list_event_endpoints(world.tenant, Some(made.id), 10).await, Ok(vec![other.clone()]));
    assert_eq!(store.list_event_endpoints(world.tenant, None, 1).await.unwrap().len(), 1);
    store.delete_event_endpoint(&administrator, made.id).await.unwrap();
    assert_eq!(store.list_event_endpoints(world.tenant, None, 10).await, Ok(vec![other]));
    assert_eq!(world.changes().await, ["tenant.changed"], "that is no event itself");
}

#[rstest]
#[tokio::test]
async fn r05_an_endpoint_of_another_tenant_is_not_there(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let store = &world.store;
    let made = world.endpoint().await.unwrap();
    let other = tenant(store, "other").await;
    let stranger = Caller { tenant: other, ..world.administrator() };
    let none = Error::NotFound("event endpoint");
    let rotate = RotateSecret { id: made.id, sealed_secret: vec![1], previous_until: Timestamp(0) };
    let letters = DeadLetters { endpoint: made.id, positions: None };
    assert_eq!(store.event_endpoint(other, made.id).await.unwrap_err(), none);
    assert_eq!(store.list_event_endpoints(other, None, 10).await, Ok(Vec::new()));
    assert_eq!(store.disable_event_endpoint(&stranger, made.id).await.unwrap_err(), none);
    assert_eq!(store.enable_event_endpoint(&stranger, made.id, true).await.unwrap_err(), none);
    assert_eq!(store.delete_event_endpoint(&stranger, made.id).await.unwrap_err(), none);
    assert_eq!(store.rotate_event_secret(&stranger, rotate).await.unwrap_err(), none);
    let change = EventEndpointChange { kinds: kinds(&[]), ..EventEndpointChange::default() };
    assert_eq!(store.update_event_endpoint(&stranger, made.id, change).await.unwrap_err(), none);
    assert_eq!(store.retry_dead_letters(&stranger, letters.clone()).await.unwrap_err(), none);
    assert_eq!(store.drop_dead_letters(&stranger, letters).await.unwrap_err(), none);
    assert_eq!(store.list_dead_letters(other, made.id, 0, 10).await, Err::<Vec<DeadLetter>, _>(none));
    assert_eq!(store.event_endpoint(world.tenant, made.id).await, Ok(made));
}

#[rstest]
#[tokio::test]
async fn a_tenant_has_so_many_endpoints_and_no_more(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    for _ in 0..EVENT_ENDPOINTS_MAX {
        world.endpoint().await.unwrap();
    }
    assert_eq!(world.endpoint().await.unwrap_err(), Error::TooManyEventEndpoints);
}

#[rstest]
#[tokio::test]
async fn r24_what_is_done_to_endpoints_stands_in_the_audit_log_without_secrets(
    #[values(Sqlite, Postgres)] engine: Engine,
) {
    let Some(world) = World::open(engine).await else { return };
    let (store, administrator) = (&world.store, world.administrator());
    let made = world.endpoint().await.unwrap();
    let change = EventEndpointChange { kinds: kinds(&[]), ..EventEndpointChange::default() };
    store.update_event_endpoint(&administrator, made.id, change).await.unwrap();
    store.disable_event_endpoint(&administrator, made.id).await.unwrap();
    store.enable_event_endpoint(&administrator, made.id, false).await.unwrap();
    let rotate = RotateSecret { id: made.id, sealed_secret: SECRET.to_vec(), previous_until: Timestamp(0) };
    store.rotate_event_secret(&administrator, rotate).await.unwrap();
    store.retry_dead_letters(&administrator, DeadLetters { endpoint: made.id, positions: None }).await.unwrap();
    store.drop_dead_letters(&administrator, DeadLetters { endpoint: made.id, positions: None }).await.unwrap();
    store.delete_event_endpoint(&administrator, made.id).await.unwrap();
    let (entries, _) = store.list_audit_entries(world.tenant, 0, 100).await.unwrap();
    let of_endpoint: Vec<_> = entries.iter().filter(|entry| entry.subject == made.id.to_string()).collect();
    let said: Vec<String> = of_endpoint
        .iter()
        .map(|entry| {
            let names = |values: &::audit::Values| values.as_map().keys().cloned().collect::<Vec<_>>().join(",");
            format!("{}[{}][{}]", entry.content.detail, names(&entry.content.before), names(&entry.content.after))
        })
        .collect();
    assert_eq!(
        said,
        [
            "[][description,kind,kinds,url]",
            "[description,kinds,url][description,kinds,url]",
            "[state][state,stop]",
            "[state,stop][state]",
            "rotated the secret[][]",
            "sent dead letters again[][count]",
            "dropped dead letters[][count]",
            "deleted[description,kinds,url][]",
        ]
    );
    let printed = format!("{entries:?}");
    assert!(printed.contains("https://example.com") && !printed.contains("t0ken"), "{printed}");
    assert!(!printed.contains("sealed-secret"));
}

/// Whatever happens to endpoints, a write does not know of it: it does not as much as look at their tables.
#[rstest]
#[tokio::test]
async fn no_write_touches_the_tables_of_events(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let (store, directory) = (&world.store, world.directory());
    world.endpoint().await.unwrap();
    for table in ["event_acks", "event_deliveries", "event_endpoints", "event_signing_keys"] {
        world.sql(format!("DROP TABLE {table}")).await;
    }
    let ada = world.user("ada").await;
    let replace = ReplaceUser { user: ada.id, draft: user("Ada"), expected_version: None };
    store.replace_user(&directory, replace).await.unwrap();
    world.group("Ops", &[ada.id.to_string()]).await;
    store.delete_user(&directory, DeleteUser { user: ada.id, expected_version: None }).await.unwrap();
    store.erase_user(&world.administrator(), ada.id).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn disabling_twice_keeps_the_first_reason(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let (store, administrator) = (&world.store, world.administrator());
    let made = world.endpoint().await.unwrap();
    world.sql("UPDATE event_endpoints SET stop = 'gone'".to_owned()).await;
    let disabled = store.disable_event_endpoint(&administrator, made.id).await.unwrap();
    assert_eq!(disabled.stop, Some(Stop::Gone));
}

//! Who leaves: followed from an identity that says what a test wants it to say.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use authn::KeyText;
use database::testing::Engine;
use futures::{
    future::{join, join_all},
    stream::{self, BoxStream, StreamExt},
};
use ids::{ApiKeyId, TenantId, UserId};
use pbjson_types::Timestamp as ProtoTimestamp;
use proto::{
    Channel, Peer,
    api_keys::v1::{ApiKey as ProtoApiKey, ApiKeyState, CreateApiKeyRequest, GetApiKeyRequest, RotateApiKeyRequest},
    identity::v1::{
        Access, AcknowledgeDeparturesRequest, AcknowledgeDeparturesResponse, CheckAccessRequest, CheckAccessResponse,
        Departure as ProtoDeparture, WatchDeparturesRequest, WatchDeparturesResponse,
        departure_service_server::{DepartureService, DepartureServiceServer},
    },
};
use rstest::rstest;
use tonic::{Code, Request, Response, Status, async_trait, service::Routes};

use crate::{
    domain::{
        About, ApiKey, Asked, AuditCursor, Caller, Departure, Ended, Ending, Error, Issuer, Rotation, State, Terms,
        Timestamp, Trust, Who,
    },
    store::{Successor, departures::BATCH},
    testing::{Replica, World, by, until},
};

/// What identity knows.
#[derive(Clone, Default)]
struct Identity(Arc<Told>);

#[derive(Default)]
struct Told {
    /// By the ids of the tenant and the user; none is unknown.
    access: Mutex<HashMap<(String, String), Access>>,
    pending: Mutex<Vec<ProtoDeparture>>,
    /// How often access was asked for, and after how many questions everybody has lost it.
    asked: AtomicUsize,
    all_lost_after: Option<usize>,
}

impl Identity {
    fn channel(&self) -> Channel {
        Channel::in_process(Routes::new(DepartureServiceServer::new(self.clone())), Peer::default())
    }

    fn say(&self, tenant: TenantId, user: Option<UserId>, access: Access) {
        let user = user.map(|user| user.to_string()).unwrap_or_default();
        self.0.access.lock().unwrap().insert((tenant.to_string(), user), access);
    }

    /// Tells that somebody left at a time.
    fn depart(&self, tenant: TenantId, user: Option<UserId>, at: SystemTime) {
        let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        self.0.pending.lock().unwrap().push(ProtoDeparture {
            id: uuid::Uuid::now_v7().to_string(),
            tenant_id: tenant.to_string(),
            user_id: user.map(|user| user.to_string()).unwrap_or_default(),
            time: Some(ProtoTimestamp { seconds: seconds.try_into().unwrap(), nanos: 0 }),
        });
    }

    /// Waits until everything that was told is dealt with.
    async fn heard(&self) {
        until(async || self.0.pending.lock().unwrap().is_empty()).await;
    }
}

#[async_trait]
impl DepartureService for Identity {
    type WatchDeparturesStream = BoxStream<'static, Result<WatchDeparturesResponse, Status>>;

    async fn watch_departures(
        &self,
        _: Request<WatchDeparturesRequest>,
    ) -> Result<Response<Self::WatchDeparturesStream>, Status> {
        let told = Arc::clone(&self.0);
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        let messages = stream::poll_fn(move |context| ticks.poll_tick(context).map(Some))
            .map(move |_| Ok(WatchDeparturesResponse { departures: told.pending.lock().unwrap().clone() }));
        Ok(Response::new(messages.boxed()))
    }

    async fn acknowledge_departures(
        &self,
        request: Request<AcknowledgeDeparturesRequest>,
    ) -> Result<Response<AcknowledgeDeparturesResponse>, Status> {
        let acknowledged = request.into_inner().departures;
        self.0.pending.lock().unwrap().retain(|one| !acknowledged.contains(one));
        Ok(Response::new(AcknowledgeDeparturesResponse {}))
    }

    async fn check_access(
        &self,
        request: Request<CheckAccessRequest>,
    ) -> Result<Response<CheckAccessResponse>, Status> {
        let before = self.0.asked.fetch_add(1, Ordering::SeqCst);
        let known = self.0.access.lock().unwrap();
        let access = request.into_inner().subjects.into_iter().map(|subject| {
            if self.0.all_lost_after.is_some_and(|count| before >= count) {
                return Access::Lost.into();
            }
            known.get(&(subject.tenant_id, subject.user_id)).copied().unwrap_or(Access::Unknown).into()
        });
        Ok(Response::new(CheckAccessResponse { access: access.collect() }))
    }
}

fn wanted(scope: &str, owner: Option<UserId>) -> ProtoApiKey {
    ProtoApiKey {
        name: "own".into(),
        scopes: vec![scope.into()],
        owner_user_id: owner.map(|owner| owner.to_string()).unwrap_or_default(),
        ..ProtoApiKey::default()
    }
}

async fn create(
    replica: &Replica,
    by_whom: &KeyText,
    (tenant, scope, owner): (TenantId, &str, Option<UserId>),
) -> Result<KeyText, Status> {
    let message = CreateApiKeyRequest { tenant_id: tenant.to_string(), api_key: Some(wanted(scope, owner)) };
    let made = replica.keys().create_api_key(by(by_whom, message)).await?.into_inner();
    Ok(made.key.parse().unwrap())
}

async fn shown(replica: &Replica, tenant: TenantId, id: ApiKeyId) -> ProtoApiKey {
    let message = GetApiKeyRequest { tenant_id: tenant.to_string(), api_key_id: id.to_string() };
    replica.keys().get_api_key(by(&replica.operator, message)).await.unwrap().into_inner()
}

async fn is_revoked(replica: &Replica, tenant: TenantId, key: &KeyText) -> bool {
    shown(replica, tenant, key.id()).await.state() == ApiKeyState::Revoked
}

/// Keys of a tenant that are not revoked.
async fn live(replica: &Replica, tenant: TenantId) -> Vec<ApiKey> {
    let keys = replica.api_keys.0.store.list(&nobody(tenant), None, 10_000).await.unwrap();
    keys.into_iter().filter(|key| key.state(Timestamp::now()) == State::Active).collect()
}

/// A caller of a tenant with every scope, whom no log follows.
fn nobody(tenant: TenantId) -> Caller {
    let installation = Caller::installation(ApiKeyId::generate());
    Caller { tenant, is_operator: false, actor: "key:test".into(), ..installation }
}

fn about(owner: Option<UserId>) -> About {
    let owner = owner.map(|owner| owner.to_string()).unwrap_or_default();
    let asked = Asked { name: "n".into(), scopes: vec!["identity.read".into()], owner, ..Asked::default() };
    About::new(asked, "operator".parse().unwrap(), Timestamp::now()).unwrap()
}

/// Stores a key that opens nothing, for it has no hash.
async fn stored(replica: &Replica, tenant: TenantId, owner: Option<UserId>) -> Result<ApiKey, Error> {
    let key = ApiKey::new(ApiKeyId::generate(), tenant, about(owner), "key:test".into(), Timestamp::now());
    replica.api_keys.0.store.create(&nobody(tenant), key.clone(), "$argon2id$".into()).await.map(|()| key)
}

fn person(tenant: TenantId, user: UserId) -> Departure {
    Departure { tenant, who: Who::Person(user, Ending::All), at: Timestamp::now() }
}

fn whole(tenant: TenantId) -> Departure {
    Departure { tenant, who: Who::Tenant, at: Timestamp::now() }
}

#[rstest]
#[tokio::test]
async fn r08_a_persons_keys_end_with_the_departure_and_no_others(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let (identity, tenant, other) = (Identity::default(), TenantId::generate(), TenantId::generate());
    let (ada, eva) = (UserId::generate(), UserId::generate());
    for (tenant, user) in [(tenant, ada), (tenant, eva), (other, ada)] {
        identity.say(tenant, Some(user), Access::Granted);
    }
    replica.api_keys.follow(identity.channel());
    let key = async |tenant, owner| create(&replica, &replica.operator, (tenant, "admin", owner)).await.unwrap();
    let of_ada = key(tenant, Some(ada)).await;
    let others = [(tenant, Some(eva)), (tenant, None), (other, Some(ada))];
    let others = join_all(others.map(|(tenant, owner)| async move { (tenant, key(tenant, owner).await) })).await;
    assert_eq!(shown(&replica, tenant, of_ada.id()).await.owner_user_id, ada.to_string());
    // Made with hers: a directory's outlives her, and says that she left.
    let made = create(&replica, &of_ada, (tenant, "scim", None)).await.unwrap();
    let made_by_it = create(&replica, &of_ada, (tenant, "admin", None)).await.unwrap();
    let in_turn = create(&replica, &made_by_it, (tenant, "scim", None)).await.unwrap();

    identity.say(tenant, Some(ada), Access::Lost);
    identity.depart(tenant, Some(ada), SystemTime::now());
    identity.heard().await;
    assert!(is_revoked(&replica, tenant, &of_ada).await);
    assert_eq!(replica.exchange(&of_ada).await.unwrap_err().code(), Code::Unauthenticated);
    for (tenant, key) in &others {
        let shown = shown(&replica, *tenant, key.id()).await;
        assert_eq!((shown.state(), shown.creator_departure_time), (ApiKeyState::Active, None));
    }
    for key in [&made, &made_by_it, &in_turn] {
        let shown = shown(&replica, tenant, key.id()).await;
        assert_eq!(shown.state(), ApiKeyState::Active);
        assert!(shown.creator_departure_time.is_some(), "{shown:?}");
    }
    // What is made with one of them from now on says so too.
    let late = create(&replica, &made_by_it, (tenant, "identity.read", None)).await.unwrap();
    assert!(shown(&replica, tenant, late.id()).await.creator_departure_time.is_some());
    // Rotated by somebody else it is somebody else's.
    let id = made.id().to_string();
    let rotate =
        RotateApiKeyRequest { tenant_id: tenant.to_string(), api_key_id: id, ..RotateApiKeyRequest::default() };
    let rotated = replica.keys().rotate_api_key(by(&replica.operator, rotate)).await.unwrap().into_inner();
    assert_eq!(rotated.api_key.unwrap().creator_departure_time, None);
    let (entries, _, _) =
        replica.api_keys.0.store.audit_entries(&nobody(tenant), AuditCursor::START, 100).await.unwrap();
    let said: Vec<(&str, &str)> = entries
        .iter()
        .filter(|entry| entry.actor == "service:identity")
        .map(|entry| (&*entry.subject, &*entry.content.detail))
        .collect();
    assert_eq!(said[0], (&*ada.to_string(), "a person who owns keys has left"));
    assert_eq!(said[1], (&*of_ada.id().to_string(), "its owner has left"));
    assert_eq!(said.len(), 5, "{said:?}");
}

#[rstest]
#[tokio::test]
async fn a_revoked_key_makes_no_key_even_before_its_verifiers_know(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let (store, tenant) = (&replica.api_keys.0.store, TenantId::generate());
    let shown = stored(&replica, tenant, None).await.unwrap();
    let caller = Caller { key: Some(shown.id), ..nobody(tenant) };
    let key = || ApiKey::new(ApiKeyId::generate(), tenant, about(None), "key:test".into(), Timestamp::now());
    assert_eq!(store.create(&caller, key(), "$argon2id$".into()).await, Ok(()));
    store.revoke(&nobody(tenant), shown.id).await.unwrap();
    assert_eq!(store.create(&caller, key(), "$argon2id$".into()).await, Err(Error::Unauthenticated));
    assert_eq!(store.create_trust(&caller, trust(tenant)).await, Err(Error::Unauthenticated));
    assert_eq!(live(&replica, tenant).await.len(), 1);
}

#[rstest]
#[tokio::test]
async fn who_has_come_back_keeps_what_was_made_since(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let (identity, tenant, ada) = (Identity::default(), TenantId::generate(), UserId::generate());
    identity.say(tenant, Some(ada), Access::Granted);
    replica.api_keys.follow(identity.channel());
    let key = create(&replica, &replica.operator, (tenant, "admin", Some(ada))).await.unwrap();
    // What was told late, of before the key: clocks are not an hour apart.
    identity.depart(tenant, Some(ada), SystemTime::now() - Duration::from_secs(3600));
    identity.heard().await;
    assert!(!is_revoked(&replica, tenant, &key).await);
    // Of after it, and the person has come back since.
    identity.depart(tenant, Some(ada), SystemTime::now());
    identity.heard().await;
    assert!(is_revoked(&replica, tenant, &key).await);
    // Who is still away keeps nothing, whatever the clocks say.
    let key = create(&replica, &replica.operator, (tenant, "admin", Some(ada))).await.unwrap();
    identity.say(tenant, Some(ada), Access::Lost);
    identity.depart(tenant, Some(ada), SystemTime::now() - Duration::from_secs(3600));
    identity.heard().await;
    assert!(is_revoked(&replica, tenant, &key).await);
}

#[rstest]
#[tokio::test]
async fn a_key_whose_owner_leaves_while_it_is_made_is_not_handed_out(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let (tenant, ada) = (TenantId::generate(), UserId::generate());
    // Access is there when it is asked for first, and lost when the key is stored.
    let told = Told { all_lost_after: Some(1), ..Told::default() };
    let identity = Identity(Arc::new(told));
    identity.say(tenant, Some(ada), Access::Granted);
    replica.api_keys.follow(identity.channel());
    let refused = create(&replica, &replica.operator, (tenant, "admin", Some(ada))).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    assert!(identity.0.asked.load(Ordering::SeqCst) > 1);
    assert_eq!(replica.api_keys.0.store.list(&nobody(tenant), None, 10).await.unwrap().len(), 1, "it was stored");
    assert!(live(&replica, tenant).await.is_empty());
}

#[tokio::test]
async fn no_key_has_an_owner_whose_leaving_nobody_would_tell() {
    let world = World::new(Engine::Sqlite).await.unwrap();
    let replica = world.replica().await;
    let (identity, tenant, ada) = (Identity::default(), TenantId::generate(), UserId::generate());
    let refused = create(&replica, &replica.operator, (tenant, "admin", Some(ada))).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    assert!(create(&replica, &replica.operator, (tenant, "admin", None)).await.is_ok());
    replica.api_keys.follow(Channel::connect("http://127.0.0.1:1").unwrap());
    let refused = create(&replica, &replica.operator, (tenant, "admin", Some(ada))).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    // R8: nobody is asked about a directory's key, for it has no owner.
    let asked = create(&replica, &replica.operator, (tenant, "scim", Some(ada))).await.unwrap_err();
    assert_eq!((asked.code(), identity.0.asked.load(Ordering::SeqCst)), (Code::InvalidArgument, 0));
    assert_eq!(live(&replica, tenant).await.len(), 1);
}

#[rstest]
#[tokio::test]
async fn what_a_restored_database_does_not_know_is_found_at_the_start(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let (identity, deleted, kept, unknown) =
        (Identity::default(), TenantId::generate(), TenantId::generate(), TenantId::generate());
    let (left, stays, nobody_knows) = (UserId::generate(), UserId::generate(), UserId::generate());
    identity.say(deleted, None, Access::Lost);
    identity.say(kept, None, Access::Granted);
    identity.say(kept, Some(left), Access::Lost);
    identity.say(kept, Some(stays), Access::Granted);
    let of = async |tenant, owner| stored(&replica, tenant, owner).await.unwrap().id;
    let ends = [of(deleted, None).await, of(kept, Some(left)).await];
    let stay = [of(kept, None).await, of(kept, Some(stays)).await, of(kept, Some(nobody_knows)).await];
    let of_unknown = of(unknown, None).await;
    replica.api_keys.follow(identity.channel());
    until(async || live(&replica, deleted).await.is_empty() && live(&replica, kept).await.len() == 3).await;
    let live_ids: Vec<_> = live(&replica, kept).await.into_iter().map(|key| key.id).collect();
    assert!(stay.iter().all(|id| live_ids.contains(id)) && !live_ids.contains(&ends[1]));
    // Identity may be the one that was restored.
    assert_eq!(live(&replica, unknown).await[0].id, of_unknown);
}

#[rstest]
#[tokio::test]
async fn a_departure_that_fails_holds_up_no_other_and_is_tried_again(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let (identity, broken, whole) = (Identity::default(), TenantId::generate(), TenantId::generate());
    let (ada, eva, untold) = (UserId::generate(), UserId::generate(), UserId::generate());
    for (tenant, user) in [(broken, ada), (whole, eva), (whole, untold)] {
        stored(&replica, tenant, Some(user)).await.unwrap();
        identity.say(tenant, Some(user), Access::Lost);
    }
    let store = &replica.api_keys.0.store;
    store.set_log_hash(broken, Some(vec![0])).await;
    for (tenant, user) in [(broken, ada), (whole, eva)] {
        identity.depart(tenant, Some(user), SystemTime::now());
    }
    replica.api_keys.follow(identity.channel());
    until(async || live(&replica, whole).await.is_empty() && identity.0.pending.lock().unwrap().len() == 1).await;
    assert_eq!(identity.0.pending.lock().unwrap()[0].tenant_id, broken.to_string());
    assert_eq!(live(&replica, broken).await.len(), 1);
    store.set_log_hash(broken, None).await;
    identity.heard().await;
    assert!(live(&replica, broken).await.is_empty());
}

fn trust(tenant: TenantId) -> Trust {
    let claim = |text: &str| crate::domain::ClaimText::new(text.to_owned(), "subject").unwrap();
    let terms = Terms {
        issuer: Issuer::new("https://issuer.example.com".to_owned()).unwrap(),
        audience: claim("a"),
        subject: claim("s"),
        scopes: "scim".parse().unwrap(),
        expires_at: None,
    };
    let now = Timestamp::now();
    Trust {
        id: ids::TrustId::generate(),
        tenant,
        name: "t".into(),
        terms,
        version: 1,
        creator: "key:test".into(),
        created_at: now,
        updated_at: now,
        revoked_at: None,
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn of_a_deleted_tenant_everything_ends_once_and_nothing_is_made(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let (here, there) = (world.replica().await, world.replica().await);
    let (tenant, other) = (TenantId::generate(), TenantId::generate());
    let keys = BATCH + 1;
    for _ in 0..keys {
        stored(&here, tenant, None).await.unwrap();
    }
    stored(&here, other, None).await.unwrap();
    let store = &here.api_keys.0.store;
    store.create_trust(&nobody(tenant), trust(tenant)).await.unwrap();
    let before = store.head().await.unwrap();
    let (one, two) = join(store.depart(whole(tenant)), there.api_keys.0.store.depart(whole(tenant))).await;
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(one.revoked + two.revoked > keys, "{one:?} {two:?}");
    assert!(live(&here, tenant).await.is_empty());
    assert_eq!(live(&here, other).await.len(), 1);
    let trusts = store.list_trusts(&nobody(tenant), None, 10).await.unwrap();
    assert!(trusts.iter().all(|trust| trust.revoked_at.is_some()) && trusts.len() == 1);
    // However many replicas did it: each credential is in the list once, and its end in the log.
    assert_eq!(store.head().await.unwrap() - before, i64::try_from(keys).unwrap() + 1);
    let (entries, _, _) = store.audit_entries(&nobody(tenant), AuditCursor::START, 1000).await.unwrap();
    let by_identity = entries.iter().filter(|entry| entry.actor == "service:identity").count();
    assert_eq!(by_identity as u64, keys + 2);
    assert_eq!(store.depart(whole(tenant)).await.unwrap(), Ended::default());
    // Nothing is made for it any more.
    assert_eq!(stored(&here, tenant, None).await.unwrap_err(), Error::NotFound);
    assert_eq!(store.create_trust(&nobody(tenant), trust(tenant)).await.unwrap_err(), Error::NotFound);
    assert!(stored(&here, other, None).await.is_ok());
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_made_while_its_tenant_is_deleted_ends_too(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let (replica, tenant) = (&replica, TenantId::generate());
    let makers = (0..32).map(|_| stored(replica, tenant, None));
    let (made, ended) = join(join_all(makers), replica.api_keys.0.store.depart(whole(tenant))).await;
    ended.unwrap();
    for outcome in made {
        assert!(outcome.is_ok() || outcome == Err(Error::NotFound), "{outcome:?}");
    }
    assert!(live(replica, tenant).await.is_empty());
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_rotated_while_its_owner_leaves_ends_with_its_successors(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let (replica, tenant, ada) = (&replica, TenantId::generate(), UserId::generate());
    let store = &replica.api_keys.0.store;
    let first = join_all((0..8).map(|_| stored(replica, tenant, Some(ada)))).await;
    let chains = first.into_iter().map(|key| async move {
        let mut id = key.unwrap().id;
        loop {
            let rotation = Rotation::new(None, None, Timestamp::now()).unwrap();
            let successor = Successor { id: ApiKeyId::generate(), hash: "$argon2id$".into(), previous: id, rotation };
            match store.rotate(&nobody(tenant), successor).await {
                Ok(rotated) => id = rotated.unwrap().0.id,
                Err(error) => return error,
            }
        }
    });
    let departs = async {
        until(async || live(replica, tenant).await.len() > 16).await;
        store.depart(person(tenant, ada)).await.unwrap()
    };
    let (errors, ended) = join(join_all(chains), departs).await;
    assert!(errors.iter().all(|error| *error == Error::Ended), "{errors:?}");
    assert!(ended.revoked > 16);
    assert!(live(replica, tenant).await.is_empty());
}

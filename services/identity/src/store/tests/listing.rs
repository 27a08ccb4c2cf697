//! Lists: filters, tokens, and walks by index while users are deleted.

use std::collections::BTreeSet;

use database::testing::Engine::{self, Postgres, Sqlite};
use ids::UserId;
use rstest::rstest;

use super::{World, tenant, user};
use crate::{
    domain::{CaseKey, ExternalId, Filter, Listed, PageStart, Slice, User, UserDraft, UserTerm},
    store::DeleteUser,
};

impl World {
    async fn list(&self, filter: Option<Filter<UserTerm>>, start: PageStart, size: u64) -> Listed<User> {
        self.store.list_users(self.tenant, filter.as_ref(), Slice { start, size }).await.unwrap()
    }

    async fn names(&self, filter: Filter<UserTerm>) -> Vec<String> {
        let listed = self.list(Some(filter), PageStart::Skip(0), 100).await;
        assert_eq!(listed.total, Some(listed.rows.len() as u64));
        listed.rows.iter().map(|user| user.provisioned.user_name.as_str().to_owned()).collect()
    }

    async fn delete(&self, user: UserId) {
        self.store.delete_user(&self.directory(), DeleteUser { user, expected_version: None }).await.unwrap();
    }
}

#[rstest]
#[tokio::test]
async fn each_term_finds_what_it_should_and_not_means_not(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = UserDraft { external_id: Some(ExternalId::parse("E1".into()).unwrap()), ..user("ada") };
    let ada = world.store.create_user(&world.directory(), ada).await.unwrap();
    let bob = UserDraft { provisioned_active: false, display_name: None, ..user("bob") };
    world.store.create_user(&world.directory(), bob).await.unwrap();
    let stranger = tenant(&world.store, "globex").await;
    world.store.create_user(&super::directory(stranger), user("eve")).await.unwrap();

    let term = Filter::Term;
    let not = |term: UserTerm| Filter::Not(Box::new(Filter::Term(term)));
    let name = |name: &str| UserTerm::UserName(CaseKey::of(name));
    let external = |id: &str| UserTerm::ExternalId(id.to_owned());
    assert_eq!(world.names(term(name("ADA"))).await, ["ada"]);
    assert_eq!(world.names(term(UserTerm::Id(Some(ada.id)))).await, ["ada"]);
    assert_eq!(world.names(term(UserTerm::Id(None))).await, [""; 0]);
    assert_eq!(world.names(term(external("E1"))).await, ["ada"]);
    assert_eq!(world.names(term(external("e1"))).await, [""; 0]);
    assert_eq!(world.names(term(UserTerm::DisplayName(CaseKey::of("THE ADA")))).await, ["ada"]);
    assert_eq!(world.names(term(UserTerm::ProvisionedActive(false))).await, ["bob"]);
    // Bob has neither of these, so `not` finds him.
    assert_eq!(world.names(not(external("E1"))).await, ["bob"]);
    assert_eq!(world.names(not(UserTerm::DisplayName(CaseKey::of("the ada")))).await, ["bob"]);
    assert_eq!(world.names(not(UserTerm::Id(None))).await, ["ada", "bob"]);
    let either = Filter::AnyOf(vec![term(name("ada")), term(name("bob")), term(name("eve"))]);
    assert_eq!(world.names(either.clone()).await, ["ada", "bob"]);
    assert_eq!(world.names(Filter::AllOf(vec![either, term(UserTerm::ProvisionedActive(true))])).await, ["ada"]);
}

#[rstest]
#[tokio::test]
async fn a_walk_by_token_sees_each_user_once(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let mut expected = Vec::new();
    for number in 0..7 {
        expected.push(world.user(&format!("user{number}")).await.id);
    }
    let (mut seen, mut start) = (Vec::new(), PageStart::Skip(0));
    loop {
        let page = world.list(None, start, 3).await;
        seen.extend(page.rows.iter().map(|user| user.id));
        if !page.more {
            break;
        }
        start = PageStart::After(page.rows.last().unwrap().id.uuid());
    }
    assert_eq!(seen, expected);
}

#[rstest]
#[tokio::test]
async fn d12_a_walk_by_index_misses_no_live_user_while_others_are_deleted(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let mut ids = Vec::new();
    for number in 0..40 {
        ids.push(world.user(&format!("user{number}")).await.id);
    }
    // Some were deleted before the walk, in front of all that live.
    for id in &ids[..4] {
        world.delete(*id).await;
    }
    let (mut seen, mut index) = (BTreeSet::new(), 0);
    loop {
        let page = world.list(None, PageStart::Skip(index), 5).await;
        if page.rows.is_empty() {
            break;
        }
        seen.extend(page.rows.iter().map(|user| user.id));
        // The first of each page goes while the client walks on, which moves every later one up.
        world.delete(page.rows[0].id).await;
        index += page.rows.len() as u64;
        if index >= page.total.unwrap() {
            break;
        }
    }
    assert_eq!(seen, ids[4..].iter().copied().collect());
}

#[rstest]
#[tokio::test]
async fn the_count_is_exact_alone_on_the_last_page_and_behind_the_end(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let mut ids = Vec::new();
    for number in 0..6 {
        ids.push(world.user(&format!("user{number}")).await.id);
    }
    world.delete(ids[2]).await;
    for (skip, size, rows) in [(0, 0, 0), (0, 10, 5), (0, 5, 5), (100, 5, 0), (100, 0, 0)] {
        let page = world.list(None, PageStart::Skip(skip), size).await;
        assert_eq!((page.rows.len(), page.total, page.more), (rows, Some(5), false), "skip {skip} size {size}");
    }
    let active = Filter::Term(UserTerm::ProvisionedActive(true));
    for (skip, size, rows) in [(0, 0, 0), (0, 2, 2), (4, 2, 1), (9, 2, 0)] {
        let page = world.list(Some(active.clone()), PageStart::Skip(skip), size).await;
        assert_eq!((page.rows.len(), page.total), (rows, Some(5)), "skip {skip} size {size}");
    }
}

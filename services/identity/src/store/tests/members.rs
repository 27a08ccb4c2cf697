//! Members of groups: deltas, unknown ids, and many clients at once.

use std::collections::BTreeSet;

use database::testing::Engine::{self, Postgres, Sqlite};
use ids::{GroupId, UserId};
use rstest::rstest;

use super::{
    World, directory,
    filters::{element, is},
    group, tenant, user,
};
use crate::{
    domain::{Error, GroupChange},
    store::{ChangeGroup, DeleteUser, ListMembers},
};

impl World {
    async fn change(&self, group: GroupId, change: GroupChange) -> Result<i64, Error> {
        let change = ChangeGroup { group, changes: vec![change], expected_version: None };
        self.store.change_group(&self.directory(), change).await.map(|group| group.version)
    }

    async fn members(&self, group: GroupId) -> BTreeSet<String> {
        let list = ListMembers { group, after: None, size: 100_000 };
        let members = self.store.list_members(self.tenant, &list).await.unwrap();
        members.iter().map(|member| member.user.to_string()).collect()
    }

    async fn users(&self, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        for number in 0..count {
            ids.push(self.user(&format!("user{number}")).await.id.to_string());
        }
        ids
    }
}

fn set(ids: &[String]) -> BTreeSet<String> {
    ids.iter().cloned().collect()
}

#[rstest]
#[tokio::test]
async fn each_kind_of_change_leaves_exactly_its_members(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let users = world.users(4).await;
    let ops = world.group("Ops", &users[..1]).await.id;
    assert_eq!(world.members(ops).await, set(&users[..1]));
    world.change(ops, GroupChange::AddMembers(users[1..3].to_vec())).await.unwrap();
    assert_eq!(world.members(ops).await, set(&users[..3]));
    world.change(ops, GroupChange::RemoveMembers(users[..1].to_vec())).await.unwrap();
    assert_eq!(world.members(ops).await, set(&users[1..3]));
    world.change(ops, GroupChange::ReplaceMembers(users[2..].to_vec())).await.unwrap();
    assert_eq!(world.members(ops).await, set(&users[2..]));
    world.change(ops, GroupChange::ClearMembers).await.unwrap();
    assert_eq!(world.members(ops).await, BTreeSet::new());
}

#[rstest]
#[tokio::test]
async fn adding_the_present_and_removing_the_absent_change_nothing(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let users = world.users(2).await;
    let ops = world.group("Ops", &users[..1]).await.id;
    assert_eq!(world.change(ops, GroupChange::AddMembers(users[..1].to_vec())).await, Ok(1));
    assert_eq!(world.change(ops, GroupChange::RemoveMembers(users[1..].to_vec())).await, Ok(1));
    // R16: removing any id succeeds, even what is no id at all.
    let strange = vec!["no id".to_owned(), UserId::generate().to_string()];
    assert_eq!(world.change(ops, GroupChange::RemoveMembers(strange)).await, Ok(1));
    // Twice in one call is once.
    let twice = vec![users[1].clone(), users[1].clone()];
    assert_eq!(world.change(ops, GroupChange::AddMembers(twice)).await, Ok(2));
    assert_eq!(world.members(ops).await, set(&users));
}

#[rstest]
#[tokio::test]
async fn r16_unknown_ids_are_refused_all_at_once_and_nothing_is_applied(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await.id.to_string();
    let stranger = tenant(&world.store, "globex").await;
    let foreign = world.store.create_user(&directory(stranger), user("bob")).await.unwrap().id.to_string();
    let ops = world.group("Ops", &[]).await.id;
    let (never, nonsense) = (UserId::generate().to_string(), "x".repeat(300));
    let mut bad = vec![never, nonsense, foreign];
    let mut changes = vec![GroupChange::AddMembers(vec![ada.clone()])];
    changes.extend(bad.iter().map(|id| GroupChange::AddMembers(vec![id.clone()])));
    let change = ChangeGroup { group: ops, changes, expected_version: None };
    bad.sort();
    assert_eq!(
        world.store.change_group(&world.directory(), change).await.unwrap_err(),
        Error::UnknownMembers { ids: bad.clone() }
    );
    assert_eq!(world.members(ops).await, BTreeSet::new());
    let created = world.store.create_group(&world.directory(), group("New", &bad)).await.unwrap_err();
    assert_eq!(created, Error::UnknownMembers { ids: bad });
}

#[rstest]
#[tokio::test]
async fn r16_a_group_among_the_members_is_refused_as_such(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let (ops, inner) = (world.group("Ops", &[]).await.id, world.group("Inner", &[]).await.id.to_string());
    let refused = world.change(ops, GroupChange::AddMembers(vec![inner.clone()])).await;
    assert_eq!(refused, Err(Error::NestedGroups { ids: vec![inner.clone()] }));
    let mut both = vec![inner, "nobody".to_owned()];
    both.sort();
    let refused = world.change(ops, GroupChange::AddMembers(both.clone())).await;
    assert_eq!(refused, Err(Error::UnknownMembers { ids: both }));
}

#[rstest]
#[tokio::test]
async fn r16_an_inactive_user_is_a_member_and_a_deleted_one_is_kept_hidden(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let users = world.users(2).await;
    let ids: Vec<UserId> = users.iter().map(|id| id.parse().unwrap()).collect();
    world.store.suspend_user(&world.administrator(), ids[0]).await.unwrap();
    world.store.delete_user(&world.directory(), DeleteUser { user: ids[1], expected_version: None }).await.unwrap();
    let ops = world.group("Ops", &[]).await.id;
    world.change(ops, GroupChange::AddMembers(users.clone())).await.unwrap();
    assert_eq!(world.members(ops).await, set(&users[..1]));
    let having = async |member: UserId| {
        world.groups_matching(world.tenant, element("members", is("user_id", member))).await.len()
    };
    assert_eq!((having(ids[0]).await, having(ids[1]).await), (1, 0));
    world.store.restore_user(&world.administrator(), ids[1]).await.unwrap();
    assert_eq!(world.members(ops).await, set(&users));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn sixteen_clients_at_one_group_leave_the_exact_set(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let users = world.users(32).await;
    let (staying, leaving) = users.split_at(16);
    let ops = world.group("Ops", leaving).await.id;
    // Each client adds its own user and removes another, with a third that all of them fight over in both orders.
    let contended = &staying[0];
    let clients = (0..16).map(|client| {
        let (mine, gone) = (staying[client].clone(), leaving[client].clone());
        let both = if client % 2 == 0 { vec![mine, contended.clone()] } else { vec![contended.clone(), mine] };
        let world = &world;
        async move {
            world.change(ops, GroupChange::AddMembers(both)).await.unwrap();
            world.change(ops, GroupChange::RemoveMembers(vec![gone])).await.unwrap();
        }
    });
    futures::future::join_all(clients).await;
    assert_eq!(world.members(ops).await, set(staying));
    // 16 changes joined somebody new at most, 16 removed somebody; a change that did nothing raised nothing.
    let changes = world.changes().await;
    let count = |kind: &str| changes.iter().filter(|change| *change == kind).count();
    assert_eq!((count("member.added"), count("member.removed")), (16 + 16, 16));
}

#[rstest]
#[tokio::test]
async fn more_members_than_one_statement_holds(#[values(Sqlite, Postgres)] engine: Engine) {
    use crate::store::tx::ROWS_PER_STATEMENT;
    let Some(world) = World::open(engine).await else { return };
    let caller = world.directory();
    let mut users = Vec::new();
    // No more at once than find a connection in time on a machine that is busy with other tests.
    for begin in (0..=ROWS_PER_STATEMENT).step_by(100) {
        let creates = (begin..=ROWS_PER_STATEMENT.min(begin + 99))
            .map(|number| world.store.create_user(&caller, user(&format!("user{number}"))));
        let created = futures::future::join_all(creates).await;
        users.extend(created.into_iter().map(|user| user.unwrap().id.to_string()));
    }
    let ops = world.group("Ops", &users).await.id;
    assert_eq!(world.members(ops).await.len(), users.len());
    world.change(ops, GroupChange::RemoveMembers(users)).await.unwrap();
    assert_eq!(world.members(ops).await.len(), 0);
}

#[rstest]
#[tokio::test]
async fn r05_the_members_of_a_group_are_not_seen_from_another_tenant(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await.id;
    let ops = world.group("Ops", &[ada.to_string()]).await.id;
    let stranger = tenant(&world.store, "globex").await;
    let list = ListMembers { group: ops, after: None, size: 10 };
    assert_eq!(world.store.list_members(stranger, &list).await.unwrap_err(), Error::NotFound("group"));
    let matching = world.groups_matching(stranger, element("members", is("user_id", ada))).await;
    assert_eq!(matching, [""; 0]);
}

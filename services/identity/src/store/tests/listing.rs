//! Lists: tokens, and walks by index while users are deleted, in any order and under any filter.

use std::collections::BTreeSet;

use database::testing::Engine::{self, Postgres, Sqlite};
use ids::UserId;
use rstest::rstest;

use super::{
    World, catalogue,
    filters::{Asked, by, equals},
    user,
};
use crate::{
    domain::{Listed, Order, PageStart, Profile, Selection, Slice, User, UserDraft},
    store::DeleteUser,
};

impl World {
    async fn list(&self, selection: &Selection, start: PageStart, size: u64) -> Listed<User> {
        self.store.list_users(self.tenant, selection, Slice { start, size }).await.unwrap()
    }

    async fn delete(&self, user: UserId) {
        self.store.delete_user(&self.directory(), DeleteUser { user, expected_version: None }).await.unwrap();
    }

    /// Users whose titles repeat, and are absent here and there.
    async fn titled(&self, count: usize) -> Vec<UserId> {
        let mut ids = Vec::new();
        for number in 0..count {
            let title = (number % 4 != 0).then(|| format!("title {}", number * 7 % 5));
            let profile = Profile { title, ..Profile::default() };
            let draft = UserDraft { profile, display_name: None, ..user(&format!("user{number:02}")) };
            ids.push(self.store.create_user(&self.directory(), draft).await.unwrap().id);
        }
        ids
    }
}

fn everything(order: Order) -> Selection {
    Selection { filter: None, order }
}

fn active(order: Order) -> Selection {
    let filter = Asked::Boolean("provisioned_active", true).build(&|path| catalogue().field(path).unwrap());
    Selection { filter: Some(filter), order }
}

fn selections() -> Vec<Selection> {
    let mut selections = vec![everything(Order::BY_ID), active(Order::BY_ID)];
    for path in ["user_name", "display_name", "profile.title", "create_time", "id", "profile.emails.value"] {
        selections.extend([false, true].map(|descending| everything(by(path, descending))));
    }
    selections.push(active(by("profile.title", true)));
    selections
}

#[rstest]
#[tokio::test]
async fn a_walk_by_token_sees_each_user_once_in_order(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let count = world.titled(11).await.len();
    for selection in selections() {
        let whole = world.list(&selection, PageStart::Skip(0), 100).await;
        assert_eq!((whole.rows.len(), whole.next), (count, None));
        let (mut seen, mut start) = (Vec::new(), PageStart::Skip(0));
        loop {
            let page = world.list(&selection, start, 3).await;
            seen.extend(page.rows.iter().map(|user| user.id));
            let Some(next) = page.next else { break };
            start = PageStart::After(next);
        }
        assert_eq!(seen, whole.rows.iter().map(|user| user.id).collect::<Vec<_>>(), "{selection:?}");
        // By index the walk is the same.
        let by_index = world.list(&selection, PageStart::Skip(4), 100).await;
        assert_eq!(by_index.rows.iter().map(|user| user.id).collect::<Vec<_>>(), seen[4..], "{selection:?}");
    }
}

#[rstest]
#[tokio::test]
async fn d12_a_walk_by_index_misses_no_live_user_while_others_are_deleted(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let mut live: BTreeSet<UserId> = world.titled(60).await.into_iter().collect();
    for selection in [
        everything(Order::BY_ID),
        active(Order::BY_ID),
        everything(by("profile.title", true)),
        active(by("user_name", false)),
    ] {
        // Some were deleted before the walk, in front of all that live.
        for first in world.list(&selection, PageStart::Skip(0), 2).await.rows {
            live.remove(&first.id);
            world.delete(first.id).await;
        }
        let (mut seen, mut gone, mut index) = (BTreeSet::new(), BTreeSet::new(), 0);
        loop {
            let page = world.list(&selection, PageStart::Skip(index), 5).await;
            let Some(first) = page.rows.first() else { break };
            seen.extend(page.rows.iter().map(|user| user.id));
            // The first of each page goes while the client walks on, which moves every later one up.
            world.delete(first.id).await;
            gone.insert(first.id);
            index += page.rows.len() as u64;
            if index >= page.total.unwrap() {
                break;
            }
        }
        assert_eq!(seen, live, "{selection:?}");
        live = live.difference(&gone).copied().collect();
    }
}

#[rstest]
#[tokio::test]
async fn the_count_is_exact_alone_on_the_last_page_and_behind_the_end(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ids = world.titled(6).await;
    world.delete(ids[2]).await;
    for selection in [everything(Order::BY_ID), active(Order::BY_ID), active(by("profile.title", true))] {
        for (skip, size, rows) in [(0, 0, 0), (0, 10, 5), (0, 5, 5), (100, 5, 0), (100, 0, 0), (5, 9, 1), (1, 0, 0)] {
            let page = world.list(&selection, PageStart::Skip(skip), size).await;
            assert_eq!((page.rows.len(), page.total), (rows, Some(5)), "skip {skip} size {size}");
            assert_eq!(page.next, None);
        }
        // Before the last page it may count the one that was deleted.
        let page = world.list(&selection, PageStart::Skip(0), 2).await;
        assert_eq!((page.rows.len(), page.total), (2, Some(6)));
    }
    let one = Selection {
        filter: Some(equals("user_name", "USER01").build(&|path| catalogue().field(path).unwrap())),
        order: Order::BY_ID,
    };
    let page = world.list(&one, PageStart::Skip(0), 1).await;
    assert_eq!((page.rows.len(), page.total, page.next), (1, Some(1), None));
}

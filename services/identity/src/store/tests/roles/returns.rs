//! Who comes back under a leaver's name (rule R18).

use database::testing::Engine::{self, Postgres, Sqlite};
use ids::UserId;
use rstest::rstest;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};

use super::harness::{noted, with_roles};
use crate::{
    domain::{ExternalId, Timestamp, UserDraft, WriteNote},
    store::{entity::user as user_row, tests::World},
};

const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

impl World {
    /// Makes it that a user has been without access for so long.
    async fn has_been_away(&self, user: UserId, time_us: i64) {
        let ended = Timestamp::now().0 - time_us;
        let done = self.store.database.write(move |tx| {
            Box::pin(async move {
                let columns = user_row::ActiveModel { access_ended_at_us: Set(Some(ended)), ..Default::default() };
                user_row::Entity::update_many()
                    .set(columns)
                    .filter(user_row::Column::Id.eq(user.uuid()))
                    .exec(tx)
                    .await?;
                Ok::<_, database::Error<()>>(())
            })
        });
        done.await.unwrap();
    }
}

fn known_as(external_id: &str, active: bool) -> UserDraft {
    let external_id = Some(external_id).filter(|id| !id.is_empty());
    let external_id = external_id.map(|id| ExternalId::parse(id.to_owned()).unwrap());
    UserDraft { external_id, ..with_roles("ada", active, &[]) }
}

#[rstest]
#[case::in_time_under_the_same_id("e1", "e1", "e1", 30 * DAY_US - 1_000_000_000, false)]
#[case::in_time_without_one("", "", "", DAY_US, false)]
#[case::late("e1", "e1", "e1", 30 * DAY_US + 1_000_000, true)]
#[case::under_another_id("e1", "e1", "e2", DAY_US, true)]
#[case::under_an_id_where_there_was_none("", "", "e1", DAY_US, true)]
#[case::that_lost_its_id("e1", "e1", "", DAY_US, true)]
#[case::whose_id_was_changed_before_leaving("e0", "e1", "e1", DAY_US, false)]
#[tokio::test]
async fn r18_possibly_another_person_is_held_until_confirmed(
    #[values(Sqlite, Postgres)] engine: Engine,
    #[case] hired_as: &str,
    #[case] left_as: &str,
    #[case] back_as: &str,
    #[case] away_us: i64,
    #[case] held: bool,
) {
    let Some(world) = World::open(engine).await else { return };
    let directory = world.directory();
    let ada = world.store.create_user(&directory, known_as(hired_as, true)).await.unwrap().id;
    let ops = world.group("Ops", &[ada.to_string()]).await.id;
    world.map(ops, "developer").await.unwrap();
    world.set_role(ada, "admin").await.unwrap();
    let root = world.user("root").await.id;
    world.set_role(root, "admin").await.unwrap();
    world.says(ada, known_as(left_as, false)).await;
    world.has_been_away(ada, away_us).await;
    world.replace_as(&directory, ada, known_as(back_as, true)).await.unwrap();
    assert_eq!(noted(&directory).contains(&WriteNote::RolesHeld), held);
    let user = world.store.user(world.tenant, ada).await.unwrap();
    assert_eq!((user.roles_held_at.is_some(), user.active()), (held, true));
    let expected = if held { "explorer by default" } else { "admin by manual" };
    assert_eq!(world.role_of(ada).await, expected);
    if held {
        // Whose roles are held is no admin to go by.
        assert_eq!(world.clear_role(root).await, Err(crate::domain::Error::LastAdmin));
        assert_eq!(user.role_assignments.len(), 2, "they show all the same");
    }
    let confirmed = world.store.confirm_user_roles(&world.administrator(), ada).await.unwrap();
    assert_eq!((confirmed.roles_held_at, world.role_of(ada).await.as_str()), (None, "admin by manual"));
    let told = world.told(ada).await;
    assert_eq!(told.last().unwrap().rsplit(" -> ").next().unwrap(), "admin by manual", "{told:?}");
    // Confirmed once, and again.
    let again = world.store.confirm_user_roles(&world.administrator(), ada).await.unwrap();
    assert_eq!(again.version, confirmed.version);
}

#[rstest]
#[tokio::test]
async fn r18_nothing_is_held_of_somebody_who_has_nothing_above_the_default(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await.id;
    world.set_role(ada, "viewer").await.unwrap();
    world.says(ada, known_as("e1", false)).await;
    world.says(ada, known_as("e2", true)).await;
    assert_eq!(world.store.user(world.tenant, ada).await.unwrap().roles_held_at, None);
    assert_eq!(world.role_of(ada).await, "viewer by manual");
    world.set_role(ada, "developer").await.unwrap();
    assert_eq!(world.role_of(ada).await, "developer by manual");
}

#[rstest]
#[tokio::test]
async fn r18_an_administrator_who_restores_knows_whom(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await.id;
    world.set_role(ada, "developer").await.unwrap();
    world.delete_as(&world.directory(), ada).await.unwrap();
    world.has_been_away(ada, 29 * DAY_US).await;
    world.store.restore_user(&world.administrator(), ada).await.unwrap();
    assert_eq!(world.role_of(ada).await, "developer by manual");
    // And what was before does not count when the person leaves the next time.
    world.says(ada, known_as("", false)).await;
    world.says(ada, known_as("", true)).await;
    assert_eq!(world.role_of(ada).await, "developer by manual");
}

#[rstest]
#[tokio::test]
async fn r18_who_was_hired_ahead_is_held_under_another_id_and_not_for_waiting(
    #[values(Sqlite, Postgres)] engine: Engine,
    #[values(false, true)] another: bool,
) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.store.create_user(&world.directory(), known_as("e1", false)).await.unwrap().id;
    world.set_role(ada, "developer").await.unwrap();
    world.says(ada, known_as(if another { "e2" } else { "e1" }, true)).await;
    let role = if another { "explorer by default" } else { "developer by manual" };
    assert_eq!(world.role_of(ada).await, role);
}

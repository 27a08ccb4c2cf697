//! The alarm for a directory that takes access from many people at once (rule R19).

use database::testing::Engine::{self, Postgres, Sqlite};
use ids::UserId;
use rstest::rstest;

use super::{World, audit, no_reason, user};
use crate::{
    domain::{Caller, DeactivationAlarm, Error, ProvisioningState, UserDraft, WriteNote},
    store::{DeleteUser, ReplaceUser},
};

impl World {
    async fn people(&self, count: usize) -> Vec<UserId> {
        let mut people = Vec::new();
        for number in 0..count {
            people.push(self.user(&format!("u{number}")).await.id);
        }
        people
    }

    async fn alarm(&self, percent: i32, pauses: bool) {
        let alarm = DeactivationAlarm::parse(percent, pauses).unwrap();
        self.store.set_deactivation_alarm(&self.administrator(), alarm).await.unwrap();
    }

    /// Lets the directory disable the n-th person, and answers what it was told of it.
    async fn disable(&self, people: &[UserId], number: usize) -> Result<Vec<WriteNote>, Error> {
        let directory = self.directory();
        let draft = UserDraft { provisioned_active: Some(false), ..user(&format!("u{number}")) };
        let replace = ReplaceUser { user: people[number], draft, expected_version: None };
        self.store.replace_user(&directory, replace).await?;
        Ok(directory.notes.take())
    }

    async fn enable(&self, caller: &Caller, people: &[UserId], number: usize) {
        let draft = UserDraft { provisioned_active: Some(true), ..user(&format!("u{number}")) };
        let replace = ReplaceUser { user: people[number], draft, expected_version: None };
        self.store.replace_user(caller, replace).await.unwrap();
    }
}

#[rstest]
#[tokio::test]
async fn r19_who_disables_a_fifth_is_warned_of_once(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let people = world.people(50).await;
    for number in 0..10 {
        assert_eq!(world.disable(&people, number).await.unwrap(), [], "10 of 50 are a fifth and no more");
    }
    // Who was given access again has not lost it.
    world.enable(&world.directory(), &people, 9).await;
    assert_eq!(world.disable(&people, 10).await.unwrap(), []);
    let directory = world.directory();
    world.store.delete_user(&directory, DeleteUser { user: people[11], expected_version: None }).await.unwrap();
    assert_eq!(directory.notes.take(), [WriteNote::MassDeactivation { ended: 11, users: 50, paused: false }]);
    let tenant = world.store.tenant(world.tenant).await.unwrap();
    assert!(tenant.deactivation_alarm.rang_at.is_some());
    assert_eq!(tenant.provisioning_state, ProvisioningState::On, "it warns at first");
    assert_eq!(world.changes().await.last().unwrap(), "tenant.changed");
    // Not at every one that follows.
    assert_eq!(world.disable(&people, 12).await.unwrap(), []);
}

#[rstest]
#[tokio::test]
async fn r19_where_the_tenant_chose_so_the_write_that_rings_is_the_last(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let people = world.people(40).await;
    world.alarm(30, true).await;
    for number in 0..12 {
        assert_eq!(world.disable(&people, number).await.unwrap(), []);
    }
    let rung = [WriteNote::MassDeactivation { ended: 13, users: 40, paused: true }];
    assert_eq!(world.disable(&people, 12).await.unwrap(), rung);
    assert!(!world.store.user(world.tenant, people[12]).await.unwrap().active(), "what was answered is done");
    let refused = world.disable(&people, 13).await.unwrap_err();
    let Error::ProvisioningPaused { reason } = refused else { panic!("{refused:?}") };
    assert_eq!(reason.as_str(), "13 of 40 people lost access within an hour");
    // It is an act upon the provisioning state, by whomever.
    let (entries, _) = audit::log(&world).await;
    let last = entries.last().unwrap();
    assert_eq!((&*last.actor, last.content.after.as_map()["provisioning"].as_str()), ("key:directory", "paused"));
    audit::verify(&world, &audit::log(&world).await).check_erasures().unwrap();

    // Who turns it on again meant those who had left, and is warned of as many more.
    let on = ProvisioningState::On;
    world.store.set_provisioning_state(&world.administrator(), on, no_reason()).await.unwrap();
    for number in 13..22 {
        assert_eq!(world.disable(&people, number).await.unwrap(), []);
    }
    let rung = [WriteNote::MassDeactivation { ended: 10, users: 27, paused: true }];
    assert_eq!(world.disable(&people, 22).await.unwrap(), rung);
}

#[rstest]
#[tokio::test]
async fn no_alarm_rings_for_an_administrator_or_where_it_is_off(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let people = world.people(24).await;
    let administrator = world.administrator();
    for user in &people[..11] {
        world.store.delete_user(&administrator, DeleteUser { user: *user, expected_version: None }).await.unwrap();
    }
    assert_eq!(administrator.notes.take(), []);
    assert_eq!(world.store.tenant(world.tenant).await.unwrap().deactivation_alarm.rang_at, None);
    world.alarm(0, true).await;
    for number in 11..24 {
        assert_eq!(world.disable(&people, number).await.unwrap(), []);
    }
}

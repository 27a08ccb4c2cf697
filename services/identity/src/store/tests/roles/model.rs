//! Random acts by an administrator and a directory, beside a small model of who has which role (rules R20, R21, R22).

use std::collections::{BTreeMap, BTreeSet};

use database::testing::Engine::{self, Postgres, Sqlite};
use ids::{GroupId, UserId};
use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any, prop_oneof},
    sample::select,
    strategy::ValueTree,
    test_runner::TestRunner,
};
use rstest::rstest;
use uuid::Uuid;

use super::harness::{role, with_roles};
use crate::{
    domain::{Error, ExternalId, GroupChange, GroupName},
    store::tests::World,
};

const USERS: usize = 3;
const GROUPS: usize = 2;
/// How many acts one run makes.
const ACTS: usize = 400;

const ROLES: &[&str] = &["admin", "developer", "explorer", "viewer", "ops"];
/// What a directory sends: roles in any case, one that may be added, and one that never is.
const VALUES: &[&str] = &["Admin", "DEVELOPER", "viewer", "Ops", "Wizard"];
const NAMES: &[&str] = &["Red", "RED", "Blue", "Green"];
const EXTERNAL_IDS: &[&str] = &["e1", "e2"];

#[derive(Clone, Debug)]
enum Act {
    Set(usize, &'static str),
    Clear(usize),
    Say(usize, bool, Vec<&'static str>),
    Suspend(usize),
    Restore(usize),
    Join(usize, usize),
    Leave(usize, usize),
    Empty(usize),
    Rename(usize, &'static str),
    Move(usize, &'static str),
    Map(usize, &'static str),
    MapName(&'static str, &'static str),
    Unmap(usize),
    Default(&'static str),
    DirectoryAdmin(bool),
    Add(i32),
    Delete,
}

fn act() -> impl Strategy<Value = Act> {
    let (user, group) = (|| 0..USERS, || 0..GROUPS);
    let (any_role, name) = (|| select(ROLES), || select(NAMES));
    prop_oneof![
        4 => (user(), any_role()).prop_map(|(user, role)| Act::Set(user, role)),
        3 => user().prop_map(Act::Clear),
        6 => (user(), any::<bool>(), vec(select(VALUES), 0..3)).prop_map(|(user, active, values)| Act::Say(user, active, values)),
        1 => user().prop_map(Act::Suspend),
        2 => user().prop_map(Act::Restore),
        5 => (user(), group()).prop_map(|(user, group)| Act::Join(user, group)),
        2 => (user(), group()).prop_map(|(user, group)| Act::Leave(user, group)),
        1 => group().prop_map(Act::Empty),
        3 => (group(), name()).prop_map(|(group, name)| Act::Rename(group, name)),
        2 => (group(), select(EXTERNAL_IDS)).prop_map(|(group, id)| Act::Move(group, id)),
        3 => (group(), any_role()).prop_map(|(group, role)| Act::Map(group, role)),
        3 => (name(), any_role()).prop_map(|(name, role)| Act::MapName(name, role)),
        3 => (0..6_usize).prop_map(Act::Unmap),
        1 => any_role().prop_map(Act::Default),
        1 => any::<bool>().prop_map(Act::DirectoryAdmin),
        1 => (1..400).prop_map(Act::Add),
        1 => Just(Act::Delete),
    ]
}

#[derive(Clone, Debug, Default)]
struct Person {
    active: bool,
    suspended: bool,
    manual: Option<&'static str>,
    values: Vec<&'static str>,
    groups: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
struct Mapping {
    role: &'static str,
    group: Result<usize, &'static str>,
    external_id: Option<&'static str>,
}

/// What should be. Ids of mappings are the store's.
#[derive(Clone, Debug)]
struct Model {
    people: Vec<Person>,
    groups: Vec<(&'static str, Option<&'static str>)>,
    mappings: BTreeMap<usize, Mapping>,
    next: usize,
    default: &'static str,
    directory_admin: bool,
    ops: Option<i32>,
}

impl Model {
    fn rank(&self, role: &str) -> Option<i32> {
        match role {
            "admin" => Some(400),
            "developer" => Some(300),
            "explorer" => Some(200),
            "viewer" => Some(100),
            "ops" => self.ops,
            _ => None,
        }
    }

    /// The highest, and the first by name where two are as high.
    fn highest(&self, roles: impl Iterator<Item = String>) -> Option<String> {
        let known = roles.filter_map(|role| Some((self.rank(&role)?, std::cmp::Reverse(role))));
        known.max().map(|(_, std::cmp::Reverse(role))| role)
    }

    fn role(&self, person: usize) -> String {
        let person = &self.people[person];
        if !person.active || person.suspended {
            return "none".to_owned();
        }
        if let Some(manual) = person.manual {
            return manual.to_owned();
        }
        let values = person.values.iter().map(|value| value.to_lowercase());
        if let Some(highest) = self.highest(values.filter(|value| value != "admin" || self.directory_admin)) {
            return highest;
        }
        // Where two mapped roles are as high, the older mapping counts; the model has them in that order.
        let mut best: Option<(i32, &str)> = None;
        for mapping in self.mappings.values() {
            let is_member = person.groups.iter().any(|group| self.leads_to(mapping, *group));
            if let Some(rank) = self.rank(mapping.role).filter(|_| is_member)
                && best.is_none_or(|(highest, _)| rank > highest)
            {
                best = Some((rank, mapping.role));
            }
        }
        best.map_or(self.default, |(_, role)| role).to_owned()
    }

    fn leads_to(&self, mapping: &Mapping, group: usize) -> bool {
        let (name, external_id) = self.groups[group];
        match mapping.group {
            Ok(id) => id == group && (mapping.role != "admin" || mapping.external_id == external_id),
            Err(mapped) => mapped.eq_ignore_ascii_case(name),
        }
    }

    fn has_admin(&self) -> bool {
        (0..USERS).any(|person| self.role(person) == "admin")
    }

    /// What is after an act; nothing where it is refused whoever acts.
    fn after(&self, act: &Act) -> Option<Self> {
        let mut next = self.clone();
        let knows = |role: &str| self.rank(role).is_some();
        match act {
            Act::Set(person, role) if knows(role) => next.people[*person].manual = Some(role),
            Act::Clear(person) => next.people[*person].manual = None,
            Act::Say(person, active, values) => {
                next.people[*person].active = *active;
                next.people[*person].values.clone_from(values);
            }
            Act::Suspend(person) => next.people[*person].suspended = true,
            Act::Restore(person) => next.people[*person].suspended = false,
            Act::Join(person, group) => next.people[*person].groups.extend([*group]),
            Act::Leave(person, group) => next.people[*person].groups.retain(|other| other != group),
            Act::Empty(group) => next.people.iter_mut().for_each(|person| person.groups.retain(|other| other != group)),
            Act::Rename(group, name) => {
                let taken =
                    |(other, (held, _)): (usize, &(&str, _))| other != *group && held.eq_ignore_ascii_case(name);
                if self.groups.iter().enumerate().any(taken) {
                    return None;
                }
                next.groups[*group].0 = name;
            }
            Act::Move(group, external_id) => next.groups[*group].1 = Some(external_id),
            Act::Map(group, role) if knows(role) => next.map(Ok(*group), role)?,
            Act::MapName(name, role) if knows(role) && *role != "admin" => next.map(Err(name), role)?,
            Act::Unmap(number) => {
                let key = *next.mappings.keys().nth(*number)?;
                next.mappings.remove(&key);
            }
            Act::Default(role) if knows(role) && *role != "admin" => next.default = role,
            Act::DirectoryAdmin(counts) => next.directory_admin = *counts,
            Act::Add(rank) if self.ops.is_none() => next.ops = Some(*rank),
            Act::Delete => {
                let by_hand = self.people.iter().any(|person| person.manual == Some("ops"));
                let mapped = self.mappings.values().any(|mapping| mapping.role == "ops");
                if self.ops.is_none() || by_hand || mapped || self.default == "ops" {
                    return None;
                }
                next.ops = None;
            }
            Act::Set(..) | Act::Map(..) | Act::MapName(..) | Act::Default(_) | Act::Add(_) => return None,
        }
        Some(next)
    }

    fn map(&mut self, group: Result<usize, &'static str>, role: &'static str) -> Option<()> {
        let same = |one: &Mapping| match (one.group, group) {
            (Ok(one), Ok(other)) => one == other,
            (Err(one), Err(other)) => one.eq_ignore_ascii_case(other),
            (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
        };
        if self.mappings.values().any(|mapping| mapping.role == role && same(mapping)) {
            return None;
        }
        let external_id = group.ok().and_then(|group| self.groups[group].1);
        self.mappings.insert(self.next, Mapping { role, group, external_id });
        self.next += 1;
        Some(())
    }
}

struct Stage {
    world: World,
    people: Vec<UserId>,
    groups: Vec<GroupId>,
    mappings: BTreeMap<usize, Uuid>,
}

impl Stage {
    /// Whether the act is done by the directory, where it can be.
    async fn act(&mut self, model: &Model, act: &Act, by_directory: bool) -> Result<(), Error> {
        let world = &self.world;
        let admin = world.administrator();
        let actor = if by_directory { world.directory() } else { admin.clone() };
        let change = async |group: usize, change| world.change_as(&actor, self.groups[group], change).await;
        let member = |person: &usize| vec![self.people[*person].to_string()];
        match act {
            Act::Set(person, role) => world.set_role(self.people[*person], role).await,
            Act::Clear(person) => world.clear_role(self.people[*person]).await,
            Act::Say(person, active, values) => {
                let draft = with_roles(&format!("user{person}"), *active, values);
                world.replace_as(&actor, self.people[*person], draft).await
            }
            Act::Suspend(person) => world.store.suspend_user(&admin, self.people[*person]).await.map(drop),
            Act::Restore(person) => world.store.restore_user(&admin, self.people[*person]).await.map(drop),
            Act::Join(person, group) => change(*group, GroupChange::AddMembers(member(person))).await,
            Act::Leave(person, group) => change(*group, GroupChange::RemoveMembers(member(person))).await,
            Act::Empty(group) => change(*group, GroupChange::ClearMembers).await,
            Act::Rename(group, name) => {
                change(*group, GroupChange::SetDisplayName(GroupName::parse((*name).to_owned()).unwrap())).await
            }
            Act::Move(group, id) => {
                change(*group, GroupChange::SetExternalId(Some(ExternalId::parse((*id).to_owned()).unwrap()))).await
            }
            Act::Map(group, role) => self.mapped(model, world.map(self.groups[*group], role).await?.value),
            Act::MapName(name, role) => self.mapped(model, world.map_name(name, role).await?.value),
            Act::Unmap(number) => {
                let Some(key) = model.mappings.keys().nth(*number) else { return Err(Error::NotFound("role mapping")) };
                world.unmap(self.mappings[key]).await.map(drop)
            }
            Act::Default(role) => world.set_default(role).await.map(drop),
            Act::DirectoryAdmin(counts) => world.directory_admin(*counts).await.map(drop),
            Act::Add(rank) => world.add_role("ops", *rank).await,
            Act::Delete => world.store.delete_role(&admin, role("ops")).await,
        }
    }

    fn mapped(&mut self, model: &Model, id: Uuid) -> Result<(), Error> {
        self.mappings.insert(model.next, id);
        Ok(())
    }
}

/// Whether a directory can do it too.
const fn is_a_directorys(act: &Act) -> bool {
    matches!(act, Act::Say(..) | Act::Join(..) | Act::Leave(..) | Act::Empty(_) | Act::Rename(..) | Act::Move(..))
}

#[rstest]
#[tokio::test]
async fn r20_r22_random_acts_leave_the_roles_that_the_rules_say(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let mut stage = Stage { world, people: Vec::new(), groups: Vec::new(), mappings: BTreeMap::new() };
    for number in 0..USERS {
        stage.people.push(stage.world.user(&format!("user{number}")).await.id);
    }
    for name in &NAMES[2..2 + GROUPS] {
        stage.groups.push(stage.world.group(name, &[]).await.id);
    }
    let mut model = Model {
        people: vec![Person { active: true, ..Person::default() }; USERS],
        groups: NAMES[2..2 + GROUPS].iter().map(|name| (*name, None)).collect(),
        mappings: BTreeMap::new(),
        next: 0,
        default: "explorer",
        directory_admin: false,
        ops: None,
    };
    let mut runner = TestRunner::deterministic();
    let acts = (vec((act(), any::<bool>()), ACTS)).new_tree(&mut runner).unwrap().current();
    let (mut refused, mut kept) = (0, 0);
    for (number, (act, directory)) in acts.iter().enumerate() {
        let by_directory = *directory && is_a_directorys(act);
        let done = stage.act(&model, act, by_directory).await;
        let said = || format!("{number}: {act:?} by {by_directory}: {done:?}\nof {:?}\nin {model:#?}", &acts[..number]);
        match model.after(act) {
            None => {
                assert!(done.is_err() && done != Err(Error::LastAdmin), "{}", said());
                refused += 1;
            }
            Some(next) if !by_directory && model.has_admin() && !next.has_admin() => {
                assert_eq!(done, Err(Error::LastAdmin), "{}", said());
                kept += 1;
            }
            Some(next) => {
                assert_eq!(done, Ok(()), "{}", said());
                model = next;
            }
        }
        stage.world.store.work_role_batches().await.unwrap();
        for (person, id) in stage.people.iter().enumerate() {
            let name = |role: &str| role.split(' ').next().unwrap().to_owned();
            let role = stage.world.role_of(*id).await;
            assert_eq!(name(&role), model.role(person), "person {person}, {act:?} in {model:#?}");
            if number % 20 == 0 {
                let told = stage.world.told(*id).await;
                let reached = told.last().map_or("explorer", |told| told.rsplit(" -> ").next().unwrap());
                assert_eq!(name(reached), name(&role), "person {person} {told:?}");
            }
        }
    }
    assert!(refused > 0 && kept > 0 && kept < ACTS / 2, "{refused} {kept}: the acts do not meet what they are to test");
}

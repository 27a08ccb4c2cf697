//! The role in effect over all sources, orders of arrival and reversals (rules R21 and R22).

use database::testing::Engine::{self, Postgres, Sqlite};
use ids::{GroupId, UserId};
use rstest::rstest;
use uuid::Uuid;

use super::harness::{noted, role, with_roles};
use crate::{
    domain::{Error, GroupChange, InvalidField, MappedGroup, RoleOrigin, WriteNote},
    store::{Doing, tests::World},
};

/// Something that happens to ada, who alone is in the tenant at first, and to a group that she is no member of at first.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// An administrator gives a role by hand.
    Sets(&'static str),
    /// And takes it back.
    Clears,
    /// The directory says that she is active, with these roles.
    Says(&'static [&'static str]),
    /// That she is not, with these roles.
    Leaves(&'static [&'static str]),
    /// An administrator takes access away, and gives it back.
    Suspends,
    Restores,
    Joins,
    Quits,
    /// The group is mapped to a role by its id, or by its name.
    Maps(&'static str),
    MapsName(&'static str, &'static str),
    /// The last mapping is taken away.
    Unmaps,
    Renames(&'static str),
    DeletesGroup,
    /// The group has another id in the directory.
    Moves(&'static str),
    Defaults(&'static str),
    DirectoryAdmin(bool),
    AddsRole(&'static str, i32),
    DeletesRole(&'static str),
}

struct Scene {
    world: World,
    ada: UserId,
    group: GroupId,
    mapping: Option<Uuid>,
}

impl Scene {
    async fn open(engine: Engine) -> Option<Self> {
        let world = World::open(engine).await?;
        let (ada, group) = (world.user("ada").await.id, world.group("Ops", &[]).await.id);
        Some(Self { world, ada, group, mapping: None })
    }

    async fn takes(&mut self, step: Step) {
        let (world, ada, group) = (&self.world, self.ada, self.group);
        let admin = world.administrator();
        match step {
            Step::Sets(to) => world.set_role(ada, to).await.unwrap(),
            Step::Clears => world.clear_role(ada).await.unwrap(),
            Step::Says(roles) => world.says(ada, with_roles("ada", true, roles)).await,
            Step::Leaves(roles) => world.says(ada, with_roles("ada", false, roles)).await,
            Step::Suspends => drop(world.store.suspend_user(&admin, ada).await.unwrap()),
            Step::Restores => drop(world.store.restore_user(&admin, ada).await.unwrap()),
            Step::Joins => world.joins(ada, group).await,
            Step::Quits => world.leaves(ada, group).await,
            Step::Maps(to) => self.mapping = Some(world.map(group, to).await.unwrap().value),
            Step::MapsName(name, to) => self.mapping = Some(world.map_name(name, to).await.unwrap().value),
            Step::Unmaps => drop(world.unmap(self.mapping.unwrap()).await.unwrap()),
            Step::Renames(name) => world.is_renamed(group, name).await,
            Step::DeletesGroup => world.delete_group_as(&world.directory(), group).await.unwrap(),
            Step::Moves(id) => {
                let external_id = crate::domain::ExternalId::parse(id.to_owned()).unwrap();
                let change = GroupChange::SetExternalId(Some(external_id));
                world.change_as(&world.directory(), group, change).await.unwrap();
            }
            Step::Defaults(to) => drop(world.set_default(to).await.unwrap()),
            Step::DirectoryAdmin(counts) => drop(world.directory_admin(counts).await.unwrap()),
            Step::AddsRole(id, rank) => world.add_role(id, rank).await.unwrap(),
            Step::DeletesRole(id) => world.store.delete_role(&admin, role(id)).await.unwrap(),
        }
    }
}

/// Each row: a step, and ada's role after it. What the feed has told by the end, after the batches, leads from role to role without a gap.
async fn check(engine: Engine, steps: &[(Step, &str)]) {
    let Some(mut scene) = Scene::open(engine).await else { return };
    // Somebody who is always there: what becomes of ada is not refused.
    let root = scene.world.user("root").await.id;
    scene.world.set_role(root, "admin").await.unwrap();
    let mut last = "explorer by default".to_owned();
    for (number, (step, expected)) in steps.iter().enumerate() {
        scene.takes(*step).await;
        assert_eq!(scene.world.role_of(scene.ada).await, *expected, "step {number}: {step:?}");
        scene.world.store.work_role_batches().await.unwrap();
        let name = |role: &str| role.split(' ').next().unwrap().to_owned();
        let told = scene.world.told(scene.ada).await;
        let reached = told.last().map_or("explorer by default", |told| told.rsplit(" -> ").next().unwrap());
        assert_eq!(name(reached), name(expected), "step {number}: {step:?} is told as {told:?}");
        last = (*expected).to_owned();
    }
    let told = scene.world.told(scene.ada).await;
    let name = |role: &str| role.split(' ').next().unwrap().to_owned();
    let mut at = "explorer".to_owned();
    for one in &told {
        let (before, after) = one.split_once(" -> ").unwrap();
        assert_eq!(name(before), at, "{told:?}");
        at = name(after);
    }
    assert_eq!(at, name(&last), "{told:?}");
    assert_eq!(scene.world.left_over().await, (0, 0), "batches and what was kept for them");
}

use Step::{
    AddsRole, Clears, Defaults, DeletesGroup, DeletesRole, DirectoryAdmin, Joins, Leaves, Maps, MapsName, Moves, Quits,
    Renames, Restores, Says, Sets, Suspends, Unmaps,
};

#[rstest]
#[case::manual_stands_before_all_and_can_be_cleared(&[
    (Sets("viewer"), "viewer by manual"),
    (Says(&["Developer"]), "viewer by manual"),
    (Maps("developer"), "viewer by manual"),
    (Joins, "viewer by manual"),
    (Defaults("developer"), "viewer by manual"),
    (Clears, "developer by provisioned"),
    (Says(&[]), "developer by group"),
    (Quits, "developer by default"),
    (Sets("admin"), "admin by manual"),
    (Says(&["viewer"]), "admin by manual"),
    (Clears, "viewer by provisioned"),
])]
#[case::provisioned_stands_before_groups_though_it_is_lower(&[
    (Maps("developer"), "explorer by default"),
    (Joins, "developer by group"),
    (Says(&["viewer"]), "viewer by provisioned"),
    (Says(&["viewer", "EXPLORER"]), "explorer by provisioned"),
    (Says(&["Wizard"]), "developer by group"),
    (Says(&["Wizard", "Viewer"]), "viewer by provisioned"),
    (Says(&[]), "developer by group"),
])]
#[case::a_role_taken_away_in_the_directory_leaves(&[
    (Says(&["Developer", "Viewer"]), "developer by provisioned"),
    (Says(&["Viewer"]), "viewer by provisioned"),
    (Says(&[]), "explorer by default"),
    (Says(&["Developer"]), "developer by provisioned"),
    (Says(&["developer"]), "developer by provisioned"),
    (Says(&[]), "explorer by default"),
])]
#[case::r21_admin_from_the_directory_counts_where_it_is_let(&[
    (Says(&["Admin", "viewer"]), "viewer by provisioned"),
    (Says(&["ADMIN"]), "explorer by default"),
    (DirectoryAdmin(true), "admin by provisioned"),
    (DirectoryAdmin(false), "explorer by default"),
    (DirectoryAdmin(true), "admin by provisioned"),
    (Says(&["admin", "viewer"]), "admin by provisioned"),
    (Says(&["viewer"]), "viewer by provisioned"),
])]
#[case::without_access_there_is_no_role_and_none_is_lost(&[
    (Leaves(&[]), "none"),
    (Sets("developer"), "none"),
    (Says(&[]), "developer by manual"),
    (Suspends, "none"),
    (Clears, "none"),
    (Maps("viewer"), "none"),
    (Joins, "none"),
    (Restores, "viewer by group"),
    (Leaves(&["developer"]), "none"),
    (Says(&["developer"]), "developer by provisioned"),
])]
#[case::groups_give_and_take(&[
    (Joins, "explorer by default"),
    (Maps("viewer"), "viewer by group"),
    (Maps("developer"), "developer by group"),
    (Unmaps, "viewer by group"),
    (Quits, "explorer by default"),
    (Joins, "viewer by group"),
    (DeletesGroup, "explorer by default"),
])]
#[case::a_name_is_mapped_whoever_has_it(&[
    (MapsName("OPERATIONS", "developer"), "explorer by default"),
    (Joins, "explorer by default"),
    (Renames("Operations"), "developer by group"),
    (Renames("operations"), "developer by group"),
    (Renames("Crew"), "explorer by default"),
    (MapsName("crew", "viewer"), "viewer by group"),
    (Renames("Operations"), "developer by group"),
    (DeletesGroup, "explorer by default"),
    (Unmaps, "explorer by default"),
])]
#[case::r21_a_mapping_to_admin_is_held_while_the_group_is_another_ones(&[
    (Moves("e1"), "explorer by default"),
    (Joins, "explorer by default"),
    (Maps("admin"), "admin by group"),
    (Renames("Whatever"), "admin by group"),
    (Moves("e2"), "explorer by default"),
    (Unmaps, "explorer by default"),
    (Maps("admin"), "admin by group"),
    (Maps("viewer"), "admin by group"),
    (Moves("e3"), "viewer by group"),
    (DeletesGroup, "explorer by default"),
])]
#[case::the_default_is_computed(&[
    (Defaults("viewer"), "viewer by default"),
    (Sets("developer"), "developer by manual"),
    (Defaults("explorer"), "developer by manual"),
    (Clears, "explorer by default"),
    (AddsRole("guest", 5), "explorer by default"),
    (Defaults("guest"), "guest by default"),
    (Leaves(&[]), "none"),
    (Defaults("explorer"), "none"),
    (Says(&[]), "explorer by default"),
])]
#[case::r22_a_role_counts_from_when_it_is_in_the_catalogue(&[
    (Says(&["Billing.Reader"]), "explorer by default"),
    (AddsRole("billing.reader", 50), "billing.reader by provisioned"),
    (DeletesRole("billing.reader"), "explorer by default"),
    (AddsRole("billing.reader", 350), "billing.reader by provisioned"),
    (Says(&["Billing.Reader", "developer"]), "billing.reader by provisioned"),
    (DeletesRole("billing.reader"), "developer by provisioned"),
    (Says(&[]), "explorer by default"),
    (AddsRole("ops", 250), "explorer by default"),
    (Maps("ops"), "explorer by default"),
    (Joins, "ops by group"),
    (Sets("ops"), "ops by manual"),
])]
#[tokio::test]
async fn r22_the_role_in_effect_after_each_step(
    #[values(Sqlite, Postgres)] engine: Engine,
    #[case] steps: &[(Step, &str)],
) {
    check(engine, steps).await;
}

#[rstest]
#[tokio::test]
async fn each_assignment_says_who_when_and_from_what(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await.id;
    let ops = world.group("Ops", &[ada.to_string()]).await.id;
    world.map(ops, "viewer").await.unwrap();
    world.says(ada, with_roles("ada", true, &["Wizard", "DEVELOPER"])).await;
    let provisioned = world.store.user(world.tenant, ada).await.unwrap();
    // What stays keeps since when it is there.
    world.says(ada, with_roles("ada lovelace", true, &["Developer", "viewer"])).await;
    world.set_role(ada, "admin").await.unwrap();
    let user = world.store.user(world.tenant, ada).await.unwrap();
    let said: Vec<_> = user
        .role_assignments
        .iter()
        .map(|assignment| {
            (assignment.role.as_str(), assignment.rank, &*assignment.assigned_by, assignment.origin.clone())
        })
        .collect();
    let group = RoleOrigin::Group { id: ops, display_name: "Ops".to_owned() };
    assert_eq!(
        said,
        [
            ("admin", 400, "key:admin", RoleOrigin::Manual),
            ("developer", 300, "key:directory", RoleOrigin::Provisioned { value: "Developer".to_owned() }),
            ("viewer", 100, "key:admin", group),
        ]
    );
    assert_eq!(user.role_assignments[1].assigned_at, provisioned.role_assignments[0].assigned_at);
    assert!(user.role_assignments[0].assigned_at > user.role_assignments[1].assigned_at);
    assert_eq!(provisioned.role_assignments[0].origin, RoleOrigin::Provisioned { value: "DEVELOPER".to_owned() });
}

#[rstest]
#[tokio::test]
async fn r22_what_a_directory_is_told_of_its_roles(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let directory = world.directory();
    let ada =
        world.store.create_user(&directory, with_roles("ada", true, &["Wizard", "Admin", "viewer"])).await.unwrap();
    let unknown = WriteNote::UnknownRole("Wizard".to_owned());
    assert_eq!(noted(&directory), [unknown.clone(), WriteNote::DirectoryAdmin]);
    // The values are kept as they came.
    let values: Vec<_> = ada.provisioned.profile.roles.iter().filter_map(|role| role.value.clone()).collect();
    assert_eq!(values, ["Wizard", "Admin", "viewer"]);
    // Nothing of roles is said, and nothing is noted.
    world.replace_as(&directory, ada.id, with_roles("Ada", true, &["Wizard", "Admin", "viewer"])).await.unwrap();
    assert_eq!(noted(&directory), []);
    world.directory_admin(true).await.unwrap();
    world.replace_as(&directory, ada.id, with_roles("Ada", true, &["Admin", "Wizard"])).await.unwrap();
    assert_eq!(noted(&directory), [unknown]);
}

#[rstest]
#[tokio::test]
async fn r22_a_role_in_use_cannot_be_deleted(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let (admin, ada) = (world.administrator(), world.user("ada").await.id);
    let ops = world.group("Ops", &[]).await.id;
    world.add_role("ops", 250).await.unwrap();
    assert_eq!(world.add_role("ops", 1).await, Err(Error::RoleTaken));
    assert_eq!(world.add_role("admin", 1).await, Err(Error::RoleTaken));
    let delete = || world.store.delete_role(&admin, role("ops"));
    let in_use = |error: Error| matches!(error, Error::RoleInUse(_));
    world.set_role(ada, "ops").await.unwrap();
    assert!(in_use(delete().await.unwrap_err()));
    world.clear_role(ada).await.unwrap();
    let mapping = world.map(ops, "ops").await.unwrap().value;
    assert!(in_use(delete().await.unwrap_err()));
    world.unmap(mapping).await.unwrap();
    world.set_default("ops").await.unwrap();
    assert!(in_use(delete().await.unwrap_err()));
    world.set_default("explorer").await.unwrap();
    delete().await.unwrap();
    assert_eq!(delete().await, Err(Error::NotFound("role")));
    assert!(matches!(world.store.delete_role(&admin, role("viewer")).await, Err(Error::InvalidField(_))));
    let unknown = |error: Error| matches!(error, Error::InvalidField(InvalidField { field, .. }) if field == "role");
    assert!(unknown(world.set_role(ada, "ops").await.unwrap_err()));
    assert!(unknown(world.set_default("ops").await.unwrap_err()));
    assert!(unknown(world.map(ops, "ops").await.unwrap_err()));
}

#[rstest]
#[tokio::test]
async fn r21_admin_is_no_default_and_no_names(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let field = |error: Error| match error {
        Error::InvalidField(InvalidField { field, .. }) => field.into_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(field(world.set_default("admin").await.unwrap_err()), "default_role");
    assert_eq!(field(world.map_name("Ops", "admin").await.unwrap_err()), "group_name");
    let nowhere = MappedGroup::Id(GroupId::generate());
    assert_eq!(world.map_as(Doing::Act, nowhere, "viewer").await.unwrap_err(), Error::NotFound("group"));
    let ops = world.group("Ops", &[]).await.id;
    world.map(ops, "viewer").await.unwrap();
    assert_eq!(world.map(ops, "viewer").await.unwrap_err(), Error::RoleMappingTaken);
    world.map_name("ops", "viewer").await.unwrap();
    assert_eq!(world.map_name("OPS", "viewer").await.unwrap_err(), Error::RoleMappingTaken);
}

#[rstest]
#[tokio::test]
async fn r22_what_moves_people_says_how_many_and_only_that_where_asked(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let mut ids = Vec::new();
    for name in ["ada", "eva", "lise", "emmy"] {
        ids.push(world.user(name).await.id);
    }
    // ada has a role by hand, emmy no access.
    world.set_role(ids[0], "viewer").await.unwrap();
    world.says(ids[3], with_roles("emmy", false, &["admin"])).await;
    world.says(ids[1], with_roles("eva", true, &["Admin"])).await;
    let members: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let ops = world.group("Ops", &members).await.id;
    let admin = world.administrator();
    let before = world.changes().await;
    let validated = world.store.set_default_role(&admin, Doing::Validate, role("viewer")).await.unwrap();
    assert_eq!((validated.people, validated.value.default_role), (Some(2), role("viewer")));
    assert_eq!(world.map_as(Doing::Validate, MappedGroup::Id(ops), "developer").await.unwrap().people, Some(2));
    assert_eq!(world.map_as(Doing::Validate, MappedGroup::Id(ops), "explorer").await.unwrap().people, Some(0));
    let validated = world.store.set_directory_admin(&admin, Doing::Validate, true).await.unwrap();
    assert_eq!((validated.people, validated.value.directory_admin), (Some(1), true));
    assert_eq!(world.changes().await, before, "nothing was done");
    assert_eq!(world.role_of(ids[2]).await, "explorer by default");

    let mapped = world.map(ops, "developer").await.unwrap();
    assert_eq!(mapped.people, Some(2));
    assert_eq!(world.store.work_role_batches().await.unwrap(), 2);
    let validated = world.store.delete_role_mapping(&admin, Doing::Validate, mapped.value).await.unwrap();
    assert_eq!(validated.people, Some(2));
    assert_eq!(world.role_of(ids[2]).await, "developer by group");
    assert_eq!(world.unmap(mapped.value).await.unwrap(), Some(2));
    // One change for the cause, then one for each person.
    assert_eq!(world.store.work_role_batches().await.unwrap(), 2);
    let kinds = world.changes().await;
    let of_deletion = kinds.iter().position(|kind| kind == "role_mapping.deleted").unwrap();
    assert_eq!(kinds[of_deletion + 1..], ["role.changed", "role.changed"]);
    assert_eq!(world.told(ids[0]).await.len(), 1, "by hand, and nothing since");
}

#[rstest]
#[tokio::test]
async fn r06_a_group_of_admins_and_the_role_admin_are_an_administrators(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await.id;
    let ops = world.group("Ops", &[]).await.id;
    let dev = world.group("Dev", &[]).await.id;
    world.map(ops, "admin").await.unwrap();
    world.map(dev, "developer").await.unwrap();
    let writer = crate::domain::Caller { administrator: false, ..world.administrator() };
    let add = || GroupChange::AddMembers(vec![ada.to_string()]);
    let needs_admin = |error: Error| matches!(error, Error::NeedsAdmin(_));
    assert!(needs_admin(world.change_as(&writer, ops, add()).await.unwrap_err()));
    assert!(needs_admin(world.delete_group_as(&writer, ops).await.unwrap_err()));
    world.change_as(&writer, dev, add()).await.unwrap();
    assert_eq!(world.role_of(ada).await, "developer by group");
    world.change_as(&world.directory(), ops, add()).await.unwrap();
    assert_eq!(world.role_of(ada).await, "admin by group");
    // In the directory's place, where it counts.
    let eva = world.user("eva").await.id;
    let planted = world.replace_as(&writer, eva, with_roles("eva", true, &["admin"])).await.unwrap_err();
    assert!(needs_admin(planted), "not for later either");
    world.directory_admin(true).await.unwrap();
    assert!(needs_admin(world.replace_as(&writer, eva, with_roles("eva", true, &["Admin"])).await.unwrap_err()));
    let created = world.store.create_user(&writer, with_roles("lise", true, &["admin"])).await.unwrap_err();
    assert!(needs_admin(created));
    world.replace_as(&world.administrator(), eva, with_roles("eva", true, &["Admin"])).await.unwrap();
    assert_eq!(world.role_of(eva).await, "admin by provisioned");
}

#[rstest]
#[tokio::test]
async fn r05_roles_of_one_tenant_are_nobody_elses(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let other = crate::store::tests::tenant(&world.store, "globex").await;
    let stranger = crate::domain::Caller { tenant: other, ..world.administrator() };
    world.add_role("ops", 250).await.unwrap();
    let ops = world.group("Ops", &[]).await.id;
    let mapping = world.map(ops, "ops").await.unwrap().value;
    assert_eq!(world.store.roles(other).await.unwrap().len(), 4);
    assert_eq!(world.store.role_mappings(other).await.unwrap(), []);
    assert_eq!(world.store.delete_role(&stranger, role("ops")).await, Err(Error::NotFound("role")));
    let deleted = world.store.delete_role_mapping(&stranger, Doing::Act, mapping).await;
    assert_eq!(deleted.unwrap_err(), Error::NotFound("role mapping"));
    let create = crate::store::CreateRoleMapping { group: MappedGroup::Id(ops), role: role("viewer") };
    let created = world.store.create_role_mapping(&stranger, Doing::Act, create).await;
    assert_eq!(created.unwrap_err(), Error::NotFound("group"));
    let mappings = world.store.role_mappings(world.tenant).await.unwrap();
    assert_eq!((mappings.len(), mappings[0].leads_to.clone()), (1, Some((ops, "Ops".to_owned()))));
    assert_eq!(world.store.roles(world.tenant).await.unwrap().len(), 5);
}

//! The store's promises, each on both engines. Every test has a database of its own.

mod adoption;
mod agreement;
mod audit;
mod changes;
mod deactivation_alarm;
mod departures;
mod ends;
mod events;
mod filters;
mod groups;
mod listing;
mod members;
mod plans;
mod provisioning_log;
mod records;
mod roles;
mod user_attributes;
mod users;

use database::{
    Database,
    testing::{Engine, TestDatabase},
};
use ids::TenantId;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder};

use crate::{
    SERVICE,
    domain::{
        AttributeValues, Caller, Catalogue, DisplayName, Founder, Group, GroupDraft, GroupName, Profile,
        ProvisioningState, StateReason, TenantName, User, UserDraft, UserName, WriteNotes,
    },
    store::{CreateGroup, Migrator, Store, entity::change},
};

/// A migrated store with one tenant whose provisioning is on.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) tenant: TenantId,
    database: TestDatabase,
}

impl World {
    /// None when the engine is not to be had here; the test is then skipped, and says so.
    pub(crate) async fn open(engine: Engine) -> Option<Self> {
        let migrate = async |location: &database::Location| -> Result<(), DbErr> {
            let database = Database::open(location, SERVICE).await?;
            database.migrate::<Migrator>(SERVICE).await.map_err(|error| DbErr::Custom(error.to_string()))?;
            Ok(())
        };
        let database = TestDatabase::prepared(engine, SERVICE, migrate).await.unwrap()?;
        let store = Store::new(Database::open(database.location(), SERVICE).await.unwrap());
        let tenant = tenant(&store, "acme").await;
        Some(Self { store, tenant, database })
    }

    /// A directory of the tenant.
    pub(crate) fn directory(&self) -> Caller {
        directory(self.tenant)
    }

    /// An administrator of the tenant.
    pub(crate) fn administrator(&self) -> Caller {
        Caller {
            actor: "key:admin".to_owned(),
            action: "test/Act",
            provisioning: false,
            administrator: true,
            ..self.directory()
        }
    }

    pub(crate) async fn user(&self, name: &str) -> User {
        self.store.create_user(&self.directory(), user(name)).await.unwrap()
    }

    pub(crate) async fn group(&self, name: &str, members: &[String]) -> Group {
        self.store.create_group(&self.directory(), group(name, members)).await.unwrap()
    }

    /// The kinds of the change feed, in order; their positions have no gap.
    async fn changes(&self) -> Vec<String> {
        let rows = change::Entity::find()
            .filter(change::Column::TenantId.eq(self.tenant.uuid()))
            .order_by_asc(change::Column::Position)
            .all(self.store.database.read())
            .await
            .unwrap();
        let positions: Vec<i64> = rows.iter().map(|row| row.position).collect();
        assert_eq!(positions, (1..).take(rows.len()).collect::<Vec<i64>>(), "a position is missing or doubled");
        rows.into_iter().map(|row| row.kind).collect()
    }
}

/// Makes a tenant whose provisioning is on.
pub(crate) async fn tenant(store: &Store, name: &str) -> TenantId {
    let tenant = store.create_tenant(founder(), TenantName::parse(name).unwrap()).await.unwrap();
    let caller = Caller { provisioning: false, ..directory(tenant.id) };
    store.set_provisioning_state(&caller, ProvisioningState::On, no_reason()).await.unwrap();
    tenant.id
}

fn no_reason() -> StateReason {
    StateReason::parse("").unwrap()
}

fn founder() -> Founder {
    Founder { actor: "operator:test".to_owned(), address: None, action: "test/CreateTenant" }
}

fn directory(tenant: TenantId) -> Caller {
    Caller {
        tenant,
        actor: "key:directory".to_owned(),
        address: None,
        action: "test/Provision",
        request_id: "r1".to_owned(),
        provisioning: true,
        administrator: false,
        operator: false,
        notes: WriteNotes::default(),
    }
}

pub(crate) fn user(name: &str) -> UserDraft {
    UserDraft {
        user_name: UserName::parse(name.to_owned()).unwrap(),
        external_id: None,
        display_name: Some(DisplayName::parse(format!("The {name}")).unwrap()),
        provisioned_active: Some(true),
        profile: Profile::default(),
        attributes: AttributeValues::new(),
    }
}

/// The fields of users, where no attribute is defined.
fn catalogue() -> Catalogue<'static> {
    Catalogue::Users(&[])
}

fn group(name: &str, members: &[String]) -> CreateGroup {
    let draft = GroupDraft { display_name: GroupName::parse(name.to_owned()).unwrap(), external_id: None };
    CreateGroup { draft, member_ids: members.to_vec() }
}

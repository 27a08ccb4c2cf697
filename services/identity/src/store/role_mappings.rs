//! Groups whose members have a role. The group's row is locked before the tenant's, as by whoever changes the group. Who makes or renames one holds
//! the tenant's too: so a mapping and a group of its name never miss each other.

use ::audit::{Content, Values};
use ids::{GroupId, TenantId};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait, FromQueryResult,
    PaginatorTrait, QueryFilter, QueryResult, QuerySelect, SqlErr, Statement,
};
use uuid::Uuid;

use crate::{
    domain::{
        ADMIN, Caller, Error, GroupName, InvalidField, MappedGroup, ROLE_MAPPINGS_MAX, RoleId, RoleMapping, Timestamp,
    },
    store::{
        Doing, Moved, Outcome, Running, Store, admins,
        effective_roles::{LEADS_TO, NOT_HELD},
        entity::{group, role_mapping},
        refuse,
        role_batches::{self, Cause},
        role_catalogue,
        tx::{ChangeKind, Tx},
        unavailable,
    },
};

/// Which group to map to which role.
#[derive(Debug)]
pub(crate) struct CreateRoleMapping {
    pub(crate) group: MappedGroup,
    pub(crate) role: RoleId,
}

impl Store {
    /// The mappings, in the order in which they were made. There are so few that they are one page.
    pub(crate) async fn role_mappings(&self, tenant: TenantId) -> Result<Vec<RoleMapping>, Error> {
        let db = self.database.read();
        let read = async {
            let rows = db.query_all_raw(listed(db.get_database_backend(), tenant, None)).await?;
            rows.iter().map(mapping).collect::<Result<_, DbErr>>()
        };
        read.await.map_err(|error| unavailable(&error))
    }

    /// Maps a group to a role, and answers how many people have another role by it.
    pub(crate) async fn create_role_mapping(
        &self,
        caller: &Caller,
        doing: Doing,
        create: CreateRoleMapping,
    ) -> Result<Moved<RoleMapping>, Error> {
        let created = self.write_or_rehearse(caller, doing, create, create_in).await;
        self.role_batches.begin();
        created
    }

    /// Takes a mapping away, and answers how many people have another role by it.
    pub(crate) async fn delete_role_mapping(
        &self,
        caller: &Caller,
        doing: Doing,
        mapping: Uuid,
    ) -> Result<Moved<()>, Error> {
        let deleted = self.write_or_rehearse(caller, doing, mapping, delete_in).await;
        self.role_batches.begin();
        deleted
    }
}

fn create_in<'a>(tx: &'a Tx<'a>, create: &'a CreateRoleMapping) -> Running<'a, Moved<RoleMapping>> {
    Box::pin(async move {
        let (group_id, group_name, which) = match &create.group {
            MappedGroup::Id(id) => (Some(id.uuid()), None, group::Column::Id.eq(id.uuid())),
            // A name is whoever's who takes it (rule R21).
            MappedGroup::Name(_) if create.role.is_admin() => {
                let problem = "cannot be mapped to `admin`: name the group by its id";
                return refuse(InvalidField::new("group_name", problem).into());
            }
            MappedGroup::Name(name) => (None, Some(name), group::Column::DisplayNameKey.eq(name.key().as_str())),
        };
        lock_group(tx, which.clone()).await?;
        tx.lock_tenant().await?;
        // It may have gone, or another have taken its name, before the tenant was locked.
        let group = lock_group(tx, which).await?;
        if group_id.is_some() && group.is_none() {
            return refuse(Error::NotFound("group"));
        }
        role_catalogue::check(tx, &create.role).await?;
        check_room(tx).await?;
        let row = role_mapping::Model {
            tenant_id: tx.tenant(),
            id: Uuid::now_v7(),
            role: create.role.as_str().to_owned(),
            group_id,
            group_name: group_name.map(|name| name.as_str().to_owned()),
            group_name_key: group_name.map(|name| name.key().into_string()),
            group_external_id: group.and_then(|group| group.external_id),
            created_by: tx.caller.actor.clone(),
            created_at_us: tx.now.0,
            deleted_at_us: None,
        };
        let insert = role_mapping::Entity::insert(role_mapping::ActiveModel::from(row.clone()));
        insert.exec_without_returning(tx.db).await.map_err(|error| match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => database::Error::Refused(Error::RoleMappingTaken),
            _ => database::Error::Database(error),
        })?;
        tx.audit(row.id, || Content::detail("created").after(described(&row)));
        tx.changed(ChangeKind::RoleMappingCreated, row.id, 0, Content::default().after(described(&row)));
        let cause = Cause::MappingCreated { mapping: row.id };
        let people = Some(role_batches::count(tx, &cause).await?);
        role_batches::add(tx, cause).await?;
        let listed = listed(tx.db.get_database_backend(), tx.caller.tenant, Some(row.id));
        match tx.db.query_one_raw(listed).await? {
            Some(row) => Ok(Moved { value: mapping(&row)?, people }),
            None => refuse(Error::NotFound("role mapping")),
        }
    })
}

fn delete_in<'a>(tx: &'a Tx<'a>, id: &'a Uuid) -> Running<'a, Moved<()>> {
    Box::pin(async move {
        tx.lock_roles().await?;
        let row = role_mapping::Entity::find_by_id((tx.tenant(), *id))
            .filter(role_mapping::Column::DeletedAtUs.is_null())
            .one(tx.db)
            .await?;
        let Some(row) = row else { return refuse(Error::NotFound("role mapping")) };
        let had_admin = row.role == ADMIN && admins::any(tx).await?;
        remove(tx, &row).await?;
        if had_admin {
            admins::keep_one(tx).await?;
        }
        tx.audit(row.id, || Content::detail("deleted").before(described(&row)));
        let cause = Cause::MappingDeleted { mapping: row.id };
        let people = Some(role_batches::count(tx, &cause).await?);
        role_batches::add(tx, cause).await?;
        Ok(Moved { value: (), people })
    })
}

/// Takes away what is mapped to a group that is deleted: its members are told of by whoever deletes it.
pub(super) async fn end_with(tx: &Tx<'_>, group: Uuid) -> Outcome<()> {
    let ended = role_mapping::Entity::find()
        .filter(role_mapping::Column::TenantId.eq(tx.tenant()))
        .filter(role_mapping::Column::GroupId.eq(group))
        .filter(role_mapping::Column::DeletedAtUs.is_null())
        .all(tx.db)
        .await?;
    for row in ended {
        remove(tx, &row).await?;
        role_mapping::Entity::delete_by_id((row.tenant_id, row.id)).exec(tx.db).await?;
    }
    Ok(())
}

async fn remove(tx: &Tx<'_>, row: &role_mapping::Model) -> Outcome<()> {
    role_mapping::Entity::update_many()
        .set(role_mapping::ActiveModel { deleted_at_us: Set(Some(tx.now.0)), ..role_mapping::ActiveModel::default() })
        .filter(role_mapping::Column::TenantId.eq(tx.tenant()))
        .filter(role_mapping::Column::Id.eq(row.id))
        .exec(tx.db)
        .await?;
    tx.changed(ChangeKind::RoleMappingDeleted, row.id, 0, Content::default().before(described(row)));
    Ok(())
}

/// The roles that a group of this id, called one of these, is mapped to. None where it is mapped to none, and was to none of which somebody is still to
/// be told.
pub(super) async fn of_group(tx: &Tx<'_>, group: Uuid, name_keys: &[String]) -> Outcome<Option<Vec<String>>> {
    let mappings: Vec<(String, Option<i64>)> = role_mapping::Entity::find()
        .filter(role_mapping::Column::TenantId.eq(tx.tenant()))
        .filter(
            Condition::any()
                .add(role_mapping::Column::GroupId.eq(group))
                .add(role_mapping::Column::GroupNameKey.is_in(name_keys)),
        )
        .select_only()
        .columns([role_mapping::Column::Role, role_mapping::Column::DeletedAtUs])
        .into_tuple()
        .all(tx.db)
        .await?;
    if mappings.is_empty() {
        return Ok(None);
    }
    Ok(Some(mappings.into_iter().filter(|(_, deleted)| deleted.is_none()).map(|(role, _)| role).collect()))
}

/// The roles whose mapping to this group is held (rule R21).
pub(super) async fn held(tx: &Tx<'_>, row: &group::Model) -> Outcome<Vec<RoleId>> {
    let mappings = role_mapping::Entity::find()
        .filter(role_mapping::Column::TenantId.eq(tx.tenant()))
        .filter(role_mapping::Column::GroupId.eq(row.id))
        .filter(role_mapping::Column::Role.eq(ADMIN))
        .filter(role_mapping::Column::DeletedAtUs.is_null())
        .all(tx.db)
        .await?;
    let held = mappings.into_iter().filter(|mapping| mapping.group_external_id != row.external_id);
    Ok(held.map(|mapping| RoleId::stored(mapping.role)).collect())
}

async fn check_room(tx: &Tx<'_>) -> Outcome<()> {
    let live = role_mapping::Entity::find()
        .filter(role_mapping::Column::TenantId.eq(tx.tenant()))
        .filter(role_mapping::Column::DeletedAtUs.is_null())
        .count(tx.db)
        .await?;
    if live >= ROLE_MAPPINGS_MAX { refuse(Error::TooManyRoleMappings) } else { Ok(()) }
}

/// A live group, whose members stay as they are until the transaction ends.
async fn lock_group(tx: &Tx<'_>, which: sea_orm::sea_query::SimpleExpr) -> Outcome<Option<group::Model>> {
    let row = group::Entity::find()
        .filter(group::Column::TenantId.eq(tx.tenant()))
        .filter(group::Column::DeletedAtUs.is_null())
        .filter(which)
        .lock_exclusive()
        .one(tx.db)
        .await?;
    Ok(row)
}

/// The live mappings, or one of them, each with the group that it leads to now.
fn listed(engine: DbBackend, tenant: TenantId, one: Option<Uuid>) -> Statement {
    let only = if one.is_some() { "AND mapping.id = $2" } else { "" };
    let sql = format!(
        "SELECT mapping.*, mapped.id AS mapped_id, mapped.display_name AS mapped_name,
                mapped.id IS NOT NULL AND NOT {NOT_HELD} AS held
            FROM role_mappings AS mapping
            LEFT JOIN \"groups\" AS mapped ON {LEADS_TO}
            WHERE mapping.tenant_id = $1 AND mapping.deleted_at_us IS NULL {only}
            ORDER BY mapping.id"
    );
    let values = [Some(tenant.uuid()), one].into_iter().flatten().map(sea_orm::Value::from);
    Statement::from_sql_and_values(engine, sql, values)
}

fn mapping(row: &QueryResult) -> Result<RoleMapping, DbErr> {
    let stored = role_mapping::Model::from_query_result(row, "")?;
    let (mapped_id, mapped_name): (Option<Uuid>, Option<String>) =
        (row.try_get("", "mapped_id")?, row.try_get("", "mapped_name")?);
    let group = match (stored.group_id, stored.group_name) {
        (Some(id), _) => MappedGroup::Id(GroupId::from(id)),
        (None, Some(name)) => MappedGroup::Name(GroupName::stored(name)),
        (None, None) => return Err(DbErr::Type(format!("the role mapping {} names no group", stored.id))),
    };
    Ok(RoleMapping {
        id: stored.id,
        role: RoleId::stored(stored.role),
        group,
        created_by: stored.created_by,
        created_at: Timestamp(stored.created_at_us),
        leads_to: mapped_id.map(GroupId::from).zip(mapped_name),
        held: row.try_get("", "held")?,
    })
}

/// What the audit log and the change feed say of a mapping.
fn described(row: &role_mapping::Model) -> Values {
    Values::new()
        .with("role", &*row.role)
        .with_some("group_id", row.group_id.map(|id| GroupId::from(id).to_string()))
        .with_some("group_name", row.group_name.as_deref())
}

//! What a tenant says of roles: the default one, and whether a directory may give `admin`.

use ::audit::{Content, Values};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use crate::{
    domain::{Caller, Error, InvalidField, RoleId, Tenant},
    store::{
        Doing, Moved, Outcome, Running, Store, admins,
        effective_roles::Lens,
        entity::tenant,
        refuse,
        role_batches::{self, Cause},
        role_catalogue,
        tx::{ChangeKind, Tx},
        unavailable,
    },
};

impl Store {
    /// Sets the default role. People are counted just before it takes effect, and apart from it: there may be many.
    pub(crate) async fn set_default_role(
        &self,
        caller: &Caller,
        doing: Doing,
        role: RoleId,
    ) -> Result<Moved<Tenant>, Error> {
        let db = self.database.read();
        let before = Lens::now(db.get_database_backend(), caller.tenant);
        let after = before.clone().with_default(role.as_str());
        let cause = Cause::DefaultRole { before: String::new() };
        let counted = db.query_one(&role_batches::counted(caller.tenant, &cause, (&before, &after))).await;
        let people = match counted.and_then(|row| row.map_or(Ok(0), |row| row.try_get_by_index::<i64>(0))) {
            Ok(count) => Some(u64::try_from(count).unwrap_or_default()),
            Err(error) if database::ran_out_of_time(&error) => None,
            Err(error) => return Err(unavailable(&error)),
        };
        let value = self.write_or_rehearse(caller, doing, role, set_default).await?;
        self.role_batches.begin();
        Ok(Moved { value, people })
    }

    /// Lets `admin` from the directory count, or not.
    pub(crate) async fn set_directory_admin(
        &self,
        caller: &Caller,
        doing: Doing,
        counts: bool,
    ) -> Result<Moved<Tenant>, Error> {
        let set = self.write_or_rehearse(caller, doing, counts, set_directory_admin).await;
        self.role_batches.begin();
        set
    }
}

fn set_default<'a>(tx: &'a Tx<'a>, role: &'a RoleId) -> Running<'a, Tenant> {
    Box::pin(async move {
        let row = tx.lock_tenant().await?;
        if role.is_admin() {
            return refuse(InvalidField::new("default_role", "must not be `admin`").into());
        }
        role_catalogue::check(tx, role).await?;
        let values = |role: &str| Values::new().with("default_role", role);
        let what = Content::change(values(&row.default_role), values(role.as_str()));
        tx.audit(tx.caller.tenant, || what.clone());
        if row.default_role == role.as_str() {
            return Ok(row.into());
        }
        update(
            tx,
            tenant::ActiveModel { default_role: Set(role.as_str().to_owned()), ..tenant::ActiveModel::default() },
        )
        .await?;
        tx.changed(ChangeKind::TenantChanged, tx.tenant(), 0, what);
        role_batches::add(tx, Cause::DefaultRole { before: row.default_role.clone() }).await?;
        Ok(tenant::Model { default_role: role.as_str().to_owned(), ..row }.into())
    })
}

fn set_directory_admin<'a>(tx: &'a Tx<'a>, counts: &'a bool) -> Running<'a, Moved<Tenant>> {
    Box::pin(async move {
        let row = tx.lock_tenant().await?;
        let values = |counts: bool| Values::new().with("directory_admin", counts.to_string());
        let what = Content::change(values(row.directory_admin), values(*counts));
        tx.audit(tx.caller.tenant, || what.clone());
        if row.directory_admin == *counts {
            return Ok(Moved { value: row.into(), people: Some(0) });
        }
        let had_admin = admins::any(tx).await?;
        update(tx, tenant::ActiveModel { directory_admin: Set(*counts), ..tenant::ActiveModel::default() }).await?;
        if had_admin {
            admins::keep_one(tx).await?;
        }
        tx.changed(ChangeKind::TenantChanged, tx.tenant(), 0, what);
        let cause = Cause::DirectoryAdmin { before: row.directory_admin };
        let people = Some(role_batches::count(tx, &cause).await?);
        role_batches::add(tx, cause).await?;
        Ok(Moved { value: tenant::Model { directory_admin: *counts, ..row }.into(), people })
    })
}

async fn update(tx: &Tx<'_>, columns: tenant::ActiveModel) -> Outcome<()> {
    tenant::Entity::update_many().set(columns).filter(tenant::Column::Id.eq(tx.tenant())).exec(tx.db).await?;
    Ok(())
}

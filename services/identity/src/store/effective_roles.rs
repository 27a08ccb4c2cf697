//! The role in effect, in SQL (rule D6): what each source gives a user, as expressions beside a user's row and its tenant's.
//!
//! Each is a sub-select that an index answers, so that a list costs a few looks into indexes for each user. They are written out because both
//! engines take the same text but for how a row becomes one value.

use std::collections::{BTreeSet, HashMap};

use ids::{GroupId, TenantId};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, ExprTrait, QueryResult,
    sea_query::{Expr, Query, SelectStatement, SimpleExpr},
};
use uuid::Uuid;

use crate::{
    domain::{
        ADMIN, BUILT_IN, CaseKey, ContactPoint, DefaultRole, EffectiveRole, RoleAccess, RoleAssignment, RoleId,
        RoleOrigin, RoleSource, Timestamp,
    },
    store::{
        entity::{tenant, user},
        tx::ROWS_PER_STATEMENT,
    },
};

const MANUAL: &str = "manual_role";
const PROVISIONED: &str = "directory_role";
const GROUP: &str = "group_role";
const DEFAULT: &str = "default_role";
const DEFAULT_RANK: &str = "default_rank";

/// What a tenant says of roles, as it is or with some things otherwise: conditions and values in SQL, over the aliases below. What is said last holds.
#[derive(Clone, Debug)]
pub(super) struct Lens {
    engine: DbBackend,
    tenant: TenantId,
    /// The default role.
    default: String,
    /// Whether `admin` counts where a directory gives it.
    directory_admin: String,
    /// Which rows of `mapping` there are.
    mappings: Rows,
    /// Which rows of `custom` there are.
    roles: Rows,
}

/// Which rows there are: those that are not deleted, and some beside them, and some not. The ids are literals in lists, so that however many there
/// are nest no deeper.
#[derive(Clone, Debug, Default)]
struct Rows {
    with: BTreeSet<String>,
    without: BTreeSet<String>,
}

impl Rows {
    fn with(mut self, id: String) -> Self {
        self.without.remove(&id);
        self.with.insert(id);
        self
    }

    fn without(mut self, id: String) -> Self {
        self.with.remove(&id);
        self.without.insert(id);
        self
    }

    fn of(&self, alias: &str) -> String {
        let list = |ids: &BTreeSet<String>| ids.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let mut rows = format!("{alias}.deleted_at_us IS NULL");
        if !self.with.is_empty() {
            rows = format!("({rows} OR {alias}.id IN ({}))", list(&self.with));
        }
        if !self.without.is_empty() {
            rows = format!("{rows} AND {alias}.id NOT IN ({})", list(&self.without));
        }
        rows
    }
}

impl Lens {
    /// As it is.
    pub(super) fn now(engine: DbBackend, tenant: TenantId) -> Self {
        Self {
            engine,
            tenant,
            default: "tenants.default_role".to_owned(),
            directory_admin: "tenants.directory_admin".to_owned(),
            mappings: Rows::default(),
            roles: Rows::default(),
        }
    }

    /// With this default role.
    pub(super) fn with_default(self, role: &str) -> Self {
        Self { default: text(role), ..self }
    }

    /// With `admin` from the directory counting or not.
    pub(super) fn with_directory_admin(self, counts: bool) -> Self {
        Self { directory_admin: if counts { "TRUE" } else { "FALSE" }.to_owned(), ..self }
    }

    /// Without a custom role.
    pub(super) fn without_role(self, role: &str) -> Self {
        Self { roles: self.roles.without(text(role)), ..self }
    }

    /// With a custom role that is deleted and still there.
    pub(super) fn with_deleted_role(self, role: &str) -> Self {
        Self { roles: self.roles.with(text(role)), ..self }
    }

    /// Without a mapping.
    pub(super) fn without_mapping(self, mapping: Uuid) -> Self {
        Self { mappings: self.mappings.without(literal(self.engine, mapping)), ..self }
    }

    /// With a mapping that is deleted and still there.
    pub(super) fn with_deleted_mapping(self, mapping: Uuid) -> Self {
        Self { mappings: self.mappings.with(literal(self.engine, mapping)), ..self }
    }

    pub(super) const fn engine(&self) -> DbBackend {
        self.engine
    }

    /// The rank of a role beside its row in `custom`, where it has one; NULL where there is no such role.
    fn rank(role: &str) -> String {
        let built_in: Vec<String> = BUILT_IN.iter().map(|(id, rank)| format!("WHEN '{id}' THEN {rank}")).collect();
        format!("CASE {role} {} ELSE custom.rank END", built_in.join(" "))
    }

    /// Joins `custom`: the tenant's own role of this id.
    fn custom(&self, tenant: &str, role: &str) -> String {
        format!(
            "LEFT JOIN roles AS custom ON custom.tenant_id = {tenant} AND custom.id = {role} AND {}",
            self.roles.of("custom")
        )
    }

    /// Several values as one text.
    fn row(&self, values: &[&str]) -> String {
        let values = values.join(", ");
        if self.engine == DbBackend::Postgres {
            format!("CAST(json_build_array({values}) AS TEXT)")
        } else {
            format!("json_array({values})")
        }
    }

    /// The administrator's assignment.
    fn manual(&self, what: &str) -> String {
        let (custom, manual) = (self.custom("manual.tenant_id", "manual.role"), RoleSource::MANUAL);
        format!(
            "(SELECT {what} FROM role_assignments AS manual {custom}
                WHERE manual.tenant_id = users.tenant_id AND manual.user_id = users.id AND manual.source = '{manual}')"
        )
    }

    /// The highest of the roles that the directory gives and that count (rules R21 and R22).
    fn provisioned(&self, what: &str) -> String {
        let (rank, custom) = (Self::rank("given.role_key"), self.custom("given.tenant_id", "given.role_key"));
        let directory_admin = &self.directory_admin;
        format!(
            "(SELECT {what} FROM directory_roles AS given {custom}
                WHERE given.tenant_id = users.tenant_id AND given.user_id = users.id
                    AND {rank} IS NOT NULL AND (given.role_key <> '{ADMIN}' OR {directory_admin})
                ORDER BY {rank} DESC, given.role_key LIMIT 1)"
        )
    }

    /// The highest of the roles of mapped groups. It begins with the mappings, of which there are few, and not with the groups of the user: the cross
    /// joins keep SQLite to that order. The tenant is a value and not the user's column, so that PostgreSQL reads the mappings once for all users.
    fn group(&self, what: &str) -> String {
        let (rank, custom) = (Self::rank("mapping.role"), self.custom("mapping.tenant_id", "mapping.role"));
        let (mappings, tenant) = (self.mappings.of("mapping"), self.placeholder());
        format!(
            "(SELECT {what} FROM role_mappings AS mapping
                CROSS JOIN \"groups\" AS mapped
                CROSS JOIN memberships AS joined
                {custom}
                WHERE mapping.tenant_id = {tenant} AND {mappings} AND {LEADS_TO}
                    AND joined.tenant_id = mapped.tenant_id AND joined.group_id = mapped.id AND joined.user_id = users.id
                    AND {rank} IS NOT NULL AND {NOT_HELD}
                ORDER BY {rank} DESC, mapping.id LIMIT 1)"
        )
    }

    /// The id of the role in effect of a user with access, of whom nothing is held.
    pub(super) fn role(&self) -> SimpleExpr {
        let manual = self.manual("manual.role");
        let (provisioned, group) = (self.provisioned("given.role_key"), self.group("mapping.role"));
        self.bound(format!("COALESCE({manual}, {provisioned}, {group}, {})", self.default))
    }

    /// Where the tenant stands in a text, once.
    const fn placeholder(&self) -> &'static str {
        match self.engine {
            DbBackend::Postgres => "$1",
            _ => "?",
        }
    }

    /// A text with the tenant in its place.
    fn bound(&self, text: String) -> SimpleExpr {
        Expr::cust_with_values(text, [self.tenant.uuid()])
    }

    /// Adds what roles follow from to a statement over users and their tenant.
    pub(super) fn add(&self, select: &mut SelectStatement) {
        let group_id = if self.engine == DbBackend::Postgres { "mapped.id" } else { "lower(hex(mapped.id))" };
        let manual = ["manual.role", &Self::rank("manual.role"), "manual.assigned_by", "manual.assigned_at_us"];
        let given = ["given.role_key", &Self::rank("given.role_key"), "given.assigned_by", "given.assigned_at_us"];
        let mapping = [
            "mapping.role",
            &Self::rank("mapping.role"),
            "mapping.created_by",
            "mapping.created_at_us",
            group_id,
            "mapped.display_name",
        ];
        let default = &self.default;
        // Where the default is built in, which it mostly is, the sub-select is not asked.
        let built_in: Vec<String> = BUILT_IN.iter().map(|(id, rank)| format!("WHEN '{id}' THEN {rank}")).collect();
        let default_rank = format!(
            "CASE {default} {} ELSE (SELECT custom.rank FROM roles AS custom
                WHERE custom.tenant_id = tenants.id AND custom.id = {default} AND {}) END",
            built_in.join(" "),
            self.roles.of("custom")
        );
        select
            .expr_as(Expr::cust(self.manual(&self.row(&manual))), MANUAL)
            .expr_as(Expr::cust(self.provisioned(&self.row(&given))), PROVISIONED)
            .expr_as(self.bound(self.group(&self.row(&mapping))), GROUP)
            .expr_as(Expr::cust(default.clone()), DEFAULT)
            .expr_as(Expr::cust(default_rank), DEFAULT_RANK);
    }
}

/// A literal. The id of a role has no character that could end one, and any that it had would be doubled.
fn text(role: &str) -> String {
    format!("'{}'", role.replace('\'', "''"))
}

/// An id in SQL.
pub(super) fn literal(engine: DbBackend, id: Uuid) -> String {
    if engine == DbBackend::Postgres { format!("CAST('{id}' AS UUID)") } else { format!("X'{}'", id.simple()) }
}

/// That a mapping leads to this group: a name that is in use is one live group's.
pub(super) const LEADS_TO: &str = "mapped.tenant_id = mapping.tenant_id AND mapped.deleted_at_us IS NULL
    AND mapped.id = COALESCE(mapping.group_id, (SELECT named.id FROM \"groups\" AS named
        WHERE named.tenant_id = mapping.tenant_id AND named.display_name_key = mapping.group_name_key
            AND named.deleted_at_us IS NULL))";

/// That a mapping has its effect (rule R21).
pub(super) const NOT_HELD: &str =
    "(mapping.role <> 'admin' OR mapped.external_id IS NOT DISTINCT FROM mapping.group_external_id)";

/// What the sources give a user.
#[derive(Debug)]
pub(super) struct Roles {
    pub(super) assignments: Vec<RoleAssignment>,
    pub(super) default: DefaultRole,
}

impl Roles {
    /// From a row that [`Lens::add`] has added to; `given` are the directory's values, as they were sent.
    pub(super) fn from_row(row: &QueryResult, given: &[ContactPoint]) -> Result<Self, DbErr> {
        let unreadable = |error| DbErr::Type(format!("what is stored of a role does not parse: {error}"));
        let mut assignments = Vec::new();
        let manual: Option<String> = row.try_get("", MANUAL)?;
        if let Some(text) = manual {
            let parsed: Assigned = serde_json::from_str(&text).map_err(unreadable)?;
            assignments.push(assignment(parsed, RoleOrigin::Manual));
        }
        let provisioned: Option<String> = row.try_get("", PROVISIONED)?;
        if let Some(text) = provisioned {
            let parsed: Assigned = serde_json::from_str(&text).map_err(unreadable)?;
            let value = as_sent(given, &parsed.0);
            assignments.push(assignment(parsed, RoleOrigin::Provisioned { value }));
        }
        let group: Option<String> = row.try_get("", GROUP)?;
        if let Some(text) = group {
            let (role, rank, by, at, id, display_name): (String, _, String, i64, Uuid, String) =
                serde_json::from_str(&text).map_err(unreadable)?;
            let origin = RoleOrigin::Group { id: GroupId::from(id), display_name };
            assignments.push(assignment((role, rank, by, at), origin));
        }
        let default = DefaultRole {
            role: RoleId::stored(row.try_get("", DEFAULT)?),
            rank: row.try_get::<Option<i32>>("", DEFAULT_RANK)?.unwrap_or_default(),
        };
        Ok(Self { assignments, default })
    }

    pub(super) fn effective(&self, access: RoleAccess) -> Option<EffectiveRole> {
        EffectiveRole::of(access, &self.assignments, self.default.clone())
    }
}

/// A role, its rank, and who assigned it when.
type Assigned = (String, Option<i32>, String, i64);

fn assignment((role, rank, assigned_by, at_us): Assigned, origin: RoleOrigin) -> RoleAssignment {
    RoleAssignment {
        role: RoleId::stored(role),
        rank: rank.unwrap_or_default(),
        origin,
        assigned_by,
        assigned_at: Timestamp(at_us),
    }
}

/// The value that a key was folded from.
fn as_sent(given: &[ContactPoint], key: &str) -> String {
    let values = given.iter().filter_map(|role| role.value.as_deref());
    values.into_iter().find(|value| CaseKey::of(value).as_str() == key).unwrap_or(key).to_owned()
}

/// How a live user stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) version: i64,
    pub(super) created_at_us: i64,
    pub(super) role: Option<EffectiveRole>,
}

/// How these users stand; whoever is not live is left out.
pub(super) async fn of<C: ConnectionTrait>(
    db: &C,
    tenant: TenantId,
    users: &[Uuid],
) -> Result<HashMap<Uuid, Standing>, DbErr> {
    through(db, tenant, users, &Lens::now(db.get_database_backend(), tenant)).await
}

/// How these users would stand, seen through a lens; whoever is not live is left out.
pub(super) async fn through<C: ConnectionTrait>(
    db: &C,
    tenant: TenantId,
    users: &[Uuid],
    lens: &Lens,
) -> Result<HashMap<Uuid, Standing>, DbErr> {
    let mut standings = HashMap::new();
    for users in users.chunks(ROWS_PER_STATEMENT) {
        let mut select = live(tenant);
        lens.add(&mut select);
        select.and_where(user::Column::Id.is_in(users.iter().copied()));
        for row in db.query_all(&select).await? {
            let (id, standing) = standing(&row)?;
            standings.insert(id, standing);
        }
    }
    Ok(standings)
}

/// The live users of a tenant, beside it: their ids, versions, when they were made, and what their access follows from.
fn live(tenant: TenantId) -> SelectStatement {
    let mut select = Query::select();
    select
        .columns(
            [
                user::Column::Id,
                user::Column::Version,
                user::Column::CreatedAtUs,
                user::Column::ProvisionedActive,
                user::Column::SuspendedAtUs,
                user::Column::RolesHeldAtUs,
            ]
            .map(|column| (user::Entity, column)),
        )
        .from(user::Entity)
        .inner_join(tenant::Entity, beside_tenant())
        .and_where(user::Column::TenantId.eq(tenant.uuid()))
        .and_where(user::Column::DeletedAtUs.is_null());
    select
}

/// That the tenant is the user's.
pub(super) fn beside_tenant() -> SimpleExpr {
    Expr::col((tenant::Entity, tenant::Column::Id)).equals((user::Entity, user::Column::TenantId))
}

fn standing(row: &QueryResult) -> Result<(Uuid, Standing), DbErr> {
    let active: bool = row.try_get("", "provisioned_active")?;
    let suspended: Option<i64> = row.try_get("", "suspended_at_us")?;
    let held: Option<i64> = row.try_get("", "roles_held_at_us")?;
    let access = RoleAccess::of(active && suspended.is_none(), held.is_some());
    let role = Roles::from_row(row, &[])?.effective(access);
    let (version, created_at_us) = (row.try_get("", "version")?, row.try_get("", "created_at_us")?);
    Ok((row.try_get("", "id")?, Standing { version, created_at_us, role }))
}

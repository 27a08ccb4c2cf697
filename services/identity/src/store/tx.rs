//! A transaction in progress: on whose behalf, when, and what it will leave in the change feed and the audit log.

mod preview;

use std::sync::{Mutex, PoisonError};

use ::audit::{Content, Entry, Hash, Values};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, ExprTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, Query},
};
use uuid::Uuid;

use crate::{
    domain::{
        CHANGE_KINDS, Caller, Error, Holder, ProvisioningState, StateReason, Timestamp, WRITE_NOTES_MAX, WriteNote,
    },
    store::{
        Outcome, audit, departures,
        entity::{change, tenant, tenant_position},
        refuse,
    },
};

/// How many rows one INSERT carries: far below either engine's limit of bound values.
pub(super) const ROWS_PER_STATEMENT: usize = 1000;

/// What happened, as the change feed names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChangeKind {
    TenantChanged,
    UserCreated,
    UserChanged,
    UserDeleted,
    UserRestored,
    UserErased,
    RoleChanged,
    GroupCreated,
    GroupChanged,
    GroupDeleted,
    MemberAdded,
    MemberRemoved,
    RoleMappingCreated,
    RoleMappingDeleted,
}

impl ChangeKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::TenantChanged => "tenant.changed",
            Self::UserCreated => "user.created",
            Self::UserChanged => "user.changed",
            Self::UserDeleted => "user.deleted",
            Self::UserRestored => "user.restored",
            Self::UserErased => "user.erased",
            Self::RoleChanged => "role.changed",
            Self::GroupCreated => "group.created",
            Self::GroupChanged => "group.changed",
            Self::GroupDeleted => "group.deleted",
            Self::MemberAdded => "member.added",
            Self::MemberRemoved => "member.removed",
            Self::RoleMappingCreated => "role_mapping.created",
            Self::RoleMappingDeleted => "role_mapping.deleted",
        }
    }
}

struct Change {
    kind: ChangeKind,
    subject: Uuid,
    object: Option<Uuid>,
    version: i64,
    before: Values,
    after: Values,
}

impl Change {
    /// Whether it takes a person's access: whoever follows the feed is told by the same words.
    fn ends_access(&self) -> bool {
        match self.kind {
            ChangeKind::UserDeleted | ChangeKind::UserErased => true,
            ChangeKind::UserChanged => self.after.as_map().get("active").is_some_and(|active| active == "false"),
            ChangeKind::TenantChanged
            | ChangeKind::UserCreated
            | ChangeKind::UserRestored
            | ChangeKind::RoleChanged
            | ChangeKind::GroupCreated
            | ChangeKind::GroupChanged
            | ChangeKind::GroupDeleted
            | ChangeKind::MemberAdded
            | ChangeKind::MemberRemoved
            | ChangeKind::RoleMappingCreated
            | ChangeKind::RoleMappingDeleted => false,
        }
    }
}

#[derive(Default)]
struct Records {
    changes: Vec<Change>,
    audit: Option<(String, Content)>,
    ends_tenant: bool,
    pauses: bool,
    notes: Vec<WriteNote>,
}

/// What a directory's write is let do.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Mode {
    Write,
    /// Everything, and then it is taken back; why, as an administrator said.
    Try(StateReason),
    /// Nothing but an entry of the audit log, which a deleted tenant has too.
    Record,
}

/// A transaction of one caller.
pub(super) struct Tx<'t> {
    pub(super) db: &'t DatabaseTransaction,
    pub(super) caller: &'t Caller,
    pub(super) now: Timestamp,
    mode: Mode,
    records: Mutex<Records>,
}

impl<'t> Tx<'t> {
    /// Begins with the tenant's existence and, for a directory, its provisioning state: both are read in the transaction that they govern.
    pub(super) async fn begin(db: &'t DatabaseTransaction, caller: &'t Caller) -> Outcome<Self> {
        let mode = check_state(db, caller).await?;
        Ok(Self { db, caller, now: Timestamp::now(), mode, records: Mutex::default() })
    }

    /// Begins what leaves an entry in the audit log and does nothing else: a deleted tenant has a log too.
    pub(super) fn of_log(db: &'t DatabaseTransaction, caller: &'t Caller) -> Self {
        Self { db, caller, now: Timestamp::now(), mode: Mode::Record, records: Mutex::default() }
    }

    pub(super) fn tenant(&self) -> Uuid {
        self.caller.tenant.uuid()
    }

    /// Locks the tenant's row until the transaction ends, for what must be counted before it is added to.
    pub(super) async fn lock_tenant(&self) -> Outcome<tenant::Model> {
        let row = tenant::Entity::find_by_id(self.tenant()).lock_exclusive().one(self.db).await?;
        match row {
            Some(row) => Ok(row),
            None => refuse(Error::NotFound("tenant")),
        }
    }

    /// Leaves an entry in the change feed. Of `what`, its values are told: what was and what is of what changed, and never a secret.
    pub(super) fn changed(&self, kind: ChangeKind, subject: Uuid, version: i64, what: Content) {
        let Content { before, after, .. } = what;
        self.push(Change { kind, subject, object: None, version, before, after });
    }

    /// Leaves an entry in the change feed about a member of a group.
    pub(super) fn member_changed(&self, kind: ChangeKind, group: Uuid, user: Uuid, version: i64) {
        let (before, after) = (Values::new(), Values::new());
        self.push(Change { kind, subject: group, object: Some(user), version, before, after });
    }

    /// Says what the audit log is to say of this act. A directory's traffic stands in the provisioning log instead.
    pub(super) fn audit(&self, subject: impl ToString, content: impl FnOnce() -> Content) {
        if self.caller.provisioning {
            return;
        }
        let entry = (subject.to_string(), content());
        self.records.lock().unwrap_or_else(PoisonError::into_inner).audit = Some(entry);
    }

    /// Whether all of this is taken back.
    pub(super) const fn is_rehearsal(&self) -> bool {
        matches!(self.mode, Mode::Try(_))
    }

    /// Leaves word of something for whoever asked for this write.
    pub(super) fn note(&self, note: WriteNote) {
        let notes = &mut self.records.lock().unwrap_or_else(PoisonError::into_inner).notes;
        if notes.len() < WRITE_NOTES_MAX && !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// Says that this write pauses provisioning, and what the audit log is to say of that, though it is a directory's write. Nothing of a directory is
    /// committed after it.
    pub(super) fn pauses(&self, subject: impl ToString, content: Content) {
        let records = &mut *self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.pauses = true;
        records.audit = Some((subject.to_string(), content));
    }

    /// Says that the tenant is no more when this is committed.
    pub(super) fn end_tenant(&self) {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).ends_tenant = true;
    }

    fn push(&self, change: Change) {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).changes.push(change);
    }

    /// Writes the records. It takes the positions, and with them the row that orders a tenant's commits, so it comes last.
    pub(super) async fn record(self) -> Outcome<()> {
        let Records { changes, audit, ends_tenant, pauses, notes } =
            std::mem::take(&mut *self.records.lock().unwrap_or_else(PoisonError::into_inner));
        self.caller.notes.set(notes);
        if changes.is_empty() && audit.is_none() {
            return Ok(());
        }
        let preview = |reason| refuse(Error::ProvisioningPreview { would: preview::sentence(&changes), reason });
        if let Mode::Try(reason) = self.mode {
            return preview(reason);
        }
        let taken = take_positions(self.db, self.caller, changes.len(), usize::from(audit.is_some())).await?;
        // The positions order this commit against the one that turned provisioning off: once that was answered, nothing of a directory's
        // is committed any more (rule R2), and once a deletion of the tenant was, nothing of anybody's. It wants a statement of its own, which
        // sees what was committed while this waited.
        // What this very write has paused, it found turned on under the tenant's lock.
        let asks_again = self.mode != Mode::Record && !ends_tenant && !pauses;
        if asks_again && let Mode::Try(reason) = check_state(self.db, self.caller).await? {
            return preview(reason);
        }
        if let Some((subject, content)) = audit {
            self.append(&taken, &subject, &content).await?;
        }
        let tenant = self.caller.tenant;
        let persons = changes.iter().filter(|change| change.ends_access()).map(|change| Some(change.subject.into()));
        let departed: Vec<Holder> =
            persons.chain(ends_tenant.then_some(None)).map(|user| Holder { tenant, user }).collect();
        departures::record(self.db, &departed, self.now).await?;
        let rows = changes.into_iter().zip(taken.change_first..).map(|(change, position)| self.row(change, position));
        let rows: Vec<_> = rows.collect::<Result<_, DbErr>>()?;
        for rows in rows.chunks(ROWS_PER_STATEMENT) {
            change::Entity::insert_many(rows.to_vec()).exec_without_returning(self.db).await?;
        }
        Ok(())
    }

    fn row(&self, change: Change, position: i64) -> Result<change::ActiveModel, DbErr> {
        debug_assert!(CHANGE_KINDS.contains(&change.kind.as_str()), "{:?} is to stand in CHANGE_KINDS", change.kind);
        Ok(change::ActiveModel {
            tenant_id: Set(self.caller.tenant.uuid()),
            position: Set(position),
            at_us: Set(self.now.0),
            kind: Set(change.kind.as_str().to_owned()),
            subject_id: Set(change.subject),
            object_id: Set(change.object),
            version: Set(change.version),
            actor: Set(self.caller.actor.clone()),
            request_id: Set(self.caller.request_id.clone()),
            before_values: Set(audit::json(&change.before)?),
            after_values: Set(audit::json(&change.after)?),
        })
    }

    /// Appends the audit entry, and leaves its hash where the next one finds it: the row is locked since the position was taken.
    async fn append(&self, taken: &Positions, subject: &str, content: &Content) -> Outcome<()> {
        let address = audit::address(self.caller.address);
        let entry = Entry {
            position: taken.audit_last,
            at_us: self.now.0,
            actor: &self.caller.actor,
            address: &address,
            action: self.caller.action,
            subject,
        };
        let hash = audit::append(self.db, self.tenant(), &taken.audit_previous, &entry, content).await?;
        tenant_position::Entity::update_many()
            .col_expr(tenant_position::Column::AuditHash, Expr::value(hash.as_bytes().to_vec()))
            .filter(tenant_position::Column::TenantId.eq(self.tenant()))
            .exec(self.db)
            .await?;
        Ok(())
    }
}

/// Refuses unless the tenant exists and, for a directory, lets it write or try to.
async fn check_state(db: &DatabaseTransaction, caller: &Caller) -> Outcome<Mode> {
    let state: Option<(String, String)> = tenant::Entity::find_by_id(caller.tenant.uuid())
        .filter(tenant::Column::DeletedAtUs.is_null())
        .select_only()
        .columns([tenant::Column::ProvisioningState, tenant::Column::ProvisioningStateReason])
        .into_tuple()
        .one(db)
        .await?;
    let Some((state, reason)) = state else { return refuse(Error::NotFound("tenant")) };
    if !caller.provisioning {
        return Ok(Mode::Write);
    }
    let reason = StateReason::stored(reason);
    match ProvisioningState::stored(&state) {
        ProvisioningState::Off => refuse(Error::ProvisioningOff { reason }),
        ProvisioningState::Paused => refuse(Error::ProvisioningPaused { reason }),
        ProvisioningState::Preview => Ok(Mode::Try(reason)),
        ProvisioningState::On => Ok(Mode::Write),
    }
}

struct Positions {
    change_first: i64,
    audit_last: i64,
    /// The hash of the audit entry before.
    audit_previous: Hash,
}

async fn take_positions(
    db: &DatabaseTransaction,
    caller: &Caller,
    changes: usize,
    audit_entries: usize,
) -> Outcome<Positions> {
    let changes = i64::try_from(changes).unwrap_or(i64::MAX);
    let audit_entries = i64::try_from(audit_entries).unwrap_or(i64::MAX);
    let mut take = Query::update();
    take.table(tenant_position::Entity)
        .value(tenant_position::Column::ChangePosition, Expr::col(tenant_position::Column::ChangePosition).add(changes))
        .value(
            tenant_position::Column::AuditPosition,
            Expr::col(tenant_position::Column::AuditPosition).add(audit_entries),
        )
        .and_where(tenant_position::Column::TenantId.eq(caller.tenant.uuid()))
        .returning(Query::returning().columns([
            tenant_position::Column::ChangePosition,
            tenant_position::Column::AuditPosition,
            tenant_position::Column::AuditHash,
        ]));
    let Some(row) = db.query_one(&take).await? else { return refuse(Error::NotFound("tenant")) };
    let change_last: i64 = row.try_get_by_index(0)?;
    let audit_last: i64 = row.try_get_by_index(1)?;
    let audit_previous: Option<Vec<u8>> = row.try_get_by_index(2)?;
    let audit_previous = audit::stored_hash(audit_previous.as_deref())?;
    Ok(Positions { change_first: change_last - changes + 1, audit_last, audit_previous })
}

//! Users and groups as far as lists are concerned: the columns of both that mean the same.

use ids::TenantId;
use sea_orm::{
    ColumnTrait, DbBackend, ExprTrait,
    sea_query::{ColumnRef, Condition, Expr, IntoColumnRef, SelectStatement, SimpleExpr},
};

use crate::{
    domain::{Case, Column, Field, FieldType, Place, Timestamp},
    store::{
        document::Document,
        entity::{group, membership, user},
        members, memberships,
    },
};

/// What a filter or an order is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    User,
    Group,
    /// A group of a user, among memberships.
    GroupOfUser,
    /// A member of a group, among memberships.
    MemberOfGroup,
    /// An element of a list of the search document.
    Element,
}

/// A value in SQL.
pub(super) struct Value {
    pub(super) expr: SimpleExpr,
    /// Whether it can be NULL.
    pub(super) nullable: bool,
}

/// A subject on one engine, within one tenant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    pub(super) engine: DbBackend,
    pub(super) tenant: TenantId,
    pub(super) subject: Subject,
}

impl Scope {
    /// The same about another subject.
    pub(super) const fn about(self, subject: Subject) -> Self {
        Self { subject, ..self }
    }

    /// The id of the resource that is listed.
    pub(super) fn id(self) -> ColumnRef {
        match self.subject {
            Subject::Group => (group::Entity, group::Column::Id).into_column_ref(),
            Subject::GroupOfUser => (membership::Entity, membership::Column::GroupId).into_column_ref(),
            Subject::MemberOfGroup => (membership::Entity, membership::Column::UserId).into_column_ref(),
            Subject::User | Subject::Element => (user::Entity, user::Column::Id).into_column_ref(),
        }
    }

    /// The rows of the tenant that are live.
    pub(super) fn live(self) -> Condition {
        Condition::all().add(self.of_tenant()).add(self.deleted_at().is_null())
    }

    /// The rows of the tenant that are live, or were until after `since`.
    pub(super) fn live_since(self, since: Timestamp) -> Condition {
        let recent = self.deleted_at().is_null().or(self.deleted_at().gt(since.0));
        Condition::all().add(self.of_tenant()).add(recent)
    }

    /// FROM the resource's own table.
    pub(super) fn from(self, select: &mut SelectStatement) {
        match self.subject {
            Subject::Group => select.from(group::Entity),
            _ => select.from(user::Entity),
        };
    }

    /// The single value of a field; NULL for what has none.
    pub(super) fn value(self, field: &Field) -> Value {
        match &field.place {
            Place::Column(column) => self.column(*column),
            Place::Document(keys) => Value { expr: scalar(self.document(), field.kind, keys), nullable: true },
            Place::Element(key) => self.of_element(key, field.kind),
            Place::Memberships => none(),
        }
    }

    /// The search document of the row.
    pub(super) fn document(self) -> Document {
        Document { engine: self.engine, json: Expr::col((user::Entity, user::Column::Search)) }
    }

    /// The memberships of the row, joined with what they lead to.
    pub(super) fn memberships(self) -> (Scope, SelectStatement) {
        if self.subject == Subject::Group {
            return (self.about(Subject::MemberOfGroup), members::of_live_users(self.tenant));
        }
        (self.about(Subject::GroupOfUser), memberships::in_live_groups(self.tenant))
    }

    /// The column of memberships that names the row, seen from either end.
    pub(super) fn end(self) -> (membership::Entity, membership::Column) {
        let column =
            if self.subject == Subject::Group { membership::Column::GroupId } else { membership::Column::UserId };
        (membership::Entity, column)
    }

    fn column(self, column: Column) -> Value {
        match self.subject {
            Subject::Group => group_column(column),
            _ => user_column(column),
        }
    }

    fn of_element(self, key: &'static str, kind: FieldType) -> Value {
        match (self.subject, kind) {
            (Subject::GroupOfUser | Subject::MemberOfGroup, FieldType::Id) => known(Expr::col(self.id())),
            (Subject::GroupOfUser, _) => known(Expr::col((group::Entity, group::Column::DisplayNameKey))),
            (Subject::MemberOfGroup, _) => known(
                Expr::col((user::Entity, user::Column::DisplayNameKey))
                    .if_null(Expr::col((user::Entity, user::Column::UserNameKey))),
            ),
            (Subject::User | Subject::Group | Subject::Element, _) => {
                Value { expr: scalar(Document::element(self.engine), kind, &[key]), nullable: true }
            }
        }
    }

    /// That a row is the tenant's.
    pub(super) fn of_tenant(self) -> SimpleExpr {
        match self.subject {
            Subject::Group => group::Column::TenantId.eq(self.tenant.uuid()),
            _ => user::Column::TenantId.eq(self.tenant.uuid()),
        }
    }

    fn deleted_at(self) -> SimpleExpr {
        match self.subject {
            Subject::Group => Expr::col((group::Entity, group::Column::DeletedAtUs)),
            _ => Expr::col((user::Entity, user::Column::DeletedAtUs)),
        }
    }
}

/// The value of a type that has one value.
pub(super) fn scalar(document: Document, kind: FieldType, keys: &[impl AsRef<str>]) -> SimpleExpr {
    match kind {
        FieldType::Boolean => document.boolean(keys),
        FieldType::Number => document.number(keys),
        FieldType::Text(Case::Folded | Case::Exact)
        | FieldType::Id
        | FieldType::Time
        | FieldType::Object
        | FieldType::Elements(_)
        | FieldType::Texts
        | FieldType::Numbers => document.text(keys),
    }
}

fn user_column(column: Column) -> Value {
    let of = |column: user::Column| Expr::col((user::Entity, column));
    match column {
        Column::Id => known(of(user::Column::Id)),
        Column::UserName => known(of(user::Column::UserNameKey)),
        Column::ExternalId => Value { expr: of(user::Column::ExternalId), nullable: true },
        Column::DisplayName => Value { expr: of(user::Column::DisplayNameKey), nullable: true },
        Column::ProvisionedActive => {
            let said =
                Expr::case(of(user::Column::ProvisionedActiveWithdrawn).eq(false), of(user::Column::ProvisionedActive));
            Value { expr: said.into(), nullable: true }
        }
        Column::CreatedAt => known(of(user::Column::CreatedAtUs)),
        Column::UpdatedAt => known(of(user::Column::UpdatedAtUs)),
    }
}

fn group_column(column: Column) -> Value {
    let of = |column: group::Column| Expr::col((group::Entity, column));
    match column {
        Column::Id => known(of(group::Column::Id)),
        Column::ExternalId => Value { expr: of(group::Column::ExternalId), nullable: true },
        Column::DisplayName => known(of(group::Column::DisplayNameKey)),
        Column::CreatedAt => known(of(group::Column::CreatedAtUs)),
        Column::UpdatedAt => known(of(group::Column::UpdatedAtUs)),
        Column::UserName | Column::ProvisionedActive => none(),
    }
}

const fn known(expr: SimpleExpr) -> Value {
    Value { expr, nullable: false }
}

fn none() -> Value {
    Value { expr: Expr::cust("NULL"), nullable: true }
}

//! From a typed filter to a condition of SQL. No term is ever NULL, so that `not` means not.
//!
//! What a client matches on is an equality that an index serves: ids, names, external ids, e-mail addresses, members. It finds the rows, and
//! all else in the filter is asked of those alone.

use sea_orm::{
    ColumnTrait, ExprTrait,
    sea_query::{Condition, Expr, Query, SelectStatement, SimpleExpr, UnionType},
};

use crate::{
    domain::{Column, Comparison, Field, FieldType, Filter, Place, Relation, TextOperator},
    store::{
        document::{self, ELEMENT},
        entity::user_email,
        resource::{Scope, Subject, Value},
    },
};

/// The key of the search document under which the e-mail addresses stand.
const EMAILS: &str = "emails";
const VALUE: &str = "value";
const TYPE: &str = "type";

/// The condition of a filter.
pub(super) fn build(scope: Scope, filter: &Filter) -> Condition {
    match filter {
        Filter::AllOf(filters) => filters.iter().fold(Condition::all(), |all, filter| all.add(build(scope, filter))),
        Filter::AnyOf(filters) => any_of(scope, filters),
        Filter::Not(filter) => build(scope, filter).not(),
        Filter::Present(field) => Condition::all().add(present(scope, field)),
        Filter::Compare(field, comparison) => Condition::all().add(compare(scope, field, comparison)),
        Filter::Element(list, filter) => match &**filter {
            Filter::AnyOf(filters) => any_of(scope, &elements(list, filters)),
            filter => Condition::all().add(element(scope, list, filter)),
        },
    }
}

/// The ids of the few rows that can satisfy a filter, where an index finds them.
pub(super) fn candidates(scope: Scope, filter: &Filter) -> Option<SelectStatement> {
    match filter {
        Filter::AllOf(filters) => filters.iter().find_map(|filter| candidates(scope, filter)),
        Filter::AnyOf(filters) => union(scope, filters),
        Filter::Compare(field, comparison) => {
            let Place::Column(Column::Id | Column::UserName | Column::ExternalId | Column::DisplayName) = field.place
            else {
                return None;
            };
            is_equality(comparison).then(|| {
                let mut ids = Query::select();
                scope.from(&mut ids);
                ids.column(scope.id()).and_where(scope.of_tenant()).and_where(compare(scope, field, comparison));
                ids
            })
        }
        Filter::Element(list, filter) => match (&**filter, &list.place) {
            (Filter::AnyOf(filters), _) => union(scope, &elements(list, filters)),
            (filter, Place::Memberships) => names_member(list, filter).then(|| memberships(scope, filter)),
            (filter, _) => Email::of(list, filter).map(|email| email.users(scope)),
        },
        Filter::Not(_) | Filter::Present(_) => None,
    }
}

fn union(scope: Scope, filters: &[Filter]) -> Option<SelectStatement> {
    let mut each = filters.iter().map(|filter| candidates(scope, filter));
    let first = each.next()??;
    each.try_fold(first, |mut union, next| {
        union.union(UnionType::Distinct, next?);
        Some(union)
    })
}

/// An engine looks at every row for alternatives, unless it is told first which rows they can be.
fn any_of(scope: Scope, filters: &[Filter]) -> Condition {
    let any = filters.iter().fold(Condition::any(), |any, filter| any.add(build(scope, filter)));
    match union(scope, filters) {
        Some(ids) if filters.len() > 1 => Condition::all().add(Expr::col(scope.id()).in_subquery(ids)).add(any),
        _ => any,
    }
}

/// One element satisfies one of several filters when it is so for one of the filters: each may have an index of its own.
fn elements(list: &Field, filters: &[Filter]) -> Vec<Filter> {
    filters.iter().map(|filter| Filter::Element(list.clone(), Box::new(filter.clone()))).collect()
}

fn present(scope: Scope, field: &Field) -> SimpleExpr {
    match (&field.place, field.kind) {
        (Place::Memberships, _) => membership(scope, Condition::all()),
        (Place::Document(keys), FieldType::Object | FieldType::Elements(_) | FieldType::Texts | FieldType::Numbers) => {
            scope.document().present(keys)
        }
        _ => scope.value(field).expr.is_not_null(),
    }
}

fn compare(scope: Scope, field: &Field, comparison: &Comparison) -> SimpleExpr {
    let (Place::Document(keys), FieldType::Texts | FieldType::Numbers) = (&field.place, field.kind) else {
        let Value { expr, nullable } = scope.value(field);
        let expr = match (field.kind, comparison) {
            (FieldType::Id, Comparison::Text(..)) => document::id_text(scope.engine, expr),
            _ => expr,
        };
        return match (&field.place, nullable) {
            (_, false) => holds(scope, expr, comparison),
            (Place::Column(Column::DisplayName), true) if is_equality(comparison) => {
                is_display_name(expr, comparison).and(holds(scope, scope.value(field).expr, comparison))
            }
            // In this form an index on the column is of use.
            (Place::Column(_), true) => expr.clone().is_not_null().and(holds(scope, expr, comparison)),
            (_, true) => holds(scope, expr, comparison).if_null(false),
        };
    };
    let (elements, value) = match field.kind {
        FieldType::Numbers => (scope.document().elements(keys), document::element_number(scope.engine)),
        _ => (scope.document().texts(keys), document::element_text(scope.engine)),
    };
    let mut some = Query::select();
    some.expr(Expr::cust("1")).from_function(elements, ELEMENT).and_where(holds(scope, value, comparison));
    Expr::exists(some)
}

/// Whether a user's name begins as it is asked for: the part of it that has an index.
fn is_display_name(name: SimpleExpr, comparison: &Comparison) -> SimpleExpr {
    let Comparison::Text(_, text) = comparison else { return name.is_not_null() };
    let start: String = text.chars().take(256).collect();
    name.clone().is_not_null().and(document::start_of_256(name).eq(start))
}

/// Whether a value compares so; NULL for a value that is NULL.
fn holds(scope: Scope, value: SimpleExpr, comparison: &Comparison) -> SimpleExpr {
    match comparison {
        Comparison::Id(None) => Expr::val(1).eq(0),
        Comparison::Id(Some(id)) => value.eq(*id),
        Comparison::Text(TextOperator::Is(relation), text) => relates(value, *relation, text.clone()),
        Comparison::Text(TextOperator::Contains, text) => document::contains(scope.engine, value, text.clone()),
        Comparison::Text(TextOperator::StartsWith, text) => document::starts_with(value, text.clone()),
        Comparison::Text(TextOperator::EndsWith, text) => document::ends_with(scope.engine, value, text.clone()),
        Comparison::Boolean(truth) => value.eq(*truth),
        Comparison::Number(relation, number) => relates(value, *relation, *number),
        Comparison::Time(relation, time) => {
            let (first, next) = time.millisecond();
            match relation {
                Relation::Equal => value.clone().gte(first.0).and(value.lt(next.0)),
                Relation::Greater => value.gte(next.0),
                Relation::GreaterOrEqual => value.gte(first.0),
                Relation::Less => value.lt(first.0),
                Relation::LessOrEqual => value.lt(next.0),
            }
        }
    }
}

fn relates<V: Into<SimpleExpr>>(value: SimpleExpr, relation: Relation, other: V) -> SimpleExpr {
    let other: SimpleExpr = other.into();
    match relation {
        Relation::Equal => value.eq(other),
        Relation::Greater => value.gt(other),
        Relation::GreaterOrEqual => value.gte(other),
        Relation::Less => value.lt(other),
        Relation::LessOrEqual => value.lte(other),
    }
}

fn element(scope: Scope, list: &Field, filter: &Filter) -> SimpleExpr {
    let Place::Document(keys) = &list.place else {
        if names_member(list, filter) {
            return Expr::col(scope.id()).in_subquery(memberships(scope, filter));
        }
        let (other, _) = scope.memberships();
        return membership(scope, build(other, filter));
    };
    let walked = || {
        let mut some = Query::select();
        some.expr(Expr::cust("1"))
            .from_function(scope.document().elements(keys), ELEMENT)
            .cond_where(build(scope.about(Subject::Element), filter));
        Expr::exists(some)
    };
    match Email::of(list, filter) {
        Some(email) => {
            let found = Expr::col(scope.id()).in_subquery(email.users(scope));
            if email.whole { found } else { found.and(walked()) }
        }
        None => walked(),
    }
}

/// The rows that are at one end of memberships whose other end satisfies a filter.
fn memberships(scope: Scope, filter: &Filter) -> SelectStatement {
    let (other, mut memberships) = scope.memberships();
    memberships.column(scope.end()).cond_where(build(other, filter));
    memberships
}

fn membership(scope: Scope, condition: Condition) -> SimpleExpr {
    let (_, mut memberships) = scope.memberships();
    memberships.expr(Expr::cust("1")).and_where(Expr::col(scope.end()).equals(scope.id())).cond_where(condition);
    Expr::exists(memberships)
}

/// Whether a filter over the other end of memberships names it as an index knows it: a member by its id, a group by its name as well.
fn names_member(list: &Field, filter: &Filter) -> bool {
    equalities(filter).any(|(field, comparison)| matches!(comparison, Comparison::Id(_)) || is_group_name(list, field))
}

fn is_group_name(list: &Field, field: &Field) -> bool {
    let FieldType::Elements(fields) = list.kind else { return false };
    fields.iter().any(|(name, _)| *name == "group_id") && field.place == Place::Element("display_name")
}

/// The equalities of which all must hold for a filter to hold.
fn equalities(filter: &Filter) -> impl Iterator<Item = (&Field, &Comparison)> {
    let terms = match filter {
        Filter::AllOf(filters) => filters.as_slice(),
        other => std::slice::from_ref(other),
    };
    terms.iter().filter_map(|term| match term {
        Filter::Compare(field, comparison) if is_equality(comparison) => Some((field, comparison)),
        _ => None,
    })
}

const fn is_equality(comparison: &Comparison) -> bool {
    matches!(comparison, Comparison::Id(_) | Comparison::Text(TextOperator::Is(Relation::Equal), _))
}

/// What one e-mail address must equal.
struct Email<'f> {
    value: &'f str,
    kind: Option<&'f str>,
    /// Whether this is all that is asked of it.
    whole: bool,
}

impl<'f> Email<'f> {
    /// Only an address that is asked for by its value is found by the addresses' index.
    fn of(list: &Field, filter: &'f Filter) -> Option<Self> {
        if !matches!(&list.place, Place::Document(keys) if *keys == [EMAILS]) {
            return None;
        }
        let part = |name: &'static str| {
            equalities(filter).find_map(|(field, comparison)| match comparison {
                Comparison::Text(_, text) if field.place == Place::Element(name) => Some(text.as_str()),
                _ => None,
            })
        };
        let (value, kind) = (part(VALUE)?, part(TYPE));
        let terms = if let Filter::AllOf(filters) = filter { filters.len() } else { 1 };
        Some(Self { value, kind, whole: terms == 1 + usize::from(kind.is_some()) })
    }

    /// The users whose addresses the index finds.
    fn users(&self, scope: Scope) -> SelectStatement {
        let mut users = Query::select();
        users
            .column(user_email::Column::UserId)
            .from(user_email::Entity)
            .and_where(user_email::Column::TenantId.eq(scope.tenant.uuid()))
            .and_where(user_email::Column::ValueKey.eq(self.value));
        if let Some(kind) = self.kind {
            users.and_where(user_email::Column::KindKey.eq(kind));
        }
        users
    }
}

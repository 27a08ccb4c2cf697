//! From a typed filter to a condition of SQL. No term is ever NULL, so that `not` means not.
//!
//! What a client matches on is an equality that an index serves: ids, names, external ids, e-mail addresses, members. It finds the rows, and
//! all else in the filter is asked of those alone.

use sea_orm::{
    ColumnTrait, ExprTrait,
    sea_query::{Condition, Expr, Query, SimpleExpr},
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
        Filter::AnyOf(filters) => filters.iter().fold(Condition::any(), |any, filter| any.add(build(scope, filter))),
        Filter::Not(filter) => build(scope, filter).not(),
        Filter::Present(field) => Condition::all().add(present(scope, field)),
        Filter::Compare(field, comparison) => Condition::all().add(compare(scope, field, comparison)),
        Filter::Element(list, filter) => element(scope, list, filter),
    }
}

/// Whether an index finds the few rows that can satisfy a filter.
pub(super) fn is_indexed(filter: &Filter) -> bool {
    match filter {
        Filter::AllOf(filters) => filters.iter().any(is_indexed),
        Filter::AnyOf(filters) => filters.iter().all(is_indexed),
        Filter::Compare(field, comparison) => match field.place {
            Place::Column(Column::Id | Column::UserName | Column::ExternalId | Column::DisplayName) => {
                is_equality(comparison)
            }
            Place::Column(_) | Place::Document(_) | Place::Memberships | Place::Element(_) => false,
        },
        Filter::Element(list, filter) => match &**filter {
            Filter::AnyOf(filters) => filters.iter().all(|filter| finds_element(list, filter)),
            filter => finds_element(list, filter),
        },
        Filter::Not(_) | Filter::Present(_) => false,
    }
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
        return match (&field.place, nullable) {
            (_, false) => holds(scope, expr, comparison),
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

/// One element satisfies one of several filters when it is so for one of the filters: each may have an index of its own.
fn element(scope: Scope, list: &Field, filter: &Filter) -> Condition {
    match filter {
        Filter::AnyOf(filters) => {
            filters.iter().fold(Condition::any(), |any, filter| any.add(element(scope, list, filter)))
        }
        filter => Condition::all().add(one_element(scope, list, filter)),
    }
}

fn one_element(scope: Scope, list: &Field, filter: &Filter) -> SimpleExpr {
    let Place::Document(keys) = &list.place else {
        let (other, _) = scope.memberships();
        let condition = build(other, filter);
        return if finds_element(list, filter) { found(scope, condition) } else { membership(scope, condition) };
    };
    let walked = || {
        let mut some = Query::select();
        some.expr(Expr::cust("1"))
            .from_function(scope.document().elements(keys), ELEMENT)
            .cond_where(build(scope.about(Subject::Element), filter));
        Expr::exists(some)
    };
    match Email::of(list, filter) {
        Some(email) if email.whole => email.found(scope),
        Some(email) => email.found(scope).and(walked()),
        None => walked(),
    }
}

/// The memberships' own index finds the rows, so this is an IN over its answer and not an EXISTS for each row.
fn found(scope: Scope, condition: Condition) -> SimpleExpr {
    let (_, mut memberships) = scope.memberships();
    memberships.column(scope.end()).cond_where(condition);
    Expr::col(scope.id()).in_subquery(memberships)
}

fn membership(scope: Scope, condition: Condition) -> SimpleExpr {
    let (_, mut memberships) = scope.memberships();
    memberships.expr(Expr::cust("1")).and_where(Expr::col(scope.end()).equals(scope.id())).cond_where(condition);
    Expr::exists(memberships)
}

/// Whether a filter over one element of a list names it in a way that an index answers.
fn finds_element(list: &Field, filter: &Filter) -> bool {
    match list.place {
        Place::Memberships => equalities(filter).any(|(field, comparison)| {
            // A member is found by its id, a group by its name as well.
            matches!(comparison, Comparison::Id(_)) || is_group_name(list, field)
        }),
        Place::Document(_) => Email::of(list, filter).is_some(),
        Place::Column(_) | Place::Element(_) => false,
    }
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

    /// The addresses' own index finds the users, so this is an IN over its answer and not an EXISTS for each user.
    fn found(&self, scope: Scope) -> SimpleExpr {
        let mut users = Query::select();
        users
            .column(user_email::Column::UserId)
            .from(user_email::Entity)
            .and_where(user_email::Column::TenantId.eq(scope.tenant.uuid()))
            .and_where(user_email::Column::ValueKey.eq(self.value));
        if let Some(kind) = self.kind {
            users.and_where(user_email::Column::KindKey.eq(kind));
        }
        Expr::col(scope.id()).in_subquery(users)
    }
}

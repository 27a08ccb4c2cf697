//! The order of a list in SQL, and the rows of it from a place on (keyset paging).

use sea_orm::{
    DbErr, ExprTrait, Order as Direction, QueryResult,
    sea_query::{BinOper, Condition, Expr, NullOrdering, SelectStatement, SimpleExpr},
};
use uuid::Uuid;

use crate::{
    domain::{Column, FieldType, Mark, Order, OrderBy, OrderKey, Place},
    store::resource::{Scope, Value, scalar},
};

/// What the value that a list is ordered by is called in a row.
const KEY: &str = "order_key";

/// An order over the rows of one subject.
pub(super) struct Ordering {
    scope: Scope,
    /// The value to order by; none where the id is all.
    value: Option<Value>,
    kind: FieldType,
    descending: bool,
}

/// Whether the row at a place belongs to what begins there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    From,
    After,
}

impl Ordering {
    pub(super) fn new(scope: Scope, order: &Order) -> Self {
        let value = match &order.by {
            OrderBy::Field(field) if field.place == Place::Column(Column::Id) => None,
            OrderBy::Field(field) => Some(scope.value(field)),
            OrderBy::Element { list, field } => Some(Value { expr: of_element(scope, list, field), nullable: true }),
        };
        Self { scope, value, kind: order.kind(), descending: order.descending }
    }

    /// Orders `select`, and has it answer what [`Ordering::mark`] reads.
    pub(super) fn apply(&self, select: &mut SelectStatement) {
        let direction = if self.descending { Direction::Desc } else { Direction::Asc };
        if let Some(value) = &self.value {
            select.expr_as(value.expr.clone(), KEY);
            if value.nullable {
                let nulls = if self.descending { NullOrdering::First } else { NullOrdering::Last };
                select.order_by_expr_with_nulls(value.expr.clone(), direction.clone(), nulls);
            } else {
                select.order_by_expr(value.expr.clone(), direction.clone());
            }
        }
        select.order_by(self.scope.id(), direction);
    }

    /// The place of a row.
    pub(super) fn mark(&self, row: &QueryResult) -> Result<Mark, DbErr> {
        let id: Uuid = row.try_get("", "id")?;
        let key = match (&self.value, self.kind) {
            (None, _) => None,
            (Some(_), FieldType::Id) => row.try_get::<Option<Uuid>>("", KEY)?.map(OrderKey::Id),
            (Some(_), FieldType::Boolean) => row.try_get::<Option<bool>>("", KEY)?.map(OrderKey::Boolean),
            (Some(_), FieldType::Number) => row.try_get::<Option<f64>>("", KEY)?.map(OrderKey::Number),
            (Some(_), FieldType::Time) => row.try_get::<Option<i64>>("", KEY)?.map(OrderKey::Time),
            (Some(_), _) => row.try_get::<Option<String>>("", KEY)?.map(OrderKey::Text),
        };
        Ok(Mark { key, id })
    }

    /// The rows from a place on.
    pub(super) fn beyond(&self, mark: &Mark, bound: Bound) -> Condition {
        let id = Expr::col(self.scope.id());
        let comparison = self.comparison(bound);
        let later_id = || id.clone().binary(comparison, mark.id);
        let all = Condition::all();
        let Some(Value { expr, nullable }) = &self.value else { return all.add(later_id()) };
        match &mark.key {
            Some(key) => {
                let pair = Expr::tuple([expr.clone(), id.clone()]);
                let later = pair.binary(comparison, Expr::tuple([bound_key(key), mark.id.into()]));
                // Rows without a value come last where the order ascends.
                let absent = (*nullable && !self.descending).then(|| expr.clone().is_null());
                all.add(absent.into_iter().fold(Condition::any().add(later), Condition::add))
            }
            None if self.descending => all.add(expr.clone().is_not_null().or(later_id())),
            None => all.add(expr.clone().is_null()).add(later_id()),
        }
    }

    const fn comparison(&self, bound: Bound) -> BinOper {
        match (self.descending, bound) {
            (false, Bound::From) => BinOper::GreaterThanOrEqual,
            (false, Bound::After) => BinOper::GreaterThan,
            (true, Bound::From) => BinOper::SmallerThanOrEqual,
            (true, Bound::After) => BinOper::SmallerThan,
        }
    }
}

fn bound_key(key: &OrderKey) -> SimpleExpr {
    match key {
        OrderKey::Id(id) => (*id).into(),
        OrderKey::Text(text) => text.clone().into(),
        OrderKey::Boolean(truth) => (*truth).into(),
        OrderKey::Number(number) => (*number).into(),
        OrderKey::Time(time) => (*time).into(),
    }
}

/// The field of the list's primary element, else of its first: of memberships, of the one with the least id.
fn of_element(scope: Scope, list: &crate::domain::Field, field: &crate::domain::Field) -> SimpleExpr {
    match (&list.place, &field.place) {
        (Place::Document(keys), Place::Element(key)) => {
            scalar(scope.document().first_element(keys), field.kind, &[*key])
        }
        _ => {
            let (other, mut first) = scope.memberships();
            first
                .expr(other.value(field).expr)
                .and_where(Expr::col(scope.end()).equals(scope.id()))
                .order_by(other.id(), Direction::Asc)
                .limit(1);
            SimpleExpr::SubQuery(None, Box::new(first.into()))
        }
    }
}

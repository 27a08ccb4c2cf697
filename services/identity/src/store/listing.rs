//! Pages over users and groups, by token or by index.
//!
//! A walk by index must not miss a live row while others are deleted (rule D12). A row that is deleted moves all later ones up by one, past a
//! client that counts. So rows deleted in the last 24 hours keep their place in the count: an index is a rank among those and the live, the
//! page holds only live rows from that rank on, and a client sees a row twice rather than never.

use std::{sync::Arc, time::Duration};

use ids::TenantId;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbErr, QueryResult,
    sea_query::{Condition, Expr, ExprTrait, Query, SelectStatement},
};

use crate::{
    domain::{Column, Error, Listed, Mark, OrderBy, PageStart, Place, Selection, Slice, Timestamp},
    store::{
        Store, conditions,
        order::{Bound, Ordering},
        resource::{Scope, Subject},
        unavailable,
    },
};
use tracing::Instrument as _;

/// How many lists that no index answers are read at once. They look at every row, and whoever is found by an index must not wait for a connection
/// behind them.
pub(super) const COSTLY_MAX: usize = 2;
/// How long such a list waits for its turn, and how long all its statements may take: less than a caller waits.
const COSTLY_WAIT: Duration = Duration::from_secs(2);
const COSTLY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a deleted row keeps its place in the count: longer than any walk.
const RANKED_AFTER_DELETION: Duration = Duration::from_secs(24 * 60 * 60);

impl Store {
    /// One page of `select`, which chooses the live rows of the tenant.
    pub(super) async fn list<T: Send + 'static>(
        &self,
        about: (TenantId, Subject),
        selection: &Selection,
        select: SelectStatement,
        slice: Slice,
        from_row: fn(&QueryResult) -> Result<T, DbErr>,
    ) -> Result<Listed<T>, Error> {
        let list = List::new(self.database.read().clone(), about.0, about.1, selection);
        if list.indexed {
            return list.page(select, slice, from_row).await;
        }
        let turn = tokio::time::timeout(COSTLY_WAIT, Arc::clone(&self.costly).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(Error::FilterTooCostly) };
        // A statement goes on when its caller has gone, and so does its turn.
        let reading = tokio::spawn(
            async move {
                let listed = list.page(select, slice, from_row).await;
                drop(turn);
                listed
            }
            .in_current_span(),
        );
        match tokio::time::timeout(COSTLY_TIMEOUT, reading).await {
            Ok(Ok(listed)) => listed,
            Ok(Err(_)) => Err(Error::Internal),
            Err(_) => Err(Error::FilterTooCostly),
        }
    }
}

/// Whether an index has the rows in the order of this column.
const fn is_ordered_by_an_index(subject: Subject, place: &Place) -> bool {
    match place {
        Place::Column(Column::Id | Column::UserName | Column::ExternalId) => true,
        Place::Column(Column::CreatedAt | Column::UpdatedAt) => matches!(subject, Subject::User),
        Place::Column(Column::DisplayName) => matches!(subject, Subject::Group),
        Place::Column(Column::ProvisionedActive) | Place::Document(_) | Place::Memberships | Place::Element(_) => false,
    }
}

/// A list of one resource.
pub(super) struct List {
    db: DatabaseConnection,
    scope: Scope,
    condition: Condition,
    ordering: Ordering,
    /// Whether an index finds its rows, in their order or so few that their order costs nothing.
    indexed: bool,
}

impl List {
    pub(super) fn new(db: DatabaseConnection, tenant: TenantId, subject: Subject, selection: &Selection) -> Self {
        let scope = Scope { engine: db.get_database_backend(), tenant, subject };
        let condition =
            selection.filter.as_ref().map_or_else(Condition::all, |filter| conditions::build(scope, filter));
        let indexed = match &selection.filter {
            Some(filter) => conditions::candidates(scope, filter).is_some(),
            None => {
                matches!(&selection.order.by, OrderBy::Field(field) if is_ordered_by_an_index(subject, &field.place))
            }
        };
        Self { db, scope, condition, ordering: Ordering::new(scope, &selection.order), indexed }
    }

    /// One page of `select`, which chooses the live rows of the tenant.
    pub(super) async fn page<T>(
        &self,
        select: SelectStatement,
        slice: Slice,
        from_row: fn(&QueryResult) -> Result<T, DbErr>,
    ) -> Result<Listed<T>, Error> {
        let listed = self.read(select, slice, from_row).await;
        listed.map_err(|error| {
            if database::ran_out_of_time(&error) && !self.indexed {
                Error::FilterTooCostly
            } else {
                unavailable(&error)
            }
        })
    }

    async fn read<T>(
        &self,
        mut select: SelectStatement,
        slice: Slice,
        from_row: fn(&QueryResult) -> Result<T, DbErr>,
    ) -> Result<Listed<T>, DbErr> {
        let Slice { start, size } = slice;
        let beyond = match &start {
            PageStart::After(mark) => self.ordering.beyond(mark, Bound::After),
            PageStart::Skip(0) => Condition::all(),
            PageStart::Skip(skip) => match self.at_rank(*skip).await? {
                Some(first) => self.ordering.beyond(&first, Bound::From),
                None => return self.nothing().await,
            },
        };
        if size == 0 {
            return self.nothing().await;
        }
        self.choose(&mut select, beyond, size);
        let mut rows = self.db.query_all(&select).await?;
        let more = rows.len() as u64 > size;
        rows.truncate(usize::try_from(size).unwrap_or(usize::MAX));
        let next = rows.last().filter(|_| more).map(|last| self.ordering.mark(last)).transpose()?;
        let total = match start {
            PageStart::After(_) => None,
            PageStart::Skip(0) if !more => Some(rows.len() as u64),
            PageStart::Skip(_) if !more => Some(self.count(self.scope.live()).await?),
            PageStart::Skip(_) => Some(self.count(self.ranked()).await?),
        };
        Ok(Listed { rows: rows.iter().map(from_row).collect::<Result<_, _>>()?, next, total })
    }

    /// Has `select` choose the page's rows, and one more to tell whether any follow.
    pub(super) fn choose(&self, select: &mut SelectStatement, beyond: Condition, size: u64) {
        select.cond_where(self.condition.clone()).cond_where(beyond).limit(size + 1);
        self.ordering.apply(select);
    }

    /// No rows, and how many live ones there are.
    async fn nothing<T>(&self) -> Result<Listed<T>, DbErr> {
        let total = self.count(self.scope.live()).await?;
        Ok(Listed { rows: Vec::new(), next: None, total: Some(total) })
    }

    async fn count(&self, which: Condition) -> Result<u64, DbErr> {
        let mut select = Query::select();
        self.scope.from(&mut select);
        select.expr(Expr::col(self.scope.id()).count()).cond_where(which).cond_where(self.condition.clone());
        let row = self.db.query_one(&select).await?;
        let counted: i64 = row.map_or(Ok(0), |row| row.try_get_by_index(0))?;
        Ok(u64::try_from(counted).unwrap_or(0))
    }

    /// The place of the row that has this many before it.
    async fn at_rank(&self, rank: u64) -> Result<Option<Mark>, DbErr> {
        let mut select = Query::select();
        self.scope.from(&mut select);
        select
            .column(self.scope.id())
            .cond_where(self.ranked())
            .cond_where(self.condition.clone())
            .offset(rank)
            .limit(1);
        self.ordering.apply(&mut select);
        let row = self.db.query_one(&select).await?;
        row.map(|row| self.ordering.mark(&row)).transpose()
    }

    /// The rows that have a place in the count.
    fn ranked(&self) -> Condition {
        self.scope.live_since(Timestamp::now().before(RANKED_AFTER_DELETION))
    }
}

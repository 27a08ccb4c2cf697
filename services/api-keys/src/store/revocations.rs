//! The ordered list of revocations.

use std::time::Duration;

use authn::CredentialId;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, Query},
};

use super::{
    Outcome, Running, Store,
    entity::{revocation, revocation_head},
    unavailable, unwritten,
};
use crate::domain::{Error, Revocation, RevocationSubject, Timestamp};

const API_KEY: &str = "api_key";
const TRUST: &str = "trust";
const SIGNING_KEY: &str = "signing_key";
/// The one row of the head.
const HEAD: i64 = 1;
/// How long an entry is kept beyond the life of a token that was issued when it was written: for clocks of replicas
/// that differ, and for a transaction that waits before its commit while tokens are still issued. Statements end after
/// 10 s.
const MARGIN: Duration = Duration::from_secs(60);

impl Store {
    /// The position of the newest entry, 0 when there never was one.
    pub(crate) async fn head(&self) -> Result<i64, Error> {
        let head = revocation_head::Entity::find_by_id(HEAD).one(self.database.read()).await;
        let head = head.map_err(|error| unavailable(&error))?;
        head.map(|row| row.position).ok_or_else(|| {
            tracing::error!("the head of the revocation list has no row");
            Error::StoreUnavailable
        })
    }

    /// Takes away entries that can match no living token any more.
    pub(crate) async fn purge_revocations(&self, now: Timestamp) -> Result<(), Error> {
        self.write(now, purge).await.map_err(unwritten)
    }

    /// At most `size` entries after one position and up to another, in order. Those that can match no living token any
    /// more are left out.
    pub(crate) async fn revocations(&self, (after, until): (i64, i64), size: u64) -> Result<Vec<Revocation>, Error> {
        let rows = revocation::Entity::find()
            .filter(revocation::Column::Position.gt(after))
            .filter(revocation::Column::Position.lte(until))
            .filter(revocation::Column::ExpiresAtUs.gt(Timestamp::now().0))
            .order_by_asc(revocation::Column::Position)
            .limit(size)
            .all(self.database.read())
            .await
            .map_err(|error| unavailable(&error))?;
        rows.into_iter().map(Revocation::try_from).collect()
    }
}

fn purge<'a>(tx: &'a DatabaseTransaction, now: &'a Timestamp) -> Running<'a, ()> {
    Box::pin(async move {
        revocation::Entity::delete_many().filter(revocation::Column::ExpiresAtUs.lte(now.0)).exec(tx).await?;
        Ok(())
    })
}

/// Appends an entry. It takes its position from the head's row, which stays locked until the commit: so positions are
/// in the order of commits, and this comes last in a transaction.
pub(super) async fn append(tx: &DatabaseTransaction, subject: &RevocationSubject) -> Outcome<()> {
    let mut take = Query::update();
    take.table(revocation_head::Entity)
        .value(revocation_head::Column::Position, Expr::col(revocation_head::Column::Position).add(1))
        .and_where(revocation_head::Column::Id.eq(HEAD))
        .returning_col(revocation_head::Column::Position);
    let row = tx.query_one(&take).await?;
    let position: i64 = match row {
        Some(row) => row.try_get_by_index(0)?,
        None => return Err(sea_orm::DbErr::RecordNotFound("the head of the revocation list".into()).into()),
    };
    let (kind, subject, below_version) = match subject {
        RevocationSubject::Credential(CredentialId::ApiKey(id), below) => (API_KEY, id.to_string(), *below),
        RevocationSubject::Credential(CredentialId::Trust(id), below) => (TRUST, id.to_string(), *below),
        RevocationSubject::SigningKey(kid) => (SIGNING_KEY, kid.clone(), None),
    };
    let entry = revocation::ActiveModel {
        position: Set(position),
        subject_kind: Set(kind.to_owned()),
        subject: Set(subject),
        // By the clock after the wait for the row.
        expires_at_us: Set(Timestamp::now().after(authn::token::LIFE_MAX + MARGIN).0),
        below_version: Set(below_version),
    };
    revocation::Entity::insert(entry).exec_without_returning(tx).await?;
    Ok(())
}

impl TryFrom<revocation::Model> for Revocation {
    type Error = Error;

    fn try_from(row: revocation::Model) -> Result<Self, Error> {
        let of = |credential| RevocationSubject::Credential(credential, row.below_version);
        let subject = match row.subject_kind.as_str() {
            API_KEY => row.subject.parse().ok().map(|id| of(CredentialId::ApiKey(id))),
            TRUST => row.subject.parse().ok().map(|id| of(CredentialId::Trust(id))),
            SIGNING_KEY => Some(RevocationSubject::SigningKey(row.subject.clone())),
            _ => None,
        };
        // An entry that cannot be read must not be passed over: without it verifiers would honour what is revoked.
        let subject = subject.ok_or_else(|| {
            tracing::error!(position = row.position, "a revocation's row cannot be read");
            Error::StoreUnavailable
        })?;
        Ok(Self { position: row.position, subject, expires_at: Timestamp(row.expires_at_us) })
    }
}

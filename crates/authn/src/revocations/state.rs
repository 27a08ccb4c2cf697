//! What a verifier knows of the list of revocations, and since when.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use proto::api_keys::v1::{Revocation, WatchRevocationsResponse, revocation::Subject};
use tokio::time::Instant;

use crate::CredentialId;

/// A head older than this says nothing any more.
const HEAD_AGE_MAX: Duration = Duration::from_millis(750);

/// Whether a token is honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Honoured,
    /// Its credential has ended or was changed since, or it was signed by a key that was withdrawn. A token that is exchanged now may be honoured.
    Revoked,
}

/// What is refused of a credential.
#[derive(Clone, Copy, Debug)]
struct Ended {
    /// Versions below this one.
    below_version: i64,
    /// Until when there may be a token that this matches.
    until: SystemTime,
}

/// The list went back: its head lies before what was read already.
#[derive(Debug)]
pub(super) struct WentBack;

#[derive(Debug, Default)]
pub(super) struct State {
    /// Everything up to here is known.
    position: i64,
    /// The newest head that a call has told of. Until it is reached, the list is known to lack something.
    head: Option<i64>,
    /// When the head was last known to be the newest.
    head_at: Option<Instant>,
    /// When the last call that told the head began.
    confirmed_from: Option<Instant>,
    /// How many messages came.
    heard: u64,
    /// How often the list went back: a stream that was opened before goes on from a position that means nothing now.
    generation: u64,
    credentials: HashMap<CredentialId, Ended>,
    signing_keys: HashMap<String, SystemTime>,
}

impl State {
    pub(super) const fn position(&self) -> i64 {
        self.position
    }

    pub(super) const fn heard(&self) -> u64 {
        self.heard
    }

    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether the list was complete once.
    pub(super) fn is_loaded(&self) -> bool {
        self.heard > 0 && self.head.is_some_and(|head| self.position >= head)
    }

    /// Whether the last head is young enough at `now`.
    pub(super) fn is_young(&self, now: Instant) -> bool {
        self.head_at.is_some_and(|at| now.saturating_duration_since(at) <= HEAD_AGE_MAX)
    }

    /// Whether the head is young, or was asked for since `arrived`, however long the answer took.
    pub(super) fn is_confirmed(&self, arrived: Instant) -> bool {
        self.is_young(Instant::now()) || self.confirmed_from.is_some_and(|from| from >= arrived)
    }

    /// Whether the list can be judged by for one who came at `arrived`.
    pub(super) fn is_current(&self, arrived: Instant) -> bool {
        self.is_loaded() && self.is_confirmed(arrived)
    }

    /// The verdict on tokens of one version of a credential that are signed by `kid`, if the list is current.
    pub(super) fn verdict(
        &self,
        arrived: Instant,
        (credential, version): (CredentialId, i64),
        kid: &str,
    ) -> Option<Verdict> {
        // An entry is looked up whether its time has come or not: what it matches is dead either way.
        let revoked = self.credentials.get(&credential).is_some_and(|ended| version < ended.below_version)
            || self.signing_keys.contains_key(kid);
        self.is_current(arrived).then_some(if revoked { Verdict::Revoked } else { Verdict::Honoured })
    }

    /// Takes the answer to a call for the head that began at `began`, when everything up to `position` was known.
    pub(super) fn confirm(&mut self, head: i64, began: Instant, position: i64) {
        if head < position {
            self.go_back();
            return;
        }
        self.head = self.head.max(Some(head));
        self.head_at = self.head_at.max(Some(began));
        self.confirmed_from = self.confirmed_from.max(Some(began));
    }

    /// Takes a message, which arrived at `now`, of a stream that was opened in `generation`.
    pub(super) fn apply(
        &mut self,
        message: WatchRevocationsResponse,
        generation: u64,
        now: Instant,
    ) -> Result<(), WentBack> {
        if generation != self.generation {
            return Err(WentBack);
        }
        self.heard += 1;
        if message.head < self.position {
            self.go_back();
            return Err(WentBack);
        }
        if !message.revocations.is_empty() {
            self.forget_expired(SystemTime::now());
        }
        for revocation in message.revocations {
            self.insert(revocation);
        }
        self.position = message.head;
        // A message that comes late, or that stops short of the head, shows only how things were.
        if self.is_loaded() && self.is_young(now) {
            self.head_at = Some(now);
        }
        Ok(())
    }

    fn insert(&mut self, revocation: Revocation) {
        let expires = revocation.expire_time.map_or(SystemTime::now() + crate::token::LIFE_MAX, |time| {
            UNIX_EPOCH + Duration::from_secs(u64::try_from(time.seconds).unwrap_or(0).saturating_add(1))
        });
        let below_version = revocation.below_version.unwrap_or(i64::MAX);
        let ended = Ended { below_version, until: expires };
        match revocation.subject {
            Some(Subject::ApiKeyId(id)) => self.end(id.parse().map(CredentialId::ApiKey), ended),
            Some(Subject::TrustId(id)) => self.end(id.parse().map(CredentialId::Trust), ended),
            Some(Subject::SigningKid(kid)) => drop(self.signing_keys.insert(kid, expires)),
            None => tracing::error!(
                position = revocation.position,
                "a revocation of a kind that this release does not know"
            ),
        }
    }

    fn end(&mut self, credential: Result<CredentialId, ids::InvalidId>, ended: Ended) {
        let Ok(credential) = credential else {
            tracing::error!("a revocation names what is no id");
            return;
        };
        let known = self.credentials.entry(credential).or_insert(ended);
        known.below_version = known.below_version.max(ended.below_version);
        known.until = known.until.max(ended.until);
    }

    fn forget_expired(&mut self, now: SystemTime) {
        self.credentials.retain(|_, ended| ended.until > now);
        self.signing_keys.retain(|_, expires| *expires > now);
    }

    /// What was revoked stays so; all else is asked for anew.
    fn go_back(&mut self) {
        self.generation += 1;
        self.position = 0;
        self.head = None;
        self.head_at = None;
        self.confirmed_from = None;
    }
}

#[cfg(test)]
mod tests {
    use ids::{ApiKeyId, TrustId};

    use super::*;

    /// What is revoked as a whole.
    fn revocation(position: i64, key: Token) -> Revocation {
        let (CredentialId::ApiKey(id), _) = key else { panic!("{key:?}") };
        Revocation { position, subject: Some(Subject::ApiKeyId(id.to_string())), ..Revocation::default() }
    }

    /// A credential with the version that a token names.
    type Token = (CredentialId, i64);

    fn token() -> Token {
        (CredentialId::ApiKey(ApiKeyId::generate()), 1)
    }

    fn message(head: i64, revocations: Vec<Revocation>) -> WatchRevocationsResponse {
        WatchRevocationsResponse { revocations, head }
    }

    /// A list with one entry, known to be current at `now`.
    fn loaded(now: Instant, key: Token) -> State {
        let mut state = State::default();
        state.apply(message(1, vec![revocation(1, key)]), 0, now).unwrap();
        state.confirm(1, now, 1);
        state
    }

    #[test]
    fn r01_a_list_is_judged_by_once_it_is_complete_and_confirmed() {
        let (now, key, other) = (Instant::now(), token(), token());
        let mut state = State::default();
        assert_eq!(state.verdict(now, other, "kid"), None);
        state.confirm(2, now, 0);
        assert_eq!(state.verdict(now, other, "kid"), None, "confirmed, not loaded");
        state.apply(message(1, vec![revocation(1, key)]), 0, now).unwrap();
        assert_eq!(state.verdict(now, other, "kid"), None, "short of the head");
        state.apply(message(2, vec![]), 0, now).unwrap();
        assert_eq!(state.verdict(now, other, "kid"), Some(Verdict::Honoured));
        assert_eq!(state.verdict(now, key, "kid"), Some(Verdict::Revoked));
    }

    #[test]
    fn r25_what_a_stream_of_before_the_list_went_back_says_is_not_taken() {
        let (now, key) = (Instant::now(), token());
        let mut state = loaded(now, key);
        let generation = state.generation();
        state.confirm(0, now, 1);
        assert_eq!((state.position(), state.is_loaded()), (0, false));
        // It would pass over whatever the new list has up to its position.
        assert!(state.apply(message(7, vec![]), generation, now).is_err());
        state.apply(message(0, vec![]), state.generation(), now).unwrap();
        state.confirm(0, now, 0);
        assert_eq!(state.verdict(now, key, "kid"), Some(Verdict::Revoked), "and no revocation is forgotten");
    }

    #[test]
    fn a_slow_answer_about_an_older_head_takes_nothing_back() {
        let (now, key) = (Instant::now(), token());
        let mut state = loaded(now, key);
        // The call began when nothing was known; the stream has been faster.
        state.confirm(0, now, 0);
        assert_eq!(state.position(), 1);
        assert!(state.is_loaded());
    }

    #[test]
    fn entries_are_forgotten_when_their_time_has_come() {
        let (now, key) = (Instant::now(), token());
        let mut state = loaded(now, key);
        state.forget_expired(SystemTime::now() + crate::token::LIFE_MAX - Duration::from_secs(1));
        assert_eq!(state.verdict(now, key, "kid"), Some(Verdict::Revoked));
        state.forget_expired(SystemTime::now() + crate::token::LIFE_MAX + Duration::from_secs(1));
        assert_eq!(state.verdict(now, key, "kid"), Some(Verdict::Honoured));
    }

    #[test]
    fn r01_a_credential_that_was_changed_is_refused_in_its_earlier_versions_alone() {
        let (now, trust) = (Instant::now(), TrustId::generate());
        let mut state = State::default();
        for (position, below) in [(1, 3), (2, 2)] {
            let subject = Some(Subject::TrustId(trust.to_string()));
            let changed = Revocation { position, subject, below_version: Some(below), expire_time: None };
            state.apply(message(position, vec![changed]), 0, now).unwrap();
        }
        state.confirm(2, now, 2);
        let verdict = |version| state.verdict(now, (CredentialId::Trust(trust), version), "kid");
        assert_eq!((verdict(2), verdict(3)), (Some(Verdict::Revoked), Some(Verdict::Honoured)));
        let key = CredentialId::ApiKey(ApiKeyId::from(trust.uuid()));
        assert_eq!(state.verdict(now, (key, 1), "kid"), Some(Verdict::Honoured), "an id is of its kind");
    }
}

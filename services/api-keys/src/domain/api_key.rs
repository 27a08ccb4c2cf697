//! A key, and what a new one may be.

use authn::{Scope, Scopes};
use ids::{ApiKeyId, TenantId};

use super::{Error, Timestamp};

/// The longest name, in characters.
pub(crate) const NAME_LENGTH_MAX: usize = 128;
/// The latest end of a key: the end of the year 9999, the last that protobuf can write.
const EXPIRY_MAX: Timestamp = Timestamp(253_402_300_799_000_000);

/// A key, without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiKey {
    pub(crate) id: ApiKeyId,
    pub(crate) tenant: TenantId,
    pub(crate) name: String,
    pub(crate) scopes: Scopes,
    pub(crate) creator: String,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) revoked_at: Option<Timestamp>,
}

/// Whether a key or a trust can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Active,
    Expired,
    Revoked,
}

impl ApiKey {
    pub(crate) fn state(&self, now: Timestamp) -> State {
        state(self.expires_at, self.revoked_at, now)
    }
}

/// What verifying a key takes.
#[derive(Clone, Debug)]
pub(crate) struct Credential {
    pub(crate) id: ApiKeyId,
    pub(crate) tenant: TenantId,
    pub(crate) scopes: Scopes,
    /// A PHC string.
    pub(crate) hash: String,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) revoked_at: Option<Timestamp>,
}

impl Credential {
    pub(crate) fn is_active(&self, now: Timestamp) -> bool {
        state(self.expires_at, self.revoked_at, now) == State::Active
    }
}

/// A key or a trust ends with the second before the one that its end lies in, for tokens count in whole seconds and none
/// outlives what it was issued for.
pub(super) fn state(expires_at: Option<Timestamp>, revoked_at: Option<Timestamp>, now: Timestamp) -> State {
    if revoked_at.is_some() {
        State::Revoked
    } else if expires_at.is_some_and(|end| end.second() <= now.second()) {
        State::Expired
    } else {
        State::Active
    }
}

/// What a caller asks a new key to be, found possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewApiKey {
    pub(crate) name: String,
    pub(crate) scopes: Scopes,
    pub(crate) expires_at: Option<Timestamp>,
}

impl NewApiKey {
    /// Checks what an issuer with the scopes `issuer` asks for at `now`. No scopes mean `scim` alone.
    pub(crate) fn new(
        name: String,
        scopes: &[String],
        expires_at: Option<Timestamp>,
        (issuer, now): (Scopes, Timestamp),
    ) -> Result<Self, Error> {
        check_name(&name, "api_key.name")?;
        check_end(expires_at, now, "api_key.expire_time")?;
        Ok(Self { name, scopes: given(scopes, issuer)?, expires_at })
    }
}

/// A name is there to be read.
pub(super) fn check_name(name: &str, field: &'static str) -> Result<(), Error> {
    let length = name.chars().count();
    if (1..=NAME_LENGTH_MAX).contains(&length) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Error::invalid(field, format!("write 1 to {NAME_LENGTH_MAX} characters without control characters")))
}

/// What ends, ends after `now`.
pub(super) fn check_end(expires_at: Option<Timestamp>, now: Timestamp, field: &'static str) -> Result<(), Error> {
    if expires_at.is_some_and(|end| end.second() <= now.second() || end > EXPIRY_MAX) {
        return Err(Error::invalid(field, "the end must lie in the future, before the year 10000"));
    }
    Ok(())
}

/// Nobody gives what they lack (`rules.md` R6).
fn given(scopes: &[String], issuer: Scopes) -> Result<Scopes, Error> {
    let mut asked = Vec::with_capacity(scopes.len().max(1));
    for scope in scopes {
        let scope = scope.parse::<Scope>().map_err(|error| Error::invalid("api_key.scopes", error.to_string()))?;
        asked.push(scope);
    }
    if asked.is_empty() {
        asked.push(Scope::Scim);
    }
    match asked.iter().find(|scope| !issuer.may_give(**scope)) {
        Some(scope) => Err(Error::ScopeDenied(*scope)),
        None => Ok(asked.into_iter().collect()),
    }
}

/// An entry of the list that verifiers follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revocation {
    pub(crate) position: i64,
    pub(crate) subject: RevocationSubject,
    pub(crate) expires_at: Timestamp,
}

/// Whose tokens are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RevocationSubject {
    /// A key's.
    ApiKey(ApiKeyId),
    /// Those that a signing key has signed.
    SigningKey(String),
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_500_000);

    fn new(name: &str, scopes: &[&str], expires_at: Option<Timestamp>, issuer: &str) -> Result<NewApiKey, Error> {
        let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
        NewApiKey::new(name.to_owned(), &scopes, expires_at, (issuer.parse().unwrap(), NOW))
    }

    fn field(refused: Result<NewApiKey, Error>) -> &'static str {
        match refused {
            Err(Error::Invalid { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_name_has_1_to_128_characters_and_no_control_characters() {
        assert!(new(&"é".repeat(NAME_LENGTH_MAX), &[], None, "admin").is_ok());
        for name in ["", &"x".repeat(NAME_LENGTH_MAX + 1), "a\nb", "\u{7f}"] {
            assert_eq!(field(new(name, &[], None, "admin")), "api_key.name", "{name:?}");
        }
    }

    #[test]
    fn no_scopes_mean_scim() {
        assert_eq!(new("n", &[], None, "admin").unwrap().scopes.to_string(), "scim");
        assert_eq!(new("n", &["admin", "admin"], None, "admin").unwrap().scopes.to_string(), "admin");
        assert_eq!(field(new("n", &["root"], None, "admin")), "api_key.scopes");
    }

    #[test]
    fn r06_nobody_gives_what_they_lack() {
        assert_eq!(new("n", &["scim", "operator"], None, "operator"), Err(Error::ScopeDenied(Scope::Operator)));
        assert_eq!(new("n", &["operator"], None, "admin"), Err(Error::ScopeDenied(Scope::Operator)));
        assert_eq!(new("n", &["admin"], None, "identity.write"), Err(Error::ScopeDenied(Scope::Admin)));
        assert_eq!(new("n", &[], None, "identity.read"), Err(Error::ScopeDenied(Scope::Scim)));
        assert!(new("n", &["scim", "identity.read", "identity.write", "admin"], None, "operator").is_ok());
    }

    #[test]
    fn a_key_ends_in_the_future_before_the_year_10000() {
        assert!(new("n", &[], Some(NOW.after(Duration::from_secs(1))), "admin").is_ok());
        assert!(new("n", &[], Some(EXPIRY_MAX), "admin").is_ok());
        for end in
            [Timestamp(0), NOW, NOW.after(Duration::from_millis(400)), EXPIRY_MAX.after(Duration::from_micros(1))]
        {
            assert_eq!(field(new("n", &[], Some(end), "admin")), "api_key.expire_time", "{end:?}");
        }
    }

    #[test]
    fn revoked_outranks_expired_and_the_end_is_the_seconds_own() {
        let end = Timestamp(1_700_000_010_900_000);
        let at = |micros| state(Some(end), None, Timestamp(micros));
        assert_eq!(at(1_700_000_009_999_999), State::Active);
        assert_eq!(at(1_700_000_010_000_000), State::Expired);
        assert_eq!(state(Some(end), Some(NOW), end), State::Revoked);
        assert_eq!(state(None, None, Timestamp(i64::MAX)), State::Active);
    }
}

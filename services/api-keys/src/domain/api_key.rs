//! A key, and what a new one may be.

use std::{collections::HashSet, time::Duration};

use authn::{CredentialId, Grant, Networks, Scope, Scopes};
use ids::{ApiKeyId, TenantId, UserId};

use super::{Error, Timestamp};

/// The longest name, in characters.
pub(crate) const NAME_LENGTH_MAX: usize = 128;
/// The longest description, in characters.
pub(crate) const DESCRIPTION_LENGTH_MAX: usize = 1024;
/// How long before its end a key is warned of.
pub(crate) const WARNING: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long both keys of a rotation work when nothing else is asked for.
const OVERLAP_DEFAULT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long they may.
const OVERLAP_MAX: Duration = Duration::from_secs(90 * 24 * 3600);
/// The latest end of a key: the end of the year 9999, the last that protobuf can write.
const EXPIRY_MAX: Timestamp = Timestamp(253_402_300_799_000_000);

/// A key, without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiKey {
    pub(crate) id: ApiKeyId,
    pub(crate) tenant: TenantId,
    pub(crate) about: About,
    /// How often what it grants was changed, from 1 on.
    pub(crate) version: i64,
    pub(crate) creator: String,
    /// The person who made it, where it was made by a person's key, or by one made so.
    pub(crate) creator_user: Option<UserId>,
    /// When that person lost access.
    pub(crate) creator_departed_at: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
    pub(crate) revoked_at: Option<Timestamp>,
    pub(crate) replaced_by: Option<ApiKeyId>,
    pub(crate) last_use: Option<LastUse>,
}

/// What an administrator decides about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) scopes: Scopes,
    pub(crate) networks: Networks,
    pub(crate) expires_at: Option<Timestamp>,
    /// The person whose key it is: it ends when the person loses access. It is decided once.
    pub(crate) owner: Option<UserId>,
}

/// When a credential was used last, and from where, where that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LastUse {
    pub(crate) at: Timestamp,
    pub(crate) address: String,
}

/// Whether a key or a trust can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Active,
    Expired,
    Revoked,
}

impl ApiKey {
    /// A new key.
    pub(crate) fn new(id: ApiKeyId, tenant: TenantId, about: About, creator: String, now: Timestamp) -> Self {
        Self {
            id,
            tenant,
            about,
            version: 1,
            creator,
            creator_user: None,
            creator_departed_at: None,
            created_at: now,
            revoked_at: None,
            replaced_by: None,
            last_use: None,
        }
    }

    pub(crate) fn state(&self, now: Timestamp) -> State {
        state(self.about.expires_at, self.revoked_at, now)
    }

    /// Whether it can be used and will soon have ended.
    pub(crate) fn expires_soon(&self, now: Timestamp) -> bool {
        self.state(now) == State::Active && self.about.expires_at.is_some_and(|end| end <= now.after(WARNING))
    }
}

/// What verifying a key takes.
#[derive(Clone, Debug)]
pub(crate) struct Credential {
    pub(crate) grant: Grant,
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

impl About {
    /// Checks what an issuer with the scopes `issuer` asks of a key at `now`. No scopes mean `scim` alone.
    pub(crate) fn new(asked: Asked, issuer: Scopes, now: Timestamp) -> Result<Self, Error> {
        let about = Self {
            name: name(asked.name)?,
            description: description(asked.description)?,
            scopes: scopes(&asked.scopes)?,
            networks: networks(&asked.allowed_networks)?,
            expires_at: asked.expires_at.map(|end| ending(end, now)).transpose()?,
            owner: owner(&asked.owner)?,
        };
        about.check_owned()?;
        given(about.scopes, issuer)?;
        Ok(about)
    }

    /// Takes over what is asked for in the fields that are named.
    pub(crate) fn changed(&self, asked: Asked, fields: &HashSet<Field>, now: Timestamp) -> Result<Self, Error> {
        let mut about = self.clone();
        if fields.contains(&Field::Name) {
            about.name = name(asked.name)?;
        }
        if fields.contains(&Field::Description) {
            about.description = description(asked.description)?;
        }
        if fields.contains(&Field::Scopes) {
            about.scopes = scopes(&asked.scopes)?;
        }
        if fields.contains(&Field::AllowedNetworks) {
            about.networks = networks(&asked.allowed_networks)?;
        }
        if fields.contains(&Field::ExpireTime) {
            about.expires_at = asked.expires_at.map(|end| ending(end, now)).transpose()?;
        }
        about.check_owned()?;
        Ok(about)
    }

    /// A provisioning key outlives people (`rules.md` R8).
    fn check_owned(&self) -> Result<(), Error> {
        if self.owner.is_some() && self.scopes.contains(Scope::Scim) {
            let description = "a key with the scope scim has no owner: a directory must not stop when a person leaves";
            return Err(Error::invalid("api_key.owner_user_id", description));
        }
        Ok(())
    }

    /// Whether a token that was issued by `earlier` says something else, or lives longer, than one by this.
    pub(crate) fn grants_other_than(&self, earlier: &Self) -> bool {
        (self.scopes, &self.networks, self.expires_at) != (earlier.scopes, &earlier.networks, earlier.expires_at)
    }
}

/// What a caller asks of a key, unchecked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) allowed_networks: Vec<String>,
    pub(crate) expires_at: Option<Timestamp>,
    /// A user's id; empty for none.
    pub(crate) owner: String,
}

/// A field of a key that can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Field {
    Name,
    Description,
    Scopes,
    AllowedNetworks,
    ExpireTime,
}

impl Field {
    pub(crate) fn from_path(path: &str) -> Result<Self, Error> {
        match path {
            "name" => Ok(Self::Name),
            "description" => Ok(Self::Description),
            "scopes" => Ok(Self::Scopes),
            "allowed_networks" => Ok(Self::AllowedNetworks),
            "expire_time" => Ok(Self::ExpireTime),
            _ => Err(Error::invalid(
                "update_mask",
                "write one or more of name, description, scopes, expire_time, allowed_networks",
            )),
        }
    }
}

/// How a key is rotated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rotation {
    overlap: Duration,
    /// When the new key ends; none means after as long a life as the old one was given.
    expires_at: Option<Timestamp>,
}

impl Rotation {
    pub(crate) fn new(overlap: Option<Duration>, expires_at: Option<Timestamp>, now: Timestamp) -> Result<Self, Error> {
        let overlap = overlap.unwrap_or(OVERLAP_DEFAULT);
        if overlap > OVERLAP_MAX {
            return Err(Error::invalid("overlap", "both keys may work for at most 90 days"));
        }
        Ok(Self { overlap, expires_at: expires_at.map(|end| ending(end, now)).transpose()? })
    }

    /// What the new key is, and when the old one ends.
    pub(crate) fn of(self, old: &ApiKey, now: Timestamp) -> (About, Timestamp) {
        let life = old.about.expires_at.map(|end| end.since(old.created_at));
        let expires_at = self.expires_at.or_else(|| life.map(|life| now.after(life).min(EXPIRY_MAX)));
        let overlapped = now.after(self.overlap);
        let old_ends = old.about.expires_at.map_or(overlapped, |end| end.min(overlapped));
        (About { expires_at, ..old.about.clone() }, old_ends)
    }
}

fn name(text: String) -> Result<String, Error> {
    check_name(&text, "api_key.name")?;
    Ok(text)
}

/// A name is there to be read.
pub(super) fn check_name(name: &str, field: &'static str) -> Result<(), Error> {
    let length = name.chars().count();
    if (1..=NAME_LENGTH_MAX).contains(&length) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Error::invalid(field, format!("write 1 to {NAME_LENGTH_MAX} characters without control characters")))
}

fn description(text: String) -> Result<String, Error> {
    let unprintable = |c: char| c.is_control() && c != '\n';
    if text.chars().count() > DESCRIPTION_LENGTH_MAX || text.chars().any(unprintable) {
        let description =
            format!("write up to {DESCRIPTION_LENGTH_MAX} characters without control characters other than line feeds");
        return Err(Error::invalid("api_key.description", description));
    }
    Ok(text)
}

fn networks(texts: &[String]) -> Result<Networks, Error> {
    Networks::parse(texts).map_err(|error| Error::invalid("api_key.allowed_networks", error.to_string()))
}

fn owner(text: &str) -> Result<Option<UserId>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| Error::invalid("api_key.owner_user_id", "write the id of a user of the tenant"))
}

fn ending(end: Timestamp, now: Timestamp) -> Result<Timestamp, Error> {
    check_end(Some(end), now, "api_key.expire_time")?;
    Ok(end)
}

/// What ends, ends after `now`.
pub(super) fn check_end(expires_at: Option<Timestamp>, now: Timestamp, field: &'static str) -> Result<(), Error> {
    if expires_at.is_some_and(|end| end.second() <= now.second() || end > EXPIRY_MAX) {
        return Err(Error::invalid(field, "the end must lie in the future, before the year 10000"));
    }
    Ok(())
}

fn scopes(texts: &[String]) -> Result<Scopes, Error> {
    if texts.is_empty() {
        return Ok([Scope::Scim].into_iter().collect());
    }
    let scopes: Result<_, _> = texts.iter().map(|text| text.parse::<Scope>()).collect();
    scopes.map_err(|error| Error::invalid("api_key.scopes", error.to_string()))
}

/// Nobody gives what they lack (`rules.md` R6).
pub(crate) fn given(scopes: Scopes, issuer: Scopes) -> Result<(), Error> {
    match scopes.iter().find(|scope| !issuer.may_give(*scope)) {
        Some(scope) => Err(Error::ScopeDenied(scope)),
        None => Ok(()),
    }
}

/// An entry of the list that verifiers follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revocation {
    pub(crate) position: i64,
    pub(crate) subject: RevocationSubject,
    pub(crate) expires_at: Timestamp,
}

/// Which tokens are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RevocationSubject {
    /// A credential's, or those of its versions below one.
    Credential(CredentialId, Option<i64>),
    /// Those that a signing key has signed.
    SigningKey(String),
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_500_000);

    fn new(name: &str, scopes: &[&str], expires_at: Option<Timestamp>, issuer: &str) -> Result<About, Error> {
        let scopes = scopes.iter().map(ToString::to_string).collect();
        let asked = Asked { name: name.to_owned(), scopes, expires_at, ..Asked::default() };
        About::new(asked, issuer.parse().unwrap(), NOW)
    }

    fn field(refused: Result<About, Error>) -> &'static str {
        match refused {
            Err(Error::Invalid { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    }

    fn key(expires_at: Option<Timestamp>) -> ApiKey {
        let about = About { expires_at, ..new("n", &["scim"], None, "admin").unwrap() };
        ApiKey::new(ApiKeyId::generate(), TenantId::generate(), about, "operator:x".into(), NOW)
    }

    const DAY: Duration = Duration::from_secs(24 * 3600);

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

    #[test]
    fn a_description_may_have_lines_and_no_other_control_characters() {
        let about = |text: &str| {
            let asked = Asked { name: "n".into(), description: text.to_owned(), ..Asked::default() };
            About::new(asked, "admin".parse().unwrap(), NOW)
        };
        assert!(about(&"é\n".repeat(DESCRIPTION_LENGTH_MAX / 2)).is_ok());
        for text in [&"x".repeat(DESCRIPTION_LENGTH_MAX + 1), "a\tb", "\0"] {
            assert_eq!(field(about(text)), "api_key.description", "{text:?}");
        }
    }

    #[test]
    fn a_change_takes_over_the_fields_named_and_no_others() {
        let before = key(None).about;
        let asked = Asked { name: "new".into(), scopes: vec!["admin".into()], ..Asked::default() };
        let after = before.changed(asked.clone(), &HashSet::from([Field::Name]), NOW).unwrap();
        assert_eq!(after, About { name: "new".into(), ..before.clone() });
        assert!(!after.grants_other_than(&before));
        let after = before.changed(asked, &HashSet::from([Field::Scopes]), NOW).unwrap();
        assert_eq!((after.scopes.to_string(), &*after.name), ("admin".to_owned(), "n"));
        assert!(after.grants_other_than(&before));
        for path in ["", "id", "name.x", "revoke_time", "*"] {
            assert!(Field::from_path(path).is_err(), "{path}");
        }
    }

    #[test]
    fn r08_a_key_with_the_scope_scim_has_no_owner() {
        let owner = UserId::generate().to_string();
        let about = |scopes: &[&str], owner: &str| {
            let scopes = scopes.iter().map(ToString::to_string).collect();
            let asked = Asked { name: "n".into(), scopes, owner: owner.to_owned(), ..Asked::default() };
            About::new(asked, "operator".parse().unwrap(), NOW)
        };
        let owned = about(&["identity.read"], &owner).unwrap();
        assert_eq!(owned.owner.unwrap().to_string(), owner);
        for scopes in [&[][..], &["scim"], &["scim", "admin"]] {
            assert_eq!(field(about(scopes, &owner)), "api_key.owner_user_id", "{scopes:?}");
        }
        assert_eq!(field(about(&["admin"], "ada@example.com")), "api_key.owner_user_id");
        let asked = Asked { scopes: vec!["scim".into()], ..Asked::default() };
        assert_eq!(field(owned.changed(asked, &HashSet::from([Field::Scopes]), NOW)), "api_key.owner_user_id");
        // What takes its place is the same person's.
        let key = ApiKey::new(ApiKeyId::generate(), TenantId::generate(), owned.clone(), "key:x".into(), NOW);
        let (about, _) = Rotation::new(None, None, NOW).unwrap().of(&key, NOW);
        assert_eq!(about.owner, owned.owner);
    }

    #[test]
    fn a_key_is_warned_of_in_its_last_30_days() {
        let old = key(Some(NOW.after(31 * DAY)));
        assert!(!old.expires_soon(NOW));
        assert!(old.expires_soon(NOW.after(DAY)));
        assert!(!old.expires_soon(NOW.after(31 * DAY)), "it has ended");
        assert!(!key(None).expires_soon(NOW));
        assert!(!ApiKey { revoked_at: Some(NOW), ..key(Some(NOW.after(DAY))) }.expires_soon(NOW));
    }

    #[test]
    fn a_rotation_gives_the_new_key_the_old_ones_life_and_puts_off_no_end() {
        let later = NOW.after(100 * DAY);
        let rotate = |old: &ApiKey, overlap, end| Rotation::new(overlap, end, later).unwrap().of(old, later);
        let (about, old_ends) = rotate(&key(None), None, None);
        assert_eq!((about.expires_at, old_ends), (None, later.after(7 * DAY)));
        let (about, old_ends) = rotate(&key(Some(NOW.after(180 * DAY))), Some(90 * DAY), None);
        assert_eq!((about.expires_at, old_ends), (Some(later.after(180 * DAY)), NOW.after(180 * DAY)));
        let (about, old_ends) = rotate(&key(None), Some(Duration::ZERO), Some(later.after(DAY)));
        assert_eq!((about.expires_at, old_ends), (Some(later.after(DAY)), later));
        assert!(Rotation::new(Some(90 * DAY + Duration::from_secs(1)), None, NOW).is_err());
        assert!(Rotation::new(None, Some(NOW), NOW).is_err());
    }
}

//! A trust: whose assertions a tenant lets sign in (RFC 7523), and what a new one may be.

use authn::{CredentialId, Grant, Networks, Scope, Scopes};
use ids::{TenantId, TrustId};
use url::Url;
use uuid::{Uuid, uuid};

use super::{
    Error, State, Timestamp,
    api_key::{check_end, check_name, state},
};

/// The longest issuer, in bytes.
const ISSUER_LENGTH_MAX: usize = 512;
/// The longest audience and subject, in characters.
const CLAIM_LENGTH_MAX: usize = 512;

/// The most paths that a change names: as many as there are.
const PATHS_MAX: usize = 6;

/// The hosts by which Entra ID signs, of all its clouds; those below them count too. Each signs for many tenants, told apart by the path.
const ENTRA_HOSTS: &[&str] = &[
    "login.microsoftonline.com",
    "login.microsoft.com",
    "login.windows.net",
    "sts.windows.net",
    "login.microsoftonline.us",
    "login-us.microsoftonline.com",
    "login.partner.microsoftonline.cn",
    "login.chinacloudapi.cn",
    "sts.chinacloudapi.cn",
    "login.microsoftonline.de",
];
/// The tenant that all personal accounts are in: anybody can have one.
const PERSONAL_ACCOUNTS: Uuid = uuid!("9188040d-6c67-4c5b-b112-36a304b66dad");

/// A trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trust {
    pub(crate) id: TrustId,
    pub(crate) tenant: TenantId,
    pub(crate) name: String,
    pub(crate) terms: Terms,
    /// From 1; raised with each change of the terms.
    pub(crate) version: i64,
    pub(crate) creator: String,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) revoked_at: Option<Timestamp>,
}

/// What is trusted: whose assertions, what for, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) issuer: Issuer,
    pub(crate) audience: ClaimText,
    pub(crate) subject: ClaimText,
    pub(crate) scopes: Scopes,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Trust {
    /// What a client that signs in by it may do.
    pub(crate) fn grant(&self) -> Grant {
        Grant {
            tenant: self.tenant,
            credential: CredentialId::Trust(self.id),
            version: self.version,
            scopes: self.terms.scopes,
            networks: Networks::default(),
            ends: self.terms.expires_at.map(Timestamp::system_time),
        }
    }

    pub(crate) fn state(&self, now: Timestamp) -> State {
        state(self.terms.expires_at, self.revoked_at, now)
    }

    /// The trust after a change at `now`. One that changes nothing leaves it as it is.
    pub(crate) fn changed(&self, change: &TrustChange, now: Timestamp) -> Self {
        let TrustChange { name, issuer, audience, subject, scopes, expires_at } = change.clone();
        let terms = Terms {
            issuer: issuer.unwrap_or_else(|| self.terms.issuer.clone()),
            audience: audience.unwrap_or_else(|| self.terms.audience.clone()),
            subject: subject.unwrap_or_else(|| self.terms.subject.clone()),
            scopes: scopes.unwrap_or(self.terms.scopes),
            expires_at: expires_at.unwrap_or(self.terms.expires_at),
        };
        let name = name.unwrap_or_else(|| self.name.clone());
        let version = if terms == self.terms { self.version } else { self.version.saturating_add(1) };
        let mut changed = Self { name, terms, version, ..self.clone() };
        if changed != *self {
            changed.updated_at = now;
        }
        changed
    }
}

/// Who signs: an https URL in the one form that a parser writes, so that what it says is what a reader sees, and of one tenant where a host
/// signs for many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Issuer(String);

impl Issuer {
    pub(crate) fn new(text: String) -> Result<Self, Error> {
        let refused = |description: &str| Err(Error::invalid("trust.issuer", description));
        if text.contains(['{', '}']) {
            return refused("put the tenant's id in the place of the braces");
        }
        let Some(url) = canonical(&text).filter(|_| text.len() <= ISSUER_LENGTH_MAX) else {
            return refused(
                "write an https URL of at most 512 characters without credentials, query and fragment, as its tokens write it",
            );
        };
        if of_many_tenants(&url) {
            return refused(
                "name one Entra tenant by its id, as in https://login.microsoftonline.com/TENANT_ID/v2.0: common, organizations and \
                 consumers stand for everybody",
            );
        }
        Ok(Self(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Issuer> for String {
    fn from(issuer: Issuer) -> Self {
        issuer.0
    }
}

/// The URL, if it is of https, has nothing but host, port and path, and is written as a parser writes it.
fn canonical(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    // A parser writes a slash where there is no path.
    let same = url.as_str() == text || (url.path() == "/" && url.as_str().strip_suffix('/') == Some(text));
    let plain = url.scheme() == "https" && url.username().is_empty() && url.password().is_none();
    let bare = url.query().is_none() && url.fragment().is_none();
    // A name with a dot at its end is the same host under another name.
    let named = url.host_str().is_some_and(|host| !host.ends_with('.'));
    (same && plain && bare && named).then_some(url)
}

/// Whether the host is Entra's and the path names no single tenant of it.
fn of_many_tenants(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let entra = |name: &str| host.strip_suffix(name).is_some_and(|below| below.is_empty() || below.ends_with('.'));
    if !ENTRA_HOSTS.iter().any(|name| entra(name)) {
        return false;
    }
    let first = url.path_segments().and_then(|mut segments| segments.next()).unwrap_or_default();
    let tenant = Uuid::try_parse(first).ok().filter(|tenant| tenant.hyphenated().to_string() == first);
    tenant.is_none_or(|tenant| tenant.is_nil() || tenant == PERSONAL_ACCOUNTS)
}

/// What a claim of an assertion must be, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClaimText(String);

impl ClaimText {
    pub(crate) fn new(text: String, field: &'static str) -> Result<Self, Error> {
        let length = text.chars().count();
        if !(1..=CLAIM_LENGTH_MAX).contains(&length) || text.chars().any(char::is_control) {
            let description = format!("write 1 to {CLAIM_LENGTH_MAX} characters without control characters");
            return Err(Error::invalid(field, description));
        }
        Ok(Self(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<ClaimText> for String {
    fn from(text: ClaimText) -> Self {
        text.0
    }
}

/// What a caller asks a trust to be, unchecked.
#[derive(Clone, Debug, Default)]
pub(crate) struct AskedTrust {
    pub(crate) name: String,
    pub(crate) issuer: String,
    pub(crate) audience: String,
    pub(crate) subject: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) expires_at: Option<Timestamp>,
}

/// What a caller asks a new trust to be, found possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewTrust {
    pub(crate) name: String,
    pub(crate) terms: Terms,
}

impl NewTrust {
    /// Checks what a caller with the scopes `giver` asks for at `now`. No scopes mean `scim`.
    pub(crate) fn new(asked: AskedTrust, (giver, now): (Scopes, Timestamp)) -> Result<Self, Error> {
        check_name(&asked.name, "trust.name")?;
        check_end(asked.expires_at, now, "trust.expire_time")?;
        let terms = Terms {
            issuer: Issuer::new(asked.issuer)?,
            audience: ClaimText::new(asked.audience, "trust.audience")?,
            subject: ClaimText::new(asked.subject, "trust.subject")?,
            scopes: given(&asked.scopes, giver)?,
            expires_at: asked.expires_at,
        };
        Ok(Self { name: asked.name, terms })
    }
}

/// What a caller asks to be changed, found possible: what is none stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TrustChange {
    name: Option<String>,
    issuer: Option<Issuer>,
    audience: Option<ClaimText>,
    subject: Option<ClaimText>,
    scopes: Option<Scopes>,
    expires_at: Option<Option<Timestamp>>,
}

impl TrustChange {
    /// Checks the fields of `asked` that `paths` name. The others are not looked at.
    pub(crate) fn new(asked: AskedTrust, paths: &[String], (giver, now): (Scopes, Timestamp)) -> Result<Self, Error> {
        if !(1..=PATHS_MAX).contains(&paths.len()) {
            return Err(unknown_path());
        }
        let mut change = Self::default();
        for path in paths {
            match path.as_str() {
                "name" => {
                    check_name(&asked.name, "trust.name")?;
                    change.name = Some(asked.name.clone());
                }
                "issuer" => change.issuer = Some(Issuer::new(asked.issuer.clone())?),
                "audience" => change.audience = Some(ClaimText::new(asked.audience.clone(), "trust.audience")?),
                "subject" => change.subject = Some(ClaimText::new(asked.subject.clone(), "trust.subject")?),
                "scopes" => change.scopes = Some(given(&asked.scopes, giver)?),
                "expire_time" => {
                    check_end(asked.expires_at, now, "trust.expire_time")?;
                    change.expires_at = Some(asked.expires_at);
                }
                _ => return Err(unknown_path()),
            }
        }
        Ok(change)
    }
}

fn unknown_path() -> Error {
    let description = "name at least one of name, issuer, audience, subject, scopes and expire_time, and nothing else";
    Error::invalid("update_mask", description)
}

/// Nobody gives what they lack, and a trust is for provisioning alone (`rules.md` R6).
fn given(scopes: &[String], giver: Scopes) -> Result<Scopes, Error> {
    if scopes.iter().any(|scope| scope.parse() != Ok(Scope::Scim)) {
        return Err(Error::invalid(
            "trust.scopes",
            "a trust can be given `scim` alone today; use a key for anything else",
        ));
    }
    if giver.may_give(Scope::Scim) {
        Ok([Scope::Scim].into_iter().collect())
    } else {
        Err(Error::ScopeDenied(Scope::Scim))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_500_000);
    const LATER: Timestamp = Timestamp(1_700_000_100_000_000);
    const ENTRA: &str = "https://login.microsoftonline.com/11111111-2222-4333-8444-555555555555/v2.0";

    fn asked() -> AskedTrust {
        AskedTrust {
            name: "Entra".to_owned(),
            issuer: ENTRA.to_owned(),
            audience: "api://rollcall".to_owned(),
            subject: "s".to_owned(),
            ..AskedTrust::default()
        }
    }

    fn by(scopes: &str) -> (Scopes, Timestamp) {
        (scopes.parse().unwrap(), NOW)
    }

    fn field<T: std::fmt::Debug>(refused: Result<T, Error>) -> &'static str {
        match refused {
            Err(Error::Invalid { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn r09_an_issuer_is_one_tenant_of_entra_or_any_other_provider() {
        for issuer in [
            ENTRA,
            "https://sts.windows.net/11111111-2222-4333-8444-555555555555/",
            "https://login.microsoftonline.us/11111111-2222-4333-8444-555555555555/v2.0",
            "https://login.partner.microsoftonline.cn/11111111-2222-4333-8444-555555555555/v2.0",
            "https://accounts.example.com",
            "https://accounts.example.com/",
            "https://idp.example.com:8443/realms/common",
            "https://127.0.0.1:8443",
        ] {
            assert_eq!(Issuer::new(issuer.to_owned()).unwrap().as_str(), issuer);
        }
    }

    #[test]
    fn r09_an_issuer_that_stands_for_many_tenants_is_refused() {
        for host in
            ENTRA_HOSTS.iter().copied().chain(["eastus.login.microsoftonline.com", "login.microsoftonline.com:8443"])
        {
            assert!(Issuer::new(format!("https://{host}/11111111-2222-4333-8444-555555555555/v2.0")).is_ok(), "{host}");
            for tenant in [
                "common",
                "organizations",
                "consumers",
                "COMMON",
                "contoso.onmicrosoft.com",
                "{tenantid}",
                "%7Btenantid%7D",
                "11111111222243338444555555555555",
                "AAAAAAAA-2222-4333-8444-555555555555",
                "00000000-0000-0000-0000-000000000000",
                "9188040d-6c67-4c5b-b112-36a304b66dad",
                "",
                "/11111111-2222-4333-8444-555555555555",
            ] {
                let refused = Issuer::new(format!("https://{host}/{tenant}/v2.0"));
                assert_eq!(field(refused), "trust.issuer", "{host} {tenant}");
            }
            assert!(Issuer::new(format!("https://{host}")).is_err());
        }
    }

    #[test]
    fn an_issuer_is_written_in_one_form() {
        let long = format!("https://h.example/{}", "x".repeat(ISSUER_LENGTH_MAX));
        for issuer in [
            "",
            "h.example",
            "http://h.example",
            "ftp://h.example",
            "https://",
            "https://me@h.example",
            "https://me:secret@h.example",
            "https://h.example/?a=b",
            "https://h.example/?",
            "https://h.example/#a",
            "https://h.example/#",
            "https://H.example",
            "https://LOGIN.microsoftonline.com/common/v2.0",
            "https://login.microsoftonline.com./common/v2.0",
            "HTTPS://h.example",
            "https://h.example:443",
            "https://h.example/a/../b",
            "https://h.example\\a",
            " https://h.example",
            "https://h.example/\n",
            "https://h.exämple",
            "https://0x7f.1/",
            "https://h.example/{tenantid}",
            &long,
        ] {
            assert_eq!(field(Issuer::new(issuer.to_owned())), "trust.issuer", "{issuer:?}");
        }
        assert!(Issuer::new(long[..ISSUER_LENGTH_MAX].to_owned()).is_ok());
    }

    #[test]
    fn a_claim_has_1_to_512_characters_and_no_control_characters() {
        assert!(ClaimText::new("é".repeat(CLAIM_LENGTH_MAX), "f").is_ok());
        for text in ["", &"x".repeat(CLAIM_LENGTH_MAX + 1), "a\nb", "\u{85}"] {
            assert_eq!(field(ClaimText::new(text.to_owned(), "f")), "f", "{text:?}");
        }
    }

    #[test]
    fn each_field_of_a_new_trust_is_checked() {
        assert!(NewTrust::new(asked(), by("admin")).is_ok());
        for (wrong, expected) in [
            (AskedTrust { name: String::new(), ..asked() }, "trust.name"),
            (AskedTrust { issuer: String::new(), ..asked() }, "trust.issuer"),
            (AskedTrust { audience: String::new(), ..asked() }, "trust.audience"),
            (AskedTrust { subject: "a\u{0}".to_owned(), ..asked() }, "trust.subject"),
            (AskedTrust { expires_at: Some(NOW), ..asked() }, "trust.expire_time"),
        ] {
            assert_eq!(field(NewTrust::new(wrong, by("admin"))), expected);
        }
    }

    #[test]
    fn r06_a_trust_is_given_scim_alone() {
        let new = |scopes: &[&str], giver| {
            NewTrust::new(AskedTrust { scopes: scopes.iter().map(ToString::to_string).collect(), ..asked() }, by(giver))
        };
        for scopes in [&[][..], &["scim"], &["scim", "scim"]] {
            assert_eq!(new(scopes, "admin").unwrap().terms.scopes.to_string(), "scim");
        }
        for scopes in [&["admin"][..], &["scim", "identity.read"], &["operator"], &["root"]] {
            let refused = new(scopes, "operator").unwrap_err();
            assert!(refused.to_string().contains("`scim` alone"), "{refused}");
        }
        assert_eq!(new(&[], "identity.write"), Err(Error::ScopeDenied(Scope::Scim)));
    }

    fn trust() -> Trust {
        let NewTrust { name, terms } = NewTrust::new(asked(), by("admin")).unwrap();
        Trust {
            id: TrustId::generate(),
            tenant: TenantId::generate(),
            name,
            terms,
            version: 1,
            creator: "key:1".to_owned(),
            created_at: NOW,
            updated_at: NOW,
            revoked_at: None,
        }
    }

    fn change(asked: AskedTrust, paths: &[&str]) -> Result<TrustChange, Error> {
        TrustChange::new(asked, &paths.iter().map(ToString::to_string).collect::<Vec<_>>(), by("admin"))
    }

    #[test]
    fn r09_a_change_of_the_terms_raises_the_version() {
        let end = Some(NOW.after(Duration::from_secs(60)));
        let other = AskedTrust {
            name: "other".to_owned(),
            issuer: "https://h.example".to_owned(),
            audience: "b".to_owned(),
            subject: "t".to_owned(),
            scopes: vec![],
            expires_at: end,
        };
        let trust = trust();
        for (path, raised) in [
            ("issuer", true),
            ("audience", true),
            ("subject", true),
            ("expire_time", true),
            ("name", false),
            ("scopes", false),
        ] {
            let changed = trust.changed(&change(other.clone(), &[path]).unwrap(), LATER);
            assert_eq!(changed.version, if raised { 2 } else { 1 }, "{path}");
            assert_eq!(changed.updated_at, if path == "scopes" { NOW } else { LATER }, "{path}");
            assert_eq!(trust.changed(&change(asked(), &[path]).unwrap(), LATER), trust, "{path} as it was");
        }
        let all = change(other, &["name", "issuer", "audience", "subject", "scopes", "expire_time"]).unwrap();
        let changed = trust.changed(&all, LATER);
        assert_eq!((&*changed.name, changed.terms.issuer.as_str(), changed.version), ("other", "https://h.example", 2));
        assert_eq!((changed.terms.audience.as_str(), changed.terms.subject.as_str()), ("b", "t"));
        assert_eq!(changed.terms.expires_at, end);
        let endless = changed.changed(&change(asked(), &["expire_time"]).unwrap(), LATER);
        assert_eq!((endless.terms.expires_at, endless.version), (None, 3));
    }

    #[test]
    fn only_what_the_mask_names_is_looked_at() {
        let only_name = AskedTrust { name: "n".to_owned(), ..AskedTrust::default() };
        assert!(change(only_name.clone(), &["name"]).is_ok());
        assert_eq!(field(change(only_name, &["name", "issuer"])), "trust.issuer");
        for paths in [&[][..], &["name"; PATHS_MAX + 1], &["id"], &["*"], &["name", "creator"], &["terms.issuer"]] {
            assert_eq!(field(change(asked(), paths)), "update_mask", "{paths:?}");
        }
    }
}

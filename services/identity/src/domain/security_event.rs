//! What a change is as a security event (RFC 8417): by the SCIM profile of RFC 9967, or by CAEP 1.0. Here alone identity speaks SCIM's words.
//!
//! Of RFC 9967 there are the notices of section 2.4: which attributes changed, and no values. A receiver asks for those. Feeds (2.3) and asynchronous
//! requests (2.5) are left out. Of CAEP there is `session-revoked` (section 3.1), for whom access has ended.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::domain::{Change, USER_ATTRIBUTES};

const CREATE: &str = "urn:ietf:params:scim:event:prov:create:notice";
const PATCH: &str = "urn:ietf:params:scim:event:prov:patch:notice";
const DELETE: &str = "urn:ietf:params:scim:event:prov:delete";
const ACTIVATE: &str = "urn:ietf:params:scim:event:prov:activate";
const DEACTIVATE: &str = "urn:ietf:params:scim:event:prov:deactivate";
const SESSION_REVOKED: &str = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
const ENTERPRISE_USER: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const USER_ATTRIBUTE: &str = "urn:rollcall:params:1.0:UserAttribute";

/// Why a receiver does not take a token, by RFC 8935 section 2.4. Its own words may hold anything, and are not kept.
const ERRORS: [&str; 6] =
    ["invalid_request", "invalid_key", "invalid_issuer", "invalid_audience", "authentication_failed", "access_denied"];

/// The error of this name, if it is one of those that are defined.
pub(crate) fn known_error(name: &str) -> Option<&'static str> {
    ERRORS.into_iter().find(|known| *known == name)
}

/// What security events say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum EventProfile {
    /// What happens to users and groups (RFC 9967).
    #[default]
    Scim,
    /// Whose access has ended (CAEP).
    Caep,
}

impl EventProfile {
    const ALL: [Self; 2] = [Self::Scim, Self::Caep];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Scim => "scim",
            Self::Caep => "caep",
        }
    }

    /// From the store; none for what this release does not know.
    pub(crate) fn stored(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.as_str() == text)
    }
}

/// A security event, as its claims have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SecurityEvent {
    /// `sub_id` (RFC 9493).
    pub(crate) subject: Value,
    /// `events`.
    pub(crate) events: Value,
}

impl SecurityEvent {
    /// What a change is by a profile; none where it is nothing there.
    pub(crate) fn of(change: &Change, profile: EventProfile, issuer: &str) -> Option<Self> {
        match profile {
            EventProfile::Scim => scim(change),
            EventProfile::Caep => caep(change, issuer),
        }
    }
}

fn scim(change: &Change) -> Option<SecurityEvent> {
    let (resource, what) = change.kind.split_once('.')?;
    let path = match resource {
        "user" | "role" => "/Users",
        "group" | "member" => "/Groups",
        _ => return None,
    };
    let attributes = attributes(change);
    let notice = || json!({ "attributes": attributes });
    let mut events = Map::new();
    match (resource, what) {
        (_, "created") => drop(events.insert(CREATE.to_owned(), notice())),
        (_, "deleted" | "erased") => drop(events.insert(DELETE.to_owned(), json!({}))),
        ("member", _) => drop(events.insert(PATCH.to_owned(), json!({ "attributes": ["members"] }))),
        _ => drop(events.insert(PATCH.to_owned(), notice())),
    }
    if let ("user", "changed" | "restored") = (resource, what) {
        // Several events that one change of one resource is may stand together (RFC 8417 section 2).
        match (value(&change.before, "active"), value(&change.after, "active")) {
            (Some("true"), Some("false")) => drop(events.insert(DEACTIVATE.to_owned(), json!({}))),
            (Some("false") | None, Some("true")) => drop(events.insert(ACTIVATE.to_owned(), json!({}))),
            _ => {}
        }
    }
    let uri = format!("{path}/{}", change.subject);
    Some(SecurityEvent { subject: json!({ "format": "scim", "uri": uri }), events: events.into() })
}

fn caep(change: &Change, issuer: &str) -> Option<SecurityEvent> {
    let has_ended = match change.kind.as_str() {
        "user.changed" => {
            value(&change.before, "active") == Some("true") && value(&change.after, "active") == Some("false")
        }
        "user.deleted" | "user.erased" => true,
        _ => false,
    };
    has_ended.then(|| SecurityEvent {
        subject: json!({ "format": "iss_sub", "iss": issuer, "sub": change.subject.to_string() }),
        events: json!({ SESSION_REVOKED: {
            "event_timestamp": change.at.0.div_euclid(1_000_000),
            "initiating_entity": "admin",
        } }),
    })
}

fn value<'v>(values: &'v audit::Values, name: &str) -> Option<&'v str> {
    values.as_map().get(name).map(String::as_str)
}

/// What changed, in SCIM's words (paths by RFC 7644 section 3.5.2), each once.
fn attributes(change: &Change) -> BTreeSet<String> {
    // Wherever a role comes from, it is one attribute.
    if change.kind.starts_with("role.") {
        return BTreeSet::from(["roles".to_owned()]);
    }
    let names = change.before.as_map().keys().chain(change.after.as_map().keys());
    names.map(|name| attribute(name)).collect()
}

fn attribute(field: &str) -> String {
    match field.split_once('.') {
        Some(("profile", "enterprise")) => ENTERPRISE_USER.to_owned(),
        Some(("profile", name)) => camel(name),
        Some((USER_ATTRIBUTES, name)) => format!("{USER_ATTRIBUTE}:{name}"),
        _ => match field {
            "provisioned_active" | "suspended" => "active".to_owned(),
            "manual_role" => "roles".to_owned(),
            other => camel(other),
        },
    }
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let mut letters = word.chars();
        name + &letters.next().map(|letter| letter.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    })
}

#[cfg(test)]
mod tests {
    use audit::Values;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{CHANGE_KINDS, Position, Timestamp};

    const ISSUER: &str = "urn:rollcall:tenant:1";

    fn change(kind: &str, before: &[(&str, &str)], after: &[(&str, &str)]) -> Change {
        let values = |values: &[(&str, &str)]| {
            values.iter().fold(Values::new(), |all, (name, value)| all.with(name, (*value).to_owned()))
        };
        Change {
            position: Position { epoch: Uuid::nil(), number: 1 },
            at: Timestamp(1_700_000_000_000_000),
            kind: kind.to_owned(),
            subject: Uuid::from_u128(2),
            object: None,
            version: 3,
            actor: "key:a".to_owned(),
            request_id: String::new(),
            before: values(before),
            after: values(after),
        }
    }

    fn events(kind: &str, before: &[(&str, &str)], after: &[(&str, &str)]) -> Value {
        SecurityEvent::of(&change(kind, before, after), EventProfile::Scim, ISSUER).unwrap().events
    }

    #[test]
    fn each_change_is_a_notice_of_the_attributes_that_changed() {
        let ada = [("user_name", "ada"), ("active", "true"), ("provisioned_active", "true")];
        assert_eq!(events("user.created", &[], &ada), json!({ CREATE: { "attributes": ["active", "userName"] } }));
        let fields = [
            ("profile.phone_numbers", "[]"),
            ("profile.enterprise", "{}"),
            ("user_attributes.shoeSize", "7"),
            ("profile.x509_certificates", "[]"),
        ];
        let attributes = [
            "phoneNumbers",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
            "urn:rollcall:params:1.0:UserAttribute:shoeSize",
            "x509Certificates",
        ];
        assert_eq!(events("user.changed", &[], &fields), json!({ PATCH: { "attributes": attributes } }));
        assert_eq!(
            events("role.changed", &[], &[("manual_role", "admin")]),
            json!({ PATCH: { "attributes": ["roles"] } })
        );
        assert_eq!(events("member.added", &[], &[]), json!({ PATCH: { "attributes": ["members"] } }));
        assert_eq!(events("user.deleted", &ada, &[]), json!({ DELETE: {} }));
        assert_eq!(events("user.erased", &[], &[]), json!({ DELETE: {} }));
    }

    #[test]
    fn a_loss_of_access_is_told_as_such_and_so_is_its_return() {
        let (on, off) = ([("active", "true")], [("active", "false")]);
        let notice = json!({ "attributes": ["active"] });
        assert_eq!(events("user.changed", &on, &off), json!({ PATCH: notice, DEACTIVATE: {} }));
        assert_eq!(events("user.changed", &off, &on), json!({ PATCH: notice, ACTIVATE: {} }));
        assert_eq!(events("user.restored", &[], &on), json!({ PATCH: notice, ACTIVATE: {} }));
    }

    #[test]
    fn a_subject_is_a_resource_of_scim_and_a_subject_of_the_issuer_in_caep() {
        let of = |kind, profile| SecurityEvent::of(&change(kind, &[], &[]), profile, ISSUER);
        let id = Uuid::from_u128(2);
        let subject = |kind| of(kind, EventProfile::Scim).unwrap().subject;
        assert_eq!(subject("user.changed"), json!({ "format": "scim", "uri": format!("/Users/{id}") }));
        assert_eq!(subject("member.added"), json!({ "format": "scim", "uri": format!("/Groups/{id}") }));
        let deleted = of("user.deleted", EventProfile::Caep).unwrap();
        assert_eq!(deleted.subject, json!({ "format": "iss_sub", "iss": ISSUER, "sub": id.to_string() }));
        let expected = json!({ SESSION_REVOKED: { "event_timestamp": 1_700_000_000, "initiating_entity": "admin" } });
        assert_eq!(deleted.events, expected);
    }

    #[test]
    fn caep_tells_of_those_alone_whose_access_has_ended() {
        let (on, off) = ([("active", "true")], [("active", "false")]);
        let is_told = |change| SecurityEvent::of(&change, EventProfile::Caep, ISSUER).is_some();
        assert!(is_told(change("user.changed", &on, &off)));
        assert!(is_told(change("user.deleted", &[], &[])) && is_told(change("user.erased", &[], &[])));
        for other in
            [change("user.changed", &off, &on), change("user.created", &[], &off), change("group.deleted", &[], &[])]
        {
            assert!(!is_told(other));
        }
    }

    #[test]
    fn every_kind_of_a_resource_is_an_event() {
        for kind in CHANGE_KINDS {
            let event = SecurityEvent::of(&change(kind, &[], &[]), EventProfile::Scim, ISSUER);
            let of_tenant = kind.starts_with("tenant.") || kind.starts_with("role_mapping.");
            assert_eq!(event.is_some(), !of_tenant, "{kind}");
        }
    }
}

//! Typed ids of Rollcall's resources, so that one kind can never stand where another is meant. Nothing else lives here.

use std::{fmt, str::FromStr};

use uuid::Uuid;

/// A text that is no UUID in its canonical form (RFC 9562 section 4: lower-case hexadecimal with hyphens).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID in its canonical form")]
pub struct InvalidId;

/// Writes an id type: a UUIDv7 that is printed and parsed in its canonical form alone, so that one id has one text.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id (UUIDv7): later ids sort after earlier ones.
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id as a UUID, for storage.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                canonical(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A tenant's id.
    TenantId
}
id! {
    /// A user's id.
    UserId
}
id! {
    /// A group's id.
    GroupId
}
id! {
    /// An API key's id.
    ApiKeyId
}
id! {
    /// A trust's id: the client id of whoever signs in by it.
    TrustId
}

id! {
    /// The id of an endpoint that events are sent to.
    EventEndpointId
}

impl TenantId {
    /// The reserved tenant of operator credentials. It is no customer's and holds no users.
    pub const OPERATOR: Self = Self(Uuid::nil());
}

fn canonical(text: &str) -> Result<Uuid, InvalidId> {
    let uuid = Uuid::try_parse(text).map_err(|_| InvalidId)?;
    let mut buffer = Uuid::encode_buffer();
    if *uuid.hyphenated().encode_lower(&mut buffer) == *text { Ok(uuid) } else { Err(InvalidId) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_form_parses() {
        let id = UserId::generate();
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in ["", "1", &id.to_string().to_uppercase(), &format!("{{{id}}}"), &format!("urn:uuid:{id}")] {
            assert_eq!(text.parse::<UserId>(), Err(InvalidId), "{text}");
        }
    }

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let (first, second) = (UserId::generate(), UserId::generate());
        assert!(first < second);
    }
}

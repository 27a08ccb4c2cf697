//! The change feed: what happened in a tenant, in the order of commits (rule D1), and where somebody stands in it (rule R25).

use audit::Values;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use crate::domain::{Error, InvalidField, Timestamp};

/// What can happen, as the feed names it.
pub(crate) const CHANGE_KINDS: &[&str] = &[
    "user.created",
    "user.changed",
    "user.deleted",
    "user.restored",
    "user.erased",
    "role.changed",
    "role_mapping.created",
    "role_mapping.deleted",
    "group.created",
    "group.changed",
    "group.deleted",
    "member.added",
    "member.removed",
    "tenant.changed",
];

/// The longest name of a consumer, in characters.
const CONSUMER_NAME_MAX: usize = 64;

/// A place in a tenant's feed: everything up to it was seen. As text it is opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// Which history of the tenant the number is of: a restore begins another.
    pub(crate) epoch: Uuid,
    /// How many changes came before and at it, since the tenant was made.
    pub(crate) number: i64,
}

impl Position {
    /// How many bytes a position is, before base64url.
    const LENGTH: usize = 24;

    /// From the text that a caller sent in `field`.
    pub(crate) fn parse(field: &'static str, text: &str) -> Result<Self, InvalidField> {
        let invalid = || InvalidField::new(field, "is not a position that the feed answered");
        // base64 makes 4 characters of 3 bytes: whatever is longer is not looked at.
        if text.len() != Self::LENGTH / 3 * 4 {
            return Err(invalid());
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
        let (epoch, number) = bytes.split_first_chunk::<16>().ok_or_else(invalid)?;
        let number = i64::from_be_bytes(number.try_into().map_err(|_| invalid())?);
        if number < 0 { Err(invalid()) } else { Ok(Self { epoch: Uuid::from_bytes(*epoch), number }) }
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = self.epoch.as_bytes().to_vec();
        bytes.extend(self.number.to_be_bytes());
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// Where a tenant's feed begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FeedHead {
    /// Of the newest change.
    pub(crate) position: Position,
    /// The number of the last change that is kept no more; 0 where all are.
    pub(crate) floor: i64,
}

impl FeedHead {
    /// The number after which a reader goes on who stands at `after`; at the oldest change that is kept where it stands nowhere.
    pub(crate) fn resume(&self, after: Option<Position>) -> Result<i64, Error> {
        let Some(after) = after else { return Ok(self.floor) };
        if after.epoch != self.position.epoch {
            return Err(self.refuse(OutOfRange::Epoch));
        }
        if after.number > self.position.number {
            return Err(self.refuse(OutOfRange::Ahead));
        }
        if after.number < self.floor { Err(self.refuse(OutOfRange::Retention)) } else { Ok(after.number) }
    }

    pub(crate) fn refuse(&self, cause: OutOfRange) -> Error {
        Error::PositionOutOfRange { cause, head: self.position }
    }
}

/// Why nobody can go on after a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutOfRange {
    /// It is of another epoch: the database was restored since, or the position is another tenant's.
    Epoch,
    /// The feed does not reach it.
    Ahead,
    /// Changes that follow it are kept no more.
    Retention,
}

impl OutOfRange {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Epoch => "epoch",
            Self::Ahead => "ahead",
            Self::Retention => "retention",
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) position: Position,
    pub(crate) at: Timestamp,
    /// As in `user.created`.
    pub(crate) kind: String,
    /// Whom or what it is about.
    pub(crate) subject: Uuid,
    /// Of a membership: the member.
    pub(crate) object: Option<Uuid>,
    /// The subject's version since; 0 of a tenant, which has none.
    pub(crate) version: i64,
    /// As a caller's.
    pub(crate) actor: String,
    pub(crate) request_id: String,
    /// What was, of what changed.
    pub(crate) before: Values,
    /// What is.
    pub(crate) after: Values,
}

/// The name of somebody who reads the feed: 1 to 64 of A-Z, a-z, 0-9, `.`, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConsumerName(String);

impl ConsumerName {
    pub(crate) fn parse(field: &'static str, text: String) -> Result<Self, InvalidField> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        if plain && (1..=CONSUMER_NAME_MAX).contains(&text.len()) {
            return Ok(Self(text));
        }
        let problem = format!("must be 1 to {CONSUMER_NAME_MAX} characters of A-Z, a-z, 0-9, `.`, `_` and `-`");
        Err(InvalidField::new(field, problem))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// From the store, which holds only what was parsed.
    pub(crate) const fn stored(text: String) -> Self {
        Self(text)
    }
}

/// How far a consumer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChangeConsumer {
    pub(crate) name: ConsumerName,
    /// Everything up to here was dealt with.
    pub(crate) position: Position,
    pub(crate) acknowledged_at: Timestamp,
    /// As a caller's actor.
    pub(crate) acknowledged_by: String,
    /// When the oldest change after it happened, where there is one.
    pub(crate) behind_since: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(number: i64, floor: i64) -> FeedHead {
        FeedHead { position: Position { epoch: Uuid::from_u128(7), number }, floor }
    }

    fn at(epoch: u128, number: i64) -> Option<Position> {
        Some(Position { epoch: Uuid::from_u128(epoch), number })
    }

    #[test]
    fn a_position_parses_as_it_prints_and_nothing_else_does() {
        for number in [0, 1, 7_000_000, i64::MAX] {
            let position = Position { epoch: Uuid::now_v7(), number };
            assert_eq!(Position::parse("after", &position.to_string()), Ok(position));
        }
        let negative = Position { epoch: Uuid::nil(), number: -1 }.to_string();
        let short = "A".repeat(31);
        for text in ["", "1", "!".repeat(32).as_str(), &short, &"A".repeat(33), &"é".repeat(16), &negative] {
            assert_eq!(Position::parse("after", text).unwrap_err().field, "after", "{text}");
        }
    }

    #[test]
    fn r25_a_reader_goes_on_within_what_is_kept_of_its_own_epoch_alone() {
        let head = head(9, 3);
        assert_eq!(head.resume(None), Ok(3));
        for number in [3, 4, 9] {
            assert_eq!(head.resume(at(7, number)), Ok(number));
        }
        for (after, cause) in
            [(at(8, 5), OutOfRange::Epoch), (at(7, 10), OutOfRange::Ahead), (at(7, 2), OutOfRange::Retention)]
        {
            assert_eq!(head.resume(after), Err(Error::PositionOutOfRange { cause, head: head.position }));
        }
    }

    #[test]
    fn a_consumers_name_is_plain_and_short() {
        let parse = |text: &str| ConsumerName::parse("consumer", text.to_owned());
        assert!(parse("billing-2.eu_west").is_ok() && parse(&"x".repeat(CONSUMER_NAME_MAX)).is_ok());
        for text in ["", "a b", "ä", "a\0", &"x".repeat(CONSUMER_NAME_MAX + 1)] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

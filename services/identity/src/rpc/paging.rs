//! Page sizes and page tokens (AIP-158). A token is opaque to callers: the place after which the next page begins, in base64url.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::Message;
use proto::identity::v1 as wire;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::{
    Error, FieldType, InvalidField, LISTED_MAX, LogMark, Mark, Order, OrderKey, PageStart, Slice, Timestamp,
};

/// The page size of a caller that names none.
const SIZE_DEFAULT: u64 = 100;
/// The longest token: a text of a profile that a list is ordered by stands in it.
const TOKEN_MAX: usize = 64 * 1024;

/// A page size where 0 means that the caller leaves it to us.
pub(super) fn size(page_size: i32, default: u64) -> Result<u64, Error> {
    match requested(page_size)? {
        0 => Ok(default),
        size => Ok(size),
    }
}

/// As [`size`], with the usual default.
pub(super) fn size_or_default(page_size: i32) -> Result<u64, Error> {
    size(page_size, SIZE_DEFAULT)
}

/// A list, its filter and its order in short: a token is good for those alone that it was answered to (FNV-1a, the same in every process).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Digest(u64);

impl Digest {
    pub(super) fn of(list: &str, filter: Option<&wire::Filter>, order: Option<&wire::Order>) -> Self {
        let encoded = (filter.map(Message::encode_to_vec), order.map(Message::encode_to_vec));
        let (filter, order) = (encoded.0.unwrap_or_default(), encoded.1.unwrap_or_default());
        let length = filter.len().to_be_bytes();
        Self::hash(list.as_bytes().iter().chain(&length).chain(&filter).chain(&order))
    }

    /// As [`Digest::of`], of conditions and an order in one message.
    pub(super) fn of_conditions(list: &str, conditions: &impl Message) -> Self {
        Self::hash(list.as_bytes().iter().chain(&conditions.encode_to_vec()))
    }

    fn hash<'b>(bytes: impl Iterator<Item = &'b u8>) -> Self {
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0100_0000_01b3;
        Self(bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME)))
    }
}

/// The place that a token holds. Numbers stand as their bits.
#[derive(Serialize, Deserialize)]
struct Token {
    list: Digest,
    id: Uuid,
    key: Option<Key>,
}

#[derive(Serialize, Deserialize)]
enum Key {
    Id(Uuid),
    Text(String),
    Boolean(bool),
    Number(u64),
    Time(i64),
}

/// What part of a list a caller asks for.
pub(super) struct Asked<'a> {
    pub(super) page_size: i32,
    pub(super) page_token: &'a str,
    pub(super) skip: i32,
}

impl Asked<'_> {
    /// The part, where a size of 0 asks for the count alone.
    pub(super) fn slice(&self, digest: Digest, order: &Order) -> Result<Slice, Error> {
        let skip = u64::try_from(self.skip).map_err(|_| InvalidField::new("skip", "must not be negative"))?;
        let start = match (self.page_token.is_empty(), skip) {
            (true, skip) => PageStart::Skip(skip),
            (false, 0) => PageStart::After(mark(self.page_token, digest, order)?),
            (false, _) => return Err(InvalidField::new("skip", "cannot stand beside page_token").into()),
        };
        Ok(Slice { start, size: requested(self.page_size)? })
    }
}

/// The token of the page after a place in a list; empty where nothing follows.
pub(super) fn next_token(next: Option<Mark>, digest: Digest) -> Result<String, Error> {
    let Some(Mark { key, id }) = next else { return Ok(String::new()) };
    let key = key.map(|key| match key {
        OrderKey::Id(id) => Key::Id(id),
        OrderKey::Text(text) => Key::Text(text),
        OrderKey::Boolean(truth) => Key::Boolean(truth),
        OrderKey::Number(number) => Key::Number(number.to_bits()),
        OrderKey::Time(time) => Key::Time(time),
    });
    let json = serde_json::to_vec(&Token { list: digest, id, key }).map_err(|_| Error::Internal)?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

fn mark(page_token: &str, digest: Digest, order: &Order) -> Result<Mark, Error> {
    if page_token.len() > TOKEN_MAX {
        return Err(invalid_token());
    }
    let json = URL_SAFE_NO_PAD.decode(page_token).map_err(|_| invalid_token())?;
    let Token { list, id, key } = serde_json::from_slice(&json).map_err(|_| invalid_token())?;
    if list != digest {
        return Err(of_another_list());
    }
    let key = key.map(|key| order_key(key, order.kind()).ok_or_else(invalid_token)).transpose()?;
    Ok(Mark { key, id })
}

/// A key of the type that the list is ordered by.
fn order_key(key: Key, kind: FieldType) -> Option<OrderKey> {
    match (key, kind) {
        (Key::Id(id), FieldType::Id) => Some(OrderKey::Id(id)),
        // No text of a database has this character, and PostgreSQL refuses it.
        (Key::Text(text), FieldType::Text(_)) if !text.contains('\0') => Some(OrderKey::Text(text)),
        (Key::Boolean(truth), FieldType::Boolean) => Some(OrderKey::Boolean(truth)),
        (Key::Number(bits), FieldType::Number) => Some(OrderKey::Number(f64::from_bits(bits))),
        (Key::Time(time), FieldType::Time) => Some(OrderKey::Time(time)),
        _ => None,
    }
}

/// The token of the page of a log that begins after an entry.
pub(super) fn log_token(mark: LogMark, digest: Digest) -> Result<String, Error> {
    let json = serde_json::to_string(&(digest, mark.at.0, mark.position)).map_err(|_| Error::Internal)?;
    Ok(token(json))
}

/// The entry after which a page of a log begins; none where it is the first page.
pub(super) fn log_mark(page_token: &str, digest: Digest) -> Result<Option<LogMark>, Error> {
    if page_token.is_empty() {
        return Ok(None);
    }
    let (list, at, position): (Digest, i64, i64) =
        serde_json::from_str(&text(page_token)?).map_err(|_| invalid_token())?;
    if list != digest {
        return Err(of_another_list());
    }
    Ok(Some(LogMark { at: Timestamp(at), position }))
}

/// The id after which the next page begins.
pub(super) fn id(page_token: &str) -> Result<Uuid, Error> {
    let text = text(page_token)?;
    Uuid::try_parse(&text).map_err(|_| invalid_token())
}

/// The text after which the next page begins.
pub(super) fn text(page_token: &str) -> Result<String, Error> {
    let bytes = URL_SAFE_NO_PAD.decode(page_token).map_err(|_| invalid_token())?;
    String::from_utf8(bytes).map_err(|_| invalid_token())
}

/// The token of the page that begins after `place`.
pub(super) fn token(place: impl ToString) -> String {
    URL_SAFE_NO_PAD.encode(place.to_string())
}

/// Larger pages than the largest are cut to it, as AIP-158 says.
fn requested(page_size: i32) -> Result<u64, Error> {
    let size = u64::try_from(page_size).map_err(|_| InvalidField::new("page_size", "must not be negative"))?;
    Ok(size.min(LISTED_MAX))
}

fn of_another_list() -> Error {
    let problem = "is of a list with another filter or order: begin again without it";
    InvalidField::new("page_token", problem).into()
}

fn invalid_token() -> Error {
    InvalidField::new("page_token", "is not one that a list answered").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Catalogue, OrderBy};

    fn slice(page_size: i32, page_token: &str, skip: i32) -> Result<Slice, Error> {
        Asked { page_size, page_token, skip }.slice(Digest::of("users", None, None), &Order::BY_ID)
    }

    fn order(field: &str) -> Order {
        Order { by: OrderBy::Field(Catalogue::Users(&[]).field(field).unwrap()), descending: false }
    }

    #[test]
    fn a_token_comes_back_as_it_went() {
        let id = Uuid::now_v7();
        assert_eq!(self::id(&token(id)), Ok(id));
        let digest = Digest::of("users", None, None);
        for (field, key) in [
            ("id", None),
            ("profile.title", None),
            ("profile.title", Some(OrderKey::Text("ß\"".into()))),
            ("create_time", Some(OrderKey::Time(-1))),
            ("provisioned_active", Some(OrderKey::Boolean(true))),
        ] {
            let mark = Mark { key, id };
            let token = next_token(Some(mark.clone()), digest).unwrap();
            let asked = Asked { page_size: 5, page_token: &token, skip: 0 };
            assert_eq!(asked.slice(digest, &order(field)), Ok(Slice { start: PageStart::After(mark), size: 5 }));
        }
        assert_eq!(next_token(None, digest), Ok(String::new()));
    }

    #[test]
    fn a_token_of_another_list_is_refused() {
        let descending = wire::Order { field: "id".into(), descending: true };
        let digest = Digest::of("users", None, None);
        let token = next_token(Some(Mark { key: None, id: Uuid::now_v7() }), digest).unwrap();
        let asked = Asked { page_size: 1, page_token: &token, skip: 0 };
        assert!(asked.slice(digest, &Order::BY_ID).is_ok());
        let present = |field: &str| wire::Filter { kind: Some(wire::filter::Kind::Present(field.into())) };
        for other in [
            Digest::of("users", None, Some(&descending)),
            Digest::of("users", Some(&present("external_id")), None),
            Digest::of("users", Some(&present("display_name")), None),
            Digest::of("groups", None, None),
        ] {
            assert!(
                matches!(asked.slice(other, &Order::BY_ID), Err(Error::InvalidField(error)) if error.field == "page_token")
            );
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(id("x").is_err() && id("!").is_err() && slice(-1, "", 0).is_err() && slice(1, "", -1).is_err());
        assert!(slice(1, &token(Uuid::now_v7()), 0).is_err() && slice(1, "!", 0).is_err());
        assert!(slice(1, &"A".repeat(TOKEN_MAX + 1), 0).is_err());
        let digest = Digest::of("users", None, None);
        let text = Mark { key: Some(OrderKey::Text("x".into())), id: Uuid::now_v7() };
        let token = next_token(Some(text), digest).unwrap();
        let asked = Asked { page_size: 1, page_token: &token, skip: 0 };
        assert!(asked.slice(digest, &order("create_time")).is_err() && asked.slice(digest, &Order::BY_ID).is_err());
        assert!(Asked { skip: 1, ..asked }.slice(digest, &order("profile.title")).is_err());
    }

    #[test]
    fn a_larger_page_than_the_largest_is_cut() {
        assert_eq!(slice(i32::MAX, "", 3), Ok(Slice { start: PageStart::Skip(3), size: LISTED_MAX }));
        assert_eq!(size_or_default(0), Ok(SIZE_DEFAULT));
    }
}

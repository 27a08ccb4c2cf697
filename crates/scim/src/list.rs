//! Lists and their pages (RFC 7644 section 3.4.2.4; cursors by RFC 9865).

use serde_json::{Map, Value};

use crate::error::{Error, shown};

/// The schema URN of a list.
pub const LIST_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// The largest page.
pub const COUNT_MAX: u64 = 1_000;
/// The page of a client that does not say how many it wants.
pub const COUNT_DEFAULT: u64 = 100;

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The first resource, counted from 1.
    pub start_index: u64,
    /// How many at most; 0 asks for the total alone.
    pub count: u64,
}

impl Page {
    /// Reads `startIndex` and `count`. What is too small or too large is moved to the limit, as the RFC has it.
    pub fn from_query(start_index: Option<&str>, count: Option<&str>) -> Result<Self, Error> {
        let start_index = number("startIndex", start_index)?.unwrap_or(1).max(1);
        let count = number("count", count)?.unwrap_or(COUNT_DEFAULT).min(COUNT_MAX);
        Ok(Self { start_index, count })
    }
}

/// A whole number, where a negative one counts as 0 and one beyond the machine's as the largest.
fn number(name: &str, text: Option<&str>) -> Result<Option<u64>, Error> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::invalid_value(format!("{name} is not a whole number: \"{}\"", shown(text))));
    }
    Ok(Some(if negative { 0 } else { digits.parse().unwrap_or(u64::MAX) }))
}

/// A page of a list by index. `start_index` is the client's own.
pub fn list_response(total: u64, start_index: u64, resources: Vec<Value>) -> Value {
    let mut list = head(Some(total));
    list.insert("startIndex".to_owned(), Value::from(start_index));
    list.insert("itemsPerPage".to_owned(), Value::from(resources.len()));
    list.insert("Resources".to_owned(), Value::from(resources));
    Value::Object(list)
}

/// A page of a list by cursor; the last page has no `next_cursor`. The total may be unknown.
pub fn cursor_response(total: Option<u64>, next_cursor: Option<&str>, resources: Vec<Value>) -> Value {
    let mut list = head(total);
    if let Some(cursor) = next_cursor {
        list.insert("nextCursor".to_owned(), Value::from(cursor));
    }
    list.insert("itemsPerPage".to_owned(), Value::from(resources.len()));
    list.insert("Resources".to_owned(), Value::from(resources));
    Value::Object(list)
}

fn head(total: Option<u64>) -> Map<String, Value> {
    let mut list = Map::new();
    list.insert("schemas".to_owned(), Value::from(vec![LIST_SCHEMA]));
    if let Some(total) = total {
        list.insert("totalResults".to_owned(), Value::from(total));
    }
    list
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(start_index: Option<&str>, count: Option<&str>, expect: (u64, u64)) {
        let page = Page::from_query(start_index, count).unwrap();
        assert_eq!((page.start_index, page.count), expect);
    }

    #[test]
    fn pages_keep_within_their_limits() {
        check(None, None, (1, COUNT_DEFAULT));
        check(Some("0"), Some("0"), (1, 0));
        check(Some("-5"), Some("-1"), (1, 0));
        check(Some("7"), Some("1001"), (7, COUNT_MAX));
        check(Some(&"9".repeat(40)), Some(&"9".repeat(40)), (u64::MAX, COUNT_MAX));
        check(Some(""), Some(""), (1, COUNT_DEFAULT));
    }

    #[test]
    fn what_is_not_a_number_is_refused() {
        for text in ["ten", "1.5", "-", "0x1", "1e3"] {
            assert_eq!(Page::from_query(None, Some(text)).unwrap_err().status, 400, "{text}");
        }
    }

    #[test]
    fn an_empty_list_has_every_member() {
        let expect =
            json!({"schemas": [LIST_SCHEMA], "totalResults": 0, "startIndex": 1, "itemsPerPage": 0, "Resources": []});
        assert_eq!(list_response(0, 1, Vec::new()), expect);
    }

    #[test]
    fn the_last_page_by_cursor_has_no_next_cursor() {
        assert_eq!(cursor_response(None, Some("c"), vec![json!({})])["nextCursor"], "c");
        assert!(cursor_response(Some(1), None, Vec::new()).get("nextCursor").is_none());
    }
}

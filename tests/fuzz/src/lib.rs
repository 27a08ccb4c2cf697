//! What must hold for any bytes. Each module states the property of one target; the targets under `fuzz_targets/` and the replay of the corpus
//! under `tests/` call the same functions.

pub mod bulk;
pub mod filter;
pub mod patch;
pub mod path;
pub mod resource;

use std::sync::LazyLock;

use scim::arbitrary::schemas;
use scim::filter::{FILTER_DEPTH_MAX, FILTER_LENGTH_MAX};
use scim::{Definition, Resource, ResourceType};
use serde_json::{Value, json};

/// The user that operations are applied to.
pub static USER: LazyLock<Resource<'static>> = LazyLock::new(|| {
    let body = json!({
        "userName": "ada", "externalId": "7", "displayName": "Ada", "active": true, "name": {"givenName": "Ada", "familyName": "L"},
        "emails": [{"type": "work", "value": "a@x", "primary": true}, {"type": "home", "value": "h@x"}],
        "roles": [{"value": "Admin", "primary": true}, {"value": "Stra\u{df}e", "display": "Ope"}],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "R", "manager": {"value": "m1", "$ref": "../Users/m1"}},
        "urn:rollcall:params:1.0:UserAttribute": {"hat": "top", "shoeSize": 42.5, "remote": false, "skills": ["a", "b"], "lucky": [7]},
    });
    Resource::from_json(user(), body).expect("the user is well formed")
});

/// A group.
pub static GROUP: LazyLock<Resource<'static>> = LazyLock::new(|| {
    let body =
        json!({"displayName": "Ops", "externalId": "g", "members": [{"value": "u1"}, {"value": "u2", "type": "User"}]});
    Resource::from_json(group(), body).expect("the group is well formed")
});

/// Users of that tenant.
pub fn user() -> Definition<'static> {
    schemas().of(ResourceType::User)
}

/// Groups of that tenant.
pub fn group() -> Definition<'static> {
    schemas().of(ResourceType::Group)
}

/// The text that bytes are, if they are one.
fn text(input: &[u8]) -> Option<&str> {
    std::str::from_utf8(input).ok()
}

/// The body that the façade would make of them.
fn body(input: &[u8]) -> Option<Value> {
    text(input).and_then(|text| serde_json::from_str(text).ok())
}

/// Whether a printed filter or path is beyond a limit: printing adds the parentheses and names that were implied.
fn beyond_limits(printed: &str) -> bool {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for c in printed.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' | '[' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            ')' | ']' if !quoted => depth -= 1,
            _ => {}
        }
    }
    printed.len() > FILTER_LENGTH_MAX || deepest > FILTER_DEPTH_MAX
}

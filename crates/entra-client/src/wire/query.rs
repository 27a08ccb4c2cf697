//! Queries, encoded as Entra encodes them: a space as `+`, quotes as `%22`, `@` as `%40`, a plus as `%2B`.

use super::Kind;

/// What keeps members out of an answer.
pub(crate) const WITHOUT_MEMBERS: &str = "excludedAttributes=members";

/// The query that looks for a resource by the matching attribute.
pub(crate) fn match_query(kind: Kind, value: &str) -> String {
    let filter = encoded(&format!("{} eq {}", kind.matching_attribute(), quoted(value)));
    match kind {
        Kind::User => format!("filter={filter}"),
        Kind::Group => format!("{WITHOUT_MEMBERS}&filter={filter}"),
    }
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// A filter's value is a JSON string.
fn quoted(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind, value: &str, expected: &str) {
        assert_eq!(match_query(kind, value), expected);
    }

    #[test]
    fn match_queries_are_form_encoded() {
        check(Kind::User, "ada@example.org", "filter=userName+eq+%22ada%40example.org%22");
        check(
            Kind::Group,
            "EDU All personal",
            "excludedAttributes=members&filter=displayName+eq+%22EDU+All+personal%22",
        );
    }

    #[test]
    fn plus_quote_and_backslash_survive_encoding() {
        check(Kind::User, "a+b@x", "filter=userName+eq+%22a%2Bb%40x%22");
        check(Kind::User, r#"a"b\c"#, "filter=userName+eq+%22a%5C%22b%5C%5Cc%22");
        check(Kind::User, "o'brien&zoë", "filter=userName+eq+%22o%27brien%26zo%C3%AB%22");
    }
}

//! The query of a list: form-encoded, with `+` for a space, odd-case names, and flags that mean nothing to a server.
//!
//! Source: GitHub MicrosoftDocs/azure-docs#94189 and audriga/scim-server-php#1 (`filter=userName+eq+%22ada%22`),
//! MicrosoftDocs/entra-docs#949 (`?aadOptscim062020` in the tenant URL), AzureAD/SCIMReferenceCode#44.

use scim::Error;

/// The longest query, in bytes.
pub const QUERY_LENGTH_MAX: usize = 65_536;

/// The parameters of a list or read, decoded. What is not known is passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// `filter`
    pub filter: Option<String>,
    /// `startIndex`
    pub start_index: Option<String>,
    /// `count`
    pub count: Option<String>,
    /// `cursor` (RFC 9865)
    pub cursor: Option<String>,
    /// `attributes`
    pub attributes: Option<String>,
    /// `excludedAttributes`
    pub excluded_attributes: Option<String>,
    /// `sortBy`
    pub sort_by: Option<String>,
    /// `sortOrder`
    pub sort_order: Option<String>,
}

/// Reads what stands after the `?`.
pub fn query(text: &str) -> Result<ListQuery, Error> {
    if text.len() > QUERY_LENGTH_MAX {
        return Err(Error::invalid_value(format!("the query is longer than {QUERY_LENGTH_MAX} bytes")));
    }
    let text = text.trim_start_matches('?');
    let is_whole = percent_encoding::percent_decode_str(text).decode_utf8().is_ok();
    let mut list = ListQuery::default();
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        let slot = match name.to_ascii_lowercase().as_str() {
            "filter" => &mut list.filter,
            "startindex" => &mut list.start_index,
            "count" => &mut list.count,
            "cursor" => &mut list.cursor,
            "attributes" => &mut list.attributes,
            "excludedattributes" => &mut list.excluded_attributes,
            "sortby" => &mut list.sort_by,
            "sortorder" => &mut list.sort_order,
            _ => continue,
        };
        // A filter whose bytes were lost could match another resource, or none and so make the client create one.
        if !is_whole && value.contains(char::REPLACEMENT_CHARACTER) {
            return Err(Error::invalid_value(format!("the parameter {name} is not valid UTF-8")));
        }
        if slot.is_some() {
            return Err(Error::invalid_value(format!("the parameter {name} is given twice")));
        }
        *slot = Some(value.into_owned());
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plus_is_a_space_and_an_encoded_plus_is_a_plus() {
        let list = query("filter=userName+eq+%22a%2Bb%40example.org%22").unwrap();
        assert_eq!(list.filter.as_deref(), Some("userName eq \"a+b@example.org\""));
        assert_eq!(query("filter=userName%20eq%20%22a%22").unwrap().filter.as_deref(), Some("userName eq \"a\""));
    }

    #[test]
    fn names_have_no_case_and_unknown_ones_are_passed_over() {
        let list = query(
            "?aadOptscim062020&StartIndex=3&COUNT=5&excludedattributes=members&Attributes=id&sortby=id&SortOrder=x",
        )
        .unwrap();
        let expect = ListQuery {
            start_index: Some("3".to_owned()),
            count: Some("5".to_owned()),
            attributes: Some("id".to_owned()),
            excluded_attributes: Some("members".to_owned()),
            sort_by: Some("id".to_owned()),
            sort_order: Some("x".to_owned()),
            ..ListQuery::default()
        };
        assert_eq!(list, expect);
    }

    #[test]
    fn a_value_that_cannot_be_trusted_is_refused() {
        for text in ["filter=%ff", "count=1&Count=2"] {
            assert_eq!(query(text).unwrap_err().status, 400, "{text}");
        }
        assert!(query("x=%ff&x=%ff").is_ok());
        // The character that stands for lost bytes may itself be asked for.
        assert_eq!(query("filter=%EF%BF%BD").unwrap().filter.as_deref(), Some("\u{fffd}"));
        assert!(query(&"a".repeat(QUERY_LENGTH_MAX)).is_ok() && query(&"a".repeat(QUERY_LENGTH_MAX + 1)).is_err());
    }
}

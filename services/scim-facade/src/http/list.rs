//! What is common to lists: the filter, the order, and pages by index (RFC 7644 section 3.4.2.4) or by cursor (RFC 9865).

use scim::{
    Definition, Error, Filter, Sort,
    list::{Page, cursor_response, list_response},
};
use scim_entra::ListQuery;
use serde_json::{Map, Value};

use crate::mapping::filter::{self, WireFilter, WireOrder};

/// Which part of a list a client asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Listing {
    pub(crate) filter: Option<WireFilter>,
    pub(crate) order: Option<WireOrder>,
    pub(crate) slice: Slice,
}

/// Which part of what is found, in its order, is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slice {
    page: Page,
    /// An empty one begins a walk by cursor.
    cursor: Option<String>,
}

/// One page as identity answered it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answered {
    /// How many resources there are in all.
    pub(crate) total: i64,
    /// Where the next page begins; empty on the last.
    pub(crate) next_page_token: String,
}

impl Listing {
    pub(crate) fn parse(definition: Definition<'_>, query: &ListQuery) -> Result<Self, Error> {
        let filter = filter_text(query)?.map(|text| {
            let filter = Filter::parse(definition, &scim_entra::filter(&[definition], text))?;
            filter::to_wire(definition, &filter)
        });
        let sort = Sort::from_query(definition, query.sort_by.as_deref(), query.sort_order.as_deref())?;
        let order = sort.map(|sort| filter::order_to_wire(definition, &sort)).transpose()?.flatten();
        Ok(Self { filter: filter.transpose()?, order, slice: Slice::parse(query)? })
    }
}

/// The text of the filter. One that is there and says nothing is a client's mistake: an answer with everybody would be taken for one that
/// obeyed it.
pub(crate) fn filter_text(query: &ListQuery) -> Result<Option<&str>, Error> {
    match query.filter.as_deref() {
        Some(text) if text.trim().is_empty() => {
            Err(Error::invalid_filter("the filter is empty: leave the parameter away to list everything"))
        }
        text => Ok(text),
    }
}

impl Slice {
    pub(crate) fn parse(query: &ListQuery) -> Result<Self, Error> {
        let page = Page::from_query(query.start_index.as_deref(), query.count.as_deref())?;
        Ok(Self { page, cursor: query.cursor.clone() })
    }

    pub(crate) fn page_size(&self) -> i32 {
        i32::try_from(self.page.count).unwrap_or(i32::MAX)
    }

    pub(crate) fn page_token(&self) -> String {
        self.cursor.clone().unwrap_or_default()
    }

    /// The cursor, if this is a walk by cursor.
    pub(crate) fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// How many resources to pass over.
    pub(crate) fn skip(&self) -> i32 {
        match self.cursor {
            Some(_) => 0,
            None => i32::try_from(self.page.start_index.saturating_sub(1)).unwrap_or(i32::MAX),
        }
    }

    /// The answer.
    pub(crate) fn response(&self, answered: &Answered, resources: Vec<Value>) -> Map<String, Value> {
        let total = u64::try_from(answered.total).unwrap_or(0);
        let response = match self.cursor.as_deref() {
            None => list_response(total, self.page.start_index, resources),
            Some(cursor) => {
                let next = Some(answered.next_page_token.as_str()).filter(|token| !token.is_empty());
                // Identity counts once, when a walk begins.
                cursor_response(cursor.is_empty().then_some(total), next, resources)
            }
        };
        match response {
            Value::Object(response) => response,
            _ => Map::new(),
        }
    }

    /// The answer up to its resources, which are to follow, `items` of them.
    pub(crate) fn response_without_resources(&self, answered: &Answered, items: usize) -> Map<String, Value> {
        let mut response = self.response(answered, Vec::new());
        response.remove("Resources");
        response.insert("itemsPerPage".to_owned(), Value::from(items));
        response
    }
}

#[cfg(test)]
mod tests {
    use scim::ResourceType;

    use super::*;

    fn parse(query: &str) -> Result<Listing, Error> {
        Listing::parse(ResourceType::User.into(), &scim_entra::query(query).unwrap())
    }

    fn slice(query: &str) -> Slice {
        parse(query).unwrap().slice
    }

    #[test]
    fn an_index_becomes_rows_to_pass_over() {
        let part = |query: &str| (slice(query).skip(), slice(query).page_size());
        assert_eq!(part(""), (0, 100));
        assert_eq!(part("startIndex=11&count=5"), (10, 5));
        assert_eq!(part("startIndex=0&count=0"), (0, 0));
        assert_eq!(part("startIndex=99999999999999999999&count=5000"), (i32::MAX, 1000));
    }

    #[test]
    fn a_cursor_takes_the_place_of_an_index() {
        let first = slice("cursor&startIndex=5&count=2");
        assert_eq!((first.skip(), first.page_token()), (0, String::new()));
        let answered = Answered { total: 3, next_page_token: "t".to_owned() };
        let response = first.response(&answered, Vec::new());
        assert_eq!((&response["totalResults"], &response["nextCursor"]), (&Value::from(3), &Value::from("t")));
        assert!(response.get("startIndex").is_none());
        let later = slice("cursor=t").response(&answered, Vec::new());
        assert!(later.get("totalResults").is_none());
    }

    #[test]
    fn a_filter_that_is_empty_or_not_known_is_never_answered_unfiltered() {
        for (query, word) in [("filter=", "empty"), ("filter=+", "empty"), ("filter=shoeSize+eq+%2242%22", "shoeSize")]
        {
            let error = parse(query).unwrap_err();
            assert_eq!((error.status, error.scim_type), (400, Some(scim::ScimType::InvalidFilter)), "{query}");
            assert!(error.detail.contains(word), "{error}");
        }
        assert_eq!(parse("").unwrap().filter, None);
    }

    #[test]
    fn an_order_names_a_field() {
        let order = |query: &str| parse(query).unwrap().order.map(|order| (order.field, order.descending));
        assert_eq!(order("sortBy=userName"), Some(("user_name".to_owned(), false)));
        assert_eq!(order("sortBy=emails&sortOrder=descending"), Some(("profile.emails.value".to_owned(), true)));
        // All users are users.
        assert_eq!(order("sortBy=meta.resourceType"), None);
    }
}

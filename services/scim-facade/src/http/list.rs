//! What is common to lists: the filter, and pages by index (RFC 7644 section 3.4.2.4) or by cursor (RFC 9865).

use scim::{
    Error, Filter, ResourceType,
    list::{Page, cursor_response, list_response},
};
use scim_entra::ListQuery;
use serde_json::{Map, Value};

use crate::mapping::filter::{self, Wire};

/// Which part of a list a client asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Listing {
    resource_type: ResourceType,
    pub(crate) filter: Option<Filter>,
    page: Page,
    /// An empty one begins a walk by cursor.
    cursor: Option<String>,
}

/// One page as identity answered it.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    /// How many resources there are in all.
    pub(crate) total: i64,
    /// Where the next page begins; empty on the last.
    pub(crate) next_page_token: String,
}

impl Listing {
    pub(crate) fn parse(resource_type: ResourceType, query: &ListQuery) -> Result<Self, Error> {
        let filter = query.filter.as_deref().filter(|text| !text.trim().is_empty());
        let filter =
            filter.map(|text| Filter::parse(resource_type, &scim_entra::filter(resource_type, text))).transpose()?;
        let page = Page::from_query(query.start_index.as_deref(), query.count.as_deref())?;
        Ok(Self { resource_type, filter, page, cursor: query.cursor.clone() })
    }

    /// The filter for identity.
    pub(crate) fn wire_filter(&self) -> Result<Option<Wire>, Error> {
        self.filter.as_ref().map(|filter| filter::to_wire(self.resource_type, filter)).transpose()
    }

    pub(crate) fn page_size(&self) -> i32 {
        i32::try_from(self.page.count).unwrap_or(i32::MAX)
    }

    pub(crate) fn page_token(&self) -> String {
        self.cursor.clone().unwrap_or_default()
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
    use super::*;

    fn listing(query: &str) -> Listing {
        Listing::parse(ResourceType::User, &scim_entra::query(query).unwrap()).unwrap()
    }

    #[test]
    fn an_index_becomes_rows_to_pass_over() {
        let part = |query: &str| (listing(query).skip(), listing(query).page_size());
        assert_eq!(part(""), (0, 100));
        assert_eq!(part("startIndex=11&count=5"), (10, 5));
        assert_eq!(part("startIndex=0&count=0"), (0, 0));
        assert_eq!(part("startIndex=99999999999999999999&count=5000"), (i32::MAX, 1000));
    }

    #[test]
    fn a_cursor_takes_the_place_of_an_index() {
        let first = listing("cursor&startIndex=5&count=2");
        assert_eq!((first.skip(), first.page_token()), (0, String::new()));
        let answered = Answered { total: 3, next_page_token: "t".to_owned() };
        let response = first.response(&answered, Vec::new());
        assert_eq!((&response["totalResults"], &response["nextCursor"]), (&Value::from(3), &Value::from("t")));
        assert!(response.get("startIndex").is_none());
        let later = listing("cursor=t").response(&answered, Vec::new());
        assert!(later.get("totalResults").is_none());
    }

    #[test]
    fn an_empty_filter_is_none() {
        assert_eq!(listing("filter=").filter, None);
    }

    #[test]
    fn a_filter_on_what_is_not_known_is_never_answered_unfiltered() {
        let query = scim_entra::query("filter=shoeSize+eq+%2242%22").unwrap();
        let error = Listing::parse(ResourceType::User, &query).unwrap_err();
        assert_eq!((error.status, error.scim_type), (400, Some(scim::ScimType::InvalidFilter)));
        assert!(error.detail.contains("shoeSize"));
    }
}

//! The order of a list (RFC 7644 section 3.4.2.3).

use crate::error::{Error, shown};
use crate::path::AttributePath;
use crate::schema::Definition;

/// By what a list is ordered.
#[derive(Clone, Debug, PartialEq)]
pub struct Sort<'s> {
    /// The attribute; never a complex one by itself. Of several values the primary counts, else the first.
    pub path: AttributePath<'s>,
    /// From the greatest to the least.
    pub descending: bool,
}

impl<'s> Sort<'s> {
    /// Reads `sortBy` and `sortOrder`. Without the first there is no order, whatever the second says.
    pub fn from_query(
        definition: impl Into<Definition<'s>>,
        sort_by: Option<&str>,
        sort_order: Option<&str>,
    ) -> Result<Option<Self>, Error> {
        let descending = match sort_order.map(str::trim) {
            None | Some("") => false,
            Some(order) if order.eq_ignore_ascii_case("ascending") => false,
            Some(order) if order.eq_ignore_ascii_case("descending") => true,
            Some(order) => {
                let detail = format!("sortOrder is \"ascending\" or \"descending\", not \"{}\"", shown(order));
                return Err(Error::invalid_value(detail));
            }
        };
        let Some(name) = sort_by.map(str::trim).filter(|name| !name.is_empty()) else { return Ok(None) };
        let path = AttributePath::parse(definition, name)
            .map_err(|error| Error::invalid_path(format!("sortBy cannot be used: {error}")))?;
        Ok(Some(Self { path: comparable(path)?, descending }))
    }
}

/// A complex attribute stands for its `value`, as in a filter.
fn comparable(path: AttributePath<'_>) -> Result<AttributePath<'_>, Error> {
    let leaf = match path.attribute.sub_attribute("value") {
        Some(value) if path.leaf().is_complex() => path.child(value),
        Some(_) | None => path,
    };
    if leaf.leaf().is_complex() {
        return Err(Error::invalid_path(format!("{leaf} is complex: sortBy must name one of its sub-attributes")));
    }
    if !leaf.leaf().queryable || leaf.leaf().name == "schemas" {
        return Err(Error::invalid_path(format!("a list cannot be ordered by {leaf}")));
    }
    Ok(leaf)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ScimType;
    use crate::schema::ResourceType;

    fn check(sort_by: Option<&str>, sort_order: Option<&str>, expect: Option<(&str, bool)>) {
        let sort = Sort::from_query(ResourceType::User, sort_by, sort_order).unwrap();
        let got = sort.map(|sort| (sort.path.to_string(), sort.descending));
        assert_eq!(got, expect.map(|(path, descending)| (path.to_owned(), descending)));
    }

    fn refused(sort_by: &str, sort_order: Option<&str>, scim_type: ScimType) {
        let error = Sort::from_query(ResourceType::User, Some(sort_by), sort_order).unwrap_err();
        assert_eq!((error.status, error.scim_type), (400, Some(scim_type)), "{error}");
    }

    #[test]
    fn names_and_orders_have_no_case() {
        check(Some("USERNAME"), None, Some(("userName", false)));
        check(Some("name.familyName"), Some("Descending"), Some(("name.familyName", true)));
        check(Some("emails"), Some("ascending"), Some(("emails.value", false)));
        check(None, Some("descending"), None);
        check(Some(" "), None, None);
    }

    #[test]
    fn what_has_no_order_is_refused() {
        refused("shoeSize", None, ScimType::InvalidPath);
        refused("name", None, ScimType::InvalidPath);
        refused("addresses", None, ScimType::InvalidPath);
        refused("password", None, ScimType::InvalidPath);
        refused("meta.location", None, ScimType::InvalidPath);
        refused("emails[type eq \"work\"]", None, ScimType::InvalidPath);
        refused("userName", Some("up"), ScimType::InvalidValue);
    }
}

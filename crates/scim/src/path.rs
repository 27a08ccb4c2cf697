//! Attribute notation (RFC 7644 section 3.10) and the paths of patch operations (section 3.5.2), resolved.

use std::fmt;

use crate::Filter;
use crate::error::{Error, shown};
use crate::filter::{self, FILTER_LENGTH_MAX};
use crate::schema::{Attribute, Definition, Schema};

/// A resolved attribute name: `userName`, `name.givenName`, `urn:…:User:department`.
#[derive(Clone, Debug, PartialEq)]
pub struct AttributePath<'s> {
    /// The extension that the attribute belongs to; none for core and common attributes.
    pub extension: Option<&'s Schema>,
    /// The attribute.
    pub attribute: &'s Attribute,
    /// Its sub-attribute, where one is named.
    pub sub_attribute: Option<&'s Attribute>,
}

impl<'s> AttributePath<'s> {
    /// Resolves a name without a value filter.
    pub fn parse(definition: impl Into<Definition<'s>>, text: &str) -> Result<Self, PathError> {
        resolve(definition.into(), text, 1)
    }

    /// What a value stands at: the sub-attribute if there is one, else the attribute.
    pub fn leaf(&self) -> &'s Attribute {
        self.sub_attribute.unwrap_or(self.attribute)
    }

    /// Whether the path is exactly this core or common attribute, and sub-attribute, by the names of the schema.
    pub fn is_core(&self, attribute: &str, sub_attribute: Option<&str>) -> bool {
        self.extension.is_none()
            && self.attribute.name == attribute
            && self.sub_attribute.map(|sub| sub.name.as_ref()) == sub_attribute
    }

    /// The same path without the sub-attribute.
    pub fn parent(&self) -> Self {
        Self { sub_attribute: None, ..self.clone() }
    }

    pub(crate) fn child(&self, sub_attribute: &'s Attribute) -> Self {
        Self { sub_attribute: Some(sub_attribute), ..self.clone() }
    }
}

impl fmt::Display for AttributePath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(extension) = self.extension {
            write!(f, "{}:", extension.id)?;
        }
        f.write_str(&self.attribute.name)?;
        match self.sub_attribute {
            Some(sub) => write!(f, ".{}", sub.name),
            None => Ok(()),
        }
    }
}

/// The path of a patch operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Path<'s> {
    /// What is changed.
    pub attribute: AttributePath<'s>,
    /// Which of its values.
    pub filter: Option<Filter<'s>>,
}

impl<'s> Path<'s> {
    /// Resolves a path such as `emails[type eq "work"].value`.
    pub fn parse(definition: impl Into<Definition<'s>>, text: &str) -> Result<Self, PathError> {
        if text.len() > FILTER_LENGTH_MAX {
            return Err(PathError::Malformed { position: 1, reason: "the path is too long".to_owned() });
        }
        filter::parse_path(definition.into(), text)
    }
}

impl<'s> From<AttributePath<'s>> for Path<'s> {
    fn from(attribute: AttributePath<'s>) -> Self {
        Self { attribute, filter: None }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(filter) = &self.filter else { return write!(f, "{}", self.attribute) };
        write!(f, "{}[{}]", self.attribute.parent(), filter.within_brackets())?;
        match self.attribute.sub_attribute {
            Some(sub) => write!(f, ".{}", sub.name),
            None => Ok(()),
        }
    }
}

/// Why a name, path or value filter does not resolve. Positions count characters, from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The notation is good and the schema has no such attribute.
    #[error("the attribute {attribute} is not known (character {position})")]
    Unknown {
        /// The name as it was sent, cut if it is long. It never holds a filter's value.
        attribute: String,
        /// Where the name begins.
        position: usize,
    },
    /// The notation is wrong.
    #[error("{reason} (character {position})")]
    Malformed {
        /// Where.
        position: usize,
        /// What.
        reason: String,
    },
    /// What stands between the brackets is not a filter on that attribute.
    #[error("{reason} (character {position})")]
    Filter {
        /// Where.
        position: usize,
        /// What.
        reason: String,
    },
}

impl From<PathError> for Error {
    fn from(error: PathError) -> Self {
        let detail = format!("the path cannot be used: {error}");
        match error {
            PathError::Unknown { .. } | PathError::Malformed { .. } => Self::invalid_path(detail),
            PathError::Filter { .. } => Self::invalid_filter(detail),
        }
    }
}

/// Resolves a name that begins at `position`.
pub(crate) fn resolve<'s>(
    definition: Definition<'s>,
    text: &str,
    position: usize,
) -> Result<AttributePath<'s>, PathError> {
    let unknown = || PathError::Unknown { attribute: shown(text), position };
    if !is_notation(text) {
        return Err(PathError::Malformed {
            position,
            reason: format!("\"{}\" is not the name of an attribute", shown(text)),
        });
    }
    let (schema, rest) = match split_urn(definition, text) {
        Some((schema, rest)) => (Some(schema), rest),
        None if text.contains(':') => return Err(unknown()),
        None => (None, text),
    };
    let extension = schema.filter(|schema| schema.id != definition.schema().id);
    let (name, sub_name) = match rest.split_once('.') {
        Some((name, sub_name)) => (name, Some(sub_name)),
        None => (rest, None),
    };
    let attribute = match extension {
        Some(extension) => extension.attribute(name),
        None => definition.attribute(name),
    };
    let attribute = attribute.ok_or_else(unknown)?;
    let sub_attribute = match sub_name {
        Some(sub_name) => Some(attribute.sub_attribute(sub_name).ok_or_else(unknown)?),
        None => None,
    };
    Ok(AttributePath { extension, attribute, sub_attribute })
}

/// Splits on the longest registered URN: a URN has dots and colons of its own, so neither can be split on first.
fn split_urn<'s, 't>(definition: Definition<'s>, text: &'t str) -> Option<(&'s Schema, &'t str)> {
    let split = |schema: &'s Schema| {
        let urn = text.get(..schema.id.len())?;
        let rest = text.get(schema.id.len()..)?.strip_prefix(':')?;
        urn.eq_ignore_ascii_case(schema.id).then_some((schema, rest))
    };
    definition.schemas().filter_map(split).max_by_key(|(schema, _)| schema.id.len())
}

fn is_notation(text: &str) -> bool {
    let names = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '.' | ':');
    text.chars().all(names) && text.split(['.', ':']).all(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{ENTERPRISE_USER_URN, ResourceType};

    fn check(text: &str, expect: &str) {
        assert_eq!(Path::parse(ResourceType::User, text).map(|path| path.to_string()), Ok(expect.to_owned()));
    }

    fn unknown(text: &str, expect: &str) {
        let error = Path::parse(ResourceType::User, text).unwrap_err();
        assert_eq!(error, PathError::Unknown { attribute: expect.to_owned(), position: 1 });
    }

    fn malformed(text: &str) {
        let error = Path::parse(ResourceType::User, text).unwrap_err();
        assert!(matches!(error, PathError::Malformed { .. } | PathError::Filter { .. }), "{text}: {error:?}");
    }

    #[test]
    fn names_resolve_without_case() {
        check("USERNAME", "userName");
        check("Name.GivenName", "name.givenName");
        check("emails[TYPE EQ \"work\"].Value", "emails[type eq \"work\"].value");
        check("externalid", "externalId");
    }

    #[test]
    fn urns_are_split_off_before_dots() {
        let manager = format!("{ENTERPRISE_USER_URN}:manager.$ref");
        check(&manager, &manager);
        check(&manager.to_uppercase(), &manager);
        check("urn:ietf:params:scim:schemas:core:2.0:User:name.givenName", "name.givenName");
    }

    #[test]
    fn an_unknown_name_is_told_apart_from_a_malformed_path() {
        unknown("favouriteColour", "favouriteColour");
        unknown("name.nick", "name.nick");
        unknown("urn:example:custom:2.0:User:shoeSize", "urn:example:custom:2.0:User:shoeSize");
        unknown("shoes[type eq \"left\"].size", "shoes");
        for text in [
            "",
            ".",
            "emails[",
            "emails[]",
            "emails[type eq]",
            "title b",
            "emails[type eq \"work\"]value",
            "name.",
            "[]",
        ] {
            malformed(text);
        }
    }

    #[test]
    fn a_path_that_is_too_long_is_malformed() {
        malformed(&"a".repeat(FILTER_LENGTH_MAX + 1));
    }
}

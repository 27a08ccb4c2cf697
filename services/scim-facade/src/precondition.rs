//! `If-Match` and `If-None-Match` (RFC 9110 section 13.1, RFC 7644 section 3.14). Versions are weak entity tags.

use http::{
    HeaderMap,
    header::{HeaderName, IF_MATCH, IF_NONE_MATCH},
};
use scim::Error;

use crate::error::Refusal;

/// How many entity tags of one header are read.
const TAGS_MAX: usize = 32;

/// The version of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version(pub(crate) i64);

impl Version {
    /// As `meta.version` and `ETag` have it.
    pub(crate) fn entity_tag(self) -> String {
        format!("W/\"{}\"", self.0)
    }

    /// A tag of ours, weak or strong: a client may have lost the mark.
    fn parse(tag: &str) -> Option<Self> {
        let opaque = tag.strip_prefix("W/").unwrap_or(tag);
        let text = opaque.strip_prefix('"')?.strip_suffix('"')?;
        // Tags are compared as texts: `+1` and `01` are none of ours.
        text.parse().ok().map(Self).filter(|version| version.0.to_string() == text)
    }
}

/// Which versions a client wants to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// Whichever there is.
    Any,
    /// One of these; a tag that is not ours matches no version.
    OneOf(Vec<Version>),
}

impl IfMatch {
    /// Reads the header; without it any version will do.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        match tags(headers, IF_MATCH) {
            Some(tags) if !tags.iter().any(|tag| tag == "*") => {
                Self::OneOf(tags.iter().filter_map(|tag| Version::parse(tag)).collect())
            }
            Some(_) | None => Self::Any,
        }
    }

    /// Refuses any version but those that the client wants to change.
    pub(crate) fn check(&self, version: Version) -> Result<(), Error> {
        match self {
            Self::OneOf(versions) if !versions.contains(&version) => {
                Err(Error::precondition_failed(format!("the resource has changed: its version is now {}", version.0)))
            }
            Self::OneOf(_) | Self::Any => Ok(()),
        }
    }
}

/// The version that a write has to name. Only a client that names several, or none of ours, makes us look at the one
/// that is stored.
pub(crate) async fn expected<S>(if_match: &IfMatch, stored: S) -> Result<Option<i64>, Refusal>
where
    S: Future<Output = Result<i64, Refusal>>,
{
    match if_match {
        IfMatch::Any => Ok(None),
        IfMatch::OneOf(versions) => match versions.as_slice() {
            [version] => Ok(Some(version.0)),
            _ => {
                let version = stored.await?;
                if_match.check(Version(version))?;
                Ok(Some(version))
            }
        },
    }
}

/// Whether the client has this version already.
pub(crate) fn is_known(headers: &HeaderMap, version: Version) -> bool {
    let known = |tags: Vec<String>| tags.iter().any(|tag| tag == "*" || Version::parse(tag) == Some(version));
    tags(headers, IF_NONE_MATCH).is_some_and(known)
}

fn tags(headers: &HeaderMap, name: HeaderName) -> Option<Vec<String>> {
    let values: Vec<&str> = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default()).collect();
    let tags = values.iter().flat_map(|value| value.split(',')).map(|tag| tag.trim().to_owned());
    (!values.is_empty()).then(|| tags.take(TAGS_MAX).collect())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn if_match(value: &'static str) -> IfMatch {
        IfMatch::from_headers(&HeaderMap::from_iter([(IF_MATCH, HeaderValue::from_static(value))]))
    }

    #[test]
    fn a_tag_is_read_weak_or_strong() {
        assert_eq!(if_match("W/\"3\""), IfMatch::OneOf(vec![Version(3)]));
        assert_eq!(if_match("\"3\", W/\"4\""), IfMatch::OneOf(vec![Version(3), Version(4)]));
        assert_eq!(Version::parse(&Version(7).entity_tag()), Some(Version(7)));
    }

    #[test]
    fn a_foreign_tag_matches_nothing() {
        for value in ["abc", "W/\"x\"", "3", "", "W/\"+3\"", "\"03\""] {
            assert!(if_match(value).check(Version(3)).is_err(), "{value}");
        }
    }

    #[test]
    fn a_star_or_no_header_matches_anything() {
        assert_eq!(if_match("*"), IfMatch::Any);
        assert!(IfMatch::from_headers(&HeaderMap::new()).check(Version(1)).is_ok());
    }

    #[test]
    fn a_known_version_is_recognised() {
        let headers = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static("\"2\", W/\"3\""))]);
        assert!(
            is_known(&headers, Version(3))
                && !is_known(&headers, Version(4))
                && !is_known(&HeaderMap::new(), Version(3))
        );
    }
}

//! Paths arrive with everything that [`names`] and [`filter`](crate::filter()) treat, and with a filter on an
//! attribute that has one value.
//!
//! Source: learn.microsoft.com/answers 5746233 (a filter on a single value); customize-application-attributes
//! (`roles[primary eq "True"].value`).

use scim::filter::Literal;
use scim::patch::OnMissing;
use scim::schema::Schema;
use scim::{Definition, Error, Filter, Path, PathError, ResourceType};
use serde_json::Value;

use crate::dropped::Reason;
use crate::{filter, names};

/// What a path stands for.
pub(crate) enum Resolved<'s> {
    /// All attributes of a schema.
    Schema(&'s Schema),
    /// A path that the engine knows.
    Path(Path<'s>),
    /// Nothing that this server keeps.
    Unknown {
        /// The name, without any value of a filter.
        attribute: String,
        reason: Reason,
    },
}

/// Resolves the path of an operation. A malformed path is refused; an unknown name is not.
pub(crate) fn resolve<'s>(definition: Definition<'s>, text: &str) -> Result<Resolved<'s>, Error> {
    let text = text.trim();
    if let Some(schema) = definition.schema_by_urn(text) {
        return Ok(Resolved::Schema(schema));
    }
    let text = names::with_colon(definition, text);
    let (name, brackets) = match text.split_once('[') {
        Some((name, _)) => (name, true),
        None => (text.as_ref(), false),
    };
    let path = match names::attribute(definition, name) {
        Some(attribute) if !brackets => Ok(Path::from(attribute)),
        // Without its filter, a path into a list would mean every value: that one is the engine's to refuse.
        Some(attribute)
            if !attribute.attribute.multi_valued && !attribute.leaf().is_complex() && text.ends_with(']') =>
        {
            Ok(Path::from(attribute))
        }
        Some(_) => Path::parse(definition, &filter::filter(&[definition], &text)),
        None => Path::parse(definition, &text),
    };
    match path {
        Ok(path) => Ok(Resolved::Path(path)),
        // A selector of members that selects by nothing known is no unknown attribute: dropped, it would leave in whom it was to take out.
        Err(PathError::Unknown { attribute, position })
            if brackets
                && definition.resource_type() == ResourceType::Group
                && names::attribute(definition, name).is_some() =>
        {
            Err(Error::invalid_filter(format!("the attribute {attribute} is not known (character {position})")))
        }
        Err(PathError::Unknown { attribute, .. }) => {
            let reason = names::reason(definition, &attribute);
            Ok(Resolved::Unknown { attribute, reason })
        }
        Err(error @ (PathError::Malformed { .. } | PathError::Filter { .. })) => Err(error.into()),
    }
}

/// Entra sets values of elements that are not there yet, by a filter that describes them.
///
/// A filter on the very value that is set describes an element of old: made anew for it, there would be one more each time that the request is
/// repeated.
///
/// Source: GitHub Captain-P-Goldfish/scim-for-keycloak#73, thomaspoignant/scim-patch#176, ssoready/ssoready#249.
pub(crate) fn on_missing(path: &Path<'_>, value: Option<&Value>) -> OnMissing {
    let Some(sub) = path.attribute.sub_attribute else { return OnMissing::Refuse };
    let Some(terms) = path.filter.as_ref().and_then(Filter::equality_terms) else { return OnMissing::Refuse };
    let is_as_described = |literal: &Literal| value.is_none_or(|value| *value == literal.to_json());
    let fits = terms.iter().all(|(attribute, literal)| *attribute != sub || is_as_described(literal));
    if fits { OnMissing::Create } else { OnMissing::Refuse }
}

//! What the dialect made of a body it leaves alone, and a resource that was accepted is accepted again, unchanged.

use scim::Resource;
use serde_json::Value;

use crate::{group, user};

/// The property.
pub fn check(input: &[u8]) {
    let Some(body) = crate::body(input) else { return };
    for definition in [user(), group()] {
        let strict = Resource::from_json(definition, body.clone());
        let normalised = scim_entra::resource(definition, body.clone());
        if let Ok((once, _)) = &normalised {
            let again = scim_entra::resource(definition, once.clone());
            assert_eq!(again, Ok((once.clone(), Vec::new())), "normalising twice is normalising once");
        }
        for resource in [strict, normalised.and_then(|(body, _)| Resource::from_json(definition, body))] {
            let Ok(resource) = resource else { continue };
            let again = Resource::from_json(definition, Value::Object(resource.as_object().clone()));
            assert_eq!(again, Ok(resource), "what was accepted is accepted again");
        }
    }
}

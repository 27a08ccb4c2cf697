//! `/Schemas`, `/ResourceTypes` and `/ServiceProviderConfig` (RFC 7644 section 4, RFC 7643 sections 5 to 7), made from
//! the definitions that the server works by.
//!
//! `externalId` is listed in each core schema, though it is a common attribute, because clients build their mappings
//! from what `/Schemas` lists.

use serde_json::{Map, Value, json};

use crate::bulk::{BULK_OPERATIONS_MAX, BULK_PAYLOAD_BYTES_MAX};
use crate::list::{COUNT_DEFAULT, COUNT_MAX, list_response};
use crate::schema::{Attribute, Definition, EXTERNAL_ID, Kind, Schema, Schemas};

const SCHEMA_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";
const RESOURCE_TYPE_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
const CONFIG_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";

/// The answer to `/Schemas`.
pub fn schemas(schemas: &Schemas, base_url: &str) -> Value {
    let all = schemas.definitions().into_iter().flat_map(Definition::schemas);
    listed(all.map(|schema| schema_json(base_url, schema)).collect())
}

/// The answer to `/Schemas/{urn}`.
pub fn schema(schemas: &Schemas, base_url: &str, urn: &str) -> Option<Value> {
    let found = schemas.definitions().into_iter().find_map(|definition| definition.schema_by_urn(urn));
    found.map(|schema| schema_json(base_url, schema))
}

/// The answer to `/ResourceTypes`.
pub fn resource_types(schemas: &Schemas, base_url: &str) -> Value {
    listed(schemas.definitions().map(|definition| resource_type_json(base_url, definition)).to_vec())
}

/// The answer to `/ResourceTypes/{name}`.
pub fn resource_type(schemas: &Schemas, base_url: &str, name: &str) -> Option<Value> {
    let mut definitions = schemas.definitions().into_iter();
    let found = definitions.find(|definition| definition.resource_type().name().eq_ignore_ascii_case(name));
    found.map(|definition| resource_type_json(base_url, definition))
}

/// The answer to `/ServiceProviderConfig`.
pub fn service_provider_config(base_url: &str) -> Value {
    json!({
        "schemas": [CONFIG_URN],
        "patch": {"supported": true},
        "bulk": {"supported": true, "maxOperations": BULK_OPERATIONS_MAX, "maxPayloadSize": BULK_PAYLOAD_BYTES_MAX},
        "filter": {"supported": true, "maxResults": COUNT_MAX},
        "changePassword": {"supported": false},
        "sort": {"supported": true},
        "etag": {"supported": true},
        // RFC 9865 section 4.
        "pagination": {
            "cursor": true,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": COUNT_DEFAULT,
            "maxPageSize": COUNT_MAX,
        },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "OAuth Bearer Token",
            "description": "An API key in the Authorization header, as a bearer token.",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": true,
        }],
        "meta": {"resourceType": "ServiceProviderConfig", "location": address(base_url, "ServiceProviderConfig")},
    })
}

fn listed(resources: Vec<Value>) -> Value {
    list_response(u64::try_from(resources.len()).unwrap_or(u64::MAX), 1, resources)
}

fn address(base_url: &str, path: &str) -> String {
    format!("{}/{path}", base_url.trim_end_matches('/'))
}

fn resource_type_json(base_url: &str, definition: Definition<'_>) -> Value {
    let resource_type = definition.resource_type();
    let extensions = definition.extensions().map(|schema| json!({"schema": schema.id, "required": false}));
    let mut body = json!({
        "schemas": [RESOURCE_TYPE_URN],
        "id": resource_type.name(),
        "name": resource_type.name(),
        "endpoint": resource_type.endpoint(),
        "description": resource_type.description(),
        "schema": definition.schema().id,
        "meta": {
            "resourceType": "ResourceType",
            "location": address(base_url, &format!("ResourceTypes/{}", resource_type.name())),
        },
    });
    let extensions: Vec<Value> = extensions.collect();
    if let (false, Some(body)) = (extensions.is_empty(), body.as_object_mut()) {
        body.insert("schemaExtensions".to_owned(), Value::Array(extensions));
    }
    body
}

fn schema_json(base_url: &str, schema: &Schema) -> Value {
    let is_core = Schemas::standard().definitions().iter().any(|definition| definition.schema().id == schema.id);
    let common = is_core.then(|| attribute_json(&EXTERNAL_ID));
    let attributes: Vec<Value> = common.into_iter().chain(schema.attributes.iter().map(attribute_json)).collect();
    json!({
        "schemas": [SCHEMA_URN],
        "id": schema.id,
        "name": schema.name,
        "description": schema.description,
        "attributes": attributes,
        "meta": {"resourceType": "Schema", "location": address(base_url, &format!("Schemas/{}", schema.id))},
    })
}

fn attribute_json(attribute: &Attribute) -> Value {
    let mut body = Map::new();
    let mut set = |name: &str, value: Value| body.insert(name.to_owned(), value);
    set("name", json!(attribute.name));
    set("type", json!(attribute.kind.as_str()));
    set("multiValued", json!(attribute.multi_valued));
    set("description", json!(attribute.description));
    set("required", json!(attribute.required));
    if !attribute.canonical_values.is_empty() {
        set("canonicalValues", json!(attribute.canonical_values));
    }
    set("mutability", json!(attribute.mutability.as_str()));
    set("returned", json!(attribute.returned.as_str()));
    match attribute.kind {
        Kind::Complex => {
            set("subAttributes", attribute.sub_attributes.iter().map(attribute_json).collect());
        }
        Kind::String | Kind::Reference | Kind::Binary => {
            set("caseExact", json!(attribute.case_exact));
            set("uniqueness", json!(attribute.uniqueness.as_str()));
        }
        Kind::Boolean | Kind::Decimal | Kind::Integer | Kind::DateTime => {
            set("uniqueness", json!(attribute.uniqueness.as_str()));
        }
    }
    if !attribute.reference_types.is_empty() {
        set("referenceTypes", json!(attribute.reference_types));
    }
    Value::Object(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{ENTERPRISE_USER_URN, USER_ATTRIBUTE_URN, USER_URN, UserAttribute, UserAttributeKind};

    const BASE: &str = "https://rollcall.example.com/api/scim/v2";

    /// With an attribute of each kind that a service provider may add.
    fn own() -> Schemas {
        let kinds = [
            ("badge", UserAttributeKind::String),
            ("shoeSize", UserAttributeKind::Number),
            ("onSite", UserAttributeKind::Boolean),
            ("skills", UserAttributeKind::StringList),
            ("scores", UserAttributeKind::NumberList),
        ];
        Schemas::new(kinds.map(|(name, kind)| UserAttribute {
            name: name.to_owned(),
            kind,
            description: format!("The {name}."),
        }))
    }

    fn no_nulls(value: &Value) -> bool {
        match value {
            Value::Null => false,
            Value::Array(elements) => elements.iter().all(no_nulls),
            Value::Object(members) => members.values().all(no_nulls),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        }
    }

    #[test]
    fn nothing_is_null() {
        assert!(
            no_nulls(&schemas(&own(), BASE))
                && no_nulls(&resource_types(&own(), BASE))
                && no_nulls(&service_provider_config(BASE))
        );
    }

    #[test]
    fn lists_hold_what_single_answers_hold() {
        let own = own();
        let list = schemas(&own, BASE);
        assert_eq!(list["totalResults"], 4);
        assert_eq!(Some(list["Resources"][0].clone()), schema(&own, BASE, &USER_URN.to_uppercase()));
        assert_eq!(Some(list["Resources"][1].clone()), schema(&own, BASE, ENTERPRISE_USER_URN));
        assert_eq!(Some(list["Resources"][2].clone()), schema(&own, BASE, USER_ATTRIBUTE_URN));
        assert_eq!(Some(resource_types(&own, BASE)["Resources"][1].clone()), resource_type(&own, BASE, "Group"));
        assert_eq!((schema(&own, BASE, "urn:x"), resource_type(&own, BASE, "Printer")), (None, None));
        assert_eq!(schemas(Schemas::standard(), BASE)["totalResults"], 3);
    }

    #[test]
    fn the_address_has_one_slash_whatever_the_service_has() {
        let config = service_provider_config(&format!("{BASE}/"));
        assert_eq!(config["meta"]["location"], format!("{BASE}/ServiceProviderConfig"));
    }

    #[test]
    fn discovery_answers_are_these() {
        insta::assert_json_snapshot!("service_provider_config", service_provider_config(BASE));
        insta::assert_json_snapshot!("resource_types", resource_types(&own(), BASE));
        insta::assert_json_snapshot!("schemas", schemas(&own(), BASE));
    }
}

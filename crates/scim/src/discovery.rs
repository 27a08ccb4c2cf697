//! `/Schemas`, `/ResourceTypes` and `/ServiceProviderConfig` (RFC 7644 section 4, RFC 7643 sections 5 to 7), made from
//! the definitions that the server works by.
//!
//! `externalId` is listed in each core schema, though it is a common attribute, because clients build their mappings
//! from what `/Schemas` lists.

use serde_json::{Map, Value, json};

use crate::list::{COUNT_DEFAULT, COUNT_MAX, list_response};
use crate::schema::{Attribute, EXTERNAL_ID, Kind, ResourceType, Schema};

const SCHEMA_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";
const RESOURCE_TYPE_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
const CONFIG_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";

/// The answer to `/Schemas`.
pub fn schemas(base_url: &str) -> Value {
    let all = ResourceType::ALL.into_iter().flat_map(ResourceType::schemas);
    listed(all.map(|schema| schema_json(base_url, schema)).collect())
}

/// The answer to `/Schemas/{urn}`.
pub fn schema(base_url: &str, urn: &str) -> Option<Value> {
    let found = ResourceType::ALL.into_iter().find_map(|resource_type| resource_type.schema_by_urn(urn));
    found.map(|schema| schema_json(base_url, schema))
}

/// The answer to `/ResourceTypes`.
pub fn resource_types(base_url: &str) -> Value {
    listed(ResourceType::ALL.map(|resource_type| resource_type_json(base_url, resource_type)).to_vec())
}

/// The answer to `/ResourceTypes/{name}`.
pub fn resource_type(base_url: &str, name: &str) -> Option<Value> {
    let found = ResourceType::ALL.into_iter().find(|resource_type| resource_type.name().eq_ignore_ascii_case(name));
    found.map(|resource_type| resource_type_json(base_url, resource_type))
}

/// The answer to `/ServiceProviderConfig`.
pub fn service_provider_config(base_url: &str) -> Value {
    json!({
        "schemas": [CONFIG_URN],
        "patch": {"supported": true},
        "bulk": {"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": true, "maxResults": COUNT_MAX},
        "changePassword": {"supported": false},
        "sort": {"supported": false},
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

fn resource_type_json(base_url: &str, resource_type: ResourceType) -> Value {
    let extensions = resource_type.extensions().iter().map(|schema| json!({"schema": schema.id, "required": false}));
    let mut body = json!({
        "schemas": [RESOURCE_TYPE_URN],
        "id": resource_type.name(),
        "name": resource_type.name(),
        "endpoint": resource_type.endpoint(),
        "description": resource_type.description(),
        "schema": resource_type.schema().id,
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
    let is_core = ResourceType::ALL.iter().any(|resource_type| resource_type.schema().id == schema.id);
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
    use crate::schema::{ENTERPRISE_USER_URN, USER_URN};

    const BASE: &str = "https://rollcall.example.com/api/scim/v2";

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
            no_nulls(&schemas(BASE)) && no_nulls(&resource_types(BASE)) && no_nulls(&service_provider_config(BASE))
        );
    }

    #[test]
    fn lists_hold_what_single_answers_hold() {
        let list = schemas(BASE);
        assert_eq!(list["totalResults"], 3);
        assert_eq!(Some(list["Resources"][0].clone()), schema(BASE, &USER_URN.to_uppercase()));
        assert_eq!(Some(list["Resources"][1].clone()), schema(BASE, ENTERPRISE_USER_URN));
        assert_eq!(Some(resource_types(BASE)["Resources"][1].clone()), resource_type(BASE, "Group"));
        assert_eq!((schema(BASE, "urn:x"), resource_type(BASE, "Printer")), (None, None));
    }

    #[test]
    fn the_address_has_one_slash_whatever_the_service_has() {
        let config = service_provider_config(&format!("{BASE}/"));
        assert_eq!(config["meta"]["location"], format!("{BASE}/ServiceProviderConfig"));
    }

    #[test]
    fn discovery_answers_are_these() {
        insta::assert_json_snapshot!("service_provider_config", service_provider_config(BASE));
        insta::assert_json_snapshot!("resource_types", resource_types(BASE));
        insta::assert_json_snapshot!("schemas", schemas(BASE));
    }
}

//! What a request is about, from its method and path.

use http::Method;
use proto::identity::v1::{ProvisionedType, ProvisioningOperation};

use scim::{ResourceType, bulk};

use super::recorder::{ID_MAX, type_of};
use crate::base::PATH;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) operation: ProvisioningOperation,
    pub(crate) resource_type: ProvisionedType,
    /// Empty where the path names none.
    pub(crate) id: String,
}

impl Target {
    /// Of an operation of a bulk request.
    pub(crate) fn of_operation(method: bulk::Method, resource_type: ResourceType, id: &str) -> Self {
        let operation = match method {
            bulk::Method::Post => ProvisioningOperation::Create,
            bulk::Method::Put => ProvisioningOperation::Replace,
            bulk::Method::Patch => ProvisioningOperation::Patch,
            bulk::Method::Delete => ProvisioningOperation::Delete,
        };
        Self { operation, resource_type: type_of(resource_type), id: id.chars().take(ID_MAX).collect() }
    }

    /// Of what cannot be read.
    pub(crate) const fn other() -> Self {
        let (operation, resource_type) = (ProvisioningOperation::Other, ProvisionedType::Unspecified);
        Self { operation, resource_type, id: String::new() }
    }

    /// Of a request; doubled slashes count as one, as they do for the routes.
    pub(super) fn of(method: &Method, path: &str) -> Self {
        let rest = path.strip_prefix(PATH).unwrap_or(path);
        let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
        let resource_type = |name: &str| match name {
            "Users" => ProvisionedType::User,
            "Groups" => ProvisionedType::Group,
            _ => ProvisionedType::Unspecified,
        };
        let target = |operation, name: &str, id: &str| Self {
            operation,
            resource_type: resource_type(name),
            id: id.chars().take(ID_MAX).collect(),
        };
        let is = |asked: &Method| method == asked || (asked == Method::GET && method == Method::HEAD);
        match *parts {
            [] if is(&Method::GET) => target(ProvisioningOperation::List, "", ""),
            [".search"] if is(&Method::POST) => target(ProvisioningOperation::List, "", ""),
            ["Bulk"] if is(&Method::POST) => target(ProvisioningOperation::Bulk, "", ""),
            ["ServiceProviderConfig" | "ResourceTypes" | "Schemas", ..] if is(&Method::GET) => {
                target(ProvisioningOperation::Discover, "", "")
            }
            [name @ ("Users" | "Groups")] if is(&Method::GET) => target(ProvisioningOperation::List, name, ""),
            [name @ ("Users" | "Groups"), ".search"] if is(&Method::POST) => {
                target(ProvisioningOperation::List, name, "")
            }
            [name @ ("Users" | "Groups")] if is(&Method::POST) => target(ProvisioningOperation::Create, name, ""),
            [name @ ("Users" | "Groups"), id] => target(of_resource(method), name, id),
            [name, ..] => target(ProvisioningOperation::Other, name, ""),
            [] => target(ProvisioningOperation::Other, "", ""),
        }
    }
}

fn of_resource(method: &Method) -> ProvisioningOperation {
    match *method {
        Method::GET | Method::HEAD => ProvisioningOperation::Get,
        Method::PUT => ProvisioningOperation::Replace,
        Method::PATCH => ProvisioningOperation::Patch,
        Method::DELETE => ProvisioningOperation::Delete,
        _ => ProvisioningOperation::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_what_is_asked_about() {
        let check = |method: Method, path: &str| {
            let Target { operation, resource_type, id } = Target::of(&method, &format!("{PATH}{path}"));
            let name = operation.as_str_name().trim_start_matches("PROVISIONING_OPERATION_");
            format!("{name} {} {id}", resource_type.as_str_name().trim_start_matches("PROVISIONED_TYPE_"))
        };
        let long = "x".repeat(100);
        for (method, path, expected) in [
            (Method::GET, "/Users", "LIST USER "),
            (Method::GET, "//Users/", "LIST USER "),
            (Method::HEAD, "/Groups/", "LIST GROUP "),
            (Method::POST, "/Users/.search", "LIST USER "),
            (Method::POST, "/.search", "LIST UNSPECIFIED "),
            (Method::GET, "/", "LIST UNSPECIFIED "),
            (Method::POST, "/Users", "CREATE USER "),
            (Method::GET, "/Users/7", "GET USER 7"),
            (Method::PUT, "/Groups/7/", "REPLACE GROUP 7"),
            (Method::PATCH, "/Users//7", "PATCH USER 7"),
            (Method::DELETE, "/Users/7", "DELETE USER 7"),
            (Method::POST, "/Users/7", "OTHER USER 7"),
            (Method::DELETE, "/Users", "OTHER USER "),
            (Method::GET, "/Users/7/8", "OTHER USER "),
            (Method::POST, "/Bulk", "BULK UNSPECIFIED "),
            (Method::GET, "/Schemas/urn:x", "DISCOVER UNSPECIFIED "),
            (Method::GET, "/Me", "OTHER UNSPECIFIED "),
        ] {
            assert_eq!(check(method, path), expected, "{path}");
        }
        assert_eq!(check(Method::GET, &format!("/Users/{long}")), format!("GET USER {}", &long[..64]));
    }
}

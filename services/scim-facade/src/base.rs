//! The address under which a client reaches the service: what `meta.location` begins with.

use axum::extract::FromRequestParts;
use bootstrap::forwarded::Origin;
use http::request::Parts;
use scim::ResourceType;
use std::{convert::Infallible, sync::Arc};

use crate::Facade;

/// Where every route stands.
pub(crate) const PATH: &str = "/api/scim/v2";

/// The tenant URL, without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Base(Arc<str>);

impl Base {
    /// From a public address: the origin alone, or the whole tenant URL.
    pub(crate) fn new(public_url: &str) -> Self {
        let url = public_url.trim_end_matches('/');
        let origin = url.strip_suffix(PATH).unwrap_or(url);
        Self(format!("{origin}{PATH}").into())
    }

    /// From what the client asked for, as far as it is known. Without a usable host the address is relative to the
    /// request's own.
    fn asked(Origin { scheme, host, prefix, .. }: &Origin) -> Self {
        match host {
            Some(host) => Self(format!("{scheme}://{host}{prefix}{PATH}").into()),
            None => Self(format!("{prefix}{PATH}").into()),
        }
    }

    /// The address as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The address of one resource. Ids come from identity and need no escaping.
    pub(crate) fn resource(&self, resource_type: ResourceType, id: &str) -> String {
        format!("{}{}/{id}", self.0, resource_type.endpoint())
    }
}

impl FromRequestParts<Facade> for Base {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, facade: &Facade) -> Result<Self, Infallible> {
        Ok(facade.base().cloned().unwrap_or_else(|| Self::asked(&Origin::of(parts, facade.trusted_proxies()))))
    }
}

#[cfg(test)]
mod tests {
    use http::uri::Scheme;

    use super::*;

    fn asked(host: Option<&str>, prefix: &str) -> String {
        let (host, prefix) = (host.map(str::to_owned), prefix.to_owned());
        Base::asked(&Origin { client: None, scheme: Scheme::HTTPS, host, prefix }).as_str().to_owned()
    }

    #[test]
    fn a_public_address_is_an_origin_or_the_tenant_url() {
        for url in [
            "https://h.example",
            "https://h.example/",
            "https://h.example/api/scim/v2",
            "https://h.example/api/scim/v2/",
        ] {
            assert_eq!(Base::new(url).as_str(), "https://h.example/api/scim/v2", "{url}");
        }
        assert_eq!(Base::new("https://h.example/idp").as_str(), "https://h.example/idp/api/scim/v2");
    }

    #[test]
    fn without_one_the_address_is_what_the_client_asked_for() {
        assert_eq!(asked(Some("h.example:8443"), ""), "https://h.example:8443/api/scim/v2");
        assert_eq!(asked(Some("h.example"), "/idp"), "https://h.example/idp/api/scim/v2");
    }

    #[test]
    fn without_a_host_the_address_is_relative() {
        assert_eq!(asked(None, ""), "/api/scim/v2");
        assert_eq!(asked(None, "/idp"), "/idp/api/scim/v2");
    }

    #[test]
    fn a_resource_has_an_address() {
        let base = Base::new("https://h");
        assert_eq!(base.resource(ResourceType::Group, "g1"), "https://h/api/scim/v2/Groups/g1");
    }
}

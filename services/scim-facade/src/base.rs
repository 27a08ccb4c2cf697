//! The address under which a client reaches the service: what `meta.location` begins with.

use axum::extract::FromRequestParts;
use http::{HeaderMap, Uri, header::HOST, request::Parts, uri::Authority};
use scim::ResourceType;
use std::{convert::Infallible, sync::Arc};

use crate::Facade;

/// Where every route stands.
pub(crate) const PATH: &str = "/api/scim/v2";
/// The longest name of a host with its port.
const HOST_LENGTH_MAX: usize = 261;

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

    /// From the host that the client asked for. Headers that a proxy may add are not read: nobody says yet which
    /// proxy is trusted. Without a usable host the address is relative to the request's own.
    fn asked(uri: &Uri, headers: &HeaderMap) -> Self {
        let header = || headers.get(HOST)?.to_str().ok();
        match uri.authority().map(Authority::as_str).or_else(header).filter(|host| is_host(host)) {
            Some(host) => Self::new(&format!("http://{host}")),
            None => Self::new(""),
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

/// A name or address with an optional port, and nothing that could end the authority of a URL.
fn is_host(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    if text.len() > HOST_LENGTH_MAX || !text.bytes().all(plain) {
        return false;
    }
    let Ok(authority) = text.parse::<Authority>() else { return false };
    match authority.port_u16() {
        Some(port) => text == format!("{}:{port}", authority.host()),
        None => text == authority.host(),
    }
}

impl FromRequestParts<Facade> for Base {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, facade: &Facade) -> Result<Self, Infallible> {
        Ok(facade.base().cloned().unwrap_or_else(|| Self::asked(&parts.uri, &parts.headers)))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn asked(host: &'static str) -> String {
        let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
        Base::asked(&Uri::from_static("/api/scim/v2/Users"), &headers).as_str().to_owned()
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
    fn without_one_the_clients_host_is_taken() {
        assert_eq!(asked("h.example:8080"), "http://h.example:8080/api/scim/v2");
        assert_eq!(asked("[::1]:8080"), "http://[::1]:8080/api/scim/v2");
        let uri = Uri::from_static("http://two.example/api/scim/v2/Users");
        assert_eq!(Base::asked(&uri, &HeaderMap::new()).as_str(), "http://two.example/api/scim/v2");
    }

    #[test]
    fn a_host_that_is_none_is_left_away() {
        for host in ["", "evil.example/x", "a@b", "a b", "a\"b", "a<b>", "h:port"] {
            assert_eq!(asked(host), "/api/scim/v2", "{host}");
        }
    }

    #[test]
    fn a_resource_has_an_address() {
        let base = Base::new("https://h");
        assert_eq!(base.resource(ResourceType::Group, "g1"), "https://h/api/scim/v2/Groups/g1");
    }
}

//! The address that Entra uses, and how it is known.

use std::{net::SocketAddr, str::FromStr};

use bootstrap::forwarded::{Network, TrustedProxies};
use http::{Uri, uri::Scheme};

/// Where the façade's routes stand.
const PATH: &str = "/api/scim/v2";

/// How the address is known that answers name.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct PublicAddress {
    /// The address that Entra uses, where it is not the one that is listened on, for example https://scim.example.com.
    /// Without it answers name what the request names
    #[arg(long, env = "ROLLCALL_PUBLIC_URL", value_name = "URL")]
    pub(crate) public_url: Option<PublicUrl>,
    #[command(flatten)]
    pub(crate) proxies: Proxies,
}

/// Who is believed when he says where a request came from.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Proxies {
    /// The network of a reverse proxy, for example 10.0.0.0/8, whose Forwarded or X-Forwarded-* headers are believed: it
    /// must set or drop each of them. May be given several times, or as a list with commas
    #[arg(long = "trusted-proxy", env = "ROLLCALL_TRUSTED_PROXIES", value_delimiter = ',', value_name = "CIDR")]
    trusted_proxies: Vec<Network>,
}

impl Proxies {
    /// The same for a listener.
    pub(crate) fn trusted(&self) -> TrustedProxies {
        TrustedProxies::from(self.trusted_proxies.clone())
    }
}

impl PublicAddress {
    /// The same for the façade.
    pub(crate) fn facade_config(&self) -> scim_facade::Config {
        scim_facade::Config {
            public_url: self.public_url.as_ref().map(|url| url.as_str().to_owned()),
            trusted_proxies: self.proxies.trusted(),
        }
    }
}

/// An `http` or `https` URL: the origin, with a prefix if a proxy adds one, or the whole tenant URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicUrl(String);

/// A text that is no such URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a public URL: write it with its scheme and host and without a query, for example https://scim.example.com"
)]
pub(crate) struct InvalidPublicUrl;

impl PublicUrl {
    /// The URL of a listener, as this machine reaches it.
    pub(crate) fn of_listener(scheme: &Scheme, address: SocketAddr) -> Self {
        Self(format!("{scheme}://{}", reachable(address)))
    }

    /// The URL without the path of the routes.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// What is pasted into Entra.
    pub(crate) fn tenant_url(&self) -> String {
        format!("{}{PATH}", self.0)
    }

    /// Whether Entra accepts it: only https.
    pub(crate) fn is_https(&self) -> bool {
        self.0.starts_with("https:")
    }
}

impl FromStr for PublicUrl {
    type Err = InvalidPublicUrl;

    fn from_str(text: &str) -> Result<Self, InvalidPublicUrl> {
        let uri = text.parse::<Uri>().map_err(|_| InvalidPublicUrl)?;
        let known = uri.scheme().is_some_and(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS);
        let plain =
            uri.host().is_some_and(|host| !host.is_empty()) && uri.query().is_none() && !text.contains(['@', '#']);
        if !known || !plain {
            return Err(InvalidPublicUrl);
        }
        let origin = text.trim_end_matches('/');
        Ok(Self(origin.strip_suffix(PATH).unwrap_or(origin).to_owned()))
    }
}

/// An address that a client on this machine can connect to: "every address" is none.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let loopback = match address {
        SocketAddr::V4(_) => SocketAddr::from(([127, 0, 0, 1], address.port())),
        SocketAddr::V6(_) => SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], address.port())),
    };
    if address.ip().is_unspecified() { loopback } else { address }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tenant_url_follows_from_the_origin_or_is_given() {
        for text in ["https://h.example", "https://h.example/", "https://h.example/api/scim/v2/"] {
            assert_eq!(text.parse::<PublicUrl>().unwrap().tenant_url(), "https://h.example/api/scim/v2", "{text}");
        }
        assert_eq!("https://h/idp".parse::<PublicUrl>().unwrap().tenant_url(), "https://h/idp/api/scim/v2");
    }

    #[test]
    fn what_no_browser_would_take_is_refused() {
        for text in ["", "h.example", "ftp://h", "https://", "https://h?a=b", "https://a@h", "https://h#a", "/api"] {
            assert_eq!(text.parse::<PublicUrl>(), Err(InvalidPublicUrl), "{text}");
        }
    }

    #[test]
    fn every_address_is_reached_by_loopback() {
        let url = |address: &str| PublicUrl::of_listener(&Scheme::HTTP, address.parse().unwrap()).tenant_url();
        assert_eq!(url("0.0.0.0:8080"), "http://127.0.0.1:8080/api/scim/v2");
        assert_eq!(url("[::]:8080"), "http://[::1]:8080/api/scim/v2");
        assert_eq!(url("10.0.0.1:80"), "http://10.0.0.1:80/api/scim/v2");
    }
}

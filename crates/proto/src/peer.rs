//! Who is at the other end of a channel, as the server's side knows it.

use std::{fmt, net::IpAddr, str::FromStr};

/// What a listener knows of a caller: an extension of each request. A request without one came from nobody that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// The caller's address, where trusted proxies tell it or none stands in between; none within one process.
    pub address: Option<IpAddr>,
    /// Which of Rollcall's services it is, by its certificate or because it runs in the same process.
    pub service: Option<Service>,
}

/// One of Rollcall's services. In a certificate its name is the URI `spiffe://rollcall/NAME`
/// ([SPIFFE ID](https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// `api-keys`.
    ApiKeys,
    /// `identity`.
    Identity,
    /// `scim`: the SCIM façade.
    Scim,
    /// `console`.
    Console,
}

/// A text that names no service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such service: api-keys, identity, scim and console are")]
pub struct UnknownService;

impl Service {
    /// Every service.
    pub const ALL: [Self; 4] = [Self::ApiKeys, Self::Identity, Self::Scim, Self::Console];

    /// The name, as it stands in `rollcall serve NAME`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApiKeys => "api-keys",
            Self::Identity => "identity",
            Self::Scim => "scim",
            Self::Console => "console",
        }
    }

    /// The URI that stands for the service in a certificate's subject alternative names.
    #[must_use]
    pub fn spiffe_id(self) -> String {
        format!("spiffe://rollcall/{self}")
    }

    /// The service whose [`Service::spiffe_id`] `uri` is.
    #[must_use]
    pub fn from_spiffe_id(uri: &str) -> Option<Self> {
        uri.strip_prefix("spiffe://rollcall/")?.parse().ok()
    }
}

impl FromStr for Service {
    type Err = UnknownService;

    fn from_str(text: &str) -> Result<Self, UnknownService> {
        Self::ALL.into_iter().find(|service| service.as_str() == text).ok_or(UnknownService)
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_known_by_its_spiffe_id_and_by_nothing_near_it() {
        for service in Service::ALL {
            assert_eq!(Service::from_spiffe_id(&service.spiffe_id()), Some(service));
        }
        for uri in [
            "",
            "spiffe://rollcall/",
            "spiffe://rollcall/scim/",
            "spiffe://other/scim",
            "SPIFFE://rollcall/scim",
            "spiffe://rollcall/scim?x",
        ] {
            assert_eq!(Service::from_spiffe_id(uri), None, "{uri}");
        }
    }
}

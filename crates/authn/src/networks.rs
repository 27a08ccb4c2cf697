//! Where a credential may be used from.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::{IpNet, Ipv4Net};

/// How many networks one credential may name.
pub const NETWORKS_MAX: usize = 32;

/// How much longer the prefix of an IPv4 network is when it is written as an IPv4-mapped IPv6 network.
const MAPPED_BITS: u8 = 96;

/// The networks that a credential may be used from; none means that it may from everywhere. As text: separated by spaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

/// A list of what are not all networks, or too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write at most {NETWORKS_MAX} networks in CIDR form or addresses, for example 20.190.128.0/18 or 2001:db8::1")]
pub struct InvalidNetworks;

impl Networks {
    /// Reads each text as a network or an address.
    ///
    /// # Errors
    /// When one of them is neither, or there are more than [`NETWORKS_MAX`].
    pub fn parse<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, InvalidNetworks> {
        let mut networks = Vec::new();
        for text in texts {
            if networks.len() == NETWORKS_MAX {
                return Err(InvalidNetworks);
            }
            networks.push(network(text.as_ref())?);
        }
        Ok(Self(networks))
    }

    /// Whether a credential with this list may be used from `address`. From an address that is not known only one without a list may.
    #[must_use]
    pub fn allow(&self, address: Option<IpAddr>) -> bool {
        // A listener on IPv6 sees an IPv4 peer as ::ffff:a.b.c.d: that is the same peer.
        let within = |address: IpAddr| self.0.iter().any(|network| network.contains(&address.to_canonical()));
        self.0.is_empty() || address.is_some_and(within)
    }

    /// Each network in CIDR form.
    pub fn iter(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(ToString::to_string)
    }
}

impl FromStr for Networks {
    type Err = InvalidNetworks;

    fn from_str(text: &str) -> Result<Self, InvalidNetworks> {
        Self::parse(text.split_ascii_whitespace())
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, network) in self.0.iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(f, "{space}{network}")?;
        }
        Ok(())
    }
}

fn network(text: &str) -> Result<IpNet, InvalidNetworks> {
    let text = text.trim();
    let network: IpNet =
        text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| InvalidNetworks)?;
    Ok(unmapped(network.trunc()))
}

/// An IPv4-mapped network as the IPv4 network that it means: addresses are compared in their own form.
fn unmapped(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else { return network };
    let inner = mapped.addr().to_ipv4_mapped().zip(mapped.prefix_len().checked_sub(MAPPED_BITS));
    match inner.map(|(address, length)| Ipv4Net::new(address, length)) {
        Some(Ok(inner)) => IpNet::V4(inner),
        Some(Err(_)) | None => network,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allow(networks: &str, address: &str) -> bool {
        networks.parse::<Networks>().unwrap().allow(Some(address.parse().unwrap()))
    }

    #[test]
    fn r07_a_list_allows_its_addresses_in_every_form_and_no_others() {
        for (networks, address, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("192.0.2.7 2001:db8::/32", "2001:db8::9", true),
            ("192.0.2.7 2001:db8::/32", "192.0.2.7", true),
            ("192.0.2.7 2001:db8::/32", "192.0.2.8", false),
            ("0.0.0.0/0", "2001:db8::9", false),
        ] {
            assert_eq!(allow(networks, address), expected, "{networks} {address}");
        }
    }

    #[test]
    fn without_a_list_every_address_is_allowed_and_with_one_an_unknown_address_is_not() {
        assert!(Networks::default().allow(None));
        assert!(!"0.0.0.0/0 ::/0".parse::<Networks>().unwrap().allow(None));
    }

    #[test]
    fn a_list_prints_as_networks_and_is_read_again() {
        let networks: Networks = "10.1.2.3/8 192.0.2.7 ::ffff:10.0.0.0/104".parse().unwrap();
        assert_eq!(networks.to_string(), "10.0.0.0/8 192.0.2.7/32 10.0.0.0/8");
        assert_eq!(networks.to_string().parse(), Ok(networks));
    }

    #[test]
    fn what_is_no_network_and_what_is_one_too_many_are_refused() {
        for text in ["x", "10.0.0.0/33", "10.0.0", "example.org", "10.0.0.0/8,11.0.0.0/8"] {
            assert_eq!(text.parse::<Networks>(), Err(InvalidNetworks), "{text}");
        }
        assert!(Networks::parse(vec!["10.0.0.1"; NETWORKS_MAX]).is_ok());
        assert!(Networks::parse(vec!["10.0.0.1"; NETWORKS_MAX + 1]).is_err());
    }
}

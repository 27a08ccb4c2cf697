//! Which addresses are public, by the registries of special-purpose addresses (RFC 6890) for IPv4 and IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// What of IPv4 is not the public network.
const V4_REFUSED: &[Ipv4Net] = &[
    // "This network", and with it the unspecified address.
    v4([0, 0, 0, 0], 8),
    // Private.
    v4([10, 0, 0, 0], 8),
    // Shared behind a carrier's translation.
    v4([100, 64, 0, 0], 10),
    // Loopback.
    v4([127, 0, 0, 0], 8),
    // Azure's host of each virtual machine, which answers there and nowhere else although the address is a public one.
    v4([168, 63, 129, 16], 32),
    // Link-local, and in it the metadata services of clouds.
    v4([169, 254, 0, 0], 16),
    // Private.
    v4([172, 16, 0, 0], 12),
    // Protocol assignments, and in them another cloud's metadata service.
    v4([192, 0, 0, 0], 24),
    // Documentation.
    v4([192, 0, 2, 0], 24),
    // Relays of 6to4, withdrawn.
    v4([192, 88, 99, 0], 24),
    // Private.
    v4([192, 168, 0, 0], 16),
    // Benchmarking.
    v4([198, 18, 0, 0], 15),
    // Documentation.
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    // Multicast.
    v4([224, 0, 0, 0], 4),
    // Reserved, and the broadcast address.
    v4([240, 0, 0, 0], 4),
];

/// What of IPv6 is public at all. The unspecified address, loopback, what holds an IPv4 address in an old way, link-local, unique-local and
/// multicast addresses all lie outside.
const V6_GLOBAL: Ipv6Net = v6([0x2000, 0, 0, 0], 3);

/// What of that is not.
const V6_REFUSED: &[Ipv6Net] = &[
    // Protocol assignments: Teredo, whose addresses hold an IPv4 address, benchmarking, ORCHID.
    v6([0x2001, 0, 0, 0], 23),
    // Documentation.
    v6([0x2001, 0xdb8, 0, 0], 32),
    // 6to4, whose addresses hold an IPv4 address.
    v6([0x2002, 0, 0, 0], 16),
    // Documentation.
    v6([0x3fff, 0, 0, 0], 20),
];

/// The prefix by which a network that speaks IPv6 alone translates to IPv4 (RFC 6052): such a network reaches public hosts by it.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0], 96);

/// Whether `address` may be connected to.
pub(crate) fn is_callable(address: IpAddr, allowed: &[IpNet]) -> bool {
    let meant = meant(address);
    is_public(meant) || allowed.iter().any(|network| network.contains(&address) || network.contains(&meant))
}

/// The address that packets to `address` reach in the end.
fn meant(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if NAT64.contains(&address) => {
            let [.., a, b, c, d] = address.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        address => address,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !V4_REFUSED.iter().any(|network| network.contains(&address)),
        IpAddr::V6(address) => {
            V6_GLOBAL.contains(&address) && !V6_REFUSED.iter().any(|network| network.contains(&address))
        }
    }
}

const fn v4([a, b, c, d]: [u8; 4], prefix_length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix_length)
}

const fn v6([a, b, c, d]: [u16; 4], prefix_length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), prefix_length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn callable(address: &str, allowed: &[&str]) -> bool {
        let allowed: Vec<IpNet> = allowed.iter().map(|network| network.parse().unwrap()).collect();
        is_callable(address.parse().unwrap(), &allowed)
    }

    #[test]
    fn r11_what_is_not_public_is_refused() {
        for address in [
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "168.63.129.16",
            "169.254.0.0",
            "169.254.169.254",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.0",
            "192.168.255.255",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            // What holds an IPv4 address: mapped, compatible, translated here or by a network of one's own, 6to4, Teredo.
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "::8.8.8.8",
            "64:ff9b::10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::808:808",
            "2002:7f00:1::1",
            "2002:808:808::1",
            "2001:0:808:808::1",
            "100::1",
            "2001:2::1",
            "2001:20::1",
            "2001:1ff:ffff::1",
            "2001:db8::1",
            "3fff:fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!callable(address, &[]), "{address}");
        }
    }

    #[test]
    fn r11_what_is_public_is_called() {
        for address in [
            "1.0.0.0",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "20.190.128.1",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2000::1",
            "2001:200::1",
            "2003::1",
            "2603:1006:2000::1",
            "3ffe:ffff::1",
        ] {
            assert!(callable(address, &[]), "{address}");
        }
    }

    #[test]
    fn r11_the_operator_can_list_a_network() {
        for (address, allowed) in [
            ("127.0.0.1", "127.0.0.0/8"),
            ("::ffff:127.0.0.1", "127.0.0.0/8"),
            ("64:ff9b::10.1.2.3", "10.1.0.0/16"),
            ("64:ff9b::10.1.2.3", "64:ff9b::/96"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("fd00::1", "fd00::/8"),
            ("2002:7f00:1::1", "2002::/16"),
        ] {
            assert!(!callable(address, &["192.0.2.0/24", "fe80::/10"]), "{address}");
            assert!(callable(address, &["192.0.2.0/24", allowed]), "{address}");
        }
        assert!(!callable("10.2.0.0", &["10.1.0.0/16"]));
        assert!(!callable("::1", &["127.0.0.0/8"]));
    }
}

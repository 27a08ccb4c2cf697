use http::{HeaderName, HeaderValue, Request};

use super::*;

/// The nearest proxy.
const PROXY: &str = "10.0.0.1";
/// A client, or whatever else is no proxy.
const STRANGER: &str = "192.0.2.9";

fn origin(peer: &str, headers: &[(&str, &str)]) -> Origin {
    let mut request = Request::builder().uri("/Users");
    for (name, value) in headers {
        let name: HeaderName = name.parse().unwrap();
        request = request.header(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let (mut parts, ()) = request.body(()).unwrap().into_parts();
    parts.extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 4711)));
    let trusted = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap());
    Origin::of(&parts, &TrustedProxies::from(trusted.to_vec()))
}

/// The address that follows from headers of the nearest proxy.
fn address(headers: &[(&str, &str)]) -> String {
    let with_host: Vec<_> = [("host", "inside:8080")].iter().chain(headers).copied().collect();
    let Origin { scheme, host, prefix, .. } = origin(PROXY, &with_host);
    format!("{scheme}://{}{prefix}", host.unwrap_or_default())
}

/// The client that follows from headers of the nearest proxy.
fn client(headers: &[(&str, &str)]) -> String {
    origin(PROXY, headers).client.map_or_else(|| "hidden".to_owned(), |client| client.to_string())
}

#[test]
fn what_a_trusted_proxy_says_is_the_address() {
    for (headers, expect) in [
        (&[][..], "http://inside:8080"),
        (&[("forwarded", "for=192.0.2.1;host=h.example;proto=https")], "https://h.example"),
        (&[("forwarded", "for=192.0.2.1;host=\"h.example:8443\";proto=HTTPS")], "https://h.example:8443"),
        (&[("forwarded", "for=192.0.2.1;proto=https")], "https://inside:8080"),
        (&[("x-forwarded-proto", "https")], "https://inside:8080"),
        (&[("x-forwarded-proto", "https"), ("x-forwarded-host", "h.example")], "https://h.example"),
        (&[("x-forwarded-host", "[2001:db8::1]"), ("x-forwarded-port", "8443")], "http://[2001:db8::1]:8443"),
        (&[("x-forwarded-host", "h"), ("x-forwarded-port", "8443")], "http://h:8443"),
        (&[("x-forwarded-prefix", "/idp/")], "http://inside:8080/idp"),
        (&[("x-forwarded-prefix", "/a/b-c.d")], "http://inside:8080/a/b-c.d"),
        (&[("x-forwarded-prefix", "/")], "http://inside:8080"),
    ] {
        assert_eq!(address(headers), expect, "{headers:?}");
    }
}

#[test]
fn a_port_is_added_only_where_it_is_the_clients() {
    for (host, port, expect) in [
        ("h:9443", "8443", "http://h:9443"),
        ("h", "80", "http://h"),
        ("h", "443", "http://h"),
        ("h", "0", "http://h"),
        ("h", "65536", "http://h"),
        ("h", "-1", "http://h"),
        ("h", "x", "http://h"),
    ] {
        assert_eq!(address(&[("x-forwarded-host", host), ("x-forwarded-port", port)]), expect, "{host} {port}");
    }
}

#[test]
fn nobody_else_is_heeded() {
    let spoofed = [
        ("host", "h.example"),
        ("forwarded", "for=10.0.0.7;host=evil.example;proto=https"),
        ("x-forwarded-for", "10.0.0.7"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "8443"),
        ("x-forwarded-prefix", "/evil"),
    ];
    let expect = |client: &str| Origin {
        client: Some(client.parse().unwrap()),
        scheme: Scheme::HTTP,
        host: Some("h.example".to_owned()),
        prefix: String::new(),
    };
    for peer in [STRANGER, "::ffff:192.0.2.9"] {
        assert_eq!(origin(peer, &spoofed), expect(STRANGER), "{peer}");
    }
    assert_eq!(origin("2001:db8::1", &spoofed), expect("2001:db8::1"));
}

#[test]
fn a_mapped_peer_is_the_ipv4_proxy() {
    for peer in ["::ffff:10.0.0.1", "fd00::1"] {
        let origin = origin(peer, &[("x-forwarded-for", STRANGER), ("x-forwarded-proto", "https")]);
        assert_eq!((origin.client, origin.scheme), (Some(STRANGER.parse().unwrap()), Scheme::HTTPS), "{peer}");
    }
}

#[test]
fn the_client_is_the_first_from_the_right_who_is_no_proxy() {
    for (addresses, expect) in [
        (&["192.0.2.1"][..], "192.0.2.1"),
        (&["1.1.1.1, 192.0.2.1"], "192.0.2.1"),
        (&["1.1.1.1, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
        (&["1.1.1.1,192.0.2.1", "10.0.0.2"], "192.0.2.1"),
        (&["1.1.1.1", "192.0.2.1 ,10.0.0.2", "10.0.0.3"], "192.0.2.1"),
        (&["10.0.0.7, 192.0.2.1"], "192.0.2.1"),
        // A proxy that asks by itself.
        (&["10.0.0.2"], "10.0.0.2"),
        (&[], PROXY),
        (&["192.0.2.1:4711"], "192.0.2.1"),
        (&["[2001:db8::1]:4711"], "2001:db8::1"),
        (&["2001:db8::1"], "2001:db8::1"),
        (&["::ffff:192.0.2.1"], "192.0.2.1"),
        (&["192.0.2.1, unknown"], "hidden"),
        (&["192.0.2.1, "], "hidden"),
        (&["\u{e4}"], "hidden"),
    ] {
        let headers: Vec<_> = addresses.iter().map(|addresses| ("x-forwarded-for", *addresses)).collect();
        assert_eq!(client(&headers), expect, "{addresses:?}");
    }
    for (forwarded, expect) in [
        ("for=1.1.1.1, for=192.0.2.1, for=10.0.0.2", "192.0.2.1"),
        ("for=1.1.1.1, for=\"[2001:db8::1]\", for=\"[fd00::1]:80\"", "2001:db8::1"),
        ("for=1.1.1.1, for=_hidden, for=10.0.0.2", "hidden"),
        ("for=1.1.1.1, proto=https", "hidden"),
        ("for=1.1.1.1, for=\"192.0.2.1", "hidden"),
        ("", PROXY),
    ] {
        assert_eq!(client(&[("forwarded", forwarded)]), expect, "{forwarded}");
    }
}

#[test]
fn the_outermost_trusted_proxy_names_the_host() {
    for (forwarded, expect) in [
        (
            "for=1.1.1.1;host=evil.example;proto=http, for=192.0.2.1;host=h.example;proto=https, for=10.0.0.2;host=inside",
            "https://h.example",
        ),
        // What it does not say, the next may know.
        ("for=192.0.2.1;proto=https, for=10.0.0.2;host=h.example;proto=http", "https://h.example"),
        ("for=192.0.2.1;host=\"a/b\";proto=ftp, for=10.0.0.2;host=h.example;proto=https", "https://h.example"),
        // What a client sends along counts for nothing.
        ("host=evil.example;proto=http, for=192.0.2.1;proto=https", "https://inside:8080"),
        ("for=10.0.0.2;host=evil.example, for=192.0.2.1", "http://inside:8080"),
    ] {
        assert_eq!(address(&[("forwarded", forwarded)]), expect, "{forwarded}");
    }
}

#[test]
fn the_last_value_of_the_other_headers_counts() {
    let lists = [
        ("x-forwarded-host", "evil.example, h.example"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-proto", "https"),
    ];
    assert_eq!(address(&lists), "https://h.example");
    // As many as there are proxies, and still the client's: the proxies left the header alone before the last.
    let shifted =
        [("x-forwarded-for", "1.1.1.1, 192.0.2.1, 10.0.0.2"), ("x-forwarded-host", "a, evil.example, h.example")];
    assert_eq!(address(&shifted), "http://h.example");
}

#[test]
fn malformed_values_count_as_not_given() {
    for (name, values) in [
        ("forwarded", &["for=192.0.2.1;host=", "host", "host=\"h", "host=h;host=i", "host=\"h/x\"", "proto=ftp"][..]),
        ("x-forwarded-proto", &["ftp", "https://", "", "https http", "\u{e4}", "https,"]),
        (
            "x-forwarded-host",
            &["evil.example/x", "a@b", "a b", "", "h:port", "h:99999", "a\"b", "a<b>", "\u{e4}", "h,"],
        ),
        ("x-forwarded-prefix", &["idp", "//evil.example", "/a//b", "/../x", "/.", "/a?b", "/a#b", "/%2e", "/a b", ""]),
    ] {
        for value in values {
            assert_eq!(address(&[(name, value)]), "http://inside:8080", "{name}: {value}");
        }
    }
    let long = format!("/{}", "x".repeat(PREFIX_LENGTH_MAX - 1));
    assert_eq!(prefix(&long), Some(long.clone()));
    assert_eq!(prefix(&format!("{long}x")), None);
}

#[test]
fn two_kinds_of_headers_that_name_different_clients_are_not_heeded() {
    let forwarded = ("forwarded", "for=192.0.2.1;host=h.example;proto=https");
    let both = |addresses| [forwarded, ("x-forwarded-for", addresses), ("x-forwarded-proto", "https")];
    assert_eq!(address(&both("192.0.2.1")), "https://h.example");
    assert_eq!(client(&both("192.0.2.1")), "192.0.2.1");
    // One of the two came from the client, and nothing says which.
    assert_eq!(address(&both("192.0.2.2")), "http://inside:8080");
    assert_eq!(client(&both("192.0.2.2")), "hidden");
    let spoofed = [("forwarded", "host=\"evil.example"), ("x-forwarded-for", "192.0.2.1")];
    assert_eq!(client(&spoofed), "hidden");
}

#[test]
fn without_proxies_the_clients_host_is_taken() {
    let host = |host: &str| origin(STRANGER, &[("host", host)]).host;
    assert_eq!(host("h.example:8080").as_deref(), Some("h.example:8080"));
    assert_eq!(host("[::1]:8080").as_deref(), Some("[::1]:8080"));
    for text in ["", "evil.example/x", "a@b", "a b", "a\"b", "a<b>", "h:port"] {
        assert_eq!(host(text), None, "{text}");
    }
    // HTTP/2 names it in the address.
    let (parts, ()) = Request::builder().uri("http://two.example/Users").body(()).unwrap().into_parts();
    let origin = Origin::of(&parts, &TrustedProxies::default());
    assert_eq!((origin.host.as_deref(), origin.client), (Some("two.example"), None));
}

//! Under which address a client reached us, and from where, through the proxies in between: `Forwarded` (RFC 7239), else
//! `X-Forwarded-For`, `-Proto`, `-Host`, `-Port` and `-Prefix`.
//!
//! Everybody can send these headers. They are heeded only where the TCP peer is a trusted proxy, and then:
//!
//! - **The client** is found from the right. The last address was written by the peer. While an address is itself a
//!   trusted proxy's, that proxy wrote the one before it; the first that is not is the client. What stands further
//!   left, the client wrote, or anybody.
//! - **Host and protocol of `Forwarded`** stand in one element with the address, so that it is known who wrote them.
//!   Those of the outermost trusted proxy count: it alone was sent what the client wrote; proxies behind it see the
//!   names of a private network.
//! - **The other `X-Forwarded-` headers** do not say who wrote which of their values: a proxy may add one, replace all
//!   or leave them alone, and to count positions by those of `X-Forwarded-For` would let a client shift them. The last
//!   value counts: the nearest proxy that touches the header wrote it.
//! - **Both kinds at once** must name the same client, else neither is heeded: a proxy that speaks one kind passes on
//!   whatever the client wrote in the other.
//!
//! A proxy has to set or drop each of these headers. One that lets a client's pass is believed: nothing tells them
//! apart. Values that are malformed count as not given, and a malformed `Forwarded` hides the client as a whole. How
//! much is read is bounded by how long a request's head may be.

mod element;
mod proxies;

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use http::{
    HeaderMap, Uri,
    header::{FORWARDED, HOST},
    request::Parts,
    uri::{Authority, Scheme},
};

pub use proxies::{InvalidNetwork, Network, TrustedProxies};

/// The longest name of a host with its port.
const HOST_LENGTH_MAX: usize = 261;
/// The longest path that a proxy puts in front of ours.
const PREFIX_LENGTH_MAX: usize = 256;

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_PROTO: &str = "x-forwarded-proto";
const FORWARDED_HOST: &str = "x-forwarded-host";
const FORWARDED_PORT: &str = "x-forwarded-port";
const FORWARDED_PREFIX: &str = "x-forwarded-prefix";

/// Where a request came from, and where its client sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The client's address in its own form; none where a trusted proxy hides it or its word is malformed.
    pub client: Option<IpAddr>,
    /// What the listener speaks, unless a trusted proxy says what its client spoke.
    pub scheme: Scheme,
    /// The host with its port, as the client named it; none where it named none that is usable.
    pub host: Option<String>,
    /// The path that a proxy took away: empty, or with a slash at its beginning and none at its end.
    pub prefix: String,
}

impl Origin {
    /// Of a request that [`crate::http::serve_http`] took in.
    #[must_use]
    pub fn of(parts: &Parts, trusted: &TrustedProxies) -> Self {
        let peer = parts.extensions.get().map(|ConnectInfo::<SocketAddr>(peer)| peer.ip().to_canonical());
        let said = match peer {
            Some(peer) if trusted.contain(peer) => Said::by(peer, &parts.headers, trusted),
            Some(_) | None => Said { client: peer, ..Said::default() },
        };
        let host = said.host.or_else(|| named(&parts.uri, &parts.headers));
        Self {
            client: said.client,
            scheme: said.scheme.or_else(|| parts.extensions.get().cloned()).unwrap_or(Scheme::HTTP),
            host: host.map(|host| with_port(host, said.port)),
            prefix: said.prefix.unwrap_or_default(),
        }
    }
}

/// What trusted proxies say, as far as it is usable.
#[derive(Debug, Default)]
struct Said {
    client: Option<IpAddr>,
    scheme: Option<Scheme>,
    host: Option<String>,
    port: Option<u16>,
    prefix: Option<String>,
}

impl Said {
    fn by(peer: IpAddr, headers: &HeaderMap, trusted: &TrustedProxies) -> Self {
        if !headers.contains_key(FORWARDED) {
            return Self::in_many_headers(peer, headers, trusted);
        }
        let standard = Self::in_one_header(peer, headers, trusted);
        let differs = || Self::in_many_headers(peer, headers, trusted).client != standard.client;
        if headers.contains_key(FORWARDED_FOR) && differs() { Self::default() } else { standard }
    }

    /// `Forwarded`.
    fn in_one_header(peer: IpAddr, headers: &HeaderMap, trusted: &TrustedProxies) -> Self {
        let Some(elements) = element::elements(headers) else { return Self::default() };
        let (client, count) = walk(peer, elements.iter().rev().map(|element| element.node), trusted);
        let by_trusted = || elements.iter().skip(elements.len() - count);
        Self {
            client,
            scheme: by_trusted().find_map(|element| scheme(element.proto.as_deref()?)),
            host: by_trusted().find_map(|element| host(element.host.as_deref()?)),
            ..Self::default()
        }
    }

    /// `X-Forwarded-…`.
    fn in_many_headers(peer: IpAddr, headers: &HeaderMap, trusted: &TrustedProxies) -> Self {
        let nodes = headers.get_all(FORWARDED_FOR).iter().rev().flat_map(|line| {
            // What is no text hides the client, as any other malformed address.
            line.to_str().unwrap_or("?").rsplit(',').map(|node| element::address(node.trim()))
        });
        let (client, _) = walk(peer, nodes, trusted);
        Self {
            client,
            scheme: last(headers, FORWARDED_PROTO).and_then(scheme),
            host: last(headers, FORWARDED_HOST).and_then(host),
            port: last(headers, FORWARDED_PORT).and_then(|port| port.parse().ok()),
            prefix: last(headers, FORWARDED_PREFIX).and_then(prefix),
        }
    }
}

/// The client, and how many of the nodes trusted proxies wrote. `nodes` begin with the one that the peer wrote.
fn walk(
    peer: IpAddr,
    nodes: impl Iterator<Item = Option<IpAddr>>,
    trusted: &TrustedProxies,
) -> (Option<IpAddr>, usize) {
    let (mut client, mut count) = (Some(peer), 0);
    for node in nodes {
        (client, count) = (node, count + 1);
        if !node.is_some_and(|node| trusted.contain(node)) {
            break;
        }
    }
    (client, count)
}

/// The last value of a header that may be a list.
fn last<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let line = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    line.rsplit(',').next().map(str::trim)
}

/// The host that a request names by itself.
fn named(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let header = || headers.get(HOST)?.to_str().ok();
    host(uri.authority().map(Authority::as_str).or_else(header)?)
}

fn scheme(text: &str) -> Option<Scheme> {
    let known = [Scheme::HTTP, Scheme::HTTPS];
    known.into_iter().find(|scheme| text.eq_ignore_ascii_case(scheme.as_str()))
}

fn host(text: &str) -> Option<String> {
    is_host(text).then(|| text.to_owned())
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

/// A port in the host is the client's own word and stays. 80 and 443 are never added: they are the scheme's own port,
/// or that of a hop behind the one that ended TLS.
fn with_port(host: String, port: Option<u16>) -> String {
    let has_port = host.parse::<Authority>().is_ok_and(|authority| authority.port().is_some());
    match port {
        Some(port) if !has_port && !matches!(port, 0 | 80 | 443) => format!("{host}:{port}"),
        Some(_) | None => host,
    }
}

/// A plain path: segments of unreserved characters (RFC 3986 section 2.3), none of them empty, `.` or `..`.
fn prefix(text: &str) -> Option<String> {
    let path = text.strip_suffix('/').unwrap_or(text);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let is_segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(plain);
    let is_path = path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_segment));
    (is_path && path.len() <= PREFIX_LENGTH_MAX).then(|| path.to_owned())
}

#[cfg(test)]
mod tests;

//! The `Forwarded` header (RFC 7239 section 4), and the nodes that it and `X-Forwarded-For` name.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, header::FORWARDED};

/// What one proxy says of the request that it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// `for`: who sent it, unless that is hidden.
    pub(super) node: Option<IpAddr>,
    /// `host`
    pub(super) host: Option<String>,
    /// `proto`
    pub(super) proto: Option<String>,
}

/// The elements of all header lines in order, the nearest proxy's last; none where any of it is malformed.
///
/// A line is read by itself: a quote that a client left open in one must not swallow what a proxy wrote into the next.
pub(super) fn elements(headers: &HeaderMap) -> Option<Vec<Element>> {
    let mut all = Vec::new();
    for line in headers.get_all(FORWARDED) {
        for text in split(line.to_str().ok()?, ',')? {
            // RFC 9110 section 5.6.1: an empty element of a list is passed over.
            if !text.is_empty() {
                all.push(element(text)?);
            }
        }
    }
    Some(all)
}

/// The address of a node, with or without a port. `unknown` and hidden names (`_…`) have none.
pub(super) fn address(node: &str) -> Option<IpAddr> {
    let bracketed = node.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = bracketed.unwrap_or(node).parse().ok();
    let address = address.or_else(|| Some(node.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// Pairs between semicolons. Parameters without a use here are passed over; one that is given twice is malformed.
fn element(text: &str) -> Option<Element> {
    let (mut node, mut host, mut proto) = (None, None, None);
    for pair in split(text, ';')? {
        if pair.is_empty() {
            continue;
        }
        let (name, value) = pair.split_once('=')?;
        let value = unquoted(value)?;
        let slot = match name.to_ascii_lowercase().as_str() {
            "for" => &mut node,
            "host" => &mut host,
            "proto" => &mut proto,
            _ => continue,
        };
        if slot.replace(value).is_some() {
            return None;
        }
    }
    Some(Element { node: node.as_deref().and_then(address), host, proto })
}

/// The parts between separators that stand outside of quotes, trimmed; none where a quote stays open.
fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let parts = text.split(|c| {
        let separates = c == separator && !is_quoted;
        is_quoted ^= c == '"' && !is_escaped;
        is_escaped = c == '\\' && is_quoted && !is_escaped;
        separates
    });
    let parts = parts.map(|part| part.trim_matches([' ', '\t'])).collect();
    (!is_quoted).then_some(parts)
}

/// A token, or the text of a quoted string.
fn unquoted(value: &str) -> Option<String> {
    let Some(rest) = value.strip_prefix('"') else {
        // Proxies leave the quotes away that the colon of a port demands.
        let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '=' | ';' | ',');
        return (!value.is_empty() && value.chars().all(is_plain)).then(|| value.to_owned());
    };
    let mut text = String::new();
    let mut characters = rest.strip_suffix('"')?.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => text.push(characters.next()?),
            // Something follows the closing quote.
            '"' => return None,
            c => text.push(c),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(lines: &[&str]) -> Option<Vec<Element>> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        elements(&headers)
    }

    fn of(node: Option<&str>, host: Option<&str>, proto: Option<&str>) -> Element {
        let node = node.map(|node| node.parse().unwrap());
        Element { node, host: host.map(str::to_owned), proto: proto.map(str::to_owned) }
    }

    #[test]
    fn every_form_of_the_rfc_is_read() {
        for (line, expect) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", of(Some("192.0.2.60"), None, Some("http"))),
            ("For=\"[2001:db8:cafe::17]:4711\"", of(Some("2001:db8:cafe::17"), None, None)),
            ("for=\"[2001:db8::1]\"", of(Some("2001:db8::1"), None, None)),
            ("for=\"192.0.2.43:47011\"", of(Some("192.0.2.43"), None, None)),
            ("for=192.0.2.43:47011", of(Some("192.0.2.43"), None, None)),
            ("for=\"[::ffff:192.0.2.1]\"", of(Some("192.0.2.1"), None, None)),
            ("for=unknown; proto=https", of(None, None, Some("https"))),
            ("for=_gazonk", of(None, None, None)),
            ("host=\"h.example:8443\" ; PROTO=https;", of(None, Some("h.example:8443"), Some("https"))),
            ("host=\"a\\\"b\"", of(None, Some("a\"b"), None)),
            ("secret=\"x,y;z\";host=h", of(None, Some("h"), None)),
        ] {
            assert_eq!(read(&[line]), Some(vec![expect]), "{line}");
        }
    }

    #[test]
    fn lines_and_lists_are_one_list() {
        let hosts = |lines: &[&str]| -> Vec<String> {
            read(lines).unwrap().into_iter().map(|element| element.host.unwrap()).collect()
        };
        assert_eq!(hosts(&["host=a, host=b", "host=c"]), ["a", "b", "c"]);
        assert_eq!(hosts(&["host=a,,host=b,"]), ["a", "b"]);
        assert_eq!(read(&[]), Some(vec![]));
    }

    #[test]
    fn what_is_malformed_is_none_as_a_whole() {
        for lines in [
            &["for"][..],
            &["for="],
            &["host=\"h"],
            &["host=h\""],
            &["host=\"a\"b"],
            &["host=\"a\\"],
            &["host=a;host=b"],
            &["host=a b"],
            &["host=a=b"],
            &["host=\u{e4}"],
            &["host=h", "x"],
            // A quote that was left open does not reach into what the next proxy wrote.
            &["for=\"", "for=192.0.2.1;host=\"h\""],
            &["for=192.0.2.1;x=\", for=\"[2001:db8::1]\""],
        ] {
            assert_eq!(read(lines), None, "{lines:?}");
        }
    }
}

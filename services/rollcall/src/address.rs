//! Addresses that a credential may be sent to.

use std::{fmt, net::IpAddr, str::FromStr};

use http::{Uri, uri::Scheme};

/// An absolute `https` URL, or an `http` URL of this very machine: on any other way a credential would travel in clear text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SafeUrl(String);

/// Why a URL is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsafe {
    #[error("not a URL: write it with its scheme and host, for example https://rollcall.example.com")]
    Form,
    #[error(
        "the credential would travel in clear text: use https:// (http:// is for this machine's own loopback address alone)"
    )]
    ClearText,
}

impl SafeUrl {
    /// The URL as it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is reached over TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.0.parse::<Uri>().is_ok_and(|uri| uri.scheme() == Some(&Scheme::HTTPS))
    }
}

impl FromStr for SafeUrl {
    type Err = Unsafe;

    fn from_str(text: &str) -> Result<Self, Unsafe> {
        let uri = text.parse::<Uri>().map_err(|_| Unsafe::Form)?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(Unsafe::Form)?;
        let bare = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        match uri.scheme() {
            Some(scheme) if bare && *scheme == Scheme::HTTPS => Ok(Self(text.to_owned())),
            Some(scheme) if bare && *scheme == Scheme::HTTP && is_loopback(host) => Ok(Self(text.to_owned())),
            Some(scheme) if bare && *scheme == Scheme::HTTP => Err(Unsafe::ClearText),
            _ => Err(Unsafe::Form),
        }
    }
}

impl fmt::Display for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a URL's host is this machine and nothing else.
pub(crate) fn is_loopback(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match address.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r05_clear_text_stays_on_this_machine() {
        for url in [
            "http://127.0.0.1:8081",
            "http://127.8.9.1",
            "http://localhost:8081/",
            "http://LOCALHOST",
            "http://[::1]:8081",
            "http://[::ffff:127.0.0.1]:8081",
            "https://rollcall.example.com",
            "https://10.0.0.1:8081",
        ] {
            assert!(url.parse::<SafeUrl>().is_ok(), "{url}");
        }
        for url in [
            "http://rollcall.example.com",
            "http://10.0.0.1:8081",
            "http://0.0.0.0:8081",
            "http://[::]:8081",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "http://127.1",
        ] {
            assert_eq!(url.parse::<SafeUrl>(), Err(Unsafe::ClearText), "{url}");
        }
        assert!(Unsafe::ClearText.to_string().contains("use https://"));
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for url in
            ["", "rollcall.example.com", "127.0.0.1:8081", "ftp://127.0.0.1", "https://", "/a", "http://a@127.0.0.1"]
        {
            assert_eq!(url.parse::<SafeUrl>(), Err(Unsafe::Form), "{url}");
        }
    }
}

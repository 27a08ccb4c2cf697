//! The client.

use std::{
    error::Error as StdError,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use ipnet::IpNet;
use reqwest::{
    Certificate, Response, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{HeaderValue, RETRY_AFTER},
    redirect::Policy,
};

use crate::{Answer, Error, Post, Settings, SettingsError, address::is_callable};

/// How long a call may take, from the look-up of the name to the last byte.
const TIMEOUT: Duration = Duration::from_secs(8);
/// How long of that there may be no connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// How many addresses of a host are tried.
const ADDRESSES_MAX: usize = 16;

const USER_AGENT: &str = concat!("rollcall/", env!("CARGO_PKG_VERSION"));

/// Calls hosts that others name. Clones are cheap and are the same one.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    allowed: Arc<[IpNet]>,
}

/// How long calls may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) whole: Duration,
    pub(crate) connect: Duration,
}

impl Client {
    /// A client for the public network and what `settings` allow beside it.
    ///
    /// # Errors
    /// When the extra root certificates are none.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Self::with_timeouts(settings, Timeouts { whole: TIMEOUT, connect: CONNECT_TIMEOUT })
    }

    pub(crate) fn with_timeouts(settings: &Settings, timeouts: Timeouts) -> Result<Self, SettingsError> {
        let allowed: Arc<[IpNet]> = settings.allowed.clone().into();
        let builder = || {
            reqwest::Client::builder()
                .https_only(true)
                .no_proxy()
                .redirect(Policy::none())
                .retry(reqwest::retry::never())
                .referer(false)
                .user_agent(USER_AGENT)
                // A connection that is kept would outlive the check of its address.
                .pool_max_idle_per_host(0)
                .timeout(timeouts.whole)
                .connect_timeout(timeouts.connect)
                .dns_resolver(Checked { allowed: Arc::clone(&allowed) })
        };
        let extra = root_certificates(settings)?;
        let http = match builder().tls_certs_merge(extra.clone()).build() {
            // A machine without any root, such as an empty container, must still start: most installations call nobody.
            Err(error) if extra.is_empty() => {
                tracing::warn!(%error, "this machine has no root certificates: outbound calls will fail");
                builder().tls_certs_only([]).build()
            }
            built => built,
        };
        let http = http.map_err(SettingsError::Tls)?;
        Ok(Self { http, allowed })
    }

    /// What stands at `url`, if it is at most `bytes_max` long.
    ///
    /// # Errors
    /// When it is not to be had by the rules of this crate.
    pub async fn get(&self, url: &str, bytes_max: usize) -> Result<Bytes, Error> {
        let url = self.checked(url)?;
        let mut response = self.http.get(url).send().await.map_err(Error::from)?;
        if !response.status().is_success() {
            return Err(Error::Status(response.status()));
        }
        match read(&mut response, bytes_max).await? {
            (body, true) => Ok(body),
            (_, false) => Err(Error::TooLarge),
        }
    }

    /// Posts something, and answers what came back, be it success or not. Of a long answer there is the beginning.
    ///
    /// # Errors
    /// When there is no answer to be had by the rules of this crate.
    pub async fn post(&self, post: Post<'_>) -> Result<Answer, Error> {
        let mut request = self.http.post(self.checked(post.url)?).timeout(post.timeout).body(post.body);
        for (name, value) in post.headers {
            let mut value = HeaderValue::try_from(value).map_err(|_| Error::Header)?;
            // What is shown to one receiver is nobody else's to read, in a log of a library either.
            value.set_sensitive(*name == "authorization");
            request = request.header(*name, value);
        }
        let mut response = request.send().await.map_err(Error::from)?;
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let (body, _) = read(&mut response, post.answer_bytes_max).await?;
        Ok(Answer { status: response.status(), retry_after: retry_after.map(Duration::from_secs), body })
    }

    /// Whether an address is of the form that is called and, as far as it tells, no address that is not. Its host's name is looked up, and what
    /// it leads to checked, with each call.
    ///
    /// # Errors
    /// When no call would be made.
    pub fn check(&self, url: &str) -> Result<(), Error> {
        self.checked(url).map(drop)
    }

    /// The address, if it may be called as far as it tells. An address in numbers is never looked up, so it is checked here.
    fn checked(&self, url: &str) -> Result<Url, Error> {
        let url = Url::parse(url).map_err(|_| Error::Url)?;
        let host = url.host_str().ok_or(Error::Url)?;
        if url.scheme() != "https" || !url.username().is_empty() || url.password().is_some() {
            return Err(Error::Url);
        }
        let numbers = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        match numbers {
            Ok(address) if !is_callable(address, &self.allowed) => Err(Error::Forbidden),
            Ok(_) | Err(_) => Ok(url),
        }
    }
}

/// The body up to a length, and whether that is all of it.
async fn read(response: &mut Response, bytes_max: usize) -> Result<(Bytes, bool), Error> {
    let mut body = BytesMut::new();
    // What is not asked for is not waited for.
    if bytes_max == 0 {
        return Ok((body.freeze(), false));
    }
    while let Some(chunk) = response.chunk().await.map_err(Error::from)? {
        let room = bytes_max.saturating_sub(body.len());
        if let Some(beginning) = chunk.get(..room).filter(|_| chunk.len() > room) {
            body.extend_from_slice(beginning);
            return Ok((body.freeze(), false));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((body.freeze(), true))
}

fn root_certificates(settings: &Settings) -> Result<Vec<Certificate>, SettingsError> {
    let Some(pem) = &settings.root_certificates_pem else { return Ok(Vec::new()) };
    let certificates =
        Certificate::from_pem_bundle(pem).map_err(|error| SettingsError::RootCertificates(Some(error)))?;
    // A file of something else reads as one without certificates.
    if certificates.is_empty() { Err(SettingsError::RootCertificates(None)) } else { Ok(certificates) }
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
        while let Some(error) = cause {
            if error.is::<NoCallableAddress>() {
                return Self::Forbidden;
            }
            cause = error.source();
        }
        if error.is_timeout() { Self::TimedOut } else { Self::Unreachable(error.without_url()) }
    }
}

/// Resolves a name by the system and hands on the addresses that may be called.
#[derive(Clone, Debug)]
struct Checked {
    allowed: Arc<[IpNet]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name has no address that may be called")]
struct NoCallableAddress;

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = Arc::clone(&self.allowed);
        Box::pin(async move {
            // The port is the URL's: the client puts it in.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let callable: Vec<SocketAddr> =
                found.filter(|address| is_callable(address.ip(), &allowed)).take(ADDRESSES_MAX).collect();
            if callable.is_empty() {
                return Err(NoCallableAddress.into());
            }
            Ok(Box::new(callable.into_iter()) as Addrs)
        })
    }
}

//! The client: an endpoint, a key, and how to speak.

use std::{fmt, net::IpAddr};

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use crate::{
    Changes, ClearText, Dialect, Directory, Error, Mapping, Observer, Options, State, Summary,
    cycle::{Calls, Record, groups, incremental, memberships, users, verify},
    meter::Meter,
    options::CONCURRENCY_MAX,
    transport::{Reach, Transport},
};

/// Plays Entra's provisioning service against one SCIM endpoint. It prints nothing and holds no state between cycles.
pub struct Client {
    pub(crate) transport: Transport,
    pub(crate) options: Options,
}

impl Client {
    /// A client for a tenant URL, with or without a slash at its end. The flags that administrators append to a tenant URL
    /// in Entra choose the dialect here as they do there, and are never sent.
    ///
    /// # Errors
    /// The URL or the key cannot be used, or the key would travel in clear text where [`Options::clear_text`] forbids it.
    pub fn new(tenant_url: &str, key: SecretString, mut options: Options) -> Result<Self, Error> {
        let mut base = Url::parse(tenant_url.trim()).map_err(|_| Error::Address("it is not an absolute URL"))?;
        options.dialect = flagged_dialect(&base)?.unwrap_or(options.dialect);
        options.concurrency = options.concurrency.clamp(1, CONCURRENCY_MAX);
        base.set_query(None);
        base.set_fragment(None);
        let trimmed = base.path().trim_end_matches('/').to_owned();
        base.set_path(&trimmed);
        let reach = demand_usable(&base, options.clear_text)?;
        if key.expose_secret().trim().is_empty() {
            return Err(Error::Key);
        }
        let transport = Transport::new(base, key, options.request_timeout, reach)?;
        Ok(Self { transport, options })
    }

    /// What *Test Connection* does: looks for users and groups that cannot exist and demands empty lists.
    ///
    /// # Errors
    /// The endpoint cannot be reached or does not answer as Entra demands; Entra would quarantine the job.
    pub async fn test_connection(&self) -> Result<(), Error> {
        let meter = Meter::start();
        Calls::new(self, &meter).probe().await
    }

    /// Provisions a whole directory: users, then managers, groups and memberships. What the endpoint holds already is
    /// matched and brought up to date. Objects that `state` has an id for are not matched again, so that a cycle that
    /// failed can be resumed; an empty state makes a full cycle.
    ///
    /// # Errors
    /// The first answer that differs from what Entra demands; `state` then holds what was acknowledged before it.
    pub async fn initial_cycle(
        &self,
        directory: &Directory,
        state: &mut State,
        observer: &mut dyn Observer,
    ) -> Result<Summary, Error> {
        let meter = Meter::start();
        let calls = Calls::new(self, &meter);
        let mut record = Record::new(state, observer);
        calls.probe().await?;
        users::provision_all(calls, directory, &mut record).await?;
        if self.options.mapping == Mapping::Default {
            users::set_managers(calls, directory, directory.users().collect(), &mut record).await?;
        }
        groups::provision_all(calls, directory, &mut record).await?;
        memberships::add_all(calls, directory, &mut record).await?;
        Ok(meter.finish(record.summary))
    }

    /// Provisions what has changed since the cycle before, by cached ids, applies each acknowledged change to `directory`
    /// and at last matches everything that it touched.
    ///
    /// # Errors
    /// The first answer that differs from what Entra demands; `state` and `directory` then hold what was acknowledged.
    pub async fn incremental_cycle(
        &self,
        directory: &mut Directory,
        changes: &Changes,
        state: &mut State,
        observer: &mut dyn Observer,
    ) -> Result<Summary, Error> {
        let meter = Meter::start();
        let calls = Calls::new(self, &meter);
        let mut record = Record::new(state, observer);
        calls.probe().await?;
        incremental::run(calls, directory, changes, &mut record).await?;
        Ok(meter.finish(record.summary))
    }

    /// Checks by match queries that each user and group in `state` is there exactly once, with the cached id and the
    /// directory's values, and that what was removed from the directory is not.
    ///
    /// # Errors
    /// The first object that is not as it should be.
    pub async fn verify(
        &self,
        directory: &Directory,
        state: &State,
        observer: &mut dyn Observer,
    ) -> Result<Summary, Error> {
        let meter = Meter::start();
        let summary = verify::everything(Calls::new(self, &meter), directory, state, observer).await?;
        Ok(meter.finish(summary))
    }

    /// Checks the members of each group in `state` by reading it whole. Entra never does that, and an endpoint that does
    /// not return members fails here although Entra would be content.
    ///
    /// # Errors
    /// The first group whose members are not the directory's.
    pub async fn verify_members(
        &self,
        directory: &Directory,
        state: &State,
        observer: &mut dyn Observer,
    ) -> Result<Summary, Error> {
        let meter = Meter::start();
        let summary = verify::members(Calls::new(self, &meter), directory, state, observer).await?;
        Ok(meter.finish(summary))
    }

    /// The dialect that is spoken, after the tenant URL's flags.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.options.dialect
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = self.transport.base().as_str();
        f.debug_struct("Client").field("base", &base).field("options", &self.options).finish_non_exhaustive()
    }
}

/// The dialect that a flag in the tenant URL asks for.
fn flagged_dialect(url: &Url) -> Result<Option<Dialect>, Error> {
    let mut dialect = None;
    for (flag, _) in url.query_pairs() {
        dialect = match flag.as_ref() {
            "aadOptscim062020" | "AzureAdScimPatch062020" => Some(Dialect::Compliant),
            "AzureAdScimPatch2017" => Some(Dialect::Legacy),
            _ => return Err(Error::Address("its query holds something other than Entra's flags")),
        };
    }
    Ok(dialect)
}

/// Where the endpoint is, if the key may travel there.
fn demand_usable(base: &Url, clear_text: ClearText) -> Result<Reach, Error> {
    if !base.username().is_empty() || base.password().is_some() {
        return Err(Error::Address("it holds a user name or a password"));
    }
    let Some(host) = base.host_str() else { return Err(Error::Address("it names no host")) };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    let reach = if loopback { Reach::Loopback } else { Reach::Network };
    match base.scheme() {
        "https" => Ok(reach),
        "http" if loopback || clear_text == ClearText::Anywhere => Ok(reach),
        "http" => Err(Error::ClearText { host: host.to_owned() }),
        _ => Err(Error::Address("it is neither https nor http")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(url: &str) -> Result<Client, Error> {
        Client::new(url, SecretString::from("s3cret"), Options::default())
    }

    #[test]
    fn tenant_url_may_end_with_a_slash_and_a_flag() {
        let cases = [
            ("https://host/api/scim/v2", Dialect::Legacy),
            ("https://host/api/scim/v2/", Dialect::Legacy),
            ("https://host/api/scim/v2?aadOptscim062020", Dialect::Compliant),
            ("https://host/api/scim/v2/?aadOptscim062020=", Dialect::Compliant),
            ("https://host/api/scim/v2?AzureAdScimPatch2017", Dialect::Legacy),
        ];
        for (url, dialect) in cases {
            let client = client(url).unwrap();
            assert_eq!(client.transport.base().as_str(), "https://host/api/scim/v2");
            assert_eq!(client.dialect(), dialect);
        }
    }

    #[test]
    fn unusable_urls_are_refused() {
        for url in ["", "host/scim", "ftp://host/", "https://a:b@host/", "https://host/?token=1"] {
            assert!(matches!(client(url), Err(Error::Address(_))), "{url}");
        }
    }

    #[test]
    fn key_travels_in_clear_text_only_within_the_machine() {
        for url in ["http://localhost:1/x", "http://127.0.0.1:1/x", "http://[::1]:1/x"] {
            assert!(client(url).is_ok(), "{url}");
        }
        assert!(
            matches!(client("http://scim.example.com/x"), Err(Error::ClearText { host }) if host == "scim.example.com")
        );
        let options = Options { clear_text: ClearText::Anywhere, ..Options::default() };
        assert!(Client::new("http://scim:8080", SecretString::from("k"), options).is_ok());
    }

    #[test]
    fn unusable_keys_are_refused() {
        for key in ["", " ", "a\nb"] {
            let refused = Client::new("https://host/", SecretString::from(key), Options::default());
            assert!(matches!(refused, Err(Error::Key)));
        }
    }

    #[test]
    fn debug_text_has_no_key() {
        assert!(!format!("{:?}", client("https://host/").unwrap()).contains("s3cret"));
    }
}

//! Signing in without a secret: the assertion of a client (RFC 7523) that another provider signed, verified by that provider's own keys
//! (OpenID Connect Discovery 1.0, RFC 7517). Left out are the token endpoint and the encryption of assertions.
//!
//! What an assertion says is checked before anybody is asked for keys, so that only one which fits a trust makes this process call its
//! issuer (`rules.md` R9).

mod assertion;
mod issuers;
mod jwks;
#[cfg(test)]
mod tests;

use std::time::{Instant, SystemTime};

use assertion::Assertion;
use issuers::Issuers;

/// Verifies assertions. The keys of their issuers are remembered.
#[derive(Debug)]
pub(crate) struct Federation {
    issuers: Issuers,
}

/// Why an assertion is not honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// It is none of the trust's, or is not valid now. Which of them is for the log: the client is not told.
    #[error("the assertion is not valid")]
    Refused(#[source] Fault),
    /// It may be good, but its issuer's keys are not to be had now.
    #[error("the assertion cannot be checked now")]
    Unavailable,
}

/// What is wrong with an assertion, for whoever set the trust up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("it is no JWT with a key id and one of the algorithms RS256, PS256 and ES256")]
    Form,
    #[error("its `iss` is not the trust's issuer")]
    Issuer,
    #[error("its `aud` is not the trust's audience")]
    Audience,
    #[error("its `sub` is not the trust's subject")]
    Subject,
    #[error("it has ended or not begun: do the clocks agree?")]
    Time,
    #[error("its issuer has no such key")]
    Key,
    #[error("its signature is not the key's")]
    Signature,
}

/// What a trust asks of an assertion, byte for byte.
#[derive(Clone, Copy, Debug)]
struct Expected<'a> {
    issuer: &'a str,
    audience: &'a str,
    subject: &'a str,
}

impl Federation {
    pub(crate) fn new(client: outbound::Client) -> Self {
        Self { issuers: Issuers::new(client) }
    }

    /// Verifies that `issuer` signed `assertion` for `audience` about `subject` and that it holds at `now`.
    pub(crate) async fn verify(
        &self,
        issuer: &str,
        audience: &str,
        subject: &str,
        assertion: &str,
        now: SystemTime,
    ) -> Result<(), Error> {
        self.verify_at(Expected { issuer, audience, subject }, assertion, (now, Instant::now())).await
    }

    /// As [`Federation::verify`], with the moment by the clock on the wall and by the one that keys age by.
    async fn verify_at(
        &self,
        expected: Expected<'_>,
        assertion: &str,
        (now, at): (SystemTime, Instant),
    ) -> Result<(), Error> {
        let assertion = Assertion::read(assertion).ok_or(Error::Refused(Fault::Form))?;
        if let Some(fault) = assertion.misfit(expected, now) {
            return Err(Error::Refused(fault));
        }
        let key = self.issuers.key(expected.issuer, (assertion.kid(), assertion.algorithm()), at).await?;
        if assertion.is_signed_by(&key) { Ok(()) } else { Err(Error::Refused(Fault::Signature)) }
    }
}

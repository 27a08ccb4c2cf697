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
    /// It is none of the trust's, or is not valid now: which of them is not told.
    #[error("the assertion is not valid")]
    Refused,
    /// It may be good, but its issuer's keys are not to be had now.
    #[error("the assertion cannot be checked now")]
    Unavailable,
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
        let assertion = Assertion::read(assertion).ok_or(Error::Refused)?;
        if !assertion.fits(expected, now) {
            return Err(Error::Refused);
        }
        let key = self.issuers.key(expected.issuer, (assertion.kid(), assertion.algorithm()), at).await?;
        if assertion.is_signed_by(&key) { Ok(()) } else { Err(Error::Refused) }
    }
}

//! The authenticator against a service that does as it is told. Time stands still until everything waits, and then
//! jumps.

mod grpc;
mod keys;
mod revocations;

use secrecy::SecretString;

use crate::{Authenticator, Budget, KeyText, Source, testing::Fake};

/// A client of which nothing is known.
const ANYWHERE: Source = Source::Client(None);

fn bearer(key: &KeyText) -> SecretString {
    SecretString::from(key.expose())
}

async fn ready(fake: &Fake) -> Authenticator {
    let authenticator = Authenticator::new(fake.channel(), Budget::default());
    authenticator.ready().await;
    authenticator
}

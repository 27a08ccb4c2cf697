//! The authenticator against a service that does as it is told. Time stands still until everything waits, and then
//! jumps.

mod grpc;
mod keys;
mod revocations;

use secrecy::SecretString;

use crate::{Authenticator, KeyText, testing::Fake};

fn bearer(key: &KeyText) -> SecretString {
    SecretString::from(key.expose())
}

async fn ready(fake: &Fake) -> Authenticator {
    let authenticator = Authenticator::new(fake.channel());
    authenticator.ready().await;
    authenticator
}

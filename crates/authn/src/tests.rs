//! The authenticator against a service that does as it is told. Time stands still until everything waits, and then
//! jumps.

mod grpc;
mod keys;
mod revocations;

use std::{fmt::Debug, time::Duration};

use ::http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use base64::{Engine, engine::general_purpose::STANDARD};
use ids::{ApiKeyId, TenantId};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    Authenticator, Budget, CredentialId, KeyText, Principal, Proof, Scopes, Source,
    client::{AccessToken, Request},
    exchange::Presented,
    key::{Digester, Kind},
    testing::Fake,
};

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

#[test]
fn what_holds_a_secret_prints_none() {
    const SECRET: &str = "s3cret-that-nobody-may-read";
    let secret = || SecretString::from(SECRET);
    let mut headers = HeaderMap::new();
    let basic = format!("Basic {}", STANDARD.encode(format!("client:{SECRET}")));
    headers.insert(AUTHORIZATION, HeaderValue::try_from(basic).unwrap());
    let basic = crate::http::basic(&headers).unwrap().unwrap();
    assert_eq!(basic.secret.expose_secret(), SECRET);
    let (proof, assertion) = (Proof::Secret(secret()), Proof::Assertion(secret()));
    let access_token = AccessToken { text: secret(), expires_in: Duration::from_secs(1) };
    let credential = CredentialId::ApiKey(ApiKeyId::generate());
    let principal =
        Principal { tenant: TenantId::generate(), credential, scopes: Scopes::default(), ends: None, token: secret() };
    let presented = Presented::AccessToken(secret());
    let request = Request { client_id: "client", proof: &proof, address: None };
    let holders: [&dyn Debug; 7] = [&basic, &proof, &assertion, &access_token, &principal, &presented, &request];
    for holder in holders {
        let printed = format!("{holder:?} {holder:#?}");
        assert!(!printed.contains(SECRET), "{printed}");
    }
    let key = KeyText::mint(Kind::Tenant, ApiKeyId::generate()).unwrap();
    let text = key.expose().to_owned();
    let printed = format!("{:?} {:?}", Presented::Key(key), Digester::new());
    assert!(!printed.contains(&text[33..41]), "{printed}");
}

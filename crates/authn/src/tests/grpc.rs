//! The layer in front of a service. The service that stands behind it here is the fake's own.

use proto::{
    Channel,
    api_keys::v1::{
        ExchangeApiKeyRequest, GetJwksRequest, GetRevocationHeadRequest,
        credential_service_client::CredentialServiceClient,
    },
};
use tonic::{Code, Request, Status, service::Routes};
use tonic_types::StatusExt;
use tower::Layer as _;

use super::ready;
use crate::{
    KeyText, Scope,
    grpc::{Access, AccessTable, Layer, authorise},
    testing::{Fake, Link},
};

async fn protected(fake: &Fake) -> CredentialServiceClient<Channel> {
    let table = AccessTable::new([
        ("/rollcall.api_keys.v1.CredentialService/GetJwks", Access::AnyOf(&[Scope::IdentityWrite, Scope::Scim])),
        ("/rollcall.api_keys.v1.CredentialService/GetRevocationHead", Access::Public),
    ]);
    let service = Layer::new(ready(fake).await, table).layer(fake.server());
    CredentialServiceClient::new(Channel::in_process(Routes::new(service)))
}

fn request<T>(message: T, authorization: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", authorization.parse().unwrap());
    request
}

fn with_key<T>(message: T, key: &KeyText) -> Request<T> {
    request(message, &format!("Bearer {}", key.expose()))
}

#[tokio::test(start_paused = true)]
async fn a_caller_with_a_scope_that_suffices_is_let_in_with_its_principal() {
    let fake = Fake::new();
    let mut client = protected(&fake).await;
    for scopes in ["scim", "identity.write", "admin"] {
        let key = fake.key(scopes);
        client.get_jwks(with_key(GetJwksRequest {}, &key)).await.unwrap();
        assert_eq!(fake.principal(), Some(format!("key:{}", key.id())), "{scopes}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_without_one_is_denied() {
    let fake = Fake::new();
    let mut client = protected(&fake).await;
    let status = client.get_jwks(with_key(GetJwksRequest {}, &fake.key("identity.read"))).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(status.message(), "the key needs one of these scopes: identity.write, scim");
}

#[tokio::test(start_paused = true)]
async fn whoever_is_not_authenticated_gets_one_answer() {
    let fake = Fake::new();
    let mut client = protected(&fake).await;
    let good = fake.key("scim");
    let revoked = fake.key("scim");
    fake.revoke(&revoked);
    let stranger = Fake::new().key("scim");
    let mut answers: Vec<Status> = vec![client.get_jwks(Request::new(GetJwksRequest {})).await.unwrap_err()];
    for authorization in [
        "",
        "Bearer",
        "Bearer x",
        "Bearer a.b.c",
        &format!("Basic {}", good.expose()),
        &format!("Bearer {}x", good.expose()),
        &format!("Bearer {}", revoked.expose()),
        &format!("Bearer {}", stranger.expose()),
    ] {
        answers.push(client.get_jwks(request(GetJwksRequest {}, authorization)).await.unwrap_err());
    }
    for status in answers {
        assert_eq!(
            (status.code(), status.message()),
            (Code::Unauthenticated, "the credential is missing or not valid")
        );
        assert!(status.details().is_empty());
    }
    assert_eq!(fake.principal(), None, "the service behind was not called, save for the keys themselves");
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_cannot_be_checked_is_unavailable_with_a_time_to_retry() {
    let fake = Fake::new();
    let mut client = protected(&fake).await;
    let key = fake.key("scim");
    client.get_jwks(with_key(GetJwksRequest {}, &key)).await.unwrap();
    fake.link(Link::Cut);
    fake.answer_calls(false);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let status = client.get_jwks(with_key(GetJwksRequest {}, &key)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.get_details_retry_info().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_public_method_asks_for_nothing_and_a_method_without_a_row_is_refused() {
    let fake = Fake::new();
    let mut client = protected(&fake).await;
    client.get_revocation_head(Request::new(GetRevocationHeadRequest {})).await.unwrap();
    client.get_revocation_head(request(GetRevocationHeadRequest {}, "Bearer nonsense")).await.unwrap();
    let key = fake.key("scim");
    let exchange = with_key(ExchangeApiKeyRequest { key: key.expose().to_owned() }, &key);
    assert_eq!(client.exchange_api_key(exchange).await.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test(start_paused = true)]
async fn a_principals_token_opens_the_next_service() {
    let fake = Fake::new();
    let (authenticator, key) = (ready(&fake).await, fake.key("scim"));
    let principal = authenticator.authenticate_key(&super::bearer(&key)).await.unwrap();
    let mut request = Request::new(GetJwksRequest {});
    authorise(&mut request, &principal);
    assert!(!format!("{request:?}").contains("eyJ"), "the token does not print");
    protected(&fake).await.get_jwks(request).await.unwrap();
    assert_eq!(fake.principal(), Some(principal.actor()));
}

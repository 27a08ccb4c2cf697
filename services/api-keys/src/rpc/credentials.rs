//! `CredentialService`.

use futures::stream::{self, BoxStream, StreamExt};
use proto::api_keys::v1::{
    ExchangeAccessTokenRequest, ExchangeAccessTokenResponse, ExchangeApiKeyRequest, ExchangeApiKeyResponse,
    GetJwksRequest, GetRevocationHeadRequest, GetRevocationHeadResponse, IssueAccessTokenRequest,
    IssueAccessTokenResponse, Jwks, RecordUsesRequest, RecordUsesResponse, WatchRevocationsRequest,
    WatchRevocationsResponse, credential_service_server::CredentialService,
    issue_access_token_request::Proof as ProtoProof,
};
use secrecy::SecretString;
use tokio::sync::watch;
use tonic::{Request, Response, Status, async_trait};

use super::convert;
use crate::{ApiKeys, domain::Error, exchange::Proof, heads::Head, signing::Purpose, store::Store};

/// How many revocations one message carries.
const MESSAGE_ENTRIES_MAX: u64 = 1000;
/// How many uses one message tells of.
const USES_MAX: usize = 10_000;

/// Serves `CredentialService`.
pub(crate) struct CredentialRpc(pub(crate) ApiKeys);

#[async_trait]
impl CredentialService for CredentialRpc {
    async fn exchange_api_key(
        &self,
        request: Request<ExchangeApiKeyRequest>,
    ) -> Result<Response<ExchangeApiKeyResponse>, Status> {
        let ExchangeApiKeyRequest { key, client_address } = request.into_inner();
        let address = convert::address(&client_address)?;
        let issued = self.0.0.exchange.exchange_key(&SecretString::from(key), address).await?;
        let (token, expire_time) = convert::issued(&issued);
        Ok(Response::new(ExchangeApiKeyResponse { token, expire_time }))
    }

    async fn exchange_access_token(
        &self,
        request: Request<ExchangeAccessTokenRequest>,
    ) -> Result<Response<ExchangeAccessTokenResponse>, Status> {
        let text = SecretString::from(request.into_inner().access_token);
        let issued = self.0.0.exchange.exchange_access_token(&text).await?;
        let (token, expire_time) = convert::issued(&issued);
        Ok(Response::new(ExchangeAccessTokenResponse { token, expire_time }))
    }

    async fn issue_access_token(
        &self,
        request: Request<IssueAccessTokenRequest>,
    ) -> Result<Response<IssueAccessTokenResponse>, Status> {
        let IssueAccessTokenRequest { client_id, proof, client_address } = request.into_inner();
        let address = convert::address(&client_address)?;
        let proof = match proof {
            Some(ProtoProof::ClientSecret(text)) => Proof::Secret(text.into()),
            Some(ProtoProof::ClientAssertion(text)) => Proof::Assertion(text.into()),
            None => return Err(Error::invalid("proof", "a client proves itself by a secret or an assertion").into()),
        };
        let (tenant, issued) = self.0.0.exchange.issue_access_token(&client_id, proof, address).await?;
        let (access_token, expire_time) = convert::issued(&issued);
        Ok(Response::new(IssueAccessTokenResponse { access_token, expire_time, tenant_id: tenant.to_string() }))
    }

    async fn record_uses(&self, request: Request<RecordUsesRequest>) -> Result<Response<RecordUsesResponse>, Status> {
        let uses = request.into_inner().uses;
        if uses.len() > USES_MAX {
            return Err(Error::invalid("uses", format!("tell of at most {USES_MAX} at once")).into());
        }
        let uses = uses.into_iter().map(convert::used).collect::<Result<Vec<_>, _>>()?;
        self.0.0.store.record_uses(uses.into_iter().flatten().collect()).await?;
        Ok(Response::new(RecordUsesResponse {}))
    }

    async fn get_jwks(&self, _: Request<GetJwksRequest>) -> Result<Response<Jwks>, Status> {
        let keys = self.0.0.store.signing_keys().await?;
        // Access tokens are verified here alone: nobody else is to take one for a token.
        let keys = keys.into_iter().filter(|key| key.purpose == Purpose::Token.as_str());
        Ok(Response::new(Jwks { keys: keys.map(convert::jwk).collect() }))
    }

    type WatchRevocationsStream = BoxStream<'static, Result<WatchRevocationsResponse, Status>>;

    async fn watch_revocations(
        &self,
        request: Request<WatchRevocationsRequest>,
    ) -> Result<Response<Self::WatchRevocationsStream>, Status> {
        let after = request.into_inner().after;
        if after < 0 {
            return Err(Error::invalid("after", "a position is 0 or more").into());
        }
        let heads = self.0.0.heads.subscribe();
        let watch = Watch { store: self.0.0.store.clone(), heads, sent: after, head: None };
        let messages = stream::try_unfold(watch, |mut watch| async move {
            let message = watch.next().await?;
            Ok(message.map(|message| (message, watch)))
        });
        Ok(Response::new(messages.boxed()))
    }

    async fn get_revocation_head(
        &self,
        _: Request<GetRevocationHeadRequest>,
    ) -> Result<Response<GetRevocationHeadResponse>, Status> {
        let head = self.0.0.store.head().await?;
        Ok(Response::new(GetRevocationHeadResponse { head }))
    }
}

/// One verifier's stream.
struct Watch {
    store: Store,
    heads: watch::Receiver<Head>,
    /// What the verifier has.
    sent: i64,
    /// The head that was read last, none at the beginning.
    head: Option<i64>,
}

impl Watch {
    /// The next message, or none when the service ends.
    async fn next(&mut self) -> Result<Option<WatchRevocationsResponse>, Error> {
        let head = match self.head {
            Some(head) if head <= self.sent => match self.news().await {
                Some(head) => head,
                None => return Ok(None),
            },
            // The first message, and what did not fit into the last one, wait for nobody.
            Some(_) | None => self.store.head().await?,
        };
        self.head = Some(head);
        // The list may lie before what the verifier has: a restored database. The verifier sees it by the head.
        let entries = if head > self.sent {
            self.store.revocations((self.sent, head), MESSAGE_ENTRIES_MAX).await?
        } else {
            Vec::new()
        };
        let full = u64::try_from(entries.len()).is_ok_and(|length| length >= MESSAGE_ENTRIES_MAX);
        self.sent = if full { entries.last().map_or(head, |last| last.position) } else { head };
        let revocations = entries.into_iter().map(convert::revocation).collect();
        Ok(Some(WatchRevocationsResponse { revocations, head: self.sent }))
    }

    /// The next head that is not old when it is taken: a verifier that reads slowly must not be told of the past as if
    /// it were now.
    async fn news(&mut self) -> Option<i64> {
        loop {
            self.heads.changed().await.ok()?;
            let head = *self.heads.borrow_and_update();
            if head.is_news() {
                return Some(head.position);
            }
        }
    }
}

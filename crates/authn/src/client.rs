//! OAuth 2.0 clients: what they prove themselves by, and what they are given for it.

use std::{
    fmt,
    net::IpAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ids::TenantId;
use proto::{
    Channel,
    api_keys::v1::{
        IssueAccessTokenRequest, IssueAccessTokenResponse, credential_service_client::CredentialServiceClient,
        issue_access_token_request::Proof as ProtoProof,
    },
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The pause before an api-keys that is restarting is asked again.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// What a client proves itself by.
#[derive(Debug)]
pub enum Proof {
    /// The text of an API key.
    Secret(SecretString),
    /// A JWT of the issuer that the client's trust names (RFC 7523 section 2.2).
    Assertion(SecretString),
}

/// An access token.
#[derive(Debug)]
pub struct AccessToken {
    /// Its text, to be shown as a bearer.
    pub text: SecretString,
    /// How long it is good.
    pub expires_in: Duration,
}

/// Why a client is given none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// It is unknown, has ended or proves nothing: which of them is not told.
    #[error("the client is not known or not proven")]
    Invalid,
    /// It is what it says, and lacks the scope `scim`.
    #[error("the client lacks the scope scim")]
    NotForClients,
    /// It is what it says, and names the addresses that it may be used from, of which this is none.
    #[error("the client may not be used from this address")]
    AddressRefused,
    /// It is what it says, and its tenant has used its budget up.
    #[error("the tenant sends more requests than it may")]
    OverBudget {
        /// When there is room for the next.
        retry_after: Duration,
    },
    /// It cannot be checked now.
    #[error("clients cannot be checked now")]
    Unavailable {
        /// When to try again.
        retry_after: Duration,
    },
}

pub(crate) struct Request<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) proof: &'a Proof,
    pub(crate) address: Option<IpAddr>,
}

impl Request<'_> {
    pub(crate) async fn send(
        &self,
        client: &CredentialServiceClient<Channel>,
        deadline: Instant,
    ) -> Result<(TenantId, AccessToken), ClientError> {
        loop {
            let answer = tokio::time::timeout_at(deadline, client.clone().issue_access_token(self.message())).await;
            let status = match answer {
                Ok(Ok(issued)) => return issued_to(issued.into_inner()),
                Ok(Err(status)) => status,
                Err(_) => return Err(UNAVAILABLE),
            };
            // Restarting, it or the issuer of the assertion.
            let again = Instant::now() + RETRY_PAUSE;
            if status.code() != Code::Unavailable || again >= deadline {
                return Err(refused(&status));
            }
            tokio::time::sleep_until(again).await;
        }
    }

    fn message(&self) -> IssueAccessTokenRequest {
        let proof = match self.proof {
            Proof::Secret(secret) => ProtoProof::ClientSecret(secret.expose_secret().to_owned()),
            Proof::Assertion(assertion) => ProtoProof::ClientAssertion(assertion.expose_secret().to_owned()),
        };
        IssueAccessTokenRequest {
            client_id: self.client_id.to_owned(),
            proof: Some(proof),
            client_address: self.address.map(|address| address.to_string()).unwrap_or_default(),
        }
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

fn issued_to(issued: IssueAccessTokenResponse) -> Result<(TenantId, AccessToken), ClientError> {
    let tenant = issued.tenant_id.parse().map_err(|_| {
        tracing::error!("api-keys does not say whose access token it has issued");
        UNAVAILABLE
    })?;
    Ok((tenant, issued.into()))
}

impl From<IssueAccessTokenResponse> for AccessToken {
    fn from(issued: IssueAccessTokenResponse) -> Self {
        let seconds = issued.expire_time.map_or(0, |time| u64::try_from(time.seconds).unwrap_or(0));
        let ends = UNIX_EPOCH + Duration::from_secs(seconds);
        let expires_in = ends.duration_since(SystemTime::now()).unwrap_or_default();
        Self { text: issued.access_token.into(), expires_in }
    }
}

pub(crate) const UNAVAILABLE: ClientError = ClientError::Unavailable { retry_after: Duration::from_secs(1) };

fn refused(status: &Status) -> ClientError {
    let reason = status.get_details_error_info().map(|info| info.reason);
    match (status.code(), reason.as_deref()) {
        (Code::Unauthenticated, _) => ClientError::Invalid,
        (Code::PermissionDenied, Some("NOT_FOR_CLIENTS")) => ClientError::NotForClients,
        (Code::PermissionDenied, Some("ADDRESS_REFUSED")) => ClientError::AddressRefused,
        (code, _) => {
            tracing::warn!(?code, "an access token could not be issued");
            let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
            asked.map_or(UNAVAILABLE, |retry_after| ClientError::Unavailable { retry_after })
        }
    }
}

//! When credentials were used, and from where: told to api-keys now and then, never within a request.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use pbjson_types::Timestamp;
use proto::{
    Channel,
    api_keys::v1::{
        RecordUsesRequest, Use as ProtoUse, credential_service_client::CredentialServiceClient, r#use::Credential,
    },
};

use tonic::Code;

use crate::CredentialId;

/// How often they are told.
pub(crate) const INTERVAL: Duration = Duration::from_secs(30);
/// How many credentials are remembered between two times. The rest is told by whoever uses them again.
const USES_MAX: usize = 10_000;
/// How many are told of in one call, so that none takes long.
const CALL_USES_MAX: usize = 1000;

#[derive(Clone, Copy, Debug)]
struct Use {
    at: SystemTime,
    address: Option<IpAddr>,
}

#[derive(Debug, Default)]
pub(crate) struct Uses(Mutex<HashMap<CredentialId, Use>>);

impl Uses {
    pub(crate) fn record(&self, credential: CredentialId, address: Option<IpAddr>) {
        let used = Use { at: SystemTime::now(), address };
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if uses.len() < USES_MAX || uses.contains_key(&credential) {
            uses.insert(credential, used);
        }
    }

    /// Tells what was used since the last time. What cannot be told now is told later, unless there was a later use.
    pub(crate) async fn tell(&self, client: &mut CredentialServiceClient<Channel>) {
        let uses = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if uses.is_empty() {
            return;
        }
        let uses: Vec<_> = uses.into_iter().collect();
        for uses in uses.chunks(CALL_USES_MAX) {
            let told = uses.iter().map(|(credential, used)| told(*credential, *used)).collect();
            match client.record_uses(RecordUsesRequest { uses: told }).await {
                Ok(_) => {}
                // What is not understood now will not be later.
                Err(status) if status.code() == Code::InvalidArgument => {
                    tracing::warn!(error = status.message(), "api-keys does not take what it is told of uses");
                }
                Err(status) => {
                    tracing::debug!(code = ?status.code(), "when credentials were used could not be told");
                    self.put_back(uses);
                }
            }
        }
    }

    fn put_back(&self, uses: &[(CredentialId, Use)]) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (credential, used) in uses {
            if now.len() < USES_MAX {
                now.entry(*credential).or_insert(*used);
            }
        }
    }
}

fn told(credential: CredentialId, used: Use) -> ProtoUse {
    let since = used.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let credential = match credential {
        CredentialId::ApiKey(id) => Credential::ApiKeyId(id.to_string()),
        CredentialId::Trust(id) => Credential::TrustId(id.to_string()),
    };
    let time = Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(since.subsec_nanos()).unwrap_or_default(),
    };
    let address = used.address.map(|address| address.to_canonical().to_string()).unwrap_or_default();
    ProtoUse { credential: Some(credential), time: Some(time), address }
}

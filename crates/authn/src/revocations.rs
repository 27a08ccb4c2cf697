//! Following the list of revocations, and honouring nothing while it may be out of date (`rules.md` R1).
//!
//! What is known stands in [`State`]; the stream of api-keys moves it on. A stream says how things were when it was
//! written, which after a pause of the network or of this process may be long ago. So once the last head is too old,
//! only the answer to a call that began afterwards makes it young again.

mod state;

use std::{sync::Arc, time::Duration};

use proto::{
    Channel,
    api_keys::v1::{
        GetRevocationHeadRequest, WatchRevocationsRequest, credential_service_client::CredentialServiceClient,
    },
};
use tokio::{
    sync::{Mutex, watch},
    time::{Instant, timeout, timeout_at},
};
use tonic::Status;

use crate::{CredentialId, Error};
use state::State;
pub(crate) use state::Verdict;

/// How long one call for the head may take. Another replica may answer the next.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause after a call for the head that failed, whoever asks.
const CONFIRM_PAUSE: Duration = Duration::from_millis(100);
/// A stream that is silent for this long is given up: heads come every 250 ms.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// The pauses between attempts to open the stream.
const RECONNECT_PAUSE_MIN: Duration = Duration::from_millis(50);
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Revocations {
    client: CredentialServiceClient<Channel>,
    state: watch::Sender<State>,
    /// Held during a call for the head, so that all who wait share it.
    confirming: Mutex<()>,
}

impl Revocations {
    pub(crate) fn new(client: CredentialServiceClient<Channel>) -> Self {
        Self { client, state: watch::Sender::new(State::default()), confirming: Mutex::default() }
    }

    /// Waits until the list was loaded once.
    pub(crate) async fn loaded(&self) {
        // The sender lives as long as `self`, so the wait ends only by its condition.
        let _ = self.state.subscribe().wait_for(State::is_loaded).await;
    }

    /// Whether tokens of one version of a credential, signed by `kid`, are honoured, decided on a list that is known to be current.
    pub(crate) async fn judge(
        &self,
        (credential, version): (CredentialId, i64),
        kid: &str,
        deadline: Instant,
    ) -> Result<Verdict, Error> {
        let arrived = Instant::now();
        if let Some(verdict) = self.state.borrow().verdict(arrived, (credential, version), kid) {
            return Ok(verdict);
        }
        let current = timeout_at(deadline, self.current(arrived)).await;
        current.map_err(|_| Error::UNAVAILABLE)?;
        self.state.borrow().verdict(arrived, (credential, version), kid).ok_or(Error::UNAVAILABLE)
    }

    /// Waits until the list is current for a caller who came at `arrived`.
    async fn current(&self, arrived: Instant) {
        let mut state = self.state.subscribe();
        loop {
            self.confirm(arrived).await;
            // Confirmed; what the head is ahead of the list is on its way by the stream.
            let caught_up = timeout(CONFIRM_TIMEOUT, state.wait_for(|state| state.is_current(arrived))).await;
            if caught_up.is_ok() {
                return;
            }
        }
    }

    /// Calls for the head until an answer to a call that began at or after `arrived` is known.
    async fn confirm(&self, arrived: Instant) {
        let _turn = self.confirming.lock().await;
        while !self.state.borrow().is_confirmed(arrived) {
            let (began, position) = (Instant::now(), self.state.borrow().position());
            let mut client = self.client.clone();
            match timeout(CONFIRM_TIMEOUT, client.get_revocation_head(GetRevocationHeadRequest {})).await {
                Ok(Ok(answer)) => {
                    let head = answer.into_inner().head;
                    self.state.send_modify(|state| state.confirm(head, began, position));
                }
                Ok(Err(status)) => {
                    tracing::debug!(code = ?status.code(), "the head of the revocation list could not be read");
                    tokio::time::sleep(CONFIRM_PAUSE).await;
                }
                Err(_) => tracing::debug!("the head of the revocation list was not read in time"),
            }
        }
    }

    /// Follows the list for ever.
    pub(crate) async fn follow(self: Arc<Self>) {
        let mut pause = RECONNECT_PAUSE_MIN;
        loop {
            let before = self.state.borrow().heard();
            if let Err(status) = self.follow_once().await {
                tracing::debug!(code = ?status.code(), "the stream of revocations was cut");
            }
            let heard = self.state.borrow().heard() != before;
            pause = if heard { RECONNECT_PAUSE_MIN } else { (pause * 2).min(RECONNECT_PAUSE_MAX) };
            tokio::time::sleep(pause).await;
        }
    }

    async fn follow_once(&self) -> Result<(), Status> {
        let (after, generation) = {
            let state = self.state.borrow();
            (state.position(), state.generation())
        };
        let mut client = self.client.clone();
        let mut stream = client.watch_revocations(WatchRevocationsRequest { after }).await?.into_inner();
        loop {
            let message = timeout(SILENCE_MAX, stream.message()).await;
            let Some(message) = message.map_err(|_| Status::deadline_exceeded("silence"))?? else { return Ok(()) };
            let arrived = Instant::now();
            let mut went_back = false;
            self.state.send_modify(|state| went_back = state.apply(message, generation, arrived).is_err());
            if went_back {
                // The database was set back (a restore): what was revoked stays so, and the list is read again from its
                // beginning.
                return Ok(());
            }
            if !self.state.borrow().is_young(arrived) {
                // The first message of all, or the first after a pause. Nobody may be asking; then the list is ready
                // before somebody does.
                let _ = timeout(CONFIRM_TIMEOUT, self.confirm(arrived)).await;
            }
        }
    }
}

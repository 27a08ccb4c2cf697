//! Endpoints and their events between the wire and the domain.

use std::time::Duration;

use ids::EventEndpointId;
use proto::identity::v1::{self as wire, PollEventsRequest};

use crate::{
    domain::{
        DeadLetter, EVENT_IDS_MAX, EndpointKind, Error, EventEndpoint, EventProfile, FeedHead, InvalidField,
        SECRET_OVERLAP, SECRET_OVERLAP_MAX, Stop, Timestamp, event_id, event_position, known_error,
    },
    store::{DeadLetters, Poll},
};

/// How many tokens a poll answers.
const POLL_MAX: i32 = 100;

pub(super) const fn profile(profile: wire::EventProfile) -> EventProfile {
    match profile {
        wire::EventProfile::Unspecified | wire::EventProfile::Scim => EventProfile::Scim,
        wire::EventProfile::Caep => EventProfile::Caep,
    }
}

pub(super) fn poll(request: PollEventsRequest) -> Result<Poll, Error> {
    let PollEventsRequest { event_endpoint_id, max_events, ack, set_errors, .. } = request;
    if ack.len().max(set_errors.len()) > EVENT_IDS_MAX {
        return Err(InvalidField::new("ack", format!("must be at most {EVENT_IDS_MAX}")).into());
    }
    let size = u64::try_from(max_events.unwrap_or(POLL_MAX).min(POLL_MAX))
        .map_err(|_| InvalidField::new("max_events", "must not be negative"))?;
    // What is no event's id acknowledges nothing.
    let acknowledged = ack.iter().filter_map(|jti| event_position(jti)).collect();
    let refused = set_errors.iter().filter_map(|error| {
        let what = known_error(&error.err).map_or_else(|| "refused".to_owned(), |known| format!("refused: {known}"));
        Some((event_position(&error.jti)?, what))
    });
    Ok(Poll { endpoint: id(&event_endpoint_id)?, acknowledged, refused: refused.collect(), size })
}

/// An id that no endpoint can have is one that none has.
pub(super) fn id(text: &str) -> Result<EventEndpointId, Error> {
    text.parse().map_err(|_| Error::NotFound("event endpoint"))
}

pub(super) fn letters(endpoint: &str, event_ids: &[String]) -> Result<DeadLetters, Error> {
    if event_ids.len() > EVENT_IDS_MAX {
        return Err(InvalidField::new("event_ids", format!("must be at most {EVENT_IDS_MAX}")).into());
    }
    let positions: Option<Vec<_>> = event_ids.iter().map(|id| event_position(id)).collect();
    let positions = positions.ok_or(Error::NotFound("dead letter"))?;
    Ok(DeadLetters { endpoint: id(endpoint)?, positions: (!event_ids.is_empty()).then_some(positions) })
}

pub(super) fn overlap(overlap: Option<pbjson_types::Duration>) -> Result<Duration, Error> {
    let Some(overlap) = overlap else { return Ok(SECRET_OVERLAP) };
    let invalid = || InvalidField::new("overlap", "must be up to 30 days");
    let seconds = u64::try_from(overlap.seconds).map_err(|_| invalid())?;
    let nanos = u32::try_from(overlap.nanos).ok().filter(|nanos| *nanos < 1_000_000_000).ok_or_else(invalid)?;
    let overlap = Duration::new(seconds, nanos);
    if overlap <= SECRET_OVERLAP_MAX { Ok(overlap) } else { Err(invalid().into()) }
}

pub(super) fn to_wire(endpoint: EventEndpoint, head: &FeedHead) -> wire::EventEndpoint {
    let kind = match endpoint.kind {
        EndpointKind::Webhook => wire::EventEndpointKind::Webhook,
        EndpointKind::SetPush => wire::EventEndpointKind::SetPush,
        EndpointKind::SetPoll => wire::EventEndpointKind::SetPoll,
    };
    let profile = match (endpoint.kind, endpoint.profile) {
        (EndpointKind::Webhook, _) => wire::EventProfile::Unspecified,
        (_, EventProfile::Scim) => wire::EventProfile::Scim,
        (_, EventProfile::Caep) => wire::EventProfile::Caep,
    };
    let stop = match endpoint.stop {
        None => wire::EventEndpointStop::Unspecified,
        Some(Stop::Administrator) => wire::EventEndpointStop::Administrator,
        Some(Stop::Gone) => wire::EventEndpointStop::Gone,
        Some(Stop::Failing) => wire::EventEndpointStop::Failing,
        Some(Stop::Restored) => wire::EventEndpointStop::Restored,
        Some(Stop::Behind) => wire::EventEndpointStop::Behind,
    };
    let state = match endpoint.stop {
        None => wire::EventEndpointState::Enabled,
        Some(_) => wire::EventEndpointState::Disabled,
    };
    let lag = head.resume(Some(endpoint.position)).map_or(0, |number| head.position.number - number);
    let previous = endpoint.previous_secret_until.filter(|until| *until > Timestamp::now());
    wire::EventEndpoint {
        id: endpoint.id.to_string(),
        kind: kind.into(),
        url: endpoint.url.as_str().to_owned(),
        description: endpoint.description,
        kinds: endpoint.kinds.as_slice().to_vec(),
        state: state.into(),
        stop: stop.into(),
        state_time: Some(endpoint.state_since.into()),
        create_time: Some(endpoint.created_at.into()),
        creator: endpoint.created_by,
        position: endpoint.position.to_string(),
        lag_changes: lag,
        delivered_count: endpoint.delivered,
        last_delivery_time: endpoint.last_delivery_at.map(Into::into),
        failing_since_time: endpoint.health.failing_since.map(Into::into),
        last_failure: endpoint.last_failure,
        retrying_count: endpoint.retrying,
        dead_letter_count: endpoint.dead_letters,
        previous_secret_expire_time: previous.map(Into::into),
        audience: endpoint.audience,
        profile: profile.into(),
    }
}

impl From<DeadLetter> for wire::DeadLetter {
    fn from(letter: DeadLetter) -> Self {
        Self {
            event_id: event_id(letter.position),
            kind: letter.kind,
            subject_id: letter.subject.map(|id| id.to_string()).unwrap_or_default(),
            time: letter.at.map(Into::into),
            attempts: letter.attempts,
            last_attempt_time: Some(letter.last_attempt_at.into()),
            last_failure: letter.last_failure,
        }
    }
}

//! Endpoints that events are sent to: what they are, when what failed is tried again, and when no more is sent.

use std::time::Duration;

use ids::EventEndpointId;
use uuid::Uuid;

use crate::domain::{CHANGE_KINDS, EventProfile, InvalidField, Position, Timestamp};

/// How many endpoints a tenant has at most.
pub(crate) const EVENT_ENDPOINTS_MAX: u64 = 20;
/// How many dead letters one call names.
pub(crate) const EVENT_IDS_MAX: usize = 1000;
/// For how long a secret is signed with after another has taken its place, at most.
pub(crate) const SECRET_OVERLAP_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// And where nothing is said of it.
pub(crate) const SECRET_OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest address, in characters.
const URL_MAX: usize = 2048;
/// The longest audience, in bytes.
const AUDIENCE_MAX: usize = 512;
/// The longest description, in characters.
const DESCRIPTION_MAX: usize = 1024;
/// What the id of an event begins with.
const EVENT_ID_PREFIX: &str = "evt_";
/// What is told of a failure at most, in characters.
const FAILURE_MAX: usize = 200;

/// The pauses between an attempt and the next: the schedule that Standard Webhooks recommends.
const RETRIES: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 60 * 60),
    Duration::from_secs(5 * 60 * 60),
    Duration::from_secs(10 * 60 * 60),
    Duration::from_secs(14 * 60 * 60),
    Duration::from_secs(20 * 60 * 60),
    Duration::from_secs(24 * 60 * 60),
];
/// The longest pause that an endpoint can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How much of a pause is added to it at most, so that what failed together is not tried together again.
const JITTER: f64 = 0.1;
/// After so many failures in a row, without one event taken, an endpoint is taken to be down.
const DOWN_AFTER: i64 = 10;
/// An endpoint that is down is sent one new event after such a pause, which doubles up to the longest.
const PROBE_PAUSE: Duration = Duration::from_secs(5);
const PROBE_PAUSE_MAX: Duration = Duration::from_secs(60);
/// For how long an endpoint may take nothing.
const FAILING_MAX: Duration = Duration::from_secs(5 * 24 * 60 * 60);

/// How events are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndpointKind {
    /// By POST, as Standard Webhooks says.
    Webhook,
    /// Security event tokens by POST (RFC 8935).
    SetPush,
    /// Security event tokens, fetched by the receiver (RFC 8936).
    SetPoll,
}

impl EndpointKind {
    const ALL: [Self; 3] = [Self::Webhook, Self::SetPush, Self::SetPoll];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::SetPush => "set_push",
            Self::SetPoll => "set_poll",
        }
    }

    /// From the store; none for what this release does not know.
    pub(crate) fn stored(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Why nothing is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// An administrator said so.
    Administrator,
    /// The endpoint answered that it wants no more.
    Gone,
    /// It took nothing for too long.
    Failing,
    /// The feed is of another epoch (rule R25).
    Restored,
    /// What follows is kept no more.
    Behind,
}

impl Stop {
    const ALL: [Self; 5] = [Self::Administrator, Self::Gone, Self::Failing, Self::Restored, Self::Behind];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Gone => "gone",
            Self::Failing => "failing",
            Self::Restored => "restored",
            Self::Behind => "behind",
        }
    }

    /// From the store; none for what this release does not know.
    pub(crate) fn stored(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stop| stop.as_str() == text)
    }
}

/// What kinds of changes an endpoint asks for; none is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventKinds(Vec<String>);

impl EventKinds {
    pub(crate) fn parse(kinds: Vec<String>) -> Result<Self, InvalidField> {
        if kinds.iter().all(|kind| CHANGE_KINDS.contains(&kind.as_str())) && kinds.len() <= CHANGE_KINDS.len() {
            return Ok(Self(kinds));
        }
        let problem = format!("must be among {}, each once", CHANGE_KINDS.join(", "));
        Err(InvalidField::new("event_endpoint.kinds", problem))
    }

    /// From the store, which holds only what was parsed, by this release or another.
    pub(crate) const fn stored(kinds: Vec<String>) -> Self {
        Self(kinds)
    }

    pub(crate) fn has(&self, kind: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|own| own == kind)
    }

    pub(crate) const fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn as_slice(&self) -> &[String] {
        &self.0
    }
}

/// An address, as far as its length tells. Whether it may be called, the client knows that calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndpointUrl(String);

impl EndpointUrl {
    pub(crate) fn parse(text: String) -> Result<Self, InvalidField> {
        bounded("event_endpoint.url", text, URL_MAX).map(Self)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// From the store, which holds only what was parsed.
    pub(crate) const fn stored(text: String) -> Self {
        Self(text)
    }

    /// Where that is, without what a path or query may say in confidence.
    pub(crate) fn origin(&self) -> &str {
        let after_scheme = self.0.find("://").map_or(0, |at| at + 3);
        let rest = self.0.get(after_scheme..).unwrap_or_default();
        let end = rest.find(['/', '?', '#']).map_or(self.0.len(), |at| after_scheme + at);
        self.0.get(..end).unwrap_or_default()
    }
}

/// Whom security event tokens are made out to: 1 to 512 characters, none of them a space or a control character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Audience(String);

impl Audience {
    pub(crate) fn parse(text: String) -> Result<Self, InvalidField> {
        const FIELD: &str = "event_endpoint.audience";
        if text.is_empty() || text.len() > AUDIENCE_MAX || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            let problem = format!(
                "must be 1 to {AUDIENCE_MAX} characters, without spaces, for example the address of the receiver"
            );
            return Err(InvalidField::new(FIELD, problem));
        }
        // What tokens of another use are made out to (rule R11).
        if text == authn::token::AUDIENCE || text == authn::token::ACCESS_AUDIENCE {
            return Err(InvalidField::new(FIELD, "is the audience of access tokens"));
        }
        Ok(Self(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an endpoint is for, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndpointDescription(String);

impl EndpointDescription {
    pub(crate) fn parse(text: String) -> Result<Self, InvalidField> {
        bounded("event_endpoint.description", text, DESCRIPTION_MAX).map(Self)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

fn bounded(field: &'static str, text: String, length_max: usize) -> Result<String, InvalidField> {
    if text.chars().count() > length_max {
        return Err(InvalidField::new(field, format!("is longer than {length_max} characters")));
    }
    if text.contains('\0') { Err(InvalidField::new(field, "contains the character U+0000")) } else { Ok(text) }
}

/// An endpoint to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventEndpointDraft {
    pub(crate) kind: EndpointKind,
    pub(crate) url: EndpointUrl,
    pub(crate) description: EndpointDescription,
    pub(crate) kinds: EventKinds,
    /// Of security event tokens: to whom, and what they say.
    pub(crate) tokens: Option<(Audience, EventProfile)>,
}

/// What is to be changed of one; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventEndpointChange {
    pub(crate) url: Option<EndpointUrl>,
    pub(crate) description: Option<EndpointDescription>,
    pub(crate) kinds: Option<EventKinds>,
    /// What is shown to it as `Authorization`, as it is kept.
    pub(crate) sealed_authorization: Option<Vec<u8>>,
}

/// Who is sent events, and how that goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventEndpoint {
    pub(crate) id: EventEndpointId,
    pub(crate) kind: EndpointKind,
    pub(crate) url: EndpointUrl,
    pub(crate) description: String,
    pub(crate) kinds: EventKinds,
    /// Empty of a webhook.
    pub(crate) audience: String,
    pub(crate) profile: EventProfile,
    /// None where events are sent.
    pub(crate) stop: Option<Stop>,
    pub(crate) state_since: Timestamp,
    pub(crate) created_at: Timestamp,
    /// As a caller's actor.
    pub(crate) created_by: String,
    /// Everything up to here was sent, or waits to be tried again.
    pub(crate) position: Position,
    pub(crate) delivered: i64,
    pub(crate) last_delivery_at: Option<Timestamp>,
    pub(crate) health: Health,
    pub(crate) last_failure: String,
    pub(crate) previous_secret_until: Option<Timestamp>,
    pub(crate) retrying: i64,
    pub(crate) dead_letters: i64,
}

/// The id under which an event is sent: the same each time.
pub(crate) fn event_id(position: Position) -> String {
    format!("{EVENT_ID_PREFIX}{position}")
}

/// The position of the change that an event tells; none of what is no event's id.
pub(crate) fn event_position(id: &str) -> Option<Position> {
    Position::parse("event_ids", id.strip_prefix(EVENT_ID_PREFIX)?).ok()
}

/// An event that was not taken, and is not tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeadLetter {
    pub(crate) position: Position,
    pub(crate) kind: String,
    pub(crate) subject: Option<Uuid>,
    pub(crate) at: Option<Timestamp>,
    pub(crate) attempts: i32,
    pub(crate) last_attempt_at: Timestamp,
    pub(crate) last_failure: String,
}

/// What became of an event that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Receipt {
    /// The endpoint has it.
    Taken,
    /// It has not, and wants no more of them.
    Gone,
    /// It has not.
    Failed(DeliveryFailure),
}

/// How a delivery failed: never in the receiver's words, which may hold anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeliveryFailure {
    what: String,
    /// For how long the endpoint wants to hear nothing.
    retry_after: Option<Duration>,
}

impl DeliveryFailure {
    pub(crate) fn new(what: &str, retry_after: Option<Duration>) -> Self {
        Self { what: what.chars().take(FAILURE_MAX).collect(), retry_after }
    }

    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    /// When an event is tried again that was sent `attempts` times; none where it is not. `chance` is in 0 to 1.
    pub(crate) fn next_attempt(&self, attempts: i32, chance: f64, now: Timestamp) -> Option<Timestamp> {
        let sent = usize::try_from(attempts).unwrap_or_default().max(1);
        let pause = RETRIES.get(sent - 1)?;
        let asked = self.retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        let pause = (*pause).max(asked);
        Some(now.after(pause.saturating_add(pause.mul_f64(JITTER * chance.clamp(0.0, 1.0)))))
    }
}

/// Whether an endpoint takes what it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Health {
    /// How many events it did not take since it took one.
    pub(crate) failures_in_row: i64,
    /// Since when.
    pub(crate) failing_since: Option<Timestamp>,
    /// Until when no new event is taken up; what failed is tried again all the same.
    pub(crate) waits_until: Timestamp,
}

impl Health {
    /// The health after some events were sent, of which `taken` were taken and `failed` were not.
    pub(crate) fn after(self, (taken, failed): (usize, usize), now: Timestamp) -> Self {
        if taken > 0 {
            return Self::default();
        }
        if failed == 0 {
            return self;
        }
        let failures_in_row = self.failures_in_row.saturating_add(i64::try_from(failed).unwrap_or(i64::MAX));
        let failing_since = self.failing_since.or(Some(now));
        let waits_until = match u32::try_from(failures_in_row - DOWN_AFTER) {
            Ok(since_down) => {
                let pause = PROBE_PAUSE.saturating_mul(1_u32.checked_shl(since_down.min(8)).unwrap_or(1));
                now.after(pause.min(PROBE_PAUSE_MAX))
            }
            Err(_) => self.waits_until,
        };
        Self { failures_in_row, failing_since, waits_until }
    }

    /// Whether new events are held back but for one now and then, so that an endpoint that is down does not fill the list of what is tried again.
    pub(crate) const fn is_down(self) -> bool {
        self.failures_in_row >= DOWN_AFTER
    }

    /// Whether it has taken nothing for too long.
    pub(crate) fn is_over(self, now: Timestamp) -> bool {
        self.failing_since.is_some_and(|since| since < now.before(FAILING_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000_000_000);

    fn next(attempts: i32, retry_after: Option<u64>, chance: f64) -> Option<u64> {
        let failure = DeliveryFailure::new("status 500", retry_after.map(Duration::from_secs));
        let next = failure.next_attempt(attempts, chance, NOW)?;
        Some(u64::try_from((next.0 - NOW.0) / 1_000_000).unwrap())
    }

    #[test]
    fn what_failed_is_tried_nine_times_again_as_standard_webhooks_recommends() {
        let pauses: Vec<Option<u64>> = (1..=10).map(|attempts| next(attempts, None, 0.0)).collect();
        let hour = 3600;
        let expected = [5, 300, 1800, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, 24 * hour].map(Some);
        assert_eq!(pauses, [&expected[..], &[None]].concat());
        assert_eq!(next(2, None, 1.0), Some(330), "a tenth is left to chance");
        assert_eq!(next(2, None, 7.0), Some(330));
    }

    #[test]
    fn an_endpoint_can_ask_for_a_longer_pause_and_for_no_shorter_one() {
        assert_eq!(next(1, Some(60), 0.0), Some(60));
        assert_eq!(next(2, Some(60), 0.0), Some(300));
        assert_eq!(next(1, Some(u64::MAX), 0.0), Some(86_400));
        assert_eq!(next(10, Some(60), 0.0), None);
    }

    #[test]
    fn an_endpoint_that_takes_nothing_is_down_and_one_event_makes_it_well() {
        let mut health = Health::default().after((0, 9), NOW);
        assert_eq!(
            (health.is_down(), health.waits_until, health.failing_since),
            (false, Timestamp::default(), Some(NOW))
        );
        let later = NOW.after(Duration::from_secs(1));
        for pause in [5, 10, 20, 40, 60, 60, 60] {
            health = health.after((0, 1), later);
            assert!(health.is_down());
            assert_eq!(health.waits_until, later.after(Duration::from_secs(pause)));
            assert_eq!(health.failing_since, Some(NOW), "since the first");
        }
        assert_eq!(health.after((0, 0), later), health);
        assert_eq!(health.after((1, 5), later), Health::default());
        assert!(Health::default().after((0, usize::MAX), NOW).is_down());
    }

    #[test]
    fn five_days_without_a_success_are_too_long() {
        let health = Health::default().after((0, 1), NOW);
        assert!(!health.is_over(NOW.after(FAILING_MAX)));
        assert!(health.is_over(NOW.after(FAILING_MAX + Duration::from_secs(1))));
        assert!(!Health::default().is_over(NOW));
    }

    #[test]
    fn only_kinds_that_there_are_can_be_asked_for() {
        let parse = |kinds: &[&str]| EventKinds::parse(kinds.iter().map(|kind| (*kind).to_owned()).collect());
        assert!(parse(&[]).unwrap().has("user.created"));
        let some = parse(&["user.deleted", "role.changed"]).unwrap();
        assert!(some.has("role.changed") && !some.has("user.created"));
        assert!(parse(CHANGE_KINDS).is_ok());
        for kinds in [&["user"][..], &["user.deactivated"], &[""], &["user.deleted"; 100]] {
            assert_eq!(parse(kinds).unwrap_err().field, "event_endpoint.kinds");
        }
    }

    #[test]
    fn texts_are_bounded() {
        let url = |length: usize| EndpointUrl::parse("é".repeat(length)).is_ok();
        assert!(url(URL_MAX) && !url(URL_MAX + 1));
        let description = |length: usize| EndpointDescription::parse("é".repeat(length)).is_ok();
        assert!(description(DESCRIPTION_MAX) && !description(DESCRIPTION_MAX + 1));
        assert!(EndpointDescription::parse("a\0".to_owned()).is_err());
        assert_eq!(DeliveryFailure::new(&"é".repeat(1000), None).what().chars().count(), FAILURE_MAX);
    }

    #[test]
    fn an_origin_is_told_without_what_follows() {
        for (url, origin) in [
            ("https://example.com/a?b", "https://example.com"),
            ("https://example.com:8443?b", "https://example.com:8443"),
            ("https://example.com", "https://example.com"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(EndpointUrl::stored(url.to_owned()).origin(), origin);
        }
    }

    #[test]
    fn an_id_of_an_event_comes_back_as_it_went() {
        let position = Position { epoch: Uuid::now_v7(), number: 7 };
        assert_eq!(event_position(&event_id(position)), Some(position));
        for id in ["", "evt_", "evt_x", &position.to_string()] {
            assert_eq!(event_position(id), None, "{id}");
        }
    }
}

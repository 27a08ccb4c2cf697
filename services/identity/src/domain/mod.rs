//! What is true of tenants, users, groups and roles, apart from how it is stored or sent.

mod caller;
mod catalogue;
mod change;
mod deactivation_alarm;
mod departure;
mod error;
mod event_endpoint;
mod filter;
mod group;
mod page;
mod profile;
mod provisioning_cycle;
mod provisioning_log;
mod role;
mod role_mapping;
pub(crate) mod search;
mod security_event;
mod tenant;
mod text;
mod time;
mod user;
mod user_attribute;
mod write_note;

pub(crate) use caller::{Caller, Founder};
pub(crate) use case_key::CaseKey;
pub(crate) use catalogue::{Case, Catalogue, Column, Field, FieldType, Place, USER_ATTRIBUTES};
pub(crate) use change::{CHANGE_KINDS, Change, ChangeConsumer, ConsumerName, FeedHead, OutOfRange, Position};
pub(crate) use deactivation_alarm::{ALARM_WINDOW, AlarmState, DeactivationAlarm};
pub(crate) use departure::{Access, DEPARTURES_MAX, Departure, Holder, SUBJECTS_CHECKED_MAX};
pub(crate) use error::{Error, InvalidField};
pub(crate) use event_endpoint::{
    Audience, DeadLetter, DeliveryFailure, EVENT_ENDPOINTS_MAX, EVENT_IDS_MAX, EndpointDescription, EndpointKind,
    EndpointUrl, EventEndpoint, EventEndpointChange, EventEndpointDraft, EventKinds, Health, Receipt, SECRET_OVERLAP,
    SECRET_OVERLAP_MAX, Stop, event_id, event_position,
};
pub(crate) use filter::{
    Comparison, FILTER_DEPTH_MAX, FILTER_TERMS_MAX, Filter, Order, OrderBy, Relation, TextOperator, text_key,
};
pub(crate) use group::{GROUP_CHANGES_MAX, Group, GroupChange, GroupDraft, GroupName, MEMBER_IDS_MAX, Member};
pub(crate) use page::{LISTED_MAX, Listed, Mark, OrderKey, PageStart, Selection, Slice};
pub(crate) use profile::{Address, ContactPoint, Enterprise, PROFILE_BYTES_MAX, PersonName, Profile};
pub(crate) use provisioning_cycle::{Cycle, Drift, Forecast, JudgedCycle, NotJudged, Span, Summary, is_full_pass};
pub(crate) use provisioning_log::{
    CHANGES_MAX, CREDENTIAL_MAX, ENTRIES_MAX, FieldChange, ID_MAX, LogEntry, LogFilter, LogMark, LogOrder, LoggedEntry,
    NOTE_MAX, NOTES_MAX, Note, Operation, ProvisionedType, ProvisioningOutcome, SEEN_MAX, SENTENCE_MAX, SUBJECTS_MAX,
    Subject, VALUE_MAX, subject_key,
};
pub(crate) use role::{
    ADMIN, BUILT_IN, DefaultRole, EffectiveRole, ROLE_MAPPINGS_MAX, ROLES_MAX, Role, RoleAccess, RoleAssignment,
    RoleDraft, RoleId, RoleOrigin, RoleSource, role_keys,
};
pub(crate) use role_mapping::{MappedGroup, RoleMapping};
pub(crate) use security_event::{EventProfile, SecurityEvent, known_error};
pub(crate) use tenant::{ProvisioningState, StateReason, Tenant, TenantName};
pub(crate) use text::{DisplayName, ExternalId};
pub(crate) use time::Timestamp;
pub(crate) use user::{MemberOf, User, UserDraft, UserName};
pub(crate) use user_attribute::{
    AttributeName, AttributeType, AttributeValue, AttributeValues, USER_ATTRIBUTES_MAX, UserAttribute,
    UserAttributeDraft, resolve,
};
pub(crate) use write_note::{WRITE_NOTES_MAX, WriteNote, WriteNotes};

//! What one request says of itself while it is worked on, and its entry at the end.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use authn::{CredentialId, Principal};
use axum::response::Response;
use ids::TenantId;
use proto::identity::v1::{
    Comparison, Filter, Group, GroupChange, Operator, ProvisionedChange, ProvisionedType, ProvisioningEntry,
    ProvisioningNote, ProvisioningOutcome, ProvisioningSubject, User, filter, group_change, value,
};
use scim::Resource;
use scim_entra::Dropped;
use serde_json::{Map, Value};
use telemetry::RequestId;
use tonic::metadata::MetadataMap;
use uuid::Uuid;

use super::{Log, Target, fix, notes, now};
use crate::error::Refusal;

/// What identity takes of an entry.
const SUBJECTS_MAX: usize = 64;
const CHANGES_MAX: usize = 64;
const NOTES_MAX: usize = 32;
const SEEN_MAX: usize = 1000;
pub(super) const ID_MAX: usize = 64;
const VALUE_MAX: usize = 256;
const NOTE_MAX: usize = 512;
const SENTENCE_MAX: usize = 1024;
/// How deep a filter is looked into for what it is about.
const FILTER_DEPTH_MAX: usize = 8;

/// The fields whose values stand in the log: what the story of a person needs.
const TOLD: [&str; 4] = ["userName", "externalId", "displayName", "active"];

/// See the module. Clones are the same one. Without a log it records nothing.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Option<Arc<Recording>>);

struct Recording {
    log: Arc<Log>,
    began: Instant,
    tenant: Mutex<Option<TenantId>>,
    entry: Mutex<ProvisioningEntry>,
    ended: AtomicBool,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It holds what persons are called.
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

/// Ends a recorder when it is dropped, unless it has ended before.
pub(super) struct Abandoned(Recorder);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.end(0, ProvisioningOutcome::Abandoned, |entry| {
            "the client went away before it was answered; what it asked may have been done"
                .clone_into(&mut entry.cause);
        });
    }
}

impl Recorder {
    pub(super) fn of(log: Option<Arc<Log>>, target: Target) -> Self {
        let Some(log) = log else { return Self(None) };
        let entry = ProvisioningEntry {
            id: Uuid::now_v7().to_string(),
            time: Some(now()),
            request_id: RequestId::current().map(|id| id.to_string()).unwrap_or_default(),
            trace_id: telemetry::propagation::current_trace_id().unwrap_or_default(),
            operation: target.operation.into(),
            resource_type: target.resource_type.into(),
            resource_id: target.id,
            ..ProvisioningEntry::default()
        };
        let (tenant, entry, ended) = (Mutex::new(None), Mutex::new(entry), AtomicBool::new(false));
        Self(Some(Arc::new(Recording { log, began: Instant::now(), tenant, entry, ended })))
    }

    /// Whether anything is recorded.
    pub(crate) const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The recorder of an operation of a bulk request, on behalf of the same caller.
    pub(crate) fn operation(&self, target: Target) -> Self {
        let Some(recording) = &self.0 else { return Self(None) };
        let operation = Self::of(Some(Arc::clone(&recording.log)), target);
        if let Some(of_operation) = &operation.0 {
            let (of_request, mut entry) = (recording.entry(), of_operation.entry());
            entry.credential.clone_from(&of_request.credential);
            // A bulk request is carried out in a task of its own, which knows neither.
            entry.request_id.clone_from(&of_request.request_id);
            entry.trace_id.clone_from(&of_request.trace_id);
            *of_operation.tenant() = *recording.tenant();
        }
        operation
    }

    /// Ends as abandoned when the result is dropped, unless it was answered.
    pub(super) const fn abandoned_unless_answered(self) -> Abandoned {
        Abandoned(self)
    }

    /// Says who calls.
    pub(crate) fn caller(&self, principal: &Principal) {
        self.holder(principal.tenant, principal.credential);
    }

    /// Says whose the credential is that was shown.
    pub(crate) fn holder(&self, tenant: TenantId, credential: CredentialId) {
        self.with(|recording, entry| {
            *recording.tenant() = Some(tenant);
            entry.credential = credential.to_string();
        });
    }

    /// Notes attributes that were dropped and not been told of today.
    pub(crate) fn dropped(&self, dropped: &[Dropped]) {
        self.with(|_, entry| {
            for Dropped { attribute, reason } in dropped {
                let text = format!("{attribute} was dropped ({})", reason.as_str().replace('_', " "));
                note(entry, &text, reason.remedy());
            }
        });
    }

    /// Notes what else an administrator should know.
    pub(crate) fn noted(&self, text: &str, fix: &str) {
        self.with(|_, entry| note(entry, text, fix));
    }

    /// Notes what identity says of a write beside its answer.
    pub(crate) fn answered_with(&self, metadata: &MetadataMap) {
        let said = notes::of(metadata);
        if !said.is_empty() {
            self.with(|_, entry| said.iter().for_each(|(text, fix)| note(entry, text, fix)));
        }
    }

    /// Says which resource was sent to be made, or put in another's place.
    pub(crate) fn sent(&self, resource: &Resource<'_>) {
        let (kind, object) = (type_of(resource.definition().resource_type()), resource.as_object());
        self.with(|_, entry| {
            for name in ["userName", "externalId", "displayName"] {
                // What a person is called otherwise names nobody.
                let names = name != "displayName" || kind == ProvisionedType::Group;
                if let Some(value) = object.get(name).and_then(Value::as_str).filter(|_| names) {
                    subject(entry, kind, name, value);
                }
            }
            changed(entry, &Map::new(), object);
        });
    }

    /// Says what a user was and what it becomes.
    pub(crate) fn edited(&self, before: &Map<String, Value>, after: &Map<String, Value>) {
        self.with(|_, entry| {
            // A write that came between makes it compute anew.
            entry.changes.clear();
            changed(entry, before, after);
        });
    }

    /// Says what is changed of a group.
    pub(crate) fn group_changes(&self, changes: &[GroupChange]) {
        self.with(|_, entry| {
            for change in changes.iter().filter_map(|change| change.kind.as_ref()) {
                group_change(entry, change);
            }
        });
    }

    /// Says who are the first members of a group.
    pub(crate) fn members(&self, ids: &[String]) {
        if !ids.is_empty() {
            self.with(|_, entry| members(entry, ids, ids.len(), 0));
        }
    }

    /// Says which user was read, made or written.
    pub(crate) fn user(&self, user: &User) {
        self.with(|_, entry| {
            entry.resource_id.clone_from(&user.id);
            subject(entry, ProvisionedType::User, "userName", &user.user_name);
            saw(entry, &user.id);
        });
    }

    /// Says which group was read, made or written.
    pub(crate) fn group(&self, group: &Group) {
        self.with(|_, entry| {
            entry.resource_id.clone_from(&group.id);
            subject(entry, ProvisionedType::Group, "displayName", &group.display_name);
        });
    }

    /// Says what was looked for among resources of a type.
    pub(crate) fn asked(&self, kind: ProvisionedType, filter: Option<&Filter>) {
        if let Some(filter) = filter {
            self.with(|_, entry| asked(entry, kind, ("", filter), FILTER_DEPTH_MAX));
        }
    }

    /// Says which users were found, of how many.
    pub(crate) fn found_users(&self, users: &[User], total: i64) {
        self.with(|_, entry| {
            found(entry, total, (users.len(), users.first().map(|user| user.id.as_str())));
            for user in users {
                saw(entry, &user.id);
            }
        });
    }

    /// Says which groups were found, of how many.
    pub(crate) fn found_groups(&self, groups: &[Group], total: i64) {
        self.with(|_, entry| found(entry, total, (groups.len(), groups.first().map(|group| group.id.as_str()))));
    }

    /// Says how many operations a bulk request holds.
    pub(crate) fn operations(&self, count: usize) {
        self.with(|_, entry| entry.count = i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Ends with an answer.
    pub(crate) fn answered(&self, response: &Response) {
        let status = response.status().as_u16();
        self.end(status, outcome(status), |entry| {
            if let Some(refusal) = response.extensions().get::<Refusal>() {
                refused(entry, refusal);
            }
        });
    }

    /// Ends with a refusal, where no answer is made of it.
    pub(crate) fn refused(&self, refusal: &Refusal) {
        let status = refusal.error().status;
        self.end(status, outcome(status), |entry| refused(entry, refusal));
    }

    fn with(&self, act: impl FnOnce(&Recording, &mut ProvisioningEntry)) {
        if let Some(recording) = &self.0 {
            act(recording, &mut recording.entry());
        }
    }

    fn end(&self, status: u16, outcome: ProvisioningOutcome, act: impl FnOnce(&mut ProvisioningEntry)) {
        let Some(recording) = &self.0 else { return };
        if recording.ended.swap(true, Ordering::Relaxed) {
            return;
        }
        let Some(tenant) = recording.tenant().filter(|tenant| *tenant != TenantId::OPERATOR) else {
            if status == 401 {
                recording.log.note_nobodys();
            }
            return;
        };
        let mut entry = std::mem::take(&mut *recording.entry());
        if status == 401 && !recording.log.keeps_refused(&entry.credential) {
            return recording.log.lose(tenant, 1);
        }
        entry.tenant_id = tenant.to_string();
        entry.elapsed_us = i64::try_from(recording.began.elapsed().as_micros()).unwrap_or(i64::MAX);
        entry.status = status.into();
        entry.outcome = outcome.into();
        act(&mut entry);
        recording.log.keep(tenant, entry);
    }
}

impl Recording {
    fn entry(&self) -> MutexGuard<'_, ProvisioningEntry> {
        self.entry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tenant(&self) -> MutexGuard<'_, Option<TenantId>> {
        self.tenant.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn outcome(status: u16) -> ProvisioningOutcome {
    match status {
        0..400 => ProvisioningOutcome::Succeeded,
        429 | 503 => ProvisioningOutcome::Postponed,
        400..500 => ProvisioningOutcome::Refused,
        _ => ProvisioningOutcome::Failed,
    }
}

fn refused(entry: &mut ProvisioningEntry, refusal: &Refusal) {
    let error = refusal.error();
    entry.scim_type = error.scim_type.map(|scim_type| scim_type.as_str().to_owned()).unwrap_or_default();
    entry.reason = refusal.reason().map(|reason| reason.as_str_name().to_owned()).unwrap_or_default();
    entry.cause = cut(&error.detail, SENTENCE_MAX);
    entry.fix = fix::of(refusal).to_owned();
}

pub(super) const fn type_of(resource_type: scim::ResourceType) -> ProvisionedType {
    match resource_type {
        scim::ResourceType::User => ProvisionedType::User,
        scim::ResourceType::Group => ProvisionedType::Group,
    }
}

fn cut(text: &str, longest: usize) -> String {
    if text.chars().nth(longest).is_none() {
        return text.to_owned();
    }
    text.chars().take(longest - 1).chain(['…']).collect()
}

fn note(entry: &mut ProvisioningEntry, text: &str, fix: &str) {
    if entry.notes.len() < NOTES_MAX {
        entry.notes.push(ProvisioningNote { text: cut(text, NOTE_MAX), fix: cut(fix, NOTE_MAX) });
    }
}

fn subject(entry: &mut ProvisioningEntry, kind: ProvisionedType, attribute: &str, value: &str) {
    let value = cut(value, VALUE_MAX);
    let is_known = |known: &ProvisioningSubject| known.attribute == attribute && known.value == value;
    if !value.is_empty() && entry.subjects.len() < SUBJECTS_MAX && !entry.subjects.iter().any(is_known) {
        let attribute = attribute.to_owned();
        entry.subjects.push(ProvisioningSubject { resource_type: kind.into(), attribute, value });
    }
}

fn saw(entry: &mut ProvisioningEntry, id: &str) {
    if let Ok(id) = Uuid::try_parse(id)
        && entry.seen_user_ids.len() < SEEN_MAX
    {
        entry.seen_user_ids.push(id.as_bytes().to_vec());
    }
}

fn found(entry: &mut ProvisioningEntry, total: i64, (listed, first): (usize, Option<&str>)) {
    entry.count = total.max(0);
    // A match: whoever asks about the one that was found finds the question too.
    if let (1, Some(id)) = (listed, first) {
        id.clone_into(&mut entry.resource_id);
    }
}

/// The fields in which two objects differ. Of an extension each attribute is a field.
fn changed(entry: &mut ProvisioningEntry, before: &Map<String, Value>, after: &Map<String, Value>) {
    let (empty, mut names) = (Map::new(), Vec::new());
    for name in before.keys().chain(after.keys().filter(|name| !before.contains_key(*name))) {
        let (old, new) = (before.get(name), after.get(name));
        if old == new || name == "schemas" || name == "members" {
            continue;
        }
        if !name.contains(':') {
            names.push((name.clone(), old, new));
            continue;
        }
        let of = |value: Option<&'_ Value>| value.and_then(Value::as_object).cloned();
        let (old, new) = (of(old).unwrap_or_else(|| empty.clone()), of(new).unwrap_or_else(|| empty.clone()));
        let inner = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
        names.extend(inner.filter(|name| old.get(*name) != new.get(*name)).map(|inner| (inner.clone(), None, None)));
    }
    for (name, old, new) in names {
        let told = |value: Option<&Value>| match value {
            Some(Value::String(text)) if TOLD.contains(&name.as_str()) => cut(text, VALUE_MAX),
            Some(Value::Bool(truth)) if TOLD.contains(&name.as_str()) => truth.to_string(),
            Some(_) | None => String::new(),
        };
        let (before, after) = (told(old), told(new));
        change(entry, ProvisionedChange { field: cut(&name, VALUE_MAX), before, after, added: 0, removed: 0 });
    }
}

fn change(entry: &mut ProvisioningEntry, change: ProvisionedChange) {
    if entry.changes.len() < CHANGES_MAX {
        entry.changes.push(change);
    }
}

fn group_change(entry: &mut ProvisioningEntry, kind: &group_change::Kind) {
    use group_change::Kind;
    let field = |name: &str, after: &str| ProvisionedChange {
        field: name.to_owned(),
        after: cut(after, VALUE_MAX),
        ..ProvisionedChange::default()
    };
    match kind {
        Kind::AddMembers(ids) | Kind::ReplaceMembers(ids) => members(entry, &ids.user_ids, ids.user_ids.len(), 0),
        Kind::RemoveMembers(ids) => members(entry, &ids.user_ids, 0, ids.user_ids.len()),
        Kind::ClearMembers(_) => change(entry, field("members", "")),
        Kind::SetDisplayName(name) => {
            subject(entry, ProvisionedType::Group, "displayName", name);
            change(entry, field("displayName", name));
        }
        Kind::SetExternalId(id) => change(entry, field("externalId", id)),
        Kind::ClearExternalId(_) => change(entry, field("externalId", "")),
    }
}

/// Members who were added or removed. The story of each of the first names the group.
fn members(entry: &mut ProvisioningEntry, ids: &[String], added: usize, removed: usize) {
    for id in ids.iter().take(SUBJECTS_MAX) {
        subject(entry, ProvisionedType::User, "id", id);
    }
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    match entry.changes.iter_mut().find(|change| change.field == "members") {
        Some(change) => {
            change.added += count(added);
            change.removed += count(removed);
        }
        None => change(
            entry,
            ProvisionedChange {
                field: "members".to_owned(),
                added: count(added),
                removed: count(removed),
                ..ProvisionedChange::default()
            },
        ),
    }
}

/// What a filter asks for by its name or id.
fn asked(entry: &mut ProvisioningEntry, kind: ProvisionedType, (list, filter): (&str, &Filter), depth: usize) {
    let (Some(asked_for), Some(depth)) = (&filter.kind, depth.checked_sub(1)) else { return };
    match asked_for {
        filter::Kind::AllOf(filters) | filter::Kind::AnyOf(filters) => {
            for filter in &filters.filters {
                asked(entry, kind, (list, filter), depth);
            }
        }
        filter::Kind::Element(element) => {
            if let Some(filter) = &element.filter {
                asked(entry, kind, (&element.field, filter), depth);
            }
        }
        filter::Kind::Comparison(comparison) => compared(entry, kind, list, comparison),
        filter::Kind::Not(_) | filter::Kind::Present(_) => {}
    }
}

fn compared(entry: &mut ProvisioningEntry, kind: ProvisionedType, list: &str, comparison: &Comparison) {
    let value = comparison.value.as_ref().and_then(|value| value.kind.as_ref());
    let (Operator::Equal, Some(value::Kind::String(value))) = (comparison.operator(), value) else { return };
    let (kind, attribute) = match (list, comparison.field.as_str()) {
        ("", "id") => (kind, "id"),
        ("", "user_name") => (kind, "userName"),
        ("", "external_id") => (kind, "externalId"),
        ("", "display_name") => (kind, "displayName"),
        ("profile.emails", "value") => (kind, "emails.value"),
        ("members", "user_id") => (ProvisionedType::User, "id"),
        ("groups", "group_id") => (ProvisionedType::Group, "id"),
        (_, _) => return,
    };
    subject(entry, kind, attribute, value);
}

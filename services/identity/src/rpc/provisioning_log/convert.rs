//! Entries, conditions and summaries between the wire and the domain.

use ids::TenantId;
use proto::identity::v1::{
    self as wire, ListProvisioningEntriesRequest, ProvisioningEntry, ProvisioningLogOrder, QuarantineForecast,
};
use uuid::Uuid;

use crate::domain::{
    CHANGES_MAX, CREDENTIAL_MAX, Drift, Error, FieldChange, Forecast, ID_MAX, InvalidField, JudgedCycle, LogEntry,
    LogFilter, LogOrder, LoggedEntry, NOTE_MAX, NOTES_MAX, Note, Operation, ProvisionedType, ProvisioningOutcome,
    SEEN_MAX, SENTENCE_MAX, SUBJECTS_MAX, Subject, Summary, Timestamp, VALUE_MAX,
};

/// The reader of one entry of a batch, which it names in what it refuses.
struct Reader(usize);

impl Reader {
    fn invalid(&self, field: &str, problem: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        InvalidField::new(format!("entries[{}].{field}", self.0), problem).into()
    }

    /// A text of a bounded length. What no database keeps is shown as what cannot be shown.
    fn text(&self, field: &str, text: String, longest: usize) -> Result<String, Error> {
        if text.chars().nth(longest).is_some() {
            return Err(self.invalid(field, format!("is longer than {longest} characters")));
        }
        Ok(if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text })
    }

    fn at_most(&self, field: &str, length: usize, most: usize) -> Result<(), Error> {
        if length > most { Err(self.invalid(field, format!("are more than {most}"))) } else { Ok(()) }
    }

    fn count(&self, field: &str, count: i64) -> Result<i64, Error> {
        if count < 0 { Err(self.invalid(field, "must not be negative")) } else { Ok(count) }
    }
}

/// An entry that is to be kept, and whose it is.
pub(super) fn entry(at: usize, entry: ProvisioningEntry) -> Result<(TenantId, LogEntry), Error> {
    let reader = Reader(at);
    let tenant = entry.tenant_id.parse().map_err(|_| reader.invalid("tenant_id", "is no tenant's id"))?;
    let id = Uuid::try_parse(&entry.id).map_err(|_| reader.invalid("id", "is no UUID"))?;
    let at = time(entry.time.as_ref()).ok_or_else(|| reader.invalid("time", "is missing or out of range"))?;
    let operation = operation(entry.operation());
    let outcome = outcome(entry.outcome()).ok_or_else(|| reader.invalid("outcome", "is missing"))?;
    let resource_type = resource_type(entry.resource_type());
    reader.at_most("subjects", entry.subjects.len(), SUBJECTS_MAX)?;
    reader.at_most("changes", entry.changes.len(), CHANGES_MAX)?;
    reader.at_most("notes", entry.notes.len(), NOTES_MAX)?;
    reader.at_most("seen_user_ids", entry.seen_user_ids.len(), SEEN_MAX)?;
    let seen = entry.seen_user_ids.iter().map(|id| Uuid::from_slice(id));
    let seen = seen.collect::<Result<_, _>>().map_err(|_| reader.invalid("seen_user_ids", "holds what is no UUID"))?;
    let kept = LogEntry {
        id,
        at,
        elapsed_us: reader.count("elapsed_us", entry.elapsed_us)?,
        credential: reader.text("credential", entry.credential, CREDENTIAL_MAX)?,
        request_id: reader.text("request_id", entry.request_id, ID_MAX)?,
        trace_id: reader.text("trace_id", entry.trace_id, ID_MAX)?,
        operation,
        resource_type,
        resource_id: reader.text("resource_id", entry.resource_id, ID_MAX)?,
        subjects: entry.subjects.into_iter().map(|one| subject(&reader, one)).collect::<Result<_, _>>()?,
        status: entry.status,
        outcome,
        scim_type: reader.text("scim_type", entry.scim_type, ID_MAX)?,
        reason: reader.text("reason", entry.reason, ID_MAX)?,
        cause: reader.text("cause", entry.cause, SENTENCE_MAX)?,
        fix: reader.text("fix", entry.fix, SENTENCE_MAX)?,
        changes: entry.changes.into_iter().map(|one| change(&reader, one)).collect::<Result<_, _>>()?,
        notes: entry.notes.into_iter().map(|one| note(&reader, one)).collect::<Result<_, _>>()?,
        count: reader.count("count", entry.count)?,
        lost: reader.count("lost_count", entry.lost_count)?,
        seen,
    };
    Ok((tenant, kept))
}

fn subject(reader: &Reader, subject: wire::ProvisioningSubject) -> Result<Subject, Error> {
    let kind = resource_type(subject.resource_type());
    Ok(Subject {
        resource_type: kind.ok_or_else(|| reader.invalid("subjects.resource_type", "is missing"))?,
        attribute: reader.text("subjects.attribute", subject.attribute, ID_MAX)?,
        value: reader.text("subjects.value", subject.value, VALUE_MAX)?,
    })
}

fn change(reader: &Reader, change: wire::ProvisionedChange) -> Result<FieldChange, Error> {
    Ok(FieldChange {
        field: reader.text("changes.field", change.field, VALUE_MAX)?,
        before: reader.text("changes.before", change.before, VALUE_MAX)?,
        after: reader.text("changes.after", change.after, VALUE_MAX)?,
        added: reader.count("changes.added", change.added)?,
        removed: reader.count("changes.removed", change.removed)?,
    })
}

fn note(reader: &Reader, note: wire::ProvisioningNote) -> Result<Note, Error> {
    let text = reader.text("notes.text", note.text, NOTE_MAX)?;
    Ok(Note { text, fix: reader.text("notes.fix", note.fix, NOTE_MAX)? })
}

/// Which entries are asked for, and in what order.
pub(super) fn conditions(request: &ListProvisioningEntriesRequest) -> Result<(LogFilter, LogOrder), Error> {
    let name = |field: &'static str, name: &str| {
        let is_short = name.chars().nth(VALUE_MAX).is_none() && !name.contains('\0');
        if is_short { Ok(name.to_owned()) } else { Err(InvalidField::new(field, "is longer than 256 characters")) }
    };
    let about = match (request.user.as_str(), request.group.as_str()) {
        ("", "") => None,
        (user, "") => Some((ProvisionedType::User, name("user", user)?)),
        ("", group) => Some((ProvisionedType::Group, name("group", group)?)),
        (_, _) => return Err(InvalidField::new("group", "cannot stand beside user").into()),
    };
    let moment = |field: &'static str, at: Option<&pbjson_types::Timestamp>| match at {
        None => Ok(None),
        Some(at) => match time(Some(at)) {
            Some(at) => Ok(Some(at)),
            None => Err(InvalidField::new(field, "is out of range")),
        },
    };
    let order = match request.order() {
        ProvisioningLogOrder::Unspecified | ProvisioningLogOrder::NewestFirst => LogOrder::NewestFirst,
        ProvisioningLogOrder::OldestFirst => LogOrder::OldestFirst,
        ProvisioningLogOrder::Arrival => LogOrder::Arrival,
    };
    let filter = LogFilter {
        about,
        outcome: outcome(request.outcome()),
        from: moment("start_time", request.start_time.as_ref())?,
        until: moment("end_time", request.end_time.as_ref())?,
    };
    Ok((filter, order))
}

/// A time of the wire; none where there is none or it cannot be stored.
fn time(time: Option<&pbjson_types::Timestamp>) -> Option<Timestamp> {
    let time = time?;
    if !(0..1_000_000_000).contains(&time.nanos) {
        return None;
    }
    Some(Timestamp(time.seconds.checked_mul(1_000_000)?.checked_add(i64::from(time.nanos) / 1000)?))
}

/// None for an entry about no request.
const fn operation(operation: wire::ProvisioningOperation) -> Option<Operation> {
    use wire::ProvisioningOperation as Wire;
    match operation {
        Wire::Unspecified => None,
        Wire::List => Some(Operation::List),
        Wire::Get => Some(Operation::Get),
        Wire::Create => Some(Operation::Create),
        Wire::Replace => Some(Operation::Replace),
        Wire::Patch => Some(Operation::Patch),
        Wire::Delete => Some(Operation::Delete),
        Wire::Bulk => Some(Operation::Bulk),
        Wire::Discover => Some(Operation::Discover),
        Wire::Other => Some(Operation::Other),
    }
}

const fn operation_to_wire(operation: Option<Operation>) -> wire::ProvisioningOperation {
    use wire::ProvisioningOperation as Wire;
    match operation {
        None => Wire::Unspecified,
        Some(Operation::List) => Wire::List,
        Some(Operation::Get) => Wire::Get,
        Some(Operation::Create) => Wire::Create,
        Some(Operation::Replace) => Wire::Replace,
        Some(Operation::Patch) => Wire::Patch,
        Some(Operation::Delete) => Wire::Delete,
        Some(Operation::Bulk) => Wire::Bulk,
        Some(Operation::Discover) => Wire::Discover,
        Some(Operation::Other) => Wire::Other,
    }
}

const fn outcome(outcome: wire::ProvisioningOutcome) -> Option<ProvisioningOutcome> {
    use wire::ProvisioningOutcome as Wire;
    match outcome {
        Wire::Unspecified => None,
        Wire::Succeeded => Some(ProvisioningOutcome::Succeeded),
        Wire::Refused => Some(ProvisioningOutcome::Refused),
        Wire::Postponed => Some(ProvisioningOutcome::Postponed),
        Wire::Failed => Some(ProvisioningOutcome::Failed),
        Wire::Abandoned => Some(ProvisioningOutcome::Abandoned),
        Wire::Lost => Some(ProvisioningOutcome::Lost),
    }
}

const fn outcome_to_wire(outcome: ProvisioningOutcome) -> wire::ProvisioningOutcome {
    use wire::ProvisioningOutcome as Wire;
    match outcome {
        ProvisioningOutcome::Succeeded => Wire::Succeeded,
        ProvisioningOutcome::Refused => Wire::Refused,
        ProvisioningOutcome::Postponed => Wire::Postponed,
        ProvisioningOutcome::Failed => Wire::Failed,
        ProvisioningOutcome::Abandoned => Wire::Abandoned,
        ProvisioningOutcome::Lost => Wire::Lost,
    }
}

const fn resource_type(resource_type: wire::ProvisionedType) -> Option<ProvisionedType> {
    match resource_type {
        wire::ProvisionedType::Unspecified => None,
        wire::ProvisionedType::User => Some(ProvisionedType::User),
        wire::ProvisionedType::Group => Some(ProvisionedType::Group),
    }
}

const fn type_to_wire(resource_type: Option<ProvisionedType>) -> wire::ProvisionedType {
    match resource_type {
        None => wire::ProvisionedType::Unspecified,
        Some(ProvisionedType::User) => wire::ProvisionedType::User,
        Some(ProvisionedType::Group) => wire::ProvisionedType::Group,
    }
}

/// An entry of the log.
pub(in crate::rpc) fn to_wire(tenant: TenantId, logged: LoggedEntry) -> ProvisioningEntry {
    let LoggedEntry { position, entry } = logged;
    ProvisioningEntry {
        position,
        id: entry.id.to_string(),
        tenant_id: tenant.to_string(),
        time: Some(entry.at.into()),
        elapsed_us: entry.elapsed_us,
        credential: entry.credential,
        request_id: entry.request_id,
        trace_id: entry.trace_id,
        operation: operation_to_wire(entry.operation).into(),
        resource_type: type_to_wire(entry.resource_type).into(),
        resource_id: entry.resource_id,
        subjects: entry.subjects.into_iter().map(Into::into).collect(),
        status: entry.status,
        outcome: outcome_to_wire(entry.outcome).into(),
        scim_type: entry.scim_type,
        reason: entry.reason,
        cause: entry.cause,
        fix: entry.fix,
        changes: entry.changes.into_iter().map(Into::into).collect(),
        notes: entry.notes.into_iter().map(|Note { text, fix }| wire::ProvisioningNote { text, fix }).collect(),
        count: entry.count,
        lost_count: entry.lost,
        seen_user_ids: Vec::new(),
    }
}

impl From<Subject> for wire::ProvisioningSubject {
    fn from(subject: Subject) -> Self {
        let Subject { resource_type, attribute, value } = subject;
        Self { resource_type: type_to_wire(Some(resource_type)).into(), attribute, value }
    }
}

impl From<FieldChange> for wire::ProvisionedChange {
    fn from(change: FieldChange) -> Self {
        let FieldChange { field, before, after, added, removed } = change;
        Self { field, before, after, added, removed }
    }
}

impl From<Summary> for wire::ProvisioningSummary {
    fn from(summary: Summary) -> Self {
        Self {
            last_contact_time: summary.last_contact.map(Into::into),
            last_success_time: summary.last_success.map(Into::into),
            cycles: summary.cycles.into_iter().map(Into::into).collect(),
            lost_count: summary.lost,
        }
    }
}

impl From<JudgedCycle> for wire::ProvisioningCycle {
    fn from(judged: JudgedCycle) -> Self {
        let JudgedCycle { credential, cycle, ended, drift } = judged;
        let (drift, drift_not_judged) = match drift {
            Ok(drift) => (Some(drift.into()), String::new()),
            Err(reason) => (None, reason.to_string()),
        };
        let forecast = match cycle.forecast() {
            Forecast::Clear => QuarantineForecast::Clear,
            Forecast::AtRisk => QuarantineForecast::AtRisk,
            Forecast::Expected => QuarantineForecast::Expected,
        };
        Self {
            credential,
            start_time: Some(cycle.span.begun.into()),
            last_time: Some(cycle.span.last.into()),
            ended,
            request_count: cycle.requests,
            created_count: cycle.created,
            updated_count: cycle.updated,
            disabled_count: cycle.disabled,
            deleted_count: cycle.deleted,
            failed_count: cycle.failed,
            reference_failed_count: cycle.references_failed,
            seen_user_count: cycle.seen_users,
            drift,
            drift_not_judged,
            quarantine_forecast: forecast.into(),
            quarantine_reason: cycle.forecast_reason(),
        }
    }
}

impl From<Drift> for wire::ProvisioningDrift {
    fn from(drift: Drift) -> Self {
        Self {
            start_time: Some(drift.pass.begun.into()),
            end_time: Some(drift.pass.last.into()),
            active_user_count: drift.active,
            unseen_user_count: drift.unseen,
        }
    }
}

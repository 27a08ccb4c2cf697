//! An entry in words.

use proto::identity::v1::{
    ProvisionedChange, ProvisionedType, ProvisioningEntry, ProvisioningOperation, ProvisioningOutcome,
};

use super::at;
use crate::commands::short;

/// How many names of an entry are shown, and how many of what it changed.
const NAMES_MAX: usize = 4;
const CHANGES_MAX: usize = 12;

/// The cells of a line.
pub(super) fn cells(entry: &ProvisioningEntry) -> Vec<String> {
    let told = match (entry.cause.as_str(), changes(entry)) {
        ("", changes) if changes.is_empty() => {
            notes(entry).next().map_or_else(|| "-".to_owned(), |(text, _)| text.to_owned())
        }
        ("", changes) => changes,
        (cause, _) => cause.to_owned(),
    };
    let status = if entry.status == 0 { "-".to_owned() } else { entry.status.to_string() };
    vec![at(entry.time.as_ref()), status, outcome(entry), asked(entry), about(entry), took(entry), told]
}

/// The entry in a few lines, as a part of a story.
pub(super) fn told(entry: &ProvisioningEntry) -> String {
    let status = if entry.status == 0 { String::new() } else { format!("{} ", entry.status) };
    let mut text = format!(
        "{}  {}  {status}{}  ({}, {})\n",
        at(entry.time.as_ref()),
        asked(entry),
        outcome(entry),
        took(entry),
        entry.credential
    );
    let mut line = |name: &str, words: &str| {
        if !words.is_empty() {
            text.push_str(&format!("    {name:<8}{words}\n"));
        }
    };
    line("about", &about(entry));
    line("changed", &changes(entry));
    line("cause", &entry.cause);
    line("fix", &entry.fix);
    for (note, fix) in notes(entry) {
        line("note", note);
        line("fix", fix);
    }
    line("request", &entry.request_id);
    text
}

fn notes(entry: &ProvisioningEntry) -> impl Iterator<Item = (&str, &str)> {
    entry.notes.iter().map(|note| (note.text.as_str(), note.fix.as_str()))
}

fn outcome(entry: &ProvisioningEntry) -> String {
    match entry.outcome() {
        ProvisioningOutcome::Lost => format!("{} lost", entry.lost_count),
        outcome => short(outcome.as_str_name(), "PROVISIONING_OUTCOME_"),
    }
}

fn asked(entry: &ProvisioningEntry) -> String {
    if entry.operation() == ProvisioningOperation::Unspecified {
        return "-".to_owned();
    }
    let operation = short(entry.operation().as_str_name(), "PROVISIONING_OPERATION_");
    match entry.resource_type() {
        ProvisionedType::Unspecified => operation,
        of => format!("{operation} {}", short(of.as_str_name(), "PROVISIONED_TYPE_")),
    }
}

/// What the entry is about: by its names, else by its id.
fn about(entry: &ProvisioningEntry) -> String {
    let mut names: Vec<String> = Vec::new();
    for subject in &entry.subjects {
        let name = if subject.attribute == "id" { format!("id {}", subject.value) } else { subject.value.clone() };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() && !entry.resource_id.is_empty() {
        names.push(entry.resource_id.clone());
    }
    let more = names.len().saturating_sub(NAMES_MAX);
    names.truncate(NAMES_MAX);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    if names.is_empty() { "-".to_owned() } else { format!("{}{more}", names.join(", ")) }
}

fn took(entry: &ProvisioningEntry) -> String {
    let tenths = entry.elapsed_us / 100;
    format!("{}.{} ms", tenths / 10, tenths % 10)
}

fn changes(entry: &ProvisioningEntry) -> String {
    let mut changes: Vec<String> = entry.changes.iter().take(CHANGES_MAX).map(change).collect();
    if entry.changes.len() > CHANGES_MAX {
        changes.push(format!("and {} more", entry.changes.len() - CHANGES_MAX));
    }
    changes.join(", ")
}

fn change(change: &ProvisionedChange) -> String {
    let ProvisionedChange { field, before, after, added, removed } = change;
    match (before.as_str(), after.as_str(), *added, *removed) {
        ("", "", 0, 0) => field.clone(),
        ("", "", added, 0) => format!("{field} +{added}"),
        ("", "", 0, removed) => format!("{field} -{removed}"),
        ("", "", added, removed) => format!("{field} +{added} -{removed}"),
        ("", after, _, _) => format!("{field} = {after}"),
        (before, "", _, _) => format!("{field} (was {before})"),
        (before, after, _, _) => format!("{field} {before} → {after}"),
    }
}

#[cfg(test)]
mod tests {
    use pbjson_types::Timestamp;
    use proto::identity::v1::{ProvisioningNote, ProvisioningSubject};

    use super::*;

    fn entry() -> ProvisioningEntry {
        let subject = |attribute: &str, value: &str| ProvisioningSubject {
            resource_type: ProvisionedType::User.into(),
            attribute: attribute.to_owned(),
            value: value.to_owned(),
        };
        let change = |field: &str, before: &str, after: &str| ProvisionedChange {
            field: field.to_owned(),
            before: before.to_owned(),
            after: after.to_owned(),
            ..ProvisionedChange::default()
        };
        ProvisioningEntry {
            time: Some(Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            elapsed_us: 12_345,
            credential: "key:k".to_owned(),
            request_id: "r1".to_owned(),
            operation: ProvisioningOperation::Patch.into(),
            resource_type: ProvisionedType::User.into(),
            resource_id: "u1".to_owned(),
            subjects: vec![subject("userName", "ada"), subject("id", "u1")],
            status: 200,
            outcome: ProvisioningOutcome::Succeeded.into(),
            changes: vec![change("active", "true", "false"), change("title", "", "")],
            notes: vec![ProvisioningNote { text: "shoeSize was dropped".to_owned(), fix: "define it".to_owned() }],
            ..ProvisioningEntry::default()
        }
    }

    #[test]
    fn a_line_says_what_was_asked_about_whom_and_what_came_of_it() {
        let line = [
            "2023-11-14T22:13:20Z",
            "200",
            "succeeded",
            "patch user",
            "ada, id u1",
            "12.3 ms",
            "active true → false, title",
        ];
        assert_eq!(cells(&entry()), line);
        let lost = ProvisioningEntry {
            outcome: ProvisioningOutcome::Lost.into(),
            lost_count: 7,
            ..ProvisioningEntry::default()
        };
        assert_eq!(cells(&lost)[1..5], ["-", "7 lost", "-", "-"]);
        let refused = ProvisioningEntry { cause: "userName is taken".to_owned(), ..entry() };
        assert_eq!(cells(&refused)[6], "userName is taken");
    }

    #[test]
    fn a_story_tells_cause_and_fix() {
        let entry = ProvisioningEntry { cause: "it is taken".to_owned(), fix: "rename it".to_owned(), ..entry() };
        let expected = "2023-11-14T22:13:20Z  patch user  200 succeeded  (12.3 ms, key:k)\n    about   ada, id u1\n    changed active true → false, \
                        title\n    cause   it is taken\n    fix     rename it\n    note    shoeSize was dropped\n    fix     define it\n    request r1\n";
        assert_eq!(told(&entry), expected);
    }
}

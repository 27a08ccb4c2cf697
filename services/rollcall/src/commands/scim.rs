//! `rollcall scim …`: what a tenant's directory may do.

use std::{
    io,
    time::{Duration, SystemTime},
};

use clap::Subcommand;
use proto::identity::v1::{
    DeactivationAlarm, GetProvisioningSummaryRequest, ProvisioningCycle, ProvisioningState, ProvisioningSummary,
    QuarantineForecast, SetDeactivationAlarmRequest, SetProvisioningStateRequest, Tenant,
};
use serde::Serialize;

use crate::{
    commands::{age, moment, tenant},
    duration::in_words,
    failure::Failure,
    output,
    session::Session,
};

/// How long a pause may last before it is warned of.
const PAUSE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How long an alarm is told of.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The tenant's provisioning: what its directory may do
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Let the directory read and write
    Enable(Because),
    /// Refuse every request of the directory; Entra then quarantines its job
    Disable(Because),
    /// Answer reads, and let writes wait: Entra tries them again later
    Pause(Because),
    /// Answer reads, and try each write without keeping it: Entra is told what it would have done, and to come again later
    Preview(Because),
    /// Set when a directory that takes access from many people within an hour is warned of
    Alarm(Alarm),
    /// Show the state and since when, what the directory did last, and whether Entra is about to quarantine its job
    Status,
}

/// Why an administrator does it.
#[derive(clap::Args, Debug)]
pub(crate) struct Because {
    /// Why, for other administrators and for the directory, which is told: at most 256 characters
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    reason: String,
}

/// When the alarm rings, and what it does then.
#[derive(clap::Args, Debug)]
pub(crate) struct Alarm {
    /// The share of those who had access, in percent, beyond which it rings: 1 to 99; 0 turns it off
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..=99))]
    percent: i32,
    /// Pause provisioning when it rings, and not only warn
    #[arg(long)]
    pause: bool,
}

pub(crate) async fn run(command: &Command, session: &Session) -> Result<(), Failure> {
    let before = session.tenant().await?;
    let (state, because) = match command {
        Command::Enable(because) => (ProvisioningState::On, because),
        Command::Disable(because) => (ProvisioningState::Off, because),
        Command::Pause(because) => (ProvisioningState::Paused, because),
        Command::Preview(because) => (ProvisioningState::Preview, because),
        Command::Alarm(Alarm { percent, pause }) => {
            let alarm = Some(DeactivationAlarm { percent: *percent, pauses: *pause, ..DeactivationAlarm::default() });
            let request = SetDeactivationAlarmRequest { tenant_id: before.id.clone(), alarm };
            let after = session.tenants().set_deactivation_alarm(request).await?.into_inner();
            return show(session, &after, None);
        }
        Command::Status => return status(session, &before).await,
    };
    let request = SetProvisioningStateRequest {
        tenant_id: before.id.clone(),
        state: state.into(),
        reason: because.reason.clone(),
    };
    let after = session.tenants().set_provisioning_state(request).await?.into_inner();
    show(session, &after, None)?;
    if let Some(advice) = advice(before.provisioning_state(), state) {
        output::note(advice);
    }
    Ok(())
}

/// A tenant with how its provisioning does, as one object.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    tenant: &'a Tenant,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a ProvisioningSummary>,
}

async fn status(session: &Session, tenant: &Tenant) -> Result<(), Failure> {
    let request = GetProvisioningSummaryRequest { tenant_id: tenant.id.clone() };
    let summary = session.provisioning_log().get_provisioning_summary(request).await?.into_inner();
    show(session, tenant, Some(&summary))?;
    for cycle in &summary.cycles {
        match cycle.quarantine_forecast() {
            QuarantineForecast::Unspecified | QuarantineForecast::Clear => {}
            QuarantineForecast::AtRisk => {
                output::note(format!("Warning: Entra may soon quarantine its job: {}", cycle.quarantine_reason))
            }
            QuarantineForecast::Expected => {
                output::note(format!("Warning: Entra is expected to quarantine its job: {}", cycle.quarantine_reason));
            }
        }
    }
    Ok(())
}

/// What a summary says, a line for each cycle.
fn summarised(summary: &ProvisioningSummary) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("last contact", moment(summary.last_contact_time.as_ref())),
        ("last success", moment(summary.last_success_time.as_ref())),
    ];
    for cycle in &summary.cycles {
        let state = if cycle.ended { "ended" } else { "going on" };
        let (begun, last) = (moment(cycle.start_time.as_ref()), moment(cycle.last_time.as_ref()));
        fields.push(("cycle of", cycle.credential.clone()));
        fields.push(("  from", format!("{begun} to {last}, {state}")));
        let ProvisioningCycle { created_count, updated_count, disabled_count, deleted_count, .. } = cycle;
        let failed = cycle.failed_count + cycle.reference_failed_count;
        fields.push((
            "  did",
            format!(
                "{created_count} created, {updated_count} updated, {disabled_count} disabled, {deleted_count} deleted, {failed} failed, of {} requests",
                cycle.request_count
            ),
        ));
        let drift = match &cycle.drift {
            Some(drift) => format!(
                "{} of {} active users are not known to the directory, by its full pass of {}",
                drift.unseen_user_count,
                drift.active_user_count,
                moment(drift.start_time.as_ref())
            ),
            None => format!("not judged: {}", cycle.drift_not_judged),
        };
        fields.push(("  drift", drift));
    }
    if summary.lost_count > 0 {
        fields.push(("lost entries", summary.lost_count.to_string()));
    }
    fields
}

fn show(session: &Session, tenant: &Tenant, summary: Option<&ProvisioningSummary>) -> Result<(), Failure> {
    let since = tenant.provisioning_state_time.as_ref();
    let age = age(since, SystemTime::now());
    let ago = age.map(|age| format!(" ({} ago)", in_words(age))).unwrap_or_default();
    let mut fields = vec![
        ("tenant", tenant.name.clone()),
        ("provisioning", tenant::state(tenant)),
        ("since", format!("{}{ago}", moment(since))),
    ];
    if !tenant.provisioning_state_reason.is_empty() {
        fields.push(("reason", tenant.provisioning_state_reason.clone()));
    }
    fields.extend(tenant.deactivation_alarm.as_ref().map(|alarm| ("alarm", alarm_in_words(alarm))));
    fields.extend(summary.map(summarised).unwrap_or_default());
    output::one(io::stdout(), session.format, &Whole { tenant, summary }, &fields)?;
    if let Some(warning) = tenant.deactivation_alarm.as_ref().and_then(|alarm| rang(alarm, SystemTime::now())) {
        output::note(warning);
    }
    if let Some(warning) = age.and_then(|age| warning(tenant.provisioning_state(), age)) {
        output::note(warning);
    }
    Ok(())
}

/// When the alarm rings and what it does then.
fn alarm_in_words(alarm: &DeactivationAlarm) -> String {
    let DeactivationAlarm { percent, pauses, .. } = alarm;
    if *percent == 0 {
        return "off".to_owned();
    }
    let does = if *pauses { "pauses" } else { "warns" };
    format!("{does} when more than {percent} % of the people, and at least 10, lose access within an hour")
}

/// Word of an alarm that rang within a day.
fn rang(alarm: &DeactivationAlarm, now: SystemTime) -> Option<String> {
    let ago = age(alarm.last_time.as_ref(), now).filter(|ago| *ago < DAY)?;
    let ago = in_words(ago);
    Some(format!(
        "Warning: {ago} ago the directory took access from many people within an hour: rollcall log --since 1d"
    ))
}

/// What an administrator has to know after a change, if anything (R13).
const fn advice(before: ProvisioningState, after: ProvisioningState) -> Option<&'static str> {
    match (before, after) {
        (ProvisioningState::Off, ProvisioningState::On | ProvisioningState::Paused | ProvisioningState::Preview) => {
            Some(
                "If Entra has a provisioning job for this tenant already, press *Restart provisioning* there: it quarantined the job.",
            )
        }
        (_, ProvisioningState::Off) => {
            Some("Entra will quarantine its job. `rollcall scim pause` would let its writes wait instead.")
        }
        (_, ProvisioningState::Paused) => {
            Some("Writes wait until `rollcall scim enable`; do not leave it so for a day.")
        }
        (_, ProvisioningState::Preview) => {
            Some("Nothing is written until `rollcall scim enable`; do not leave it so for a day.")
        }
        _ => None,
    }
}

fn warning(state: ProvisioningState, age: Duration) -> Option<String> {
    let word = match state {
        ProvisioningState::Paused => "paused",
        ProvisioningState::Preview => "in preview",
        ProvisioningState::On | ProvisioningState::Off | ProvisioningState::Unspecified => return None,
    };
    (age >= PAUSE_MAX).then(|| {
        format!(
            "Warning: {word} for {}. People who joined or left since then are not up to date: rollcall scim enable",
            in_words(age)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r13_a_pause_is_warned_of_at_24_hours() {
        let second = Duration::from_secs(1);
        assert_eq!(warning(ProvisioningState::Paused, PAUSE_MAX - second), None);
        assert!(warning(ProvisioningState::Paused, PAUSE_MAX).unwrap().contains("24 hours"));
        assert!(warning(ProvisioningState::Preview, PAUSE_MAX).unwrap().contains("in preview for 24 hours"));
        assert_eq!(warning(ProvisioningState::Off, PAUSE_MAX), None);
    }

    #[test]
    fn an_alarm_is_told_in_words_and_for_a_day() {
        let alarm = |percent, pauses| DeactivationAlarm { percent, pauses, last_time: None };
        assert_eq!(alarm_in_words(&alarm(0, true)), "off");
        assert!(alarm_in_words(&alarm(20, false)).starts_with("warns when more than 20 %"));
        let now = SystemTime::UNIX_EPOCH + DAY;
        let rung =
            DeactivationAlarm { last_time: Some(pbjson_types::Timestamp { seconds: 1, nanos: 0 }), ..alarm(20, true) };
        assert!(rang(&rung, now).is_some() && rang(&rung, now + Duration::from_secs(1)).is_none());
        assert_eq!(rang(&alarm(20, true), now), None);
    }

    #[test]
    fn a_status_tells_of_the_last_cycle_and_why_drift_is_not_judged() {
        let cycle = ProvisioningCycle {
            credential: "key:k".to_owned(),
            created_count: 2,
            failed_count: 1,
            reference_failed_count: 1,
            request_count: 9,
            drift_not_judged: "no full pass".to_owned(),
            ..ProvisioningCycle::default()
        };
        let fields = summarised(&ProvisioningSummary { cycles: vec![cycle], ..ProvisioningSummary::default() });
        let of = |name: &str| fields.iter().find(|(field, _)| *field == name).unwrap().1.as_str();
        assert_eq!(of("  did"), "2 created, 0 updated, 0 disabled, 0 deleted, 2 failed, of 9 requests");
        assert_eq!((of("  drift"), of("last contact")), ("not judged: no full pass", "-"));
    }

    #[test]
    fn r13_turning_on_again_says_to_restart_provisioning() {
        let advice = |before, after| advice(before, after).unwrap_or_default();
        assert!(advice(ProvisioningState::Off, ProvisioningState::On).contains("*Restart provisioning*"));
        assert_eq!(advice(ProvisioningState::Paused, ProvisioningState::On), "");
        assert_eq!(advice(ProvisioningState::On, ProvisioningState::On), "");
    }
}

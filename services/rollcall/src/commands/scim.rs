//! `rollcall scim …`: what a tenant's directory may do.

use std::{
    io,
    time::{Duration, SystemTime},
};

use clap::Subcommand;
use proto::identity::v1::{ProvisioningState, SetProvisioningStateRequest, Tenant};

use crate::{
    commands::{age, moment, tenant},
    duration::in_words,
    failure::Failure,
    output,
    session::Session,
};

/// How long a pause may last before it is warned of.
const PAUSE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

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
    /// Show the state and since when
    Status,
}

/// Why an administrator does it.
#[derive(clap::Args, Debug)]
pub(crate) struct Because {
    /// Why, for other administrators: at most 256 characters
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    reason: String,
}

pub(crate) async fn run(command: &Command, session: &Session) -> Result<(), Failure> {
    let before = session.tenant().await?;
    let (state, because) = match command {
        Command::Enable(because) => (ProvisioningState::On, because),
        Command::Disable(because) => (ProvisioningState::Off, because),
        Command::Pause(because) => (ProvisioningState::Paused, because),
        Command::Preview(because) => (ProvisioningState::Preview, because),
        Command::Status => return show(session, &before),
    };
    let request = SetProvisioningStateRequest {
        tenant_id: before.id.clone(),
        state: state.into(),
        reason: because.reason.clone(),
    };
    let after = session.tenants().set_provisioning_state(request).await?.into_inner();
    show(session, &after)?;
    if let Some(advice) = advice(before.provisioning_state(), state) {
        output::note(advice);
    }
    Ok(())
}

fn show(session: &Session, tenant: &Tenant) -> Result<(), Failure> {
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
    output::one(io::stdout(), session.format, tenant, &fields)?;
    if let Some(warning) = age.and_then(|age| warning(tenant.provisioning_state(), age)) {
        output::note(warning);
    }
    Ok(())
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
    fn r13_turning_on_again_says_to_restart_provisioning() {
        let advice = |before, after| advice(before, after).unwrap_or_default();
        assert!(advice(ProvisioningState::Off, ProvisioningState::On).contains("*Restart provisioning*"));
        assert_eq!(advice(ProvisioningState::Paused, ProvisioningState::On), "");
        assert_eq!(advice(ProvisioningState::On, ProvisioningState::On), "");
    }
}

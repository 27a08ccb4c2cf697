//! `rollcall up --demo`: one provisioning cycle of a sample directory, played over HTTP against this process's own listener.

use std::{fmt::Write, net::SocketAddr, time::Duration};

use anyhow::Context;
use entra_client::{ClearText, Client, Directory, Options, State, Summary};
use http::uri::Scheme;
use proto::identity::v1::{ProvisioningState, SetProvisioningStateRequest};
use secrecy::SecretString;

use crate::{
    commands::api_key::Create,
    failure::Failure,
    provisioning::{Progress, fields},
    public_url::PublicUrl,
    session::Session,
};

/// How large the sample directory is.
const USERS: usize = 40;
const GROUPS: usize = 6;
/// How long the demo's key lives. Nobody is told it.
const KEY_LIFE: Duration = Duration::from_secs(60 * 60);

/// What was played.
pub(super) struct Played {
    summary: Summary,
    /// The first names of what was created.
    users: Vec<String>,
    groups: Vec<String>,
}

/// Turns provisioning on, makes a key and plays the cycle. Played again, it finds everybody there and creates nobody.
pub(super) async fn play(session: &Session, listener: SocketAddr) -> anyhow::Result<Played> {
    let key = prepare(session).await?;
    let url = PublicUrl::of_listener(&Scheme::HTTP, listener).tenant_url();
    // The listener is this machine's own, whatever address it has.
    let options = Options { clear_text: ClearText::Anywhere, ..Options::default() };
    let client = Client::new(&url, key, options)?;
    let mut progress = Progress::new();
    let cycle = client.initial_cycle(&Directory::sample(USERS, GROUPS), &mut State::default(), &mut progress).await;
    let (users, groups) = progress.finish();
    Ok(Played { summary: cycle.context("the sample directory could not be provisioned")?, users, groups })
}

async fn prepare(session: &Session) -> Result<SecretString, Failure> {
    let tenant_id = session.tenant().await?.id;
    let enable = SetProvisioningStateRequest {
        tenant_id: tenant_id.clone(),
        state: ProvisioningState::On.into(),
        ..SetProvisioningStateRequest::default()
    };
    session.tenants().set_provisioning_state(enable).await?;
    let key = Create {
        name: "demo".to_owned(),
        expires_in: Some(KEY_LIFE),
        scopes: vec!["scim".to_owned()],
        description: "The sample directory that `rollcall up --demo` played".to_owned(),
        allowed_networks: Vec::new(),
        owner: None,
    };
    let made = session.api_keys().create_api_key(key.request(tenant_id, String::new())?).await?.into_inner();
    Ok(SecretString::from(made.key))
}

impl Played {
    /// What to say about it. `data` is what has to be deleted to be rid of the sample users.
    pub(super) fn text(&self, data: &str, flags: &str) -> String {
        let mut text =
            "\nDemo: one provisioning cycle of a sample directory was played over HTTP, as Entra would.\n\n".to_owned();
        for (name, value) in fields(&self.summary) {
            // A String takes every write.
            let _ = writeln!(text, "  {name:<15} {value}");
        }
        for (kind, names, count) in
            [("users", &self.users, self.summary.users_created), ("groups", &self.groups, self.summary.groups_created)]
        {
            if !names.is_empty() {
                let more =
                    if count > names.len() { format!(" and {} more", count - names.len()) } else { String::new() };
                let _ = writeln!(text, "\n  New {kind}: {}{more}", names.join(", "));
            }
        }
        let _ = write!(
            text,
            "\nThe tenant `default` now holds sample users: `rollcall user list{flags}` shows them.\n\
             To start clean, end this process, delete {data} and run `rollcall up`.\n"
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_says_what_is_there_and_how_to_start_clean() {
        let played = Played {
            summary: Summary { users_created: 40, groups_created: 1, ..Summary::default() },
            users: vec!["ada@example.com".to_owned(), "grace@example.com".to_owned()],
            groups: vec!["Staff".to_owned()],
        };
        let text = played.text("./rollcall-data", "");
        assert!(text.contains("New users: ada@example.com, grace@example.com and 38 more\n"), "{text}");
        assert!(text.contains("New groups: Staff\n"), "{text}");
        assert!(text.contains("The tenant `default` now holds sample users"), "{text}");
        assert!(text.contains("delete ./rollcall-data"), "{text}");
    }
}

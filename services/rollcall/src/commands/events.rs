//! `rollcall events …`.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand, ValueEnum};
use proto::identity::v1::{
    CreateEventEndpointRequest, DeadLetter, DeleteEventEndpointRequest, DisableEventEndpointRequest,
    DropDeadLettersRequest, EnableEventEndpointRequest, EventEndpoint, EventEndpointKind, EventEndpointSecret,
    EventEndpointState, EventProfile, GetEventEndpointRequest, ListDeadLettersRequest, ListEventEndpointsRequest,
    RetryDeadLettersRequest, RotateEventEndpointSecretRequest, UpdateEventEndpointRequest,
};

use secrecy::ExposeSecret;

use crate::{
    commands::{moment, or_dash, short},
    duration,
    failure::Failure,
    output::{self, Format, Row},
    pages::{self, PAGE_SIZE},
    session::Session,
};

/// Endpoints that are sent what changes (webhooks, security event tokens), and what they did not take
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make an endpoint, which is sent what happens from now on, and print the secret of a webhook, or the id of another
    Create(Create),
    /// List the endpoints
    List,
    /// Show one endpoint
    Show {
        /// The endpoint's id
        id: String,
    },
    /// Change an endpoint
    Update(Update),
    /// Let an endpoint go on where it stopped
    Enable {
        /// The endpoint's id
        id: String,
        /// Confirm that events were missed, where the feed does not hold them or the database was set back: go on with what happens from now on
        #[arg(long)]
        skip_missed: bool,
    },
    /// Send nothing to an endpoint until it is enabled; what happens meanwhile waits for it
    Disable {
        /// The endpoint's id
        id: String,
    },
    /// Make a new secret and print it; the one before is signed with too for a while
    RotateSecret {
        /// The endpoint's id
        id: String,
        /// For how long the secret before is signed with too, up to 30d
        #[arg(long, default_value = "24h", value_name = "DURATION", value_parser = duration::parse)]
        overlap: Duration,
        /// The secret before is not signed with any more: it is known to others
        #[arg(long, conflicts_with = "overlap")]
        no_overlap: bool,
    },
    /// Forget an endpoint and its dead letters
    Delete {
        /// The endpoint's id
        id: String,
    },
    #[command(subcommand)]
    DeadLetters(DeadLetters),
}

/// An endpoint to be made.
#[derive(Args, Debug)]
pub(crate) struct Create {
    /// How events are sent
    #[arg(long = "as", value_enum, default_value_t, value_name = "FORM")]
    form: Form,
    /// Where events are posted to, for example https://example.com/hooks/rollcall
    #[arg(long, required_if_eq_any([("form", "webhook"), ("form", "set-push")]))]
    url: Option<String>,
    /// Of security event tokens: to whom they are made out
    #[arg(long, required_if_eq_any([("form", "set-push"), ("form", "set-poll")]))]
    audience: Option<String>,
    /// Of security event tokens: what they say
    #[arg(long, value_enum, default_value_t)]
    profile: Profile,
    /// Of set-push: a file with what the receiver is shown as `Authorization`, for example `Bearer …`
    #[arg(long, value_name = "FILE")]
    authorization_file: Option<PathBuf>,
    /// A kind of change that is sent, for example user.deleted; may be given several times. Without it all are
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
    /// What it is for, for people
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    description: String,
}

/// How events are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// By POST, signed as Standard Webhooks says
    #[default]
    Webhook,
    /// Security event tokens by POST (RFC 8935)
    SetPush,
    /// Security event tokens that the receiver fetches (RFC 8936)
    SetPoll,
}

/// What security event tokens say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// What changes of users and groups (RFC 9967)
    #[default]
    Scim,
    /// Whose sessions are to end (CAEP session-revoked)
    Caep,
}

/// What is to be changed: what is not named stays as it is.
#[derive(Args, Debug)]
pub(crate) struct Update {
    /// The endpoint's id
    id: String,
    #[command(flatten)]
    change: Change,
}

/// See [`Update`].
#[derive(Args, Debug)]
#[group(required = true, multiple = true, id = "change")]
pub(crate) struct Change {
    /// Where events are posted to
    #[arg(long)]
    url: Option<String>,
    /// A kind of change that is sent, in place of those before; may be given several times
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
    /// Every kind of change is sent
    #[arg(long, conflicts_with = "kinds")]
    all_kinds: bool,
    /// What it is for, for people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// A file with what the receiver of pushed tokens is shown as `Authorization`
    #[arg(long, value_name = "FILE")]
    authorization_file: Option<PathBuf>,
}

/// Events that an endpoint did not take, however often they were sent
#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetters {
    /// List them
    List {
        /// The endpoint's id
        id: String,
    },
    /// Send them again
    Retry(Chosen),
    /// Forget them
    Drop(Chosen),
}

/// Some of them, or all.
#[derive(Args, Debug)]
pub(crate) struct Chosen {
    /// The endpoint's id
    id: String,
    #[command(flatten)]
    which: Which,
}

/// See [`Chosen`].
#[derive(Args, Debug)]
#[group(required = true, multiple = false, id = "which")]
pub(crate) struct Which {
    /// The ids of events
    #[arg(value_name = "EVENT_ID")]
    event_ids: Vec<String>,
    /// All of the endpoint
    #[arg(long)]
    all: bool,
}

impl Row for EventEndpoint {
    const COLUMNS: &'static [&'static str] =
        &["id", "url", "state", "kinds", "waiting", "retrying", "dead", "delivered", "last delivery"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            if self.url.is_empty() { "(polled)".to_owned() } else { self.url.clone() },
            state(self),
            if self.kinds.is_empty() { "all".to_owned() } else { self.kinds.join(" ") },
            self.lag_changes.to_string(),
            self.retrying_count.to_string(),
            self.dead_letter_count.to_string(),
            self.delivered_count.to_string(),
            moment(self.last_delivery_time.as_ref()),
        ]
    }
}

impl Row for DeadLetter {
    const COLUMNS: &'static [&'static str] =
        &["event", "time", "kind", "subject", "attempts", "last attempt", "failure"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.event_id.clone(),
            moment(self.time.as_ref()),
            or_dash(Some(&self.kind)),
            or_dash(Some(&self.subject_id)),
            self.attempts.to_string(),
            moment(self.last_attempt_time.as_ref()),
            self.last_failure.clone(),
        ]
    }
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    let tenant_id = session.tenant().await?.id;
    match command {
        Command::Create(create) => {
            let made = session.events().create_event_endpoint(create.request(tenant_id)?).await?.into_inner();
            print_new(io::stdout(), session.format, &made)
        }
        Command::List => list(session, &tenant_id).await,
        Command::Show { id } => {
            let request = GetEventEndpointRequest { tenant_id, event_endpoint_id: id };
            show(session, &session.events().get_event_endpoint(request).await?.into_inner())
        }
        Command::Update(update) => {
            let request = update.request(tenant_id)?;
            show(session, &session.events().update_event_endpoint(request).await?.into_inner())
        }
        Command::Enable { id, skip_missed } => {
            let request = EnableEventEndpointRequest { tenant_id, event_endpoint_id: id, skip_missed };
            show(session, &session.events().enable_event_endpoint(request).await?.into_inner())
        }
        Command::Disable { id } => {
            let request = DisableEventEndpointRequest { tenant_id, event_endpoint_id: id };
            show(session, &session.events().disable_event_endpoint(request).await?.into_inner())
        }
        Command::RotateSecret { id, overlap, no_overlap } => {
            let seconds = if no_overlap { 0 } else { overlap.as_secs() };
            let request = RotateEventEndpointSecretRequest {
                tenant_id,
                event_endpoint_id: id,
                overlap: Some(pbjson_types::Duration { seconds: i64::try_from(seconds).unwrap_or(i64::MAX), nanos: 0 }),
            };
            let made = session.events().rotate_event_endpoint_secret(request).await?.into_inner();
            print_new(io::stdout(), session.format, &made)
        }
        Command::Delete { id } => {
            let request = DeleteEventEndpointRequest { tenant_id, event_endpoint_id: id.clone() };
            session.events().delete_event_endpoint(request).await?;
            output::note(format!("{id} is sent nothing any more."));
            Ok(())
        }
        Command::DeadLetters(letters) => dead_letters(letters, session, tenant_id).await,
    }
}

async fn dead_letters(command: DeadLetters, session: &Session, tenant_id: String) -> Result<(), Failure> {
    match command {
        DeadLetters::List { id } => {
            pages::print(session.format, async |page_token| {
                let (tenant_id, event_endpoint_id) = (tenant_id.clone(), id.clone());
                let request = ListDeadLettersRequest { tenant_id, event_endpoint_id, page_size: PAGE_SIZE, page_token };
                let page = session.events().list_dead_letters(request).await?.into_inner();
                Ok((page.dead_letters, page.next_page_token))
            })
            .await
        }
        DeadLetters::Retry(Chosen { id, which: Which { event_ids, .. } }) => {
            let request = RetryDeadLettersRequest { tenant_id, event_endpoint_id: id, event_ids };
            let count = session.events().retry_dead_letters(request).await?.into_inner().count;
            output::note(format!("{count} sent again."));
            Ok(())
        }
        DeadLetters::Drop(Chosen { id, which: Which { event_ids, .. } }) => {
            let request = DropDeadLettersRequest { tenant_id, event_endpoint_id: id, event_ids };
            let count = session.events().drop_dead_letters(request).await?.into_inner().count;
            output::note(format!("{count} forgotten."));
            Ok(())
        }
    }
}

impl Create {
    fn request(self, tenant_id: String) -> Result<CreateEventEndpointRequest, Failure> {
        let Self { form, url, audience, profile, authorization_file, kinds, description } = self;
        let kind = match form {
            Form::Webhook => EventEndpointKind::Webhook,
            Form::SetPush => EventEndpointKind::SetPush,
            Form::SetPoll => EventEndpointKind::SetPoll,
        };
        let profile = match profile {
            Profile::Scim => EventProfile::Scim,
            Profile::Caep => EventProfile::Caep,
        };
        let event_endpoint = Some(EventEndpoint {
            kind: kind.into(),
            url: url.unwrap_or_default(),
            audience: audience.unwrap_or_default(),
            profile: profile.into(),
            kinds,
            description,
            ..EventEndpoint::default()
        });
        let authorization = authorization(authorization_file.as_deref())?;
        Ok(CreateEventEndpointRequest { tenant_id, event_endpoint, authorization })
    }
}

impl Update {
    fn request(self, tenant_id: String) -> Result<UpdateEventEndpointRequest, Failure> {
        let Change { url, kinds, all_kinds, description, authorization_file } = self.change;
        let named = [
            ("url", url.is_some()),
            ("kinds", !kinds.is_empty() || all_kinds),
            ("description", description.is_some()),
            ("authorization", authorization_file.is_some()),
        ];
        let paths = named.into_iter().filter(|(_, is_named)| *is_named).map(|(path, _)| path.to_owned()).collect();
        let (url, description) = (url.unwrap_or_default(), description.unwrap_or_default());
        let mut request = UpdateEventEndpointRequest {
            tenant_id,
            event_endpoint_id: self.id,
            event_endpoint: Some(EventEndpoint { url, kinds, description, ..EventEndpoint::default() }),
            update_mask: None,
            authorization: authorization(authorization_file.as_deref())?,
        };
        request.update_mask.get_or_insert_default().paths = paths;
        Ok(request)
    }
}

/// What a file holds that a receiver is shown.
fn authorization(file: Option<&Path>) -> Result<String, Failure> {
    let Some(file) = file else { return Ok(String::new()) };
    Ok(bootstrap::files::read(file)?.expose_secret().to_owned())
}

/// What is told of an endpoint that has no secret.
fn told(endpoint: &EventEndpoint) -> String {
    let polled = match endpoint.kind() {
        EventEndpointKind::SetPoll => {
            let id = &endpoint.id;
            format!(", and the poll at /api/events/v1/streams/{id}/poll to keys with the scope identity.read")
        }
        EventEndpointKind::SetPush | EventEndpointKind::Webhook | EventEndpointKind::Unspecified => String::new(),
    };
    format!(
        "This is the id of the endpoint. Tokens are made out to {} and issued by urn:rollcall:tenant: and the tenant's id. The façade serves the keys \
         that they are signed with at /api/events/v1/jwks{polled}.",
        endpoint.audience
    )
}

/// The secret, or else the id, alone on standard output, so that a script can take it.
fn print_new(mut out: impl Write, format: Format, made: &EventEndpointSecret) -> Result<(), Failure> {
    match format {
        Format::Json => output::one(out, format, made, &[])?,
        Format::Table => {
            let id = made.event_endpoint.as_ref().map(|endpoint| endpoint.id.as_str()).unwrap_or_default();
            writeln!(out, "{}", if made.secret.is_empty() { id } else { &made.secret })?;
            out.flush()?;
        }
    }
    let endpoint = made.event_endpoint.clone().unwrap_or_default();
    if made.secret.is_empty() {
        output::note(told(&endpoint));
        return Ok(());
    }
    let previous = endpoint.previous_secret_expire_time.as_ref();
    let previous = previous
        .map_or_else(String::new, |end| format!(" The secret before is signed with too until {}.", moment(Some(end))));
    output::note(format!(
        "This is the secret of the endpoint {}; it is not shown again. Events are posted to {} and signed as Standard Webhooks says: give the secret \
         to a library of theirs (https://www.standardwebhooks.com).{previous}",
        endpoint.id, endpoint.url
    ));
    Ok(())
}

async fn list(session: &Session, tenant_id: &str) -> Result<(), Failure> {
    pages::print(session.format, async |page_token| {
        let request = ListEventEndpointsRequest { tenant_id: tenant_id.to_owned(), page_size: PAGE_SIZE, page_token };
        let page = session.events().list_event_endpoints(request).await?.into_inner();
        Ok((page.event_endpoints, page.next_page_token))
    })
    .await
}

fn show(session: &Session, endpoint: &EventEndpoint) -> Result<(), Failure> {
    let mut fields: Vec<_> = EventEndpoint::COLUMNS.iter().copied().zip(endpoint.cells()).collect();
    fields.push(("form", short(endpoint.kind().as_str_name(), "EVENT_ENDPOINT_KIND_").replace('_', "-")));
    if !endpoint.audience.is_empty() {
        fields.push(("audience", endpoint.audience.clone()));
        fields.push(("profile", short(endpoint.profile().as_str_name(), "EVENT_PROFILE_")));
    }
    fields.push(("description", or_dash(Some(&endpoint.description))));
    fields.push(("state since", moment(endpoint.state_time.as_ref())));
    fields.push(("failing since", moment(endpoint.failing_since_time.as_ref())));
    fields.push(("last failure", or_dash(Some(&endpoint.last_failure))));
    fields.push(("created", moment(endpoint.create_time.as_ref())));
    fields.push(("creator", endpoint.creator.clone()));
    Ok(output::one(io::stdout(), session.format, endpoint, &fields)?)
}

/// The state, and why it is that.
fn state(endpoint: &EventEndpoint) -> String {
    let state = short(endpoint.state().as_str_name(), "EVENT_ENDPOINT_STATE_");
    match endpoint.state() {
        EventEndpointState::Disabled => {
            format!("{state}: {}", short(endpoint.stop().as_str_name(), "EVENT_ENDPOINT_STOP_"))
        }
        EventEndpointState::Enabled | EventEndpointState::Unspecified => state,
    }
}

#[cfg(test)]
mod tests {
    use proto::identity::v1::EventEndpointStop;

    use super::*;

    #[test]
    fn a_new_secret_stands_alone_on_standard_output() {
        let endpoint = EventEndpoint { id: "1".to_owned(), ..EventEndpoint::default() };
        let made = EventEndpointSecret { event_endpoint: Some(endpoint), secret: "whsec_x".to_owned() };
        let mut out = Vec::new();
        print_new(&mut out, Format::Table, &made).unwrap();
        assert_eq!(out, b"whsec_x\n");
        let mut out = Vec::new();
        print_new(&mut out, Format::Json, &made).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&value["eventEndpoint"]["id"], &value["secret"]), (&"1".into(), &"whsec_x".into()));
    }

    #[test]
    fn a_state_says_why() {
        let mut endpoint = EventEndpoint::default();
        endpoint.set_state(EventEndpointState::Enabled);
        assert_eq!(state(&endpoint), "enabled");
        endpoint.set_state(EventEndpointState::Disabled);
        endpoint.set_stop(EventEndpointStop::Gone);
        assert_eq!(state(&endpoint), "disabled: gone");
        assert_eq!(endpoint.cells().len(), EventEndpoint::COLUMNS.len());
        assert_eq!(DeadLetter::default().cells().len(), DeadLetter::COLUMNS.len());
    }

    #[test]
    fn a_change_names_what_is_written_and_nothing_else() {
        let paths =
            |change| Update { id: "1".to_owned(), change }.request("t".to_owned()).unwrap().update_mask.unwrap().paths;
        let none =
            || Change { url: None, kinds: Vec::new(), all_kinds: false, description: None, authorization_file: None };
        assert_eq!(paths(Change { all_kinds: true, ..none() }), ["kinds"]);
        assert_eq!(
            paths(Change { url: Some(String::new()), description: Some(String::new()), ..none() }),
            ["url", "description"]
        );
    }
}

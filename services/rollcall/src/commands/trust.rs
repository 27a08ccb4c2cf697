//! `rollcall trust …`.

use std::{
    io::{self, Write},
    time::{Duration, SystemTime},
};

use clap::{Args, Subcommand};
use pbjson_types::Timestamp;
use proto::api_keys::v1::{
    CreateTrustRequest, GetTrustRequest, ListTrustsRequest, RevokeTrustRequest, Trust, UpdateTrustRequest,
};

use crate::{
    commands::{moment, short, timestamp},
    duration,
    failure::Failure,
    output::{self, Format, Row},
    pages::{self, PAGE_SIZE},
    session::Session,
};

/// Trusts of the tenant: whose tokens sign in without a secret (workload identity federation)
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Trust an issuer's tokens about one subject, and print the client id
    Create(Create),
    /// List the trusts
    List,
    /// Show one trust
    Show {
        /// The trust's id: the client id
        id: String,
    },
    /// Change what is trusted; what was issued before is refused then
    Update(Update),
    /// Revoke a trust; it signs in nobody any more
    Revoke {
        /// The trust's id: the client id
        id: String,
    },
}

/// A trust to be made.
#[derive(Args, Debug)]
pub(crate) struct Create {
    /// What the trust is for, for example "Entra SCIM"
    #[arg(long)]
    name: String,
    /// Who signs: `iss` of the tokens, for example https://login.microsoftonline.com/TENANT_ID/v2.0
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// What they are made out to: `aud` of the tokens
    #[arg(long)]
    audience: String,
    /// Whom they are about: `sub` of the tokens
    #[arg(long)]
    subject: String,
    /// When it ends, from now: 365d, 12h, 30m. Without it the trust does not end
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    expires_in: Option<Duration>,
}

/// A trust to be changed: what is not named stays as it is.
#[derive(Args, Debug)]
#[group(required = true, multiple = true, id = "change")]
pub(crate) struct Change {
    /// What the trust is for
    #[arg(long)]
    name: Option<String>,
    /// Who signs: `iss` of the tokens
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// What they are made out to: `aud` of the tokens
    #[arg(long)]
    audience: Option<String>,
    /// Whom they are about: `sub` of the tokens
    #[arg(long)]
    subject: Option<String>,
    /// When it ends, from now: 365d, 12h, 30m
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    expires_in: Option<Duration>,
    /// It does not end
    #[arg(long, conflicts_with = "expires_in")]
    no_expiry: bool,
}

/// See [`Command::Update`].
#[derive(Args, Debug)]
pub(crate) struct Update {
    /// The trust's id: the client id
    id: String,
    #[command(flatten)]
    change: Change,
}

impl Row for Trust {
    const COLUMNS: &'static [&'static str] = &["id", "name", "state", "scopes", "created", "expires", "creator"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.name.clone(),
            short(self.state().as_str_name(), "TRUST_STATE_"),
            self.scopes.join(" "),
            moment(self.create_time.as_ref()),
            moment(self.expire_time.as_ref()),
            self.creator.clone(),
        ]
    }
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    let tenant_id = session.tenant().await?.id;
    match command {
        Command::Create(trust) => {
            let made = session.trusts().create_trust(trust.request(tenant_id)?).await?.into_inner();
            print_new(io::stdout(), session.format, &made)
        }
        Command::List => list(session, &tenant_id).await,
        Command::Show { id } => {
            let request = GetTrustRequest { tenant_id, trust_id: id };
            show(session, &session.trusts().get_trust(request).await?.into_inner())
        }
        Command::Update(update) => {
            let request = update.request(tenant_id)?;
            show(session, &session.trusts().update_trust(request).await?.into_inner())
        }
        Command::Revoke { id } => {
            let request = RevokeTrustRequest { tenant_id, trust_id: id };
            show(session, &session.trusts().revoke_trust(request).await?.into_inner())
        }
    }
}

impl Create {
    fn request(self, tenant_id: String) -> Result<CreateTrustRequest, Failure> {
        let Self { name, issuer, audience, subject, expires_in } = self;
        let trust = Trust { name, issuer, audience, subject, expire_time: end(expires_in)?, ..Trust::default() };
        Ok(CreateTrustRequest { tenant_id, trust: Some(trust) })
    }
}

impl Update {
    fn request(self, tenant_id: String) -> Result<UpdateTrustRequest, Failure> {
        let Change { name, issuer, audience, subject, expires_in, no_expiry } = self.change;
        let named = [
            ("name", name.is_some()),
            ("issuer", issuer.is_some()),
            ("audience", audience.is_some()),
            ("subject", subject.is_some()),
            ("expire_time", expires_in.is_some() || no_expiry),
        ];
        let paths = named.into_iter().filter(|(_, is_named)| *is_named).map(|(path, _)| path.to_owned()).collect();
        let trust = Trust {
            name: name.unwrap_or_default(),
            issuer: issuer.unwrap_or_default(),
            audience: audience.unwrap_or_default(),
            subject: subject.unwrap_or_default(),
            expire_time: end(expires_in)?,
            ..Trust::default()
        };
        let mut request =
            UpdateTrustRequest { tenant_id, trust_id: self.id, trust: Some(trust), ..UpdateTrustRequest::default() };
        request.update_mask.get_or_insert_default().paths = paths;
        Ok(request)
    }
}

fn end(expires_in: Option<Duration>) -> anyhow::Result<Option<Timestamp>> {
    expires_in.map(|expires_in| timestamp(SystemTime::now() + expires_in)).transpose()
}

/// The client id alone on standard output, so that a script can take it.
fn print_new(mut out: impl Write, format: Format, made: &Trust) -> Result<(), Failure> {
    match format {
        Format::Json => output::one(out, format, made, &[])?,
        Format::Table => {
            writeln!(out, "{}", made.id)?;
            out.flush()?;
        }
    }
    output::note(instructions(made));
    Ok(())
}

/// What is pasted into Entra.
fn instructions(made: &Trust) -> String {
    let end = made
        .expire_time
        .as_ref()
        .map_or_else(|| "It does not end".to_owned(), |end| format!("It ends {}", moment(Some(end))));
    format!(
        "This is the client id of the trust `{}`; it is no secret. {end}. In Entra, choose workload identity federation and paste:\n\
         \x20 Client ID  {}\n\
         \x20 Audience   {}\n\
         \x20 Scope      {}\n\
         Tokens are honoured that {} signs about {}.",
        made.name,
        made.id,
        made.audience,
        made.scopes.join(" "),
        made.issuer,
        made.subject
    )
}

async fn list(session: &Session, tenant_id: &str) -> Result<(), Failure> {
    pages::print(session.format, async |page_token| {
        let request = ListTrustsRequest { tenant_id: tenant_id.to_owned(), page_size: PAGE_SIZE, page_token };
        let page = session.trusts().list_trusts(request).await?.into_inner();
        Ok((page.trusts, page.next_page_token))
    })
    .await
}

fn show(session: &Session, trust: &Trust) -> Result<(), Failure> {
    let mut fields: Vec<_> = Trust::COLUMNS.iter().copied().zip(trust.cells()).collect();
    fields.push(("issuer", trust.issuer.clone()));
    fields.push(("audience", trust.audience.clone()));
    fields.push(("subject", trust.subject.clone()));
    fields.push(("updated", moment(trust.update_time.as_ref())));
    if trust.revoke_time.is_some() {
        fields.push(("revoked", moment(trust.revoke_time.as_ref())));
    }
    Ok(output::one(io::stdout(), session.format, trust, &fields)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> Trust {
        Trust {
            id: "1".to_owned(),
            name: "Entra".to_owned(),
            issuer: "https://idp.example.com".to_owned(),
            audience: "api://a".to_owned(),
            subject: "s".to_owned(),
            scopes: vec!["scim".to_owned()],
            ..Trust::default()
        }
    }

    #[test]
    fn a_new_client_id_stands_alone_on_standard_output() {
        let mut out = Vec::new();
        print_new(&mut out, Format::Table, &made()).unwrap();
        assert_eq!(out, b"1\n");
        let mut out = Vec::new();
        print_new(&mut out, Format::Json, &made()).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&value["id"], &value["issuer"]), (&"1".into(), &"https://idp.example.com".into()));
    }

    #[test]
    fn the_note_holds_what_is_pasted_into_entra() {
        let note = instructions(&made());
        for part in ["Client ID  1\n", "Audience   api://a\n", "Scope      scim\n", "It does not end"] {
            assert!(note.contains(part), "{note}");
        }
    }

    #[test]
    fn a_change_names_what_is_written_and_nothing_else() {
        let update = |change| {
            let request = Update { id: "1".to_owned(), change }.request("t".to_owned()).unwrap();
            (request.update_mask.unwrap().paths, request.trust.unwrap())
        };
        let none =
            || Change { name: None, issuer: None, audience: None, subject: None, expires_in: None, no_expiry: false };
        let (paths, trust) = update(Change { subject: Some("b".to_owned()), ..none() });
        assert_eq!((paths, &*trust.subject), (vec!["subject".to_owned()], "b"));
        let (paths, trust) = update(Change { no_expiry: true, name: Some("n".to_owned()), ..none() });
        assert_eq!((paths, trust.expire_time), (vec!["name".to_owned(), "expire_time".to_owned()], None));
        let (paths, trust) = update(Change { expires_in: Some(Duration::from_secs(60)), ..none() });
        assert_eq!(paths, ["expire_time"]);
        assert!(trust.expire_time.is_some());
    }
}

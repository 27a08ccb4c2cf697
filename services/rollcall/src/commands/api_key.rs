//! `rollcall api-key …`.

use std::{
    io::{self, Write},
    time::{Duration, SystemTime},
};

use clap::{Args, Subcommand};
use proto::api_keys::v1::{
    ApiKey, CreateApiKeyRequest, CreateApiKeyResponse, GetApiKeyRequest, ListApiKeysRequest, RevokeApiKeyRequest,
};

use crate::{
    commands::{moment, short, timestamp},
    duration,
    failure::Failure,
    output::{self, Format, Row},
    pages::{self, PAGE_SIZE},
    session::Session,
};

/// API keys of the tenant
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a key and print it; it is shown this once
    Create(Create),
    /// List the keys, without their text
    List,
    /// Show one key, without its text
    Show {
        /// The key's id
        id: String,
    },
    /// Revoke a key; it is refused everywhere within one second
    Revoke {
        /// The key's id
        id: String,
    },
}

/// A key to be made.
#[derive(Args, Debug)]
pub(crate) struct Create {
    /// What the key is for, for example "Entra SCIM"
    #[arg(long)]
    pub(crate) name: String,
    /// When it ends, from now: 180d, 12h, 30m. Without it the key does not end
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub(crate) expires_in: Option<Duration>,
    /// What it may do: scim, identity.read, identity.write, admin. Repeat it for several [default: scim]
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
}

impl Row for ApiKey {
    const COLUMNS: &'static [&'static str] = &["id", "name", "state", "scopes", "created", "expires", "creator"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.name.clone(),
            short(self.state().as_str_name(), "API_KEY_STATE_"),
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
        Command::Create(key) => {
            let made = session.api_keys().create_api_key(key.request(tenant_id)?).await?.into_inner();
            print_new(io::stdout(), session.format, &made)
        }
        Command::List => list(session, &tenant_id).await,
        Command::Show { id } => {
            let request = GetApiKeyRequest { tenant_id, api_key_id: id };
            show(session, &session.api_keys().get_api_key(request).await?.into_inner())
        }
        Command::Revoke { id } => {
            let request = RevokeApiKeyRequest { tenant_id, api_key_id: id };
            show(session, &session.api_keys().revoke_api_key(request).await?.into_inner())
        }
    }
}

impl Create {
    pub(crate) fn request(self, tenant_id: String) -> Result<CreateApiKeyRequest, Failure> {
        let expire_time = self.expires_in.map(|expires_in| timestamp(SystemTime::now() + expires_in)).transpose()?;
        let api_key = ApiKey { name: self.name, scopes: self.scopes, expire_time, ..ApiKey::default() };
        Ok(CreateApiKeyRequest { tenant_id, api_key: Some(api_key) })
    }
}

/// The key alone on standard output, so that it can be piped into a secret store.
fn print_new(mut out: impl Write, format: Format, made: &CreateApiKeyResponse) -> Result<(), Failure> {
    match format {
        Format::Json => output::one(out, format, made, &[])?,
        Format::Table => {
            writeln!(out, "{}", made.key)?;
            out.flush()?;
        }
    }
    let key = made.api_key.clone().unwrap_or_default();
    let end = key
        .expire_time
        .as_ref()
        .map_or_else(|| "it does not end".to_owned(), |end| format!("it ends {}", moment(Some(end))));
    output::note(format!(
        "This is the key `{}` ({}); {end}. It is not shown again: keep it as a secret.",
        key.name,
        key.scopes.join(", ")
    ));
    Ok(())
}

async fn list(session: &Session, tenant_id: &str) -> Result<(), Failure> {
    pages::print(session.format, async |page_token| {
        let request = ListApiKeysRequest { tenant_id: tenant_id.to_owned(), page_size: PAGE_SIZE, page_token };
        let page = session.api_keys().list_api_keys(request).await?.into_inner();
        Ok((page.api_keys, page.next_page_token))
    })
    .await
}

fn show(session: &Session, key: &ApiKey) -> Result<(), Failure> {
    let mut fields: Vec<_> = ApiKey::COLUMNS.iter().copied().zip(key.cells()).collect();
    if key.revoke_time.is_some() {
        fields.push(("revoked", moment(key.revoke_time.as_ref())));
    }
    Ok(output::one(io::stdout(), session.format, key, &fields)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> CreateApiKeyResponse {
        let api_key = ApiKey { id: "1".to_owned(), name: "Entra".to_owned(), ..ApiKey::default() };
        CreateApiKeyResponse { api_key: Some(api_key), key: "rck1secret".to_owned() }
    }

    #[test]
    fn a_new_key_stands_alone_on_standard_output() {
        let mut out = Vec::new();
        print_new(&mut out, Format::Table, &made()).unwrap();
        assert_eq!(out, b"rck1secret\n");
    }

    #[test]
    fn a_new_key_in_json_stands_beside_what_is_known_of_it() {
        let mut out = Vec::new();
        print_new(&mut out, Format::Json, &made()).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["key"], "rck1secret");
        assert_eq!(value["apiKey"]["id"], "1");
        assert_eq!(value["apiKey"]["scopes"], serde_json::json!([]), "fields without a value are printed too");
    }

    #[test]
    fn an_end_is_counted_from_now() {
        let create = Create { name: "a".to_owned(), expires_in: Some(Duration::from_secs(3_600)), scopes: vec![] };
        let end = create.request(String::new()).unwrap().api_key.unwrap().expire_time.unwrap();
        let now = timestamp(SystemTime::now()).unwrap();
        assert!((3_590..=3_600).contains(&(end.seconds - now.seconds)));
    }
}

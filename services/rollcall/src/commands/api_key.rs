//! `rollcall api-key …`.

use std::{
    io::{self, Write},
    time::{Duration, SystemTime},
};

use clap::{Args, Subcommand};
use pbjson_types::{Duration as ProtoDuration, FieldMask, Timestamp};
use proto::api_keys::v1::{
    ApiKey, ApiKeyState, CreateApiKeyRequest, GetApiKeyRequest, ListApiKeysRequest, RevokeApiKeyRequest,
    RotateApiKeyRequest, UpdateApiKeyRequest,
};
use serde::Serialize;

use crate::{
    commands::{moment, or_dash, short, timestamp, user::Tenanted},
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
    /// Change a key; what narrows it is felt everywhere within one second
    Update(Update),
    /// Make a key that takes another's place and print it; both work until the overlap ends
    Rotate(Rotate),
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
    /// What people should know of it
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub(crate) description: String,
    /// A network that it may be used from, such as 20.190.128.0/18. Repeat it for several [default: from everywhere]
    #[arg(long = "allow-network", value_name = "CIDR")]
    pub(crate) allowed_networks: Vec<String>,
    /// Whose key it is, by userName or id: it is revoked when that user loses access. A key with the scope scim has no owner
    #[arg(long, value_name = "USER")]
    pub(crate) owner: Option<String>,
}

/// What to change about a key.
#[derive(Args, Debug)]
#[group(required = true, multiple = true, id = "changes", args = ["name", "description", "scopes", "allowed_networks", "allow_everywhere", "expires_in", "never_expires"])]
pub(crate) struct Update {
    /// The key's id
    pub(crate) id: String,
    /// What the key is for
    #[arg(long)]
    name: Option<String>,
    /// What people should know of it
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// What it may do from now on. Repeat it for several
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// The networks that it may be used from, from now on. Repeat it for several
    #[arg(long = "allow-network", value_name = "CIDR")]
    allowed_networks: Vec<String>,
    /// It may be used from everywhere
    #[arg(long, conflicts_with = "allowed_networks")]
    allow_everywhere: bool,
    /// When it ends, from now: 180d, 12h, 30m
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    expires_in: Option<Duration>,
    /// It does not end
    #[arg(long, conflicts_with = "expires_in")]
    never_expires: bool,
}

/// A key whose place another takes.
#[derive(Args, Debug)]
pub(crate) struct Rotate {
    /// The key's id
    pub(crate) id: String,
    /// How long both work, at most 90d [default: 7d]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub(crate) overlap: Option<Duration>,
    /// When the new key ends, from now [default: after as long a life as the old one was given]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub(crate) expires_in: Option<Duration>,
}

impl Row for ApiKey {
    const COLUMNS: &'static [&'static str] =
        &["id", "name", "state", "scopes", "created", "expires", "last used", "creator", "owner"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.name.clone(),
            state(self),
            self.scopes.join(" "),
            moment(self.create_time.as_ref()),
            moment(self.expire_time.as_ref()),
            moment(self.last_use_time.as_ref()),
            self.creator.clone(),
            or_dash(Some(&self.owner_user_id)),
        ]
    }
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    let tenant_id = session.tenant().await?.id;
    match command {
        Command::Create(key) => {
            let owner = match &key.owner {
                Some(owner) => Tenanted { session, tenant_id: tenant_id.clone() }.find(owner).await?.id,
                None => String::new(),
            };
            let made = session.api_keys().create_api_key(key.request(tenant_id, owner)?).await?.into_inner();
            print_new(io::stdout(), session.format, (&made, &made.key, made.api_key.as_ref()))
        }
        Command::List => list(session, &tenant_id).await,
        Command::Show { id } => {
            let request = GetApiKeyRequest { tenant_id, api_key_id: id };
            show(session, &session.api_keys().get_api_key(request).await?.into_inner())
        }
        Command::Update(update) => {
            let request = update.request(tenant_id)?;
            show(session, &session.api_keys().update_api_key(request).await?.into_inner())
        }
        Command::Rotate(key) => rotate(session, tenant_id, key).await,
        Command::Revoke { id } => revoke(session, tenant_id, id).await,
    }
}

/// Rotates a key of a tenant, or of the operator, and prints the new one.
pub(crate) async fn rotate(session: &Session, tenant_id: String, rotate: Rotate) -> Result<(), Failure> {
    let request = rotate.request(tenant_id)?;
    let made = session.api_keys().rotate_api_key(request).await?.into_inner();
    print_new(io::stdout(), session.format, (&made, &made.key, made.api_key.as_ref()))?;
    let previous = made.previous.unwrap_or_default();
    output::note(format!("The old key {} works until {}.", previous.id, moment(previous.expire_time.as_ref())));
    Ok(())
}

/// Revokes a key of a tenant, or of the operator.
pub(crate) async fn revoke(session: &Session, tenant_id: String, id: String) -> Result<(), Failure> {
    let request = RevokeApiKeyRequest { tenant_id, api_key_id: id };
    show(session, &session.api_keys().revoke_api_key(request).await?.into_inner())
}

fn state(key: &ApiKey) -> String {
    let state = short(key.state().as_str_name(), "API_KEY_STATE_");
    let is_active = key.state() == ApiKeyState::Active;
    let rotate = key.creator_departure_time.is_some() && is_active && key.replaced_by.is_empty();
    let remarks = [("ends soon", key.expires_soon), ("rotate: its maker left", rotate)];
    remarks.iter().filter(|(_, applies)| *applies).fold(state, |state, (remark, _)| format!("{state}, {remark}"))
}

impl Update {
    fn request(self, tenant_id: String) -> Result<UpdateApiKeyRequest, Failure> {
        let mask = [
            ("name", self.name.is_some()),
            ("description", self.description.is_some()),
            ("scopes", !self.scopes.is_empty()),
            ("allowed_networks", !self.allowed_networks.is_empty() || self.allow_everywhere),
            ("expire_time", self.expires_in.is_some() || self.never_expires),
        ];
        let paths = mask.into_iter().filter(|(_, named)| *named).map(|(field, _)| field.to_owned()).collect();
        let api_key = ApiKey {
            id: self.id,
            name: self.name.unwrap_or_default(),
            description: self.description.unwrap_or_default(),
            scopes: self.scopes,
            allowed_networks: self.allowed_networks,
            expire_time: ending(self.expires_in)?,
            ..ApiKey::default()
        };
        Ok(UpdateApiKeyRequest { tenant_id, api_key: Some(api_key), update_mask: Some(FieldMask { paths }) })
    }
}

impl Rotate {
    fn request(self, tenant_id: String) -> Result<RotateApiKeyRequest, Failure> {
        let seconds = |overlap: Duration| i64::try_from(overlap.as_secs()).unwrap_or(i64::MAX);
        let overlap = self.overlap.map(|overlap| ProtoDuration { seconds: seconds(overlap), nanos: 0 });
        Ok(RotateApiKeyRequest { tenant_id, api_key_id: self.id, overlap, expire_time: ending(self.expires_in)? })
    }
}

fn ending(expires_in: Option<Duration>) -> anyhow::Result<Option<Timestamp>> {
    expires_in.map(|expires_in| timestamp(SystemTime::now() + expires_in)).transpose()
}

impl Create {
    /// `owner_user_id` is the owner's, empty for none.
    pub(crate) fn request(self, tenant_id: String, owner_user_id: String) -> Result<CreateApiKeyRequest, Failure> {
        let api_key = ApiKey {
            name: self.name,
            scopes: self.scopes,
            expire_time: ending(self.expires_in)?,
            description: self.description,
            allowed_networks: self.allowed_networks,
            owner_user_id,
            ..ApiKey::default()
        };
        Ok(CreateApiKeyRequest { tenant_id, api_key: Some(api_key) })
    }
}

/// The key alone on standard output, so that it can be piped into a secret store.
fn print_new(
    mut out: impl Write,
    format: Format,
    (answer, text, key): (&impl Serialize, &str, Option<&ApiKey>),
) -> Result<(), Failure> {
    match format {
        Format::Json => output::one(out, format, answer, &[])?,
        Format::Table => {
            writeln!(out, "{text}")?;
            out.flush()?;
        }
    }
    let key = key.cloned().unwrap_or_default();
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

/// Lists the keys of a tenant, or of the operator.
pub(crate) async fn list(session: &Session, tenant_id: &str) -> Result<(), Failure> {
    pages::print(session.format, async |page_token| {
        let request = ListApiKeysRequest { tenant_id: tenant_id.to_owned(), page_size: PAGE_SIZE, page_token };
        let page = session.api_keys().list_api_keys(request).await?.into_inner();
        Ok((page.api_keys, page.next_page_token))
    })
    .await
}

fn show(session: &Session, key: &ApiKey) -> Result<(), Failure> {
    let mut fields: Vec<_> = ApiKey::COLUMNS.iter().copied().zip(key.cells()).collect();
    for (name, text) in [
        ("description", key.description.clone()),
        ("networks", key.allowed_networks.join(" ")),
        ("last used from", key.last_use_address.clone()),
        ("replaced by", key.replaced_by.clone()),
    ] {
        if !text.is_empty() {
            fields.push((name, text));
        }
    }
    if key.creator_departure_time.is_some() {
        fields.push(("its maker left", moment(key.creator_departure_time.as_ref())));
    }
    if key.revoke_time.is_some() {
        fields.push(("revoked", moment(key.revoke_time.as_ref())));
    }
    Ok(output::one(io::stdout(), session.format, key, &fields)?)
}

#[cfg(test)]
mod tests {
    use proto::api_keys::v1::CreateApiKeyResponse;

    use super::*;

    fn made() -> CreateApiKeyResponse {
        let api_key = ApiKey { id: "1".to_owned(), name: "Entra".to_owned(), ..ApiKey::default() };
        CreateApiKeyResponse { api_key: Some(api_key), key: "rck1secret".to_owned() }
    }

    #[test]
    fn a_new_key_stands_alone_on_standard_output() {
        let mut out = Vec::new();
        let made = made();
        print_new(&mut out, Format::Table, (&made, &made.key, made.api_key.as_ref())).unwrap();
        assert_eq!(out, b"rck1secret\n");
    }

    #[test]
    fn a_new_key_in_json_stands_beside_what_is_known_of_it() {
        let mut out = Vec::new();
        let made = made();
        print_new(&mut out, Format::Json, (&made, &made.key, made.api_key.as_ref())).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["key"], "rck1secret");
        assert_eq!(value["apiKey"]["id"], "1");
        assert_eq!(value["apiKey"]["scopes"], serde_json::json!([]), "fields without a value are printed too");
    }

    #[test]
    fn an_end_is_counted_from_now() {
        let create = Create {
            name: "a".to_owned(),
            expires_in: Some(Duration::from_secs(3_600)),
            scopes: vec![],
            description: String::new(),
            allowed_networks: vec![],
            owner: None,
        };
        let end = create.request(String::new(), String::new()).unwrap().api_key.unwrap().expire_time.unwrap();
        let now = timestamp(SystemTime::now()).unwrap();
        assert!((3_590..=3_600).contains(&(end.seconds - now.seconds)));
    }

    #[test]
    fn an_update_names_what_was_written_and_nothing_else() {
        let update = Update {
            id: "1".to_owned(),
            name: None,
            description: Some(String::new()),
            scopes: vec![],
            allowed_networks: vec![],
            allow_everywhere: true,
            expires_in: None,
            never_expires: true,
        };
        let request = update.request("t".to_owned()).unwrap();
        assert_eq!(request.update_mask.unwrap().paths, ["description", "allowed_networks", "expire_time"]);
        assert_eq!(request.api_key.unwrap(), ApiKey { id: "1".to_owned(), ..ApiKey::default() });
    }
}

//! A connection to Rollcall's gRPC APIs with a credential.

use anyhow::Context;
use bootstrap::tls;
use ids::TenantId;
use proto::{
    Channel,
    api_keys::v1::{
        api_key_service_client::ApiKeyServiceClient, signing_key_service_client::SigningKeyServiceClient,
        trust_service_client::TrustServiceClient,
    },
    channel::ClientTls,
    identity::v1::{
        GetTenantRequest, Tenant, audit_service_client::AuditServiceClient, change_service_client::ChangeServiceClient,
        event_service_client::EventServiceClient, get_tenant_request, group_service_client::GroupServiceClient,
        personal_data_service_client::PersonalDataServiceClient,
        provisioning_log_service_client::ProvisioningLogServiceClient, role_service_client::RoleServiceClient,
        tenant_service_client::TenantServiceClient, user_attribute_service_client::UserAttributeServiceClient,
        user_service_client::UserServiceClient,
    },
};
use secrecy::{ExposeSecret, SecretString};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
};

use crate::{address::SafeUrl, cli::Connection, failure::Failure, output::Format};

/// The longest answer that is accepted: a page of users whose every field is full.
const MESSAGE_LEN_MAX: usize = 64 * 1024 * 1024;

/// Where the credential stands when it is not in a file.
const OPERATOR_KEY: &str = "ROLLCALL_OPERATOR_KEY";

/// A channel that sends the credential with each call.
pub(crate) type Authorized = InterceptedService<Channel, Bearer>;

/// The credential as it stands in a call's metadata.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

/// The servers, the credential and the tenant of one command.
pub(crate) struct Session {
    identity: Channel,
    api_keys: Channel,
    bearer: Bearer,
    tenant: String,
    /// How the result is printed.
    pub(crate) format: Format,
}

impl Session {
    /// Prepares the connection; it opens with the first call.
    pub(crate) fn open(connection: &Connection) -> Result<Self, Failure> {
        let trusted = connection.ca_file.as_deref().map(tls::trusting).transpose().context("--ca-file")?;
        let identity = connect(&connection.server, trusted.as_ref())?;
        let api_keys = match &connection.api_keys_server {
            Some(url) => connect(url, trusted.as_ref())?,
            None => identity.clone(),
        };
        Ok(Self {
            identity,
            api_keys,
            bearer: credential(connection)?.try_into()?,
            tenant: connection.tenant.clone(),
            format: connection.output,
        })
    }

    /// A session with the services of this very process.
    pub(crate) fn within(channel: Channel, bearer: Bearer, tenant: &str) -> Self {
        let (identity, api_keys) = (channel.clone(), channel);
        Self { identity, api_keys, bearer, tenant: tenant.to_owned(), format: Format::Table }
    }

    /// The tenant that the command is about.
    pub(crate) async fn tenant(&self) -> Result<Tenant, Failure> {
        self.tenant_named(&self.tenant).await
    }

    /// The id of the tenant whose audit log the command is about. A deleted tenant has one still, and no name.
    pub(crate) async fn tenant_of_log(&self) -> Result<String, Failure> {
        match (self.tenant().await, self.tenant.parse::<TenantId>()) {
            (Err(Failure::NotFound(_)), Ok(deleted)) => Ok(deleted.to_string()),
            (tenant, _) => Ok(tenant?.id),
        }
    }

    /// A tenant by its name, or by its id.
    pub(crate) async fn tenant_named(&self, name_or_id: &str) -> Result<Tenant, Failure> {
        let by = match name_or_id.parse::<TenantId>() {
            Ok(id) => get_tenant_request::By::Id(id.to_string()),
            Err(_) => get_tenant_request::By::Name(name_or_id.to_owned()),
        };
        match self.tenants().get_tenant(GetTenantRequest { by: Some(by) }).await {
            Ok(tenant) => Ok(tenant.into_inner()),
            Err(status) if status.code() == tonic::Code::NotFound => Err(Failure::NotFound(format!(
                "there is no tenant `{name_or_id}`: `rollcall tenant list` shows them, `rollcall tenant create` makes one"
            ))),
            Err(status) => Err(status.into()),
        }
    }

    pub(crate) fn tenants(&self) -> TenantServiceClient<Authorized> {
        TenantServiceClient::new(self.to_identity()).max_decoding_message_size(MESSAGE_LEN_MAX)
    }

    pub(crate) fn users(&self) -> UserServiceClient<Authorized> {
        UserServiceClient::new(self.to_identity()).max_decoding_message_size(MESSAGE_LEN_MAX)
    }

    pub(crate) fn user_attributes(&self) -> UserAttributeServiceClient<Authorized> {
        UserAttributeServiceClient::new(self.to_identity()).max_decoding_message_size(MESSAGE_LEN_MAX)
    }

    pub(crate) fn groups(&self) -> GroupServiceClient<Authorized> {
        GroupServiceClient::new(self.to_identity()).max_decoding_message_size(MESSAGE_LEN_MAX)
    }

    pub(crate) fn roles(&self) -> RoleServiceClient<Authorized> {
        RoleServiceClient::new(self.to_identity()).max_decoding_message_size(MESSAGE_LEN_MAX)
    }

    pub(crate) fn audit(&self) -> AuditServiceClient<Authorized> {
        AuditServiceClient::new(self.to_identity()).max_decoding_message_size(MESSAGE_LEN_MAX)
    }

    pub(crate) fn changes(&self) -> ChangeServiceClient<Authorized> {
        ChangeServiceClient::new(self.to_identity()).max_decoding_message_size(MESSAGE_LEN_MAX)
    }

    pub(crate) fn personal_data(&self) -> PersonalDataServiceClient<Authorized> {
        PersonalDataServiceClient::new(self.to_identity()).max_decoding_message_size(MESSAGE_LEN_MAX)
    }

    pub(crate) fn events(&self) -> EventServiceClient<Authorized> {
        EventServiceClient::new(self.to_identity()).max_decoding_message_size(MESSAGE_LEN_MAX)
    }

    pub(crate) fn provisioning_log(&self) -> ProvisioningLogServiceClient<Authorized> {
        ProvisioningLogServiceClient::new(self.to_identity()).max_decoding_message_size(MESSAGE_LEN_MAX)
    }

    pub(crate) fn api_keys(&self) -> ApiKeyServiceClient<Authorized> {
        ApiKeyServiceClient::new(self.to_api_keys()).max_decoding_message_size(MESSAGE_LEN_MAX)
    }

    pub(crate) fn trusts(&self) -> TrustServiceClient<Authorized> {
        TrustServiceClient::new(self.to_api_keys()).max_decoding_message_size(MESSAGE_LEN_MAX)
    }

    fn to_api_keys(&self) -> Authorized {
        InterceptedService::new(self.api_keys.clone(), self.bearer.clone())
    }

    pub(crate) fn signing_keys(&self) -> SigningKeyServiceClient<Authorized> {
        SigningKeyServiceClient::new(self.to_api_keys())
    }

    fn to_identity(&self) -> Authorized {
        InterceptedService::new(self.identity.clone(), self.bearer.clone())
    }
}

impl TryFrom<SecretString> for Bearer {
    type Error = Failure;

    fn try_from(key: SecretString) -> Result<Self, Failure> {
        let mut value = MetadataValue::try_from(format!("Bearer {}", key.expose_secret().trim())).map_err(|_| {
            Failure::Refused("the operator credential is no key: it has characters that no key has".to_owned())
        })?;
        // So that no trace of a connection shows it.
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// With `trusted`, only the authorities that it names are believed.
fn connect(url: &SafeUrl, trusted: Option<&ClientTls>) -> Result<Channel, Failure> {
    let channel = match trusted {
        Some(trusted) if url.is_https() => Channel::connect_tls(url.as_str(), trusted.clone()),
        Some(_) | None => Channel::connect(url.as_str()),
    };
    Ok(channel.with_context(|| format!("{url} cannot be used"))?)
}

fn credential(connection: &Connection) -> Result<SecretString, Failure> {
    if let Some(key) = bootstrap::settings::secret(OPERATOR_KEY) {
        return Ok(key);
    }
    bootstrap::files::read(&connection.operator_key_file()).map_err(|error| {
        Failure::Refused(format!(
            "no operator credential: {error:#}; name its file with --operator-key-file or set {OPERATOR_KEY}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_with_control_characters_is_refused() {
        assert!(matches!(Bearer::try_from(SecretString::from("a\u{7}b")), Err(Failure::Refused(_))));
    }

    #[test]
    fn a_credential_does_not_print() {
        let mut bearer = Bearer::try_from(SecretString::from("s3cret\n")).unwrap();
        let request = bearer.call(Request::new(())).unwrap();
        assert_eq!(request.metadata().get("authorization").unwrap(), "Bearer s3cret");
        assert!(!format!("{request:?}").contains("s3cret"));
    }
}

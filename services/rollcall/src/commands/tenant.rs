//! `rollcall tenant …`.

use std::io;

use clap::Subcommand;
use proto::identity::v1::{CreateTenantRequest, ListTenantsRequest, ProvisioningState, Tenant};

use crate::{
    commands::{moment, short},
    failure::Failure,
    output::{self, Row},
    pages::{self, PAGE_SIZE},
    session::Session,
};

/// Tenants: each is one customer
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a tenant; its provisioning is off
    Create {
        /// 1 to 64 characters of a-z, 0-9 and inner hyphens
        name: String,
    },
    /// List all tenants
    List,
    /// Show one tenant
    Show {
        /// The tenant's name or id
        name: String,
    },
}

impl Row for Tenant {
    const COLUMNS: &'static [&'static str] = &["id", "name", "provisioning", "since", "default role", "created"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.name.clone(),
            state(self),
            moment(self.provisioning_state_time.as_ref()),
            self.default_role.clone(),
            moment(self.create_time.as_ref()),
        ]
    }
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    match command {
        Command::Create { name } => create(name, session).await,
        Command::List => list(session).await,
        Command::Show { name } => show(session, &session.tenant_named(&name).await?),
    }
}

/// The word for a tenant's provisioning state.
pub(crate) fn state(tenant: &Tenant) -> String {
    let state = ProvisioningState::try_from(tenant.provisioning_state).unwrap_or_default();
    short(state.as_str_name(), "PROVISIONING_STATE_")
}

async fn create(name: String, session: &Session) -> Result<(), Failure> {
    let request = CreateTenantRequest { tenant: Some(Tenant { name, ..Tenant::default() }) };
    let tenant = session.tenants().create_tenant(request).await?.into_inner();
    show(session, &tenant)?;
    output::note(format!("Its provisioning is off: rollcall scim enable --tenant {}", tenant.name));
    Ok(())
}

async fn list(session: &Session) -> Result<(), Failure> {
    pages::print(session.format, async |page_token| {
        let request = ListTenantsRequest { page_size: PAGE_SIZE, page_token };
        let page = session.tenants().list_tenants(request).await?.into_inner();
        Ok((page.tenants, page.next_page_token))
    })
    .await
}

fn show(session: &Session, tenant: &Tenant) -> Result<(), Failure> {
    let fields: Vec<_> = Tenant::COLUMNS.iter().copied().zip(tenant.cells()).collect();
    Ok(output::one(io::stdout(), session.format, tenant, &fields)?)
}

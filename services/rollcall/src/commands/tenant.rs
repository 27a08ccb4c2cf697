//! `rollcall tenant …`.

use std::io;

use clap::{Subcommand, ValueEnum};
use proto::identity::v1::{
    CreateTenantRequest, DeleteTenantRequest, ListTenantsRequest, ProvisioningState, SetDefaultRoleRequest,
    SetDirectoryAdminRequest, Tenant,
};
use serde_json::json;

use crate::{
    commands::{group::moved, moment, short},
    confirm,
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
    /// Delete a tenant with everything of it, for good: its users and groups, its keys, its logs but the audit log
    Delete {
        /// The tenant's name or id
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Set the role of users whom nothing else gives one; the tenant is that of --tenant
    SetDefaultRole {
        /// A role of the catalogue, except admin
        role: String,
        /// Say how many people it would move, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Let the role admin count where the directory gives it, or not; the tenant is that of --tenant
    DirectoryAdmin {
        /// Whether it counts
        #[arg(value_enum)]
        switch: Switch,
        /// Say how many people it would move, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// Whether something is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

impl Row for Tenant {
    const COLUMNS: &'static [&'static str] =
        &["id", "name", "provisioning", "since", "default role", "admin by directory", "created"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.name.clone(),
            state(self),
            moment(self.provisioning_state_time.as_ref()),
            self.default_role.clone(),
            if self.directory_admin { "yes" } else { "no" }.to_owned(),
            moment(self.create_time.as_ref()),
        ]
    }
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    match command {
        Command::Create { name } => create(name, session).await,
        Command::List => list(session).await,
        Command::Show { name } => show(session, &session.tenant_named(&name).await?),
        Command::Delete { name, yes } => delete(session, &session.tenant_named(&name).await?, yes).await,
        Command::SetDefaultRole { role, dry_run } => set_default_role(session, role, dry_run).await,
        Command::DirectoryAdmin { switch, dry_run } => directory_admin(session, switch, dry_run).await,
    }
}

async fn set_default_role(session: &Session, role: String, validate_only: bool) -> Result<(), Failure> {
    let tenant_id = session.tenant().await?.id;
    let request = SetDefaultRoleRequest { tenant_id, role, validate_only };
    let set = session.tenants().set_default_role(request).await?.into_inner();
    show(session, &set.tenant.unwrap_or_default())?;
    match set.moved_count {
        Some(people) => moved(people, validate_only),
        None => output::note("There are too many people to count in time."),
    }
    Ok(())
}

async fn directory_admin(session: &Session, switch: Switch, validate_only: bool) -> Result<(), Failure> {
    let tenant_id = session.tenant().await?.id;
    let request = SetDirectoryAdminRequest { tenant_id, directory_admin: switch == Switch::On, validate_only };
    let set = session.tenants().set_directory_admin(request).await?.into_inner();
    show(session, &set.tenant.unwrap_or_default())?;
    moved(set.moved_count, validate_only);
    Ok(())
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

async fn delete(session: &Session, tenant: &Tenant, is_confirmed: bool) -> Result<(), Failure> {
    if !is_confirmed {
        confirm::by_name("the tenant", &tenant.name, "with every user, group and key of it, for good")?;
    }
    session.tenants().delete_tenant(DeleteTenantRequest { tenant_id: tenant.id.clone() }).await?;
    let (id, name) = (tenant.id.clone(), tenant.name.clone());
    output::one(
        io::stdout(),
        session.format,
        &json!({ "id": id, "name": name }),
        &[("deleted", name.clone()), ("id", id.clone())],
    )?;
    output::note(format!(
        "Its keys are refused within a second or two, and the name `{name}` is free. Its audit log is kept for 400 days: rollcall audit list --tenant {id}"
    ));
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

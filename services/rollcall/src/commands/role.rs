//! `rollcall role …`.

use std::io;

use clap::Subcommand;
use proto::identity::v1::{CreateRoleRequest, DeleteRoleRequest, ListRolesRequest, Role};
use tonic::Code;

use crate::{
    commands::or_dash,
    failure::Failure,
    output::{self, Row},
    pages::{self, PAGE_SIZE},
    session::Session,
};

/// The tenant's catalogue of roles
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List all roles, highest rank first
    List,
    /// Add a role below admin; a directory's app roles that name it count from then on
    Create {
        /// 1 to 64 characters of a-z, 0-9, `.`, `_`, `:` and `-`
        role: String,
        /// The higher, the more it may: 1 to 399. admin has 400, developer 300, explorer 200, viewer 100
        #[arg(long)]
        rank: i32,
        /// What it means, for people
        #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
        description: String,
    },
    /// Take a role away that nobody has by hand, no group is mapped to, and that is not the default
    Delete {
        /// The role
        role: String,
    },
}

impl Row for Role {
    const COLUMNS: &'static [&'static str] = &["role", "rank", "built in", "description"];

    fn cells(&self) -> Vec<String> {
        let built_in = if self.built_in { "yes" } else { "no" };
        vec![self.id.clone(), self.rank.to_string(), built_in.to_owned(), or_dash(Some(&self.description))]
    }
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    let tenant_id = session.tenant().await?.id;
    match command {
        Command::List => list(session, &tenant_id).await,
        Command::Create { role, rank, description } => {
            create(session, tenant_id, Role { id: role, rank, description, ..Role::default() }).await
        }
        Command::Delete { role } => delete(session, tenant_id, role).await,
    }
}

async fn list(session: &Session, tenant_id: &str) -> Result<(), Failure> {
    pages::print(session.format, async |page_token| {
        let request = ListRolesRequest { tenant_id: tenant_id.to_owned(), page_size: PAGE_SIZE, page_token };
        let page = session.roles().list_roles(request).await?.into_inner();
        Ok((page.roles, page.next_page_token))
    })
    .await
}

async fn create(session: &Session, tenant_id: String, role: Role) -> Result<(), Failure> {
    let request = CreateRoleRequest { tenant_id, role: Some(role) };
    let created = session.roles().create_role(request).await?.into_inner();
    let fields: Vec<_> = Role::COLUMNS.iter().copied().zip(created.cells()).collect();
    Ok(output::one(io::stdout(), session.format, &created, &fields)?)
}

async fn delete(session: &Session, tenant_id: String, role: String) -> Result<(), Failure> {
    let request = DeleteRoleRequest { tenant_id, role_id: role.clone() };
    match session.roles().delete_role(request).await {
        Ok(_) => {
            output::note(format!("{role} is no role any more; a directory that names it gives nothing by it."));
            Ok(())
        }
        Err(status) if status.code() == Code::NotFound => {
            Err(Failure::NotFound(format!("there is no role `{role}`: `rollcall role list` shows them all")))
        }
        Err(status) => Err(status.into()),
    }
}

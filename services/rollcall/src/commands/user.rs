//! `rollcall user …`.

use std::io;

use clap::Subcommand;
use ids::UserId;
use proto::identity::v1::{
    ClearManualRoleRequest, ConfirmUserRolesRequest, EraseUserRequest, ExportUserRequest, GetUserRequest,
    ListUsersRequest, RestoreUserRequest, RoleAssignment, RoleSource, SetManualRoleRequest, SuspendUserRequest, User,
    personal_record::Kind,
};
use serde_json::json;
use tonic::Code;

use crate::{
    commands::{equals, moment, or_dash, short},
    failure::Failure,
    output::{self, Document, Row},
    pages::{self, PAGE_SIZE},
    session::Session,
};

/// How many records an export asks for at once: the longest entries are large.
const EXPORT_PAGE_SIZE: i32 = 50;

/// Users of the tenant
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List all users
    List {
        /// Only those who have this role in effect
        #[arg(long, value_name = "ROLE")]
        role: Option<String>,
    },
    /// Show one user
    Show {
        /// The user's userName or id
        username: String,
    },
    /// Give a user a role of the catalogue by hand (`rollcall role list`). No sync takes it back
    SetRole {
        /// The user's userName or id
        username: String,
        /// The role
        role: String,
    },
    /// Take the role that was given by hand away, so that the next source decides
    ClearRole {
        /// The user's userName or id
        username: String,
    },
    /// Suspend a user: no access, whatever the directory says
    Deactivate {
        /// The user's userName or id
        username: String,
    },
    /// Lift a suspension, or bring a deleted user back within 30 days
    Restore {
        /// The user's userName or id; a deleted user's id
        username: String,
        /// The userName or id of the user that a directory made anew for the same person. It is deleted, and the restored one takes its place
        #[arg(long, value_name = "USER")]
        instead_of: Option<String>,
    },
    /// Print all that is kept of a user, as one JSON object: for a person who asks for it
    Export {
        /// The user's userName or id; a deleted user's id
        username: String,
    },
    /// Confirm that a user whose roles are held is the person whom they were given to
    Confirm {
        /// The user's userName or id
        username: String,
    },
    /// Remove a user for good, with all that is kept of the person: this cannot be taken back
    Erase {
        /// The user's id, also of a deleted one: `rollcall user show` tells it
        id: UserId,
    },
}

impl Row for User {
    const COLUMNS: &'static [&'static str] =
        &["id", "user name", "display name", "active", "role", "role from", "updated"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.user_name.clone(),
            or_dash(self.display_name.as_deref()),
            active(self).to_owned(),
            or_dash(Some(&self.role)),
            role_source(self),
            moment(self.update_time.as_ref()),
        ]
    }
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    let tenant_id = session.tenant().await?.id;
    let of = Tenanted { session, tenant_id };
    match command {
        Command::List { role } => of.list(role.as_deref()).await,
        Command::Show { username } => {
            let user = of.find(&username).await?;
            of.show(&user)
        }
        Command::SetRole { username, role } => of.set_role(&username, role).await,
        Command::ClearRole { username } => of.clear_role(&username).await,
        Command::Deactivate { username } => of.deactivate(&username).await,
        Command::Restore { username, instead_of } => of.restore(&username, instead_of.as_deref()).await,
        Command::Confirm { username } => of.confirm(&username).await,
        Command::Export { username } => of.export(&username).await,
        Command::Erase { id } => of.erase(id).await,
    }
}

/// The users of one tenant.
pub(crate) struct Tenanted<'a> {
    pub(crate) session: &'a Session,
    pub(crate) tenant_id: String,
}

impl Tenanted<'_> {
    /// Roles are computed on read, so those who have one are chosen here.
    async fn list(&self, role: Option<&str>) -> Result<(), Failure> {
        pages::print(self.session.format, async |page_token| {
            let request = ListUsersRequest {
                tenant_id: self.tenant_id.clone(),
                page_size: PAGE_SIZE,
                page_token,
                ..ListUsersRequest::default()
            };
            let mut page = self.session.users().list_users(request).await?.into_inner();
            page.users.retain(|user| role.is_none_or(|role| user.role == role));
            Ok((page.users, page.next_page_token))
        })
        .await
    }

    async fn set_role(&self, username: &str, role: String) -> Result<(), Failure> {
        let user_id = self.find(username).await?.id;
        let request = SetManualRoleRequest { tenant_id: self.tenant_id.clone(), user_id, role };
        let user = self.session.roles().set_manual_role(request).await?.into_inner();
        self.show(&user)?;
        if !user.active {
            output::note("The role is kept and has no effect until the user is active again.");
        }
        if user.roles_held_time.is_some() {
            output::note(HELD);
        }
        Ok(())
    }

    async fn clear_role(&self, username: &str) -> Result<(), Failure> {
        let user_id = self.find(username).await?.id;
        let request = ClearManualRoleRequest { tenant_id: self.tenant_id.clone(), user_id };
        self.show(&self.session.roles().clear_manual_role(request).await?.into_inner())
    }

    async fn deactivate(&self, username: &str) -> Result<(), Failure> {
        let user_id = self.find(username).await?.id;
        let request = SuspendUserRequest { tenant_id: self.tenant_id.clone(), user_id };
        self.show(&self.session.users().suspend_user(request).await?.into_inner())
    }

    /// A deleted user stands in no listing, so its id is taken as it is.
    async fn restore(&self, username: &str, instead_of: Option<&str>) -> Result<(), Failure> {
        let instead_of_user_id = match instead_of {
            Some(other) => self.find(other).await?.id,
            None => String::new(),
        };
        let user_id = match (self.named(username).await?, username.parse::<UserId>()) {
            (Some(user), _) => user.id,
            (None, Ok(id)) => id.to_string(),
            (None, Err(_)) => {
                return Err(Failure::NotFound(format!(
                    "no user is called `{username}` now: a deleted user is restored by its id, which `rollcall audit list` shows"
                )));
            }
        };
        let request = RestoreUserRequest { tenant_id: self.tenant_id.clone(), user_id, instead_of_user_id };
        let user = self.session.users().restore_user(request).await?.into_inner();
        self.show(&user)?;
        if !user.active {
            output::note("The directory says that this user is not active, and that stays as it is.");
        }
        if instead_of.is_some() {
            output::note(
                "Press *Restart provisioning* in Entra: it knows the id of the other user and is to match anew.",
            );
        }
        Ok(())
    }

    /// As it arrives: a history may be long.
    async fn export(&self, username: &str) -> Result<(), Failure> {
        let user_id = match (username.parse::<UserId>(), self.named(username).await?) {
            (_, Some(user)) => user.id,
            (Ok(id), None) => id.to_string(),
            (Err(_), None) => return Err(unknown(username)),
        };
        let (mut document, mut page_token) = (Document::new(io::stdout()), String::new());
        loop {
            let request = ExportUserRequest {
                tenant_id: self.tenant_id.clone(),
                user_id: user_id.clone(),
                page_size: EXPORT_PAGE_SIZE,
                page_token,
            };
            let page = self.session.personal_data().export_user(request).await?.into_inner();
            for kind in page.records.into_iter().filter_map(|record| record.kind) {
                match kind {
                    Kind::User(user) => document.member("user", &user)?,
                    Kind::Change(change) => document.item("changes", &change)?,
                    Kind::AuditEntry(entry) => document.item("auditEntries", &entry)?,
                    Kind::ProvisioningEntry(entry) => document.item("provisioningEntries", &entry)?,
                }
            }
            if page.next_page_token.is_empty() {
                return Ok(document.end()?);
            }
            page_token = page.next_page_token;
        }
    }

    async fn confirm(&self, username: &str) -> Result<(), Failure> {
        let user_id = self.find(username).await?.id;
        let request = ConfirmUserRolesRequest { tenant_id: self.tenant_id.clone(), user_id };
        self.show(&self.session.users().confirm_user_roles(request).await?.into_inner())
    }

    /// By id alone: a name may be another's by now.
    async fn erase(&self, id: UserId) -> Result<(), Failure> {
        let request = EraseUserRequest { tenant_id: self.tenant_id.clone(), user_id: id.to_string() };
        self.session.users().erase_user(request).await?;
        output::one(
            io::stdout(),
            self.session.format,
            &json!({ "id": id.to_string() }),
            &[("erased", id.to_string())],
        )?;
        output::note(format!(
            "The user {id} was erased. A directory that still has the person will send the person again: take the assignment away there."
        ));
        Ok(())
    }

    /// A live user by userName, else by id: a userName can have the form of an id.
    pub(crate) async fn find(&self, username: &str) -> Result<User, Failure> {
        if let Some(user) = self.named(username).await? {
            return Ok(user);
        }
        let Ok(id) = username.parse::<UserId>() else { return Err(unknown(username)) };
        let request =
            GetUserRequest { tenant_id: self.tenant_id.clone(), user_id: id.to_string(), ..GetUserRequest::default() };
        match self.session.users().get_user(request).await {
            Ok(user) => Ok(user.into_inner()),
            Err(status) if status.code() == Code::NotFound => Err(unknown(username)),
            Err(status) => Err(status.into()),
        }
    }

    async fn named(&self, username: &str) -> Result<Option<User>, Failure> {
        let request = ListUsersRequest {
            tenant_id: self.tenant_id.clone(),
            filter: Some(equals("user_name", username)),
            page_size: 1,
            ..ListUsersRequest::default()
        };
        Ok(self.session.users().list_users(request).await?.into_inner().users.pop())
    }

    fn show(&self, user: &User) -> Result<(), Failure> {
        let mut fields = vec![
            ("id", user.id.clone()),
            ("user name", user.user_name.clone()),
            ("external id", or_dash(user.external_id.as_deref())),
            ("display name", or_dash(user.display_name.as_deref())),
            ("active", active(user).to_owned()),
            ("role", or_dash(Some(&user.role))),
            ("role from", role_source(user)),
            ("role set", assigned(user)),
            ("created", moment(user.create_time.as_ref())),
            ("from a directory since", moment(user.directory_time.as_ref())),
            ("updated", moment(user.update_time.as_ref())),
        ];
        if let Some(held) = &user.roles_held_time {
            fields.push(("roles held since", moment(Some(held))));
        }
        // What the first source hides, and what is held.
        for other in user.role_assignments.iter().filter(|other| in_effect(user) != Some(*other)) {
            fields.push(("without effect", format!("{} {}", other.role, whence(other))));
        }
        Ok(output::one(io::stdout(), self.session.format, user, &fields)?)
    }
}

fn unknown(username: &str) -> Failure {
    Failure::NotFound(format!("there is no user `{username}`: `rollcall user list` shows them all"))
}

const HELD: &str = "Possibly another person: roles above the default are held until `rollcall user confirm USERNAME`.";

/// The assignment that the role in effect is by.
fn in_effect(user: &User) -> Option<&RoleAssignment> {
    user.role_assignments.iter().find(|assignment| assignment.source() == user.role_source())
}

/// Who set the role, when, and from what it follows.
fn assigned(user: &User) -> String {
    in_effect(user).map_or_else(|| "-".to_owned(), whence)
}

fn whence(assignment: &RoleAssignment) -> String {
    let by = or_dash(Some(&assignment.assigned_by));
    let from = match assignment.source() {
        RoleSource::Provisioned => format!("sent as `{}` by {by}", assignment.provisioned_value),
        RoleSource::Group => format!("by the group `{}`, mapped by {by}", assignment.group_display_name),
        RoleSource::Manual | RoleSource::Default | RoleSource::Unspecified => format!("by hand by {by}"),
    };
    format!("{from}, {}", moment(assignment.assign_time.as_ref()))
}

/// Whether the user has access, and if not, who took it away.
fn active(user: &User) -> &'static str {
    match (user.provisioned_active.unwrap_or(user.active), user.suspended) {
        (true, false) => "yes",
        (true, true) => "no (suspended)",
        (false, false) => "no (by the directory)",
        (false, true) => "no (suspended, and by the directory)",
    }
}

fn role_source(user: &User) -> String {
    if user.role.is_empty() { "-".to_owned() } else { short(user.role_source().as_str_name(), "ROLE_SOURCE_") }
}

#[cfg(test)]
mod tests {
    use pbjson_types::Timestamp;

    use super::*;

    fn user() -> User {
        User {
            id: "0198f3c2-0000-7000-8000-000000000000".to_owned(),
            user_name: "ada@example.com".to_owned(),
            active: true,
            provisioned_active: Some(true),
            role: "explorer".to_owned(),
            role_source: RoleSource::Default.into(),
            version: 7,
            ..User::default()
        }
    }

    #[test]
    fn a_user_in_json_has_the_protos_names() {
        let value = serde_json::to_value(user()).unwrap();
        assert_eq!(value["userName"], "ada@example.com");
        assert_eq!(value["active"], true);
        assert_eq!(value["suspended"], false, "fields without a value are printed too");
        assert_eq!(value["role"], "explorer");
        assert_eq!(value["roleSource"], "ROLE_SOURCE_DEFAULT");
        assert_eq!(value["version"], "7", "proto3 JSON writes an int64 as text");
    }

    #[test]
    fn a_role_says_who_set_it_and_when() {
        let at = |source: RoleSource| RoleAssignment {
            role: "developer".to_owned(),
            source: source.into(),
            assigned_by: "key:k".to_owned(),
            assign_time: Some(Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            provisioned_value: "Developer".to_owned(),
            group_display_name: "Ops".to_owned(),
            ..RoleAssignment::default()
        };
        let holding = |source: RoleSource| User {
            role_source: source.into(),
            role_assignments: vec![at(source), at(RoleSource::Group)],
            ..user()
        };
        assert_eq!(assigned(&holding(RoleSource::Manual)), "by hand by key:k, 2023-11-14T22:13:20Z");
        let provisioned = assigned(&holding(RoleSource::Provisioned));
        assert_eq!(provisioned, "sent as `Developer` by key:k, 2023-11-14T22:13:20Z");
        assert_eq!(assigned(&holding(RoleSource::Group)), "by the group `Ops`, mapped by key:k, 2023-11-14T22:13:20Z");
        // Of the default, and of what has no effect, nobody says anything.
        assert_eq!(assigned(&user()), "-");
        assert_eq!(assigned(&User { role_source: RoleSource::Default.into(), ..holding(RoleSource::Manual) }), "-");
    }

    #[test]
    fn a_line_says_who_took_access_away() {
        let suspended = User { suspended: true, active: false, role: String::new(), ..user() };
        assert_eq!(suspended.cells()[3..6], ["no (suspended)", "-", "-"]);
        assert_eq!(user().cells()[3..6], ["yes", "explorer", "default"]);
        assert_eq!(user().cells().len(), User::COLUMNS.len());
    }
}

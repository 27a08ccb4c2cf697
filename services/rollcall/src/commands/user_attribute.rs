//! `rollcall user-attribute …`.

use std::io;

use clap::{Subcommand, ValueEnum};
use proto::identity::v1::{
    CreateUserAttributeRequest, DeleteUserAttributeRequest, ListUserAttributesRequest, UserAttribute, UserAttributeType,
};
use tonic::Code;

use crate::{
    commands::{moment, or_dash, short},
    failure::Failure,
    output::{self, Row},
    pages::{self, PAGE_SIZE},
    session::Session,
};

/// Attributes of users that the tenant defines for itself
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Define an attribute, so that users can have a value of it
    Create {
        /// A letter and then at most 63 letters, digits, `_` and `-`
        name: String,
        /// What its values are
        #[arg(long = "type", value_enum, value_name = "TYPE")]
        kind: Kind,
        /// What it means, for people
        #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
        description: String,
    },
    /// List all attributes that are defined
    List,
    /// Take a definition back, and with it every value that a user has of it
    Delete {
        /// The attribute's name
        name: String,
    },
}

/// What the values of an attribute are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// One text
    String,
    /// One number
    Number,
    /// True or false
    Boolean,
    /// Texts
    StringList,
    /// Numbers
    NumberList,
}

impl From<Kind> for UserAttributeType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::String => Self::String,
            Kind::Number => Self::Number,
            Kind::Boolean => Self::Boolean,
            Kind::StringList => Self::StringList,
            Kind::NumberList => Self::NumberList,
        }
    }
}

impl Row for UserAttribute {
    const COLUMNS: &'static [&'static str] = &["name", "type", "description", "created"];

    fn cells(&self) -> Vec<String> {
        vec![self.name.clone(), kind(self), or_dash(Some(&self.description)), moment(self.create_time.as_ref())]
    }
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    let tenant_id = session.tenant().await?.id;
    match command {
        Command::Create { name, kind, description } => {
            let attribute = UserAttribute {
                name,
                r#type: UserAttributeType::from(kind).into(),
                description,
                ..UserAttribute::default()
            };
            create(session, tenant_id, attribute).await
        }
        Command::List => list(session, &tenant_id).await,
        Command::Delete { name } => delete(session, tenant_id, name).await,
    }
}

async fn create(session: &Session, tenant_id: String, attribute: UserAttribute) -> Result<(), Failure> {
    let request = CreateUserAttributeRequest { tenant_id, user_attribute: Some(attribute) };
    let created = session.user_attributes().create_user_attribute(request).await?.into_inner();
    let fields: Vec<_> = UserAttribute::COLUMNS.iter().copied().zip(created.cells()).collect();
    Ok(output::one(io::stdout(), session.format, &created, &fields)?)
}

async fn list(session: &Session, tenant_id: &str) -> Result<(), Failure> {
    pages::print(session.format, async |page_token| {
        let request = ListUserAttributesRequest { tenant_id: tenant_id.to_owned(), page_size: PAGE_SIZE, page_token };
        let page = session.user_attributes().list_user_attributes(request).await?.into_inner();
        Ok((page.user_attributes, page.next_page_token))
    })
    .await
}

async fn delete(session: &Session, tenant_id: String, name: String) -> Result<(), Failure> {
    let request = DeleteUserAttributeRequest { tenant_id, name: name.clone() };
    match session.user_attributes().delete_user_attribute(request).await {
        Ok(_) => {
            output::note(format!("{name} is no longer defined, and no user has a value of it."));
            Ok(())
        }
        Err(status) if status.code() == Code::NotFound => Err(Failure::NotFound(format!(
            "there is no user attribute `{name}`: `rollcall user-attribute list` shows them all"
        ))),
        Err(status) => Err(status.into()),
    }
}

/// The word for the type of an attribute, as `--type` takes it.
fn kind(attribute: &UserAttribute) -> String {
    short(attribute.r#type().as_str_name(), "USER_ATTRIBUTE_TYPE_").replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_shown_as_it_is_written() {
        for known in Kind::value_variants() {
            let attribute =
                UserAttribute { r#type: UserAttributeType::from(*known).into(), ..UserAttribute::default() };
            assert_eq!(
                Some(kind(&attribute).as_str()),
                known.to_possible_value().as_ref().map(|value| value.get_name())
            );
            assert_eq!(attribute.cells().len(), UserAttribute::COLUMNS.len());
        }
    }

    #[test]
    fn an_attribute_in_json_has_the_protos_names() {
        let attribute = UserAttribute {
            name: "badge".to_owned(),
            r#type: UserAttributeType::StringList.into(),
            ..UserAttribute::default()
        };
        let value = serde_json::to_value(attribute).unwrap();
        assert_eq!((&value["name"], &value["type"]), (&"badge".into(), &"USER_ATTRIBUTE_TYPE_STRING_LIST".into()));
    }
}

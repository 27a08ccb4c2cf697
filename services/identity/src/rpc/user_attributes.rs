//! `UserAttributeService`, and the values of users between the wire and the domain.

use std::collections::HashMap;

use pbjson_types::Empty;
use proto::identity::v1::{
    self as wire, CreateUserAttributeRequest, DeleteUserAttributeRequest, ListUserAttributesRequest,
    ListUserAttributesResponse, user_attribute_service_server::UserAttributeService, user_attribute_value::Kind,
};
use tonic::{Request, Response, Status, async_trait};

use crate::{
    domain::{
        AttributeName, AttributeType, AttributeValue, AttributeValues, Error, InvalidField, UserAttribute,
        UserAttributeDraft,
    },
    rpc::{Rpc, call::Read, paging},
};

#[async_trait]
impl UserAttributeService for Rpc {
    async fn create_user_attribute(
        &self,
        request: Request<CreateUserAttributeRequest>,
    ) -> Result<Response<wire::UserAttribute>, Status> {
        let tenant_id = &request.get_ref().tenant_id;
        let caller =
            self.writer(&request, tenant_id, "/rollcall.identity.v1.UserAttributeService/CreateUserAttribute")?;
        let draft = draft(request.into_inner().user_attribute).map_err(Error::from)?;
        let created = self.store.create_user_attribute(&caller, draft).await?;
        Ok(Response::new(created.into()))
    }

    async fn list_user_attributes(
        &self,
        request: Request<ListUserAttributesRequest>,
    ) -> Result<Response<ListUserAttributesResponse>, Status> {
        let ListUserAttributesRequest { tenant_id, page_size, page_token } = request.get_ref();
        let size = paging::size_or_default(*page_size)?;
        let after = paging::text(page_token)?;
        if after.contains('\0') {
            return Err(Error::from(InvalidField::new("page_token", "is not one that a list answered")).into());
        }
        let read = Read::list(page_token);
        let action = "/rollcall.identity.v1.UserAttributeService/ListUserAttributes";
        let tenant = self.reader(&request, tenant_id, action, read).await?;
        let defined = self.store.list_user_attributes(tenant, &after, size).await?;
        let full = defined.len() as u64 == size;
        let next_page_token =
            defined.last().filter(|_| full).map(|last| paging::token(last.name.as_str())).unwrap_or_default();
        let user_attributes = defined.into_iter().map(Into::into).collect();
        Ok(Response::new(ListUserAttributesResponse { user_attributes, next_page_token }))
    }

    async fn delete_user_attribute(
        &self,
        request: Request<DeleteUserAttributeRequest>,
    ) -> Result<Response<Empty>, Status> {
        let DeleteUserAttributeRequest { tenant_id, name } = request.get_ref();
        let caller =
            self.writer(&request, tenant_id, "/rollcall.identity.v1.UserAttributeService/DeleteUserAttribute")?;
        // A name that no attribute can have is a name that none has.
        let name = AttributeName::parse(name.clone()).map_err(|_| Error::NotFound("user attribute"))?;
        self.store.delete_user_attribute(&caller, name).await?;
        Ok(Response::new(Empty {}))
    }
}

/// The values of a user, each within its bounds; whether they are defined so only the store knows. What is empty is as if absent.
pub(super) fn values(sent: HashMap<String, wire::UserAttributeValue>) -> Result<AttributeValues, InvalidField> {
    let mut values = AttributeValues::new();
    for (name, sent) in sent {
        if let Some(value) = sent.kind.and_then(value) {
            value.check(&name)?;
            values.insert(name, value);
        }
    }
    Ok(values)
}

/// The values of a user for the wire.
pub(super) fn to_wire(values: AttributeValues) -> HashMap<String, wire::UserAttributeValue> {
    let value = |value: AttributeValue| wire::UserAttributeValue {
        kind: Some(match value {
            AttributeValue::Boolean(truth) => Kind::Boolean(truth),
            AttributeValue::Number(number) => Kind::Number(number),
            AttributeValue::Text(text) => Kind::String(text),
            AttributeValue::Texts(values) => Kind::StringList(wire::StringList { values }),
            AttributeValue::Numbers(values) => Kind::NumberList(wire::NumberList { values }),
        }),
    };
    values.into_iter().map(|(name, stored)| (name, value(stored))).collect()
}

fn value(sent: Kind) -> Option<AttributeValue> {
    match sent {
        Kind::String(text) => (!text.is_empty()).then_some(AttributeValue::Text(text)),
        Kind::Number(number) => Some(AttributeValue::Number(number)),
        Kind::Boolean(truth) => Some(AttributeValue::Boolean(truth)),
        Kind::StringList(list) => {
            let texts: Vec<String> = list.values.into_iter().filter(|text| !text.is_empty()).collect();
            (!texts.is_empty()).then_some(AttributeValue::Texts(texts))
        }
        Kind::NumberList(list) => (!list.values.is_empty()).then_some(AttributeValue::Numbers(list.values)),
    }
}

fn draft(attribute: Option<wire::UserAttribute>) -> Result<UserAttributeDraft, InvalidField> {
    let attribute = attribute.ok_or_else(|| InvalidField::new("user_attribute", "must be set"))?;
    let kind = match attribute.r#type() {
        wire::UserAttributeType::String => AttributeType::Text,
        wire::UserAttributeType::Number => AttributeType::Number,
        wire::UserAttributeType::Boolean => AttributeType::Boolean,
        wire::UserAttributeType::StringList => AttributeType::Texts,
        wire::UserAttributeType::NumberList => AttributeType::Numbers,
        wire::UserAttributeType::Unspecified => {
            let problem = "must be one of string, number, boolean, string-list and number-list";
            return Err(InvalidField::new("user_attribute.type", problem));
        }
    };
    UserAttributeDraft { name: AttributeName::parse(attribute.name)?, kind, description: attribute.description }.check()
}

impl From<UserAttribute> for wire::UserAttribute {
    fn from(attribute: UserAttribute) -> Self {
        let kind = match attribute.kind {
            AttributeType::Text => wire::UserAttributeType::String,
            AttributeType::Number => wire::UserAttributeType::Number,
            AttributeType::Boolean => wire::UserAttributeType::Boolean,
            AttributeType::Texts => wire::UserAttributeType::StringList,
            AttributeType::Numbers => wire::UserAttributeType::NumberList,
        };
        Self {
            name: attribute.name.as_str().to_owned(),
            r#type: kind.into(),
            description: attribute.description,
            create_time: Some(attribute.created_at.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(kind: Kind) -> HashMap<String, wire::UserAttributeValue> {
        HashMap::from([("a".to_owned(), wire::UserAttributeValue { kind: Some(kind) })])
    }

    #[test]
    fn values_come_back_as_they_went() {
        for kind in [
            Kind::String("x".into()),
            Kind::Number(1.5),
            Kind::Boolean(false),
            Kind::StringList(wire::StringList { values: vec!["x".into()] }),
            Kind::NumberList(wire::NumberList { values: vec![0.0] }),
        ] {
            assert_eq!(to_wire(values(sent(kind.clone())).unwrap()), sent(kind));
        }
    }

    #[test]
    fn what_is_empty_is_as_if_absent() {
        let list =
            |values: &[&str]| wire::StringList { values: values.iter().map(|text| (*text).to_owned()).collect() };
        for kind in [
            Kind::String(String::new()),
            Kind::StringList(list(&[])),
            Kind::StringList(list(&[""])),
            Kind::NumberList(wire::NumberList::default()),
        ] {
            assert_eq!(values(sent(kind)), Ok(AttributeValues::new()));
        }
        assert!(values(sent(Kind::Number(f64::NAN))).is_err());
    }
}

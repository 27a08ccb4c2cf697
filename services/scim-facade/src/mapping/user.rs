//! Users, both ways.

use ids::UserId;
use proto::identity::v1::{MemberOf, User};
use scim::{Definition, Meta, Resource, ResourceType, schema::ENTERPRISE_USER_URN};
use serde_json::{Map, Value, json};

use super::{
    profile::{self, put_flag, put_text, take_flag, take_text},
    time, user_attributes,
};
use crate::{base::Base, precondition::Version};

/// The user that a directory sent, under the id that it has or is to get. Where nothing is said of `active`, identity knows what that means: a new
/// user is active, and one that is there keeps the access that it has or lacks.
pub(crate) fn to_wire(id: String, resource: Resource<'_>) -> User {
    let mut object = resource.into_object();
    User {
        id,
        user_name: take_text(&mut object, "userName").unwrap_or_default(),
        external_id: take_text(&mut object, "externalId"),
        display_name: take_text(&mut object, "displayName"),
        provisioned_active: take_flag(&mut object, "active"),
        user_attributes: user_attributes::take(&mut object),
        profile: Some(profile::take(&mut object)),
        ..User::default()
    }
}

/// The attributes of a user. `active` is what the directory said; a suspension is an administrator's affair (rule R23).
pub(crate) fn to_resource(definition: Definition<'_>, user: User) -> Resource<'_> {
    let mut object = Map::new();
    object.insert("userName".to_owned(), Value::String(user.user_name));
    put_flag(&mut object, "active", user.provisioned_active);
    put_text(&mut object, "externalId", user.external_id);
    put_text(&mut object, "displayName", user.display_name);
    profile::put(&mut object, user.profile.unwrap_or_default());
    user_attributes::put(&mut object, user.user_attributes);
    Resource::from_trusted_object(definition, object)
}

/// The whole answer.
pub(crate) fn to_response(definition: Definition<'_>, mut user: User, base: &Base) -> Map<String, Value> {
    let id = std::mem::take(&mut user.id);
    let groups = std::mem::take(&mut user.groups);
    let version = Version(user.version).entity_tag();
    let (created, last_modified) =
        (time::from_wire(user.create_time.as_ref()), time::from_wire(user.update_time.as_ref()));
    let location = base.resource(ResourceType::User, &id);
    let meta = Meta { id: &id, created, last_modified, location: &location, version: Some(&version) };
    let mut response = to_resource(definition, user).to_response(&meta);
    if !groups.is_empty() {
        response.insert("groups".to_owned(), groups.into_iter().map(|group| member_of(group, base)).collect());
    }
    if let Some(Value::Object(manager)) = response.get_mut(ENTERPRISE_USER_URN).and_then(|it| it.get_mut("manager")) {
        address(manager, base);
    }
    response
}

/// One element of `groups`.
fn member_of(group: MemberOf, base: &Base) -> Value {
    let location = base.resource(ResourceType::Group, &group.group_id);
    json!({"value": group.group_id, "$ref": location, "display": group.display_name, "type": "direct"})
}

/// Adds where the manager is to be found. What a directory sends ahead of the user that it means may be no id; it has no address.
fn address(manager: &mut Map<String, Value>, base: &Base) {
    let id = manager.get("value").and_then(Value::as_str).filter(|id| id.parse::<UserId>().is_ok());
    if let Some(location) = id.map(|id| base.resource(ResourceType::User, id)) {
        manager.insert("$ref".to_owned(), Value::String(location));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use scim::schema::{Attribute, Kind, Mutability};
    use serde_json::json;

    use super::*;

    fn user() -> Definition<'static> {
        ResourceType::User.into()
    }

    fn resource(body: Value) -> Resource<'static> {
        Resource::from_json(ResourceType::User, body).unwrap()
    }

    fn there_and_back(resource: Resource<'static>) -> Resource<'static> {
        to_resource(user(), to_wire("u1".to_owned(), resource))
    }

    /// Any value of an attribute, made from its definition alone: an attribute that is added to the schema is covered
    /// at once.
    fn any_value(attribute: &'static Attribute) -> BoxedStrategy<Value> {
        let one = match attribute.kind {
            Kind::String | Kind::DateTime | Kind::Binary | Kind::Reference => {
                "[^\0]{0,8}".prop_map(Value::String).boxed()
            }
            Kind::Boolean => any::<bool>().prop_map(Value::Bool).boxed(),
            Kind::Decimal => any::<i32>().prop_map(Value::from).boxed(),
            Kind::Integer => any::<i64>().prop_map(Value::from).boxed(),
            Kind::Complex => any_object(&attribute.sub_attributes),
        };
        if attribute.multi_valued { prop::collection::vec(one, 0..4).prop_map(Value::Array).boxed() } else { one }
    }

    fn any_object(attributes: &'static [Attribute]) -> BoxedStrategy<Value> {
        let written = attributes
            .iter()
            .filter(|attribute| !matches!(attribute.mutability, Mutability::ReadOnly | Mutability::WriteOnly));
        // The manager's address is not kept; `the_address_of_a_manager_is_not_kept` says so.
        let kept = written.filter(|attribute| attribute.name != "$ref");
        let members: Vec<_> = kept
            .map(|attribute| prop::option::of(any_value(attribute)).prop_map(|value| (attribute.name.as_ref(), value)))
            .collect();
        let present = |members: Vec<(&str, Option<Value>)>| {
            members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
        };
        members.prop_map(move |members| Value::Object(present(members))).boxed()
    }

    fn any_user() -> impl Strategy<Value = Resource<'static>> {
        let extension = user().extension(ENTERPRISE_USER_URN).unwrap();
        let parts = (
            any_object(&user().schema().attributes),
            any_object(&extension.attributes),
            "[^\0]{0,8}",
            "[a-z]{1,8}",
            any::<bool>(),
        );
        parts.prop_map(|(mut body, extension, external_id, user_name, active)| {
            body[ENTERPRISE_USER_URN] = extension;
            body["externalId"] = json!(external_id);
            body["userName"] = json!(user_name);
            body["active"] = json!(active);
            resource(body)
        })
    }

    proptest! {
        #[test]
        fn nothing_is_lost_on_the_way_there_and_back(user in any_user()) {
            prop_assert_eq!(there_and_back(user.clone()), user);
        }
    }

    #[test]
    fn silence_about_access_is_passed_on() {
        let active = |body: Value| to_wire(String::new(), resource(body)).provisioned_active;
        assert_eq!(active(json!({"userName": "ada"})), None);
        assert_eq!(active(json!({"userName": "ada", "active": false})), Some(false));
    }

    #[test]
    fn r23_a_suspension_is_not_seen() {
        let user = User { provisioned_active: Some(true), suspended: true, active: false, ..User::default() };
        assert_eq!(to_resource(ResourceType::User.into(), user).get("active"), Some(&json!(true)));
    }

    #[test]
    fn the_address_of_a_manager_is_not_kept() {
        let manager = |manager: Value| {
            resource(json!({"userName": "ada", "active": true, ENTERPRISE_USER_URN: {"manager": manager}}))
        };
        let sent = manager(json!({"value": "m1", "$ref": "https://x/Users/m1"}));
        assert_eq!(there_and_back(sent), manager(json!({"value": "m1"})));
    }

    #[test]
    fn a_manager_who_can_be_a_user_has_an_address() {
        let id = UserId::generate().to_string();
        let answered = |manager: &str| {
            let body = json!({"userName": "ada", ENTERPRISE_USER_URN: {"manager": {"value": manager}}});
            let response = to_response(user(), to_wire("u1".to_owned(), resource(body)), &Base::new("https://h"));
            response[ENTERPRISE_USER_URN]["manager"].clone()
        };
        assert_eq!(answered(&id), json!({"value": id, "$ref": format!("https://h/api/scim/v2/Users/{id}")}));
        assert_eq!(answered("not provisioned yet"), json!({"value": "not provisioned yet"}));
    }

    #[test]
    fn an_answer_tells_when_where_and_which_version() {
        let user = User {
            id: "u1".to_owned(),
            user_name: "ada".to_owned(),
            provisioned_active: Some(false),
            version: 3,
            create_time: Some(pbjson_types::Timestamp { seconds: 0, nanos: 1_999_999 }),
            update_time: Some(pbjson_types::Timestamp { seconds: 1, nanos: 0 }),
            ..User::default()
        };
        let expected = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "u1", "userName": "ada", "active": false,
            "meta": {"resourceType": "User", "created": "1970-01-01T00:00:00.001Z", "lastModified": "1970-01-01T00:00:01Z",
                "location": "https://h/api/scim/v2/Users/u1", "version": "W/\"3\""},
        });
        let response = to_response(ResourceType::User.into(), user, &Base::new("https://h"));
        assert_eq!(Value::Object(response), expected);
    }
}

//! A user's profile, both ways.
//!
//! Inputs are objects with the schema's own names and types, so a value of another type cannot be met; it would count
//! as absent.

use proto::identity::v1::{Address, ContactPoint, Enterprise, PersonName, Profile};
use scim::schema::ENTERPRISE_USER_URN;
use serde_json::{Map, Value};

type Object = Map<String, Value>;

/// Takes a profile's attributes out of a resource.
pub(crate) fn take(object: &mut Object) -> Profile {
    Profile {
        name: take_object(object, "name").map(person_name),
        nick_name: take_text(object, "nickName"),
        profile_url: take_text(object, "profileUrl"),
        title: take_text(object, "title"),
        user_type: take_text(object, "userType"),
        preferred_language: take_text(object, "preferredLanguage"),
        locale: take_text(object, "locale"),
        timezone: take_text(object, "timezone"),
        emails: take_list(object, "emails", contact_point),
        phone_numbers: take_list(object, "phoneNumbers", contact_point),
        ims: take_list(object, "ims", contact_point),
        photos: take_list(object, "photos", contact_point),
        addresses: take_list(object, "addresses", address),
        entitlements: take_list(object, "entitlements", contact_point),
        roles: take_list(object, "roles", contact_point),
        x509_certificates: take_list(object, "x509Certificates", contact_point),
        enterprise: take_object(object, ENTERPRISE_USER_URN).map(enterprise),
    }
}

/// Puts a profile's attributes into a resource.
pub(crate) fn put(object: &mut Object, profile: Profile) {
    put_object(object, "name", profile.name.map(name_object));
    put_text(object, "nickName", profile.nick_name);
    put_text(object, "profileUrl", profile.profile_url);
    put_text(object, "title", profile.title);
    put_text(object, "userType", profile.user_type);
    put_text(object, "preferredLanguage", profile.preferred_language);
    put_text(object, "locale", profile.locale);
    put_text(object, "timezone", profile.timezone);
    put_list(object, "emails", profile.emails, contact_point_object);
    put_list(object, "phoneNumbers", profile.phone_numbers, contact_point_object);
    put_list(object, "ims", profile.ims, contact_point_object);
    put_list(object, "photos", profile.photos, contact_point_object);
    put_list(object, "addresses", profile.addresses, address_object);
    put_list(object, "entitlements", profile.entitlements, contact_point_object);
    put_list(object, "roles", profile.roles, contact_point_object);
    put_list(object, "x509Certificates", profile.x509_certificates, contact_point_object);
    put_object(object, ENTERPRISE_USER_URN, profile.enterprise.map(enterprise_object));
}

fn person_name(mut object: Object) -> PersonName {
    PersonName {
        formatted: take_text(&mut object, "formatted"),
        family_name: take_text(&mut object, "familyName"),
        given_name: take_text(&mut object, "givenName"),
        middle_name: take_text(&mut object, "middleName"),
        honorific_prefix: take_text(&mut object, "honorificPrefix"),
        honorific_suffix: take_text(&mut object, "honorificSuffix"),
    }
}

fn name_object(name: PersonName) -> Object {
    let mut object = Object::new();
    put_text(&mut object, "formatted", name.formatted);
    put_text(&mut object, "familyName", name.family_name);
    put_text(&mut object, "givenName", name.given_name);
    put_text(&mut object, "middleName", name.middle_name);
    put_text(&mut object, "honorificPrefix", name.honorific_prefix);
    put_text(&mut object, "honorificSuffix", name.honorific_suffix);
    object
}

fn contact_point(mut object: Object) -> ContactPoint {
    ContactPoint {
        value: take_text(&mut object, "value"),
        display: take_text(&mut object, "display"),
        r#type: take_text(&mut object, "type"),
        primary: take_flag(&mut object, "primary"),
    }
}

fn contact_point_object(point: ContactPoint) -> Object {
    let mut object = Object::new();
    put_text(&mut object, "value", point.value);
    put_text(&mut object, "display", point.display);
    put_text(&mut object, "type", point.r#type);
    put_flag(&mut object, "primary", point.primary);
    object
}

fn address(mut object: Object) -> Address {
    Address {
        formatted: take_text(&mut object, "formatted"),
        street_address: take_text(&mut object, "streetAddress"),
        locality: take_text(&mut object, "locality"),
        region: take_text(&mut object, "region"),
        postal_code: take_text(&mut object, "postalCode"),
        country: take_text(&mut object, "country"),
        r#type: take_text(&mut object, "type"),
        primary: take_flag(&mut object, "primary"),
    }
}

fn address_object(address: Address) -> Object {
    let mut object = Object::new();
    put_text(&mut object, "formatted", address.formatted);
    put_text(&mut object, "streetAddress", address.street_address);
    put_text(&mut object, "locality", address.locality);
    put_text(&mut object, "region", address.region);
    put_text(&mut object, "postalCode", address.postal_code);
    put_text(&mut object, "country", address.country);
    put_text(&mut object, "type", address.r#type);
    put_flag(&mut object, "primary", address.primary);
    object
}

fn enterprise(mut object: Object) -> Enterprise {
    // `$ref` is the manager's address, which follows from the id.
    let mut manager = take_object(&mut object, "manager").unwrap_or_default();
    Enterprise {
        employee_number: take_text(&mut object, "employeeNumber"),
        cost_center: take_text(&mut object, "costCenter"),
        organization: take_text(&mut object, "organization"),
        division: take_text(&mut object, "division"),
        department: take_text(&mut object, "department"),
        manager_id: take_text(&mut manager, "value"),
        manager_display_name: take_text(&mut manager, "displayName"),
    }
}

fn enterprise_object(enterprise: Enterprise) -> Object {
    let mut manager = Object::new();
    put_text(&mut manager, "value", enterprise.manager_id);
    put_text(&mut manager, "displayName", enterprise.manager_display_name);
    let mut object = Object::new();
    put_text(&mut object, "employeeNumber", enterprise.employee_number);
    put_text(&mut object, "costCenter", enterprise.cost_center);
    put_text(&mut object, "organization", enterprise.organization);
    put_text(&mut object, "division", enterprise.division);
    put_text(&mut object, "department", enterprise.department);
    put_object(&mut object, "manager", Some(manager));
    object
}

/// Takes a text away from its object.
pub(crate) fn take_text(object: &mut Object, name: &str) -> Option<String> {
    match object.remove(name) {
        Some(Value::String(text)) => Some(text),
        Some(_) | None => None,
    }
}

/// Takes a truth value away from its object.
pub(crate) fn take_flag(object: &mut Object, name: &str) -> Option<bool> {
    object.remove(name).as_ref().and_then(Value::as_bool)
}

fn take_object(object: &mut Object, name: &str) -> Option<Object> {
    match object.remove(name) {
        Some(Value::Object(inner)) => Some(inner),
        Some(_) | None => None,
    }
}

fn take_list<T>(object: &mut Object, name: &str, element: fn(Object) -> T) -> Vec<T> {
    let Some(Value::Array(elements)) = object.remove(name) else { return Vec::new() };
    let objects = elements.into_iter().filter_map(|value| match value {
        Value::Object(inner) => Some(element(inner)),
        _ => None,
    });
    objects.collect()
}

/// Sets a text, if there is one.
pub(crate) fn put_text(object: &mut Object, name: &str, text: Option<String>) {
    if let Some(text) = text {
        object.insert(name.to_owned(), Value::String(text));
    }
}

/// Sets a truth value, if there is one.
pub(crate) fn put_flag(object: &mut Object, name: &str, flag: Option<bool>) {
    if let Some(flag) = flag {
        object.insert(name.to_owned(), Value::Bool(flag));
    }
}

fn put_object(object: &mut Object, name: &str, inner: Option<Object>) {
    if let Some(inner) = inner.filter(|inner| !inner.is_empty()) {
        object.insert(name.to_owned(), Value::Object(inner));
    }
}

fn put_list<T>(object: &mut Object, name: &str, elements: Vec<T>, element: fn(T) -> Object) {
    if !elements.is_empty() {
        let objects = elements.into_iter().map(|inner| Value::Object(element(inner)));
        object.insert(name.to_owned(), objects.collect());
    }
}

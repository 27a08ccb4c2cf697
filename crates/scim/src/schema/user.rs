//! The User schema (RFC 7643 section 4.1).
//!
//! `password` is taken and thrown away: nobody signs in here. `addresses` has a `primary` that the RFC's schema lacks, because section 2.4 gives one to every multi-valued attribute and
//! clients send it.

use std::sync::LazyLock;

use super::{Attribute, Kind, Mutability, Returned, Schema, USER_URN};

/// The schema.
pub(super) static USER: LazyLock<Schema> = LazyLock::new(|| Schema {
    id: USER_URN,
    name: "User",
    description: "User Account",
    attributes: vec![
        Attribute::string("userName", "The name that identifies the user to the service.").required().unique(),
        Attribute::complex("name", name(), "The parts of the user's name."),
        Attribute::string("displayName", "The name as it is shown."),
        Attribute::string("nickName", "The casual name."),
        Attribute::reference("profileUrl", &["external"], "The address of a page about the user."),
        Attribute::string("title", "The job title."),
        Attribute::string("userType", "The relation to the organisation, such as `Contractor`."),
        Attribute::string("preferredLanguage", "The preferred language."),
        Attribute::string("locale", "The place whose formats are used."),
        Attribute::string("timezone", "The time zone."),
        Attribute::new("active", Kind::Boolean, "Whether the user may use the service."),
        Attribute::string("password", "Taken and thrown away: nobody signs in with a password.")
            .case_exact()
            .mutability(Mutability::WriteOnly)
            .returned(Returned::Never)
            .not_queryable(),
        Attribute::complex("emails", emails(), "The e-mail addresses.").multi_valued(),
        Attribute::complex("phoneNumbers", phone_numbers(), "The phone numbers.").multi_valued(),
        Attribute::complex("ims", ims(), "The messaging addresses.").multi_valued(),
        Attribute::complex("photos", photos(), "The pictures.").multi_valued(),
        Attribute::complex("addresses", addresses(), "The postal addresses.").multi_valued(),
        Attribute::complex("groups", groups(), "The groups that the user is a member of.")
            .multi_valued()
            .mutability(Mutability::ReadOnly),
        Attribute::complex("entitlements", entitlements(), "The entitlements.").multi_valued(),
        Attribute::complex("roles", roles(), "The roles.").multi_valued(),
        Attribute::complex("x509Certificates", certificates(), "The certificates.").multi_valued(),
    ],
});

fn name() -> Vec<Attribute> {
    vec![
        Attribute::string("formatted", "The full name, ready to be shown."),
        Attribute::string("familyName", "The family name."),
        Attribute::string("givenName", "The given name."),
        Attribute::string("middleName", "The middle names."),
        Attribute::string("honorificPrefix", "The title, such as `Dr.`."),
        Attribute::string("honorificSuffix", "The suffix, such as `III`."),
    ]
}

/// A value with what is said of it (RFC 7643 section 2.4).
fn labelled(value: Attribute, types: &'static [&'static str]) -> Vec<Attribute> {
    vec![
        value,
        Attribute::string("display", "The value as it is shown."),
        Attribute::string("type", "What the value is for.").canonical(types),
        primary(),
    ]
}

fn primary() -> Attribute {
    Attribute::new("primary", Kind::Boolean, "Whether this is the preferred value.")
}

fn emails() -> Vec<Attribute> {
    labelled(Attribute::string("value", "The e-mail address."), &["work", "home", "other"])
}

fn phone_numbers() -> Vec<Attribute> {
    labelled(Attribute::string("value", "The phone number."), &["work", "home", "mobile", "fax", "pager", "other"])
}

fn ims() -> Vec<Attribute> {
    let types = &["aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"];
    labelled(Attribute::string("value", "The messaging address."), types)
}

fn photos() -> Vec<Attribute> {
    labelled(Attribute::reference("value", &["external"], "The address of the picture."), &["photo", "thumbnail"])
}

fn addresses() -> Vec<Attribute> {
    vec![
        Attribute::string("formatted", "The full address, ready to be shown."),
        Attribute::string("streetAddress", "The street, house number and the like."),
        Attribute::string("locality", "The city."),
        Attribute::string("region", "The state or region."),
        Attribute::string("postalCode", "The postal code."),
        Attribute::string("country", "The country."),
        Attribute::string("type", "What the value is for.").canonical(&["work", "home", "other"]),
        primary(),
    ]
}

fn groups() -> Vec<Attribute> {
    let parts = [
        Attribute::string("value", "The id of the group.").case_exact(),
        Attribute::reference("$ref", &["Group"], "The address of the group.").not_queryable(),
        Attribute::string("display", "The group's name."),
        Attribute::string("type", "How the user is a member: always `direct`.").canonical(&["direct"]),
    ];
    parts.map(|part| part.mutability(Mutability::ReadOnly)).into()
}

fn entitlements() -> Vec<Attribute> {
    labelled(Attribute::string("value", "The entitlement."), &[])
}

fn roles() -> Vec<Attribute> {
    labelled(Attribute::string("value", "The role."), &[])
}

fn certificates() -> Vec<Attribute> {
    labelled(Attribute::new("value", Kind::Binary, "The certificate, DER as base64."), &[])
}

//! The User schema (RFC 7643 section 4.1).
//!
//! Left out are `password`, which this server never stores, and the read-only `groups`. `addresses` has a `primary`
//! that the RFC's schema lacks, because section 2.4 gives one to every multi-valued attribute and clients send it.

use super::{Attribute, Kind, Schema, USER_URN};

const NAME: &[Attribute] = &[
    Attribute::string("formatted", "The full name, ready to be shown."),
    Attribute::string("familyName", "The family name."),
    Attribute::string("givenName", "The given name."),
    Attribute::string("middleName", "The middle names."),
    Attribute::string("honorificPrefix", "The title, such as `Dr.`."),
    Attribute::string("honorificSuffix", "The suffix, such as `III`."),
];

const DISPLAY: Attribute = Attribute::string("display", "The value as it is shown.");
const TYPE: Attribute = Attribute::string("type", "What the value is for.");
const PRIMARY: Attribute = Attribute::new("primary", Kind::Boolean, "Whether this is the preferred value.");

const EMAILS: &[Attribute] =
    &[Attribute::string("value", "The e-mail address."), DISPLAY, TYPE.canonical(&["work", "home", "other"]), PRIMARY];

const PHONE_NUMBERS: &[Attribute] = &[
    Attribute::string("value", "The phone number."),
    DISPLAY,
    TYPE.canonical(&["work", "home", "mobile", "fax", "pager", "other"]),
    PRIMARY,
];

const IMS: &[Attribute] = &[
    Attribute::string("value", "The messaging address."),
    DISPLAY,
    TYPE.canonical(&["aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"]),
    PRIMARY,
];

const PHOTOS: &[Attribute] = &[
    Attribute::reference("value", &["external"], "The address of the picture."),
    DISPLAY,
    TYPE.canonical(&["photo", "thumbnail"]),
    PRIMARY,
];

const ADDRESSES: &[Attribute] = &[
    Attribute::string("formatted", "The full address, ready to be shown."),
    Attribute::string("streetAddress", "The street, house number and the like."),
    Attribute::string("locality", "The city."),
    Attribute::string("region", "The state or region."),
    Attribute::string("postalCode", "The postal code."),
    Attribute::string("country", "The country."),
    TYPE.canonical(&["work", "home", "other"]),
    PRIMARY,
];

const ENTITLEMENTS: &[Attribute] = &[Attribute::string("value", "The entitlement."), DISPLAY, TYPE, PRIMARY];

const ROLES: &[Attribute] = &[Attribute::string("value", "The role."), DISPLAY, TYPE, PRIMARY];

const CERTIFICATES: &[Attribute] =
    &[Attribute::new("value", Kind::Binary, "The certificate, DER as base64."), DISPLAY, TYPE, PRIMARY];

/// The schema.
pub(super) static USER: Schema = Schema {
    id: USER_URN,
    name: "User",
    description: "User Account",
    attributes: &[
        Attribute::string("userName", "The name that identifies the user to the service.").required().unique(),
        Attribute::complex("name", NAME, "The parts of the user's name."),
        Attribute::string("displayName", "The name as it is shown."),
        Attribute::string("nickName", "The casual name."),
        Attribute::reference("profileUrl", &["external"], "The address of a page about the user."),
        Attribute::string("title", "The job title."),
        Attribute::string("userType", "The relation to the organisation, such as `Contractor`."),
        Attribute::string("preferredLanguage", "The preferred language."),
        Attribute::string("locale", "The place whose formats are used."),
        Attribute::string("timezone", "The time zone."),
        Attribute::new("active", Kind::Boolean, "Whether the user may use the service."),
        Attribute::complex("emails", EMAILS, "The e-mail addresses.").multi_valued(),
        Attribute::complex("phoneNumbers", PHONE_NUMBERS, "The phone numbers.").multi_valued(),
        Attribute::complex("ims", IMS, "The messaging addresses.").multi_valued(),
        Attribute::complex("photos", PHOTOS, "The pictures.").multi_valued(),
        Attribute::complex("addresses", ADDRESSES, "The postal addresses.").multi_valued(),
        Attribute::complex("entitlements", ENTITLEMENTS, "The entitlements.").multi_valued(),
        Attribute::complex("roles", ROLES, "The roles.").multi_valued(),
        Attribute::complex("x509Certificates", CERTIFICATES, "The certificates.").multi_valued(),
    ],
};

//! What can be asked of users and of groups: each field with its type and where it is kept. A new field is a new row here.

use crate::domain::{AttributeType, UserAttribute};

/// The field under which the attributes stand that a tenant defined.
pub(crate) const USER_ATTRIBUTES: &str = "user_attributes";
/// The field whose parts stand at the root of the search document.
const PROFILE: &str = "profile";

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldType {
    /// An id of a user or a group.
    Id,
    Text(Case),
    Boolean,
    Number,
    Time,
    /// A message, which is there or not.
    Object,
    /// A list of messages with these fields.
    Elements(&'static [(&'static str, FieldType)]),
    /// A list of texts, compared without case.
    Texts,
    Numbers,
}

/// Whether case distinguishes two texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// Compared without case (rule R15).
    Folded,
    /// Compared byte for byte.
    Exact,
}

/// What has a column of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Id,
    UserName,
    ExternalId,
    DisplayName,
    ProvisionedActive,
    CreatedAt,
    UpdatedAt,
}

/// Where a field is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Column(Column),
    /// In the search document, below these keys.
    Document(Vec<String>),
    /// In memberships: the groups of a user, the members of a group.
    Memberships,
    /// In an element of the list that is asked about, under this key.
    Element(&'static str),
}

/// A field that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) kind: FieldType,
    pub(crate) place: Place,
}

/// Where the fields of a table are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Column(Column),
    /// In the search document, below the keys of its own path.
    Document,
    Memberships,
}

type Row = (&'static str, FieldType, Kept);

const FOLDED: FieldType = FieldType::Text(Case::Folded);
const EXACT: FieldType = FieldType::Text(Case::Exact);

const CONTACT_POINT: FieldType =
    FieldType::Elements(&[("value", FOLDED), ("display", FOLDED), ("type", FOLDED), ("primary", FieldType::Boolean)]);
/// Values that are no words: URLs, certificates.
const EXACT_CONTACT_POINT: FieldType =
    FieldType::Elements(&[("value", EXACT), ("display", FOLDED), ("type", FOLDED), ("primary", FieldType::Boolean)]);
const ADDRESS: FieldType = FieldType::Elements(&[
    ("formatted", FOLDED),
    ("street_address", FOLDED),
    ("locality", FOLDED),
    ("region", FOLDED),
    ("postal_code", FOLDED),
    ("country", FOLDED),
    ("type", FOLDED),
    ("primary", FieldType::Boolean),
]);

const USER: &[Row] = &[
    ("id", FieldType::Id, Kept::Column(Column::Id)),
    ("user_name", FOLDED, Kept::Column(Column::UserName)),
    ("external_id", EXACT, Kept::Column(Column::ExternalId)),
    ("display_name", FOLDED, Kept::Column(Column::DisplayName)),
    ("provisioned_active", FieldType::Boolean, Kept::Column(Column::ProvisionedActive)),
    ("create_time", FieldType::Time, Kept::Column(Column::CreatedAt)),
    ("update_time", FieldType::Time, Kept::Column(Column::UpdatedAt)),
    ("groups", FieldType::Elements(&[("group_id", FieldType::Id), ("display_name", FOLDED)]), Kept::Memberships),
    ("profile.name", FieldType::Object, Kept::Document),
    ("profile.name.formatted", FOLDED, Kept::Document),
    ("profile.name.family_name", FOLDED, Kept::Document),
    ("profile.name.given_name", FOLDED, Kept::Document),
    ("profile.name.middle_name", FOLDED, Kept::Document),
    ("profile.name.honorific_prefix", FOLDED, Kept::Document),
    ("profile.name.honorific_suffix", FOLDED, Kept::Document),
    ("profile.nick_name", FOLDED, Kept::Document),
    ("profile.profile_url", EXACT, Kept::Document),
    ("profile.title", FOLDED, Kept::Document),
    ("profile.user_type", FOLDED, Kept::Document),
    ("profile.preferred_language", FOLDED, Kept::Document),
    ("profile.locale", FOLDED, Kept::Document),
    ("profile.timezone", FOLDED, Kept::Document),
    ("profile.emails", CONTACT_POINT, Kept::Document),
    ("profile.phone_numbers", CONTACT_POINT, Kept::Document),
    ("profile.ims", CONTACT_POINT, Kept::Document),
    ("profile.photos", EXACT_CONTACT_POINT, Kept::Document),
    ("profile.addresses", ADDRESS, Kept::Document),
    ("profile.entitlements", CONTACT_POINT, Kept::Document),
    ("profile.roles", CONTACT_POINT, Kept::Document),
    ("profile.x509_certificates", EXACT_CONTACT_POINT, Kept::Document),
    ("profile.enterprise", FieldType::Object, Kept::Document),
    ("profile.enterprise.employee_number", FOLDED, Kept::Document),
    ("profile.enterprise.cost_center", FOLDED, Kept::Document),
    ("profile.enterprise.organization", FOLDED, Kept::Document),
    ("profile.enterprise.division", FOLDED, Kept::Document),
    ("profile.enterprise.department", FOLDED, Kept::Document),
    ("profile.enterprise.manager_id", EXACT, Kept::Document),
    ("profile.enterprise.manager_display_name", FOLDED, Kept::Document),
    (USER_ATTRIBUTES, FieldType::Object, Kept::Document),
];

const GROUP: &[Row] = &[
    ("id", FieldType::Id, Kept::Column(Column::Id)),
    ("display_name", FOLDED, Kept::Column(Column::DisplayName)),
    ("external_id", EXACT, Kept::Column(Column::ExternalId)),
    ("create_time", FieldType::Time, Kept::Column(Column::CreatedAt)),
    ("update_time", FieldType::Time, Kept::Column(Column::UpdatedAt)),
    ("members", FieldType::Elements(&[("user_id", FieldType::Id), ("display_name", FOLDED)]), Kept::Memberships),
];

/// Where fields are looked up by their paths.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Catalogue<'c> {
    /// Users, with the attributes that their tenant defined.
    Users(&'c [UserAttribute]),
    Groups,
    /// The elements of one list.
    Elements(&'static [(&'static str, FieldType)]),
}

impl Catalogue<'_> {
    /// The field of a path.
    pub(crate) fn field(self, path: &str) -> Option<Field> {
        match self {
            Self::Users(defined) => row(USER, path).or_else(|| user_attribute(defined, path)),
            Self::Groups => row(GROUP, path),
            Self::Elements(fields) => {
                let (name, kind) = fields.iter().find(|(name, _)| *name == path)?;
                Some(Field { kind: *kind, place: Place::Element(name) })
            }
        }
    }

    /// The list that a path leads through, and what follows it: `profile.emails` and `value` of `profile.emails.value`.
    pub(crate) fn through_list(self, path: &str) -> Option<(Field, Field)> {
        let (list, name) = path.rsplit_once('.')?;
        let list = self.field(list)?;
        let FieldType::Elements(fields) = list.kind else { return None };
        let field = Catalogue::Elements(fields).field(name)?;
        Some((list, field))
    }
}

/// Whether the texts at a path of the profile keep their case in the search document.
pub(crate) fn is_exact(path: &str) -> bool {
    let users = Catalogue::Users(&[]);
    let field = users.field(path).or_else(|| users.through_list(path).map(|(_, field)| field));
    field.is_some_and(|field| field.kind == EXACT)
}

fn row(rows: &[Row], path: &str) -> Option<Field> {
    let (_, kind, kept) = rows.iter().find(|(known, ..)| *known == path)?;
    let place = match kept {
        Kept::Column(column) => Place::Column(*column),
        Kept::Document => Place::Document(path.split('.').filter(|key| *key != PROFILE).map(str::to_owned).collect()),
        Kept::Memberships => Place::Memberships,
    };
    Some(Field { kind: *kind, place })
}

fn user_attribute(defined: &[UserAttribute], path: &str) -> Option<Field> {
    let name = path.strip_prefix(USER_ATTRIBUTES)?.strip_prefix('.')?;
    let attribute = defined.iter().find(|attribute| attribute.name.is(name))?;
    let kind = match attribute.kind {
        AttributeType::Text => FOLDED,
        AttributeType::Number => FieldType::Number,
        AttributeType::Boolean => FieldType::Boolean,
        AttributeType::Texts => FieldType::Texts,
        AttributeType::Numbers => FieldType::Numbers,
    };
    let keys = vec![USER_ATTRIBUTES.to_owned(), attribute.name.as_str().to_owned()];
    Some(Field { kind, place: Place::Document(keys) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Address, ContactPoint, Enterprise, PersonName, Profile};

    #[test]
    fn every_field_of_a_profile_has_a_row() {
        let text = || Some("x".to_owned());
        let point = || vec![ContactPoint { value: text(), display: text(), kind: text(), primary: Some(true) }];
        let profile = Profile {
            name: Some(PersonName {
                formatted: text(),
                family_name: text(),
                given_name: text(),
                middle_name: text(),
                honorific_prefix: text(),
                honorific_suffix: text(),
            }),
            nick_name: text(),
            profile_url: text(),
            title: text(),
            user_type: text(),
            preferred_language: text(),
            locale: text(),
            timezone: text(),
            emails: point(),
            phone_numbers: point(),
            ims: point(),
            photos: point(),
            addresses: vec![Address {
                formatted: text(),
                street_address: text(),
                locality: text(),
                region: text(),
                postal_code: text(),
                country: text(),
                kind: text(),
                primary: Some(true),
            }],
            entitlements: point(),
            roles: point(),
            x509_certificates: point(),
            enterprise: Some(Enterprise {
                employee_number: text(),
                cost_center: text(),
                organization: text(),
                division: text(),
                department: text(),
                manager_id: text(),
                manager_display_name: text(),
            }),
        };
        let users = Catalogue::Users(&[]);
        let mut left = vec![(PROFILE.to_owned(), serde_json::to_value(profile).unwrap())];
        let mut leaves = 0;
        while let Some((path, value)) = left.pop() {
            match value {
                serde_json::Value::Object(fields) => {
                    left.extend(fields.into_iter().map(|(name, value)| (format!("{path}.{name}"), value)));
                }
                serde_json::Value::Array(list) => left.extend(list.into_iter().map(|item| (path.clone(), item))),
                leaf => {
                    leaves += 1;
                    let field = users.field(&path).or_else(|| users.through_list(&path).map(|(_, field)| field));
                    let kind = field.unwrap_or_else(|| panic!("{path}")).kind;
                    assert_eq!(kind == FieldType::Boolean, leaf.is_boolean(), "{path}");
                }
            }
        }
        assert_eq!(leaves, 6 + 7 + 7 * 4 + 8 + 7);
    }

    #[test]
    fn a_field_stands_below_the_keys_of_its_path() {
        let field = Catalogue::Users(&[]).field("profile.name.given_name").unwrap();
        assert_eq!(field.place, Place::Document(vec!["name".into(), "given_name".into()]));
        assert_eq!(Catalogue::Users(&[]).field("profile"), None);
        assert_eq!(Catalogue::Users(&[]).field("profile.emails.value"), None);
        assert_eq!(Catalogue::Groups.field("user_name"), None);
    }

    #[test]
    fn what_is_no_word_keeps_its_case() {
        for path in [
            "profile.profile_url",
            "profile.photos.value",
            "profile.x509_certificates.value",
            "profile.enterprise.manager_id",
        ] {
            assert!(is_exact(path), "{path}");
        }
        assert!(!is_exact("profile.title") && !is_exact("profile.photos.type") && !is_exact("profile.emails.value"));
    }
}

//! Profiles, between the wire and the domain. A text that is empty is as if absent (proto3 JSON and clients differ on it).

use proto::identity::v1 as wire;

use crate::domain::{Address, ContactPoint, Enterprise, InvalidField, PersonName, Profile};

impl TryFrom<wire::Profile> for Profile {
    type Error = InvalidField;

    fn try_from(wire: wire::Profile) -> Result<Self, InvalidField> {
        let profile = Self {
            name: wire.name.map(PersonName::from).filter(|name| *name != PersonName::default()),
            nick_name: known(wire.nick_name),
            profile_url: known(wire.profile_url),
            title: known(wire.title),
            user_type: known(wire.user_type),
            preferred_language: known(wire.preferred_language),
            locale: known(wire.locale),
            timezone: known(wire.timezone),
            emails: wire.emails.into_iter().map(ContactPoint::from).collect(),
            phone_numbers: wire.phone_numbers.into_iter().map(ContactPoint::from).collect(),
            ims: wire.ims.into_iter().map(ContactPoint::from).collect(),
            photos: wire.photos.into_iter().map(ContactPoint::from).collect(),
            entitlements: wire.entitlements.into_iter().map(ContactPoint::from).collect(),
            roles: wire.roles.into_iter().map(ContactPoint::from).collect(),
            x509_certificates: wire.x509_certificates.into_iter().map(ContactPoint::from).collect(),
            addresses: wire.addresses.into_iter().map(Address::from).collect(),
            enterprise: wire.enterprise.map(Enterprise::from).filter(|enterprise| *enterprise != Enterprise::default()),
        };
        profile.check()?;
        Ok(profile)
    }
}

impl From<Profile> for wire::Profile {
    fn from(profile: Profile) -> Self {
        Self {
            name: profile.name.map(Into::into),
            nick_name: profile.nick_name,
            profile_url: profile.profile_url,
            title: profile.title,
            user_type: profile.user_type,
            preferred_language: profile.preferred_language,
            locale: profile.locale,
            timezone: profile.timezone,
            emails: profile.emails.into_iter().map(Into::into).collect(),
            phone_numbers: profile.phone_numbers.into_iter().map(Into::into).collect(),
            ims: profile.ims.into_iter().map(Into::into).collect(),
            photos: profile.photos.into_iter().map(Into::into).collect(),
            entitlements: profile.entitlements.into_iter().map(Into::into).collect(),
            roles: profile.roles.into_iter().map(Into::into).collect(),
            x509_certificates: profile.x509_certificates.into_iter().map(Into::into).collect(),
            addresses: profile.addresses.into_iter().map(Into::into).collect(),
            enterprise: profile.enterprise.map(Into::into),
        }
    }
}

fn known(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

impl From<wire::PersonName> for PersonName {
    fn from(wire: wire::PersonName) -> Self {
        Self {
            formatted: known(wire.formatted),
            family_name: known(wire.family_name),
            given_name: known(wire.given_name),
            middle_name: known(wire.middle_name),
            honorific_prefix: known(wire.honorific_prefix),
            honorific_suffix: known(wire.honorific_suffix),
        }
    }
}

impl From<PersonName> for wire::PersonName {
    fn from(name: PersonName) -> Self {
        Self {
            formatted: name.formatted,
            family_name: name.family_name,
            given_name: name.given_name,
            middle_name: name.middle_name,
            honorific_prefix: name.honorific_prefix,
            honorific_suffix: name.honorific_suffix,
        }
    }
}

impl From<wire::ContactPoint> for ContactPoint {
    fn from(wire: wire::ContactPoint) -> Self {
        Self { value: known(wire.value), display: known(wire.display), kind: known(wire.r#type), primary: wire.primary }
    }
}

impl From<ContactPoint> for wire::ContactPoint {
    fn from(point: ContactPoint) -> Self {
        Self { value: point.value, display: point.display, r#type: point.kind, primary: point.primary }
    }
}

impl From<wire::Address> for Address {
    fn from(wire: wire::Address) -> Self {
        Self {
            formatted: known(wire.formatted),
            street_address: known(wire.street_address),
            locality: known(wire.locality),
            region: known(wire.region),
            postal_code: known(wire.postal_code),
            country: known(wire.country),
            kind: known(wire.r#type),
            primary: wire.primary,
        }
    }
}

impl From<Address> for wire::Address {
    fn from(address: Address) -> Self {
        Self {
            formatted: address.formatted,
            street_address: address.street_address,
            locality: address.locality,
            region: address.region,
            postal_code: address.postal_code,
            country: address.country,
            r#type: address.kind,
            primary: address.primary,
        }
    }
}

impl From<wire::Enterprise> for Enterprise {
    fn from(wire: wire::Enterprise) -> Self {
        Self {
            employee_number: known(wire.employee_number),
            cost_center: known(wire.cost_center),
            organization: known(wire.organization),
            division: known(wire.division),
            department: known(wire.department),
            manager_id: known(wire.manager_id),
            manager_display_name: known(wire.manager_display_name),
        }
    }
}

impl From<Enterprise> for wire::Enterprise {
    fn from(enterprise: Enterprise) -> Self {
        Self {
            employee_number: enterprise.employee_number,
            cost_center: enterprise.cost_center,
            organization: enterprise.organization,
            division: enterprise.division,
            department: enterprise.department,
            manager_id: enterprise.manager_id,
            manager_display_name: enterprise.manager_display_name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_comes_back_as_it_went() {
        let point = wire::ContactPoint {
            value: Some("v".into()),
            display: Some("d".into()),
            r#type: Some("work".into()),
            primary: Some(true),
        };
        let wire = wire::Profile {
            name: Some(wire::PersonName { family_name: Some("L".into()), ..Default::default() }),
            title: Some("t".into()),
            emails: vec![point.clone()],
            x509_certificates: vec![point],
            addresses: vec![wire::Address { country: Some("GB".into()), primary: Some(false), ..Default::default() }],
            enterprise: Some(wire::Enterprise { manager_id: Some("m".into()), ..Default::default() }),
            ..Default::default()
        };
        let profile = Profile::try_from(wire.clone()).unwrap();
        assert_eq!(wire::Profile::from(profile), wire);
    }

    #[test]
    fn an_empty_text_is_as_if_absent() {
        let wire = wire::Profile {
            title: Some(String::new()),
            name: Some(wire::PersonName { given_name: Some(String::new()), ..Default::default() }),
            ..Default::default()
        };
        assert_eq!(Profile::try_from(wire), Ok(Profile::default()));
    }
}

//! Tenants and their provisioning state.

use ids::TenantId;

use crate::domain::{InvalidField, RoleId, Timestamp};

/// The longest name of a tenant, in characters. As for a DNS label, so that it can be one.
const NAME_MAX: usize = 63;

/// One customer.
#[derive(Clone, Debug)]
pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    pub(crate) name: String,
    pub(crate) provisioning_state: ProvisioningState,
    pub(crate) provisioning_state_since: Timestamp,
    pub(crate) default_role: RoleId,
    pub(crate) created_at: Timestamp,
}

/// A tenant's name: a-z, 0-9 and inner hyphens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TenantName(String);

impl TenantName {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidField> {
        let allowed = text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if !allowed || text.is_empty() || text.len() > NAME_MAX || text.starts_with('-') || text.ends_with('-') {
            let problem = format!("must be 1 to {NAME_MAX} characters of a-z, 0-9 and inner hyphens");
            return Err(InvalidField::new("tenant.name", problem));
        }
        Ok(Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a directory may do (rule R13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProvisioningState {
    Off,
    On,
    Paused,
}

impl ProvisioningState {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Paused => "paused",
        }
    }

    /// From the store. What this release does not know, it does not let write or read.
    pub(crate) fn stored(text: &str) -> Self {
        match text {
            "on" => Self::On,
            "paused" => Self::Paused,
            _ => Self::Off,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_dns_label() {
        for good in ["a", "acme", "acme-2", &"a".repeat(63)] {
            assert!(TenantName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a b", "ä", "a.b", &"a".repeat(64)] {
            assert!(TenantName::parse(bad).is_err(), "{bad}");
        }
    }
}

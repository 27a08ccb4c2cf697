//! Tenants and their provisioning state.

use ids::TenantId;

use crate::domain::{AlarmState, InvalidField, RoleId, Timestamp};

/// The longest reason of a provisioning state, in characters.
const REASON_MAX: usize = 256;
/// The longest name of a tenant, in characters. As for a DNS label, so that it can be one.
const NAME_MAX: usize = 63;

/// One customer.
#[derive(Clone, Debug)]
pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    pub(crate) name: String,
    pub(crate) provisioning_state: ProvisioningState,
    pub(crate) provisioning_state_since: Timestamp,
    pub(crate) provisioning_state_reason: String,
    pub(crate) default_role: RoleId,
    /// Whether `admin` counts where a directory gives it (rule R21).
    pub(crate) directory_admin: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) deactivation_alarm: AlarmState,
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
    /// Each write is tried and taken back.
    Preview,
}

impl ProvisioningState {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Paused => "paused",
            Self::Preview => "preview",
        }
    }

    /// From the store. What this release does not know, it does not let write or read.
    pub(crate) fn stored(text: &str) -> Self {
        match text {
            "on" => Self::On,
            "paused" => Self::Paused,
            "preview" => Self::Preview,
            _ => Self::Off,
        }
    }
}

/// Why a provisioning state is what it is: a text for people, empty if nobody said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StateReason(String);

impl StateReason {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidField> {
        let text = text.trim();
        if text.chars().count() > REASON_MAX || text.chars().any(char::is_control) {
            let problem = format!("must be at most {REASON_MAX} characters, none of them a control character");
            return Err(InvalidField::new("reason", problem));
        }
        Ok(Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// From the store, which holds only what was parsed.
    pub(crate) const fn stored(text: String) -> Self {
        Self(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_line_of_text() {
        assert_eq!(StateReason::parse(" the first sync ").unwrap().as_str(), "the first sync");
        assert!(StateReason::parse("").is_ok() && StateReason::parse(&"é".repeat(256)).is_ok());
        for bad in ["a\nb", &"é".repeat(257)] {
            assert!(StateReason::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_state_is_stored_as_it_is_read() {
        use ProvisioningState::{Off, On, Paused, Preview};
        for state in [Off, On, Paused, Preview] {
            assert_eq!(ProvisioningState::stored(state.as_str()), state);
        }
        assert_eq!(ProvisioningState::stored("of a later release"), Off);
    }

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

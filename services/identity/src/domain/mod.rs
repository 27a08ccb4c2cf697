//! What is true of tenants, users, groups and roles, apart from how it is stored or sent.

mod caller;
mod error;
mod filter;
mod group;
mod page;
mod profile;
mod role;
mod tenant;
mod text;
mod time;
mod user;

pub(crate) use caller::Caller;
pub(crate) use case_key::CaseKey;
pub(crate) use error::{Error, InvalidField};
pub(crate) use filter::{EmailMatch, FILTER_DEPTH_MAX, FILTER_TERMS_MAX, Filter, GroupTerm, UserTerm};
pub(crate) use group::{GROUP_CHANGES_MAX, Group, GroupChange, GroupDraft, GroupName, MEMBER_IDS_MAX, Member};
pub(crate) use page::{LISTED_MAX, Listed, PageStart, Slice};
pub(crate) use profile::{Address, ContactPoint, Enterprise, PersonName, Profile};
pub(crate) use role::{BUILT_IN, EffectiveRole, RoleId, RoleSource};
pub(crate) use tenant::{ProvisioningState, Tenant, TenantName};
pub(crate) use text::{DisplayName, ExternalId};
pub(crate) use time::Timestamp;
pub(crate) use user::{User, UserDraft, UserName};

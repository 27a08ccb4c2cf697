//! Rows. Every table but `tenant` leads with `tenant_id`; times are microseconds since the Unix epoch.

pub(in crate::store) mod audit_entry;
pub(in crate::store) mod change;
pub(in crate::store) mod change_consumer;
pub(in crate::store) mod departure;
pub(in crate::store) mod directory_role;
pub(in crate::store) mod erasure;
pub(in crate::store) mod event_ack;
pub(in crate::store) mod event_delivery;
pub(in crate::store) mod event_endpoint;
pub(in crate::store) mod event_signing_key;
pub(in crate::store) mod group;
pub(in crate::store) mod membership;
pub(in crate::store) mod provisioning_cycle;
pub(in crate::store) mod provisioning_entry;
pub(in crate::store) mod provisioning_head;
pub(in crate::store) mod provisioning_sighting;
pub(in crate::store) mod provisioning_subject;
pub(in crate::store) mod role;
pub(in crate::store) mod role_assignment;
pub(in crate::store) mod role_batch;
pub(in crate::store) mod role_mapping;
pub(in crate::store) mod tenant;
pub(in crate::store) mod tenant_position;
pub(in crate::store) mod user;
pub(in crate::store) mod user_attribute;
pub(in crate::store) mod user_email;

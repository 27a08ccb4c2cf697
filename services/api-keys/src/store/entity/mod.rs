//! Rows, as sea-orm sees them.

pub(super) mod api_key;
pub(super) mod audit_entry;
pub(super) mod audit_position;
pub(super) mod departed;
pub(super) mod revocation;
pub(super) mod revocation_head;
pub(super) mod signing_key;
pub(super) mod trust;

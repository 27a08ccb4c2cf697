//! SCIM to proto and back: small total functions, which lose nothing that the schema defines and a directory writes.

pub(crate) mod field;
pub(crate) mod filter;
pub(crate) mod group;
pub(crate) mod profile;
pub(crate) mod time;
pub(crate) mod user;
pub(crate) mod user_attributes;

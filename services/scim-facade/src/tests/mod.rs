//! The service as a client sees it, over identity and api-keys that are played in this process.

mod access;
mod bulk;
mod credentials;
mod discovery;
mod entra;
mod faults;
mod groups;
mod harness;
pub(crate) mod identity;
mod logs;
mod oauth;
mod provisioning_log;
mod robustness;
mod root;
mod users;

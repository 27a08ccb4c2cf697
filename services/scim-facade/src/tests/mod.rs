//! The service as a client sees it, over identity and api-keys that are played in this process.

mod access;
mod bulk;
mod credentials;
mod discovery;
mod entra;
mod faults;
mod groups;
mod harness;
mod identity;
mod logs;
mod oauth;
mod robustness;
mod root;
mod users;

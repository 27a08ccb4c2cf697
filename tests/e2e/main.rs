//! The whole program, from outside: real processes, real HTTP and gRPC, real databases.
//!
//! Each test starts what it needs, on ports of its own with a database of its own. Nothing is shared between tests, and none waits by sleeping:
//! what is waited for is a condition with a deadline.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod architecture;
mod audit;
mod authentication;
mod changes;
mod command_line;
mod concurrency;
mod cycles;
mod durability;
mod events;
mod filters;
mod harness;
mod hostile;
mod isolation;
mod leavers;
mod oauth;
mod openid_provider;
mod paging;
mod personal_data;
mod provisioning_log;
mod provisioning_state;
mod proxy;
mod recorded;
mod replicas;
mod roles;
mod secrets;
mod service_identity;
mod user_attributes;

//! Whole cycles against a small SCIM server in memory, and against servers that are wrong in one way each.
#![cfg(test)]

mod cycles;
mod faults;
mod requests;
mod server;
mod store;

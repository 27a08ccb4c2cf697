//! The service as its clients see it, on both engines.

mod access;
mod audit;
mod exchange;
mod keys;
mod opening;
mod revocations;
mod trusts;

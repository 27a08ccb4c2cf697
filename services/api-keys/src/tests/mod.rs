//! The service as its clients see it, on both engines.

mod access;
mod audit;
mod departures;
mod exchange;
mod keys;
mod life;
mod oauth;
mod opening;
mod revocations;
mod signing_keys;
mod trusts;

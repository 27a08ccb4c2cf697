//! The scenarios: what is started, what is sent, what is told.

pub(crate) mod authentication;
pub(crate) mod fairness;
pub(crate) mod flood;
pub(crate) mod log;

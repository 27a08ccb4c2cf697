//! Microsoft Entra ID's dialect of SCIM, rewritten to what the RFCs say.
//!
//! Nothing in a request says that it is Entra's, so the rewriting is always on, and a request that follows the RFCs
//! passes through it unchanged. What comes out goes to the strict engine of the crate `scim`; wherever this crate is
//! in doubt it leaves a value as it is, so that the engine refuses it with a reason.
//!
//! Each module treats one habit of the client; its head names the habit and where it is documented or was seen. Under
//! `tests/recorded/entra` at the root of the repository stands a request for each.

mod booleans;
mod dropped;
mod elements;
mod filter;
mod members;
mod names;
mod numbers;
mod patch;
mod path;
mod query;
mod resource;
mod roles;

pub use dropped::{DROPPED_MAX, Dropped, Reason};
pub use filter::filter;
pub use patch::patch;
pub use query::{ListQuery, QUERY_LENGTH_MAX, query};
pub use resource::resource;

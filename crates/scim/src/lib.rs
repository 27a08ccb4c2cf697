//! SCIM 2.0 as pure data and functions: RFC 7643 (schema) and RFC 7644 (protocol).
//!
//! There is no input or output here and nothing waits. Every function takes text or JSON that a stranger may have
//! written and gives back a checked value or an [`Error`] that is ready to be answered.
//!
//! Two promises hold everywhere. The engine is strict: it refuses what the RFCs refuse, and whatever a client does
//! differently is rewritten in front of it. And names are resolved once: a [`Path`], a [`Filter`] or a
//! [`patch::Operation`] holds references to the definitions in [`schema`], so that no caller looks a name up again.
//!
//! Left out: `/Me`, since a service provider without sessions of people has nobody to mean by it.

#[cfg(any(test, feature = "arbitrary"))]
pub mod arbitrary;
pub mod bulk;
pub mod discovery;
mod error;
pub mod filter;
pub mod list;
pub mod patch;
mod path;
mod projection;
mod resource;
pub mod schema;
mod sort;

pub use error::{ERROR_SCHEMA, Error, ScimType};
pub use filter::Filter;
pub use path::{AttributePath, Path, PathError};
pub use projection::Projection;
pub use resource::{MEMBERS_MAX, Meta, Resource, STRING_LENGTH_MAX, VALUES_MAX};
pub use schema::{Definition, ResourceType, Schemas};
pub use sort::Sort;

//! A provisioning client that behaves as Microsoft Entra ID's provisioning service does and checks each answer as it would.
//!
//! It is written from observed wire traffic alone and shares no code with any server, so that a misreading on the one side
//! cannot hide on the other. It uses only what Entra uses (match queries, POST, GET by id, PATCH, DELETE) and works against
//! any SCIM 2.0 endpoint; [`Client::verify_members`] alone reads more. Nothing is printed: an [`Observer`] follows the run.
//!
//! Invariants, each with a test:
//! - the key stands in no error, no `Debug` text and no excerpt of an answer;
//! - the first answer that Entra would not accept ends the run;
//! - an object is acknowledged to the observer only after its answer was checked;
//! - an object whose id is cached is never matched again.

mod answer;
mod client;
mod cycle;
mod directory;
mod error;
mod meter;
mod observer;
mod options;
mod state;
mod summary;
mod transport;
mod wire;

pub use client::Client;
pub use directory::{Changes, Directory, Group, User};
pub use error::{Difference, Error};
pub use observer::{Acknowledged, Observer};
pub use options::{ClearText, Dialect, Mapping, Options};
pub use state::{GroupLink, State, UserLink};
pub use summary::{Latency, Summary};

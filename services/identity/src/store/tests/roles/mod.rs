//! Roles: their sources, the last admin, what the feed says of them, and who comes back.

mod admins;
mod batches;
mod harness;
mod manual;
mod model;
mod returns;
mod sources;

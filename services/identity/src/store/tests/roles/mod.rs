//! Roles: their sources, the last admin, what the feed says of them, and who comes back.

mod admins;
mod harness;
mod manual;
mod returns;
mod sources;

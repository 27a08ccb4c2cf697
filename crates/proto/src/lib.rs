//! The wire: code generated from `proto/`, its descriptor set, the one kind of channel that every client uses, and who is at its other end.
//! No logic.

pub mod channel;
pub mod peer;

pub use channel::Channel;
pub use peer::{Peer, Service};

/// Where an answer's metadata holds [`identity::v1::WriteNotes`], encoded.
pub const WRITE_NOTES: &str = "rollcall-notes-bin";

/// Every message and service, encoded as a `google.protobuf.FileDescriptorSet`, for reflection and for tests that walk them.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor_set.bin"));

/// `rollcall.api_keys`: keys, their exchange for tokens, revocations, and trusts.
pub mod api_keys {
    /// Version 1.
    pub mod v1 {
        #![allow(
            missing_docs,
            unreachable_pub,
            clippy::all,
            clippy::too_many_lines,
            clippy::allow_attributes_without_reason,
            clippy::wildcard_imports,
            reason = "generated"
        )]
        include!(concat!(env!("OUT_DIR"), "/rollcall.api_keys.v1.rs"));
        include!(concat!(env!("OUT_DIR"), "/rollcall.api_keys.v1.serde.rs"));
    }
}

/// `rollcall.identity`: tenants, users, groups, roles.
pub mod identity {
    /// Version 1.
    pub mod v1 {
        #![allow(
            missing_docs,
            unreachable_pub,
            clippy::all,
            clippy::too_many_lines,
            clippy::allow_attributes_without_reason,
            clippy::wildcard_imports,
            reason = "generated"
        )]
        include!(concat!(env!("OUT_DIR"), "/rollcall.identity.v1.rs"));
        include!(concat!(env!("OUT_DIR"), "/rollcall.identity.v1.serde.rs"));
    }
}

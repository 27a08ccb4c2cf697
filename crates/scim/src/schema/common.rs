//! The attributes of every resource (RFC 7643 section 3.1).

use super::{Attribute, Kind, Mutability};

const META: &[Attribute] = &[
    Attribute::string("resourceType", "The name of the resource type.").case_exact().mutability(Mutability::ReadOnly),
    Attribute::new("created", Kind::DateTime, "When the resource was made.").mutability(Mutability::ReadOnly),
    Attribute::new("lastModified", Kind::DateTime, "When the resource was last changed.")
        .mutability(Mutability::ReadOnly),
    Attribute::reference("location", &["uri"], "The address of the resource.").mutability(Mutability::ReadOnly),
    Attribute::string("version", "The version of the resource.").case_exact().mutability(Mutability::ReadOnly),
];

/// `schemas`, `id`, `externalId` and `meta`.
pub const COMMON: &[Attribute] = &[
    Attribute::reference("schemas", &["uri"], "The schemas whose attributes the resource has.")
        .multi_valued()
        .always()
        .mutability(Mutability::ReadOnly),
    Attribute::string("id", "The identifier that the server gave the resource.")
        .case_exact()
        .always()
        .unique()
        .mutability(Mutability::ReadOnly),
    EXTERNAL_ID,
    Attribute::complex("meta", META, "What the server knows about the resource itself.")
        .mutability(Mutability::ReadOnly),
];

/// The one common attribute that a client writes; discovery lists it, so that a client can map it.
pub(crate) const EXTERNAL_ID: Attribute =
    Attribute::string("externalId", "The identifier that the client gave the resource.").case_exact();

//! The attributes of every resource (RFC 7643 section 3.1).

use std::sync::LazyLock;

use super::{Attribute, Kind, Mutability, Returned};

fn meta() -> Vec<Attribute> {
    let parts = [
        Attribute::string("resourceType", "The name of the resource type.").case_exact(),
        Attribute::new("created", Kind::DateTime, "When the resource was made."),
        Attribute::new("lastModified", Kind::DateTime, "When the resource was last changed."),
        Attribute::reference("location", &["uri"], "The address of the resource.").not_queryable(),
        Attribute::string("version", "The version of the resource.").case_exact().not_queryable(),
    ];
    parts.map(|part| part.mutability(Mutability::ReadOnly)).into()
}

/// `schemas`, `id`, `externalId` and `meta`.
pub(crate) static COMMON: LazyLock<Vec<Attribute>> = LazyLock::new(|| {
    vec![
        Attribute::reference("schemas", &["uri"], "The schemas whose attributes the resource has.")
            .multi_valued()
            .returned(Returned::Always)
            .mutability(Mutability::ReadOnly),
        Attribute::string("id", "The identifier that the server gave the resource.")
            .case_exact()
            .returned(Returned::Always)
            .unique()
            .mutability(Mutability::ReadOnly),
        external_id(),
        Attribute::complex("meta", meta(), "What the server knows about the resource itself.")
            .mutability(Mutability::ReadOnly),
    ]
});

/// The one common attribute that a client writes; discovery lists it, so that a client can map it.
pub(crate) static EXTERNAL_ID: LazyLock<Attribute> = LazyLock::new(external_id);

fn external_id() -> Attribute {
    Attribute::string("externalId", "The identifier that the client gave the resource.").case_exact()
}

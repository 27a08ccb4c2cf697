//! Compiles `proto/` without a protoc on the machine.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

const FILES: &[&str] = &[
    "rollcall/api_keys/v1/api_keys.proto",
    "rollcall/api_keys/v1/credentials.proto",
    "rollcall/api_keys/v1/signing_keys.proto",
    "rollcall/api_keys/v1/trusts.proto",
    "rollcall/identity/v1/audit.proto",
    "rollcall/identity/v1/changes.proto",
    "rollcall/identity/v1/departures.proto",
    "rollcall/identity/v1/error_reason.proto",
    "rollcall/identity/v1/events.proto",
    "rollcall/identity/v1/filter.proto",
    "rollcall/identity/v1/groups.proto",
    "rollcall/identity/v1/personal_data.proto",
    "rollcall/identity/v1/provisioning_log.proto",
    "rollcall/identity/v1/roles.proto",
    "rollcall/identity/v1/tenants.proto",
    "rollcall/identity/v1/user_attributes.proto",
    "rollcall/identity/v1/users.proto",
    "rollcall/identity/v1/write_notes.proto",
];

/// Messages whose maps are printed in the order of the names.
const ORDERED: [&str; 3] =
    [".rollcall.api_keys.v1.KeyAuditEntry", ".rollcall.identity.v1.AuditEntry", ".rollcall.identity.v1.Change"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_imports(true).include_source_info(true);
    for file in FILES {
        compiler.open_file(root.join(file))?;
    }
    let descriptor_set = compiler.file_descriptor_set();
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("descriptor_set.bin"), compiler.encode_file_descriptor_set())?;

    // The JSON form (proto3) is generated too: it is what the command line prints.
    pbjson_build::Builder::new()
        .register_descriptors(&descriptor_set.encode_to_vec())?
        .emit_fields()
        .btree_map(ORDERED)
        .build(&[".rollcall"])?;
    ORDERED
        .iter()
        .fold(tonic_prost_build::configure(), |configuration, message| configuration.btree_map(message))
        .compile_well_known_types(true)
        .extern_path(".google.protobuf", "::pbjson_types")
        .compile_fds(descriptor_set)?;
    Ok(())
}

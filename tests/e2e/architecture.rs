//! Which way the arrows point, read from the manifests and the sources. ARCHITECTURE.md says why.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The longest source file, in lines, its tests aside.
const FILE_LINES_MAX: usize = 500;

/// What each package of the workspace may use of the workspace. Tests may use more.
const ARROWS: &[(&str, &[&str])] = &[
    ("ids", &[]),
    ("case-key", &[]),
    ("audit", &[]),
    ("proto", &[]),
    ("telemetry", &[]),
    ("database", &[]),
    ("outbound", &[]),
    ("sealing", &[]),
    ("scim", &["case-key"]),
    ("scim-entra", &["scim"]),
    ("entra-client", &[]),
    ("authn", &["ids", "proto", "telemetry"]),
    ("bootstrap", &["ids", "proto", "telemetry"]),
    ("api-keys", &["audit", "authn", "bootstrap", "database", "ids", "outbound", "proto", "sealing", "telemetry"]),
    (
        "identity",
        &["audit", "authn", "bootstrap", "case-key", "database", "ids", "outbound", "proto", "sealing", "telemetry"],
    ),
    ("scim-facade", &["authn", "bootstrap", "ids", "proto", "scim", "scim-entra", "telemetry"]),
    (
        "rollcall",
        &[
            "api-keys",
            "audit",
            "authn",
            "bootstrap",
            "case-key",
            "database",
            "entra-client",
            "identity",
            "ids",
            "outbound",
            "proto",
            "scim-facade",
            "sealing",
            "telemetry",
        ],
    ),
    ("bench", &["api-keys", "authn", "database", "ids", "outbound", "proto"]),
];

/// A word of code, where alone it may stand, and why.
const WORDS: &[(&str, &[&str], &str)] = &[
    (
        "sea_orm::",
        &["crates/database/", "services/api-keys/src/store/", "services/identity/src/store/"],
        "only stores speak SQL",
    ),
    (
        "axum",
        &[
            "crates/bootstrap/",
            "crates/telemetry/",
            "crates/entra-client/tests/",
            "services/scim-facade/",
            "services/rollcall/",
        ],
        "only the façade speaks HTTP",
    ),
    ("Entra", &[], "the engine knows no dialect"),
    (
        "env::var",
        &["crates/bootstrap/", "crates/database/src/testing.rs", "crates/database/src/tests.rs"],
        "the environment is read in one place",
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Each package with the workspace's packages that it uses outside its tests.
fn packages() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let metadata: Value = serde_json::from_slice(&cargo.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let members: BTreeSet<String> = packages.iter().map(name).collect();
    let uses = |package: &Value| {
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let used =
            dependencies.filter(|dependency| dependency["kind"] != "dev" && !dependency["path"].is_null()).map(name);
        used.filter(|name| members.contains(name)).collect()
    };
    packages.iter().map(|package| (name(package), uses(package))).collect()
}

/// Every source file below a folder, by its path from the root.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("crates"), root().join("services")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("build.rs") {
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 50);
    found
}

/// A line of code without its comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

#[test]
fn packages_use_only_what_they_may() {
    let packages = packages();
    let known: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    assert_eq!(packages.keys().map(String::as_str).collect::<BTreeSet<_>>(), known, "a package has no row");
    for (name, allowed) in ARROWS {
        for used in &packages[*name] {
            assert!(allowed.contains(&used.as_str()), "{name} may not use {used}");
        }
    }
}

#[test]
fn words_stand_only_where_they_may() {
    for (file, text) in sources() {
        for (word, places, why) in WORDS {
            let elsewhere = *word == "Entra" && !file.starts_with("crates/scim/");
            if elsewhere || places.iter().any(|place| file.starts_with(place)) {
                continue;
            }
            for (number, line) in (1..).zip(text.lines()) {
                // The name of an error type of a library is no use of it.
                let allowed = *word == "sea_orm::" && line.contains("sea_orm::DbErr");
                assert!(!code(line).contains(word) || allowed, "{file}:{number}: `{word}`: {why}");
            }
        }
    }
}

#[test]
fn wire_types_stay_at_the_edge_of_services() {
    for (file, text) in sources() {
        for service in ["api-keys", "identity"] {
            let source = format!("services/{service}/src/");
            let Some(rest) = file.strip_prefix(&source) else { continue };
            if rest.starts_with("domain/") || rest.starts_with("store/") {
                assert!(!text.contains("proto::"), "{file} speaks the wire's language");
            }
            if rest.starts_with("domain/") {
                assert!(!text.contains("store::"), "{file} reaches into the store");
            }
        }
    }
}

#[test]
fn no_file_is_a_room_with_too_much_in_it() {
    for (file, text) in sources() {
        let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
        assert!(lines <= FILE_LINES_MAX, "{file} has {lines} lines");
    }
}

//! Plays the corpus through the properties, on any toolchain. A crash that was mended leaves its input there.

use std::path::Path;

/// Every file of a target's corpus.
fn play(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut played = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus is there") {
        let path = entry.expect("the corpus can be read").path();
        println!("{}", path.display());
        check(&std::fs::read(path).expect("the corpus can be read"));
        played += 1;
    }
    assert!(played > 0);
}

#[test]
fn filters() {
    play("filter", fuzz::filter::check);
}

#[test]
fn paths() {
    play("path", fuzz::path::check);
}

#[test]
fn patches() {
    play("patch", fuzz::patch::check);
}

#[test]
fn bulk_requests() {
    play("bulk", fuzz::bulk::check);
}

#[test]
fn resources() {
    play("resource", fuzz::resource::check);
}

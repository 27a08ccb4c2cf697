//! A path that is read, printed and read again is the same, and the dialect leaves it alone.

use scim::{AttributePath, Path};

use crate::{beyond_limits, filter, group, text, user};

/// The property.
pub fn check(input: &[u8]) {
    let Some(text) = text(input) else { return };
    for definition in [user(), group()] {
        if let Ok(path) = AttributePath::parse(definition, text) {
            assert_eq!(AttributePath::parse(definition, &path.to_string()), Ok(path));
        }
        filter::rewriting(&[definition], text);
        let Ok(path) = Path::parse(definition, text) else { continue };
        let printed = path.to_string();
        match Path::parse(definition, &printed) {
            Ok(again) => assert_eq!(again, path, "{printed}"),
            Err(error) => assert!(beyond_limits(&printed), "{printed}: {error}"),
        }
        assert_eq!(scim_entra::filter(&[definition], &printed), printed, "what the engine takes stays as it is");
    }
}

//! Where a database is, as an operator writes it.

use std::{path::PathBuf, str::FromStr};

use secrecy::SecretString;

/// Where a database is: `sqlite:PATH` or `postgres://…`. A URL may hold a password, so it does not print.
#[derive(Clone, Debug)]
pub enum Location {
    /// A file.
    Sqlite(PathBuf),
    /// A URL as libpq has them.
    Postgres(SecretString),
}

/// A text that names no database that Rollcall knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a database URL: write postgres://USER@HOST/DATABASE or sqlite:PATH")]
pub struct InvalidLocation;

impl FromStr for Location {
    type Err = InvalidLocation;

    fn from_str(text: &str) -> Result<Self, InvalidLocation> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(SecretString::from(text)));
        }
        match text.strip_prefix("sqlite:") {
            Some(path) if !path.is_empty() && !path.starts_with(':') => Ok(Self::Sqlite(PathBuf::from(path))),
            _ => Err(InvalidLocation),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_engines_are_recognised() {
        assert!(matches!("postgres://u:p@h/d".parse(), Ok(Location::Postgres(_))));
        assert!(matches!("sqlite:/a/b.db".parse(), Ok(Location::Sqlite(path)) if *path == *"/a/b.db"));
        for text in ["", "sqlite:", "sqlite::memory:", "mysql://h/d", "/a/b.db"] {
            assert_eq!(text.parse::<Location>().err(), Some(InvalidLocation), "{text}");
        }
    }

    #[test]
    fn a_password_does_not_print() {
        let location: Location = "postgres://u:hunter2@h/d".parse().unwrap();
        assert!(!format!("{location:?}").contains("hunter2"));
    }
}

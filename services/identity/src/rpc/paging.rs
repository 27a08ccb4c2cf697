//! Page sizes and page tokens (AIP-158). A token is opaque to callers: the place after which the next page begins, in base64url.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use crate::domain::{Error, InvalidField, LISTED_MAX, PageStart, Slice};

/// The page size of a caller that names none.
const SIZE_DEFAULT: u64 = 100;

/// A page size where 0 means that the caller leaves it to us.
pub(super) fn size(page_size: i32, default: u64) -> Result<u64, Error> {
    match requested(page_size)? {
        0 => Ok(default),
        size => Ok(size),
    }
}

/// As [`size`], with the usual default.
pub(super) fn size_or_default(page_size: i32) -> Result<u64, Error> {
    size(page_size, SIZE_DEFAULT)
}

/// The part of a list that a caller asks for, where a size of 0 asks for the count alone.
pub(super) fn slice(page_size: i32, page_token: &str, skip: i32) -> Result<Slice, Error> {
    let skip = u64::try_from(skip).map_err(|_| InvalidField::new("skip", "must not be negative"))?;
    let start = match (page_token.is_empty(), skip) {
        (true, skip) => PageStart::Skip(skip),
        (false, 0) => PageStart::After(id(page_token)?),
        (false, _) => return Err(InvalidField::new("skip", "cannot stand beside page_token").into()),
    };
    Ok(Slice { start, size: requested(page_size)? })
}

/// The id after which the next page begins.
pub(super) fn id(page_token: &str) -> Result<Uuid, Error> {
    let text = text(page_token)?;
    Uuid::try_parse(&text).map_err(|_| invalid_token())
}

/// The text after which the next page begins.
pub(super) fn text(page_token: &str) -> Result<String, Error> {
    let bytes = URL_SAFE_NO_PAD.decode(page_token).map_err(|_| invalid_token())?;
    String::from_utf8(bytes).map_err(|_| invalid_token())
}

/// The token of the page that begins after `place`.
pub(super) fn token(place: impl ToString) -> String {
    URL_SAFE_NO_PAD.encode(place.to_string())
}

/// Larger pages than the largest are cut to it, as AIP-158 says.
fn requested(page_size: i32) -> Result<u64, Error> {
    let size = u64::try_from(page_size).map_err(|_| InvalidField::new("page_size", "must not be negative"))?;
    Ok(size.min(LISTED_MAX))
}

fn invalid_token() -> Error {
    InvalidField::new("page_token", "is not one that a list answered").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_as_it_went() {
        let place = Uuid::now_v7();
        assert_eq!(id(&token(place)), Ok(place));
        assert_eq!(slice(5, &token(place), 0), Ok(Slice { start: PageStart::After(place), size: 5 }));
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(id("x").is_err() && id("!").is_err() && slice(-1, "", 0).is_err() && slice(1, "", -1).is_err());
        assert!(slice(1, &token(Uuid::now_v7()), 1).is_err());
    }

    #[test]
    fn a_larger_page_than_the_largest_is_cut() {
        assert_eq!(slice(i32::MAX, "", 3), Ok(Slice { start: PageStart::Skip(3), size: LISTED_MAX }));
        assert_eq!(size_or_default(0), Ok(SIZE_DEFAULT));
    }
}

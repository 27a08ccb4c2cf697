//! `/Me` (RFC 7644 section 3.11): an alias for the user that the client signed in as. An API key is no person, so there
//! is none, whatever the method; the RFC's answer for that is 501.

use scim::Error;

use crate::error::Refusal;

pub(crate) async fn not_offered() -> Refusal {
    let detail = "an API key is nobody's own, so there is no /Me: find a user with /Users?filter=userName eq \"…\", or \
                  ask for /Users/ID";
    Error::with_status(501, detail).into()
}

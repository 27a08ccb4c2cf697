//! What keys and trusts are and who may do what with them. No I/O, no wire, no rows.

mod api_key;
mod caller;
mod departure;
mod error;
mod page;
mod time;
mod trust;

pub(crate) use api_key::{
    About, ApiKey, Asked, Credential, Field, LastUse, Revocation, RevocationSubject, Rotation, State, WARNING, given,
};
pub(crate) use caller::{AuditChain, AuditEntry, Caller};
pub(crate) use departure::{Departure, Ended, Ending, Who};
pub(crate) use error::Error;
pub(crate) use page::{AuditCursor, page_size};
pub(crate) use time::Timestamp;
pub(crate) use trust::{AskedTrust, ClaimText, Issuer, NewTrust, Terms, Trust, TrustChange};

//! Who sent a request: a visitor with a signed cookie, or a program.
//!
//! - [`peer`]: the address a request comes from. [`seal`]: signatures of values that browsers keep and send back.
//! - [`visitor`]: the visitor cookie, and the names of programs. [`notice`]: a form's outcome, which a page shows once.

mod notice;
mod peer;
mod seal;
mod visitor;

pub use peer::Trusted;
pub use seal::Seal;
pub use visitor::Visitors;

pub(super) use notice::{MessageRefused, Notice, YEAR_SECONDS, set_cookie};
pub(super) use peer::Peer;
pub(super) use visitor::{Visitor, Who};

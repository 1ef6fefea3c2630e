//! What is known about a connection from the request that opened it.

use super::backpressure::Backpressure;
use std::sync::Arc;

/// The revision of the Socket.IO protocol that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Revision {
    /// Revision 4, of clients 2.x.
    Four,
    /// Revision 5, of clients 3.x and 4.x.
    Five,
}

/// What is known about a connection from the request that opened it.
pub(super) struct Opened {
    pub(super) revision: Revision,
    /// The client can recover its connection state, so each message carries its offset.
    pub(super) recovers: bool,
    pub(super) query: String,
    pub(super) max_payload: usize,
}

/// Carries the [`Backpressure`] of a connection in the extensions of the request that opens it.
#[derive(Clone)]
pub(super) struct Introduced(pub(super) Arc<Backpressure>);

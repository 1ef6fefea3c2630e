//! What every handler may use.

use super::{
    access_log::AccessLog,
    origin::Origins,
    who::{Trusted, Visitors},
};
use crate::{hub::Hub, pages::Renderer, transport::socket_io::SocketIo};
use std::{ops::Deref, sync::Arc};

/// What every handler may use.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What an [`App`] is made of.
pub struct Parts {
    /// Who listens, and the log.
    pub hub: Hub,
    /// Signs and reads the visitor cookie.
    pub visitors: Visitors,
    /// Which pages may ask.
    pub origins: Origins,
    /// Proxies whose headers are believed.
    pub trusted: Vec<Trusted>,
    /// One line per request.
    pub log: AccessLog,
    /// The largest body, in bytes.
    pub max_message: usize,
    /// Where Socket.IO clients come in.
    pub socket_io: Vec<SocketIo>,
    /// Renders pages.
    pub renderer: Renderer,
    /// How many requests the fast path answered.
    pub fast_answers: Counter,
}

impl From<Parts> for App {
    fn from(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// Counts in debug builds, for tests. A release does not count: all connections would write to one place.
#[derive(Debug, Default)]
pub struct Counter(#[cfg(debug_assertions)] std::sync::atomic::AtomicU64);

impl Counter {
    pub(super) fn count(&self) {
        #[cfg(debug_assertions)]
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    /// How many were counted.
    #[cfg(debug_assertions)]
    pub fn counted(&self) -> u64 {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

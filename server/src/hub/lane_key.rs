//! What the members of a lane have in common.

use super::sink::Encoder;
use app::wire::ChannelName;
use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

/// Readers with the same key share a lane.
#[derive(Clone)]
pub(super) struct LaneKey {
    pub(super) channels: Arc<[ChannelName]>,
    pub(super) encoder: &'static dyn Encoder,
    /// The members are told who comes and goes.
    pub(super) presence: bool,
    /// The fan-out worker that drives the lane.
    pub(super) worker: usize,
}

impl PartialEq for LaneKey {
    fn eq(&self, other: &Self) -> bool {
        self.worker == other.worker
            && self.presence == other.presence
            && self.encoder.name() == other.encoder.name()
            && self.channels == other.channels
    }
}

impl Eq for LaneKey {}

impl Hash for LaneKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.channels.hash(state);
        self.encoder.name().hash(state);
        (self.presence, self.worker).hash(state);
    }
}

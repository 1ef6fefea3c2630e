//! What goes out to a client: the one translation of what the hub hands out into frames.

use crate::{engine::Stored, hub::Delivery};
use app::wire::Frame;
use std::sync::Arc;

/// What goes out to a client, in order.
#[derive(Clone, Debug)]
pub enum Outgoing {
    /// A message, encoded already.
    Message(Arc<Stored>),
    /// Any other frame.
    Frame(Frame),
}

impl From<Delivery> for Outgoing {
    fn from(delivery: Delivery) -> Self {
        match delivery {
            Delivery::Message(stored) => Self::Message(stored),
            Delivery::Missed(missed) => Self::Frame(Frame::Missed(missed)),
            Delivery::Cursor(cursor) => Self::Frame(Frame::Cursor { cursor }),
            Delivery::Behind(cursor, behind) => Self::Frame(Frame::Behind { cursor, behind }),
            Delivery::Presence(presence) => Self::Frame(Frame::Presence(presence)),
            Delivery::Typing(typing) => Self::Frame(Frame::Typing(typing)),
        }
    }
}

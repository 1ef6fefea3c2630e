//! The words on the wire. Pure: text in, values out; no I/O, no clock.
//!
//! - [`ChannelName`]: a name, checked once at the edge.
//! - [`Id`]: `epoch.offset`, the id of a message and a reader's cursor.
//! - [`Message`] and its [`Body`]: one entry of a channel.
//! - [`Frame`]: what a server sends; [`Command`]: what a client sends on `/live`.
//! - [`ErrorCode`] and [`CloseCode`]: the one list of what can go wrong.
//! - [`Reading`]: what a reader asked for in its query; [`headers`]: what headers say.
//! - [`socket_io`]: packets of the Socket.IO protocol.
//! - [`limits`]: every bound, with what it protects.

mod body;
mod command;
mod error;
mod frame;
pub mod headers;
mod id;
mod json;
pub mod limits;
mod message;
mod name;
mod reading;
pub mod socket_io;
mod time;

pub use body::{Body, BodyError, ContentKind, MediaType};
pub use command::{Command, CommandError, PublishCommand, Ref};
pub use error::{CloseCode, ErrorBody, ErrorCode, ErrorDetail};
pub use frame::{Ack, ChannelEntry, Frame, FrameError, Missed, MissedReason, Presence, Typing};
pub use id::{Epoch, Id, IdError};
pub use json::{check_json, compact_json};
pub use message::{Kind, Message, Sender};
pub use name::{ChannelName, NameError};
pub use reading::{Answer, Format, Reading, ReadingError, Start, sender_name};
pub use time::{Time, TimeError};

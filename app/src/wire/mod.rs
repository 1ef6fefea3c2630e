//! The types of the wire protocol and their parsers. This module does no I/O and reads no clock.
//!
//! - [`ChannelName`]: a channel name, validated once when it enters the program.
//! - [`Id`]: `epoch.offset`, the id of a message and a reader's cursor.
//! - [`Message`] and its [`Body`]: a message of a channel.
//! - [`Frame`]: a frame from the server; [`Command`]: a frame from a client on `/live`.
//! - [`ErrorCode`] and [`CloseCode`]: every error of the protocol.
//! - [`ReadParams`]: the query parameters of a reader; [`headers`]: parsers for request headers.
//! - [`socket_io`]: packets of the Socket.IO protocol.
//! - [`limits`]: every limit of the protocol.

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
mod read_params;
pub mod socket_io;
mod time;

pub use body::{Body, BodyError, ContentKind, MediaType};
pub use command::{Command, CommandError, PublishCommand, Ref};
pub use error::{CloseCode, ErrorBody, ErrorCode, ErrorDetail};
pub use frame::{Ack, ChannelEntry, Frame, FrameError, Missed, MissedReason, PresenceUpdate, Typing};
pub use id::{Epoch, Id, IdError};
pub use json::{check_json, compact_json};
pub use message::{Kind, Message, Sender};
pub use name::{ChannelName, NameError};
pub use read_params::{Format, ParamError, ReadParams, Representation, Start, sender_name};
pub use time::{Time, TimeError};

//! One connection of a visitor or a program: frames in, frames out.
//!
//! A session knows what may be said and to whom it is said; how the bytes travel is the transport's.

use crate::{
    engine::{AppendError, Appended, Draft, ReadError, Stored},
    hub::{Delivery, Ended, Hub, Subscription, Way},
    limits::PUBLISHES_IN_FLIGHT,
};
use app::wire::{
    Ack, Body, BodyError, ChannelName, Command, ContentKind, ErrorCode, Frame, Id, NameError, PublishCommand,
    ReadingError, Ref, Sender, limits,
};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesOrdered};
use std::sync::Arc;
use tokio::task::coop::unconstrained;

/// What goes out to the client, in order.
#[derive(Debug)]
pub enum Line {
    /// A message, encoded already.
    Stored(Arc<Stored>),
    /// Anything else.
    Frame(Frame),
}

impl From<Delivery> for Line {
    fn from(delivery: Delivery) -> Self {
        match delivery {
            Delivery::Message(stored) => Self::Stored(stored),
            Delivery::Missed(missed) => Self::Frame(Frame::Missed(missed)),
            Delivery::Cursor(cursor) => Self::Frame(Frame::Cursor { cursor }),
            Delivery::Behind(cursor, behind) => Self::Frame(Frame::Behind { cursor, behind }),
            Delivery::Presence(presence) => Self::Frame(Frame::Presence(presence)),
            Delivery::Typing(typing) => Self::Frame(Frame::Typing(typing)),
        }
    }
}

/// A refusal: a code for programs and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// For programs.
    pub code: ErrorCode,
    /// What happened and what to do.
    pub message: String,
    /// The channel's last message, where that is why.
    pub last: Option<Option<Id>>,
}

impl Refusal {
    /// A refusal in words.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), last: None }
    }

    fn frame(self, reference: Option<Ref>) -> Frame {
        Frame::Error { reference, code: self.code, message: self.message }
    }
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Self {
        let code = match error {
            AppendError::KeyConflict => ErrorCode::KeyConflict,
            AppendError::NotLast(_) => ErrorCode::PreconditionFailed,
            AppendError::Full => ErrorCode::StoreFull,
            AppendError::Closed | AppendError::Unavailable(_) => ErrorCode::Unavailable,
            AppendError::Unknown => ErrorCode::Unknown,
            AppendError::Store(_) => ErrorCode::Internal,
        };
        let message = error.to_string();
        let last = if let AppendError::NotLast(last) = error { Some(last) } else { None };
        Self { code, message, last }
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        Self::new(ErrorCode::Internal, error.to_string())
    }
}

impl From<NameError> for Refusal {
    fn from(error: NameError) -> Self {
        Self::new(ErrorCode::BadChannel, error.to_string())
    }
}

impl From<ReadingError> for Refusal {
    fn from(error: ReadingError) -> Self {
        Self::new(error.code, error.message)
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        let code =
            if matches!(error, BodyError::Charset(_)) { ErrorCode::UnsupportedCharset } else { ErrorCode::BadBody };
        Self::new(code, error.to_string())
    }
}

/// Checks what every way to publish has in common.
///
/// # Errors
/// The body is too large or the key is not one.
pub fn draft(
    channel: ChannelName,
    from: Sender,
    body: Body,
    key: Option<String>,
    max: usize,
) -> Result<Draft, Refusal> {
    if body.as_bytes().len() > max {
        return Err(too_large(max));
    }
    if let Some(key) = &key {
        let fits = !key.is_empty() && key.len() <= limits::KEY_BYTES && !key.chars().any(char::is_control);
        if !fits {
            let message = format!("an idempotency key has 1 to {} bytes of printable text", limits::KEY_BYTES);
            return Err(Refusal::new(ErrorCode::BadKey, message));
        }
    }
    Ok(Draft { channel, from, body, key, expected: None })
}

/// The refusal of a body over the limit.
pub fn too_large(max: usize) -> Refusal {
    Refusal::new(ErrorCode::TooLarge, format!("a message has at most {max} bytes here (--max-message)"))
}

/// What frames of the client mean.
#[derive(Clone, Debug)]
pub enum Input {
    /// On `/c`: each is a message for this channel.
    Bodies(ChannelName),
    /// On `/live`: each is a command.
    Commands,
}

type Publishes = FuturesOrdered<BoxFuture<'static, Option<Frame>>>;

/// One connection.
pub struct Session {
    hub: Hub,
    author: Arc<Sender>,
    input: Input,
    max_message: usize,
    subscription: Subscription,
    /// Publishes on their way, answered in the order they came, if there are any: who only listens has no room for
    /// them. Bounded by [`Session::is_full`].
    publishes: Option<Box<Publishes>>,
}

impl Session {
    /// A session over a subscription that is registered already.
    pub fn new(hub: Hub, author: Arc<Sender>, input: Input, max_message: usize, subscription: Subscription) -> Self {
        Self { hub, author, input, max_message, subscription, publishes: None }
    }

    /// The largest frame a client may send, in bytes.
    pub fn max_frame(&self) -> usize {
        match self.input {
            Input::Bodies(_) => self.max_message,
            // Escaped in JSON a text may be six times as long.
            Input::Commands => self.max_message * 6 + limits::COMMAND_OVERHEAD_BYTES,
        }
    }

    /// What the reader has so far, as the first frame of a connection that resumes.
    pub fn opening(&self) -> Frame {
        Frame::Cursor { cursor: self.subscription.cursor() }
    }

    /// Takes a text frame; an answer that needs no waiting comes at once.
    pub fn text(&mut self, text: String) -> Option<Frame> {
        match self.input.clone() {
            Input::Bodies(channel) => {
                let body = Body::guess(text);
                self.publish(channel, body, None, None, false)
            }
            Input::Commands => match Command::parse(&text) {
                Ok(command) => self.command(command),
                Err(error) => Some(Refusal::new(ErrorCode::BadFrame, error.message).frame(error.reference)),
            },
        }
    }

    /// Takes a binary frame.
    pub fn binary(&mut self, bytes: Vec<u8>) -> Option<Frame> {
        match self.input.clone() {
            Input::Bodies(channel) => match Body::read(ContentKind::Binary, bytes) {
                Ok(body) => self.publish(channel, body, None, None, false),
                Err(error) => Some(Refusal::from(error).frame(None)),
            },
            Input::Commands => {
                let message = "commands are text frames; send binary bodies with \"encoding\":\"base64\"";
                Some(Refusal::new(ErrorCode::BadFrame, message).frame(None))
            }
        }
    }

    fn command(&mut self, command: Command) -> Option<Frame> {
        match command {
            Command::Ping { reference } => Some(Frame::Ack(Ack { reference, ..Ack::default() })),
            Command::Publish(PublishCommand { reference, channel, body, key }) => {
                match channel.parse::<ChannelName>() {
                    Ok(channel) => self.publish(channel, body, key, reference, true),
                    Err(error) => Some(Refusal::from(error).frame(reference)),
                }
            }
            Command::Typing { reference, channel, on } => match channel.parse::<ChannelName>() {
                Ok(channel) => Some(self.typing(&channel, on, reference)),
                Err(error) => Some(Refusal::from(error).frame(reference)),
            },
            Command::Subscribe { reference, channels } => match channel_set(channels.iter().map(String::as_str)) {
                Ok(channels) => {
                    let cursor = Some(self.replace(channels));
                    Some(Frame::Ack(Ack { reference, cursor, ..Ack::default() }))
                }
                Err(refusal) => Some(refusal.frame(reference)),
            },
        }
    }

    /// The author writes in a channel, or does so no more.
    pub fn typing(&mut self, channel: &ChannelName, on: bool, reference: Option<Ref>) -> Frame {
        self.hub.typing(channel, &self.author, on);
        Frame::Ack(Ack { reference, ..Ack::default() })
    }

    /// Whether it listens to anything.
    pub fn has_channels(&self) -> bool {
        self.subscription.has_channels()
    }

    /// Listens to other channels, from the cursor this returns on.
    pub fn replace(&mut self, channels: Vec<ChannelName>) -> Id {
        self.subscription.replace(channels)
    }

    /// Listens to something else, from wherever that begins.
    pub fn begin_again(&mut self, subscription: Subscription) -> Id {
        self.subscription = subscription.attended_by(Arc::clone(&self.author)).with_presence();
        self.subscription.cursor()
    }

    /// The answer to a command that changed what it listens to.
    pub fn subscribed(cursor: Id, reference: Ref) -> Frame {
        Frame::Ack(Ack { reference: Some(reference), cursor: Some(cursor), ..Ack::default() })
    }

    /// Publishes; a refusal that needs no waiting comes at once, the acknowledgement or none by [`Session::next`].
    pub fn publish(
        &mut self,
        channel: ChannelName,
        body: Body,
        key: Option<String>,
        reference: Option<Ref>,
        acknowledge: bool,
    ) -> Option<Frame> {
        let draft = match draft(channel.clone(), Sender::clone(&self.author), body, key, self.max_message) {
            Ok(draft) => draft,
            Err(refusal) => return Some(refusal.frame(reference)),
        };
        let hub = self.hub.clone();
        let publish = async move {
            match hub.publish(draft).await {
                Ok(appended) => acknowledge.then(|| acknowledgement(appended, channel, reference)),
                Err(error) => Some(Refusal::from(error).frame(reference)),
            }
        };
        // Begun in the order they came, and so stored in it. Not held up by tokio's budget for a task: it would wake
        // those it held up in the opposite order.
        self.publishes.get_or_insert_default().push_back(unconstrained(publish).boxed());
        None
    }

    /// Too many publishes wait for their answer: take no more frames until one has come.
    pub fn is_full(&self) -> bool {
        self.publishes.as_ref().is_some_and(|all| all.len() >= PUBLISHES_IN_FLIGHT)
    }

    /// What goes out next and is not pushed; waits for it. Empty when a publish was done of which the client hears
    /// nothing. See [`Subscription::next`].
    ///
    /// # Errors
    /// The store cannot be read, or the server stops.
    pub async fn next(&mut self, way: &Way) -> Result<Vec<Line>, Ended> {
        let Self { publishes, subscription, .. } = self;
        tokio::select! {
            biased;
            // Also when there is nothing to say: room for another publish is news to the transport.
            answer = answered(publishes) => Ok(answer.map(Line::Frame).into_iter().collect()),
            deliveries = subscription.next(way) => {
                deliveries.map(|all| all.into_iter().map(Line::from).collect())
            }
        }
    }

    /// Waits for one of the publishes on their way, if there are any.
    pub async fn settle(&mut self) {
        if self.publishes.is_some() {
            answered(&mut self.publishes).await;
        }
    }

    /// The answers to what was taken before the client closed.
    pub async fn finish(&mut self) -> Vec<Line> {
        let mut answers = Vec::new();
        while self.publishes.is_some() {
            answers.extend(answered(&mut self.publishes).await.map(Line::Frame));
        }
        answers
    }
}

/// The next answer to a publish; never, while there are none.
async fn answered(publishes: &mut Option<Box<Publishes>>) -> Option<Frame> {
    let Some(all) = publishes else { return std::future::pending().await };
    let answer = all.next().await.flatten();
    if all.is_empty() {
        *publishes = None;
    }
    answer
}

fn acknowledgement(appended: Appended, channel: ChannelName, reference: Option<Ref>) -> Frame {
    Frame::Ack(Ack {
        reference,
        id: Some(appended.id),
        channel: Some(channel),
        time: Some(appended.time),
        duplicate: Some(appended.duplicate),
        cursor: None,
    })
}

/// A set of channels from their names.
///
/// # Errors
/// A name is none, or there are too many.
pub fn channel_set<'a>(names: impl Iterator<Item = &'a str>) -> Result<Vec<ChannelName>, Refusal> {
    let mut channels: Vec<ChannelName> = Vec::new();
    for name in names {
        let channel = name.parse()?;
        if !channels.contains(&channel) {
            channels.push(channel);
        }
        if channels.len() > limits::CHANNELS_PER_SUBSCRIPTION {
            let message = format!("at most {} channels at once", limits::CHANNELS_PER_SUBSCRIPTION);
            return Err(Refusal::new(ErrorCode::TooManyChannels, message));
        }
    }
    Ok(channels)
}

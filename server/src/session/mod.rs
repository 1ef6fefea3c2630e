//! One connection of a visitor or a program: frames in, frames out.
//!
//! A session knows what may be said and to whom it is said; how the bytes travel is the transport's.
//!
//! - [`draft`]: what every way to publish checks. [`refusal`]: why something is refused. [`outgoing`]: what goes out.

mod draft;
mod outgoing;
mod refusal;

pub use draft::{channel_set, check_draft};
pub use outgoing::Outgoing;
pub use refusal::Refusal;

use crate::{
    engine::{Appended, Draft},
    hub::{Ended, Hub, Reader, Subscription},
    limits::PUBLISHES_IN_FLIGHT,
};
use app::wire::{
    Ack, Body, ChannelName, Command, ContentKind, ErrorCode, Frame, Id, PublishCommand, Ref, Sender,
    limits::command_bytes,
};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesOrdered};
use std::sync::Arc;
use tokio::task::coop::unconstrained;

/// What frames of the client mean.
#[derive(Clone, Debug)]
pub enum Input {
    /// On `/c`: each frame is a message for this channel.
    Bodies(ChannelName),
    /// On `/live`: each frame is a command.
    Commands,
}

/// A message that a client publishes in its session.
#[derive(Debug)]
pub struct PublishRequest {
    /// Where to.
    pub channel: ChannelName,
    /// What it says.
    pub body: Body,
    /// Its idempotency key.
    pub key: Option<String>,
    /// The client's number for the answer.
    pub reference: Option<Ref>,
    /// The client wants an answer if the message is stored, not only if it is refused.
    pub acknowledge: bool,
}

type Publishes = FuturesOrdered<BoxFuture<'static, Option<Frame>>>;

/// One connection.
pub struct Session {
    hub: Hub,
    author: Arc<Sender>,
    input: Input,
    max_message: usize,
    subscription: Subscription,
    /// Publishes on their way, answered in the order they came. Boxed, and `None` while there are none: most connections
    /// only listen. Bounded by [`Session::is_full`].
    publishes: Option<Box<Publishes>>,
}

impl Session {
    /// A session over a subscription that is registered already.
    pub fn new(hub: Hub, author: Arc<Sender>, input: Input, max_message: usize, subscription: Subscription) -> Self {
        Self { hub, author, input, max_message, subscription, publishes: None }
    }

    /// The largest frame that the client may send, in bytes.
    pub fn max_frame(&self) -> usize {
        match self.input {
            Input::Bodies(_) => self.max_message,
            Input::Commands => command_bytes(self.max_message),
        }
    }

    /// The first frame of a connection: where the reader begins.
    pub fn opening(&self) -> Frame {
        Frame::Cursor { cursor: self.subscription.cursor() }
    }

    /// Takes a text frame. Returns the answer if it needs no waiting.
    pub fn text(&mut self, text: String) -> Option<Frame> {
        match self.input.clone() {
            Input::Bodies(channel) => self.publish_body(channel, Body::guess(text)),
            Input::Commands => match Command::parse(&text) {
                Ok(command) => self.command(command),
                Err(error) => Some(Refusal::new(ErrorCode::BadFrame, error.message).frame(error.reference)),
            },
        }
    }

    /// Takes a binary frame. Returns the answer if it needs no waiting.
    pub fn binary(&mut self, bytes: Vec<u8>) -> Option<Frame> {
        match self.input.clone() {
            Input::Bodies(channel) => match Body::read(ContentKind::Binary, bytes) {
                Ok(body) => self.publish_body(channel, body),
                Err(error) => Some(Refusal::from(error).frame(None)),
            },
            Input::Commands => {
                let message = "commands are text frames; send binary bodies with \"encoding\":\"base64\"";
                Some(Refusal::new(ErrorCode::BadFrame, message).frame(None))
            }
        }
    }

    fn publish_body(&mut self, channel: ChannelName, body: Body) -> Option<Frame> {
        self.publish(PublishRequest { channel, body, key: None, reference: None, acknowledge: false })
    }

    fn command(&mut self, command: Command) -> Option<Frame> {
        match command {
            Command::Ping { reference } => Some(Frame::Ack(Ack { reference, ..Ack::default() })),
            Command::Publish(PublishCommand { reference, channel, body, key }) => {
                match channel.parse::<ChannelName>() {
                    Ok(channel) => self.publish(PublishRequest { channel, body, key, reference, acknowledge: true }),
                    Err(error) => Some(Refusal::from(error).frame(reference)),
                }
            }
            Command::Typing { reference, channel, on } => match channel.parse::<ChannelName>() {
                Ok(channel) => Some(self.typing(&channel, on, reference)),
                Err(error) => Some(Refusal::from(error).frame(reference)),
            },
            Command::Subscribe { reference, channels } => match channel_set(channels.iter().map(String::as_str)) {
                Ok(channels) => Some(Self::subscribed(self.replace(channels), reference)),
                Err(refusal) => Some(refusal.frame(reference)),
            },
        }
    }

    /// The author types in a channel, or stops.
    pub fn typing(&mut self, channel: &ChannelName, on: bool, reference: Option<Ref>) -> Frame {
        self.hub.typing(channel, &self.author, on);
        Frame::Ack(Ack { reference, ..Ack::default() })
    }

    /// Whether it listens to any channel.
    pub fn has_channels(&self) -> bool {
        !self.subscription.channels().is_empty()
    }

    /// Listens to other channels, from the cursor on that this returns.
    pub fn replace(&mut self, channels: Vec<ChannelName>) -> Id {
        self.subscription.replace(channels)
    }

    /// Listens to another subscription, from the cursor on that this returns.
    pub fn replace_subscription(&mut self, subscription: Subscription) -> Id {
        self.subscription = subscription.attended_by(Arc::clone(&self.author)).with_presence();
        self.subscription.cursor()
    }

    /// The answer to a command that changed the set of channels.
    pub fn subscribed(cursor: Id, reference: Option<Ref>) -> Frame {
        Frame::Ack(Ack { reference, cursor: Some(cursor), ..Ack::default() })
    }

    /// Publishes. Returns a refusal that needs no waiting; any other answer comes from [`Session::next`].
    pub fn publish(&mut self, publish: PublishRequest) -> Option<Frame> {
        let PublishRequest { channel, body, key, reference, acknowledge } = publish;
        let draft = Draft { channel: channel.clone(), from: Sender::clone(&self.author), body, key, expected: None };
        let draft = match check_draft(draft, self.max_message) {
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
        // Begun, and so stored, in the order they came. Not held up by tokio's budget: a task without budget wakes the
        // futures it held up in the opposite order.
        self.publishes.get_or_insert_default().push_back(unconstrained(publish).boxed());
        None
    }

    /// Whether too many publishes wait for their answer: take no more frames until one has come.
    pub fn is_full(&self) -> bool {
        self.publishes.as_ref().is_some_and(|all| all.len() >= PUBLISHES_IN_FLIGHT)
    }

    /// What goes out next and is not pushed; waits for it. Empty when a publish is done of which the client hears nothing:
    /// the transport then has room for another one. See [`Subscription::next`].
    ///
    /// # Errors
    /// Returns an error if the store cannot be read, or if the server stops.
    pub async fn next(&mut self, reader: &Arc<Reader>) -> Result<Vec<Outgoing>, Ended> {
        let Self { publishes, subscription, .. } = self;
        tokio::select! {
            biased;
            answer = next_answer(publishes) => Ok(answer.map(Outgoing::Frame).into_iter().collect()),
            deliveries = subscription.next(reader) => {
                deliveries.map(|all| all.into_iter().map(Outgoing::from).collect())
            }
        }
    }

    /// Waits for one of the publishes on their way, if there are any.
    pub async fn settle_one(&mut self) {
        if self.publishes.is_some() {
            next_answer(&mut self.publishes).await;
        }
    }

    /// Waits for all publishes on their way. Returns their answers.
    pub async fn finish(&mut self) -> Vec<Outgoing> {
        let mut answers = Vec::new();
        while self.publishes.is_some() {
            answers.extend(next_answer(&mut self.publishes).await.map(Outgoing::Frame));
        }
        answers
    }
}

/// The next answer to a publish. Never resolves while there are none.
async fn next_answer(publishes: &mut Option<Box<Publishes>>) -> Option<Frame> {
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

use super::{
    Gone, Revision,
    edge::Taken,
    opening::{Opening, Place, fresh_sid, pid},
    rooms::{Entrance, Rooms},
    voice::{Offset, Records, Voice},
};
use crate::{
    engine::ReadError,
    hub::{Ended, Subscription, Way},
    limits::{BATCH_BYTES, BATCH_MESSAGES},
    session::{Input, Line as Said, Refusal, Session, channel_set},
};
use app::wire::{
    ChannelName, CloseCode, ErrorCode, Frame, Ref, Start,
    socket_io::{Packet, PacketKind, argument_body},
};
use engineioxide::DisconnectReason;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::{Arc, atomic::AtomicBool};
use tokio::sync::mpsc::Receiver;

/// An event as it came.
pub(super) struct Event {
    pub(super) packet: Packet,
    pub(super) attachments: Vec<Vec<u8>>,
    pub(super) _taken: Taken,
}

/// One namespace of one connection: a session like every other.
pub(super) struct Room {
    rooms: Arc<Rooms>,
    place: Place,
    session: Session,
    voice: Arc<Voice>,
    events: Receiver<Box<Event>>,
    left: Arc<AtomicBool>,
}

/// The last argument of an event, before its acknowledgement.
#[derive(Default, Deserialize)]
struct Options {
    #[serde(default)]
    key: Option<String>,
}

impl Room {
    /// Lets a client into a namespace, or not, and serves it until one of both goes.
    pub(super) async fn open(
        rooms: Arc<Rooms>,
        namespace: String,
        place: Place,
        opening: Opening,
        entrance: Entrance,
        coming: Taken,
    ) {
        let left = Arc::clone(&entrance.left);
        let begun = Self::begin(&rooms, &namespace, place, opening, entrance).await;
        drop(coming);
        match begun {
            Ok((room, first)) => room.serve(first).await,
            Err(error) => {
                rooms.refuse(&namespace, &error.into());
                rooms.left(&namespace, &left);
            }
        }
    }

    /// The default namespace of a client that was told from the beginning that it is in.
    pub(super) async fn open_silently(rooms: Arc<Rooms>, opening: Opening, entrance: Entrance) {
        let Ok(subscription) = rooms.hub.subscribe(Vec::new(), Start::Now).await else { return };
        Self::new(rooms, "/".into(), Place::Default, opening.from, None, subscription, entrance)
            .serve(Vec::new())
            .await;
    }

    fn new(
        rooms: Arc<Rooms>,
        namespace: String,
        place: Place,
        from: Option<String>,
        offset: Option<Offset>,
        subscription: Subscription,
        entrance: Entrance,
    ) -> Self {
        let Entrance { events, left } = entrance;
        let author = Arc::new(rooms.outbound.edge().sender(from));
        let subscription = subscription.attended_by(Arc::clone(&author)).with_presence();
        let session = Session::new(rooms.hub.clone(), author, Input::Commands, rooms.max_message, subscription);
        let outbound = Arc::clone(&rooms.outbound);
        let voice = Arc::new(Voice { outbound, namespace, offset, left: Arc::clone(&left) });
        Self { rooms, place, session, voice, events, left }
    }

    /// Registers the subscription before the client can see the namespace as connected.
    async fn begin(
        rooms: &Arc<Rooms>,
        namespace: &str,
        place: Place,
        opening: Opening,
        entrance: Entrance,
    ) -> Result<(Self, Vec<Said>), ReadError> {
        let Opening { start, from, recovery } = opening;
        let recovers = rooms.opened.recovers;
        let recovery = recovery.filter(|_| recovers);
        let channels = match (&place, &recovery) {
            (Place::Channel(name), _) => vec![name.clone()],
            (Place::Default, Some(recovery)) => recovery.channels.clone(),
            (Place::Default, None) => Vec::new(),
        };
        let start = match &recovery {
            Some(recovery) => Start::After(recovery.after),
            None => start.unwrap_or(Start::Now),
        };
        let offset = recovers.then(|| Offset::of(offset_names(&place, &channels)));
        let mut subscription = rooms.hub.subscribe(channels, start).await?;
        let begun = subscription.cursor();
        // Whether anything is gone shows in what comes first.
        let first = match &recovery {
            Some(_) => subscription.ready(BATCH_MESSAGES, BATCH_BYTES).await?,
            None => Vec::new(),
        };
        let first: Vec<Said> = first.into_iter().map(Said::from).collect();
        let whole = !first.iter().any(|line| matches!(line, Said::Frame(Frame::Missed(_))));
        // A client that is told the same pid knows that it has missed nothing.
        let same = recovery.filter(|_| whole).map(|recovery| (recovery.sid, recovery.pid));
        let (sid, pid) = same.unwrap_or_else(|| {
            let sid = fresh_sid();
            let pid = pid(&sid, begun);
            (sid, pid)
        });
        let room = Self::new(Arc::clone(rooms), namespace.to_owned(), place, from, offset, subscription, entrance);
        let connected = match (rooms.opened.revision, recovers) {
            (Revision::Four, _) => None,
            (Revision::Five, false) => Some(serde_json::json!({ "sid": sid })),
            (Revision::Five, true) => Some(serde_json::json!({ "pid": pid, "sid": sid })),
        };
        room.voice.tell(PacketKind::Connect, connected.map(|data| data.to_string()));
        Ok((room, first))
    }

    async fn serve(mut self, first: Vec<Said>) {
        self.voice.say(&first);
        drop(first);
        // In a box: an idle client keeps no room for what is seldom.
        match self.run().await {
            Ok(Some(ended)) => drop(Box::pin(self.goodbye(ended)).await),
            Ok(None) | Err(Gone) => Box::pin(self.finish()).await,
        }
    }

    /// The client is gone: what it said before is carried out.
    async fn finish(&mut self) {
        // It hears nothing more, and is no longer there.
        self.session.replace(Vec::new());
        while let Some(event) = self.events.recv().await {
            while self.session.is_full() {
                self.session.settle().await;
            }
            self.take(&event).await;
        }
        self.session.finish().await;
    }

    /// Serves until there is a reason to end; none when the client left.
    async fn run(&mut self) -> Result<Option<Ended>, Gone> {
        loop {
            // Nothing may wait to be sent when the reader goes into its lane.
            self.rooms.outbound.drain().await?;
            // Each time: `subscribe` gives the namespace another voice.
            let way = Way::new(Arc::clone(&self.voice) as _, &Records);
            tokio::select! {
                lines = self.session.next(&way) => match lines {
                    Ok(lines) => {
                        self.voice.say(&lines);
                    }
                    Err(ended) => return Ok(Some(ended)),
                },
                event = self.events.recv(), if !self.session.is_full() => match event {
                    Some(event) => {
                        let handled = Box::pin(self.take(&event)).await;
                        drop(event);
                        if let Some(frame) = handled {
                            self.voice.say(&[Said::Frame(frame)]);
                        }
                    }
                    None => return Ok(None),
                },
            }
        }
    }

    async fn goodbye(&mut self, ended: Ended) -> Result<(), Gone> {
        let answers = self.session.finish().await;
        self.voice.say(&answers);
        match ended {
            Ended::Closed => {
                let retry = self.rooms.hub.return_after().unwrap_or_default();
                let retry_ms = u64::try_from(retry.as_millis()).unwrap_or(u64::MAX);
                let (code, reason) = (CloseCode::GoingAway as u16, "the server is stopping".into());
                self.voice.say(&[Said::Frame(Frame::Bye { code, reason, retry_ms })]);
            }
            Ended::Store(error) => {
                tracing::error!(%error, "a reader had to be let go");
                // All of the connection: a client that is not told comes back from there only.
                self.rooms.outbound.close(DisconnectReason::TransportError);
            }
        }
        if self.rooms.left(&self.voice.namespace, &self.left) {
            self.rooms.outbound.emptied().await?;
            // Not DISCONNECT, after which a client would not come back.
            self.rooms.outbound.close(DisconnectReason::ClosingServer);
        }
        Ok(())
    }

    /// Handles an event; an answer that needs no waiting comes at once.
    async fn take(&mut self, event: &Event) -> Option<Frame> {
        let reference = event.packet.ack.map(Ref::from);
        match self.command(event, reference.clone()).await {
            Ok(answer) => answer,
            Err(Refusal { code, message, .. }) => Some(Frame::Error { reference, code, message }),
        }
    }

    async fn command(&mut self, event: &Event, reference: Option<Ref>) -> Result<Option<Frame>, Refusal> {
        let (name, arguments) = event.packet.event();
        let name = name.unwrap_or_default();
        match (self.place.clone(), name.as_str()) {
            (Place::Channel(channel), "message") => self.publish(channel, event, &arguments, reference),
            (Place::Channel(channel), "typing") => self.typing(&channel, arguments.first(), reference),
            (Place::Default, "publish") => {
                let channel = channel_of(arguments.first())?;
                self.publish(channel, event, &arguments[1..], reference)
            }
            (Place::Default, "typing") => {
                let channel = channel_of(arguments.first())?;
                self.typing(&channel, arguments.get(1), reference)
            }
            (Place::Default, "subscribe") => self.subscribe(&arguments, reference).await,
            (Place::Channel(_), name) => {
                let message = format!("a channel takes the events message and typing, not {:?}", shortened(name));
                Err(Refusal::new(ErrorCode::BadFrame, message))
            }
            (Place::Default, name) => {
                let message = format!(
                    "the default namespace takes the events publish, subscribe and typing, not {:?}; a channel's own \
                     namespace is its path: io(\"/c/NAME\")",
                    shortened(name)
                );
                Err(Refusal::new(ErrorCode::BadFrame, message))
            }
        }
    }

    fn publish(
        &mut self,
        channel: ChannelName,
        event: &Event,
        arguments: &[&RawValue],
        reference: Option<Ref>,
    ) -> Result<Option<Frame>, Refusal> {
        let bad = |message: String| Refusal::new(ErrorCode::BadBody, message);
        let body = arguments.first().ok_or_else(|| bad("there is nothing to publish: the body is missing".into()))?;
        let body = argument_body(body, &event.attachments).map_err(bad)?;
        let Options { key } = options(arguments.get(1))?;
        let acknowledge = reference.is_some();
        Ok(self.session.publish(channel, body, key, reference, acknowledge))
    }

    fn typing(
        &mut self,
        channel: &ChannelName,
        on: Option<&&RawValue>,
        reference: Option<Ref>,
    ) -> Result<Option<Frame>, Refusal> {
        let on = match on.map(|on| on.get()) {
            None | Some("true") => true,
            Some("false") => false,
            Some(_) => return Err(Refusal::new(ErrorCode::BadFrame, "typing is true or false")),
        };
        let answer = self.session.typing(channel, on, reference.clone());
        Ok(reference.map(|_| answer))
    }

    async fn subscribe(&mut self, arguments: &[&RawValue], reference: Option<Ref>) -> Result<Option<Frame>, Refusal> {
        let bad = |message: &str| Refusal::new(ErrorCode::BadFrame, message);
        let names = arguments.first().ok_or_else(|| bad("subscribe needs channels"))?;
        let names: Names = serde_json::from_str(names.get())
            .map_err(|_| bad("subscribe needs the name of a channel, or an array of them"))?;
        let names = match names {
            Names::One(name) => vec![name],
            Names::Many(names) => names,
        };
        let channels = channel_set(names.iter().map(String::as_str))?;
        let Opening { start, .. } =
            Opening::read(arguments.get(1).map(|options| options.get()).filter(|&options| options != "null"), "")?;
        let cursor = match start {
            // What it has goes on, without a gap.
            None if self.session.has_channels() => self.session.replace(channels.clone()),
            start => {
                let subscription = self.rooms.hub.subscribe(channels.clone(), start.unwrap_or(Start::Now)).await?;
                self.session.begin_again(subscription)
            }
        };
        if self.voice.offset.is_some() {
            let Voice { outbound, namespace, left, .. } = &*self.voice;
            let (outbound, namespace, left) = (Arc::clone(outbound), namespace.clone(), Arc::clone(left));
            self.voice = Arc::new(Voice { outbound, namespace, left, offset: Some(Offset::of(&channels)) });
        }
        // Also when nothing is said for a while, the client knows what it has.
        self.voice.say(&[Said::Frame(Frame::Cursor { cursor })]);
        Ok(reference.map(|reference| Session::subscribed(cursor, reference)))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Many(Vec<String>),
}

/// A channel's own namespace says which channel it is: its offsets need not.
fn offset_names<'a>(place: &Place, channels: &'a [ChannelName]) -> &'a [ChannelName] {
    if *place == Place::Default { channels } else { &[] }
}

fn channel_of(argument: Option<&&RawValue>) -> Result<ChannelName, Refusal> {
    let name: Option<String> = argument.and_then(|name| serde_json::from_str(name.get()).ok());
    let name = name.ok_or_else(|| Refusal::new(ErrorCode::BadFrame, "the first argument is the name of a channel"))?;
    Ok(name.parse()?)
}

fn options(argument: Option<&&RawValue>) -> Result<Options, Refusal> {
    let Some(argument) = argument.filter(|argument| argument.get() != "null") else { return Ok(Options::default()) };
    serde_json::from_str(argument.get()).map_err(|error| {
        Refusal::new(ErrorCode::BadFrame, format!("behind the body come options, such as {{\"key\":\"...\"}}: {error}"))
    })
}

fn shortened(name: &str) -> String {
    name.chars().take(40).collect()
}

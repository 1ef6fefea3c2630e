//! One namespace of one connection: a session, as on every other transport.

use super::{
    backpressure::EventGuard,
    connect::{ConnectParams, Target, fresh_sid, pid},
    namespaces::{Event, Namespaces},
    opened::Revision,
    sink::{NamespaceSink, RecordEncoder, RecoveryOffset},
};
use crate::{
    engine::ReadError,
    hub::{Ended, Reader, Subscription},
    limits::{BATCH_BYTES, BATCH_MESSAGES},
    net::Disconnected,
    session::{Input, Outgoing, PublishRequest, Refusal, Session, channel_set},
    transport::goodbye::Goodbye,
};
use app::wire::{
    ChannelName, ErrorCode, Frame, Ref, Start,
    socket_io::{PacketKind, argument_body},
};
use engineioxide::DisconnectReason;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, WeakSender};

/// A namespace that a client wants to connect to.
pub(super) struct Opening {
    pub(super) namespaces: Arc<Namespaces>,
    /// The name as the client spells it.
    pub(super) namespace: String,
    pub(super) target: Target,
    pub(super) params: ConnectParams,
    /// Shows whether the client has left: then no strong sender exists.
    pub(super) way_in: WeakSender<Box<Event>>,
    pub(super) events: Receiver<Box<Event>>,
}

/// One namespace of one connection.
pub(super) struct Namespace {
    namespaces: Arc<Namespaces>,
    target: Target,
    session: Session,
    sink: Arc<NamespaceSink>,
    events: Receiver<Box<Event>>,
}

/// The options of a publish: the last argument of its event.
#[derive(Default, Deserialize)]
struct Options {
    #[serde(default)]
    key: Option<String>,
}

impl Namespace {
    /// Connects or refuses the client, and serves it until it leaves or the server stops.
    pub(super) async fn open(opening: Opening, guard: EventGuard) {
        let Opening { namespaces, namespace, way_in, .. } = &opening;
        let (namespaces, namespace, way_in) = (Arc::clone(namespaces), namespace.clone(), way_in.clone());
        let begun = Self::begin(opening).await;
        drop(guard);
        match begun {
            Ok((this, first)) => this.serve(first).await,
            Err(error) => {
                namespaces.refuse(&namespace, &error.into());
                namespaces.ended(&namespace, &way_in);
            }
        }
    }

    /// Opens the default namespace of a 2.x client, which is connected from the beginning and expects no answer.
    pub(super) async fn open_silently(opening: Opening) {
        let Ok(subscription) = opening.namespaces.hub.subscribe(Vec::new(), Start::Now).await else { return };
        Self::new(opening, None, subscription).serve(Vec::new()).await;
    }

    fn new(opening: Opening, offset: Option<RecoveryOffset>, subscription: Subscription) -> Self {
        let Opening { namespaces, namespace, target, params, way_in, events } = opening;
        let author = Arc::new(namespaces.outbound.backpressure().sender(params.from));
        let subscription = subscription.attended_by(Arc::clone(&author)).with_presence();
        let session =
            Session::new(namespaces.hub.clone(), author, Input::Commands, namespaces.max_message, subscription);
        let outbound = Arc::clone(&namespaces.outbound);
        let sink = Arc::new(NamespaceSink { outbound, namespace, offset, way_in });
        Self { namespaces, target, session, sink, events }
    }

    /// Registers the subscription before the client can see the namespace as connected.
    async fn begin(mut opening: Opening) -> Result<(Self, Vec<Outgoing>), ReadError> {
        let namespaces = Arc::clone(&opening.namespaces);
        let recovers = namespaces.opened.recovers;
        let recovery = opening.params.recovery.take().filter(|_| recovers);
        let channels = match (&opening.target, &recovery) {
            (Target::Channel(name), _) => vec![name.clone()],
            (Target::Default, Some(recovery)) => recovery.channels.clone(),
            (Target::Default, None) => Vec::new(),
        };
        let start = match &recovery {
            Some(recovery) => Start::After(recovery.after),
            None => opening.params.start.unwrap_or(Start::Now),
        };
        let offset = recovers.then(|| RecoveryOffset::of(offset_names(&opening.target, &channels)));
        let mut subscription = namespaces.hub.subscribe(channels, start).await?;
        let begun = subscription.cursor();
        // The first deliveries show whether messages are missing.
        let first = match &recovery {
            Some(_) => subscription.ready(BATCH_MESSAGES, BATCH_BYTES).await?,
            None => Vec::new(),
        };
        let first: Vec<Outgoing> = first.into_iter().map(Outgoing::from).collect();
        let whole = !first.iter().any(|outgoing| matches!(outgoing, Outgoing::Frame(Frame::Missed(_))));
        // The same pid tells the client that it has missed nothing.
        let same = recovery.filter(|_| whole).map(|recovery| (recovery.sid, recovery.pid));
        let (sid, pid) = same.unwrap_or_else(|| {
            let sid = fresh_sid();
            let pid = pid(&sid, begun);
            (sid, pid)
        });
        let this = Self::new(opening, offset, subscription);
        let connected = match (namespaces.opened.revision, recovers) {
            (Revision::Four, _) => None,
            (Revision::Five, false) => Some(serde_json::json!({ "sid": sid })),
            (Revision::Five, true) => Some(serde_json::json!({ "pid": pid, "sid": sid })),
        };
        this.sink.tell(PacketKind::Connect, connected.map(|data| data.to_string()));
        Ok((this, first))
    }

    async fn serve(mut self, first: Vec<Outgoing>) {
        self.sink.say(&first);
        drop(first);
        // Boxed because it is rare, so that the future of an idle client stays small.
        match self.run().await {
            Ok(Some(ended)) => drop(Box::pin(self.goodbye(ended)).await),
            Ok(None) | Err(Disconnected) => Box::pin(self.finish()).await,
        }
    }

    /// Handles the events that the client sent before it left.
    async fn finish(&mut self) {
        // The client receives nothing more and is no longer present in its channels.
        self.session.replace(Vec::new());
        while let Some(event) = self.events.recv().await {
            while self.session.is_full() {
                self.session.settle_one().await;
            }
            self.take(&event).await;
        }
        self.session.finish().await;
    }

    /// Serves until the subscription ends or the client leaves. Returns `None` if the client left.
    async fn run(&mut self) -> Result<Option<Ended>, Disconnected> {
        loop {
            // The reader may join its lane only when nothing waits to be sent.
            self.namespaces.outbound.drain().await?;
            // Created in each round, because `subscribe` replaces the sink.
            let reader = Reader::new(Arc::clone(&self.sink) as _, &RecordEncoder);
            tokio::select! {
                outgoing = self.session.next(&reader) => match outgoing {
                    Ok(outgoing) => drop(self.sink.say(&outgoing)),
                    Err(ended) => return Ok(Some(ended)),
                },
                event = self.events.recv(), if !self.session.is_full() => match event {
                    Some(event) => {
                        let handled = Box::pin(self.take(&event)).await;
                        drop(event);
                        if let Some(frame) = handled {
                            self.sink.say(&[Outgoing::Frame(frame)]);
                        }
                    }
                    None => return Ok(None),
                },
            }
        }
    }

    async fn goodbye(&mut self, ended: Ended) -> Result<(), Disconnected> {
        let answers = self.session.finish().await;
        self.sink.say(&answers);
        match Goodbye::of(ended, &self.namespaces.hub).frame() {
            Some(bye) => drop(self.sink.say(&[Outgoing::Frame(bye)])),
            // Closes the whole connection, because a client reconnects by itself only after that.
            None => self.namespaces.outbound.close(DisconnectReason::TransportError),
        }
        if self.namespaces.ended(&self.sink.namespace, &self.sink.way_in) {
            self.namespaces.outbound.emptied().await?;
            // Not DISCONNECT, because a client does not reconnect after it.
            self.namespaces.outbound.close(DisconnectReason::ClosingServer);
        }
        Ok(())
    }

    /// Handles an event. Returns the answer if it is ready at once.
    async fn take(&mut self, event: &Event) -> Option<Frame> {
        let reference = event.packet.ack.map(Ref::from);
        match self.command(event, reference.clone()).await {
            Ok(answer) => answer,
            Err(refusal) => Some(refusal.frame(reference)),
        }
    }

    async fn command(&mut self, event: &Event, reference: Option<Ref>) -> Result<Option<Frame>, Refusal> {
        let (name, arguments) = event.packet.event();
        let name = name.unwrap_or_default();
        match (self.target.clone(), name.as_str()) {
            (Target::Channel(channel), "message") => self.publish(channel, event, &arguments, reference),
            (Target::Channel(channel), "typing") => self.typing(&channel, arguments.first(), reference),
            (Target::Default, "publish") => {
                let channel = channel_of(arguments.first())?;
                self.publish(channel, event, &arguments[1..], reference)
            }
            (Target::Default, "typing") => {
                let channel = channel_of(arguments.first())?;
                self.typing(&channel, arguments.get(1), reference)
            }
            (Target::Default, "subscribe") => self.subscribe(&arguments, reference).await,
            (Target::Channel(_), name) => {
                let message = format!("a channel takes the events message and typing, not {:?}", shortened(name));
                Err(Refusal::new(ErrorCode::BadFrame, message))
            }
            (Target::Default, name) => {
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
        Ok(self.session.publish(PublishRequest { channel, body, key, reference, acknowledge }))
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
        let ConnectParams { start, .. } = ConnectParams::read(
            arguments.get(1).map(|options| options.get()).filter(|&options| options != "null"),
            "",
        )?;
        let cursor = match start {
            // Channels that the client keeps continue without a gap.
            None if self.session.has_channels() => self.session.replace(channels.clone()),
            start => {
                let subscription = self.namespaces.hub.subscribe(channels.clone(), start.unwrap_or(Start::Now)).await?;
                self.session.replace_subscription(subscription)
            }
        };
        if self.sink.offset.is_some() {
            let NamespaceSink { outbound, namespace, way_in, .. } = &*self.sink;
            let (outbound, namespace, way_in) = (Arc::clone(outbound), namespace.clone(), way_in.clone());
            self.sink =
                Arc::new(NamespaceSink { outbound, namespace, way_in, offset: Some(RecoveryOffset::of(&channels)) });
        }
        // Tells the client its cursor even if nothing is published for a while.
        self.sink.say(&[Outgoing::Frame(Frame::Cursor { cursor })]);
        Ok(reference.map(|reference| Session::subscribed(cursor, Some(reference))))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Many(Vec<String>),
}

/// The namespace of a channel already names the channel, so its offsets name none.
fn offset_names<'a>(target: &Target, channels: &'a [ChannelName]) -> &'a [ChannelName] {
    if *target == Target::Default { channels } else { &[] }
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

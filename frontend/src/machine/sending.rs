//! Handles the visitor's actions and sends its messages over the current carrier.

use super::{
    Answer, Effect, Machine, Millis, Source,
    outbox::{JITTER, Jittered, Way},
};
use app::{
    live::{Transport, Update, UserAction},
    wire::{self, Body, ChannelName, PublishCommand},
};

impl Machine {
    pub(super) fn act(&mut self, action: UserAction, key: String) {
        match action {
            UserAction::Reconnect => {
                self.net.by_hand = true;
                self.reconnect(self.now);
            }
            UserAction::Typing(on) => self.say_typing(on),
            UserAction::Retry { key } => self.outbox.retry(&key),
            UserAction::Discard { key } => self.outbox.discard(&key),
            UserAction::Send(body) => {
                if matches!(self.source, Source::Channel(_)) && !self.outbox.push(key, body) {
                    self.emit(Effect::Warn("a message was not taken: too many are waiting".to_owned()));
                }
            }
        }
    }

    /// The present, for an answer after which the page may try again.
    pub(super) fn jittered(&mut self) -> Jittered {
        Jittered { now: self.now, jitter: self.random.up_to(JITTER) }
    }

    pub(super) fn posted(&mut self, key: &str, answer: Answer) {
        let at = self.jittered();
        match answer {
            Answer::Stored(ack) => self.outbox.stored(key, &ack, self.reader.cursor(), self.now),
            Answer::Refused { code, message } => self.outbox.refused(key, code, message, at),
            Answer::Lost => self.outbox.unanswered(key, at),
        }
    }

    /// Returns how messages are sent now, or `None` if the connection is not ready.
    fn way(&self) -> Option<Way> {
        let main = self.net.working().filter(|main| main.is_ready(self.now))?;
        Some(match main.transport {
            Transport::WebSocket => Way::Socket(main.generation),
            Transport::Sse => Way::Post,
        })
    }

    pub(super) fn check_sending(&mut self) {
        let Source::Channel(channel) = self.source.clone() else { return };
        let way = self.way();
        if let Some(way) = way {
            self.send_all(way, &channel);
        }
        self.outbox.settle(way.is_some(), self.now);
        if std::mem::take(&mut self.outbox.changed) {
            self.emit(Effect::Update(Update::Outgoing(self.outbox.list())));
        }
        if std::mem::take(&mut self.outbox.unsaved) {
            self.emit(Effect::Store(self.outbox.save(channel.as_str())));
        }
    }

    fn send_all(&mut self, way: Way, channel: &ChannelName) {
        loop {
            let reference = self.next_reference();
            let Some(out) = self.outbox.next(way, reference, self.now) else { return };
            let effect = match way {
                Way::Socket(generation) => {
                    let publish = PublishCommand {
                        reference: Some(reference.into()),
                        channel: channel.as_str().to_owned(),
                        body: out.body,
                        key: Some(out.key),
                    };
                    Effect::Send { generation, text: wire::Command::Publish(publish).to_json() }
                }
                Way::Post => post(channel, out.key, out.body),
            };
            self.emit(effect);
        }
    }

    pub(super) fn sending_due(&self) -> Option<Millis> {
        let settled = self.net.working().filter(|main| !main.is_ready(self.now)).and_then(|main| main.settled_at());
        let answers = self.outbox.due(self.way().is_some(), self.now);
        [settled, answers].into_iter().flatten().min()
    }
}

fn post(channel: &ChannelName, key: String, body: Body) -> Effect {
    let (content_type, body) = match body {
        Body::Text(text) => ("text/plain; charset=utf-8", text.into_bytes()),
        Body::Json(json) => ("application/json", json.into_bytes()),
        Body::Binary(bytes) => ("application/octet-stream", bytes),
    };
    Effect::Post { key, path: channel.path(), content_type, body }
}

//! The readers of the channel and the people who are writing, as the server last reported them.

use super::{Effect, Machine, Millis, Source};
use app::{
    live::{Here, Transport, Update},
    page::{Page, Screen},
    wire::{self, PresenceUpdate, Typing, limits::PRESENCE_NAMES},
};

/// The interval at which a typing notice is repeated. The server forgets a notice after six seconds.
const AGAIN: Millis = 3_000;

#[derive(Default)]
pub(super) struct Presence {
    here: Here,
    /// The id of this page's visitor, whose own typing is not shown.
    own: String,
    /// When this page last sent a typing notice.
    said: Option<Millis>,
}

impl Presence {
    pub(super) fn of(page: &Page) -> Self {
        let here = match &page.screen {
            Screen::Channel(channel) => channel.here.as_ref().map(Here::of).unwrap_or_default(),
            Screen::Home(_) | Screen::Problem(_) => Here::default(),
        };
        Self { here, own: page.visitor.id.clone(), said: None }
    }

    fn change(&mut self, presence: PresenceUpdate) {
        let PresenceUpdate { people, programs, whole, joined, left, .. } = presence;
        if whole {
            self.here.who.clear();
        }
        let went = |id: &str| left.iter().chain(&joined).any(|sender| sender.id == id);
        self.here.who.retain(|sender| !went(&sender.id));
        self.here.who.extend(joined);
        self.here.who.truncate(PRESENCE_NAMES);
        self.here.people = people;
        self.here.programs = programs;
    }
}

impl Machine {
    pub(super) fn presence(&mut self, presence: PresenceUpdate) {
        if !matches!(&self.source, Source::Channel(name) if *name == presence.channel) {
            return;
        }
        // The server repeats the current typing notices on a new connection, so forget the old ones.
        if presence.whole {
            self.emit(Effect::Update(Update::Typing(Vec::new())));
        }
        self.presence.change(presence);
        let here = self.presence.here.clone();
        self.emit(Effect::Update(Update::Here(here)));
    }

    pub(super) fn typing(&mut self, typing: Typing) {
        if matches!(&self.source, Source::Channel(name) if *name == typing.channel) {
            let others = typing.who.into_iter().filter(|sender| sender.id != self.presence.own).collect();
            self.emit(Effect::Update(Update::Typing(others)));
        }
    }

    /// Sends typing notices over WebSocket only: an HTTP request for each notice would cost too much.
    pub(super) fn say_typing(&mut self, on: bool) {
        let due = match self.presence.said {
            Some(said) => !on || self.now >= said + AGAIN,
            None => on,
        };
        let Source::Channel(channel) = self.source.clone() else { return };
        let socket = self.net.working().filter(|main| main.transport == Transport::WebSocket);
        let Some(generation) = socket.map(|main| main.generation).filter(|_| due) else { return };
        self.presence.said = on.then_some(self.now);
        let command = wire::Command::Typing { reference: None, channel: channel.as_str().to_owned(), on };
        self.emit(Effect::Send { generation, text: command.to_json() });
    }
}

//! Who is there and who is writing: as far as the last connection said.

use super::{Effect, Machine, Millis, Source};
use app::{
    live::{Here, Transport, Update},
    page::{Page, Screen},
    wire::{self, Presence, Typing, limits::PRESENCE_NAMES},
};

/// The server forgets a writer after six seconds: said again well before.
const AGAIN: Millis = 3_000;

#[derive(Default)]
pub(super) struct Attendance {
    here: Here,
    /// The visitor of this page: not told of itself.
    own: String,
    /// When this page said that it writes.
    said: Option<Millis>,
}

impl Attendance {
    pub(super) fn of(page: &Page) -> Self {
        let here = match &page.screen {
            Screen::Channel(channel) => channel.here.as_ref().map(Here::of).unwrap_or_default(),
            Screen::Home(_) | Screen::Problem(_) => Here::default(),
        };
        Self { here, own: page.visitor.id.clone(), said: None }
    }

    fn change(&mut self, presence: Presence) {
        let Presence { people, programs, whole, joined, left, .. } = presence;
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
    pub(super) fn presence(&mut self, presence: Presence) {
        if !matches!(&self.source, Source::Channel(name) if *name == presence.channel) {
            return;
        }
        // A new connection: whoever was writing before is told of again.
        if presence.whole {
            self.emit(Effect::Update(Update::Typing(Vec::new())));
        }
        self.attendance.change(presence);
        let here = self.attendance.here.clone();
        self.emit(Effect::Update(Update::Here(here)));
    }

    pub(super) fn typing(&mut self, typing: Typing) {
        if matches!(&self.source, Source::Channel(name) if *name == typing.channel) {
            let others = typing.who.into_iter().filter(|sender| sender.id != self.attendance.own).collect();
            self.emit(Effect::Update(Update::Typing(others)));
        }
    }

    /// Only a WebSocket carries it: a request for each would cost more than it is worth.
    pub(super) fn say_typing(&mut self, on: bool) {
        let due = match self.attendance.said {
            Some(said) => !on || self.now >= said + AGAIN,
            None => on,
        };
        let Source::Channel(channel) = self.source.clone() else { return };
        let socket = self.net.working().filter(|main| main.transport == Transport::WebSocket);
        let Some(generation) = socket.map(|main| main.generation).filter(|_| due) else { return };
        self.attendance.said = on.then_some(self.now);
        let command = wire::Command::Typing { reference: None, channel: channel.as_str().to_owned(), on };
        self.emit(Effect::Send { generation, text: command.to_json() });
    }
}

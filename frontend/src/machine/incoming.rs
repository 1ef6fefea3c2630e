//! Handles the signals and frames that carriers deliver.

use super::{Effect, Machine, Signal, Source, connect::Loss, reader::Take};
use app::{
    live::{Entry, Update},
    wire::{Ack, ErrorCode, Frame, Id, Message, Missed, Ref},
};
use std::sync::Arc;

impl Machine {
    pub(super) fn signal(&mut self, generation: u32, signal: Signal) {
        match signal {
            Signal::Opened => self.opened(generation),
            Signal::Closed => self.closed(generation),
            Signal::Unknown => {
                self.hear(generation, false);
            }
            Signal::Channel(entry) => {
                if self.hear(generation, false) {
                    self.emit(Effect::Update(Update::Channel(*entry)));
                }
            }
            Signal::Frame(frame) => {
                if self.hear(generation, matches!(frame, Frame::Cursor { .. })) {
                    self.frame(frame);
                }
            }
        }
    }

    /// Records that a carrier is alive. Returns `false` if the carrier was closed before.
    fn hear(&mut self, generation: u32, is_cursor: bool) -> bool {
        let Some(is_main) = self.net.is_main(generation) else { return false };
        if !is_main || self.net.working().is_none() {
            self.prove(generation);
            if let Some(main) = &mut self.net.main {
                // An opening cursor says where reading begins; the next cursor says that the page has caught up.
                main.opening = is_cursor && matches!(self.source, Source::Channel(_));
            }
        }
        if let Some(main) = &mut self.net.main {
            main.heard = self.now;
        }
        true
    }

    fn frame(&mut self, frame: Frame) {
        match frame {
            Frame::Message(message) => self.message(*message),
            Frame::Missed(missed) => self.missed(missed),
            Frame::Cursor { cursor } => self.cursor(cursor),
            // The page is not up to date yet, so pending messages keep waiting.
            Frame::Behind { cursor, .. } => self.reader.advance(cursor),
            Frame::Presence(presence) => self.presence(presence),
            Frame::Typing(typing) => self.typing(typing),
            Frame::Ack(ack) => self.ack(&ack),
            Frame::Error { reference, code, message } => self.refused(reference.as_ref(), code, message),
            Frame::Bye { retry_ms, .. } => self.lose(Loss::Asked, self.now, Some(retry_ms)),
        }
    }

    fn message(&mut self, message: Message) {
        if !matches!(&self.source, Source::Channel(name) if *name == message.channel) {
            return;
        }
        let take = self.reader.take(&message);
        match take {
            Take::Gap => {
                self.reconnect(self.now);
                return;
            }
            Take::FreshAfterGap => {
                let warning = format!("a message before {} did not arrive, nor when asked for again", message.id);
                self.emit(Effect::Warn(warning));
            }
            Take::Fresh | Take::Duplicate => {}
        }
        if take != Take::Duplicate {
            self.show_message(message);
        } else if let Some(key) = &message.key {
            self.outbox.seen(key);
        }
        self.outbox.reached(self.reader.cursor());
    }

    fn show_message(&mut self, message: Message) {
        let mut caught_up = false;
        if let Some(main) = &mut self.net.main
            && let Some(catching) = main.catching.as_mut().filter(|_| !main.current)
        {
            catching.messages += 1;
            caught_up = true;
        }
        let key = message.key.clone();
        self.push_entry(Entry::Message { message: Arc::new(message), caught_up });
        if let Some(key) = key {
            self.outbox.seen(&key);
        }
    }

    fn missed(&mut self, missed: Missed) {
        if !matches!(&self.source, Source::Channel(name) if *name == missed.channel) || !self.reader.miss(&missed) {
            return;
        }
        if let Some(catching) = self.net.main.as_mut().and_then(|main| main.catching.as_mut()) {
            catching.partly = true;
        }
        let key = self.next_entry_key();
        self.push_entry(Entry::Missed { key, missed });
    }

    fn cursor(&mut self, cursor: Id) {
        self.reader.advance(cursor);
        self.outbox.reached(self.reader.cursor());
        let Some(main) = &mut self.net.main else { return };
        if std::mem::take(&mut main.opening) || main.current {
            return;
        }
        main.current = true;
        let (transport, catching) = (main.transport, main.catching);
        if let (Some(catching), Source::Channel(_)) = (catching, &self.source) {
            self.pill.caught_up(self.now, transport, catching);
        }
    }

    fn ack(&mut self, ack: &Ack) {
        let Some(reference) = ack.reference.as_ref().and_then(Ref::as_u64) else { return };
        if !self.trips.answered(reference, self.now) {
            self.outbox.acked(reference, ack, self.reader.cursor(), self.now);
        }
    }

    fn refused(&mut self, reference: Option<&Ref>, code: ErrorCode, message: String) {
        match reference.and_then(Ref::as_u64) {
            Some(reference) => {
                let at = self.jittered();
                self.outbox.refused_by_ref(reference, Some(code), message, at);
            }
            None => self.emit(Effect::Warn(message)),
        }
    }
}

//! Who is where, without lock and clock: times come as arguments.

use super::channel::{Change, ChangeKind, ChannelPresence, Participant};
use crate::{
    limits::{POLL_LEASES, TYPERS},
    map::Map,
};
use app::wire::{ChannelName, PresenceUpdate, Sender, Typing};
use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
};
use tokio::time::Instant;

/// Who is where.
#[derive(Default)]
pub(super) struct State {
    channels: Map<ChannelName, ChannelPresence>,
    /// When to look whether leases have ended, soonest first. One entry for each participant without a connection, and one
    /// without id for each channel where somebody types, however often they renew: a flood of polls or of typing does
    /// not fill it.
    ends: BinaryHeap<Reverse<(Instant, ChannelName, String)>>,
    /// Leases that no connection holds.
    loose: usize,
    /// Channels whose readers are to be woken.
    changed: BTreeSet<ChannelName>,
    /// Grows with every change.
    version: u64,
    /// Entries of all [`ChannelPresence::typing`].
    typers: usize,
}

impl State {
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn typers(&self) -> usize {
        self.typers
    }

    /// Differs after anything that the keeper has to look at.
    pub(super) fn progress(&self) -> (u64, usize) {
        (self.version, self.ends.len())
    }

    /// When the next lease may end.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.ends.peek().map(|Reverse((at, ..))| *at)
    }

    /// A connection enters channels.
    pub(super) fn enter(&mut self, channels: &[ChannelName], sender: &Sender) {
        for channel in channels {
            let participant = self.participant(channel, sender);
            participant.connections += 1;
            if participant.until.take().is_some() {
                self.loose -= 1;
            }
        }
    }

    /// A connection leaves channels: without another one its lease ends at `until`.
    pub(super) fn leave(&mut self, channels: &[ChannelName], id: &str, until: Instant) {
        for channel in channels {
            if let Some(participant) = self.channels.get_mut(channel).and_then(|found| found.participants.get_mut(id)) {
                participant.connections = participant.connections.saturating_sub(1);
                self.loosen(channel, id, until);
            }
        }
    }

    /// A poll: its lease ends at `until`, or later.
    pub(super) fn renew(&mut self, channels: &[ChannelName], sender: &Sender, until: Instant) {
        for channel in channels {
            if self.prolong(channel, sender, until) {
                continue;
            }
            let known = self.channels.get(channel).is_some_and(|found| found.participants.contains_key(&sender.id));
            if known || self.loose < POLL_LEASES {
                self.participant(channel, sender);
                self.loosen(channel, &sender.id, until);
            }
        }
    }

    /// A sender types in a channel where somebody is.
    pub(super) fn begin_typing(&mut self, channel: &ChannelName, sender: &Sender, until: Instant) {
        let Some(found) = self.channels.get_mut(channel) else { return };
        if let Some((_, ends)) = found.typing.iter_mut().find(|(who, _)| who.id == sender.id) {
            *ends = until;
            return;
        }
        if found.typing.len() >= TYPERS {
            return;
        }
        found.typing.push((sender.clone(), until));
        self.typers += 1;
        if !std::mem::replace(&mut found.typing_watched, true) {
            self.ends.push(Reverse((until, channel.clone(), String::new())));
        }
        self.note_typing(channel);
    }

    /// A sender types no more.
    pub(super) fn end_typing(&mut self, channel: &ChannelName, sender: &Sender) {
        let Some(found) = self.channels.get_mut(channel) else { return };
        let Some(index) = found.typing.iter().position(|(who, _)| who.id == sender.id) else { return };
        found.typing.remove(index);
        self.typers -= 1;
        self.note_typing(channel);
    }

    fn note_typing(&mut self, channel: &ChannelName) {
        self.version += 1;
        if let Some(found) = self.channels.get_mut(channel) {
            found.typed = self.version;
        }
        self.changed.insert(channel.clone());
    }

    /// What a reader of these channels has to be told that knows everything up to `seen`.
    pub(super) fn news(&self, channels: &[ChannelName], seen: Option<u64>) -> (Vec<PresenceUpdate>, Vec<Typing>) {
        let (mut updates, mut typing) = (Vec::new(), Vec::new());
        for channel in channels {
            let Some(found) = self.channels.get(channel) else { continue };
            updates.extend(found.update(channel, seen));
            if found.typed > seen.unwrap_or(0) && !(seen.is_none() && found.typing.is_empty()) {
                let who = found.typing.iter().map(|(who, _)| who.clone()).collect();
                typing.push(Typing { channel: channel.clone(), who });
            }
        }
        (updates, typing)
    }

    /// How things stand in a channel.
    pub(super) fn whole(&self, channel: &ChannelName) -> Option<PresenceUpdate> {
        self.channels.get(channel).and_then(|found| found.update(channel, None))
    }

    /// How many visitors and programs are in a channel.
    pub(super) fn here(&self, channel: &ChannelName) -> u32 {
        self.channels.get(channel).map_or(0, ChannelPresence::count)
    }

    /// The participant; it joins now if it was not there.
    fn participant(&mut self, channel: &ChannelName, sender: &Sender) -> &mut Participant {
        let found = self.channels.entry(channel.clone()).or_default();
        let kind = match found.participants.get_mut(&sender.id) {
            None => Some(ChangeKind::Joined),
            Some(participant) if participant.sender != *sender => {
                participant.sender = sender.clone();
                Some(ChangeKind::Renamed)
            }
            Some(_) => None,
        };
        if let Some(kind) = kind {
            self.version += 1;
            found.record(self.version, Change { sender: sender.clone(), kind });
            self.changed.insert(channel.clone());
        }
        let joins = || Participant { sender: sender.clone(), connections: 0, until: None, looked_at: None };
        found.participants.entry(sender.id.clone()).or_insert_with(joins)
    }

    /// Makes a lease last longer that no connection holds. Returns whether there was one.
    fn prolong(&mut self, channel: &ChannelName, sender: &Sender, until: Instant) -> bool {
        let participant = self.channels.get_mut(channel).and_then(|found| found.participants.get_mut(&sender.id));
        let Some(Participant { sender: known, connections: 0, until: Some(ends), looked_at: Some(_) }) = participant
        else {
            return false;
        };
        if known != sender {
            return false;
        }
        // Its entry in the queue is not later than before.
        *ends = (*ends).max(until);
        true
    }

    /// No connection holds the lease: it ends at `until`, or later.
    fn loosen(&mut self, channel: &ChannelName, id: &str, until: Instant) {
        let Some(participant) = self.channels.get_mut(channel).and_then(|found| found.participants.get_mut(id)) else {
            return;
        };
        if participant.connections > 0 || participant.until.is_some_and(|already| already >= until) {
            return;
        }
        if participant.until.replace(until).is_none() {
            self.loose += 1;
        }
        // An entry that comes sooner finds that the lease was renewed, and is entered again.
        if participant.looked_at.is_none_or(|at| at > until) {
            participant.looked_at = Some(until);
            self.ends.push(Reverse((until, channel.clone(), id.to_owned())));
        }
    }

    /// Ends what has run out. Returns the channels that changed since the last call.
    pub(super) fn end_leases(&mut self, now: Instant) -> BTreeSet<ChannelName> {
        while self.ends.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
            let Some(Reverse((at, channel, id))) = self.ends.pop() else { break };
            if id.is_empty() {
                self.expire_typing(&channel, now);
            } else {
                self.expire_lease(&channel, &id, at, now);
            }
            if self.channels.get(&channel).is_some_and(|found| found.participants.is_empty())
                && let Some(found) = self.channels.remove(&channel)
            {
                self.typers -= found.typing.len();
            }
        }
        std::mem::take(&mut self.changed)
    }

    fn expire_typing(&mut self, channel: &ChannelName, now: Instant) {
        let Some(found) = self.channels.get_mut(channel) else { return };
        let before = found.typing.len();
        found.typing.retain(|(_, until)| *until > now);
        let next = found.typing.iter().map(|(_, until)| *until).min();
        found.typing_watched = next.is_some();
        let expired = before - found.typing.len();
        self.typers -= expired;
        self.ends.extend(next.map(|next| Reverse((next, channel.clone(), String::new()))));
        if expired > 0 {
            self.note_typing(channel);
        }
    }

    fn expire_lease(&mut self, channel: &ChannelName, id: &str, at: Instant, now: Instant) {
        let Some(found) = self.channels.get_mut(channel) else { return };
        let Some(participant) = found.participants.get_mut(id).filter(|participant| participant.looked_at == Some(at))
        else {
            return;
        };
        // A lease that was renewed is looked at again when it ends.
        participant.looked_at = participant.until.filter(|until| *until > now);
        if let Some(next) = participant.looked_at {
            self.ends.push(Reverse((next, channel.clone(), id.to_owned())));
            return;
        }
        // A connection holds it again.
        if participant.until.is_none() {
            return;
        }
        let Some(participant) = found.participants.remove(id) else { return };
        self.loose -= 1;
        self.version += 1;
        found.record(self.version, Change { sender: participant.sender, kind: ChangeKind::Left });
        self.changed.insert(channel.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::wire::Kind;
    use std::time::Duration;

    #[test]
    fn a_flood_of_polls_and_typing_does_not_grow() {
        let (mut state, channel) = (State::default(), "a".parse::<ChannelName>().unwrap());
        let channels = std::slice::from_ref(&channel);
        let sender = Sender { id: "p1".into(), name: "flood".into(), kind: Kind::Program };
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        for _ in 0..1000 {
            state.renew(channels, &sender, after(60));
            state.begin_typing(&channel, &sender, after(6));
            state.enter(channels, &sender);
            state.leave(channels, &sender.id, after(5));
        }
        assert!(state.ends.len() < 5, "{}", state.ends.len());
        assert_eq!(state.here(&channel), 1);
        state.end_leases(after(7));
        assert_eq!((state.here(&channel), state.loose, state.typers), (0, 0, 0), "and it ends all the same");
    }
}

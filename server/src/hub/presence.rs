//! Who is in a channel and who is writing there: leases on the steady clock, in memory, never stored.
//!
//! A connection holds a lease while it lives; a poll renews one. Whoever has none left is gone five seconds
//! later, so that a reconnect is no leave. Changes are gathered for a moment and kept for a while, so a reader
//! is told what it has not seen yet, or, when that is too long ago, how things stand.

use super::{Delivery, ring::Ring};
use crate::{
    limits::{LEAVE_GRACE, POLL_LEASES, PRESENCE_CHANGES, PRESENCE_PACE, TYPERS},
    map::Map,
};
use app::wire::{
    ChannelName, Kind, Presence, Sender, Typing,
    limits::{PRESENCE_NAMES, TYPING_SECONDS},
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

/// Who is where.
#[derive(Default)]
pub(super) struct Attendance {
    /// Held to look and to change; nothing waits in it.
    state: Mutex<State>,
    /// Grows with every change anywhere: whether a reader has to look at all.
    version: AtomicU64,
    /// Senders who are writing, anywhere: publishing looks no further when there are none.
    typers: AtomicUsize,
    /// Something changed, or a lease ends sooner than the keeper knows.
    stirred: Notify,
}

#[derive(Default)]
struct State {
    rooms: Map<ChannelName, Room>,
    /// When to look whether leases have ended, soonest first. One entry for each member without a connection and
    /// one for each room where somebody writes (with no id), however often they renew: a flood of polls or of
    /// typing does not fill it.
    ends: BinaryHeap<Reverse<(Instant, ChannelName, String)>>,
    /// Leases that no connection holds.
    loose: usize,
    /// Rooms whose readers are to be woken.
    stirred: BTreeSet<ChannelName>,
    version: u64,
    /// Entries of all [`Room::typing`].
    typers: usize,
}

#[derive(Default)]
struct Room {
    members: BTreeMap<String, Member>,
    people: u32,
    typing: Vec<(Sender, Instant)>,
    /// The newest changes, oldest first, with the version each made.
    changes: VecDeque<(u64, Change)>,
    /// Of the newest change that is no longer in `changes`.
    forgotten: u64,
    /// Of the newest change of who is writing.
    typed: u64,
    /// Somebody will look when typing ends.
    typing_watched: bool,
}

struct Member {
    sender: Sender,
    connections: u32,
    /// Without a connection: when the lease ends.
    until: Option<Instant>,
    /// When its end is looked at; entries of other times are passed over.
    looked_at: Option<Instant>,
}

#[derive(Clone)]
struct Change {
    sender: Sender,
    joined: bool,
    /// Who was there before and is called otherwise now.
    renamed: bool,
}

/// One connection's place in its channels; it goes with it.
pub(super) struct Lease {
    attendance: Arc<Attendance>,
    sender: Arc<Sender>,
    channels: Arc<[ChannelName]>,
}

impl Lease {
    /// Goes over to other channels: whoever is in both never left.
    pub(super) fn replace(&mut self, channels: Arc<[ChannelName]>) {
        // Entered first, left afterwards, when the old lease is dropped.
        *self = self.attendance.enter(channels, Arc::clone(&self.sender));
    }
}

impl Attendance {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let before = (state.version, state.ends.len());
        let done = work(&mut state);
        let stirred = (state.version, state.ends.len()) != before;
        self.version.store(state.version, Ordering::Release);
        self.typers.store(state.typers, Ordering::Release);
        drop(state);
        if stirred {
            self.stirred.notify_one();
        }
        done
    }

    /// A connection of `sender` comes to these channels.
    pub(super) fn enter(self: &Arc<Self>, channels: Arc<[ChannelName]>, sender: Arc<Sender>) -> Lease {
        self.change(|state| {
            for channel in &*channels {
                let member = state.member(channel, &sender);
                member.connections += 1;
                if member.until.take().is_some() {
                    state.loose -= 1;
                }
            }
        });
        Lease { attendance: Arc::clone(self), sender, channels }
    }

    /// A poll of `sender`: there for so long, unless it comes again.
    pub(super) fn renew(&self, channels: &[ChannelName], sender: &Sender, lasts: Duration) {
        let until = Instant::now() + lasts;
        self.change(|state| {
            for channel in channels {
                if state.prolong(channel, sender, until) {
                    continue;
                }
                let known = state.rooms.get(channel).is_some_and(|room| room.members.contains_key(&sender.id));
                if known || state.loose < POLL_LEASES {
                    state.member(channel, sender);
                    state.loosen(channel, &sender.id, until);
                }
            }
        });
    }

    /// Whether anybody writes, anywhere.
    pub(super) fn has_typers(&self) -> bool {
        self.typers.load(Ordering::Acquire) > 0
    }

    /// Somebody writes, or does so no more.
    pub(super) fn typing(&self, channel: &ChannelName, sender: &Sender, on: bool) {
        if !on && !self.has_typers() {
            return;
        }
        self.change(|state| {
            let Some(room) = state.rooms.get_mut(channel) else { return };
            let known = room.typing.iter().position(|(who, _)| who.id == sender.id);
            let until = Instant::now() + Duration::from_secs(TYPING_SECONDS);
            match (known, on) {
                (Some(at), true) => {
                    room.typing[at].1 = until;
                    return;
                }
                (None, true) if room.typing.len() < TYPERS => {
                    room.typing.push((sender.clone(), until));
                    state.typers += 1;
                }
                (Some(at), false) => {
                    room.typing.remove(at);
                    state.typers -= 1;
                }
                (None, _) => return,
            }
            if on && !std::mem::replace(&mut room.typing_watched, true) {
                state.ends.push(Reverse((until, channel.clone(), String::new())));
            }
            state.typed(channel);
        });
    }

    /// Whether a reader that was told up to `seen` knows everything.
    pub(super) fn is_known(&self, seen: Option<u64>) -> bool {
        seen == Some(self.version.load(Ordering::Acquire))
    }

    /// Tells a reader that is in these channels itself what changed there since it was told last: since `seen`, or
    /// how things stand.
    pub(super) fn tell(&self, channels: &[ChannelName], seen: &mut Option<u64>, out: &mut Vec<Delivery>) {
        if self.is_known(*seen) {
            return;
        }
        let state = self.state();
        let mut typing = Vec::new();
        for channel in channels {
            let Some(room) = state.rooms.get(channel) else { continue };
            out.extend(room.presence(channel, *seen).map(Delivery::Presence));
            if room.typed > seen.unwrap_or(0) && !(seen.is_none() && room.typing.is_empty()) {
                let who = room.typing.iter().map(|(who, _)| who.clone()).collect();
                typing.push(Delivery::Typing(Typing { channel: channel.clone(), who }));
            }
        }
        out.extend(typing);
        *seen = Some(state.version);
    }

    /// How things stand in a channel.
    pub(super) fn whole(&self, channel: &ChannelName) -> Option<Presence> {
        self.state().rooms.get(channel).and_then(|room| room.presence(channel, None))
    }

    /// How many visitors and programs are in a channel.
    pub(super) fn here(&self, channel: &ChannelName) -> u32 {
        self.state().rooms.get(channel).map_or(0, |room| u32::try_from(room.members.len()).unwrap_or(u32::MAX))
    }

    /// Ends leases in time and wakes the readers of what changed, at most every [`PRESENCE_PACE`].
    pub(super) async fn keep(&self, ring: &Ring) {
        loop {
            let next = self.state().ends.peek().map(|Reverse((at, _, _))| *at);
            match next {
                Some(at) => tokio::select! {
                    () = self.stirred.notified() => {}
                    () = sleep_until(at) => {}
                },
                None => self.stirred.notified().await,
            }
            let stirred = self.change(|state| {
                state.end_leases(Instant::now());
                std::mem::take(&mut state.stirred)
            });
            if !stirred.is_empty() {
                ring.wake(&stirred);
            }
            sleep(PRESENCE_PACE).await;
        }
    }
}

impl State {
    /// The member, who comes now if need be.
    fn member(&mut self, channel: &ChannelName, sender: &Sender) -> &mut Member {
        let room = self.rooms.entry(channel.clone()).or_default();
        if !room.members.contains_key(&sender.id) {
            self.version += 1;
            room.note(self.version, Change { sender: sender.clone(), joined: true, renamed: false });
            self.stirred.insert(channel.clone());
        }
        if let Some(member) = room.members.get_mut(&sender.id).filter(|member| member.sender != *sender) {
            self.version += 1;
            member.sender = sender.clone();
            room.note(self.version, Change { sender: sender.clone(), joined: true, renamed: true });
            self.stirred.insert(channel.clone());
        }
        let fresh = || Member { sender: sender.clone(), connections: 0, until: None, looked_at: None };
        room.members.entry(sender.id.clone()).or_insert_with(fresh)
    }

    /// Makes a lease that no connection holds last longer; whether there was one.
    fn prolong(&mut self, channel: &ChannelName, sender: &Sender, until: Instant) -> bool {
        let member = self.rooms.get_mut(channel).and_then(|room| room.members.get_mut(&sender.id));
        let Some(Member { sender: known, connections: 0, until: Some(ends), looked_at: Some(_) }) = member else {
            return false;
        };
        if known != sender {
            return false;
        }
        // It is looked at when it was to end, or before.
        *ends = (*ends).max(until);
        true
    }

    /// No connection holds the lease any more (or none ever did): it ends at `until`, or later.
    fn loosen(&mut self, channel: &ChannelName, id: &str, until: Instant) {
        let Some(member) = self.rooms.get_mut(channel).and_then(|room| room.members.get_mut(id)) else { return };
        if member.connections > 0 || member.until.is_some_and(|already| already >= until) {
            return;
        }
        if member.until.replace(until).is_none() {
            self.loose += 1;
        }
        // A look that comes sooner finds that it was renewed, and looks again.
        if member.looked_at.is_none_or(|at| at > until) {
            member.looked_at = Some(until);
            self.ends.push(Reverse((until, channel.clone(), id.to_owned())));
        }
    }

    fn typed(&mut self, channel: &ChannelName) {
        self.version += 1;
        if let Some(room) = self.rooms.get_mut(channel) {
            room.typed = self.version;
        }
        self.stirred.insert(channel.clone());
    }

    fn end_leases(&mut self, now: Instant) {
        while self.ends.peek().is_some_and(|Reverse((at, _, _))| *at <= now) {
            let Some(Reverse((at, channel, id))) = self.ends.pop() else { return };
            if id.is_empty() {
                self.end_typing(&channel, now);
            } else {
                self.end_lease(&channel, &id, at, now);
            }
            if self.rooms.get(&channel).is_some_and(|room| room.members.is_empty())
                && let Some(room) = self.rooms.remove(&channel)
            {
                self.typers -= room.typing.len();
            }
        }
    }

    fn end_typing(&mut self, channel: &ChannelName, now: Instant) {
        let Some(room) = self.rooms.get_mut(channel) else { return };
        let before = room.typing.len();
        room.typing.retain(|(_, until)| *until > now);
        let next = room.typing.iter().map(|(_, until)| *until).min();
        room.typing_watched = next.is_some();
        let ended = room.typing.len() < before;
        self.typers -= before - room.typing.len();
        self.ends.extend(next.map(|next| Reverse((next, channel.clone(), String::new()))));
        if ended {
            self.typed(channel);
        }
    }

    fn end_lease(&mut self, channel: &ChannelName, id: &str, at: Instant, now: Instant) {
        let Some(room) = self.rooms.get_mut(channel) else { return };
        let Some(member) = room.members.get_mut(id).filter(|member| member.looked_at == Some(at)) else { return };
        // `None`: held by a connection again. Later: renewed.
        member.looked_at = member.until.filter(|until| *until > now);
        if let Some(next) = member.looked_at {
            self.ends.push(Reverse((next, channel.clone(), id.to_owned())));
            return;
        }
        if member.until.is_none() {
            return;
        }
        let Some(member) = room.members.remove(id) else { return };
        self.loose -= 1;
        self.version += 1;
        room.note(self.version, Change { sender: member.sender, joined: false, renamed: false });
        self.stirred.insert(channel.clone());
    }
}

impl Room {
    fn note(&mut self, version: u64, change: Change) {
        if change.sender.kind == Kind::Person && !change.renamed {
            self.people = if change.joined { self.people + 1 } else { self.people.saturating_sub(1) };
        }
        self.changes.push_back((version, change));
        if self.changes.len() > PRESENCE_CHANGES
            && let Some((version, _)) = self.changes.pop_front()
        {
            self.forgotten = version;
        }
    }

    /// What a reader that was told everything up to `last` has to hear.
    fn presence(&self, channel: &ChannelName, last: Option<u64>) -> Option<Presence> {
        let members = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        let mut frame = Presence {
            channel: channel.clone(),
            people: self.people,
            programs: members.saturating_sub(self.people),
            whole: false,
            joined: Vec::new(),
            left: Vec::new(),
        };
        match last.filter(|last| *last >= self.forgotten) {
            Some(last) => {
                let (joined, left) = self.difference(last)?;
                frame.joined = joined;
                frame.left = left;
            }
            None => {
                frame.whole = true;
                frame.joined = self.members.values().take(PRESENCE_NAMES).map(|member| member.sender.clone()).collect();
            }
        }
        Some(frame)
    }

    /// Who came, or is called otherwise, and who went since; who came and went is in neither.
    fn difference(&self, last: u64) -> Option<(Vec<Sender>, Vec<Sender>)> {
        let mut changed: BTreeMap<&str, (&Change, bool, bool)> = BTreeMap::new();
        for (_, change) in self.changes.iter().filter(|(version, _)| *version > last) {
            // The first change tells whether the reader knows them: who joins was not there.
            let was_there = !change.joined || change.renamed;
            let entry = changed.entry(&change.sender.id).or_insert((change, was_there, false));
            entry.0 = change;
            entry.2 |= change.renamed;
        }
        let pick = |joined: bool| {
            let picked = changed.values().filter(|(change, was_there, renamed)| {
                change.joined == joined && (*was_there != joined || (joined && *renamed))
            });
            picked.map(|(change, ..)| change.sender.clone()).take(PRESENCE_NAMES).collect::<Vec<_>>()
        };
        let (joined, left) = (pick(true), pick(false));
        (!joined.is_empty() || !left.is_empty()).then_some((joined, left))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let until = Instant::now() + LEAVE_GRACE;
        self.attendance.change(|state| {
            for channel in &*self.channels {
                let member = state.rooms.get_mut(channel).and_then(|room| room.members.get_mut(&self.sender.id));
                if let Some(member) = member {
                    member.connections = member.connections.saturating_sub(1);
                    state.loosen(channel, &self.sender.id, until);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_polls_and_typing_does_not_grow() {
        let (attendance, channel) = (Arc::new(Attendance::default()), "a".parse::<ChannelName>().unwrap());
        let sender = Sender { id: "p1".into(), name: "flood".into(), kind: Kind::Program };
        for _ in 0..1000 {
            attendance.renew(std::slice::from_ref(&channel), &sender, Duration::from_secs(60));
            attendance.typing(&channel, &sender, true);
            drop(attendance.enter([channel.clone()].into(), Arc::new(sender.clone())));
        }
        assert!(attendance.state().ends.len() < 5, "{}", attendance.state().ends.len());
        assert_eq!(attendance.here(&channel), 1);
        tokio::time::advance(LEAVE_GRACE + Duration::from_secs(2)).await;
        attendance.change(|state| state.end_leases(Instant::now()));
        assert_eq!((attendance.here(&channel), attendance.state().loose), (0, 0), "and it ends all the same");
    }
}

//! Who is in one channel, with the newest changes.

use crate::limits::PRESENCE_CHANGES;
use app::wire::{ChannelName, Kind, PresenceUpdate, Sender, limits::PRESENCE_NAMES};
use std::collections::{BTreeMap, VecDeque};
use tokio::time::Instant;

/// Who is in one channel.
#[derive(Default)]
pub(super) struct ChannelPresence {
    /// By the sender's id.
    pub(super) participants: BTreeMap<String, Participant>,
    people: u32,
    /// Who types, and until when unless it is said again.
    pub(super) typing: Vec<(Sender, Instant)>,
    /// The newest changes, oldest first, with the version that each made.
    changes: VecDeque<(u64, Change)>,
    /// The version of the newest change that is no longer in `changes`.
    forgotten: u64,
    /// The version of the newest change of who types.
    pub(super) typed: u64,
    /// The end of somebody's typing is in the queue of ends.
    pub(super) typing_watched: bool,
}

/// One visitor or program in a channel.
pub(super) struct Participant {
    pub(super) sender: Sender,
    pub(super) connections: u32,
    /// When the lease ends that no connection holds.
    pub(super) until: Option<Instant>,
    /// The time of its entry in the queue of ends that counts; entries of other times are ignored.
    pub(super) looked_at: Option<Instant>,
}

/// A sender joined, left, or has another name.
#[derive(Clone)]
pub(super) struct Change {
    pub(super) sender: Sender,
    pub(super) kind: ChangeKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ChangeKind {
    Joined,
    Renamed,
    Left,
}

impl ChannelPresence {
    /// Records a change, which made this version.
    pub(super) fn record(&mut self, version: u64, change: Change) {
        if change.sender.kind == Kind::Person {
            match change.kind {
                ChangeKind::Joined => self.people += 1,
                ChangeKind::Left => self.people = self.people.saturating_sub(1),
                ChangeKind::Renamed => {}
            }
        }
        self.changes.push_back((version, change));
        if self.changes.len() > PRESENCE_CHANGES
            && let Some((version, _)) = self.changes.pop_front()
        {
            self.forgotten = version;
        }
    }

    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.participants.len()).unwrap_or(u32::MAX)
    }

    /// What a reader that knows everything up to `last` has to be told.
    pub(super) fn update(&self, channel: &ChannelName, last: Option<u64>) -> Option<PresenceUpdate> {
        let mut update = PresenceUpdate {
            channel: channel.clone(),
            people: self.people,
            programs: self.count().saturating_sub(self.people),
            whole: false,
            joined: Vec::new(),
            left: Vec::new(),
        };
        match last.filter(|last| *last >= self.forgotten) {
            Some(last) => {
                let (joined, left) = self.difference(last)?;
                update.joined = joined;
                update.left = left;
            }
            None => {
                update.whole = true;
                update.joined = self
                    .participants
                    .values()
                    .take(PRESENCE_NAMES)
                    .map(|participant| participant.sender.clone())
                    .collect();
            }
        }
        Some(update)
    }

    /// Who joined or has another name since a version, and who left. A sender that joined and left is in neither.
    fn difference(&self, last: u64) -> Option<(Vec<Sender>, Vec<Sender>)> {
        /// A sender's last change, whether the reader knew it before, and whether it has another name since.
        struct NetChange<'a> {
            last: &'a Change,
            was_there: bool,
            renamed: bool,
        }
        let mut changed: BTreeMap<&str, NetChange<'_>> = BTreeMap::new();
        for (_, change) in self.changes.iter().filter(|(version, _)| *version > last) {
            // The first change tells whether the reader knew the sender: one that joins was not there.
            let was_there = change.kind != ChangeKind::Joined;
            let net = changed.entry(&change.sender.id).or_insert(NetChange { last: change, was_there, renamed: false });
            net.last = change;
            net.renamed |= change.kind == ChangeKind::Renamed;
        }
        let pick = |wanted: fn(&NetChange<'_>) -> bool| {
            let picked = changed.values().filter(|net| wanted(net)).map(|net| net.last.sender.clone());
            picked.take(PRESENCE_NAMES).collect::<Vec<_>>()
        };
        let joined = pick(|net| net.last.kind != ChangeKind::Left && (!net.was_there || net.renamed));
        let left = pick(|net| net.last.kind == ChangeKind::Left && net.was_there);
        (!joined.is_empty() || !left.is_empty()).then_some((joined, left))
    }
}

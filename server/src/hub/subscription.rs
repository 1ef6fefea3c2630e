//! One reader's cursor over a set of channels: behind, it reads; at the head, it sits in a lane.

use super::{
    Start,
    catch_up::CatchUp,
    delivery::{Delivery, Ended, Position},
    fanout::{Fanout, Membership},
    log::Log,
    presence::Lease,
    sink::Reader,
};
use crate::engine::{ReadError, Resolved};
use app::wire::{ChannelName, Id, Sender};
use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

/// One reader's cursor over a set of channels.
///
/// ```text
///            reads what lies before the head            is up to date: joins a lane
///   Behind ─────────────────────────────────▶ Behind ─────────────────────────────────▶ AtHead
///     ▲                                                                                   │
///     └──────────────────────── does not keep up: is put out of the lane ─────────────────┘
/// ```
///
/// In each state messages come in offset order, none twice and none left out: [`Position::advance`] asserts that a
/// position never moves back. Between two calls a subscription may rest ([`State::Resting`]), which keeps no memory for
/// reading.
pub struct Subscription {
    fanout: Arc<Fanout>,
    channels: Arc<[ChannelName]>,
    /// The reader is told when it has caught up.
    announced: bool,
    /// The reader is told who comes and goes.
    presence: bool,
    /// The reader's own presence. Boxed: most polls have none.
    lease: Option<Box<Lease>>,
    state: State,
}

enum State {
    /// Neither reads nor waits to be written to.
    Resting(Position),
    /// Reads what lies between its position and the head.
    Behind(Box<CatchUp>),
    /// Up to date: what is new is pushed.
    AtHead(Membership),
}

impl State {
    fn position(&self) -> Position {
        match self {
            Self::Resting(position) => *position,
            Self::Behind(catch_up) => catch_up.position(),
            Self::AtHead(membership) => membership.position(),
        }
    }
}

impl Subscription {
    pub(super) async fn open(fanout: Arc<Fanout>, channels: Vec<ChannelName>, start: Start) -> Result<Self, ReadError> {
        let channels: Arc<[ChannelName]> = channels.into();
        let log = Arc::clone(&fanout.log);
        let head = log.head();
        let position = Position { at: head, seen: None };
        let mut catch_up = CatchUp::new(Arc::clone(&log), Arc::clone(&channels), position, true).announcing();
        match start {
            Start::Now => {}
            Start::After(id) => catch_up.begin_after(id),
            Start::Earliest => catch_up.begin_at(0),
            Start::Last(count) => {
                let (newest, _) = log.newest(&channels, head, count).await?;
                catch_up.begin_at(newest.first().map_or(head, |first| first - 1));
            }
        }
        let state = State::Behind(Box::new(catch_up));
        Ok(Self { fanout, channels, announced: true, presence: false, lease: None, state })
    }

    fn log(&self) -> &Arc<Log> {
        &self.fanout.log
    }

    /// Does not say when the reader has caught up, for clients that take every frame for a message.
    #[must_use]
    pub fn unannounced(mut self) -> Self {
        self.announced = false;
        if let State::Behind(catch_up) = &mut self.state {
            catch_up.unannounced();
        }
        self
    }

    /// The reader is present in its channels as `sender` while the subscription lives.
    #[must_use]
    pub fn attended_by(mut self, sender: Arc<Sender>) -> Self {
        self.lease = Some(Box::new(self.log().presence.enter(Arc::clone(&self.channels), sender)));
        self
    }

    /// The reader is told who comes and goes.
    #[must_use]
    pub fn with_presence(mut self) -> Self {
        self.presence = true;
        self
    }

    /// The channels it reads.
    pub fn channels(&self) -> &[ChannelName] {
        &self.channels
    }

    /// The reader's cursor: everything up to here was handed out, or pushed.
    pub fn cursor(&self) -> Id {
        self.log().cursor(self.state.position().at)
    }

    /// Leaves the lane, if it is in one, and rests.
    fn rest_here(&mut self) -> Position {
        let position = match &self.state {
            State::AtHead(membership) => membership.leave().unwrap_or_else(|| membership.position()),
            state => state.position(),
        };
        self.state = State::Resting(position);
        position
    }

    /// Reads from where the reader is.
    fn behind(&mut self) -> &mut CatchUp {
        if !matches!(self.state, State::Behind(_)) {
            let position = self.rest_here();
            let catch_up = CatchUp::new(Arc::clone(self.log()), Arc::clone(&self.channels), position, self.announced);
            self.state = State::Behind(Box::new(catch_up));
        }
        match &mut self.state {
            State::Behind(catch_up) => catch_up,
            State::Resting(_) | State::AtHead(_) => unreachable!("the state was set to Behind"),
        }
    }

    /// Moves to another cursor, also an earlier one. Returns `false`, and does nothing, if it is not one of this log.
    pub fn move_to(&mut self, id: Id) -> bool {
        let Resolved::At(at) = self.log().resolve(id) else { return false };
        self.rest_here();
        self.state = State::Resting(Position { at, seen: None });
        true
    }

    /// Replaces the set of channels. New channels begin after the cursor that this returns; what the old ones have up to
    /// there was handed out.
    pub fn replace(&mut self, channels: Vec<ChannelName>) -> Id {
        let position = self.rest_here();
        self.channels = channels.into();
        if let Some(lease) = &mut self.lease {
            lease.replace(Arc::clone(&self.channels));
        }
        self.state = State::Resting(Position { seen: None, ..position });
        self.log().cursor(position.at)
    }

    /// What comes next and is not pushed; waits for it. While this waits, what is new is pushed to `reader`. Empty when the
    /// reader was put out of its lane: call again when everything that was pushed is written. Dropping the call loses
    /// nothing.
    ///
    /// # Errors
    /// Returns an error if the store cannot be read, or if the server stops.
    pub async fn next(&mut self, reader: &Arc<Reader>) -> Result<Vec<Delivery>, Ended> {
        loop {
            if let State::AtHead(membership) = &self.state {
                let position = poll_fn(|cx| membership.poll_put_out(cx)).await;
                self.state = State::Resting(position);
                return Ok(Vec::new());
            }
            if self.log().is_closing() {
                return Err(Ended::Closed);
            }
            let presence = self.presence;
            // Boxed: a reader at the head keeps no room for reading.
            let deliveries = Box::pin(self.behind().next(presence)).await?;
            if !deliveries.is_empty() {
                return Ok(deliveries);
            }
            self.wait(reader)?;
        }
    }

    /// From now on what is new is pushed to `reader`, as if everything before it was handed out.
    ///
    /// # Errors
    /// Returns an error if the server stops.
    pub fn wait(&mut self, reader: &Arc<Reader>) -> Result<(), Ended> {
        let position = self.rest_here();
        let joined = self.fanout.join(&self.channels, self.presence, position, reader);
        let membership = joined.ok_or(Ended::Closed)?;
        // The lane's own names: the next time its key is compared they are found equal by their address.
        self.channels = Arc::clone(membership.channels());
        self.state = State::AtHead(membership);
        Ok(())
    }

    /// From now on nothing is pushed. Returns the reader's cursor if it was in its lane until now.
    pub fn rest(&mut self) -> Option<Id> {
        let left = match &self.state {
            State::AtHead(membership) => membership.leave(),
            State::Resting(_) | State::Behind(_) => None,
        };
        self.state = State::Resting(left.unwrap_or_else(|| self.state.position()));
        left.map(|position| self.log().cursor(position.at))
    }

    /// Resolves when nothing is pushed any more.
    pub fn poll_put_out(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.state {
            State::AtHead(membership) => membership.poll_put_out(cx).map(drop),
            State::Resting(_) | State::Behind(_) => Poll::Ready(()),
        }
    }

    /// What can be handed out now, without waiting for anything new.
    ///
    /// # Errors
    /// Returns an error if the store cannot be read.
    pub async fn ready(&mut self, limit: usize, bytes: usize) -> Result<Vec<Delivery>, ReadError> {
        self.behind().ready(limit, bytes).await
    }

    /// Whether a message is left between the cursor and the head.
    ///
    /// # Errors
    /// Returns an error if the store cannot be read.
    pub async fn has_more(&mut self) -> Result<bool, ReadError> {
        self.behind().has_more().await
    }
}

use super::{
    Hub, Start,
    catch_up::CatchUp,
    lane::{Place, Way},
    presence::Lease,
    pump::{Seat, ride},
};
use crate::engine::{ReadError, Resolved, Stored};
use app::wire::{ChannelName, Id, Missed, Presence, Sender, Typing};
use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

/// What a subscription hands out.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// The next message.
    Message(Arc<Stored>),
    /// Messages before the next one are gone.
    Missed(Missed),
    /// Everything up to here was handed out: after catching up, and as heartbeat.
    Cursor(Id),
    /// Everything up to here was handed out, and so many messages are not, yet.
    Behind(Id, u32),
    /// Who came and who went.
    Presence(Presence),
    /// Who is writing.
    Typing(Typing),
}

/// Why a subscription hands nothing out any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The server stops.
    #[error("the server is stopping")]
    Closed,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] ReadError),
}

/// One reader's cursor over a set of channels.
///
/// Behind, it reads; up to date, it sits in a lane and what comes is pushed to it. Whichever it is, messages come in
/// offset order, none twice and none left out.
pub struct Subscription {
    hub: Hub,
    channels: Arc<[ChannelName]>,
    /// Whether the reader is told when it has caught up.
    announced: bool,
    /// Whether it is told who comes and goes.
    presence: bool,
    /// Its place in the channels. In a box: polls have none.
    lease: Option<Box<Lease>>,
    state: State,
}

enum State {
    /// It neither reads nor waits to be written to.
    Resting(Place),
    Behind(Box<CatchUp>),
    UpToDate(Seat),
}

impl Subscription {
    pub(super) async fn open(hub: Hub, channels: Vec<ChannelName>, start: Start) -> Result<Self, ReadError> {
        let channels: Arc<[ChannelName]> = channels.into();
        let head = hub.head();
        let here = Place { at: head, seen: None };
        let mut behind = CatchUp::from(hub.clone(), Arc::clone(&channels), here, true).announcing();
        match start {
            Start::Now => {}
            Start::After(id) => behind.begin_after(id, head),
            Start::Earliest => behind.begin_at(0),
            Start::Last(count) => {
                let (newest, _) = hub.newest(&channels, head, count).await?;
                behind.begin_at(newest.first().map_or(head, |first| first - 1));
            }
        }
        let state = State::Behind(Box::new(behind));
        Ok(Self { hub, channels, announced: true, presence: false, lease: None, state })
    }

    /// Does not say when the reader has caught up: for clients to whom every frame is a message.
    #[must_use]
    pub fn unannounced(mut self) -> Self {
        self.announced = false;
        if let State::Behind(behind) = &mut self.state {
            behind.unannounced();
        }
        self
    }

    /// The reader is present in its channels as `sender`, while this lives.
    #[must_use]
    pub fn attended_by(mut self, sender: Arc<Sender>) -> Self {
        self.lease = Some(Box::new(self.hub.0.attendance.enter(Arc::clone(&self.channels), sender)));
        self
    }

    /// The reader is told who comes and goes.
    #[must_use]
    pub fn with_presence(mut self) -> Self {
        self.presence = true;
        self
    }

    /// Whether it listens to anything.
    pub fn has_channels(&self) -> bool {
        !self.channels.is_empty()
    }

    /// Where the reader is: everything up to here was handed out, or pushed.
    pub fn cursor(&self) -> Id {
        let place = match &self.state {
            State::Resting(place) => *place,
            State::Behind(behind) => behind.place(),
            State::UpToDate(seat) => seat.place(),
        };
        self.hub.cursor(place.at)
    }

    /// Leaves the lane, if it is in one.
    fn leave(&mut self) -> Place {
        let place = match &self.state {
            State::Resting(place) => return *place,
            State::Behind(behind) => return behind.place(),
            State::UpToDate(seat) => seat.leave(),
        };
        self.state = State::Resting(place);
        place
    }

    /// Reads from where the reader is.
    fn behind(&mut self) -> &mut CatchUp {
        let place = self.leave();
        if !matches!(self.state, State::Behind(_)) {
            let behind = CatchUp::from(self.hub.clone(), Arc::clone(&self.channels), place, self.announced);
            self.state = State::Behind(Box::new(behind));
        }
        match &mut self.state {
            State::Behind(behind) => behind,
            State::Resting(_) | State::UpToDate(_) => unreachable!("it was made to read"),
        }
    }

    /// Goes on after a cursor; `false`, and nothing is done, if it is not one of this log.
    pub fn go_on_after(&mut self, id: Id) -> bool {
        let Resolved::At(at) = self.hub.0.engine.lineage().resolve(id, self.hub.head()) else { return false };
        self.leave();
        self.state = State::Resting(Place { at, seen: None });
        true
    }

    /// Replaces the set of channels. New ones begin after the cursor this returns; what the old ones have up
    /// to there was handed out.
    pub fn replace(&mut self, channels: Vec<ChannelName>) -> Id {
        let place = self.leave();
        self.channels = channels.into();
        if let Some(lease) = &mut self.lease {
            lease.replace(Arc::clone(&self.channels));
        }
        self.state = State::Resting(Place { seen: None, ..place });
        self.hub.cursor(place.at)
    }

    /// What comes next and is not pushed, waiting for it if need be; empty when the reader was put out of its lane:
    /// call again when everything that was pushed is written. While this waits, what comes is pushed on `way`. A call
    /// that is given up loses nothing.
    ///
    /// # Errors
    /// The store cannot be read, or the server stops.
    pub async fn next(&mut self, way: &Way) -> Result<Vec<Delivery>, Ended> {
        loop {
            if let State::UpToDate(seat) = &mut self.state {
                let place = poll_fn(|cx| seat.poll_put_out(cx)).await;
                self.state = State::Resting(place);
                return Ok(Vec::new());
            }
            if self.hub.is_closing() {
                return Err(Ended::Closed);
            }
            let presence = self.presence;
            let behind = self.behind();
            // In a box: a reader that is up to date keeps no room for reading.
            let ready = Box::pin(behind.next(presence)).await?;
            if !ready.is_empty() {
                return Ok(ready);
            }
            let place = behind.place();
            self.ride(place, way)?;
        }
    }

    fn ride(&mut self, place: Place, way: &Way) -> Result<(), Ended> {
        let seat = ride(&self.hub, &self.channels, self.presence, place, way).ok_or(Ended::Closed)?;
        // The same names as those of all others in the lane: they are found at once the next time.
        self.channels = Arc::clone(seat.channels());
        self.state = State::UpToDate(seat);
        Ok(())
    }

    /// From here on what comes is pushed on `way`, as if everything before it was handed out.
    ///
    /// # Errors
    /// The server stops.
    pub fn wait(&mut self, way: &Way) -> Result<(), Ended> {
        let place = self.leave();
        self.ride(place, way)
    }

    /// From here on nothing is pushed any more; how far the reader came, if it waited until now.
    pub fn rest(&mut self) -> Option<Id> {
        let (place, waited) = match &self.state {
            State::Resting(place) => (*place, false),
            State::Behind(behind) => (behind.place(), false),
            State::UpToDate(seat) => match seat.give_up() {
                Some(place) => (place, true),
                None => (seat.place(), false),
            },
        };
        self.state = State::Resting(place);
        waited.then(|| self.hub.cursor(place.at))
    }

    /// Resolves when nothing is pushed any more.
    pub fn poll_put_out(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.state {
            State::UpToDate(seat) => seat.poll_put_out(cx).map(drop),
            State::Resting(_) | State::Behind(_) => Poll::Ready(()),
        }
    }

    /// What can be handed out now, without waiting for anything new.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn ready(&mut self, limit: usize, bytes: usize) -> Result<Vec<Delivery>, ReadError> {
        self.behind().ready(limit, bytes).await
    }

    /// Whether a message is left between the cursor and the head.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn has_more(&mut self) -> Result<bool, ReadError> {
        self.behind().has_more().await
    }
}

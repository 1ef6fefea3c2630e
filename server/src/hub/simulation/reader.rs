//! One reader of the simulation, which checks everything it is handed.

use super::{
    Tally, channels,
    dice::Dice,
    inbox::{Inbox, Lines},
};
use crate::{
    engine::Offset,
    hub::{self, Delivery, Ended, Hub, Start, Subscription},
};
use app::wire::{ChannelName, Frame, Id, Message, Missed, Sender};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

/// A reader of all channels. It is slow at times, drops calls, disconnects and reconnects, and checks everything.
pub(super) struct Reader {
    hub: Hub,
    dice: Dice,
    sender: Arc<Sender>,
    /// Where the reader continues.
    cursor: Option<Id>,
    /// The last offset that the reader was handed or told of.
    at: Offset,
    /// The last message that the reader has seen of each channel.
    last: BTreeMap<ChannelName, Option<Id>>,
    /// The gaps that the reader was told of and that no message has passed yet.
    gone: BTreeMap<ChannelName, Missed>,
    ended: BTreeSet<ChannelName>,
    /// Gets a permit when this reader has begun.
    begun: Arc<Semaphore>,
    tally: Tally,
}

impl Reader {
    pub(super) fn new(hub: Hub, dice: Dice, sender: Sender, begun: Arc<Semaphore>) -> Self {
        Self {
            hub,
            dice,
            sender: Arc::new(sender),
            cursor: None,
            at: 0,
            last: BTreeMap::new(),
            gone: BTreeMap::new(),
            ended: BTreeSet::new(),
            begun,
            tally: Tally::default(),
        }
    }

    pub(super) async fn run(mut self) -> Tally {
        sleep(Duration::from_millis(self.dice.up_to(500))).await;
        while !self.is_done() {
            if let Some(subscription) = self.subscribe().await {
                self.follow(subscription).await;
            }
            self.tally.reconnects += 1;
            sleep(Duration::from_millis(self.dice.up_to(200))).await;
        }
        self.tally
    }

    fn is_done(&self) -> bool {
        self.ended.len() == channels().len()
    }

    async fn subscribe(&mut self) -> Option<Subscription> {
        let start = match self.cursor {
            Some(cursor) => Start::After(cursor),
            None if self.dice.one_in(2) => Start::Earliest,
            None => Start::Last(usize::try_from(self.dice.up_to(10)).unwrap()),
        };
        let subscription = self.hub.subscribe(channels(), start).await.ok()?;
        if self.cursor.is_none() {
            self.cursor = Some(subscription.cursor());
            self.begun.add_permits(1);
        }
        self.at = self.at.max(subscription.cursor().offset);
        let subscription = subscription.attended_by(Arc::clone(&self.sender)).with_presence();
        Some(if self.dice.one_in(4) { subscription.unannounced() } else { subscription })
    }

    /// Reads until the store fails, or until the reader disconnects at random.
    async fn follow(&mut self, mut subscription: Subscription) {
        let inbox = Arc::new(Inbox::new(self.dice.fork()));
        let reader = hub::Reader::new(Arc::clone(&inbox) as _, &Lines);
        while !self.is_done() && !self.dice.one_in(25) {
            let patience = Duration::from_millis(if self.dice.one_in(3) { self.dice.up_to(300) } else { 60_000 });
            let next = tokio::select! {
                next = timeout(patience, subscription.next(&reader)) => next,
                () = inbox.filled() => Ok(Ok(Vec::new())),
            };
            // Pushed frames come before these deliveries: once a subscription hands something out, nothing more is
            // pushed.
            for frame in inbox.take() {
                self.tally.pushed += 1;
                self.pushed(frame);
            }
            match next {
                // The call was dropped while it waited, which must not lose anything.
                Err(_) => self.tally.given_up += 1,
                Ok(Err(Ended::Store(_) | Ended::Closed)) => return,
                Ok(Ok(deliveries)) => deliveries.into_iter().for_each(|delivery| self.take(delivery)),
            }
            assert!(subscription.cursor().offset <= self.hub.head(), "a cursor does not run ahead");
            if self.dice.one_in(3) {
                sleep(Duration::from_millis(self.dice.up_to(1500))).await;
            }
            if self.dice.one_in(10) {
                let at = subscription.replace(channels());
                for frame in inbox.take() {
                    self.pushed(frame);
                }
                assert!(at.offset >= self.at, "the cursor includes what was pushed");
            }
        }
        // The reader disconnects in the middle: what is in the inbox by then was written to the connection.
        drop(subscription);
        for frame in inbox.take() {
            self.pushed(frame);
        }
    }

    fn pushed(&mut self, frame: Frame) {
        match frame {
            Frame::Message(message) => self.message(&message),
            Frame::Cursor { cursor } => self.advance(cursor),
            Frame::Presence(_) | Frame::Typing(_) => {}
            other => panic!("{other:?} is never pushed"),
        }
    }

    fn take(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Message(stored) => self.message(&stored.message),
            Delivery::Missed(missed) => self.missed(missed),
            Delivery::Cursor(cursor) => self.advance(cursor),
            Delivery::Behind(cursor, _) => {
                self.tally.behind += 1;
                self.advance(cursor);
            }
            Delivery::Presence(_) | Delivery::Typing(_) => {}
        }
    }

    fn advance(&mut self, cursor: Id) {
        assert!(cursor.offset >= self.at, "a cursor never goes back");
        self.at = cursor.offset;
        self.cursor = Some(cursor);
    }

    fn message(&mut self, message: &Message) {
        assert!(message.id.offset > self.at, "{message:?} comes after {}: in order, and once", self.at);
        if let Some(last) = self.last.get(&message.channel) {
            let told = self.gone.get(&message.channel).map(|missed| missed.to.offset);
            let accounted = message.prev == *last || message.prev.is_some_and(|prev| told >= Some(prev.offset));
            assert!(accounted, "between {last:?} and {message:?} something is missing, told was {told:?}");
        }
        self.gone.remove(&message.channel);
        self.last.insert(message.channel.clone(), Some(message.id));
        if message.body.as_bytes() == b"end" {
            self.ended.insert(message.channel.clone());
        }
        self.tally.handed_out += 1;
        self.advance(message.id);
    }

    fn missed(&mut self, missed: Missed) {
        self.tally.missed += 1;
        assert!(missed.to.offset > missed.from.offset);
        assert!(missed.from.offset >= self.at, "{missed:?} is after what was handed out, {}", self.at);
        let told = self.gone.get(&missed.channel).map_or(0, |earlier| earlier.to.offset);
        assert!(missed.to.offset >= told, "what is gone only grows");
        self.gone.insert(missed.channel.clone(), missed);
    }
}

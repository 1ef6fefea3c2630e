//! The engine of the simulation: it keeps its contract, but is slow and fails at random.

use super::dice::Dice;
use crate::engine::{
    AppendError, Appended, Draft, Engine, Lineage, Offset, Query, ReadError, Slice, Stored, memory::Memory,
};
use app::wire::ChannelName;
use futures::{FutureExt, future::BoxFuture};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::sleep;

/// An engine that keeps its contract and otherwise behaves as badly as it may: it is slow, its answers are old,
/// outcomes are unknown, and reads fail.
pub(super) struct Faulty {
    inner: Memory,
    dice: Mutex<Dice>,
}

impl Faulty {
    pub(super) fn new(inner: Memory, dice: Dice) -> Self {
        Self { inner, dice: Mutex::new(dice) }
    }

    fn one_in(&self, bound: u64) -> bool {
        self.dice.lock().unwrap().one_in(bound)
    }

    async fn dawdle(&self) {
        let millis = {
            let mut dice = self.dice.lock().unwrap();
            if dice.one_in(2) { 0 } else { dice.up_to(400) }
        };
        if millis > 0 {
            sleep(Duration::from_millis(millis)).await;
        }
    }

    /// Answers slowly, with an old result, or with an error.
    async fn answer<T>(&self, find: BoxFuture<'_, Result<T, ReadError>>) -> Result<T, ReadError> {
        self.dawdle().await;
        let found = find.await;
        // Messages that are appended or trimmed in this time are not reflected in the answer.
        self.dawdle().await;
        if self.one_in(25) { Err(ReadError("simulated".into())) } else { found }
    }
}

impl Engine for Faulty {
    fn append(&self, draft: Box<Draft>) -> BoxFuture<'_, Result<Appended, AppendError>> {
        async move {
            self.dawdle().await;
            if self.one_in(20) {
                return Err(AppendError::Unknown);
            }
            let stored = self.inner.append(draft).await;
            self.dawdle().await;
            if self.one_in(20) { Err(AppendError::Unknown) } else { stored }
        }
        .boxed()
    }

    fn read(&self, query: Query) -> BoxFuture<'_, Result<Slice, ReadError>> {
        self.answer(self.inner.read(query)).boxed()
    }

    fn offsets(
        &self,
        channel: ChannelName,
        up_to: Offset,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Offset>, ReadError>> {
        self.answer(self.inner.offsets(channel, up_to, limit)).boxed()
    }

    fn channels(&self, after: Offset, limit: usize) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, ReadError>> {
        self.answer(self.inner.channels(after, limit)).boxed()
    }

    fn count(
        &self,
        channel: ChannelName,
        after: Offset,
        up_to: Offset,
        most: u32,
    ) -> BoxFuture<'_, Result<u32, ReadError>> {
        self.answer(self.inner.count(channel, after, up_to, most)).boxed()
    }

    fn trim(&self) -> BoxFuture<'_, Result<u64, AppendError>> {
        self.inner.trim()
    }

    fn lineage(&self) -> &Lineage {
        self.inner.lineage()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }
}

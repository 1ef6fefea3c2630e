//! The numbers in a channel's messages.

use crate::{
    chart::{Store, readings},
    feed,
    live::Live,
    page::Channel,
    wire::Id,
};
use leptos::prelude::*;

/// The numbers of the channel, for the charts and for the underlines in the feed.
#[derive(Clone, Copy)]
pub struct Readings {
    /// The readings so far.
    pub store: RwSignal<Store>,
    /// The fields with a chart, in the order of their colours.
    pub series: Memo<Vec<String>>,
}

impl Readings {
    /// Starts with the readings that the server rendered, and adds those of messages that arrive in the feed.
    pub fn new(channel: &Channel, live: Live) -> Self {
        let mut first = Store::default();
        first.extend(channel.readings.iter().cloned());
        first.extend(channel.messages.iter().filter_map(readings));
        let store = RwSignal::new(first);
        Effect::new(move |last: Option<Option<Id>>| {
            live.feed.with(|feed| {
                if let Some(last) = last {
                    let new: Vec<_> = feed::since(feed, last).iter().filter_map(|message| readings(message)).collect();
                    if !new.is_empty() {
                        store.update(|store| store.extend(new));
                    }
                }
                feed::newest(feed).or(last.flatten())
            })
        });
        Self { store, series: Memo::new(move |_| store.with(Store::series)) }
    }
}

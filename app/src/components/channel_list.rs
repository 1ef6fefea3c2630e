//! The list of channels on the home page, with ages and sparklines that stay current.

use super::{bodies::preview, dom, live, surroundings};
use crate::{
    i18n::count,
    wire::{Body, ChannelEntry, ChannelName, Kind, Time},
};
use leptos::prelude::*;
use std::{fmt::Write as _, time::Duration};

/// The shortest time between two changes of the order, in seconds.
const MOVE_SECONDS: i64 = 10;
/// The interval at which the ages of messages are updated.
const STEP: Duration = Duration::from_secs(1);
/// The height of a sparkline's highest bar.
const BARS: f64 = 20.0;

/// The channels of this server, newest message first.
#[component]
pub fn ChannelList() -> impl IntoView {
    let live = live();
    let place = surroundings();
    let words = place.words;
    let order = RwSignal::new(newest_first(&live.channels.get_untracked()));
    let clock = RwSignal::new(place.now);
    let held = RwSignal::new(false);
    keep_order(order, clock, held, place.now);
    view! {
        <div
            class="channel-list"
            on:pointerenter=move |_| held.set(true)
            on:pointerleave=move |_| held.set(false)
            on:focusin=move |_| held.set(true)
            on:focusout=move |_| held.set(false)
        >
            <div class="list-heads" aria-hidden="true">
                <span class="head-last">{words.last()}</span>
                <span class="head-name">{words.channel()}</span>
                <span class="head-message">{words.message()}</span>
                <span class="head-pace">{words.past_hour()}</span>
                <span class="head-now">{words.now()}</span>
                <span class="head-here">{words.here()}</span>
            </div>
            <ul class="list">
                <For
                    each=move || order.get()
                    key=Clone::clone
                    children=move |name| view! { <ChannelRow name clock /> }
                />
            </ul>
        </div>
    }
    .into_any()
}

fn newest_first(channels: &[ChannelEntry]) -> Vec<ChannelName> {
    channels.iter().map(|entry| entry.channel.clone()).collect()
}

/// Sorts the rows at most every ten seconds, and never while the pointer or the focus is in the list, so that
/// no row moves away under a click.
fn keep_order(order: RwSignal<Vec<ChannelName>>, clock: RwSignal<Time>, held: RwSignal<bool>, now: Time) {
    let live = live();
    Effect::new(move || {
        let started = dom::now();
        let moved = StoredValue::new(0);
        let _ = set_interval(
            move || {
                let passed = (dom::now().0 - started.0).max(0);
                clock.set(Time(now.0 + passed));
                let wanted = live.channels.with_untracked(|channels| newest_first(channels));
                let first = order.with_untracked(Vec::is_empty);
                let due = !held.get_untracked() && passed - moved.get_value() >= MOVE_SECONDS * 1000;
                if (first || due) && order.with_untracked(|order| *order != wanted) {
                    moved.set_value(passed);
                    order.set(wanted);
                }
            },
            STEP,
        );
    });
}

#[component]
fn ChannelRow(name: ChannelName, clock: RwSignal<Time>) -> impl IntoView {
    let live = live();
    let place = surroundings();
    let (words, zone) = (place.words, place.zone);
    let entry = {
        let name = name.clone();
        Memo::new(move |_| live.channels.with(|channels| channels.iter().find(|entry| entry.channel == name).cloned()))
    };
    let of = move |read: fn(&ChannelEntry) -> String| move || entry.with(|entry| entry.as_ref().map(read));
    let ago =
        Memo::new(move |_| entry.with(|entry| entry.as_ref().map(|entry| words.ago(entry.last.time, clock.get()))));
    let full = move || entry.with(|entry| entry.as_ref().map(|entry| words.full(entry.last.time, zone.get())));
    let here = Memo::new(move |_| entry.with(|entry| entry.as_ref().map_or(0, |entry| entry.here)));
    let is_program =
        move || entry.with(|entry| entry.as_ref().is_some_and(|entry| entry.last.from.kind == Kind::Program));
    let message =
        move || entry.with(|entry| entry.as_ref().map(|entry| preview(&entry.last.body, |size| words.binary(size))));
    let is_json = move || entry.with(|entry| matches!(entry.as_ref().map(|e| &e.last.body), Some(Body::Json(_))));
    let pace = move || entry.with(|entry| words.pace(entry.as_ref().map_or(0, |entry| entry.pace.iter().sum())));
    view! {
        <li>
            <a class="channel-row" href=name.path()>
                <span class="row-last" title=full>
                    {move || ago.get()}
                </span>
                <span class="row-rail" aria-hidden="true">
                    <span class="dot" class:square=is_program></span>
                </span>
                <span class="row-name" dir="auto">
                    {name.to_string()}
                </span>
                <span class="row-message">
                    <span class="sender">{of(|entry| entry.last.from.name.clone())}</span>
                    " "
                    <span class:mono=is_json dir="auto">
                        {message}
                    </span>
                </span>
                <span class="row-pace">
                    <svg class="spark" viewBox="0 0 148 24" width="148" height="24" aria-hidden="true" focusable="false">
                        <path class="spark-base" d="M0 22.5H142" />
                        <path class="spark-bars" d=of(|entry| bars(&entry.pace)) />
                        <circle class="spark-now" class:nobody=move || here.get() == 0 cx="144" cy="22" r="2.5" />
                    </svg>
                    <span class="visually-hidden">{pace}</span>
                </span>
                <span class="row-here">
                    <span aria-hidden="true">{move || count(here.get() as usize)}</span>
                    <span class="visually-hidden">{move || words.here_now(here.get())}</span>
                </span>
            </a>
        </li>
    }
    .into_any()
}

/// Path data with one bar per minute. The last bar is the present minute.
fn bars(pace: &[u32]) -> String {
    let most = f64::from(pace.iter().copied().max().unwrap_or(0).max(1));
    let mut path = String::new();
    let missing = 60usize.saturating_sub(pace.len());
    for (at, messages) in pace.iter().rev().take(60).rev().enumerate() {
        if *messages > 0 {
            let x = (at + missing) as f64 * 2.35 + 1.5;
            let height = (f64::from(*messages) / most * BARS).max(2.0);
            let _ = write!(path, "M{x:.1} 22v-{height:.1}");
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stand_at_their_minute() {
        assert_eq!(bars(&[]), "");
        assert_eq!(bars(&[0, 4]), "M140.2 22v-20.0");
        let mut hour = [0; 60];
        hour[0] = 1;
        hour[59] = 2;
        assert_eq!(bars(&hour), "M1.5 22v-10.0M140.2 22v-20.0");
    }
}

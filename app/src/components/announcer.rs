//! The live regions that tell screen readers what happens in the channel.

use super::{dom, live, surroundings};
use crate::{
    feed,
    i18n::Words,
    live::{Link, OutgoingState},
    wire::{Body, Id, Kind, Message},
};
use leptos::prelude::*;
use std::{collections::HashSet, sync::Arc, time::Duration};

/// The time in which messages are collected for one announcement.
const QUIET: Duration = Duration::from_secs(5);
/// A change of the connection is announced only if it lasts this long.
const LASTING: Duration = Duration::from_secs(2);
/// An offline connection is announced as an alert after this time.
const URGENT: Duration = Duration::from_secs(10);
/// The most messages that are announced with their text.
const IN_FULL: usize = 2;
/// The most characters of a message that are announced.
const FULL_CHARS: usize = 120;

/// Announces new messages, changes of the connection and failed messages to screen readers. The feed itself is
/// not a live region, because a busy channel would speak without pause.
#[component]
pub fn Announcer() -> impl IntoView {
    let news = RwSignal::new(String::new());
    let state = RwSignal::new(String::new());
    let alarm = RwSignal::new(String::new());
    speak_of_messages(news);
    speak_of_link(state, alarm);
    speak_of_failures(alarm);
    view! {
        <div class="visually-hidden">
            <p role="status">{news}</p>
            <p role="status">{state}</p>
            <p role="alert">{alarm}</p>
        </div>
    }
    .into_any()
}

fn speak_of_messages(news: RwSignal<String>) {
    let live = live();
    let place = surroundings();
    let (words, visitor) = (place.words, place.visitor.id.clone());
    let heard = StoredValue::new(Vec::<Arc<Message>>::new());
    let busy = StoredValue::new(false);
    let say = move || {
        busy.try_set_value(false);
        if let Some(messages) = heard.try_update_value(std::mem::take) {
            news.try_set(summary(words, &messages));
        }
    };
    Effect::new(move |last: Option<Option<Id>>| {
        live.feed.with(|feed| {
            if let Some(last) = last {
                let new = feed::since(feed, last).into_iter().filter(|message| message.from.id != visitor);
                heard.update_value(|heard| heard.extend(new));
            }
            if !busy.get_value() && heard.with_value(|heard| !heard.is_empty()) {
                busy.set_value(true);
                dom::later(QUIET, say);
            }
            feed::newest(feed).or(last.flatten())
        })
    });
}

fn speak_of_link(state: RwSignal<String>, alarm: RwSignal<String>) {
    let live = live();
    let place = surroundings();
    // The discriminant ignores the countdown and the round trip, which must not be announced.
    let kind = Memo::new(move |_| std::mem::discriminant(&live.link.get()));
    Effect::new(move |before: Option<()>| {
        kind.track();
        if before.is_none() {
            return;
        }
        let link = live.link.get_untracked();
        let text = match link {
            Link::Live { transport, .. } => place.words.transport(transport).to_owned(),
            other => place.words.link(other, place.now, place.zone.get()),
        };
        // The next run of the effect cancels both timers, so a change that does not last is not announced.
        if link == Link::Offline {
            let text = text.clone();
            let _ = set_timeout(move || alarm.set(text), URGENT);
        }
        let _ = set_timeout(move || state.set(text), LASTING);
    });
}

fn speak_of_failures(alarm: RwSignal<String>) {
    let live = live();
    let words = surroundings().words;
    Effect::new(move |before: Option<usize>| {
        let failed: Vec<_> = live.outgoing.with(|outgoing| {
            outgoing
                .iter()
                .filter_map(|outgoing| match &outgoing.state {
                    OutgoingState::Failed { reason } => Some(reason.clone()),
                    OutgoingState::Sending | OutgoingState::Waiting => None,
                })
                .collect()
        });
        if failed.len() > before.unwrap_or(0) {
            let reason = failed.last().cloned().flatten().unwrap_or_else(|| words.no_answer().to_owned());
            alarm.set(format!("{}: {reason}", words.failed()));
        }
        failed.len()
    });
}

/// Up to two messages of people with their text, otherwise counts. Messages of programs are always counted.
fn summary(words: Words, messages: &[Arc<Message>]) -> String {
    let of = |kind: Kind| messages.iter().filter(move |message| message.from.kind == kind);
    if of(Kind::Program).next().is_none() && messages.len() <= IN_FULL {
        let said = of(Kind::Person).map(|message| {
            let text: String = match &message.body {
                Body::Text(text) | Body::Json(text) => text.chars().take(FULL_CHARS).collect(),
                Body::Binary(bytes) => words.binary(bytes.len()),
            };
            words.said(&message.from.name, &text)
        });
        return said.collect::<Vec<_>>().join(" ");
    }
    let senders = |kind| of(kind).map(|message| message.from.id.as_str()).collect::<HashSet<_>>().len();
    words.arrived(messages.len(), senders(Kind::Person), senders(Kind::Program))
}

//! The rows of the feed: messages, days and gaps.

use super::{bodies::body_view, live, node::node, surroundings};
use crate::{
    feed::{MessageRow, Row},
    live::Link,
    wire::Kind,
};
use leptos::prelude::*;

/// One row of the feed.
#[component]
pub fn RowView(row: Row) -> AnyView {
    let place = surroundings();
    let words = place.words;
    match row {
        Row::Day { time, .. } => view! {
            <li class="row day">
                <span class="rail"></span>
                <span class="note">{move || words.day(time, place.now, place.zone.get())}</span>
            </li>
        }
        .into_any(),
        Row::Away { seconds, .. } => note(words.away(seconds)).into_any(),
        Row::Missed { missed, .. } => note(words.missed(&missed, place.zone.get())).into_any(),
        Row::Message(row) => view! { <MessageView row /> }.into_any(),
    }
}

fn note(text: String) -> impl IntoView {
    view! {
        <li class="row caught-up">
            <span class="rail"></span>
            <span class="note">{text}</span>
        </li>
    }
}

#[component]
fn MessageView(row: MessageRow) -> impl IntoView {
    let place = surroundings();
    let words = place.words;
    let MessageRow { message, head, caught_up, own } = row;
    let (sent, kind, zone) = (message.time, message.from.kind, place.zone);
    let clock = move || match kind {
        Kind::Person => words.clock(sent, zone.get()),
        Kind::Program => words.clock_seconds(sent, zone.get()),
    };
    // Rows that the server rendered must not fade in during hydration.
    let fresh = live().link.get_untracked() != Link::Snapshot;
    let body = body_view(&message.body);
    let who = head.then(|| {
        view! {
            <span class="who">
                <b dir="auto">{message.from.name.clone()}</b>
                {own.then(|| view! { <span class="visually-hidden">" ("{words.you()}")"</span> })}
            </span>
        }
    });
    view! {
        <li
            class="row message"
            class:head=head
            class:caught-up=caught_up
            class:fresh=fresh
            id=format!("m-{}", message.id)
            data-id=message.id.to_string()
        >
            <time class="time" datetime=message.time.to_string() title=move || words.full(sent, zone.get())>
                {clock}
            </time>
            <span class="rail">{head.then(|| node(&message.from, own))}</span>
            {who}
            <div class="body">
                {body}
            </div>
        </li>
    }
    .into_any()
}

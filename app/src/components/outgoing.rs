//! The rows of messages that this page sent and the server has not acknowledged.

use super::{bodies::body_view, live, node::node, surroundings};
use crate::live::{Outgoing, OutgoingState, UserAction};
use leptos::prelude::*;

/// The rows at the end of the feed for messages that the server has not acknowledged.
#[component]
pub fn OutgoingRows() -> impl IntoView {
    let live = live();
    view! {
        <For
            each=move || live.outgoing.get()
            key=|outgoing| (outgoing.key.clone(), outgoing.state.clone())
            children=|outgoing| view! { <OutgoingRow outgoing /> }
        />
    }
}

#[component]
fn OutgoingRow(outgoing: Outgoing) -> impl IntoView {
    let place = surroundings();
    let words = place.words;
    let (state, label) = match &outgoing.state {
        OutgoingState::Sending => ("sending", words.sending()),
        OutgoingState::Waiting => ("waiting", words.waiting()),
        OutgoingState::Failed { .. } => ("failed", words.failed()),
    };
    let failed = match outgoing.state {
        OutgoingState::Failed { reason } => Some(reason),
        OutgoingState::Sending | OutgoingState::Waiting => None,
    };
    let body = body_view(&outgoing.body);
    view! {
        <li class="row message head outgoing" data-state=state>
            <span class="time">{label}</span>
            <span class="rail">
                {node(&place.visitor, true)}
            </span>
            <span class="who">
                <b dir="auto">{place.visitor.name.clone()}</b>
            </span>
            <div class="body">
                {body}
                {failed.map(|reason| view! { <Failed key=outgoing.key reason /> })}
            </div>
        </li>
    }
    .into_any()
}

#[component]
fn Failed(key: String, reason: Option<String>) -> impl IntoView {
    let (live, words) = (live(), surroundings().words);
    let again = key.clone();
    view! {
        <div class="failed-actions">
            <button
                type="button"
                class="button small"
                on:click=move |_| live.act(UserAction::Retry { key: again.clone() })
            >
                {words.send_again()}
            </button>
            <button
                type="button"
                class="button small quiet"
                on:click=move |_| live.act(UserAction::Discard { key: key.clone() })
            >
                {words.delete()}
            </button>
            <span class="reason">{reason.unwrap_or_else(|| words.no_answer().to_owned())}</span>
        </div>
    }
    .into_any()
}

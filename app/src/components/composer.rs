//! The form that sends a message to the channel, with its draft and the checks before sending.

use super::{
    dom,
    feed_view::FeedScroll,
    glyph::{Icon, IconView},
    live, surroundings,
};
use crate::{
    i18n::Words,
    live::{Link, Live, OutgoingState, UserAction},
    page::Channel,
    wire::{Body, check_json},
};
use leptos::{ev, html, prelude::*};

/// The typed text and the form in which it is sent.
#[derive(Clone, Copy)]
struct Draft {
    area: NodeRef<html::Textarea>,
    text: RwSignal<String>,
    json: RwSignal<bool>,
    /// Before hydration the button stays enabled, because the browser submits the form without script.
    hydrated: RwSignal<bool>,
    /// The session storage key of this channel's draft.
    key: StoredValue<String>,
    /// The largest body that the server accepts, in bytes.
    limit: usize,
}

impl Draft {
    fn new(channel: &Channel) -> Self {
        let text = channel.refused.as_ref().map(|refused| refused.body.clone()).unwrap_or_default();
        Self {
            area: NodeRef::new(),
            text: RwSignal::new(text),
            json: RwSignal::new(false),
            hydrated: RwSignal::new(false),
            key: StoredValue::new(format!("draft:{}", channel.name)),
            limit: channel.max_message,
        }
    }

    /// Keeps the text typed before hydration, or restores the draft of this tab if the field is empty.
    fn take_over(self) {
        let Some(area) = self.area.get_untracked() else { return };
        if area.value().is_empty()
            && let Some(draft) = dom::kept(&self.key.get_value())
        {
            area.set_value(&draft);
        }
        self.text.set(area.value());
        self.hydrated.set(true);
    }

    /// Takes the text over and stores it as the draft of this tab.
    fn typed(self, text: String) {
        dom::keep(&self.key.get_value(), &text);
        self.text.set(text);
    }

    /// Stores text that the visitor typed, and tells the other members whether the visitor is writing.
    fn changed(self, text: String, live: Live) {
        live.act(UserAction::Typing(!text.trim().is_empty()));
        self.typed(text);
    }

    fn clear(self) {
        if let Some(area) = self.area.get_untracked() {
            area.set_value("");
        }
        self.typed(String::new());
    }

    /// Sends the text if it can be sent, then empties the field.
    fn send(self, live: Live, scroll: FeedScroll) {
        if self.may_send() {
            live.act(UserAction::Send(self.body()));
            self.clear();
            scroll.to_end();
        }
    }

    fn problem(self) -> Option<Problem> {
        self.text.with(|text| {
            if text.len() > self.limit {
                return Some(Problem::TooLong);
            }
            if !self.json.get() || text.trim().is_empty() {
                return None;
            }
            check_json(text).err().map(|error| Problem::Json(place(&error)))
        })
    }

    fn may_send(self) -> bool {
        !self.text.with(|text| text.trim().is_empty()) && self.problem().is_none()
    }

    fn body(self) -> Body {
        let text = self.text.get_untracked();
        if self.json.get_untracked() { Body::Json(text) } else { Body::Text(text) }
    }
}

/// Why the text cannot be sent.
#[derive(Clone, Copy, PartialEq)]
enum Problem {
    TooLong,
    /// Invalid JSON, with line and column of the error if the parser reports them.
    Json(Option<(usize, usize)>),
}

/// Reads line and column from the end of an error such as `expected value at line 1 column 9`.
fn place(error: &str) -> Option<(usize, usize)> {
    let (_, place) = error.rsplit_once("at line ")?;
    let (line, column) = place.split_once(" column ")?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

/// Escapes a text for `inner_html` of a `textarea`, because Leptos renders an empty text child as a space.
/// An HTML parser drops the first line break in a `textarea`, so the text starts with an extra one.
fn escape(text: &str) -> String {
    match text {
        "" => String::new(),
        text => format!("\n{}", text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")),
    }
}

/// Whether a key press sends the message: Enter without Shift, except on touch screens, where it starts a new line.
fn sends(event: &ev::KeyboardEvent) -> bool {
    // Some browsers end the composition of a syllable before they report the key; its code is then 229.
    let composing = event.is_composing() || event.key_code() == 229;
    event.key() == "Enter" && !event.shift_key() && !composing && !dom::touches()
}

/// The form that sends a message. It works without script.
#[component]
pub fn Composer<'a>(channel: &'a Channel, scroll: FeedScroll) -> impl IntoView {
    let (live, words) = (live(), surroundings().words);
    let draft = Draft::new(channel);
    let refused = channel.refused.as_ref().map(|refused| refused.message.clone());
    let placeholder = words.write_to(channel.name.as_str());
    let continues = channel.continues;
    let on_submit = move |event: ev::SubmitEvent| {
        // On a page that is not live the browser submits the form, and the answer leads back to the newest messages.
        if continues {
            event.prevent_default();
            draft.send(live, scroll);
        }
    };
    view! {
        <form class="composer" method="post" action=format!("{}/say", channel.name.path()) on:submit=on_submit>
            <input type="hidden" name="key" value=channel.form_key.clone() />
            {refused.map(|message| refused_note(words, message))}
            <label class="visually-hidden" for="composer-text">
                {words.your_message()}
            </label>
            <MessageField draft scroll continues placeholder />
            <div class="composer-foot">
                <Status draft />
                <JsonSwitch draft />
                <SendButton draft />
            </div>
        </form>
    }
    .into_any()
}

/// Tells why the server refused the message of a form post.
fn refused_note(words: Words, message: String) -> impl IntoView {
    view! {
        <p class="refused" role="alert">
            <b>{words.not_sent()}</b>
            " "
            {message}
        </p>
    }
}

/// The text field. On a live page (`continues`), Enter sends the text.
#[component]
fn MessageField(draft: Draft, scroll: FeedScroll, continues: bool, placeholder: String) -> impl IntoView {
    let live = live();
    let first_text = draft.text.with_untracked(|text| escape(text));
    Effect::new(move || draft.take_over());
    let on_key = move |event: ev::KeyboardEvent| {
        if continues && sends(&event) {
            event.prevent_default();
            draft.send(live, scroll);
        }
    };
    view! {
        <textarea
            id="composer-text"
            class="composer-text"
            class:mono=move || draft.json.get()
            name="body"
            rows="1"
            dir="auto"
            placeholder=placeholder
            aria-describedby="composer-status"
            node_ref=draft.area
            on:input=move |event| draft.changed(event_target_value(&event), live)
            on:keydown=on_key
            inner_html=first_text
        ></textarea>
    }
}

/// Switches between sending the text as it is and as JSON.
#[component]
fn JsonSwitch(draft: Draft) -> impl IntoView {
    view! {
        <button
            type="button"
            class="button quiet small json-switch needs-script"
            aria-pressed=move || draft.json.get().to_string()
            on:click=move |_| draft.json.update(|json| *json = !*json)
        >
            "JSON"
        </button>
    }
}

#[component]
fn SendButton(draft: Draft) -> impl IntoView {
    let words = surroundings().words;
    view! {
        <button
            type="submit"
            class="button primary send"
            aria-disabled=move || (draft.hydrated.get() && !draft.may_send()).then_some("true")
        >
            <IconView icon=Icon::Up />
            <span class="send-word">{move || if draft.json.get() { words.send_json() } else { words.send() }}</span>
        </button>
    }
}

/// The line below the field: the problem, the send queue, the size near the limit, or the key that sends.
#[component]
fn Status(draft: Draft) -> impl IntoView {
    let live = live();
    let words = surroundings().words;
    let size = Memo::new(move |_| draft.text.with(String::len));
    let problem = Memo::new(move |_| draft.problem());
    let queue = Memo::new(move |_| {
        let waiting = live
            .outgoing
            .with(|outgoing| outgoing.iter().filter(|outgoing| outgoing.state == OutgoingState::Waiting).count());
        let away = matches!(live.link.get(), Link::Reconnecting { .. } | Link::Offline | Link::ServerDown);
        (away || waiting > 0).then_some(waiting)
    });
    let text = move || match (problem.get(), queue.get()) {
        (Some(Problem::Json(place)), _) => words.json_error(place),
        (Some(Problem::TooLong), _) => words.size_of(size.get(), draft.limit),
        (None, Some(waiting)) => words.queue(waiting),
        (None, None) if size.get() * 10 >= draft.limit * 8 => words.size_of(size.get(), draft.limit),
        (None, None) => words.enter_sends().to_owned(),
    };
    let kind = move || match (problem.get(), queue.get()) {
        (Some(_), _) => "error",
        (None, Some(_)) => "waiting",
        (None, None) if size.get() * 10 >= draft.limit * 8 => "size",
        (None, None) => "hint",
    };
    view! {
        <span class="composer-status needs-script" id="composer-status" data-kind=kind>
            {text}
        </span>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_an_error_is_read() {
        let error = check_json("{ \"temp\": }").unwrap_err();
        assert_eq!(place(&error), Some((1, 11)));
        assert_eq!(place("something else"), None);
    }
}

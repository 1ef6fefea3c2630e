use super::{
    dom,
    feed_view::FeedScroll,
    glyph::{Icon, IconView},
    live, surroundings,
};
use crate::{
    live::{Command, Link, Live, OutgoingState},
    page::Channel,
    wire::{Body, check_json},
};
use leptos::{ev, html, prelude::*};

/// What is typed, and how it will be sent.
#[derive(Clone, Copy)]
struct Draft {
    area: NodeRef<html::Textarea>,
    text: RwSignal<String>,
    json: RwSignal<bool>,
    /// Until then the form works by itself and its button is always enabled.
    hydrated: RwSignal<bool>,
    key: StoredValue<String>,
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

    /// Takes over what was typed before the page was hydrated, else the draft of this tab.
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

    fn typed(self, text: String) {
        dom::keep(&self.key.get_value(), &text);
        self.text.set(text);
    }

    /// As `typed`, by hand: others may know.
    fn changed(self, text: String, live: Live) {
        live.command(Command::Typing(!text.trim().is_empty()));
        self.typed(text);
    }

    fn clear(self) {
        if let Some(area) = self.area.get_untracked() {
            area.set_value("");
        }
        self.typed(String::new());
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

#[derive(Clone, Copy, PartialEq)]
enum Problem {
    TooLong,
    Json(Option<(usize, usize)>),
}

/// Line and column at the end of an error such as `expected value at line 1 column 9`.
fn place(error: &str) -> Option<(usize, usize)> {
    let (_, place) = error.rsplit_once("at line ")?;
    let (line, column) = place.split_once(" column ")?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

/// A text as the inside of a `textarea`: as a child, an empty text would be rendered as a blank. The
/// line break is the one a parser drops at the start.
fn escape(text: &str) -> String {
    match text {
        "" => String::new(),
        text => format!("\n{}", text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")),
    }
}

/// Where one writes. A working form without script.
#[component]
pub fn Composer<'a>(channel: &'a Channel, scroll: FeedScroll) -> impl IntoView {
    let live = live();
    let place = surroundings();
    let words = place.words;
    let draft = Draft::new(channel);
    let first_text = draft.text.with_untracked(|text| escape(text));
    let refused = channel.refused.as_ref().map(|refused| refused.message.clone());
    Effect::new(move || draft.take_over());
    let continues = channel.continues;
    let send = move || {
        if draft.may_send() {
            live.command(Command::Send(draft.body()));
            draft.clear();
            scroll.to_end();
        }
    };
    let on_key = move |event: ev::KeyboardEvent| {
        // 229: some browsers end the composition of a syllable before they tell of the key.
        let composing = event.is_composing() || event.key_code() == 229;
        if continues && event.key() == "Enter" && !event.shift_key() && !composing && !dom::touches() {
            event.prevent_default();
            send();
        }
    };
    let on_submit = move |event: ev::SubmitEvent| {
        // A page that is not live sends as one without script does, and comes back to now.
        if continues {
            event.prevent_default();
            send();
        }
    };
    view! {
        <form class="composer" method="post" action=format!("{}/say", channel.name.path()) on:submit=on_submit>
            <input type="hidden" name="key" value=channel.form_key.clone() />
            {refused
                .map(|message| {
                    view! {
                        <p class="refused" role="alert">
                            <b>{words.not_sent()}</b>
                            " "
                            {message}
                        </p>
                    }
                })}
            <label class="visually-hidden" for="composer-text">
                {words.your_message()}
            </label>
            <textarea
                id="composer-text"
                class="composer-text"
                class:mono=move || draft.json.get()
                name="body"
                rows="1"
                dir="auto"
                placeholder=words.write_to(channel.name.as_str())
                aria-describedby="composer-status"
                node_ref=draft.area
                on:input=move |event| draft.changed(event_target_value(&event), live)
                on:keydown=on_key
                inner_html=first_text
            ></textarea>
            <div class="composer-foot">
                <Status draft />
                <button
                    type="button"
                    class="button quiet small json-switch needs-script"
                    aria-pressed=move || draft.json.get().to_string()
                    on:click=move |_| draft.json.update(|json| *json = !*json)
                >
                    "JSON"
                </button>
                <button
                    type="submit"
                    class="button primary send"
                    aria-disabled=move || (draft.hydrated.get() && !draft.may_send()).then_some("true")
                >
                    <IconView icon=Icon::Up />
                    <span class="send-word">{move || if draft.json.get() { words.send_json() } else { words.send() }}</span>
                </button>
            </div>
        </form>
    }
    .into_any()
}

/// The line below the field: what is wrong, what will happen, or how to send.
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

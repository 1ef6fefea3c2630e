//! Cards with the shell commands that send a message, and their copy button.

use super::{
    dom,
    glyph::{Icon, IconView},
    surroundings,
};
use leptos::prelude::*;
use std::time::Duration;

/// How long the button says "Copied".
const COPIED: Duration = Duration::from_secs(2);

/// Copies a command. The style sheet hides the button without script.
#[component]
pub fn CopyButton(#[prop(into)] text: Signal<String>) -> impl IntoView {
    let words = surroundings().words;
    let copied = RwSignal::new(false);
    let copy = move |_| {
        dom::copy(&text.get_untracked());
        copied.set(true);
        dom::later(COPIED, move || {
            copied.try_set(false);
        });
    };
    view! {
        <button type="button" class="button small needs-script copy" on:click=copy>
            <IconView icon=Icon::Copy />
            <span role="status">{move || if copied.get() { words.copied() } else { words.copy() }}</span>
        </button>
    }
    .into_any()
}

/// The card on a channel page with the command that sends to this channel.
pub fn program_card(channel: &crate::wire::ChannelName) -> impl IntoView + use<> {
    let place = surroundings();
    let command = format!("curl -d '{{\"temp\": 24.8}}' \\\n  {}/c/{channel}", place.origin);
    view! {
        <section class="program-card">
            <div class="card-head">
                <h2>{place.words.send_from_program()}</h2>
                <CopyButton text=command.clone() />
            </div>
            <pre class="command">
                <code>{command}</code>
            </pre>
        </section>
    }
    .into_any()
}

/// The card on the home page with commands that send to the channel that the visitor typed.
#[component]
pub fn SendCard(#[prop(into)] channel: Signal<Option<crate::wire::ChannelName>>) -> impl IntoView {
    let place = surroundings();
    let words = place.words;
    let origin = StoredValue::new(place.origin.to_string());
    let name = move || channel.with(|channel| channel.as_ref().map_or("hello".to_owned(), |name| name.to_string()));
    let path = move || channel.with(|channel| channel.as_ref().map_or("/c/hello".to_owned(), |name| name.path()));
    let curl = Signal::derive(move || format!("curl -d '{}' \\\n  {}/c/{}", words.hello(), origin.get_value(), name()));
    let cli = Signal::derive(move || {
        format!("baro publish --url {} \\\n  {} '{}'", origin.get_value(), name(), words.hello())
    });
    view! {
        <section class="card send-card">
            <h2>{words.send_now()}</h2>
            <p class="hint">{words.send_now_help()}</p>
            <fieldset class="tabs">
                <legend class="visually-hidden">{words.send_now()}</legend>
                <input type="radio" name="command" id="tab-curl" checked />
                <label for="tab-curl">"curl"</label>
                <input type="radio" name="command" id="tab-cli" />
                <label for="tab-cli">"CLI"</label>
                <CommandLine class="command-curl" text=curl />
                <CommandLine class="command-cli" text=cli />
            </fieldset>
            <a class="watch" href=path>
                {move || format!("/c/{}", name())}
            </a>
        </section>
    }
    .into_any()
}

#[component]
fn CommandLine(class: &'static str, text: Signal<String>) -> impl IntoView {
    view! {
        <div class=class>
            <pre class="command">
                <code>{text}</code>
            </pre>
            <CopyButton text />
        </div>
    }
    .into_any()
}

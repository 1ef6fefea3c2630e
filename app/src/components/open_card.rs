//! The card on the home page that opens a channel by name.

use super::surroundings;
use crate::wire::{ChannelName, NameError};
use leptos::{html, prelude::*};

/// A form that opens a channel. It explains an invalid name while the visitor types it.
#[component]
pub fn OpenCard(typed: RwSignal<Option<ChannelName>>) -> impl IntoView {
    let words = surroundings().words;
    let field = NodeRef::<html::Input>::new();
    let problem = RwSignal::new(None::<NameError>);
    let check = move |text: String| match text.parse::<ChannelName>() {
        Ok(name) => {
            problem.set(None);
            typed.set(Some(name));
        }
        Err(error) => {
            problem.set((!text.is_empty()).then_some(error));
            typed.set(None);
        }
    };
    Effect::new(move || {
        if let Some(field) = field.get() {
            check(field.value());
        }
    });
    let help = move || {
        problem.with(|problem| problem.as_ref().map_or(words.name_rule().to_owned(), |error| words.name_error(error)))
    };
    view! {
        <section class="card open-card" id="open">
            <h2>{words.open_a_channel()}</h2>
            <p class="hint">{words.open_help()}</p>
            <form method="get" action="/open" class="field-row">
                <label class="visually-hidden" for="open-name">
                    {words.channel_name()}
                </label>
                <div class="prefixed">
                    <span aria-hidden="true">"/c/"</span>
                    <input
                        id="open-name"
                        name="name"
                        required
                        autocomplete="off"
                        autocapitalize="off"
                        spellcheck="false"
                        aria-describedby="open-help"
                        aria-invalid=move || problem.with(Option::is_some).then_some("true")
                        node_ref=field
                        on:input=move |event| check(event_target_value(&event))
                    />
                </div>
                <button class="button primary">{words.open()}</button>
            </form>
            <p class="hint" id="open-help" aria-live="polite" class:problem=move || problem.with(Option::is_some)>
                {help}
            </p>
        </section>
    }
    .into_any()
}

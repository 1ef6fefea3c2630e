//! The app bar at the top of every page, with the visitor's menu.

use super::{
    glyph::{Icon, IconView, Mark},
    node::node,
    pill::Pill,
    surroundings,
};
use crate::{page::Lang, wire::limits::SENDER_NAME_CHARS};
use leptos::{ev, html, prelude::*, wasm_bindgen::JsCast, web_sys};

/// The bar at the top of every page. `at_channels` marks the link to the channel list as the current page.
#[component]
pub fn Bar(#[prop(optional)] at_channels: bool) -> impl IntoView {
    let place = surroundings();
    let host = place.origin.split_once("://").map_or(&*place.origin, |(_, host)| host).to_owned();
    let words = place.words;
    let in_channel = place.subject.is_some();
    view! {
        <header class="bar" class:in-channel=in_channel>
            <a class="back" href="/" aria-label=words.channels()>
                <IconView icon=Icon::Left />
            </a>
            <a class="brand" href="/">
                <Mark />
                <span class="brand-name">"Baro"</span>
                <span class="host">{host}</span>
            </a>
            <nav class="bar-links" aria-label=words.main_navigation()>
                <a href="/" aria-current=at_channels.then_some("page")>
                    {words.channels()}
                </a>
            </nav>
            <Pill />
            <OwnNode />
        </header>
    }
    .into_any()
}

/// The visitor's own node. It opens a menu for name and language, which works without script.
#[component]
fn OwnNode() -> impl IntoView {
    let place = surroundings();
    let words = place.words;
    let visitor = place.visitor.clone();
    let menu = NodeRef::<html::Details>::new();
    close_on_outside_click(menu);
    let on_key = move |event: ev::KeyboardEvent| {
        if event.key() == "Escape"
            && let Some(menu) = menu.get_untracked().filter(|menu| menu.open())
        {
            menu.set_open(false);
            if let Ok(Some(summary)) = menu.query_selector("summary") {
                let _ = summary.unchecked_into::<web_sys::HtmlElement>().focus();
            }
        }
    };
    let button = move |lang: Lang, name: &'static str| {
        view! {
            <button name="lang" value=lang.code() lang=lang.code() aria-pressed=(words.0 == lang).to_string()>
                {name}
            </button>
        }
    };
    view! {
        <details class="me" node_ref=menu on:keydown=on_key>
            <summary aria-label=words.own_node(&visitor.name)>
                {node(&visitor, true)}
            </summary>
            <div class="menu">
                <form method="post" action="/name" class="menu-form">
                    <label for="own-name">{words.your_name()}</label>
                    <div class="field-row">
                        <input
                            id="own-name"
                            class="input"
                            name="name"
                            value=visitor.name
                            maxlength=SENDER_NAME_CHARS.to_string()
                            autocomplete="nickname"
                            required
                        />
                        <button class="button">{words.save()}</button>
                    </div>
                    <input type="hidden" name="back" value=place.back.to_string() />
                </form>
                <form method="post" action="/lang" class="menu-form">
                    <span id="language-label">{words.language()}</span>
                    <div class="segments" role="group" aria-labelledby="language-label">
                        {button(Lang::Ko, "한국어")}
                        {button(Lang::En, "English")}
                    </div>
                    <input type="hidden" name="back" value=place.back.to_string() />
                </form>
            </div>
        </details>
    }
    .into_any()
}

fn close_on_outside_click(menu: NodeRef<html::Details>) {
    Effect::new(move || {
        let handle = window_event_listener(ev::click, move |event| {
            let Some(menu) = menu.get_untracked().filter(|menu| menu.open()) else { return };
            let inside = event
                .target()
                .and_then(|target| target.dyn_into::<web_sys::Node>().ok())
                .is_some_and(|target| menu.contains(Some(&target)));
            if !inside {
                menu.set_open(false);
            }
        });
        on_cleanup(move || handle.remove());
    });
}

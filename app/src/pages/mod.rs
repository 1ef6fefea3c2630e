//! The pages. Each is a complete HTML document that works without script.

pub mod channel;
pub mod home;
pub mod problem;

use crate::{
    components::{Surroundings, announcer::Announcer, bar::Bar, dom, surroundings},
    live::{Live, Starter},
    page::{Notice, Page, Screen},
};
use channel::ChannelPage;
use home::HomePage;
use leptos::prelude::*;
use problem::ProblemPage;
use std::sync::Arc;

/// Shows the `not-live` line if the page's script or WASM fails to load or fails before hydration. The page then
/// works as it does without script.
const NOT_LIVE: &str = "(()=>{const tell=()=>{const line=document.getElementById('not-live');\
    if(line&&!document.documentElement.hasAttribute('data-hydrated'))line.hidden=false};\
    addEventListener('error',tell,true);addEventListener('unhandledrejection',tell)})()";

/// The HTML document of a page. Only the server renders it.
#[component]
pub fn Shell(options: LeptosOptions, page: Page) -> impl IntoView {
    let place = Surroundings::new(&page);
    let title = place.words.title(place.subject.as_deref(), 0);
    let lang = page.lang.code();
    provide_context(page);
    view! {
        <!DOCTYPE html>
        <html lang=lang>
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover" />
                <meta name="color-scheme" content="light dark" />
                <title>{title}</title>
                <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
                <link rel="stylesheet" href="/pkg/baro.css" />
                <AutoReload options=options.clone() />
                <script nonce=leptos::nonce::use_nonce()>{NOT_LIVE}</script>
                <HydrationScripts options />
            </head>
            <body>
                <App />
            </body>
        </html>
    }
}

/// The content of the body. The server renders it and the browser hydrates it.
#[component]
pub fn App() -> impl IntoView {
    let page = SharedValue::new(|| use_context::<Page>().expect("Shell provides the page")).into_inner();
    let live = Live::new(&page);
    provide_context(live);
    provide_context(Arc::new(Surroundings::new(&page)));
    Effect::new(|| {
        let zone = dom::zone_minutes();
        dom::set_cookie(&format!("tz={zone}; path=/; max-age=31536000; samesite=lax"));
        let rendered = surroundings().zone;
        if rendered.get_untracked() != zone {
            rendered.set(zone);
        }
        dom::mark_hydrated();
    });
    let place_back = surroundings().back.to_string();
    let words = surroundings().words;
    let screen = match &page.screen {
        Screen::Home(_) => view! { <HomePage /> }.into_any(),
        Screen::Channel(channel) => view! { <ChannelPage channel=channel /> }.into_any(),
        Screen::Problem(problem) => view! { <ProblemPage problem=problem.clone() /> }.into_any(),
    };
    let notice = page.notice.as_ref().map(|notice| {
        let (refused, text) = match notice {
            Notice::NameSaved => (false, words.name_saved(&page.visitor.name)),
            Notice::NameRefused(why) => (true, words.name_refused(why)),
        };
        view! {
            <p class="notice" class:refusal=refused role="status">
                {text}
            </p>
        }
    });
    let at_channels = matches!(page.screen, Screen::Home(_));
    if let Some(Starter(start)) = use_context::<Starter>() {
        Effect::new(move || untrack(|| start(page.clone(), live)));
    }
    view! {
        <a class="skip" href="#main">
            {words.skip()}
        </a>
        <p id="not-live" class="not-live" role="alert" hidden>
            {words.not_live()} " " <a href=place_back>{words.reload()}</a>
        </p>
        <Bar at_channels />
        {notice}
        {screen}
        <Announcer />
    }
    .into_any()
}

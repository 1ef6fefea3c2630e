//! The home page with the list of channels.

use crate::components::{channel_list::ChannelList, command_card::SendCard, live, open_card::OpenCard, surroundings};
use leptos::prelude::*;

/// The page `/`: the list of channels, and two ways to create a channel.
#[component]
pub fn HomePage() -> impl IntoView {
    let live = live();
    let words = surroundings().words;
    let typed = RwSignal::new(None);
    let number = Memo::new(move |_| live.channels.with(Vec::len));
    let any = Memo::new(move |_| number.get() > 0);
    view! {
        <main id="main" class="home" tabindex="-1">
            <div class="home-head">
                <h1>{words.channels()}</h1>
                <p class="hint">{move || any.get().then(|| words.open_channels(number.get()))}</p>
            </div>
            <div class="home-list">
                {move || {
                    if any.get() {
                        view! {
                            <ChannelList />
                            <p class="hint list-foot">{words.newest_first()}</p>
                        }
                            .into_any()
                    } else {
                        view! {
                            <div class="empty-server">
                                <svg class="empty-line" viewBox="0 0 160 12" width="160" height="12" aria-hidden="true">
                                    <path d="M2 6H140" />
                                    <circle cx="150" cy="6" r="5" />
                                </svg>
                                <h2>{words.no_channels()}</h2>
                                <p>{words.no_channels_help()}</p>
                            </div>
                        }
                            .into_any()
                    }
                }}
            </div>
            <div class="home-side">
                <OpenCard typed />
                <SendCard channel=typed />
            </div>
        </main>
    }
    .into_any()
}

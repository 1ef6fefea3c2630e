//! The page of one channel.

use crate::{
    components::{
        composer::Composer,
        feed_view::{FeedScroll, FeedView},
        glyph::{Icon, IconView},
        live,
        live_panel::LivePanel,
        readings::Readings,
        surroundings,
    },
    live::Here,
    page::Channel,
};
use leptos::prelude::*;

/// The page `/c/{channel}`: the feed, the form that sends, and the charts.
#[component]
pub fn ChannelPage<'a>(channel: &'a Channel) -> impl IntoView {
    let readings = Readings::new(channel, live());
    provide_context(readings);
    let scroll = FeedScroll::new();
    view! {
        <div class="channel-page">
            <Channels channel />
            <main id="main" class="channel-main" tabindex="-1">
                <Head channel />
                <FeedView channel scroll />
                <Composer channel scroll />
            </main>
            <LivePanel channel readings />
        </div>
    }
    .into_any()
}

#[component]
fn Head<'a>(channel: &'a Channel) -> impl IntoView {
    let place = surroundings();
    let (live, words) = (live(), place.words);
    let back_to_now = channel.at.is_some().then(|| {
        view! {
            <a class="button small to-now" href=place.back.to_string()>
                {place.words.newest()}
            </a>
        }
    });
    view! {
        <div class="channel-head">
            <div class="channel-title">
                <h1 dir="auto">{channel.name.to_string()}</h1>
                <p class="hint">
                    <span class="address">{place.origin.to_string()} "/c/" {channel.name.to_string()}</span>
                    <span class="head-here">
                        {move || {
                            let here = live.here.with(Here::count);
                            (here > 0).then(|| words.here_now(here))
                        }}
                    </span>
                </p>
            </div>
            {back_to_now}
        </div>
    }
    .into_any()
}

/// The column at the left with links to the channels of this server.
#[component]
fn Channels<'a>(channel: &'a Channel) -> impl IntoView {
    let words = surroundings().words;
    let link = |name: &crate::wire::ChannelName, current: bool| {
        view! {
            <li>
                <a class="side-link" href=name.path() aria-current=current.then_some("page") dir="auto">
                    {name.to_string()}
                </a>
            </li>
        }
    };
    let here = (!channel.channels.contains(&channel.name)).then(|| link(&channel.name, true));
    let others = channel.channels.iter().map(|name| link(name, *name == channel.name)).collect_view();
    view! {
        <nav class="side" aria-label=words.other_channels()>
            <p class="side-title" aria-hidden="true">
                {words.other_channels()}
            </p>
            <ul>{here} {others}</ul>
            <a class="side-link open-link" href="/#open">
                <IconView icon=Icon::Plus />
                {words.open_a_channel()}
            </a>
        </nav>
    }
    .into_any()
}

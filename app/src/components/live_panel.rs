//! The panel of a channel page with charts and a table of the numbers in its messages.

use super::{
    chart_clock::ChartClock,
    command_card::program_card,
    glyph::{Icon, IconView},
    people::People,
    plot_figure::PlotFigure,
    readings::Readings,
    surroundings,
};
use crate::{chart::value_of, i18n::value, page::Channel, wire::Time};
use leptos::{html, prelude::*};

/// The time ranges of the charts that a visitor can choose, in minutes.
const RANGES: [i64; 2] = [1, 5];
/// Decimals in the table.
const TABLE_DECIMALS: usize = 6;

/// The first range in minutes. In a range of five minutes, the line of a new channel would be too short to read.
fn first_range(channel: &Channel, now: Time) -> i64 {
    let oldest = channel.readings.first().map(|reading| reading.time);
    let oldest = oldest.or_else(|| channel.messages.first().map(|message| message.time));
    if oldest.is_none_or(|oldest| now.0 - oldest.0 < 90_000) { 1 } else { 5 }
}

/// The charts of the channel's numbers, the list of its members, and the command that sends to it.
#[component]
pub fn LivePanel<'a>(channel: &'a Channel, readings: Readings) -> impl IntoView {
    let place = surroundings();
    let words = place.words;
    let clock = ChartClock::new(place.now, first_range(channel, place.now), readings.store);
    clock.run(place.now);
    let has_series = Memo::new(move |_| readings.series.with(|series| !series.is_empty()));
    view! {
        <aside class="live-panel" class:quiet-panel=move || !has_series.get() aria-label=words.live_values()>
            <section class="charts">
                {move || {
                    if has_series.get() {
                        view! { <Charts readings clock /> }.into_any()
                    } else {
                        view! {
                            <h2>{words.live_values()}</h2>
                            <svg class="plot-empty" viewBox="0 0 100 20" preserveAspectRatio="none" aria-hidden="true">
                                <path d="M0 10H100" />
                            </svg>
                            <p class="hint">
                                {words.no_numbers()} " " <code>"{ \"temp\": 24.8 }"</code>
                            </p>
                        }
                            .into_any()
                    }
                }}
            </section>
            <People />
            {program_card(&channel.name)}
        </aside>
    }
    .into_any()
}

#[component]
fn Charts(readings: Readings, clock: ChartClock) -> impl IntoView {
    let place = surroundings();
    let (words, zone) = (place.words, place.zone);
    let behind = move || {
        clock.paused.get().map(|time| {
            let behind = readings.store.with(|store| store.after(time));
            view! { <p class="paused">{words.paused(&words.clock_seconds(time, zone.get()), behind)}</p> }
        })
    };
    view! {
        <div class="charts-head">
            <h2>{words.live_values()}</h2>
            <Ranges clock />
            <PauseButton clock />
        </div>
        {behind}
        <div class="plots">
            <For
                each=move || readings.series.get().into_iter().enumerate()
                key=|(at, field)| (*at, field.clone())
                children=move |(at, field)| view! { <PlotFigure field at readings clock /> }
            />
        </div>
        <Table readings />
    }
    .into_any()
}

#[component]
fn Ranges(clock: ChartClock) -> impl IntoView {
    let words = surroundings().words;
    let choice = move |minutes: i64| {
        view! {
            <label>
                <input
                    type="radio"
                    name="range"
                    value=minutes.to_string()
                    checked=minutes == clock.minutes.get_untracked()
                    on:change=move |_| clock.minutes.set(minutes)
                />
                <span>{words.minutes(minutes)}</span>
            </label>
        }
    };
    view! {
        <fieldset class="segments needs-script">
            <legend class="visually-hidden">{words.range()}</legend>
            {RANGES.map(choice).collect_view()}
        </fieldset>
    }
    .into_any()
}

#[component]
fn PauseButton(clock: ChartClock) -> impl IntoView {
    let words = surroundings().words;
    let toggle = move |_| {
        let paused = clock.paused.get_untracked();
        clock.paused.set(if paused.is_some() { None } else { Some(clock.end.get_untracked()) });
    };
    view! {
        <button type="button" class="button small needs-script" class:primary=move || clock.is_paused() on:click=toggle>
            {move || {
                let icon = if clock.is_paused() { Icon::Play } else { Icon::Pause };
                view! { <IconView icon /> }
            }}
            <span>{move || if clock.is_paused() { words.resume() } else { words.pause() }}</span>
        </button>
    }
    .into_any()
}

/// The newest readings as a table. It is not updated while it is closed, to save work.
#[component]
fn Table(readings: Readings) -> impl IntoView {
    let place = surroundings();
    let (words, zone) = (place.words, place.zone);
    let open = RwSignal::new(false);
    let toggled = NodeRef::<html::Details>::new();
    let cells = Memo::new(move |before: Option<&Vec<Vec<String>>>| {
        if let (Some(before), false) = (before, open.get()) {
            return before.clone();
        }
        let series = readings.series.get();
        readings.store.with(|store| {
            let row = |reading: &crate::page::Reading| {
                let cell = |field: &String| {
                    value_of(reading, field).map_or_else(|| "–".to_owned(), |number| value(number, TABLE_DECIMALS))
                };
                let time = words.clock_seconds(reading.time, zone.get());
                std::iter::once(time).chain(series.iter().map(cell)).collect::<Vec<_>>()
            };
            store.table().map(row).collect()
        })
    });
    view! {
        <details
            class="table-toggle"
            node_ref=toggled
            on:toggle=move |_| open.set(toggled.get_untracked().is_some_and(|details| details.open()))
        >
            <summary>{words.show_table()}</summary>
            <div class="table-scroll" tabindex="0" role="region" aria-label=words.show_table()>
                <table>
                    <thead>
                        <tr>
                            <th scope="col">{words.time()}</th>
                            {move || {
                                readings
                                    .series
                                    .get()
                                    .into_iter()
                                    .map(|field| view! { <th scope="col">{field}</th> })
                                    .collect_view()
                            }}
                        </tr>
                    </thead>
                    <tbody>
                        {move || {
                            cells
                                .get()
                                .into_iter()
                                .map(|row| {
                                    view! {
                                        <tr>
                                            {row.into_iter().map(|cell| view! { <td>{cell}</td> }).collect_view()}
                                        </tr>
                                    }
                                })
                                .collect_view()
                        }}
                    </tbody>
                </table>
            </div>
        </details>
    }
    .into_any()
}

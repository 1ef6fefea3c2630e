use super::{
    command_card::program_card,
    dom,
    glyph::{Icon, IconView},
    people::People,
    plot_figure::PlotFigure,
    surroundings,
};
use crate::{
    chart::{Store, Window, readings, value_of},
    feed,
    i18n::value,
    live::Live,
    page::Channel,
    wire::{Id, Time},
};
use leptos::{html, prelude::*};
use std::time::Duration;

/// Charts move this often.
const STEP: Duration = Duration::from_secs(1);
/// The ranges one can choose from, in minutes.
const RANGES: [i64; 2] = [1, 5];
/// Digits after the point in the table.
const TABLE_DECIMALS: usize = 6;

/// The numbers of the channel, for the charts and for the underlines in the feed.
#[derive(Clone, Copy)]
pub struct Readings {
    /// What was measured.
    pub store: RwSignal<Store>,
    /// The series, in the order of their colours.
    pub series: Memo<Vec<String>>,
}

impl Readings {
    /// What the server rendered; later ones follow the feed.
    pub fn new(channel: &Channel, live: Live) -> Self {
        let mut first = Store::default();
        first.extend(channel.readings.iter().cloned());
        first.extend(channel.messages.iter().filter_map(readings));
        let store = RwSignal::new(first);
        Effect::new(move |last: Option<Option<Id>>| {
            live.feed.with(|feed| {
                if let Some(last) = last {
                    let new: Vec<_> = feed::since(feed, last).iter().filter_map(|message| readings(message)).collect();
                    if !new.is_empty() {
                        store.update(|store| store.extend(new));
                    }
                }
                feed::newest(feed).or(last.flatten())
            })
        });
        Self { store, series: Memo::new(move |_| store.with(Store::series)) }
    }
}

/// What part of time the charts show.
#[derive(Clone, Copy)]
pub struct Clock {
    ticking: RwSignal<Time>,
    minutes: RwSignal<i64>,
    paused: RwSignal<Option<Time>>,
    end: Memo<Time>,
}

impl Clock {
    /// Starts at the moment of rendering, which server and browser share.
    fn new(now: Time, minutes: i64, store: RwSignal<Store>) -> Self {
        let ticking = RwSignal::new(now);
        let paused = RwSignal::new(None::<Time>);
        let end = Memo::new(move |_| {
            paused.get().unwrap_or_else(|| {
                let newest = store.with(Store::newest).unwrap_or(now);
                ticking.get().max(newest)
            })
        });
        Self { ticking, minutes: RwSignal::new(minutes), paused, end }
    }

    /// Whether the reader stopped the charts.
    pub fn is_paused(self) -> bool {
        self.paused.get().is_some()
    }

    /// What the charts show now.
    pub fn window(self) -> Window {
        Window { end: self.end.get(), minutes: self.minutes.get() }
    }

    /// The server's clock goes on from the moment of rendering, at the pace of the reader's.
    fn run(self, now: Time) {
        Effect::new(move || {
            let started = dom::now();
            let _ = set_interval(
                move || {
                    if dom::visible() {
                        self.ticking.set(Time(now.0 + (dom::now().0 - started.0).max(0)));
                    }
                },
                STEP,
            );
        });
    }
}

/// Minutes shown at first: a channel that has just begun would be a stroke at the edge of five.
fn first_range(channel: &Channel, now: Time) -> i64 {
    let oldest = channel.readings.first().map(|reading| reading.time);
    let oldest = oldest.or_else(|| channel.messages.first().map(|message| message.time));
    if oldest.is_none_or(|oldest| now.0 - oldest.0 < 90_000) { 1 } else { 5 }
}

/// Charts of the channel's numbers, and how to send some.
#[component]
pub fn LivePanel<'a>(channel: &'a Channel, readings: Readings) -> impl IntoView {
    let place = surroundings();
    let words = place.words;
    let clock = Clock::new(place.now, first_range(channel, place.now), readings.store);
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
fn Charts(readings: Readings, clock: Clock) -> impl IntoView {
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
fn Ranges(clock: Clock) -> impl IntoView {
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
fn PauseButton(clock: Clock) -> impl IntoView {
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

/// The last readings. While it is closed it stays as it is: nobody looks.
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

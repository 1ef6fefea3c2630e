//! The list of the people and programs that are in the channel.

use super::{live, node::node, surroundings};
use crate::wire::{Kind, Sender};
use leptos::prelude::*;

/// The most names in the list. The count above the list includes every member.
const SHOWN: usize = 30;

/// The members of the channel at present: people first, then programs.
#[component]
pub fn People() -> impl IntoView {
    let live = live();
    let place = surroundings();
    let words = place.words;
    let own = place.visitor.id.clone();
    let lines = move || {
        let mut who = live.here.with(|here| here.who.clone());
        who.sort_by_key(|sender| (sender.kind == Kind::Program, sender.name.clone()));
        let writing = live.typing.get();
        let line = |sender: &Sender| {
            let (mine, writes) = (sender.id == own, writing.iter().any(|writer| writer.id == sender.id));
            view! {
                <li>
                    {node(sender, mine)}
                    <span class="person" dir="auto">
                        {sender.name.clone()}
                    </span>
                    {mine.then(|| view! { <span class="hint">{words.you()}</span> })}
                    {writes.then(|| view! { <span class="hint writes">{words.writes()}</span> })}
                </li>
            }
        };
        who.iter().take(SHOWN).map(line).collect_view()
    };
    let count = Memo::new(move |_| live.here.with(|here| (here.people, here.programs)));
    let shown = Memo::new(move |_| count.get() != (0, 0));
    view! {
        <section class="people" hidden=move || !shown.get()>
            <div class="people-head">
                <h2>{move || words.here_now(count.get().0 + count.get().1)}</h2>
                <p class="hint">{move || words.people_and_programs(count.get().0, count.get().1)}</p>
            </div>
            <ul>{lines}</ul>
        </section>
    }
    .into_any()
}

use crate::{
    feed::initial,
    wire::{Kind, Sender},
};
use leptos::prelude::*;

/// The drawing of an author: round is a person, square is a program, ink-filled is you.
pub fn node(from: &Sender, own: bool) -> impl IntoView + use<> {
    let class = match (from.kind, own) {
        (Kind::Person, true) => "node own",
        (Kind::Person, false) => "node",
        (Kind::Program, _) => "node program",
    };
    let inside = match from.kind {
        Kind::Person => initial(&from.name),
        Kind::Program => "≡".to_owned(),
    };
    view! {
        <span class=class aria-hidden="true">
            {inside}
        </span>
    }
}

//! The components of the pages, and the context that they share.

pub mod announcer;
pub mod bar;
pub mod bodies;
pub mod channel_list;
pub mod chart_clock;
pub mod command_card;
pub mod composer;
pub mod dom;
pub mod feed_view;
pub mod glyph;
pub mod live_panel;
pub mod node;
pub mod open_card;
pub mod outgoing;
pub mod people;
pub mod pill;
pub mod plot_figure;
pub mod readings;
pub mod row;

use crate::{
    i18n::Words,
    live::Live,
    page::{Page, Screen},
    wire::{Sender, Time},
};
use leptos::prelude::*;
use std::sync::Arc;

/// The values that every component of a page can read from the context.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The interface texts in the page's language.
    pub words: Words,
    /// The visitor who opened the page.
    pub visitor: Sender,
    /// The origin under which the visitor's browser reaches this server.
    pub origin: Arc<str>,
    /// The time zone in minutes east of UTC: the rendered one first, the browser's after hydration.
    pub zone: RwSignal<i16>,
    /// When the page was rendered.
    pub now: Time,
    /// The path of this page, where a form post redirects to.
    pub back: Arc<str>,
    /// The channel name in the page title, on a channel page.
    pub subject: Option<Arc<str>>,
}

impl Surroundings {
    /// Reads the values from the page data of the server.
    pub fn new(page: &Page) -> Self {
        let (back, subject) = match &page.screen {
            Screen::Channel(channel) => (channel.name.path(), Some(channel.name.as_str().into())),
            Screen::Home(_) | Screen::Problem(_) => ("/".to_owned(), None),
        };
        Self {
            words: Words(page.lang),
            visitor: page.visitor.clone(),
            origin: page.origin.as_str().into(),
            zone: RwSignal::new(page.zone),
            now: page.now,
            back: back.into(),
            subject,
        }
    }
}

/// Reads the shared values from the context.
pub fn surroundings() -> Arc<Surroundings> {
    expect_context()
}

/// Reads the connection's signals from the context.
pub fn live() -> Live {
    expect_context()
}

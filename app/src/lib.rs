//! What Baro's server and its page share. Builds for both; knows no socket, no store, no tokio.
//!
//! - [`wire`]: names, messages, frames, errors, limits. Serde only.
//! - [`page`]: what the server hands to a page when it renders it.
//! - [`live`]: the page's view of the connection: signals in, commands out.
//! - [`feed`] and [`chart`]: pure functions from messages to what is drawn.
//! - [`i18n`]: every sentence, in Korean and English.
//! - [`pages`] and [`components`]: the screens.

pub mod chart;
pub mod components;
pub mod feed;
pub mod i18n;
pub mod live;
pub mod page;
pub mod pages;
pub mod wire;

pub use pages::{App, Shell};

//! The browser side of Baro's page: it hydrates the HTML from the server and keeps it up to date.
//!
//! - [`machine`]: the state machine of the connection, (state, event) -> (state, effects); pure and tested natively.
//! - [`carriers`]: `WebSocket`, `EventSource`, `fetch` and timers; executes the effects.

mod carriers;
mod machine;

use leptos::prelude::*;

/// Hydrates the page that the server rendered.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_body(|| {
        provide_context(app::live::Starter(carriers::start));
        view! { <app::App /> }
    });
}

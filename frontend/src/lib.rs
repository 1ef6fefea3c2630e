//! Baro's page in the browser.
//!
//! - [`machine`]: the connection as (state, event) -> (state, effects); pure and tested natively.
//! - [`carriers`]: `WebSocket`, `EventSource`, `fetch` and timers; carries the effects out.

mod carriers;
mod machine;

use leptos::prelude::*;

/// Wakes the page the server rendered.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_body(|| {
        provide_context(app::live::Starter(carriers::start));
        view! { <app::App /> }
    });
}

//! Access to browser APIs. Call these functions only in event handlers and effects, which do not run on the server.

use crate::wire::Time;
use leptos::{
    prelude::{document, queue_microtask, set_timeout, window},
    wasm_bindgen::{JsCast, JsValue, prelude::Closure},
    web_sys::{
        self,
        js_sys::{Array, Date, Function, Reflect},
    },
};
use std::time::Duration;

/// The browser's time zone in minutes east of UTC.
pub fn zone_minutes() -> i16 {
    -(Date::new_0().get_timezone_offset() as i16)
}

/// The time of the browser's clock.
pub fn now() -> Time {
    Time(Date::now() as i64)
}

/// Sets a cookie.
pub fn set_cookie(cookie: &str) {
    let _ = Reflect::set(&document(), &"cookie".into(), &cookie.into());
}

/// Marks the document as hydrated. Style sheets, end-to-end tests and the `not-live` script read the mark.
pub fn mark_hydrated() {
    if let Some(root) = document().document_element() {
        let _ = root.set_attribute("data-hydrated", "");
    }
}

/// The fragment of the page address, without `#`.
pub fn fragment() -> String {
    window().location().hash().unwrap_or_default().trim_start_matches('#').to_owned()
}

/// Whether the main input is a touch screen.
pub fn touches() -> bool {
    call(&window(), "matchMedia", &["(pointer: coarse)".into()])
        .and_then(|query| Reflect::get(&query, &"matches".into()).ok())
        .is_some_and(|matches| matches.is_truthy())
}

/// Reads a text from the session storage of this tab.
pub fn kept(key: &str) -> Option<String> {
    call(&storage()?, "getItem", &[key.into()])?.as_string()
}

/// Writes a text to the session storage of this tab. An empty text removes the key.
pub fn keep(key: &str, text: &str) {
    let Some(storage) = storage() else { return };
    if text.is_empty() {
        call(&storage, "removeItem", &[key.into()]);
    } else {
        call(&storage, "setItem", &[key.into(), text.into()]);
    }
}

/// Copies a text to the clipboard. On insecure origins, which have no clipboard API, it copies by selection.
pub fn copy(text: &str) {
    let clipboard = get(&window(), "navigator").and_then(|navigator| get(&navigator, "clipboard"));
    match clipboard {
        Some(clipboard) => {
            let promise = call(&clipboard, "writeText", &[text.into()]);
            let text = text.to_owned();
            let refused = Closure::once_into_js(move |_: JsValue| copy_by_selection(&text));
            promise.and_then(|promise| call(&promise, "catch", &[refused]));
        }
        None => copy_by_selection(text),
    }
}

fn copy_by_selection(text: &str) {
    let document = document();
    let Some(body) = document.body() else { return };
    let Ok(area) = document.create_element("textarea") else { return };
    let area: web_sys::HtmlTextAreaElement = area.unchecked_into();
    area.set_class_name("visually-hidden");
    area.set_value(text);
    let _ = body.append_child(&area);
    area.select();
    call(&document, "execCommand", &["copy".into()]);
    area.remove();
}

/// Runs a task after a delay, even if the calling effect runs again before it. A timer that is set directly in an
/// effect is cancelled by the effect's next run.
pub fn later(after: Duration, task: impl FnOnce() + 'static) {
    queue_microtask(move || {
        let _ = set_timeout(task, after);
    });
}

/// Whether the page is visible, that is, not in a hidden tab.
pub fn visible() -> bool {
    !document().hidden()
}

fn storage() -> Option<JsValue> {
    get(&window(), "sessionStorage")
}

fn get(of: &JsValue, name: &str) -> Option<JsValue> {
    Reflect::get(of, &name.into()).ok().filter(|value| !value.is_undefined() && !value.is_null())
}

fn call(of: &JsValue, name: &str, arguments: &[JsValue]) -> Option<JsValue> {
    let function: Function = get(of, name)?.dyn_into().ok()?;
    function.apply(of, &arguments.iter().collect::<Array>()).ok()
}

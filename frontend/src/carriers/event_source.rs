//! The carrier for SSE: an `EventSource` that passes its frames to the machine.

use super::{Runner, read_frame};
use crate::machine::Signal;
use std::rc::Rc;
use wasm_bindgen::{JsCast, JsValue, prelude::Closure};

/// Frames that the server sends as named events. Messages are events without a name.
const NAMED: [&str; 4] = ["missed", "cursor", "ack", "bye"];

/// An EventSource and the callbacks it holds.
pub(super) struct Stream {
    source: web_sys::EventSource,
    opened: Closure<dyn FnMut(JsValue)>,
    frame: Closure<dyn FnMut(web_sys::MessageEvent)>,
    channel: Closure<dyn FnMut(web_sys::MessageEvent)>,
    error: Closure<dyn FnMut(web_sys::Event)>,
}

impl Stream {
    pub(super) fn open(runner: &Rc<Runner>, generation: u32, path: &str) -> Option<Self> {
        let source = web_sys::EventSource::new(path).ok()?;
        let on_open = Rc::clone(runner);
        let opened = Closure::<dyn FnMut(JsValue)>::new(move |_| on_open.signal(generation, Signal::Opened));
        let frame = listener(runner, generation, read_frame);
        let channel = listener(runner, generation, |text| match serde_json::from_str(text) {
            Ok(entry) => Signal::Channel(Box::new(entry)),
            Err(_) => Signal::Unknown,
        });
        let on_error = Rc::clone(runner);
        let error = Closure::<dyn FnMut(web_sys::Event)>::new(move |event: web_sys::Event| {
            // The server's `error` frames have the same event name as the browser's own error event.
            let text = event.dyn_ref::<web_sys::MessageEvent>().and_then(|event| event.data().as_string());
            on_error.signal(generation, text.map_or(Signal::Closed, |text| read_frame(&text)));
        });
        let stream = Self { source, opened, frame, channel, error };
        stream.listen();
        Some(stream)
    }

    fn listen(&self) {
        self.source.set_onopen(Some(self.opened.as_ref().unchecked_ref()));
        self.source.set_onmessage(Some(self.frame.as_ref().unchecked_ref()));
        self.source.set_onerror(Some(self.error.as_ref().unchecked_ref()));
        for name in NAMED {
            let _ = self.source.add_event_listener_with_callback(name, self.frame.as_ref().unchecked_ref());
        }
        let _ = self.source.add_event_listener_with_callback("channel", self.channel.as_ref().unchecked_ref());
    }

    /// Must be called immediately after an error: otherwise the browser reconnects in parallel with the machine.
    pub(super) fn close(&self) {
        self.source.set_onopen(None);
        self.source.set_onmessage(None);
        self.source.set_onerror(None);
        for name in NAMED {
            let _ = self.source.remove_event_listener_with_callback(name, self.frame.as_ref().unchecked_ref());
        }
        let _ = self.source.remove_event_listener_with_callback("channel", self.channel.as_ref().unchecked_ref());
        self.source.close();
    }
}

fn listener(
    runner: &Rc<Runner>,
    generation: u32,
    read: fn(&str) -> Signal,
) -> Closure<dyn FnMut(web_sys::MessageEvent)> {
    let runner = Rc::clone(runner);
    Closure::new(move |event: web_sys::MessageEvent| {
        let signal = event.data().as_string().map_or(Signal::Unknown, |text| read(&text));
        runner.signal(generation, signal);
    })
}

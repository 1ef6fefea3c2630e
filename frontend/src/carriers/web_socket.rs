//! The carrier for WebSocket: a socket that passes its frames to the machine.

use super::{Runner, read_frame};
use crate::machine::Signal;
use std::rc::Rc;
use wasm_bindgen::{JsCast, JsValue, prelude::Closure};

/// A WebSocket and the callbacks it holds.
pub(super) struct Socket {
    socket: web_sys::WebSocket,
    _opened: Closure<dyn FnMut(JsValue)>,
    _message: Closure<dyn FnMut(web_sys::MessageEvent)>,
    _closed: Closure<dyn FnMut(JsValue)>,
}

impl Socket {
    pub(super) fn open(runner: &Rc<Runner>, generation: u32, path: &str) -> Option<Self> {
        let location = runner.window.location();
        let scheme = if location.protocol().ok()? == "https:" { "wss" } else { "ws" };
        let socket = web_sys::WebSocket::new(&format!("{scheme}://{}{path}", location.host().ok()?)).ok()?;
        let signal = |signal: Signal| {
            let runner = Rc::clone(runner);
            Closure::<dyn FnMut(JsValue)>::new(move |_| runner.signal(generation, signal.clone()))
        };
        let (opened, closed) = (signal(Signal::Opened), signal(Signal::Closed));
        let frames = Rc::clone(runner);
        let message = Closure::<dyn FnMut(web_sys::MessageEvent)>::new(move |event: web_sys::MessageEvent| {
            let signal = event.data().as_string().map_or(Signal::Unknown, |text| read_frame(&text));
            frames.signal(generation, signal);
        });
        socket.set_onopen(Some(opened.as_ref().unchecked_ref()));
        socket.set_onmessage(Some(message.as_ref().unchecked_ref()));
        // The browser fires `close` after every `error`; the machine ignores the second of the two.
        socket.set_onerror(Some(closed.as_ref().unchecked_ref()));
        socket.set_onclose(Some(closed.as_ref().unchecked_ref()));
        Some(Self { socket, _opened: opened, _message: message, _closed: closed })
    }

    pub(super) fn send(&self, text: &str) {
        // `send` fails only while the socket is connecting, and the machine does not send in that state.
        let _ = self.socket.send_with_str(text);
    }

    /// Does not wait for the `close` event: after the computer slept, some browsers keep sockets that never close.
    pub(super) fn close(&self) {
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onerror(None);
        self.socket.set_onclose(None);
        let _ = self.socket.close();
    }
}

//! The page's HTTP requests: publishing a message and measuring the round trip.

use super::{Runner, set_timeout};
use crate::machine::{Answer, Event, Millis};
use app::wire::{Ack, ErrorBody};
use gloo_net::http::{Request, Response};
use std::rc::Rc;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen_futures::spawn_local;

/// A request that takes longer is aborted, because it occupies one of the browser's few connections.
const LONGEST: Millis = 30_000;

pub(super) fn post(runner: &Rc<Runner>, key: String, path: &str, content_type: &str, body: &[u8]) {
    let limit = Limit::new(runner);
    let request = Request::post(path)
        .header("content-type", content_type)
        .header("idempotency-key", &key)
        .abort_signal(limit.signal().as_ref())
        .body(js_sys::Uint8Array::from(body));
    let runner = Rc::clone(runner);
    spawn_local(async move {
        let answer = match request {
            Ok(request) => match request.send().await {
                Ok(response) => read_answer(response).await,
                Err(_) => Answer::Lost,
            },
            Err(error) => Answer::Refused { code: None, message: error.to_string() },
        };
        drop(limit);
        runner.dispatch(Event::Posted { key, answer });
    });
}

async fn read_answer(response: Response) -> Answer {
    let Ok(text) = response.text().await else { return Answer::Lost };
    if response.ok() {
        // A success without an acknowledgement came from something other than Baro, such as a proxy.
        return serde_json::from_str::<Ack>(&text)
            .ok()
            .filter(|ack| ack.id.is_some())
            .map_or(Answer::Lost, Answer::Stored);
    }
    match serde_json::from_str::<ErrorBody>(&text) {
        Ok(body) => Answer::Refused { code: Some(body.error.code), message: body.error.message },
        Err(_) if response.status() >= 500 => Answer::Lost,
        Err(_) => Answer::Refused { code: None, message: format!("{} {}", response.status(), response.status_text()) },
    }
}

pub(super) fn probe(runner: &Rc<Runner>, id: u64) {
    let limit = Limit::new(runner);
    let request = Request::get("/healthz").cache(web_sys::RequestCache::NoStore).abort_signal(limit.signal().as_ref());
    let runner = Rc::clone(runner);
    spawn_local(async move {
        let ok = request.send().await.is_ok_and(|response| response.ok());
        drop(limit);
        runner.dispatch(Event::Probed { id, ok });
    });
}

/// Aborts a request that takes longer than [`LONGEST`].
struct Limit {
    controller: Option<web_sys::AbortController>,
    window: web_sys::Window,
    timer: Option<i32>,
    _abort: Closure<dyn FnMut()>,
}

impl Limit {
    fn new(runner: &Rc<Runner>) -> Self {
        let controller = web_sys::AbortController::new().ok();
        let aborted = controller.clone();
        let abort = Closure::<dyn FnMut()>::new(move || {
            if let Some(controller) = &aborted {
                controller.abort();
            }
        });
        let window = runner.window.clone();
        let timer = set_timeout(&window, &abort, LONGEST);
        Self { controller, window, timer, _abort: abort }
    }

    fn signal(&self) -> Option<web_sys::AbortSignal> {
        self.controller.as_ref().map(web_sys::AbortController::signal)
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            self.window.clear_timeout_with_handle(timer);
        }
    }
}

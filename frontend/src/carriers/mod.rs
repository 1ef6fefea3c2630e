//! Executes the machine's effects in the browser: `WebSocket`, `EventSource`, `fetch`, one timer and `sessionStorage`.
//!
//! Browser callbacks only parse their input and pass an event to the machine. [`screen`] changes the page, once per
//! frame.

mod event_source;
mod pace;
mod request;
mod screen;
mod web_socket;

use crate::machine::{Effect, Event, Machine, Millis, Signal};
use app::{
    live::{Live, Transport, UserAction},
    page::Page,
    wire::Frame,
};
use event_source::Stream;
use screen::Screen;
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
};
use wasm_bindgen::{JsCast, JsValue, prelude::Closure};
use web_socket::Socket;

/// Maximum events that wait while another one is handled. Only effects add events in that time.
const QUEUE: usize = 4096;
/// The seed if the browser provides no random numbers. Only the spread of reconnects suffers.
const NO_SEED: u64 = 0x5eed;
/// The longest timer that is set: browsers store the delay as a signed 32-bit number of milliseconds.
const LONGEST_TIMER: Millis = 2_000_000_000;

/// Connects a page. Called once, after hydration.
#[expect(clippy::needless_pass_by_value, reason = "the signature of `app::live::Starter`")]
pub(crate) fn start(page: Page, live: Live) {
    let seed = random_bytes().map_or(NO_SEED, |bytes| u64::from_le_bytes(bytes[..8].try_into().unwrap_or_default()));
    let (Some(machine), Some(window)) = (Machine::new(&page, seed), web_sys::window()) else { return };
    let runner = Rc::new(Runner::new(machine, window, live));
    runner.watch_page();
    let stored = runner.storage().and_then(|(storage, key)| storage.get_item(&key).ok().flatten());
    let online = runner.window.navigator().on_line();
    let visible = runner.is_visible();
    runner.dispatch(Event::Start { online, visible, stored });
    let actor = Rc::clone(&runner);
    live.listen(move |action| actor.act(action));
}

/// A connection that delivers frames to the page.
enum Carrier {
    Socket(Socket),
    Stream(Stream),
}

/// Runs the machine and executes its effects. Lives as long as the page.
struct Runner {
    window: web_sys::Window,
    machine: RefCell<Machine>,
    carriers: RefCell<Vec<(u32, Carrier)>>,
    /// Closed carriers. They are dropped at the next wake-up, because one of their callbacks may be running now.
    retired: RefCell<Vec<Carrier>>,
    events: RefCell<VecDeque<Event>>,
    running: Cell<bool>,
    timer: Cell<Option<(i32, Millis)>>,
    wake: RefCell<Option<Closure<dyn FnMut()>>>,
    screen: Rc<Screen>,
}

impl Runner {
    fn new(machine: Machine, window: web_sys::Window, live: Live) -> Self {
        Self {
            screen: Screen::new(window.clone(), live),
            window,
            machine: RefCell::new(machine),
            carriers: RefCell::default(),
            retired: RefCell::default(),
            events: RefCell::default(),
            running: Cell::new(false),
            timer: Cell::new(None),
            wake: RefCell::default(),
        }
    }

    fn now(&self) -> Millis {
        now(&self.window)
    }

    fn is_visible(&self) -> bool {
        let state = self.window.document().map(|document| document.visibility_state());
        state != Some(web_sys::VisibilityState::Hidden)
    }

    /// Handles one event at a time. An event that an effect causes is handled after the current one.
    fn dispatch(self: &Rc<Self>, event: Event) {
        {
            let mut events = self.events.borrow_mut();
            if events.len() < QUEUE {
                events.push_back(event);
            }
        }
        if self.running.replace(true) {
            return;
        }
        loop {
            let Some(event) = self.events.borrow_mut().pop_front() else { break };
            let effects = self.machine.borrow_mut().step(self.now(), event);
            effects.into_iter().for_each(|effect| self.run(effect));
        }
        self.running.set(false);
        self.set_timer();
    }

    fn act(self: &Rc<Self>, action: UserAction) {
        let Some(bytes) = random_bytes() else { return warn("this browser gives no random numbers") };
        let key = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.dispatch(Event::Action { action, key });
    }

    fn run(self: &Rc<Self>, effect: Effect) {
        match effect {
            Effect::Open { generation, transport, path } => self.open(generation, transport, &path),
            Effect::Close { generation } => self.close(generation),
            Effect::Send { generation, text } => self.send(generation, &text),
            Effect::Post { key, path, content_type, body } => request::post(self, key, &path, content_type, &body),
            Effect::Probe { id } => request::probe(self, id),
            Effect::Store(text) => self.store(text.as_deref()),
            Effect::Update(update) => self.screen.show(update),
            Effect::Warn(text) => warn(&text),
        }
    }

    fn open(self: &Rc<Self>, generation: u32, transport: Transport, path: &str) {
        let carrier = match transport {
            Transport::WebSocket => Socket::open(self, generation, path).map(Carrier::Socket),
            Transport::Sse => Stream::open(self, generation, path).map(Carrier::Stream),
        };
        match carrier {
            Some(carrier) => self.carriers.borrow_mut().push((generation, carrier)),
            None => self.dispatch(Event::Carrier { generation, signal: Signal::Closed }),
        }
    }

    fn close(&self, generation: u32) {
        let mut carriers = self.carriers.borrow_mut();
        let Some(at) = carriers.iter().position(|(known, _)| *known == generation) else { return };
        let (_, carrier) = carriers.swap_remove(at);
        match &carrier {
            Carrier::Socket(socket) => socket.close(),
            Carrier::Stream(stream) => stream.close(),
        }
        self.retired.borrow_mut().push(carrier);
    }

    fn send(&self, generation: u32, text: &str) {
        let carriers = self.carriers.borrow();
        if let Some((_, Carrier::Socket(socket))) = carriers.iter().find(|(known, _)| *known == generation) {
            socket.send(text);
        }
    }

    fn signal(self: &Rc<Self>, generation: u32, signal: Signal) {
        self.dispatch(Event::Carrier { generation, signal });
    }

    /// The session storage and the key to use. Private mode and sandboxed frames have no storage.
    fn storage(&self) -> Option<(web_sys::Storage, String)> {
        let key = self.machine.borrow().storage_key()?;
        Some((self.window.session_storage().ok().flatten()?, key))
    }

    fn store(&self, text: Option<&str>) {
        let Some((storage, key)) = self.storage() else { return };
        // If the storage is full or forbidden, unsent messages do not survive a reload. Nothing else depends on it.
        let _ = match text {
            Some(text) => storage.set_item(&key, text),
            None => storage.remove_item(&key),
        };
    }

    fn set_timer(self: &Rc<Self>) {
        let due = self.machine.borrow().wake_at();
        if let Some((timer, at)) = self.timer.get() {
            if due == Some(at) {
                return;
            }
            self.window.clear_timeout_with_handle(timer);
            self.timer.set(None);
        }
        let Some(at) = due else { return };
        let wait = at.saturating_sub(self.now()).min(LONGEST_TIMER);
        let mut wake = self.wake.borrow_mut();
        let wake = wake.get_or_insert_with(|| {
            let runner = Rc::clone(self);
            Closure::new(move || runner.woken())
        });
        self.timer.set(set_timeout(&self.window, wake, wait).map(|timer| (timer, at)));
    }

    fn woken(self: &Rc<Self>) {
        self.timer.set(None);
        self.retired.borrow_mut().clear();
        self.dispatch(Event::Wake);
    }

    fn watch_page(self: &Rc<Self>) {
        self.on(&self.window, "online", |_, _| Some(Event::Online(true)));
        self.on(&self.window, "offline", |_, _| Some(Event::Online(false)));
        self.on(&self.window, "pagehide", |_, _| Some(Event::Hide));
        self.on(&self.window, "pageshow", |_, event| {
            let kept = js_sys::Reflect::get(event, &"persisted".into()).is_ok_and(|kept| kept.is_truthy());
            kept.then_some(Event::Show)
        });
        if let Some(document) = self.window.document() {
            self.on(&document, "visibilitychange", |runner, _| Some(Event::Visible(runner.is_visible())));
        }
    }

    fn on(
        self: &Rc<Self>,
        target: &web_sys::EventTarget,
        name: &str,
        make: fn(&Rc<Self>, &web_sys::Event) -> Option<Event>,
    ) {
        let runner = Rc::clone(self);
        let listener = Closure::<dyn FnMut(web_sys::Event)>::new(move |event: web_sys::Event| {
            if let Some(event) = make(&runner, &event) {
                runner.dispatch(event);
            }
        });
        // The listener lives as long as the page.
        let _ = target.add_event_listener_with_callback(name, listener.into_js_value().unchecked_ref());
    }
}

/// Parses a text frame into a signal for the machine.
fn read_frame(text: &str) -> Signal {
    Frame::parse(text).map_or(Signal::Unknown, Signal::Frame)
}

fn now(window: &web_sys::Window) -> Millis {
    window.performance().map_or_else(js_sys::Date::now, |clock| clock.now()) as Millis
}

fn set_timeout(window: &web_sys::Window, closure: &Closure<dyn FnMut()>, wait: Millis) -> Option<i32> {
    let wait = i32::try_from(wait).unwrap_or(i32::MAX);
    window.set_timeout_with_callback_and_timeout_and_arguments_0(closure.as_ref().unchecked_ref(), wait).ok()
}

/// Uses `getRandomValues`, which also works on plain HTTP, unlike `randomUUID`.
fn random_bytes() -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    web_sys::window()?.crypto().ok()?.get_random_values_with_u8_array(&mut bytes).ok()?;
    Some(bytes)
}

fn warn(text: &str) {
    web_sys::console::warn_1(&JsValue::from_str(&format!("Baro: {text}")));
}

//! The last request of a connection, remembered for the next one that is the same but for a cursor or a length.

use super::{
    super::{
        access_log::LoggedRequest,
        publish::{PublishParams, draft},
        read::LongPoll,
        state::App,
        who::Peer,
    },
    template::{Fit, Template},
};
use crate::{engine::Draft, limits::REMEMBERED_SHAPES};
use app::wire::{ChannelName, Id, ReadParams, Sender, Start};
use axum::http::{HeaderValue, Method};
use bytes::Bytes;
use std::{cell::RefCell, collections::VecDeque, ops::Range, sync::Arc};
use tokio::time::Instant;

/// What a request asks for, as far as its head says. Connections of the same program share one: with a thousand of them
/// that is memory which a request need not fetch (bench row `poll-cpu`).
pub(super) struct Shape {
    pub(super) method: Method,
    /// As in the log.
    pub(super) path: Box<str>,
    pub(super) channel: ChannelName,
    pub(super) params: ReadParams,
    /// How the request comes again; `None` if each has to be read.
    pub(super) template: Option<Template>,
}

impl Shape {
    /// The same shape, as another connection of this thread has it.
    fn shared(self) -> Arc<Self> {
        thread_local! {
            static RECENT: RefCell<VecDeque<Arc<Shape>>> = const { RefCell::new(VecDeque::new()) };
        }
        if self.template.is_none() {
            return Arc::new(self);
        }
        RECENT.with_borrow_mut(|recent| {
            // Heads that are equal, but for the place that may differ, ask for the same.
            let known = recent.iter().position(|other| other.template == self.template);
            let this = known.and_then(|at| recent.remove(at)).unwrap_or_else(|| Arc::new(self));
            recent.truncate(REMEMBERED_SHAPES - 1);
            recent.push_front(Arc::clone(&this));
            this
        })
    }
}

/// What a connection asks for, as whom.
#[derive(Clone)]
pub(super) enum Action {
    Publish(PublishParams),
    Read(Sender),
}

/// The last request of a connection.
pub(super) struct LastRequest {
    pub(super) shape: Arc<Shape>,
    pub(super) action: Action,
    /// Whose pages may read the answer.
    pub(super) origin: Option<HeaderValue>,
    peer: Peer,
    /// The poll that waited, while no answer is under way.
    pub(super) poll: Option<Box<LongPoll>>,
}

/// A request that came whole.
pub(super) struct Parsed {
    pub(super) request: Box<LastRequest>,
    pub(super) params: ReadParams,
    /// Where its body lies in what was received.
    pub(super) body: Range<usize>,
}

/// A request that came again, and nothing behind it.
pub(super) enum Again {
    Publish(Box<Draft>),
    /// The poll continues, and waits until then. It is put back when it is answered.
    Poll(Box<LongPoll>, Instant),
}

impl LastRequest {
    pub(super) fn new(shape: Shape, action: Action, origin: Option<HeaderValue>, peer: Peer) -> Self {
        Self { shape: shape.shared(), action, origin, peer, poll: None }
    }

    /// Its line in the log.
    pub(super) fn logged(&self, app: &App) -> Option<Box<LoggedRequest>> {
        app.log.request(|| (&self.shape.method, &self.shape.path, self.peer))
    }

    /// Recognises the request, if it is all that was received and needs no other answer than the last one did.
    pub(super) fn again(&mut self, app: &App, received: &[u8]) -> Option<Again> {
        let Fit { value, end } = self.shape.template.as_ref()?.fit(received)?;
        match &self.action {
            Action::Publish(params) => {
                let body = received.get(end..).filter(|body| value.parse() == Ok(body.len()))?;
                // A refusal is answered like that of a request that is read.
                let channel = self.shape.channel.clone();
                draft(app, channel, params.clone(), body.to_vec()).ok().map(Again::Publish)
            }
            Action::Read(_) => {
                let cursor = value.parse().ok().filter(|_| end == received.len())?;
                let wait = self.shape.params.wait;
                let now = Instant::now();
                if !self.poll.as_mut()?.ask_again(cursor, wait) {
                    return None;
                }
                self.poll.take().map(|poll| Again::Poll(poll, now + wait))
            }
        }
    }

    /// If the request came again: what it asks for now, and where its body lies.
    pub(super) fn reread(&self, received: &Bytes) -> Option<(ReadParams, Range<usize>)> {
        let Fit { value, end } = self.shape.template.as_ref()?.fit(received)?;
        let mut params = self.shape.params.clone();
        let mut length = 0;
        match &self.action {
            Action::Publish(_) => length = value.parse().ok()?,
            Action::Read(_) => params.start = Some(Start::After(value.parse::<Id>().ok()?)),
        }
        let body_end = end.checked_add(length).filter(|end| *end <= received.len())?;
        Some((params, end..body_end))
    }
}

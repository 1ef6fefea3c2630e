use super::{
    super::{App, HttpError, negotiate::Asked, peer::Peer, publish::PublishHeaders},
    Fields,
};
use app::wire::{ChannelName, Sender};
use axum::http::{Uri, header};
use std::net::IpAddr;

/// Who asks, as the fields say. Most clients send the same ones with each request of a connection: what they mean is
/// found out once.
pub(super) struct Caller {
    pub(super) fields: Fields,
    /// Its headers are those of the first request with these fields: the length of the body is another one's.
    pub(super) asked: Asked,
    /// No page asks, and this server is meant: so it was found once.
    pub(super) is_program: bool,
    /// The path of the last request, and its channel.
    last: Option<(String, ChannelName)>,
    /// What they say of a message.
    publish: Option<Result<PublishHeaders, HttpError>>,
    /// Who speaks under a name, or without one.
    speaker: Option<(Option<String>, Sender)>,
}

impl Caller {
    pub(super) fn new(mut fields: Fields, app: &App, address: IpAddr) -> Self {
        let headers = std::mem::take(&mut fields.headers);
        let peer = Peer::of(address, &headers, &app.trusted);
        let is_program = !headers.contains_key(header::ORIGIN);
        let asked = Asked::of(app, peer, Uri::default(), headers);
        Self { fields, asked, is_program, last: None, publish: None, speaker: None }
    }

    /// The channel, if the last request was for the same path.
    pub(super) fn channel_at(&self, path: &str) -> Option<ChannelName> {
        self.last.as_ref().filter(|(known, _)| known == path).map(|(_, channel)| channel.clone())
    }

    /// A request was for this.
    pub(super) fn asks_at(&mut self, path: &str, channel: &ChannelName) {
        if self.last.as_ref().is_none_or(|(known, _)| known != path) {
            self.last = Some((path.to_owned(), channel.clone()));
        }
    }

    /// What the fields say of a message.
    pub(super) fn publish(&mut self) -> Result<PublishHeaders, HttpError> {
        let headers = &self.asked.headers;
        self.publish.get_or_insert_with(|| PublishHeaders::read(headers)).clone()
    }

    /// Who speaks under a name, or without one.
    pub(super) fn sender(&mut self, app: &App, name: Option<String>) -> &Sender {
        let known = self.speaker.take().filter(|(known, _)| *known == name);
        let speaker = known.unwrap_or_else(|| {
            let sender = self.asked.sender(app, name.clone());
            (name, sender)
        });
        &self.speaker.insert(speaker).1
    }
}

//! `GET /`: the list of channels as a page, as JSON, and its changes as SSE.

use super::{App, HttpError, channel, error::answer, negotiate::Asked, params::reading};
use crate::{
    engine::Offset,
    hub::Hub,
    limits::{HEARTBEAT, LIST_PACE},
    transport::sse,
    web,
};
use app::wire::{Answer, ChannelEntry, ChannelName, Frame, Id};
use axum::{
    Json,
    extract::{Request, State},
    http::header,
    response::{IntoResponse, Redirect, Response},
};
use bytes::{BufMut, BytesMut};
use futures::stream;
use serde::Serialize;

pub(super) async fn get(State(app): State<App>, request: Request) -> Response {
    let (asked, _) = Asked::take(&app, request);
    match respond(&app, &asked).await {
        Ok(response) => channel::vary(response),
        Err(error) => answer(&app, asked, error).await,
    }
}

async fn respond(app: &App, asked: &Asked) -> Result<Response, HttpError> {
    let reading = reading(&asked.uri, &asked.headers)?;
    match reading.answer.unwrap_or(asked.answer) {
        Answer::Html => Ok(web::home(app, asked.clone()).await),
        Answer::Json => {
            let cursor = app.hub.cursor(app.hub.head());
            let channels = app.hub.channels(0).await?;
            Ok(([(header::CACHE_CONTROL, "no-store")], Json(List { channels, cursor })).into_response())
        }
        Answer::Sse => Ok(changes(app.hub.clone())),
    }
}

/// The list of channels, newest message first.
#[derive(Serialize)]
struct List {
    channels: Vec<ChannelEntry>,
    cursor: Id,
}

/// The whole list once, then whatever changed, at most every [`LIST_PACE`].
fn changes(hub: Hub) -> Response {
    let events = stream::unfold((hub, None::<Offset>), |(hub, seen)| async move {
        if let Some(seen) = seen {
            tokio::select! {
                () = async { tokio::time::sleep(LIST_PACE).await; hub.changed(seen).await } => {}
                () = tokio::time::sleep(HEARTBEAT) => {}
                () = hub.closed() => return None,
            }
        }
        let head = hub.head();
        let changed = hub.channels(seen.unwrap_or(0)).await.ok()?;
        let mut out = BytesMut::new();
        // Oldest first: whoever puts each on top ends with the newest there.
        for entry in changed.iter().rev() {
            out.put(&b"event: channel\n"[..]);
            let json = serde_json::to_string(entry).expect("entries are JSON");
            sse::data(&mut out, json.as_bytes());
            out.put_u8(b'\n');
        }
        sse::frame(&mut out, &Frame::Cursor { cursor: hub.cursor(head) });
        Some((out.freeze(), (hub, Some(head))))
    });
    sse::stream_response(events)
}

/// `GET /open?name=NAME`: the form of the page, without script too.
pub(super) async fn open(State(app): State<App>, request: Request) -> Response {
    let (asked, _) = Asked::take(&app, request);
    let name = form_urlencoded::parse(asked.uri.query().unwrap_or_default().as_bytes())
        .find(|(key, _)| key == "name")
        .map(|(_, value)| value.trim().to_owned())
        .unwrap_or_default();
    match name.parse::<ChannelName>() {
        Ok(channel) => Redirect::to(&channel.path()).into_response(),
        Err(error) => answer(&app, asked, error.into()).await,
    }
}

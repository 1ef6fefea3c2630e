//! The list of channels: `GET /` as a page, as JSON, and its changes as SSE.

use super::{error::HttpError, page, params::Read, read::vary, request::RequestContext, state::App};
use crate::{
    engine::Offset,
    hub::Hub,
    limits::{HEARTBEAT, LIST_PACE},
    transport::sse,
};
use app::wire::{ChannelEntry, ChannelName, Frame, Id, Representation};
use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Redirect, Response},
};
use bytes::{BufMut, BytesMut};
use futures::stream;
use serde::Serialize;

/// `GET /`
pub(super) async fn list(
    State(app): State<App>,
    Read(params): Read,
    request: RequestContext,
) -> Result<Response, HttpError> {
    let response = match request.wants(&params) {
        Representation::Html => page::home(&app, &request).await?,
        Representation::Json => {
            let cursor = app.hub.cursor(app.hub.head());
            let channels = app.hub.channels(0).await?;
            ([(header::CACHE_CONTROL, "no-store")], Json(List { channels, cursor })).into_response()
        }
        Representation::Sse => changes(app.hub.clone()),
    };
    Ok(vary(response))
}

/// The list of channels, newest message first.
#[derive(Serialize)]
struct List {
    channels: Vec<ChannelEntry>,
    cursor: Id,
}

/// The whole list once, then the entries that changed, at most every [`LIST_PACE`].
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
        // Oldest first: a client that puts each entry on top ends with the newest there.
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

/// `GET /open?name=NAME`: the page's form that opens a channel.
pub(super) async fn open(request: RequestContext) -> Result<Redirect, HttpError> {
    let name = form_urlencoded::parse(request.uri.query().unwrap_or_default().as_bytes())
        .find(|(key, _)| key == "name")
        .map(|(_, value)| value.trim().to_owned())
        .unwrap_or_default();
    Ok(Redirect::to(&name.parse::<ChannelName>()?.path()))
}

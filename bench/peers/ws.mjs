// A server with the package `ws`. It broadcasts as the README of `ws` documents: it sends the same bytes to each
// client, one after the other. It also serves Server-Sent Events, for which Node needs no package.

import { createServer } from 'node:http';
import { WebSocket, WebSocketServer } from 'ws';
import { answer, body, listen } from './http.mjs';

const streams = new Set();

const server = createServer(async (request, response) => {
  if (request.method === 'POST' && request.url === '/pub') {
    publish(await body(request));
    answer(response, 200, 'ok');
  } else if (request.method === 'GET' && request.url === '/sse') {
    stream(response);
  } else {
    answer(response, 404);
  }
});

const sockets = new WebSocketServer({ server, path: '/ws' });
sockets.on('connection', (socket) => socket.on('error', () => {}));

function publish(data) {
  for (const client of sockets.clients) {
    if (client.readyState === WebSocket.OPEN) {
      client.send(data, { binary: false });
    }
  }
  if (streams.size > 0) {
    const event = Buffer.from(`data: ${data}\n\n`);
    for (const response of streams) {
      response.write(event);
    }
  }
}

function stream(response) {
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
  response.flushHeaders();
  streams.add(response);
  response.on('error', () => {});
  response.on('close', () => streams.delete(response));
}

listen(server);

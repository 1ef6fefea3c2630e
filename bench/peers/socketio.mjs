// A Socket.IO server with default settings: every client is in the root namespace and receives each `message` event.

import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { answer, body, listen } from './http.mjs';

const server = createServer(async (request, response) => {
  if (request.method === 'POST' && request.url === '/pub') {
    io.emit('message', (await body(request)).toString());
    answer(response, 200, 'ok');
  } else {
    answer(response, 404);
  }
});

const io = new Server(server);

listen(server);

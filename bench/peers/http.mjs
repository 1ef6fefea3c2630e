// Helpers shared by the Node servers: reading a request body, answering a request, and listening.

/** Resolves with the whole body of a request. */
export function body(request) {
  return new Promise((resolve, reject) => {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => resolve(Buffer.concat(parts)));
    request.on('error', reject);
  });
}

/** Answers with a status and an optional short text. */
export function answer(response, status, text = '') {
  response.writeHead(status, { 'Content-Type': 'text/plain', 'Content-Length': Buffer.byteLength(text) });
  response.end(text);
}

/** Listens on a free port and prints it. The backlog has room for thousands of clients that connect at once. */
export function listen(server) {
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
    console.log(`listening on 127.0.0.1:${server.address().port}`);
  });
}

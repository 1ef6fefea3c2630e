// Tests the browser builds of socket.io-client on a page from another origin.

import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { type AddressInfo } from "node:net";
import { Baro, expect, test } from "./baro";
import { TRANSPORTS, VERSIONS } from "./socket-io";

for (const version of VERSIONS) {
  test(`socket.io-client ${version} in a page that is allowed`, async ({ page }) => {
    const script = readFileSync(require.resolve(`socket.io-client-${version}/dist/socket.io.js`));
    const pages = createServer((request, response) => {
      if (request.url === "/socket.io.js") return response.setHeader("content-type", "text/javascript").end(script);
      if (request.url !== "/") return response.writeHead(204).end();
      response.setHeader("content-type", "text/html; charset=utf-8").end("<script src=/socket.io.js></script>");
    });
    await new Promise<void>((resolve) => pages.listen(0, "127.0.0.1", resolve));
    const origin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
    const baro = new Baro(["--no-machine-channel", "--allow-origin", origin]);
    await baro.start();
    try {
      await page.goto(origin);
      for (const [name, transports] of Object.entries(TRANSPORTS)) {
        const outcome = await page.evaluate(
          async ({ url, transports, name }) => {
            const client = (window as any).io(url, { transports, forceNew: true });
            const got: unknown[] = [];
            client.on("message", (message: { body: unknown }) => got.push(message.body));
            await new Promise((resolve, reject) => {
              client.on("connect", resolve);
              client.on("connect_error", reject);
              client.on("error", reject);
            });
            const bodies = [`온실 🎋 ${name}`, { n: 1 }, new Uint8Array([1, 2, 255]).buffer];
            const acks = [];
            for (const body of bodies) acks.push(await new Promise((resolve) => client.emit("message", body, resolve)));
            while (got.length < bodies.length) await new Promise((resolve) => client.once("message", resolve));
            const transport = client.io.engine.transport.name;
            client.close();
            return { got, ids: acks.map((ack: any) => typeof ack.id), transport };
          },
          { url: baro.channel("browser"), transports, name },
        );
        expect(outcome).toEqual({
          got: [`온실 🎋 ${name}`, { n: 1 }, "AQL/"],
          ids: ["string", "string", "string"],
          transport: transports.at(-1),
        });
      }
    } finally {
      await baro.end();
      pages.close();
    }
  });
}

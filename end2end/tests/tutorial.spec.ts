// Tests the snippets of docs/from-the-tutorial.md as printed, with only the address replaced.

import { spawn, type ChildProcess } from "node:child_process";
import { createServer, type Server } from "node:http";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { Baro, expect, test as base, type Page } from "./baro";

const DOCS = resolve(__dirname, "../../docs");

/** Returns the named code blocks of a document. */
function snippets(file: string): Map<string, string> {
  const text = readFileSync(join(DOCS, file), "utf8");
  return new Map([...text.matchAll(/^```\w+ (\S+)\n(.*?)^```$/gms)].map(([, name, code]) => [name!, code!]));
}

const SNIPPETS = snippets("from-the-tutorial.md");

type Tutorial = {
  /** A server that allows the origin of the tutorial's pages. */
  baro: Baro;
  /** Runs a snippet in Node with the packages that it imports. Returns its lines of output. */
  node(name: string, packages?: Record<string, string>): AsyncIterator<string>;
  /** Opens a snippet as a page from the tutorial's own server. */
  open(name: string, page: Page): Promise<void>;
};

const test = base.extend<{ tutorial: Tutorial }>({
  tutorial: async ({}, use) => {
    const pages: Server = createServer();
    await new Promise<void>((ready) => pages.listen(0, "127.0.0.1", ready));
    const origin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
    const baro = new Baro(["--no-machine-channel", "--allow-origin", origin]);
    await baro.start();
    const printed = (name: string) => SNIPPETS.get(name)!.replaceAll("localhost:3000", new URL(baro.url).host);
    const folder = mkdtempSync(join(tmpdir(), "tutorial-"));
    const children: ChildProcess[] = [];
    pages.on("request", (request, response) => {
      const name = request.url!.slice(1);
      if (SNIPPETS.has(name)) return response.setHeader("content-type", "text/html; charset=utf-8").end(`<!doctype html>${printed(name)}`);
      if (name !== "socket.io/socket.io.js") return response.writeHead(204).end();
      response.setHeader("content-type", "text/javascript");
      response.end(readFileSync(require.resolve("socket.io-client-2.5/dist/socket.io.js")));
    });
    await use({
      baro,
      node(name, packages = {}) {
        const at = join(folder, name);
        mkdirSync(join(at, "node_modules"), { recursive: true });
        for (const [wanted, installed] of Object.entries(packages)) {
          symlinkSync(join(dirname(require.resolve("ws/package.json")), "..", installed), join(at, "node_modules", wanted));
        }
        writeFileSync(join(at, "index.js"), printed(name));
        const child = spawn("node", ["index.js"], { cwd: at, stdio: ["ignore", "pipe", "inherit"] });
        children.push(child);
        return createInterface(child.stdout!)[Symbol.asyncIterator]();
      },
      async open(name, page) {
        await page.goto(`${origin}/${name}`);
      },
    });
    children.forEach((child) => child.kill());
    await baro.end();
    pages.close();
    rmSync(folder, { recursive: true, force: true });
  },
});

async function line(lines: AsyncIterator<string>): Promise<string> {
  const late = new Promise<never>((_, reject) => setTimeout(() => reject(new Error("no line of output")), 15_000).unref());
  return (await Promise.race([lines.next(), late])).value;
}

test("the Korean twin has the same snippets", () => {
  expect(snippets("from-the-tutorial.ko.md")).toEqual(SNIPPETS);
  expect(SNIPPETS.size).toBe(11);
});

test("WebSocket in a page and in Node, and curl", async ({ tutorial, page }) => {
  const { baro } = tutorial;
  await tutorial.open("page-websocket", page);
  await expect(page.locator("li")).toHaveText([/: Hello from the page$/]);
  const lines = tutorial.node("node-ws", { ws: "ws" });
  expect(await line(lines)).toBe("program: Hello from Node");
  const plain = tutorial.node("node-ws-body", { ws: "ws" });
  expect(await line(plain)).toBe("Hello as plain text");
  await new Promise((done) => {
    const command = SNIPPETS.get("send-curl")!.replace("localhost:3000", new URL(baro.url).host);
    spawn("sh", ["-c", command], { stdio: "ignore" }).on("exit", done);
  });
  await expect(page.locator("li")).toHaveText([/from the page$/, /from Node$/, /as plain text$/, /: Hello from the terminal$/]);
  expect(await line(plain)).toBe("Hello from the terminal");
  expect((await baro.all("tutorial")).length).toBe(4);
});

test("Server-Sent Events in a page and in Node", async ({ tutorial, page }) => {
  await tutorial.open("page-eventsource", page);
  const lines = tutorial.node("node-eventsource", { eventsource: "eventsource", "eventsource-parser": "eventsource-parser" });
  tutorial.node("node-clock");
  await expect(page.locator("#time")).toHaveText(/^\d+:\d\d:\d\d/);
  expect(Math.abs(Date.parse(await line(lines)) - Date.now())).toBeLessThan(60_000);
});

test("Socket.IO 2.x in Node and in a page", async ({ tutorial, page }) => {
  const lines = tutorial.node("node-socket.io-2", { "socket.io-client": "socket.io-client-2.5" });
  const said = [await line(lines), await line(lines)].sort();
  const [stored] = await tutorial.baro.all("news");
  expect(said).toEqual([`${stored!.from.name}: Hello Node.JS`, `stored as ${stored!.id}`].sort());
  await tutorial.open("page-socket.io-2", page);
  await expect(page.locator("li")).toHaveText(["Hello Socket.IO"]);
  expect(await line(lines)).toMatch(/: Hello Socket.IO$/);
});

test("Socket.IO 4.x in Node, also after a restart, and many channels", async ({ tutorial }) => {
  const { baro } = tutorial;
  await baro.say("news", "before");
  const lines = tutorial.node("node-socket.io-4", { "socket.io-client": "socket.io-client-4" });
  const said = [await line(lines), await line(lines), await line(lines)];
  const [before, stored] = await baro.all("news");
  expect(said).toContain(`${before!.from.name}: before`);
  expect(said).toContain(`stored as ${stored!.id}`);
  await baro.kill();
  await baro.start();
  await baro.say("news", "while it was away");
  const back = [await line(lines), await line(lines)];
  expect(back).toContain("back again, and nothing was missed");
  expect(back.join("\n")).toContain("while it was away");

  const many = tutorial.node("node-socket.io-4-many", { "socket.io-client": "socket.io-client-4" });
  expect(await line(many)).toBe("weather: Rain at noon");
  await baro.say("news", "One more");
  expect(await line(many)).toBe("news: One more");
});

test("Baro serves the client's script", async ({ baro, page }) => {
  await page.goto(baro.url);
  await page.addScriptTag({ url: `${baro.url}/socket.io/socket.io.js` });
  const body = await page.evaluate(async (url) => {
    const socket = (window as any).io.connect(url);
    const heard = new Promise((resolve) => socket.on("message", (message: { body: unknown }) => resolve(message.body)));
    socket.emit("message", "as the tutorial's page does");
    return heard;
  }, baro.channel("script"));
  expect(body).toBe("as the tutorial's page does");
});

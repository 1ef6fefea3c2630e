// Fixtures: a separate server for each test, and pages that must not log errors.

import { test as base, expect, type Page } from "@playwright/test";
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, connect, type Server, type Socket } from "node:net";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const BINARY = resolve(__dirname, "../../target/release/baro");

const CURL = { "user-agent": "curl/8", "content-type": "application/x-www-form-urlencoded" };

export type Message = { id: string; prev: string | null; body: unknown; from: { name: string; kind: string }; key?: string };
type Answer = { messages: Message[]; cursor: string; more: boolean; missed: unknown[] };

/** The release binary with a data folder of its own. `kill` sends SIGKILL by default; `start` reuses the port. */
export class Baro {
  private child?: ChildProcess;
  private port = 0;
  private readonly folder = mkdtempSync(join(tmpdir(), "baro-"));
  url = "";

  constructor(private readonly flags: string[]) {}

  async start() {
    const args = ["--listen", `127.0.0.1:${this.port}`, "--data", this.folder, "--log", "off", ...this.flags];
    const child = spawn(BINARY, args, { stdio: ["ignore", "pipe", "inherit"] });
    this.child = child;
    const [line] = (await once(createInterface(child.stdout!), "line")) as [string];
    this.url = line.split(" ").at(-1)!;
    this.port = Number(new URL(this.url).port);
  }

  async kill(signal: NodeJS.Signals = "SIGKILL") {
    if (!this.child || this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, "exit");
    this.child.kill(signal);
    await ended;
  }

  async end() {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  channel(name: string) {
    return `${this.url}/c/${encodeURIComponent(name)}`;
  }

  /** Publishes a message with the request that `curl -d BODY` sends. */
  async say(channel: string, body: string, headers: Record<string, string> = {}) {
    const answer = await fetch(this.channel(channel), { method: "POST", body, headers: { ...CURL, ...headers } });
    expect(answer.status).toBe(201);
    return (await answer.json()) as { id: string };
  }

  /** Reads all stored messages of a channel. */
  async all(channel: string): Promise<Message[]> {
    const messages: Message[] = [];
    for (let after = "earliest"; ; ) {
      const answer = (await (await fetch(`${this.channel(channel)}?after=${after}&limit=1000`)).json()) as Answer;
      messages.push(...answer.messages);
      if (!answer.more) return messages;
      after = answer.cursor;
    }
  }
}

/** A TCP proxy between the browser and the server, whose connections a test can cut. */
export class Line {
  private readonly sockets = new Set<Socket>();
  private server?: Server;
  private up = true;
  /** Makes the proxy behave like a network that blocks WebSockets. */
  refuseWebSocket = false;
  url = "";

  constructor(private readonly target: string) {}

  async open() {
    const { port } = new URL(this.target);
    this.server = createServer((near) => {
      if (!this.up) return near.destroy();
      if (!this.refuseWebSocket) return this.join(near, Number(port));
      near.once("data", (head) => {
        if (/upgrade: websocket/i.test(head.toString("latin1"))) {
          near.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        } else {
          near.pause();
          near.unshift(head);
          this.join(near, Number(port));
        }
      });
    });
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    const address = this.server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    this.url = `http://127.0.0.1:${address.port}`;
  }

  private join(near: Socket, port: number) {
    const far = connect(port, "127.0.0.1");
    for (const [one, other] of [[near, far], [far, near]]) {
      this.sockets.add(one);
      one.pipe(other);
      one.on("error", () => other.destroy());
      one.on("close", () => { this.sockets.delete(one); other.destroy(); });
    }
  }

  cut() {
    this.up = false;
    for (const socket of this.sockets) socket.destroy();
  }

  mend() {
    this.up = true;
  }

  close() {
    this.cut();
    this.server?.close();
  }
}

/** Collects every console error, warning and exception of a page, except network errors while `cut` is set. */
export class Complaints {
  private readonly heard: string[] = [];
  /** Set by a test that cuts or refuses connections, because then the browser's network errors are expected. */
  cut = false;

  listen(page: Page) {
    page.on("console", (message) => {
      if (message.type() !== "error" && message.type() !== "warning") return;
      const text = message.text();
      const network = /net::ERR_|WebSocket connection to .* failed|Failed to load resource/.test(text);
      if (!(this.cut && network)) this.heard.push(`${message.type()}: ${text}`);
    });
    page.on("pageerror", (error) => {
      if (!(this.cut && /Failed to fetch/.test(error.message))) this.heard.push(`exception: ${error.message}`);
    });
  }

  verify() {
    expect(this.heard).toEqual([]);
  }
}

type Fixtures = { flags: string[]; baro: Baro; complaints: Complaints };

export const test = base.extend<Fixtures>({
  flags: [["--no-machine-channel"], { option: true }],
  baro: async ({ flags }, use) => {
    const baro = new Baro(flags);
    await baro.start();
    await use(baro);
    await baro.end();
  },
  complaints: async ({}, use) => {
    const complaints = new Complaints();
    await use(complaints);
    complaints.verify();
  },
  page: async ({ page, complaints }, use) => {
    complaints.listen(page);
    await use(page);
  },
});

export { expect };

/** Opens a page and waits until it is hydrated and live. */
export async function openLive(page: Page, url: string, transport: string | RegExp = "websocket") {
  await page.goto(url);
  await expect(page.locator("html[data-hydrated]")).toBeAttached();
  await live(page, transport);
}

export async function live(page: Page, transport: string | RegExp = "websocket") {
  await expect(page.locator(".pill")).toHaveAttribute("data-link", /^(live|caught-up)$/);
  await expect(page.locator(".pill")).toHaveAttribute("data-transport", transport);
}

/** Returns the message ids in the feed, in order. */
export function ids(page: Page): Promise<string[]> {
  return page.locator(".feed [data-id]").evaluateAll((rows) => rows.map((row) => row.getAttribute("data-id")!));
}

export async function type(page: Page, text: string) {
  await page.locator("textarea[name=body]").fill(text);
  await page.keyboard.press("Enter");
}
